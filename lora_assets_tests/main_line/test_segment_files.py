"""`lora-assets segment`: masks of a folder, boxes of all forms, what is skipped, and what costs no other picture."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.main_line.asked_boxes import AskedBox, read_boxes
from lora_assets.main_line.segment_files import Asked, pictures_below, segment_files, write_coco_of
from lora_assets.specs import SpecError
from lora_assets.store import StoreError
from lora_assets.vision.masks import decode_mask
from lora_assets_tests.tracker.fake_clicks import Discs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "pictures"
    (source / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "a.jpg", "deep/b.png")):
        picture = np.random.default_rng(number).integers(0, 255, (60, 80, 3), np.uint8)
        cv2.imwrite(str(source / name), picture)
    (source / "torn.png").write_bytes((source / "a.png").read_bytes()[:400])
    (source / "note.txt").write_text("no picture")
    return source


def _run(source: Path, out: Path, asked: Asked, **more):
    opened: list[int] = []

    def open_model():
        opened.append(1)
        return Discs()

    found = list(segment_files(pictures_below(source, out), out, asked, "model-1", open_model, **more))
    return {one.name: one for one in found}, len(opened)


def test_every_picture_gets_masks_and_a_torn_one_costs_no_other(folder, tmp_path):
    originals = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    out = folder / "masks-of-it"
    asked = Asked(find=lambda image, sha256: [AskedBox((10, 10, 40, 50), "person")], finder="f")
    found, opened = _run(folder, out, asked)
    assert opened == 1 and set(found) == {"a.png", "a.jpg", "deep/b.png", "torn.png"}
    assert found["torn.png"].reason and found["torn.png"].masks == 0
    for name in ("a.png", "a.jpg", "deep/b.png"):
        mask = cv2.imread(str(out / "masks" / name / "01.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.shape == (60, 80) and int((mask > 0).sum()) == 30 * 40
        cutout = cv2.imread(str(out / "cutouts" / name / "01.png"), cv2.IMREAD_UNCHANGED)
        assert cutout is not None and cutout.shape == (40, 30, 4) and cutout[..., 3].min() == 255
    coco = json.loads(write_coco_of(out, [name for _, name in pictures_below(folder, out)]).read_text())
    assert [one["file_name"] for one in coco["images"]] == ["a.jpg", "a.png", "deep/b.png"]
    one = coco["annotations"][0]
    assert one["bbox"] == [10, 10, 30, 40] and coco["categories"] == [{"id": 1, "name": "person"}]
    assert int(decode_mask(one["segmentation"]["counts"].encode(), 60, 80).sum()) == one["area"] == 1200
    again, opened = _run(folder, out, asked)
    assert opened == 0 and [one.skipped for one in again.values()].count(True) == 3
    (out / "masks" / "a.png" / "01.png").unlink()
    mended, _ = _run(folder, out, asked)
    assert not mended["a.png"].skipped and mended["a.jpg"].skipped
    assert originals == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in originals}


def test_clicks_on_one_picture(folder, tmp_path):
    found, _ = _run(folder / "a.png", tmp_path / "out", Asked(points=((40, 30, 1), (40, 8, 0))), cutouts=False)
    assert found["a.png"].masks == 1 and not (tmp_path / "out" / "cutouts").exists()
    outside, _ = _run(folder / "a.png", tmp_path / "out", Asked(points=((400, 30, 1),)))
    assert "outside the frame" in outside["a.png"].reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.csv", "file,x1,y1,x2,y2,label\na.png,1,2,30,40,girl\nb.png,9,9,3,3,\nb.png,x,1,2,3,\n"),
        ("b.json", json.dumps([{"file": "a.png", "box": [1, 2, 30, 40], "label": "girl"}, {"file": 3}, 7])),
        ("c.json", json.dumps({
            "images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 2, "name": "girl"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 29, 38]},
                            {"id": 2, "image_id": 8, "bbox": [1, 2, 3, 4]}, {"id": 3, "image_id": 7, "bbox": "x"}],
        })),
        ("d.json", json.dumps({
            "images": [{"id": 7, "file_name": "a.png"}, {"id": [7]}],
            "categories": [{"id": {}}, {"id": 2, "name": "girl"}],
            "annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, 29, 38]},
                            {"image_id": [7], "bbox": [1, 2, 3, 4]}, {"image_id": 7, "category_id": [], "bbox": 1}],
        })),
    ],
)  # fmt: skip
def test_boxes_of_every_form_are_read_and_what_does_not_fit_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    told = read_boxes(tmp_path / name)
    assert told.by_name == {"a.png": (AskedBox((1.0, 2.0, 30.0, 40.0), "girl"),)}
    assert len(told.problems) == 2 and all(name in problem for problem in told.problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "7",
        '{"a.png": [[1, 2, 3]]}',
        "file,x1\na.png,3",
        '{"images": [], "annotations": [], "categories": null}',
        "file," + "x" * 200_000,
    ],
)
def test_a_file_without_any_box_is_refused(tmp_path, text):
    path = tmp_path / ("boxes.csv" if text.startswith("file") else "boxes.json")
    path.write_text(text)
    with pytest.raises(SpecError, match=r"boxes.*file,x1,y1,x2,y2"):
        read_boxes(path)


def test_pictures_that_the_boxes_leave_out_and_boxes_that_lie_outside_are_told(folder, tmp_path):
    (tmp_path / "boxes.json").write_text(json.dumps({"a.png": [[1, 2, 30, 40]], "deep/b.png": [[500, 500, 600, 600]]}))
    found, _ = _run(folder, tmp_path / "out", Asked(boxes=read_boxes(tmp_path / "boxes.json")))
    assert found["a.png"].masks == 1
    assert "has none of it" in found["a.jpg"].reason
    assert "inside the frame" in found["deep/b.png"].reason


def test_a_bare_name_in_the_boxes_is_of_the_only_picture_called_so(folder, tmp_path):
    (folder / "other").mkdir()
    (folder / "other" / "b.png").write_bytes((folder / "a.png").read_bytes())
    (tmp_path / "boxes.json").write_text(json.dumps({"b.png": [[1, 2, 30, 40]], "other/b.png": [[1, 2, 9, 9]]}))
    found, _ = _run(folder, tmp_path / "out", Asked(boxes=read_boxes(tmp_path / "boxes.json")))
    assert found["other/b.png"].masks == 1
    assert "several pictures are called b.png" in found["deep/b.png"].reason
    (folder / "other" / "b.png").unlink()
    found, _ = _run(folder, tmp_path / "out", Asked(boxes=read_boxes(tmp_path / "boxes.json")))
    assert found["deep/b.png"].masks == 1


def test_files_of_an_earlier_run_do_not_outlive_it(folder, tmp_path, monkeypatch):
    picture, out = folder / "a.png", tmp_path / "out"
    boxes = [AskedBox((1, 2, 30, 40)), AskedBox((5, 6, 20, 20)), AskedBox((40, 6, 60, 20))]

    def run(count: int, **more):
        return _run(picture, out, Asked(find=lambda *_: boxes[:count], finder=str(count)), **more)[0]["a.png"]

    def files() -> set[str]:
        return {path.relative_to(out).as_posix() for path in out.rglob("*.png") if path.is_file()}

    assert run(3).masks == 3 and len(files()) == 6
    (out / "masks" / "a.png" / "mine.png").write_bytes(b"a person's own")
    assert run(1).masks == 1
    assert files() == {"masks/a.png/01.png", "cutouts/a.png/01.png", "masks/a.png/mine.png"}
    assert run(1, cutouts=False).masks == 1 and files() == {"masks/a.png/01.png", "masks/a.png/mine.png"}

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr("lora_assets.main_line.segment_files.atomic_write_json", full)
    with pytest.raises(StoreError):
        run(2)
    assert not (out / "records" / "a.png.json").exists(), "a record never tells of another run's masks"


def test_nothing_to_segment_is_told(tmp_path):
    for source in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SpecError):
            pictures_below(source, tmp_path / "out")

"""The commands around annotated comic pages: drawn, checked, converted, shown; a detector trained and used."""

from __future__ import annotations

import json

import pytest
from PIL import Image

EXIT_USAGE, EXIT_BAD_INPUT = 2, 3


def test_pages_are_drawn_checked_shown_and_converted(run, project, tmp_path):
    code, out, err = run("sample-comics", "drawn", "--pages", "2", "--seed", "3", "--form", "rle", "--size", "300x420")
    assert (code, err) == (0, "")
    root = project / "data" / "annotations" / "drawn"
    assert str(root) in out and "2 pages" in out
    code, out, err = run("annotations", "check", "drawn")
    assert (code, err) == (0, "")
    assert "bubble" in out and "digest" in out
    code, out, _ = run("annotations", "show", "drawn", str(tmp_path / "masks.jpg"), "--pages", "2")
    assert code == 0 and "panel blue" in out
    with Image.open(tmp_path / "masks.jpg") as picture:
        assert picture.size[1] > 400
    code, out, err = run("annotations", "convert", str(root), "plain")
    assert (code, err) == (0, "")
    assert len(list((project / "data" / "annotations" / "plain" / "masks").rglob("*.png"))) > 10
    assert run("annotations", "convert", str(root), "plain")[0] == EXIT_BAD_INPUT
    assert run("sample-comics", "drawn", "--pages", "2")[0] == EXIT_BAD_INPUT

    path = root / "annotations.json"
    told = json.loads(path.read_text())
    told["annotations"][3]["image_id"] = 99
    path.write_text(json.dumps(told))
    code, _, err = run("annotations", "check", "drawn")
    assert code == EXIT_BAD_INPUT
    assert "annotation 4: its image_id 99 is no usable picture" in " ".join(err.split())
    code, out, err = run("annotations", "convert", str(root), "mended")
    assert code == EXIT_BAD_INPUT and "2 pages" in out and "annotation 4" in " ".join(err.split())


def test_a_set_that_cannot_be_split_yet_is_converted(run, project, tmp_path):
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (40, 36)).save(tmp_path / "plain" / "one.png")
    (tmp_path / "plain" / "annotations.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": "one.png", "width": 40, "height": 36}],
        "categories": [{"id": 1, "name": "panel"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 20, 20], "area": 400,
                         "segmentation": [[2, 2, 22, 2, 22, 22, 2, 22]]}],
    }))  # fmt: skip
    code, out, _ = run("annotations", "convert", str(tmp_path / "plain"), "converted")
    assert code == 0 and "1 pages, 1 annotations" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["annotations", "check", "gone"], EXIT_BAD_INPUT, "there is no such file"),
        (["annotations", "show", "gone", "x.gif"], EXIT_USAGE, "must end in .jpg"),
        (["sample-comics", "odd name"], EXIT_BAD_INPUT, "does not fit"),
        (["sample-comics", "x", "--size", "9x9"], EXIT_USAGE, "at least 240 pixels"),
        (["sample-comics", "x", "--size", "large"], EXIT_USAGE, "WIDTHxHEIGHT"),
        (["sample-comics", "x", "--size", "300x400,large"], EXIT_USAGE, "WIDTHxHEIGHT"),
        (["train-page-detector", "starter-pages"], EXIT_BAD_INPUT, "choose another name"),
        (["sample-comics", "x", "--form", "bmp"], EXIT_USAGE, "must be one of rle, polygon, file"),
        (["train-page-detector", "gone"], EXIT_BAD_INPUT, "there is no such file"),
        (["train-page-detector", "gone", "--side", "100"], EXIT_USAGE, "multiple of 32"),
        (["segment-pages", "nowhere", "--out", "o.json"], EXIT_BAD_INPUT, "is not there"),
    ],
)
def test_wrong_arguments_are_refused(run, project, arguments, code, words):
    got, _, err = run(*arguments)
    assert got == code
    assert words in " ".join(err.replace("│", " ").split())


@pytest.mark.slow
def test_a_detector_is_trained_and_finds_things_on_pages(run, project, tmp_path):
    assert run("sample-comics", "drawn", "--pages", "2", "--form", "rle", "--size", "300x420")[0] == 0
    code, out, err = run(
        "train-page-detector", "tiny", "--annotations", "drawn", "--steps", "1", "--side", "128", "--batch", "1"
    )
    assert code == 0, err
    assert "1 steps" in out and "panel: recall" in out and "mean AP" in out and "segment-pages" in out
    pages = project / "data" / "annotations" / "drawn" / "images"
    code, out, err = run("segment-pages", str(pages), "--detector", "tiny", "--out", str(tmp_path / "found.json"))
    assert (code, err) == (0, "")
    assert "2 pages" in out
    told = json.loads((tmp_path / "found.json").read_text())
    assert {image["file_name"].split("/")[0] for image in told["images"]} == {"train", "val"}
    assert told["info"]["page_detector"] == "tiny"
    code, _, err = run("segment-pages", str(pages), "--detector", "gone", "--out", str(tmp_path / "x.json"))
    assert code == EXIT_BAD_INPUT and "starter-pages (of the package), tiny" in " ".join(err.split())
    code, out, _ = run("segment-pages", str(pages / "val"), "--out", str(tmp_path / "packaged.json"))
    told = json.loads((tmp_path / "packaged.json").read_text())
    assert code == 0 and told["info"]["page_detector"] == "starter-pages"

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from lora_assets.annotations import AnnotationError, convert, read_annotated_set, write_coco
from lora_assets.annotations.drawing import lay_masks, set_markdown, sheet
from lora_assets.annotations.writing import MaskForm


def _shown(found) -> list[tuple[int, int, tuple[float, ...], bytes]]:
    return [(one.image_id, one.category_id, one.bbox, one.rle) for one in found.annotations]


@pytest.mark.parametrize("form", ["file", "rle", "polygon"])
def test_a_converted_set_reads_back_the_same(plain, tmp_path, form: MaskForm):
    source, _ = read_annotated_set(plain())
    made, problems = convert(source.root, tmp_path / "made", form=form)
    assert problems == []
    assert made.digest == source.digest
    assert _shown(made) == _shown(source)
    told = json.loads((tmp_path / "made" / "annotations.json").read_text())
    names = {path.name for path in (tmp_path / "made" / "masks").rglob("*.png")}
    if form == "file":
        expected = {f"{one['image_id']:012d}_{one['id']:012d}.png" for one in told["annotations"]}
        assert names == expected
        assert all((tmp_path / "made" / one["segmentation_file"]).is_file() for one in told["annotations"])
    else:
        assert names == set()


@pytest.mark.parametrize("form", ["rle", "polygon"])
def test_pycocotools_reads_what_is_written(drawn_set, tmp_path, form: MaskForm):
    found, _ = read_annotated_set(drawn_set)
    path = write_coco(tmp_path / "all.json", found.images, found.annotations, found.categories, form=form,
                      pictures=found.root)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        coco = COCO(str(path))
        assert len(coco.getAnnIds()) == len(found.annotations)
        for annotation in found.annotations[::7]:
            theirs = coco.annToMask(coco.loadAnns([annotation.id])[0])
            assert (theirs.astype(bool) == found.mask(annotation)).all()
    again, problems = read_annotated_set(path, pictures=found.root)
    assert problems == [] and again.digest == found.digest


def test_broken_entries_are_left_behind_and_named(plain, tmp_path):
    def break_one(told, root: Path) -> None:
        told["annotations"][0]["category_id"] = 77
        told["categories"] = [{"id": 1, "name": "frame"}, {"id": 2, "name": "balloon"}, {"id": 4, "name": "text"}]

    made, problems = convert(plain(break_one), tmp_path / "made")
    assert [problem.kind for problem in problems if problem.kind == "unknown_category"] == ["unknown_category"]
    assert len(made.annotations) == 5
    assert [category.name for category in made.categories] == ["panel", "bubble", "text"]


def test_a_set_is_never_written_over(plain, tmp_path):
    source = plain()
    convert(source, tmp_path / "made")
    with pytest.raises(AnnotationError, match="there already"):
        convert(source, tmp_path / "made")


def test_two_pictures_of_one_name_do_not_meet(plain, tmp_path):
    def same_name(told, root: Path) -> None:
        for image, folder in zip(told["images"], ("a", "b"), strict=True):
            (root / folder).mkdir()
            (root / "images" / image["split"] / image["file_name"]).rename(root / folder / "001.png")
            image["file_name"] = f"{folder}/001.png"
            image["split"] = "train" if folder == "a" else "val"
        told["images"].append(dict(told["images"][0], id=3, file_name="b/001.png", title="work 3"))
        # Named as the third one would be.
        (root / "b" / "000000000003_001.png").write_bytes((root / "a" / "001.png").read_bytes())
        told["images"].append(dict(told["images"][0], id=0, file_name="b/000000000003_001.png"))

    made, _ = convert(plain(same_name), tmp_path / "made")
    assert len({image.path for image in made.images}) == 4
    assert made.image(1).sha256 == made.image(0).sha256 != made.image(3).sha256


def test_the_preview_takes_pages_that_are_bands(plain):
    def bands(told, root: Path) -> None:
        for image in told["images"]:
            path = root / "images" / image["split"] / image["file_name"]
            Image.open(path).crop((0, 0, 8000, image["height"])).save(path)
            image["width"] = 8000
        told["annotations"] = [dict(one, segmentation=[[2, 2, 30, 2, 30, 30, 2, 30]], bbox=[2, 2, 28, 28])
                               for one in told["annotations"] if one["id"] in (11, 21)]  # fmt: skip

    found, problems = read_annotated_set(plain(bands))
    assert len(found.images) == 2 and "data:image/jpeg;base64," in set_markdown(found, len(problems))
    assert sheet(found).shape[1] < 5000


def test_the_preview_shows_masks_in_the_colour_of_their_category(drawn_set):
    found, _ = read_annotated_set(drawn_set)
    picture = sheet(found, 4)
    assert picture.ndim == 3 and picture.shape[0] > 200
    text = set_markdown(found, 2)
    assert "2 problems" in text and "| bubble | orange |" in text and "data:image/jpeg;base64," in text
    page = np.full((40, 40, 3), 255, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:16, 10:16] = True
    laid = lay_masks(page, [(mask, (0, 114, 178))])
    assert laid[13, 13, 2] > laid[13, 13, 0] and (laid[30, 30] == 255).all()

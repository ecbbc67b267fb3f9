from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from lora_assets.mask_lab.frames import LabFrame, LabSource
from lora_assets.mask_lab.truth import open_truth, truth_of_row
from lora_assets.store import StoreError
from lora_assets_tests.mask_lab.cells import figure, mask_row

SIZE = (240, 160)


def _source(folder) -> LabSource:
    return LabSource("film", "film", folder, {"0" * 64: LabFrame(("a/b.png",), *SIZE)}, None, "1")


def _told(folder, segmentation) -> list[np.ndarray]:
    annotation = {"image_id": 1, "segmentation": segmentation}
    told = {"images": [{"id": 1, "file_name": "b.png"}], "annotations": [annotation, {**annotation, "iscrowd": 1}]}
    (folder / "truth.json").write_text(json.dumps(told))
    truth = open_truth("", _source(folder))
    assert truth is not None
    masks, apart = truth.masks_of(("a/b.png",), *SIZE)
    assert apart
    return masks


def test_coco_masks_are_read_in_every_form(tmp_path):
    expected = figure(60, 80, 20, 40)
    lengths: dict[str, bytes] = coco.encode(np.asfortranarray(expected.astype(np.uint8)))  # pyright: ignore
    (mask,) = _told(tmp_path, {"size": [160, 240], "counts": bytes(lengths["counts"]).decode()})
    assert np.array_equal(mask, expected)
    flat = expected.reshape(-1, order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    (mask,) = _told(tmp_path, {"size": [160, 240], "counts": counts})
    assert np.array_equal(mask, expected)
    (mask,) = _told(tmp_path, [[10.0, 10, 50, 10, 50, 60, 10, 60]])
    assert mask[10:60, 10:50].all() and mask.sum() == 2000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read as COCO instances"),
        ('{"images": []}', "KeyError 'annotations'"),
        ("[]", "cannot be read as COCO instances"),
        ('{"images": ' + "[" * 200_000, "cannot be read as COCO instances"),
    ],
)
def test_a_broken_truth_is_told(tmp_path, content, told):
    (tmp_path / "truth.json").write_text(content)
    with pytest.raises(StoreError, match=told):
        open_truth("", _source(tmp_path))


@pytest.mark.parametrize(
    ("segmentation", "told"),
    [
        ([[10, 10, 1e8, 10, 50, 60]], "leads far outside"),  # pycocotools would end the process
        ([[10, 10, 10**400, 10, 50, 60]], "finite numbers"),
        ([[10, 10, float("nan"), 10, 50, 60]], "finite numbers"),
        ({"size": [160, 240], "counts": [-5, 38405]}, "neither text nor whole numbers"),
        ({"size": [160, 240], "counts": [10**400]}, "neither text nor whole numbers"),
        ({"size": [160, 240], "counts": [38401]}, "other frames"),
        ({"size": [160, 240], "counts": "PPPPPPPP"}, "are damaged"),
        ({"size": ["a", 240], "counts": [38400]}, "no size"),
        ([], "empty list"),
        (7, "neither polygons nor run lengths"),
    ],
)
def test_a_segmentation_that_would_break_the_decoder_is_told_with_its_file(tmp_path, segmentation, told):
    with pytest.raises(StoreError, match=f"truth.json: a segmentation is damaged: .*{told}"):
        _told(tmp_path, segmentation)


def test_a_truth_of_other_frames_is_told(tmp_path):
    with pytest.raises(StoreError, match="of 24 x 16 pixels, the picture of 240 x 160: the truth belongs to other"):
        _told(tmp_path, {"size": [16, 24], "counts": [384]})
    with pytest.raises(StoreError, match="a segmentation is damaged"):
        _told(tmp_path, {"size": [160, 240]})


def test_polygons_of_larger_frames_are_told(tmp_path):
    image = {"id": 1, "file_name": "b.png", "width": 480, "height": 320}
    polygon = [[20.0, 20, 200, 20, 200, 140, 20, 140]]  # would fit the smaller frame as well, elsewhere
    told = {"images": [image], "annotations": [{"image_id": 1, "segmentation": polygon}]}
    (tmp_path / "truth.json").write_text(json.dumps(told))
    truth = open_truth("", _source(tmp_path))
    assert truth is not None and len(truth.masks_of(("a/b.png",), 480, 320)[0]) == 1
    with pytest.raises(
        StoreError, match=r"truth\.json: b\.png has 480 x 320 pixels there, the frame 240 x 160: the tr"
    ):
        truth.masks_of(("a/b.png",), *SIZE)


def test_mask_files_are_found_by_the_frames_name(tmp_path):
    both = figure(60, 80, 20, 40) | figure(180, 80, 20, 40)
    masks = tmp_path / "masks"
    (masks / "a").mkdir(parents=True)
    cv2.imwrite(str(masks / "a" / "b.png"), both.astype(np.uint8) * 255)
    truth = open_truth(str(masks), _source(tmp_path))
    assert truth is not None
    found, apart = truth.masks_of(("a/b.png",), *SIZE)
    assert not apart and np.array_equal(found[0], both)
    cv2.imwrite(str(masks / "b.1.png"), figure(60, 80, 20, 40).astype(np.uint8) * 255)
    cv2.imwrite(str(masks / "b.x.png"), both.astype(np.uint8) * 255)
    (masks / "a" / "b.png").unlink()
    again = open_truth(str(masks), _source(tmp_path))
    assert again is not None and again.version != truth.version
    found, apart = again.masks_of(("a/b.png",), *SIZE)
    assert apart and len(found) == 1
    assert again.masks_of(("c.png",), *SIZE) == ([], False)
    cv2.imwrite(str(masks / "b.1.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(StoreError, match="has 9 x 9 pixels, its frame 240 x 160"):
        again.masks_of(("a/b.png",), *SIZE)
    (masks / "b.1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(StoreError, match="Mend the file or take it away"):
        again.masks_of(("a/b.png",), *SIZE)
    with pytest.raises(StoreError, match="is no folder"):
        open_truth(str(tmp_path / "nowhere"), _source(tmp_path))
    with pytest.raises(StoreError, match="no home folder as in ~nobody-there"):
        open_truth("~nobody-there/masks", _source(tmp_path))
    assert open_truth("", _source(tmp_path)) is None


def test_each_row_gets_the_truth_of_its_character():
    left, right = figure(60, 80, 20, 40), figure(180, 80, 20, 40)
    rows = [mask_row(figure(62, 82, 18, 38), "0" * 64, "a"), mask_row(figure(178, 80, 20, 40), "0" * 64, "b")]
    assert truth_of_row([left, right], True, rows[1], [rows[0]], False) is right
    assert truth_of_row([left], True, rows[1], [rows[0]], False) is None
    of_all = truth_of_row([left | right], False, rows[0], [rows[1]], False)
    assert of_all is not None and np.array_equal(of_all, left)
    whole = truth_of_row([left, right], True, rows[0], [], True)
    assert whole is not None and np.array_equal(whole, left | right)
    assert truth_of_row([], True, rows[0], [], False) is None

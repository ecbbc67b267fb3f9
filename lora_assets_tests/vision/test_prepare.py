"""Preparation of a frame for a second look."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.vision.boxes import Boxes, no_boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.prepare import find_enlarged, prepare


def test_contrast_and_sharpness_rise() -> None:
    dim = (np.random.default_rng(0).integers(0, 30, (90, 120, 3)) + 100).astype(np.uint8)
    made = {step: prepare(dim, (step,)) for step in ("contrast", "sharpen")}
    assert all(picture.shape == dim.shape and picture.dtype == np.uint8 for picture in made.values())
    assert made["contrast"].std() > dim.std() and made["sharpen"].std() > dim.std()
    assert prepare(dim, ()) is dim


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (40, 40)])
def test_odd_sizes_are_prepared(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert prepare(image, ("contrast", "sharpen")).shape == image.shape
    assert len(find_enlarged(image, lambda _image: no_boxes())) == 0


def test_windows_bring_their_boxes_back_to_the_frame_and_cut_ones_fall_away() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    image[30:60, 330:350] = 255
    image[0:200, 100:300] = 120

    def bright(window: RgbImage) -> Boxes:
        found = [np.argwhere(window[..., 0] == level) for level in (255, 120)]
        boxes = [[*where.min(0)[::-1], *(where.max(0)[::-1] + 1)] for where in found if len(where)]
        count = len(boxes)
        return Boxes(
            np.array(boxes, np.float64).reshape(-1, 4), np.full(count, 0.5), ("person",) * count, ("n",) * count
        )

    found = find_enlarged(image, bright)
    assert found.xyxy.tolist() == [[330, 30, 350, 60]]

"""Preparation of a frame in which nothing was found, for a second look: contrast, sharpness, size.

What belongs elsewhere: when a second look is taken (detect).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from lora_assets.vision.boxes import Boxes, clip_boxes, join_boxes
from lora_assets.vision.images import RgbImage

CONTRAST, SHARPEN, ENLARGE = "contrast", "sharpen", "enlarge"
STEPS = (CONTRAST, SHARPEN, ENLARGE)

_CLIP_LIMIT = 2.0
_TILES = 8
_SHARPEN_SIGMA, _SHARPEN_AMOUNT = 1.5, 0.6
_WINDOW_SHARE = 0.6
_LEAST_WINDOW = 32


def raise_contrast(image: RgbImage) -> RgbImage:
    """The frame with its lightness (L of CIELAB) equalized in 8 x 8 tiles, contrast limited to 2 (CLAHE; Zuiderveld,
    Graphics Gems IV, 1994)."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(_CLIP_LIMIT, (_TILES, _TILES)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def sharpen(image: RgbImage) -> RgbImage:
    """The frame plus 0.6 times what a Gaussian of 1.5 pixels takes away (unsharp mask)."""
    soft = cv2.GaussianBlur(image, (0, 0), _SHARPEN_SIGMA)
    return np.asarray(cv2.addWeighted(image, 1 + _SHARPEN_AMOUNT, soft, -_SHARPEN_AMOUNT, 0), np.uint8)


def prepare(image: RgbImage, steps: tuple[str, ...]) -> RgbImage:
    """The frame after `contrast` and `sharpen`, as far as `steps` names them."""
    if CONTRAST in steps:
        image = raise_contrast(image)
    return sharpen(image) if SHARPEN in steps else image


def find_enlarged(image: RgbImage, find: Callable[[RgbImage], Boxes]) -> Boxes:
    """What a detector finds in four overlapping windows of 0.6 of the frame's sides, in pixels of the frame.

    The detector scales each window to its own input, so it sees everything 1.7 times larger. A box that ends at the
    inner side of a window is cut by it and falls away. A frame under 54 pixels is looked at whole.
    """
    height, width = image.shape[:2]
    inner_width, inner_height = round(width * _WINDOW_SHARE), round(height * _WINDOW_SHARE)
    if min(inner_width, inner_height) < _LEAST_WINDOW:
        return find(image)
    parts: list[Boxes] = []
    for top in (0, height - inner_height):
        for left in (0, width - inner_width):
            window = np.ascontiguousarray(image[top : top + inner_height, left : left + inner_width])
            boxes = find(window)
            x1, y1, x2, y2 = boxes.xyxy.T
            whole = (x1 > 1) | (left == 0)
            whole &= (x2 < inner_width - 1) | (left > 0)
            whole &= (y1 > 1) | (top == 0)
            whole &= (y2 < inner_height - 1) | (top > 0)
            kept = boxes.take(np.flatnonzero(whole))
            points = kept.key_points.copy()
            if len(points):
                points[..., :2] += np.array([left, top])
            xyxy = clip_boxes(kept.xyxy + np.array([left, top, left, top]), width, height)
            parts.append(Boxes(xyxy, kept.confidence, kept.labels, kept.detectors, points, kept.dropped))
    return join_boxes(parts)

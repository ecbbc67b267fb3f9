"""Models that cost next to nothing: what is left is the cost of everything else."""

from __future__ import annotations

import cv2
import numpy as np

from lora_assets.vision.boxes import Boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.segment import WindowMask


def middle_box(image: RgbImage) -> Boxes:
    """One person in the middle of every frame."""
    height, width = image.shape[:2]
    box = np.array([[width * 0.35, height * 0.1, width * 0.65, height * 0.95]])
    return Boxes(box, np.array([0.9]), ("person",), ("middle",))


def ellipses(_: RgbImage, xyxy: np.ndarray) -> list[WindowMask]:
    """An ellipse in every box."""
    found = []
    for x1, y1, x2, y2 in np.asarray(xyxy).astype(int):
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        cv2.ellipse(mask, ((x2 - x1) // 2, (y2 - y1) // 2), ((x2 - x1) // 2 - 2, (y2 - y1) // 2 - 2), 0, 0, 360, 1, -1)
        found.append(WindowMask(int(x1), int(y1), mask.astype(bool), 0.95, 0.95))
    return found

"""Masks as COCO run lengths inside a window of the frame: the form in which they are stored and exchanged.

The window keeps a mask small and independent of the frame's size; adding its corner gives frame coordinates. How a
mask is found (segment) or improved (refine) does not belong here.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from lora_assets.run_lengths import mask_of_runs
from lora_assets.tables import Mask

CODE_VERSION = "1"

BoolMask = npt.NDArray[np.bool_]
Window = tuple[int, int, int, int]


def encode_mask(mask: BoolMask) -> bytes:
    """COCO compressed run lengths (column-major) of a bool HxW mask. Raises ValueError for another shape or type."""
    if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size:
        raise ValueError(f"a mask is a bool array HxW with pixels, not {mask.dtype} {mask.shape}")
    return bytes(coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"])  # pyright: ignore[reportArgumentType]


def decode_mask(rle: bytes, height: int, width: int) -> BoolMask:
    """The bool mask (height, width) of COCO run lengths. Raises ValueError when they do not fill that size.

    The inverse of pycocotools' encoding (rleToString in its maskApi.c); its own decoder warns under NumPy 2.
    """
    return mask_of_runs(_unpacked(rle), height, width)


def _unpacked(rle: bytes) -> npt.NDArray[np.int64]:
    """Alternating counts of False and True. Each is written in groups of 5 bits, lowest first, with a sign, and from
    the fourth on as the difference to the count two places before.
    """
    digits = np.frombuffer(rle, np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise ValueError("the run lengths of a mask are empty or damaged")
    ends = np.flatnonzero((digits & 32) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 11:
        raise ValueError("the run lengths of a mask are damaged: a number is too long")
    counts = np.add.reduceat((digits & 31) << (5 * places), starts)
    negative = (digits[ends] & 16) > 0
    counts[negative] -= np.int64(1) << (5 * (ends - starts + 1)[negative])
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def mask_pixels(row: Mask) -> BoolMask:
    """The bool mask (row.height, row.width) of a row, in its window."""
    return decode_mask(row.rle, row.height, row.width)


def place_pixels(pixels: BoolMask, x: int, y: int, window: Window) -> BoolMask:
    """The part of a mask with its corner at (x, y) inside `window` (x, y, width, height), at its size."""
    height, width = pixels.shape
    found = np.zeros((window[3], window[2]), np.bool_)
    left, top = max(window[0], x), max(window[1], y)
    right, bottom = min(window[0] + window[2], x + width), min(window[1] + window[3], y + height)
    if left < right and top < bottom:
        part = pixels[top - y : bottom - y, left - x : right - x]
        found[top - window[1] : bottom - window[1], left - window[0] : right - window[0]] = part
    return found


def window_pixels(row: Mask, window: Window) -> BoolMask:
    """The part of a row's mask that lies in `window` (x, y, width, height of the frame), at the window's size."""
    return place_pixels(mask_pixels(row), row.x, row.y, window)


def mask_bounds(mask: BoolMask) -> Window | None:
    """x, y, width, height of the smallest window that holds all True pixels; None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    return left, top, right - left, bottom - top


def mask_iou(first: BoolMask, second: BoolMask) -> float:
    """Intersection over union of two bool masks HxW, 0 to 1; 1 when both are empty."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def piece_areas(mask: BoolMask) -> npt.NDArray[np.int64]:
    """Pixels of each 8-connected piece of a bool HxW mask. Counted from the labels, which takes a tenth of the time of
    OpenCV's own statistics."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    return np.bincount(labels.ravel(), minlength=count)[1:].astype(np.int64)


def enclosed_pixels(mask: BoolMask) -> int:
    """Pixels outside the mask that no 4-connected way joins with what lies around the array: its holes."""
    background = 1 - np.ascontiguousarray(mask).view(np.uint8)
    around = cv2.copyMakeBorder(background, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    outside = int(np.count_nonzero(around))
    return outside - int(cv2.floodFill(around, None, (0, 0), 2, flags=4)[0])

"""From a page's pixels to the small plane of a model's logits, and back.

A plane is a grid (h,w) over a window (x1, y1, x2, y2) of the page, in pixels, which may reach beyond it: the whole page
for SAM 2, the padded square for SAM, the look at a prompt for the starter SAM. Pure functions on arrays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lora_assets.finetuning.prompts import mask_box
from lora_assets.vision.masks import BoolMask

FloatPlane = npt.NDArray[np.float32]


def coverage(mask: BoolMask, window: npt.NDArray[np.float64], shape: tuple[int, int]) -> FloatPlane:
    """Which share of each cell of the plane the mask covers, 0 to 1 (h,w)."""
    if not mask.any():
        return np.zeros(shape, np.float32)
    x1, y1, x2, y2 = mask_box(mask).astype(int)
    down = _shares(window[1], window[3], shape[0], y1, y2)
    across = _shares(window[0], window[2], shape[1], x1, x2)
    return np.clip(down @ mask[y1:y2, x1:x2].astype(np.float32) @ across.T, 0, 1).astype(np.float32)


def counted(covered: FloatPlane) -> npt.NDArray[np.bool_]:
    """Which cells of planes of coverage (N,h,w) belong to their things: those covered by more than half, or by more
    than half of the best covered one where no cell is whole, so that nothing is too small to belong anywhere."""
    return covered > np.minimum(0.5, covered.max(axis=(-2, -1), keepdims=True) / 2)


def page_part(window: npt.NDArray[np.float64], shape: tuple[int, int], size: tuple[int, int]) -> BoolMask:
    """Which cells of the plane have their middle on a page of `size` (width, height)."""
    xs = window[0] + (np.arange(shape[1]) + 0.5) / shape[1] * (window[2] - window[0])
    ys = window[1] + (np.arange(shape[0]) + 0.5) / shape[0] * (window[3] - window[1])
    return ((ys >= 0) & (ys < size[1]))[:, None] & ((xs >= 0) & (xs < size[0]))[None]


def enlarged(logits: FloatPlane, window: npt.NDArray[np.float64], size: tuple[int, int]) -> BoolMask:
    """The mask (H,W) of a page of `size` (width, height): where the logits, read bilinearly, are above 0."""
    mask = np.zeros((size[1], size[0]), bool)
    rows, columns = np.flatnonzero((logits > 0).any(axis=1)), np.flatnonzero((logits > 0).any(axis=0))
    if not len(rows):
        return mask
    y_part, y_low, y_high, y_share = _taps(rows, window[1], window[3], logits.shape[0], size[1])
    x_part, x_low, x_high, x_share = _taps(columns, window[0], window[2], logits.shape[1], size[0])
    down = logits[y_low] * (1 - y_share)[:, None] + logits[y_high] * y_share[:, None]
    mask[y_part, x_part] = down[:, x_low] * (1 - x_share) + down[:, x_high] * x_share > 0
    return mask


def _shares(start: float, end: float, cells: int, low: int, high: int) -> FloatPlane:
    """The share that each pixel from `low` to `high` takes of each of `cells` cells from `start` to `end`."""
    edges = start + np.arange(cells + 1) * (end - start) / cells
    pixels = np.arange(low, high)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0, None) / ((end - start) / cells)).astype(np.float32)


def _taps(
    cells: npt.NDArray[np.intp], start: float, end: float, count: int, length: int
) -> tuple[slice, npt.NDArray[np.int64], npt.NDArray[np.int64], FloatPlane]:
    """The pixels that the given cells and their neighbours reach; for each its two cells and the second one's share."""
    per_cell = (end - start) / count
    first = max(0, int(np.floor(start + (cells[0] - 1) * per_cell)), int(np.floor(max(start, 0))))
    last = min(length, int(np.ceil(start + (cells[-1] + 2) * per_cell)), int(np.ceil(end)))
    places = (np.arange(first, max(first, last)) + 0.5 - start) / per_cell - 0.5
    low = np.clip(np.floor(places), 0, count - 1).astype(np.int64)
    share = np.clip(places - low, 0, 1).astype(np.float32)
    return slice(first, max(first, last)), low, np.minimum(low + 1, count - 1), share

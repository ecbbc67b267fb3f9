"""The straight sides of a comic panel near a box: the quadrilateral whose sides lie on the strongest edges there.

A panel's border, or the end of its picture at the gutter, is a straight edge along a whole side, which nothing inside a
panel is; segmenters of things follow the figures inside instead. Which boxes are panels is decided by a detector.
"""

from __future__ import annotations

import numpy as np

from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.masks import BoolMask

OUTWARDS, INWARDS = 0.05, 0.55
"""How far from the box's side, as shares of the box across it, an end of a side is looked for."""
STRAIGHT = 0.07
"""At least one end of a side lies this near to the box's side: else the box would be another."""
STEPS, FINE_STEPS = 64, 9
"""Places along and across a side that are looked at, and those around the best of them."""
CLEAR = 14.0
"""Levels of grey (0 to 255) between two pixels from which on a place counts as fully on an edge."""
LEAST_SHARE = 0.6
"""Share of a side that must lie on an edge, otherwise the side is the box's: bubbles may hide a part of it."""
SLANT_COST = 0.12
"""What a side must be better by, as a share, that slants over the whole range: most sides are upright or level."""
DISTANCE_COST = 0.1
"""What a side must be better by, as a share, for every box's width that it lies farther from the box's side.

These numbers were chosen on drawn pages with jittered true boxes (2 % of their sides); see docs/BENCHMARKS.md.
"""


def panel_mask(grey: np.ndarray, box: FloatArray) -> BoolMask:
    """The mask (bool HxW) of the panel that an xyxy box is of; `grey` is the page, uint8 HxW.

    A side without a clear edge stays the box's. Raises ValueError for a box without area.
    """
    x0, y0, x1, y1 = box.tolist()
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {[x0, y0, x1, y1]} has no area")
    left, top, right, foot = (_side(grey, box, side) for side in range(4))
    xs, ys = np.arange(grey.shape[1]) + 0.5, np.arange(grey.shape[0]) + 0.5
    down, across = ((ys - y0) / (y1 - y0))[:, None], ((xs - x0) / (x1 - x0))[None]
    beside = (xs[None] >= left[0] + down * (left[1] - left[0])) & (xs[None] < right[0] + down * (right[1] - right[0]))
    below = ys[:, None] >= top[0] + across * (top[1] - top[0])
    return beside & below & (ys[:, None] < foot[0] + across * (foot[1] - foot[0]))


def _side(grey: np.ndarray, box: FloatArray, side: int) -> FloatArray:
    """Where side 0 left, 1 top, 2 right, 3 foot lies at its two ends: x at the box's top and foot, or y at its left and
    right."""
    lies = side % 2 == 1
    picture = grey.T if lies else grey
    x0, y0, x1, y1 = (box[[1, 0, 3, 2]] if lies else box).tolist()
    start, inwards = (x0, x1 - x0) if side < 2 else (x1, x0 - x1)
    along = np.linspace(0, 1, STEPS + 1)[:-1] + 0.5 / STEPS
    rows = np.clip(np.floor(y0 + along * (y1 - y0)).astype(int), 0, picture.shape[0] - 1)
    strength = _edges(picture, rows)

    def best(ends: FloatArray) -> tuple[FloatArray, float]:
        """Of ends (Nx2, as shares of the box inwards) those whose line is best, and the share of it that is an edge."""
        columns = np.round(start + inwards * (ends[:, :1] * (1 - along) + ends[:, 1:] * along)).astype(int)
        inside = (columns >= 0) & (columns < strength.shape[1])
        found = strength[np.arange(STEPS), np.clip(columns, 0, strength.shape[1] - 1)]
        shares = np.where(inside, found, 0).mean(1)
        slant = np.abs(ends[:, 0] - ends[:, 1]) / INWARDS
        chosen = int(np.argmax(shares * (1 - SLANT_COST * slant) - DISTANCE_COST * np.abs(ends).max(1)))
        return ends[chosen], float(shares[chosen])

    offsets = np.linspace(-OUTWARDS, INWARDS, STEPS)
    pairs = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 2)
    ends, _ = best(pairs[np.abs(pairs).min(1) <= STRAIGHT])
    around = np.linspace(-1, 1, FINE_STEPS) * (offsets[1] - offsets[0])
    ends, share = best(ends + np.stack(np.meshgrid(around, around, indexing="ij"), axis=-1).reshape(-1, 2))
    return start + inwards * (ends if share >= LEAST_SHARE else np.zeros(2))


def _edges(picture: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How clearly the borders between columns of these rows are edges, 0 to 1: column k lies left of pixel k."""
    low = np.maximum(rows - 1, 0)
    high = np.minimum(rows + 1, picture.shape[0] - 1)
    band = (picture[low].astype(np.float32) + picture[rows] + picture[high]) / 3
    steps = np.zeros((len(rows), picture.shape[1] + 1), np.float32)
    steps[:, 1:-1] = np.abs(band[:, 1:] - band[:, :-1])
    # Where a picture bleeds off the page, the page's rim is its side.
    steps[:, [0, -1]] = CLEAR
    # An edge that is one pixel off the line counts as well: a border is seldom drawn with a ruler.
    wide = steps.copy()
    wide[:, 1:] = np.maximum(wide[:, 1:], 0.9 * steps[:, :-1])
    wide[:, :-1] = np.maximum(wide[:, :-1], 0.9 * steps[:, 1:])
    return np.minimum(wide / CLEAR, 1.0)

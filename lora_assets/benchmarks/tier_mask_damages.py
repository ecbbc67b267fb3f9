"""Damages of a crop's mask: parts lost, background, specks and neighbours added. Each writes the strength that it made.

Damages of the picture do not belong here (tier_picture_damages).
"""

from __future__ import annotations

import cv2
import numpy as np

from lora_assets.benchmarks.tier_bases import RIM, Base, Damaged, bounds_of, pick
from lora_assets.scenes.truth import Box
from lora_assets.vision.masks import mask_bounds

_LEAST_HEAD = 0.15


def leave_hardly_any(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Only a square of 1 to 15 pixels is left of the mask."""
    side = int(pick(rng, 1, 3, 8, 15))
    ys, xs = np.nonzero(base.figure)
    at = int(rng.integers(len(ys)))
    left = np.zeros_like(crop.mask)
    left[ys[at] : ys[at] + side, xs[at] : xs[at] + side] = True
    crop.mask = left
    crop.strengths["empty"] = 1.0
    return True


def take_neighbour(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """The segmenter took a neighbour too, or a part of it."""
    near = [each for each in base.others if each.mask.sum() >= 0.1 * base.figure.sum()]
    if not near:
        return False
    other = near[int(rng.integers(len(near)))]
    added = other.mask.copy()
    if rng.random() < 0.35 and mask_bounds(other.mask) is not None:
        ys = np.flatnonzero(other.mask.any(axis=1))
        added[: int(np.quantile(ys, rng.uniform(0.3, 0.8)))] = False
    crop.mask = crop.mask | added
    head = other.head_box
    if head is not None:
        part = np.s_[int(head[1]) : int(head[3]), int(head[0]) : int(head[2])]
        seen = int(other.mask[part].sum())
        # A tuft of hair behind the figure is no second head.
        if seen >= _LEAST_HEAD * (base.head[2] - base.head[0]) * (base.head[3] - base.head[1]):
            crop.strengths["several"] = float((crop.mask & other.mask)[part].sum() / max(1, seen))
    crop.strengths["neighbour"] = float((crop.mask & other.mask).sum() / crop.mask.sum())
    crop.box = _joined(crop.box, other.box) if rng.random() < 0.5 else crop.box
    crop.others_in = rng.random() < 0.85
    return True


def _joined(first: Box, second: Box) -> Box:
    return min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3])


def _lost(crop: Damaged, base: Base, name: str) -> None:
    crop.strengths[name] = 1.0 - float((crop.mask & base.figure).sum() / base.figure.sum())


def cut_below(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """The mask ends though the body goes on; the detector's box with it, or not."""
    ys = np.nonzero(base.figure)[0]
    at = int(np.quantile(ys, 1.0 - pick(rng, 0.03, 0.1, 0.25, 0.35, 0.5, 0.65)))
    if at < base.head[3]:
        return False
    crop.mask = crop.mask.copy()
    crop.mask[at:] = False
    _lost(crop, base, "cut")
    if rng.random() < 0.5:
        crop.box = (crop.box[0], crop.box[1], crop.box[2], min(crop.box[3], float(at)))
    return bool(crop.mask.any())


def leave_out_head(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """The mask begins below the head, or in it; the box with it, or not."""
    share = pick(rng, 0.05, 0.7, 1.0)
    at = int(base.head[1] + share * (base.head[3] - base.head[1]))
    before = base.figure[int(base.head[1]) : int(base.head[3])].sum()
    crop.mask = crop.mask.copy()
    crop.mask[:at] = False
    kept = (crop.mask & base.figure)[int(base.head[1]) : int(base.head[3])].sum()
    crop.strengths["headless"] = 1.0 - float(kept / max(1, before))
    # Raised arms end with it.
    _lost(crop, base, "cut")
    if rng.random() < 0.4:
        crop.box = (crop.box[0], float(at), crop.box[2], crop.box[3])
    return bool(crop.mask.sum() > 1000)


def leave_background(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Pieces of what lies behind the figure are left along its outline."""
    wanted = pick(rng, 0.02, 0.14, 0.2, 0.3, 0.5) * float(base.figure.sum())
    foreign = np.zeros_like(base.figure)
    for other in base.others:
        foreign |= other.mask
    rim = cv2.dilate(base.figure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ys, xs = np.nonzero(rim & ~base.figure)
    if not len(ys):
        return False
    levels = crop.mask.astype(np.uint8)
    beyond = ~(cv2.dilate(base.figure.astype(np.uint8), np.ones((2 * RIM + 1,) * 2, np.uint8)) > 0) & ~foreign
    for _ in range(12):
        at = int(rng.integers(len(ys)))
        radius = max(8, round(np.sqrt(wanted / 2.5) * rng.uniform(0.5, 1.0)))
        cv2.ellipse(levels, (int(xs[at]), int(ys[at])), (radius, int(radius * rng.uniform(0.5, 1.0))), 0, 0, 360, 1, -1)
        levels[foreign & ~base.figure] = 0
        if ((levels > 0) & beyond).sum() >= wanted:
            break
    crop.mask = levels > 0
    crop.strengths["background"] = float((crop.mask & beyond).sum() / crop.mask.sum())
    crop.box = bounds_of(crop.mask) if rng.random() < 0.5 else crop.box
    return True


def cut_holes(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """One to four round holes inside the figure."""
    wanted = pick(rng, 0.007, 0.08, 0.15, 0.25) * float(base.figure.sum())
    inner = cv2.distanceTransform(base.figure.astype(np.uint8), cv2.DIST_L2, 3)
    count = int(rng.integers(1, 5))
    radius = max(2.0, float(np.sqrt(wanted / count / np.pi)))
    ys, xs = np.nonzero(inner > radius + 3)
    if not len(ys):
        return False
    levels = crop.mask.astype(np.uint8)
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        cv2.circle(levels, (int(xs[at]), int(ys[at])), round(radius), 0, -1)
    lost = float(((levels == 0) & base.figure & crop.mask).sum() / base.figure.sum())
    crop.mask = levels > 0
    crop.strengths["holes"] = lost
    return True


def add_specks(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Two to eight stray discs beside the figure."""
    wanted = pick(rng, 0.006, 0.08, 0.15, 0.3) * float(base.figure.sum())
    near = cv2.dilate(crop.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for other in base.others:
        near |= other.mask
    x1, y1, x2, y2 = (int(value) for value in base.head)
    free = ~near
    pad = 40
    bounds = bounds_of(base.figure)
    free[:, : max(0, int(bounds[0]) - pad)] = False
    free[:, int(bounds[2]) + pad :] = False
    ys, xs = np.nonzero(free)
    if len(ys) < 3 * wanted or (x2 - x1) * (y2 - y1) <= 0:
        return False
    levels = np.zeros(crop.mask.shape, np.uint8)
    count = int(rng.integers(2, 9))
    for _ in range(4 * count):
        at = int(rng.integers(len(ys)))
        cv2.circle(levels, (int(xs[at]), int(ys[at])), max(1, round(np.sqrt(wanted / count / np.pi))), 1, -1)
        levels[~free] = 0
        if levels.sum() >= wanted:
            break
    crop.mask = crop.mask | (levels > 0)
    crop.strengths["specks"] = float(levels.sum() / crop.mask.sum())
    return True


def fill_box(crop: Damaged, base: Base, _rng: np.random.Generator) -> bool:
    """The mask is the filled box of the figure."""
    x1, y1, x2, y2 = (int(value) for value in bounds_of(base.figure))
    mask = np.zeros_like(crop.mask)
    mask[y1:y2, x1:x2] = True
    if base.figure.sum() > 0.75 * mask.sum() or any((other.mask & mask).any() for other in base.others):
        return False
    crop.mask = mask
    crop.strengths["boxed"] = 1.0
    return True


def lose_thin_ends(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Hair tips, arms and fingers are lost: the mask is opened."""
    side = int(pick(rng, 5, 15, 25, 41, 61))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    padded = cv2.copyMakeBorder(crop.mask.astype(np.uint8), side, side, side, side, cv2.BORDER_REPLICATE)
    opened = np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, ellipse))[side:-side, side:-side] > 0
    if not opened.any():
        return False
    crop.mask = opened & crop.mask
    _lost(crop, base, "thin_ends")
    return crop.strengths["thin_ends"] < 0.4

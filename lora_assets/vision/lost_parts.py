"""What of a figure its mask left out: pixels outside the mask that have the figure's colours and not the background's.

The mirror image of `mask_facts.background_left`. Whether a value is bad does not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import CutOut, once_per_cutout
from lora_assets.vision.mask_facts import colour_shares
from lora_assets.vision.masks import BoolMask

_WORK_SIDE = 160
_PAD_SHARE = 0.2
_MORE_LIKE_FIGURE = 4.0


@dataclass(frozen=True, slots=True)
class LostParts:
    """Shares (of the mask's area, 0 to 1) of what was lost inside it, in holes, and outside, at its ends."""

    holes: float
    ends: float


@once_per_cutout
def find_lost_parts(cut: CutOut) -> LostParts | None:
    """The lost parts of a cut-out, from its own frame; None for a mask without pixels or without anything around it.

    Colours are compared in 16x16x16 bins: those of the mask near its outline, and those outside, more of which count
    the further out they are. A pixel outside counts as lost when its colour is four times as frequent in the mask.
    """
    if not cut.area:
        return None
    width, height = cut.frame_size
    x, y, w, h = cut.window
    pad = max(4, round(_PAD_SHARE * max(w, h)))
    left, top, right, bottom = max(0, x - pad), max(0, y - pad), min(width, x + w + pad), min(height, y + h + pad)
    window = (left, top, right - left, bottom - top)
    taken = np.zeros((window[3], window[2]), np.bool_)
    for other in cut.others:
        taken |= other.covers(window)
    colour, mask, taken = _small(cut.image[top:bottom, left:right], cut.subject.covers(window), taken)
    outside = ~mask & ~taken
    levels = mask.astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    rim = mask & (cv2.erode(levels, square, iterations=max(3, _WORK_SIDE // 12)) == 0)
    rim &= cv2.erode(levels, square) > 0
    if np.count_nonzero(rim) < 20 or np.count_nonzero(outside) < 40:
        return None
    enclosed = _enclosed(levels)
    away = np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    bins = (colour >> np.uint8(4)).astype(np.int32) @ np.array([256, 16, 1], np.int32)
    open_air = outside & ~enclosed
    own = colour_shares(bins[rim], None)
    around = colour_shares(bins[open_air], away[open_air]) if open_air.any() else np.zeros(4096)
    alike = outside & ((own > _MORE_LIKE_FIGURE * around) & (own > 1e-4))[bins]
    alike = np.asarray(cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, square)) > 0
    area = int(np.count_nonzero(mask))
    ends = _next_to(alike & ~enclosed, mask)
    return LostParts(
        min(1.0, int(np.count_nonzero(alike & enclosed)) / area), min(1.0, int(np.count_nonzero(ends)) / area)
    )


def _small(
    image: npt.NDArray[np.uint8], mask: BoolMask, taken: BoolMask
) -> tuple[npt.NDArray[np.uint8], BoolMask, BoolMask]:
    scale = _WORK_SIDE / max(mask.shape)
    if scale >= 1.0:
        return image, mask, taken
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    masks = [cv2.resize(each.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for each in (mask, taken)]
    return small, masks[0], masks[1]


def _enclosed(levels: npt.NDArray[np.uint8]) -> BoolMask:
    """The gaps that the mask encloses."""
    outside = cv2.copyMakeBorder(1 - levels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return ((labels != labels[0, 0]) & (outside > 0))[1:-1, 1:-1]


def _next_to(pixels: BoolMask, mask: BoolMask) -> BoolMask:
    """The pieces of `pixels` that lie within two pixels of the mask."""
    _, labels = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
    reach = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return pixels & np.isin(labels, np.unique(labels[reach & pixels]))

"""Pieces of a picture on the wrong side of a mask's outline: background left in it, parts of the figure left out.

Two signs name a pixel: its colour, frequent on the other side and rare on its own, and its flat zone (pixels that hang
together without an edge between them), which lies mostly on the other side. Zones are the plain form of what is known
as superpixels; drawn pictures are flat between their lines. What is looked for with it does not belong here
(mask_facts, lost_parts).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, Window

_WORK_SIDE = 176
_LEAST_SPAN, _FULL_SPAN = 160.0, 200.0
_EDGE = 0.1
_LEAST_ZONE, _SAME_COLOUR = 4, 30.0
_OPEN, _LEAST_CONTACT = 0.25, 0.25
_SQUARE, _TWO, _FIVE = (np.ones((side, side), np.uint8) for side in (3, 2, 5))


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """A mask with what lies around it, at most 176 pixels high and wide: picture (its contrast stretched where it is
    faded), mask, the masks of others without it, and the scale (pixels here / pixels of the frame)."""

    image: RgbImage
    mask: BoolMask
    others: BoolMask
    scale: float

    @property
    def outside(self) -> BoolMask:
        """What is neither the mask's nor another's."""
        return ~self.mask & ~self.others

    def colour_bins(self) -> npt.NDArray[np.int32]:
        """Which of 16x16x16 colours each pixel has."""
        return (self.image >> np.uint8(4)).astype(np.int32) @ np.array([256, 16, 1], np.int32)

    def ring(self, share: float) -> BoolMask:
        """The mask and what lies within `share` of the window's longer side around it, two pixels at least."""
        reach = max(2, round(share * max(self.mask.shape)))
        return cv2.dilate(self.mask.astype(np.uint8), _SQUARE, iterations=reach) > 0

    def flat(self, near: BoolMask) -> BoolMask:
        """Where no edge is: less than a tenth of the contrast of `near` between neighbours, in every channel."""
        steps = cv2.subtract(cv2.dilate(self.image, _TWO), cv2.erode(self.image, _TWO))
        red, green, blue = cv2.split(steps)
        grey = cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)[near]
        low, high = np.percentile(grey, (2, 98)) if grey.size else (0.0, 0.0)
        return cv2.max(cv2.max(red, green), blue) < max(5.0, _EDGE * float(high - low))


def surroundings(image: RgbImage, mask: BoolMask, others: BoolMask) -> Surroundings:
    """The window at work size; image HxWx3, mask and others HxW of one window of the frame."""
    scale = min(1.0, _WORK_SIDE / max(mask.shape))
    if scale < 1.0:
        size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask, others = (
            cv2.resize(each.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            for each in (np.ascontiguousarray(mask), np.ascontiguousarray(others))
        )
    low, high = np.percentile(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), (1, 99))
    if high - low < _LEAST_SPAN:
        gain = _FULL_SPAN / max(12.0, float(high - low))
        image = np.clip((image.astype(np.float32) - np.float32(low)) * np.float32(gain), 0, 255).astype(np.uint8)
    return Surroundings(np.ascontiguousarray(image), mask, others & ~mask, scale)


def around(window: Window, share: float, width: int, height: int) -> Window:
    """A window grown by `share` of its longer side on each side, six pixels at least, inside the frame."""
    x, y, w, h = window
    pad = max(6, round(share * max(w, h)))
    left, top = max(0, x - pad), max(0, y - pad)
    return left, top, min(width, x + w + pad) - left, min(height, y + h + pad) - top


def enclosed_gaps(mask: BoolMask) -> BoolMask:
    """The gaps that a mask encloses."""
    outside = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return ((labels != labels[0, 0]) & (outside > 0))[1:-1, 1:-1]


def zones_of_other_side(
    seen: Surroundings, flat: BoolMask, here: BoolMask, most: float, largest: float = np.inf
) -> BoolMask:
    """The pixels of `here` in flat zones that lie elsewhere: at most `most` times as many pixels here as there, at
    least four and at most `largest`, of the same mean colour (30 levels) here and there."""
    count, found = cv2.connectedComponents((flat & ~seen.others).astype(np.uint8), connectivity=4)
    labels = np.asarray(found, np.int32)
    inside = np.bincount(labels[here], minlength=count).astype(np.float64)
    outside = np.bincount(labels.reshape(-1), minlength=count) - inside
    alike = (inside >= _LEAST_ZONE) & (inside <= most * outside) & (inside <= largest)
    alike[0] = False
    for channel in cv2.split(seen.image):
        level = channel.astype(np.float64)
        total = np.bincount(labels.reshape(-1), level.reshape(-1), count)
        own = np.bincount(labels[here], level[here], count)
        alike &= np.abs(own / np.maximum(inside, 1.0) - (total - own) / np.maximum(outside, 1.0)) <= _SAME_COLOUR
    return here & alike[labels]


def open_pieces(
    found: BoolMask, here: BoolMask, there: BoolMask, flat: BoolMask, thinnest: int, narrow: bool = False
) -> BoolMask:
    """The pieces of `found` (in `here`), thicker than `thinnest` pixels, that touch `there` (within two pixels) without
    an edge nearby on a quarter of the contact: where a line is drawn between the two, nothing went over it.

    The contact of a `narrow` piece (a limb, between its own two lines) has edges nearby; there it is enough that it has
    none of its own.
    """
    whole = _there_and_back(found.astype(np.uint8), cv2.MORPH_DILATE, cv2.MORPH_ERODE, 2)
    whole[~here] = 0
    whole = _there_and_back(whole, cv2.MORPH_ERODE, cv2.MORPH_DILATE, thinnest)
    if not whole.any():
        return whole > 0
    count, pieces = cv2.connectedComponents(whole, connectivity=8)
    labels = np.asarray(pieces, np.int32)
    touching = (whole > 0) & (cv2.dilate(there.astype(np.uint8), _FIVE) > 0)
    contact = np.bincount(labels[touching], minlength=count)
    calm = flat if narrow else cv2.erode(flat.astype(np.uint8), _SQUARE) > 0
    is_open = np.bincount(labels[touching & calm], minlength=count) >= _OPEN * np.maximum(contact, 1)
    sizes = np.bincount(labels.reshape(-1), minlength=count)
    keep = is_open & (contact >= np.maximum(1.0, 0.0 if narrow else _LEAST_CONTACT * np.sqrt(sizes)))
    keep[0] = False
    return keep[labels]


def _there_and_back(levels: npt.NDArray[np.uint8], first: int, second: int, side: int) -> npt.NDArray[np.uint8]:
    """A closing (grow, shrink) or an opening (shrink, grow) with a square. OpenCV's own moves everything by a pixel
    where the side is even, as it anchors both steps alike."""
    square = np.ones((side, side), np.uint8)
    anchor = side // 2
    back = side - 1 - anchor
    gone = cv2.morphologyEx(levels, first, square, anchor=(anchor, anchor))
    return np.asarray(cv2.morphologyEx(gone, second, square, anchor=(back, back)), np.uint8)

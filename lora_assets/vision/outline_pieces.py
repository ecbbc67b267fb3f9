"""Pieces of a picture on the wrong side of a mask's outline: background left in it, parts of the figure left out.

Two signs name a pixel: its colour, frequent on the other side and rare on its own, and its flat zone (pixels that hang
together without an edge between them), which lies mostly on the other side. Zones are the plain form of what is known
as superpixels; drawn pictures are flat between their lines. What is looked for with it does not belong here
(mask_facts, lost_parts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, Window
from lora_assets.vision.piece_evidence import Evidence

_WORK_SIDE = 176
_LEAST_SPAN, _FULL_SPAN = 160.0, 200.0
_EDGE = 0.1
_LEAST_ZONE, _SAME_COLOUR, _LEAST_GROUND = 4, 30.0, 20
# The mean step of a ground of which nothing can be seen.
_BUSY = 60.0
_SPECK = 0.1
# Textures are compared as mean steps, to which this is added: noise of a level or two is no texture.
_NO_TEXTURE = 3.0
# Lost parts: how far the path across the cut goes into the mask and beyond it, and what is a line on it.
_PATH_IN, _PATH_OUT, _LINE = 3, 2, 0.2
_SQUARE, _TWO, _FIVE = (np.ones((side, side), np.uint8) for side in (3, 2, 5))


Levels = npt.NDArray[np.uint8]


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

    def steps(self) -> Levels:
        """The largest step (0..255) of any channel among each pixel and its three next ones (up, left)."""
        red, green, blue = cv2.split(cv2.subtract(cv2.dilate(self.image, _TWO), cv2.erode(self.image, _TWO)))
        return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)

    def contrast(self, part: BoolMask) -> float:
        """The span of the luminance of the middle 96 % of a part's pixels, 0..255; 0 without pixels."""
        return _span(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)[part], 0.02)[1]

    def flat(self, near: BoolMask, steps: Levels) -> BoolMask:
        """Where no edge is: steps of less than a tenth of the contrast of `near`."""
        return steps < max(5.0, _EDGE * self.contrast(near))


def _span(levels: npt.NDArray[Any], beyond: float) -> tuple[float, float]:
    """The level 0..255 under which a share `beyond` of the pixels lies, and how far it is to the one over which as many
    lie; zeros without pixels."""
    counts = np.cumsum(np.bincount(levels.reshape(-1), minlength=256))
    low, high = np.searchsorted(counts, (beyond * counts[-1], (1.0 - beyond) * counts[-1]))
    return float(low), float(high - low)


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
    low, span = _span(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), 0.01)
    if span < _LEAST_SPAN:
        gain = _FULL_SPAN / max(12.0, span)
        image = np.clip((image.astype(np.float32) - np.float32(low)) * np.float32(gain), 0, 255).astype(np.uint8)
    return Surroundings(np.ascontiguousarray(image), mask, others & ~mask, scale)


def around(window: Window, share: float, width: int, height: int) -> Window:
    """A window grown by `share` of its longer side on each side, six pixels at least, inside the frame."""
    x, y, w, h = window
    pad = max(6, round(share * max(w, h)))
    left, top = max(0, x - pad), max(0, y - pad)
    return left, top, min(width, x + w + pad) - left, min(height, y + h + pad) - top


def closed_by_frame(mask: BoolMask, window: Window, width: int, height: int) -> BoolMask:
    """The mask of a window of the frame with the frame's edge as part of it from its first to its last pixel there: a
    hole that the frame cuts is no bay."""
    closed = mask.copy()
    left, top, wide, tall = window
    edges = (
        (left <= 0, closed[:, 0]),
        (top <= 0, closed[0]),
        (left + wide >= width, closed[:, -1]),
        (top + tall >= height, closed[-1]),
    )
    for reached, edge in edges:
        on = np.flatnonzero(edge)
        if reached and len(on):
            edge[on[0] : on[-1] + 1] = True
    return closed


def without_specks(mask: BoolMask) -> BoolMask:
    """The mask without its pieces under a tenth of the largest."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return mask if len(areas) <= 2 else (areas >= _SPECK * areas.max())[labels] & mask


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
    if not alike.any():
        return np.zeros_like(here)
    # Only the few zones in question are weighed: all of them would take most of the time.
    places = np.flatnonzero(alike[labels])
    whose, inner = labels.reshape(-1)[places], here.reshape(-1)[places]
    for channel in cv2.split(seen.image):
        level = channel.reshape(-1)[places].astype(np.float64)
        total = np.bincount(whose, level, count)
        own = np.bincount(whose[inner], level[inner], count)
        alike &= np.abs(own / np.maximum(inside, 1.0) - (total - own) / np.maximum(outside, 1.0)) <= _SAME_COLOUR
    return here & alike[labels]


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Numbered pieces of a picture: `labels` (0: none) at work size, and a row of signs for each number from 1 on."""

    labels: npt.NDArray[np.int32]
    signs: npt.NDArray[np.float64]

    def likely(self, evidence: Evidence, least: float) -> BoolMask:
        """The pixels of the pieces of which the evidence is `least` (0..1) or more."""
        return np.concatenate(([False], evidence.probability(self.signs) >= least))[self.labels]


def ground_candidates(
    seen: Surroundings,
    found: BoolMask,
    air: BoolMask,
    near: BoolMask,
    steps: Levels,
    flat: BoolMask,
    rim: int,
    likeness: npt.NDArray[np.float64],
) -> tuple[Pieces | None, float]:
    """The pieces of `found` in the mask, thicker than `rim` pixels, with the signs (`piece_evidence.GROUND_SIGNS`) that
    tell whether they are open `air` that the mask took in; and the share 0..1 of its outline on calm ground.

    A right outline has a drawn edge within `rim` pixels all along (segmenters and presets draw it that far out); where
    the air goes on in the mask there is none, or none but the ground's own (bricks, stripes). Signs: logarithm of the
    piece's share of the mask; length of its contact with the air over the root of its pixels; share of the contact
    further than the rim from any edge, and that length over the root; mean of `likeness` (per pixel, how much more
    frequent its colour is outside, as a logarithm); the strongest mean step at one depth beside the contact (a drawn
    line runs along it) over the ground's mean step; `loose`.
    Straight sides of the mask are no contact: there it may be cut (body_checks). `near` is where the ground is looked
    at, `flat` where no edge is.
    """
    mask = seen.mask
    side = 2 * max(1, rim - 1) + 1
    square = np.ones((side, side), np.uint8)
    calm = cv2.erode(flat.view(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
    outline = mask & (cv2.dilate(air.view(np.uint8), _SQUARE) > 0)
    loose = int(np.count_nonzero(outline & calm)) / max(1, int(np.count_nonzero(outline)))
    labels = _pieces(found, mask, rim)
    if labels is None:
        return None, loose
    touching = (labels > 0) & (cv2.dilate(air.view(np.uint8), _FIVE) > 0)
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    for end in (np.s_[y : y + 2], np.s_[max(0, y + height - 2) : y + height]):
        touching[end] = False
    for end in (np.s_[x : x + 2], np.s_[max(0, x + width - 2) : x + width]):
        touching[:, end] = False
    sizes = np.maximum(np.bincount(labels.reshape(-1)), 1)
    count, roots = len(sizes), np.sqrt(sizes)
    contact = np.bincount(labels[touching], minlength=count)
    without_edge = np.bincount(labels[touching & calm], minlength=count)
    ground = near & air & (cv2.dilate(mask.view(np.uint8), square) == 0)
    plain = float(steps[ground].mean()) if np.count_nonzero(ground) >= _LEAST_GROUND else _BUSY
    signs = (
        np.log(sizes / np.count_nonzero(mask)),
        np.minimum(contact / roots, 6.0),
        without_edge / np.maximum(contact, 1),
        np.minimum(without_edge / roots, 6.0),
        _mean_of(likeness, labels, sizes),
        np.minimum(_strongest_line(mask, labels, touching, steps, rim) / max(plain, 3.0), 12.0),
        np.full(count, loose),
    )
    return Pieces(labels, np.column_stack(signs)[1:]), loose


def _texture(
    steps: Levels, labels: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64], plain: float
) -> npt.NDArray[np.float64]:
    """The logarithm of each piece's mean step over the mean step `plain`."""
    return np.log((_mean_of(steps, labels, sizes) + _NO_TEXTURE) / (plain + _NO_TEXTURE))


def _mean_of(
    values: npt.NDArray[Any], labels: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    return np.bincount(labels.reshape(-1), values.reshape(-1), len(sizes)) / sizes


def _strongest_line(
    mask: BoolMask, labels: npt.NDArray[np.int32], touching: BoolMask, steps: Levels, rim: int
) -> npt.NDArray[np.float64]:
    """For each piece the largest of the mean steps at one distance from the mask's outline, from two pixels outside to
    `rim` pixels inside, beside its contact."""
    count = int(labels.max()) + 1
    square = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    places = np.flatnonzero(cv2.dilate(touching.view(np.uint8), square) > 0)
    whose = np.asarray(cv2.dilate(labels.astype(np.uint16), square), np.int64).reshape(-1)[places]
    inside = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3).reshape(-1)[places]
    outside = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 3).reshape(-1)[places]
    at = np.where(inside > 0, np.ceil(inside), 1.0 - np.ceil(outside)).astype(np.int64) + 1
    kept = (at >= 0) & (at < rim + 3)
    place = whose[kept] * (rim + 3) + at[kept]
    pixels = np.bincount(place, minlength=count * (rim + 3))
    total = np.bincount(place, steps.reshape(-1)[places][kept].astype(np.float64), count * (rim + 3))
    means = np.where(pixels >= 3, total / np.maximum(pixels, 1), 0.0)
    return means.reshape(count, rim + 3).max(axis=1)


def lost_candidates(
    seen: Surroundings,
    found: BoolMask,
    here: BoolMask,
    steps: Levels,
    thinnest: int,
    likeness: npt.NDArray[np.float64],
    heads: tuple[BoolMask, BoolMask],
) -> Pieces | None:
    """The pieces of `found` in `here` (outside the mask) that touch the mask and are thicker than `thinnest` pixels,
    with the signs (`piece_evidence.LOST_SIGNS`) that tell whether the mask's outline cuts them off the figure.

    Signs: logarithm of the piece's pixels over the mask's; share of its contact with the mask on which no step over a
    fifth of the figure's contrast lies straight across the outline (lines beside the way are allowed, as a limb lies
    between its own two), and that length over the root of its pixels; mean of `likeness` (per pixel, how much more
    frequent its colour is in the figure, as a logarithm); shares of its other border along a drawn line and at the
    window's edge; how far the colours across the contact differ, over the figure's contrast; that contrast's logarithm;
    logarithm of the piece's mean step over the figure's; shares of the piece in `heads`: the boxes of those that the
    mask holds, and of all others (what is left of a neighbour's is in the neighbour's mask; others were left out).
    """
    mask = seen.mask
    labels = _pieces(found, here, thinnest)
    if labels is None:
        return None
    touching = (labels > 0) & (cv2.dilate(mask.view(np.uint8), _FIVE) > 0)
    rows, columns = np.nonzero(touching)
    labels = _numbered_anew(labels, labels[rows, columns])
    if not len(rows):
        return None
    inside = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3)
    inside -= cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 3)
    inside = np.asarray(cv2.GaussianBlur(inside, (5, 5), 1.2), np.float32)
    height, width = mask.shape
    right, left = np.minimum(columns + 1, width - 1), np.maximum(columns - 1, 0)
    below, above = np.minimum(rows + 1, height - 1), np.maximum(rows - 1, 0)
    across, down = inside[rows, right] - inside[rows, left], inside[below, columns] - inside[above, columns]
    length = np.maximum(np.hypot(across, down), 1e-6)
    strongest = np.zeros(len(rows), np.uint8)
    y, x = rows, columns
    for step in range(-_PATH_OUT, _PATH_IN + 2):
        y = np.clip(np.rint(rows + step * down / length).astype(np.intp), 0, height - 1)
        x = np.clip(np.rint(columns + step * across / length).astype(np.intp), 0, width - 1)
        if step <= _PATH_IN:
            strongest = np.maximum(strongest, steps[y, x])
    contrast = max(1.0, seen.contrast(mask))
    line = max(5.0, _LINE * contrast)
    differ = np.abs(seen.image[rows, columns].astype(np.int16) - seen.image[y, x]).max(axis=1)
    sizes = np.maximum(np.bincount(labels.reshape(-1)), 1)
    count, roots = len(sizes), np.sqrt(sizes)
    whose = labels[rows, columns]
    contact, torn = (np.bincount(each, minlength=count) for each in (whose, whose[strongest < line]))
    pieces = (labels > 0).view(np.uint8)
    border = cv2.erode(pieces, _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=0) < pieces
    border &= ~touching
    at_window = border.copy()
    at_window[2:-2, 2:-2] = False
    lined = border & ~at_window & (cv2.dilate(steps, _FIVE) >= line)
    of_border, on_line, on_window = (np.bincount(labels[each], minlength=count) for each in (border, lined, at_window))
    signs = (
        np.log(sizes / np.count_nonzero(mask)),
        torn / np.maximum(contact, 1),
        np.minimum(torn / roots, 6.0),
        _mean_of(likeness, labels, sizes),
        on_line / np.maximum(of_border, 1),
        on_window / np.maximum(of_border, 1),
        np.bincount(whose, differ.astype(np.float64), count) / np.maximum(contact, 1) / contrast,
        np.full(count, np.log(contrast)),
        _texture(steps, labels, sizes, float(steps[mask].mean())),
        *(np.bincount(labels[head], minlength=count) / sizes for head in heads),
    )
    return Pieces(labels, np.column_stack(signs)[1:])


def _numbered_anew(labels: npt.NDArray[np.int32], kept: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The labels with those of `kept` numbered from 1 on, all others 0."""
    numbers = np.unique(kept)
    table = np.zeros(int(labels.max()) + 1, np.int32)
    table[numbers] = np.arange(1, len(numbers) + 1)
    return table[labels]


def _pieces(found: BoolMask, here: BoolMask, thinnest: int) -> npt.NDArray[np.int32] | None:
    """The numbered pieces of `found` that are thicker than `thinnest` pixels, gaps of a pixel closed; None without."""
    whole = _there_and_back(found.astype(np.uint8), cv2.MORPH_DILATE, cv2.MORPH_ERODE, 2)
    whole[~here] = 0
    whole = _there_and_back(whole, cv2.MORPH_ERODE, cv2.MORPH_DILATE, thinnest)
    return np.asarray(cv2.connectedComponents(whole, connectivity=8)[1], np.int32) if whole.any() else None


def _there_and_back(levels: npt.NDArray[np.uint8], first: int, second: int, side: int) -> npt.NDArray[np.uint8]:
    """A closing (grow, shrink) or an opening (shrink, grow) with a square. OpenCV's own moves everything by a pixel
    where the side is even, as it anchors both steps alike."""
    square = np.ones((side, side), np.uint8)
    anchor = side // 2
    back = side - 1 - anchor
    gone = cv2.morphologyEx(levels, first, square, anchor=(anchor, anchor))
    return np.asarray(cv2.morphologyEx(gone, second, square, anchor=(back, back)), np.uint8)

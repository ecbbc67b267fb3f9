"""Masks as segmenters get them wrong, made from true ones: what the mask critic learns from.

Everything is drawn at random, so that no kind of damage has a shape of its own to be known by. Which pixels of a
damaged mask are wrong is told by `wrong_pixels`; how the critic sees them does not belong here (critic_look).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lora_assets.training.mask_shapes import (
    close_mask,
    colour_zone,
    grow_mask,
    half_plane,
    hull_of,
    joined_segments,
    open_mask,
    patch,
    picture_segments,
    shrink_mask,
)
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, mask_bounds

RIM, RIM_SHARE = 4, 0.012
"""A rim around the figure of so many pixels, or that share of its longer side if that is less, is no error."""
LOST_RIM_SHARE = 0.005
GOOD_SHARE = 0.4
"""How many masks are left as good ones are."""
SECOND_SHARE = 0.3
"""How many of the damaged ones are damaged once more."""
SEGMENTS_SIDE = 200
"""Pixels of the longer side of what is divided into segments."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A character in a part of a drawn frame: the picture HxWx3, its own pixels, those of the other characters, and
    those of the things around."""

    image: RgbImage
    figure: BoolMask
    others: tuple[BoolMask, ...]
    things: tuple[BoolMask, ...] = ()

    @property
    def longer(self) -> int:
        """The longer side of the figure's bounds."""
        bounds = mask_bounds(self.figure)
        return max(bounds[2:]) if bounds else 1


Damage = Callable[[np.random.Generator, BoolMask, Drawn], BoolMask]


def wrong_pixels(mask: BoolMask, figure: BoolMask, grown: int = 0) -> tuple[BoolMask, BoolMask]:
    """Which pixels are in a mask and not of the figure, and which are of the figure and not in the mask; thin rims
    along the outline are neither, nor is the rim of a mask that was `grown` by so many pixels on purpose."""
    bounds = mask_bounds(figure)
    longer = max(bounds[2:]) if bounds else 1
    rim = int(np.clip(round(RIM_SHARE * longer), 1, max(RIM, RIM * longer // 600))) + grown
    lost_rim = max(1, round(LOST_RIM_SHARE * longer))
    return _beyond_rim(mask & ~figure, figure, rim), _beyond_rim(figure & ~mask, mask, lost_rim)


def _beyond_rim(wrong: BoolMask, right: BoolMask, rim: int) -> BoolMask:
    core = wrong & ~grow_mask(right, rim)
    return wrong & grow_mask(core, rim + 1) if core.any() else core


def good_mask(rng: np.random.Generator, drawn: Drawn) -> BoolMask:
    """The figure as a good segmenter finds it: exact, smoothed, a little wider or narrower, its outline trembling."""
    figure, most = drawn.figure, max(1, min(RIM, round(0.015 * drawn.longer)))
    kind = int(rng.integers(6))
    if kind == 1:
        return cv2.medianBlur(figure.astype(np.uint8), 5) > 0
    if kind in (2, 3):
        grown = grow_mask(figure, int(rng.integers(1, most + 1)))
        return grown & ~_union(drawn.others, figure.shape) | figure if rng.random() < 0.7 else grown
    if kind == 4:
        return shrink_mask(figure, 1)
    if kind == 5:
        return _trembling(rng, figure, float(rng.uniform(0.5, min(3.0, most))))
    return figure


def damaged_mask(rng: np.random.Generator, drawn: Drawn, found: BoolMask | None = None) -> BoolMask:
    """A mask of the character, good or damaged in one or two ways; `found` is what a segmenter answered, which is taken
    as it is or damaged further. Never empty."""
    mask = good_mask(rng, drawn) if found is None or not found.any() else found
    if rng.random() < (GOOD_SHARE if found is None else 0.6):
        return mask if mask.any() else drawn.figure
    for _ in range(2 if rng.random() < SECOND_SHARE else 1):
        names = list(DAMAGES)
        shares = np.array([share for _, share in DAMAGES.values()])
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        after = DAMAGES[name][0](rng, mask, drawn)
        # A few pixels of a figure are no mask that anybody would look at.
        if np.count_nonzero(after & drawn.figure) >= 0.15 * np.count_nonzero(drawn.figure):
            mask = after
    return mask if mask.any() else drawn.figure


# --- added -----------------------------------------------------------------------------------------------------------


def add_patches(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One to eight patches of what lies around, grown from places along the outline."""
    wanted = _amount(rng) * np.count_nonzero(drawn.figure)
    ys, xs = np.nonzero(grow_mask(mask, 2) & ~mask)
    if not len(ys):
        return mask
    count = int(rng.integers(1, 9))
    spared = _union(drawn.others, mask.shape) if rng.random() < 0.6 else np.zeros_like(mask)
    after = mask.copy()
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        after |= patch(rng, drawn.image, int(xs[at]), int(ys[at]), wanted / count) & ~spared
    return after


def add_specks(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One to eight patches beside the figure."""
    wanted = _amount(rng) * np.count_nonzero(drawn.figure)
    ys, xs = np.nonzero(~grow_mask(mask, 6))
    if not len(ys):
        return mask
    count = int(rng.integers(1, 9))
    after = mask.copy()
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        after |= patch(rng, drawn.image, int(xs[at]), int(ys[at]), wanted / count)
    return after


def add_other(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """Another character, or what one side of it or a patch of it holds."""
    seen = [other for other in drawn.others if np.count_nonzero(other) > 40]
    if not seen:
        return add_patches(rng, mask, drawn)
    other = seen[int(rng.integers(len(seen)))]
    part = rng.random()
    if part < 0.35:
        other = other & half_plane(rng, other, float(rng.uniform(0.2, 0.8)))
    elif part < 0.65:
        ys, xs = np.nonzero(other & grow_mask(mask, 12))
        if len(ys):
            at = int(rng.integers(len(ys)))
            wanted = _amount(rng) * np.count_nonzero(drawn.figure)
            other = other & patch(rng, drawn.image, int(xs[at]), int(ys[at]), wanted)
    return mask | other


def add_around(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """The mask closed, or filled to its hull, an ellipse or its box, all around or on one side; the others spared or
    not."""
    x, y, w, h = mask_bounds(mask) or (0, 0, 1, 1)
    kind = int(rng.integers(5))
    after = mask.copy()
    if kind < 2:
        reach = max(2, round(rng.uniform(0.03, 0.2) * drawn.longer))
        after = close_mask(mask, reach)
    elif kind == 2:
        after = hull_of(mask)
    elif kind == 3:
        levels = mask.astype(np.uint8)
        cv2.ellipse(levels, (x + w // 2, y + h // 2), (w // 2, h // 2), 0, 0, 360, 1, -1)
        after = levels > 0
    else:
        after[y : y + h, x : x + w] = True
    if rng.random() < 0.35:
        after = mask | (after & half_plane(rng, after, float(rng.uniform(0.2, 0.8))))
    return after & ~_union(drawn.others, mask.shape) | mask if rng.random() < 0.6 else after


def add_thing(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One or two things or animals near the figure, or one side of them."""
    near = grow_mask(mask, max(4, round(0.1 * drawn.longer)))
    seen = [thing for thing in drawn.things if np.count_nonzero(thing) > 40 and (thing & near).any()]
    if not seen:
        return add_segments(rng, mask, drawn)
    after = mask.copy()
    for at in rng.permutation(len(seen))[: int(rng.integers(1, 3))]:
        thing = good_mask(rng, Drawn(drawn.image, seen[int(at)], (drawn.figure, *drawn.others)))
        part = thing & half_plane(rng, thing, float(rng.uniform(0.2, 0.8))) if rng.random() < 0.4 else thing
        after |= part & ~drawn.figure
    return after


def add_segments(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One to three things beside the figure, or their parts, as their own outlines show them: a house, a tree, a lamp.

    Neighbouring segments of the picture (`picture_segments`) are joined, like colours first, from a place along the
    outline."""
    ys, xs = np.nonzero(grow_mask(mask, 3) & ~mask)
    if not len(ys):
        return mask
    # Finer than the look at it need not be, and it is many times as fast.
    scale = min(1.0, SEGMENTS_SIDE / max(mask.shape))
    to = tuple(max(4, round(side * scale)) for side in mask.shape[::-1])
    small = np.asarray(cv2.resize(drawn.image, to, interpolation=cv2.INTER_AREA), np.uint8)
    segments = picture_segments(rng, small, max(5.0, rng.uniform(0.04, 0.16) * drawn.longer * scale))
    free = ~(drawn.figure | mask)
    if rng.random() < 0.6:
        free &= ~_union(drawn.others, mask.shape)
    small_free = cv2.resize(free.astype(np.uint8), to, interpolation=cv2.INTER_AREA) > 0
    wanted, count = 2.0 * _amount(rng) * np.count_nonzero(drawn.figure) * scale**2, int(rng.integers(1, 4))
    joined = np.zeros(segments.shape, np.bool_)
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        first = segments[min(to[1] - 1, int(ys[at] * scale)), min(to[0] - 1, int(xs[at] * scale))]
        joined |= joined_segments(rng, small, segments, small_free, int(first), wanted / count)
    return mask | (cv2.resize(joined.astype(np.float32), mask.shape[::-1]) > 0.5) & free


def fill_bays(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """What lies between limbs, between arm and head, or within an outline, is taken for the figure: some of the gaps
    that closing the mask, or its hull, would fill."""
    if rng.random() < 0.7:
        filled = close_mask(mask, max(3, round(rng.uniform(0.03, 0.25) * drawn.longer)))
    else:
        filled = hull_of(mask)
    # Cut off from one another by what is hardly wider than a rim, they are bays of their own.
    gaps = open_mask(filled & ~mask, max(1, round(0.008 * drawn.longer)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(gaps.astype(np.uint8), connectivity=4)
    large = np.nonzero(stats[1:, cv2.CC_STAT_AREA] >= 0.004 * np.count_nonzero(drawn.figure))[0] + 1
    if not len(large):
        return mask
    taken = np.zeros(count, np.bool_)
    taken[rng.permutation(large)[: int(rng.integers(1, 4))]] = True
    chosen = grow_mask(taken[np.asarray(labels, np.int32)], 2) & filled
    return mask | (chosen & ~_union(drawn.others, mask.shape) if rng.random() < 0.6 else chosen)


# --- lost ------------------------------------------------------------------------------------------------------------


def cut_straight(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """The mask ends at a straight line: below most often, on another side, or slanting."""
    return mask & half_plane(rng, drawn.figure, float(rng.uniform(0.35, 0.98)), rng.random() < 0.55)


def lose_thin(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """Everything thin is lost, or some of it: the mask is opened."""
    reach = max(1, round(rng.uniform(0.004, 0.09) * drawn.longer))
    if rng.random() < 0.5:
        reach = int(rng.integers(2, 32))
    opened = open_mask(mask, reach) & mask
    if rng.random() < 0.5:
        return opened
    count, labels = cv2.connectedComponents((mask & ~opened).astype(np.uint8), connectivity=8)
    back = rng.random(count) < rng.uniform(0.1, 0.9)
    back[0] = False
    return opened | back[np.asarray(labels, np.int32)]


def make_holes(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One to five holes or bites: discs, polygons, or zones of one colour."""
    wanted = _amount(rng) * np.count_nonzero(drawn.figure)
    ys, xs = np.nonzero(mask)
    count = int(rng.integers(1, 6))
    after = mask.copy()
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        after &= ~patch(rng, drawn.image, int(xs[at]), int(ys[at]), wanted / count)
    return after


def lose_zones(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """One to three zones of one colour are lost whole: a skirt, a sleeve, a lock of hair, a shoe."""
    ys, xs = np.nonzero(mask & drawn.figure)
    if not len(ys):
        return mask
    lost = np.zeros_like(mask)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(ys)))
        lost |= colour_zone(rng, drawn.image, int(xs[at]), int(ys[at]), 10.0 * drawn.longer)
    # What lies between a lost zone and its outline goes with it.
    return mask & ~close_mask(lost & mask, 2)


def shrink(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """The mask is narrower than the figure all around, or on one side."""
    after = shrink_mask(mask, max(2, round(rng.uniform(0.008, 0.035) * drawn.longer)))
    return after | (mask & half_plane(rng, mask, float(rng.uniform(0.3, 0.7)))) if rng.random() < 0.5 else after


def shift(rng: np.random.Generator, mask: BoolMask, drawn: Drawn) -> BoolMask:
    """The mask lies beside where it should: too much on one side, too little on the other."""
    reach = rng.uniform(0.015, 0.06) * drawn.longer
    angle = rng.uniform(0, 2 * np.pi)
    move = np.array([[1, 0, reach * np.cos(angle)], [0, 1, reach * np.sin(angle)]], np.float32)
    return cv2.warpAffine(mask.astype(np.uint8), move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0


DAMAGES: dict[str, tuple[Damage, float]] = {
    "patches": (add_patches, 4.0),
    "specks": (add_specks, 1.0),
    "other": (add_other, 2.0),
    "around": (add_around, 1.5),
    "thing": (add_thing, 2.0),
    "segments": (add_segments, 2.5),
    "bays": (fill_bays, 1.5),
    "cut": (cut_straight, 2.5),
    "thin": (lose_thin, 3.5),
    "holes": (make_holes, 2.0),
    "zones": (lose_zones, 1.5),
    "shrunk": (shrink, 0.5),
    "shifted": (shift, 0.4),
}


def _trembling(rng: np.random.Generator, mask: BoolMask, strength: float) -> BoolMask:
    """The mask with its outline off by up to `strength` pixels, here outwards and there inwards."""
    levels = mask.astype(np.uint8)
    signed = cv2.distanceTransform(levels, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - levels, cv2.DIST_L2, 3)
    cells = max(2, round(max(mask.shape) / rng.uniform(8, 40)))
    noise = cv2.resize(rng.uniform(-1, 1, (cells, cells)).astype(np.float32), mask.shape[::-1])
    return signed + strength * noise > 0


def _amount(rng: np.random.Generator) -> float:
    """A share of the figure: log-uniform from hardly anything to half of it."""
    return float(np.exp(rng.uniform(np.log(0.006), np.log(0.5))))


def _union(masks: tuple[BoolMask, ...], shape: tuple[int, ...]) -> BoolMask:
    whole = np.zeros(shape, np.bool_)
    for mask in masks:
        whole |= mask
    return whole

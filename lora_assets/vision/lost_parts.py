"""What of a figure its mask left out: pixels outside the mask that have the figure's colours and not the background's.

The mirror image of `mask_facts.background_left`. Whether a value is bad does not belong here (checks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lora_assets.vision.cutout import CutOut, Head, once_per_cutout
from lora_assets.vision.mask_facts import colour_shares, more_frequent
from lora_assets.vision.masks import BoolMask, Window
from lora_assets.vision.outline_pieces import (
    Pieces,
    Surroundings,
    around,
    closed_by_frame,
    enclosed_gaps,
    lost_candidates,
    surroundings,
    without_specks,
    zones_of_other_side,
)
from lora_assets.vision.piece_evidence import LOST
from lora_assets.vision.screentone import without_screen

_PAD_SHARE = 0.25
_RING_SHARE = 0.08
_RIM_DEPTH = 14
_MORE_LIKE_FIGURE = 3.0
_MOST_OF_ZONE = 0.6
_THINNEST = 3
_MOST_OF_GAP = 0.6
_LIKELY = 0.6


@dataclass(frozen=True, slots=True)
class LostParts:
    """Shares (of the mask's area, 0 to 1) of what was lost inside it, in holes, and outside, at its ends."""

    holes: float
    ends: float


@once_per_cutout
def find_lost_parts(cut: CutOut) -> LostParts | None:
    """The lost parts of a cut-out, from its own frame; None for a mask without pixels or without anything around it.

    Two signs (see `outline_pieces`): colours three times as frequent in the mask near its outline as outside, where
    those count more the further out they are; and flat zones that lie mostly in the mask. At the ends only pieces that
    the mask's own outline cuts without a drawn line count. Holes are gaps that the mask encloses, and those that it
    encloses with the frame's edge where most of the gap is like the figure.
    """
    found = end_pieces(cut)
    if found is None:
        return None
    mask = found.seen.mask
    area = int(np.count_nonzero(mask))
    holes = cv2.morphologyEx(found.in_gaps.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    ends = 0 if found.pieces is None else int(np.count_nonzero(found.pieces.likely(LOST, _LIKELY)))
    return LostParts(min(1.0, int(np.count_nonzero(holes)) / area), min(1.0, ends / area))


@dataclass(frozen=True, slots=True, eq=False)
class EndPieces:
    """The window around a cut-out (x, y, width, height of the frame) at work size, the pieces outside its mask that
    look like the figure, with their signs, and what looks like it in the gaps of the mask."""

    window: Window
    seen: Surroundings
    pieces: Pieces | None
    in_gaps: BoolMask


def end_pieces(cut: CutOut) -> EndPieces | None:
    """What `find_lost_parts` weighs; None where that is None."""
    if not cut.area:
        return None
    window = around(cut.window, _PAD_SHARE, *cut.frame_size)
    left, top, width, height = window
    taken = np.zeros((height, width), np.bool_)
    for other in cut.others:
        taken |= other.covers(window)
    # The dots of screentone are edges everywhere, and lines all around whatever was lost.
    tones = without_screen(cut.image[top : top + height, left : left + width])
    seen = surroundings(tones, cut.subject.covers(window), taken)
    seen = replace(seen, mask=without_specks(seen.mask))
    mask, outside = seen.mask, seen.outside
    levels = mask.astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    rim = mask & (cv2.erode(levels, square, iterations=_RIM_DEPTH) == 0) & (cv2.erode(levels, square) > 0)
    if np.count_nonzero(rim) < 20 or np.count_nonzero(outside) < 40:
        return None
    closed = closed_by_frame(mask, window, *cut.frame_size)
    gaps = enclosed_gaps(mask)
    # What the frame closes may be background as well: its colours count as such.
    open_air = outside & ~gaps
    by_frame = (enclosed_gaps(closed) | closed) & ~mask & ~gaps
    enclosed = gaps | by_frame
    away = np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    bins = seen.colour_bins()
    own = colour_shares(bins[rim], None)
    beyond = colour_shares(bins[open_air], away[open_air]) if open_air.any() else np.zeros(4096)
    steps = seen.steps()
    flat = seen.flat(seen.ring(_RING_SHARE), steps)
    alike = outside & ((own > _MORE_LIKE_FIGURE * beyond) & (own > 1e-4))[bins]
    alike |= zones_of_other_side(seen, flat, outside, _MOST_OF_ZONE)
    thinnest = max(2, int(np.ceil(_THINNEST * seen.scale)))
    air = outside & ~enclosed
    heads = _in_heads(cut.inside, window, seen), _in_heads([h for h in cut.heads if h not in cut.inside], window, seen)
    pieces = lost_candidates(seen, alike & air, air, steps, thinnest, more_frequent(own, beyond)[bins], heads)
    return EndPieces(window, seen, pieces, alike & (gaps | _mostly(by_frame, alike)))


def _in_heads(heads: Sequence[Head], window: Window, seen: Surroundings) -> BoolMask:
    """Which pixels of the window at work size lie in the boxes of heads."""
    found = np.zeros(seen.mask.shape, np.bool_)
    left, top = window[:2]
    for head in heads:
        x1, x2 = (max(0, round((x - left) * seen.scale)) for x in head.box[::2])
        y1, y2 = (max(0, round((y - top) * seen.scale)) for y in head.box[1::2])
        found[y1:y2, x1:x2] = True
    return found


def _mostly(gaps: BoolMask, alike: BoolMask) -> BoolMask:
    """The gaps most of whose pixels are alike: between two legs that the frame cuts it is background that one sees."""
    labels = np.asarray(cv2.connectedComponents(gaps.view(np.uint8), connectivity=4)[1], np.int32)
    sizes, found = (np.bincount(each.reshape(-1), minlength=int(labels.max()) + 1) for each in (labels, labels[alike]))
    keep = found >= _MOST_OF_GAP * sizes
    keep[0] = False
    return keep[labels]

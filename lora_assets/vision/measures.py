"""What each check measures on a cut-out, by the check's name.

The functions lie by what they look at: figures in body_checks and character_counts, the picture in picture_flaws, what
a mask left out in lost_parts, what the mask critic says in mask_critic, the mask itself here. Limits and penalties do
not belong here (checks): pages read those, and need no models.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from lora_assets.vision.body_checks import (
    completeness_with_room,
    gap_in_box,
    head_cut,
    headless,
    missing_head,
    support,
    visible_cut,
)
from lora_assets.vision.character_counts import count_characters, is_thing, neighbour_share
from lora_assets.vision.cutout import FRAME_EDGE, CutOut, box_of, once_per_cutout
from lora_assets.vision.lettering import text_over
from lora_assets.vision.lost_parts import find_lost_parts
from lora_assets.vision.mask_critic import Doubts, doubts
from lora_assets.vision.mask_evidence import BACKGROUND, HOLES, LEFT_OUT
from lora_assets.vision.mask_facts import background_left
from lora_assets.vision.masks import piece_areas
from lora_assets.vision.outline_pieces import around
from lora_assets.vision.picture_flaws import (
    bar_in_crop,
    brightness,
    colour_spread,
    comb_ratio,
    contrast,
    outline_sharpness,
    percentile,
)

_SOFT = 0.25
_SMALL = 256
_RIM = 4


def dark_share(cut: CutOut) -> float:
    """Share 0..1 of the figure that is black (under 24 of 255), or dark (under 40) without any drawing in it.

    It is 0 when one pixel in a hundred is lit (30 or more): black hair and black clothes come with skin, folds or
    outlines, a faded frame does not.
    """
    if not cut.area or percentile(cut.histogram, 0.99) >= 30:
        return 0.0
    kernel = np.ones((3, 3), np.uint8)
    flat = cv2.subtract(cv2.dilate(cut.grey, kernel), cv2.erode(cut.grey, kernel)) < 8
    black = (cut.grey < 24) | ((cut.grey < 40) & flat)
    return float(np.count_nonzero(black & cut.mask)) / cut.area


def black_share(cut: CutOut) -> float:
    """Share 0..1 of the mask's pixels darker than 10 of 255."""
    return float(cut.histogram[:10].sum()) / cut.area if cut.area else 0.0


def outside_box(cut: CutOut) -> float:
    """Share 0..1 of the mask outside the detection's box, grown by 15 % and 12 pixels on each side."""
    x1, y1, x2, y2 = box_of(cut.detection)
    dx, dy = 0.15 * max(0.0, x2 - x1) + 12, 0.15 * max(0.0, y2 - y1) + 12
    width, height = cut.frame_size
    left, top = int(np.clip(x1 - dx, 0, width)), int(np.clip(y1 - dy, 0, height))
    wide = max(0, int(np.clip(x2 + dx, 0, width)) - left)
    tall = max(0, int(np.clip(y2 + dy, 0, height)) - top)
    if not cut.area:
        return 0.0
    return 1.0 - float(np.count_nonzero(cut.subject.covers((left, top, wide, tall)))) / cut.area


def background_share(cut: CutOut) -> float | None:
    """Share 0..1 of the cut-out that is background: what looks like it and what the critic calls too much, blended;
    None where the former cannot be told, as in a blurred picture."""
    told = doubts(cut)
    return None if told is None else BACKGROUND.share(*ground_signs(cut, told))


def lost_in_holes(cut: CutOut) -> float | None:
    """Share 0..1 of the mask's area that the figure lost in holes and bays: what looks like it there, and what the
    critic misses in the gaps that the mask encloses, blended; None where the former cannot be told."""
    told = doubts(cut)
    return None if told is None else HOLES.share(*hole_signs(cut, told))


def left_out(cut: CutOut) -> float | None:
    """Share 0..1 of the figure that the mask leaves out beyond its outline, blended of four signs (see `lost_signs`);
    None where the first cannot be told."""
    told = doubts(cut)
    return None if told is None else LEFT_OUT.share(*lost_signs(cut, told))


def ground_signs(cut: CutOut, told: Doubts) -> tuple[float | None, ...]:
    """The signs of BACKGROUND: what looks like the ground around, and what the critic calls too much. The first counts
    for both where the critic errs: a body without a head looks to it like nobody's, and on a small figure the rim that
    refinement grows on purpose (where the mask stage measured before) like background."""
    own = ground_share(cut)
    grown = cut.row.background_left is not None and max(cut.window[2:]) < _SMALL
    return own, told.too_much if cut.inside and not grown else own


def hole_signs(cut: CutOut, told: Doubts) -> tuple[float | None, ...]:
    """The signs of HOLES: what looks like the figure in the mask's gaps, and what the critic misses there."""
    lost = None if _has_soft_lines(cut) else find_lost_parts(cut)
    return None if lost is None else lost.holes, told.in_gaps


def lost_signs(cut: CutOut, told: Doubts) -> tuple[float | None, ...]:
    """The signs of LEFT_OUT: ends that look like the figure, how far the mask ends before its box (nothing for a box
    that no detector found), how plainly the body goes on where it ends, and what the critic misses."""
    return lost_ends(cut), gap_in_box(cut) or 0.0, visible_cut(cut), told.beyond


@once_per_cutout
def ground_share(cut: CutOut) -> float | None:
    """Share 0..1 of the cut-out that looks like what lies around it (`mask_facts.background_left`): the mask stage's
    own figure where it has one, else measured here; None where it cannot be told, as in a blurred picture."""
    if cut.row.background_left is not None:
        return cut.row.background_left
    if not cut.area or _has_soft_lines(cut):
        return None
    window = around(cut.window, 0.2, *cut.frame_size)
    left, top, width, height = window
    mask = cut.subject.covers(window)
    others = np.zeros_like(mask)
    for other in cut.others:
        others |= other.covers(window)
    return background_left(cut.image[top : top + height, left : left + width], mask, others & ~mask)


def _has_soft_lines(cut: CutOut) -> bool:
    """True when the figure is so blurred that nobody can tell by a line where it ends."""
    sharpness = outline_sharpness(cut)
    return sharpness is not None and sharpness < _SOFT


def lost_ends(cut: CutOut) -> float | None:
    """Share 0..1 of the figure's ends that the mask leaves out; 0 where more background is left in it: what looks
    alike on both sides of the outline is then the background. None where it cannot be told."""
    lost = None if _has_soft_lines(cut) else find_lost_parts(cut)
    if lost is None:
        return None
    return lost.ends if lost.ends > (ground_share(cut) or 0.0) else 0.0


def raggedness(cut: CutOut) -> float:
    """How frayed the mask is: the length of its outlines, those of its gaps too, over the length of its convex hull's.

    At 256 pixels or less on the longer side, so that steps of single pixels do not count. 1 for a convex mask; drawn
    figures with loose hair and thin limbs reach 2.
    """
    if not cut.area:
        return 1.0
    levels = np.pad(cut.mask.astype(np.uint8) * np.uint8(255), _RIM)
    scale = _SMALL / max(cut.mask.shape)
    if scale < 1.0:
        levels = np.asarray(cv2.resize(levels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    outlines, _ = cv2.findContours((levels > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return 1.0
    hull = cv2.arcLength(cv2.convexHull(np.concatenate(outlines)), True)
    return max(1.0, sum(cv2.arcLength(outline, True) for outline in outlines) / max(1.0, hull))


def stray_share(cut: CutOut) -> float:
    """Share 0..1 of the mask in pieces beside the largest that end by themselves: a raised arm whose elbow is outside
    the frame is no speck."""
    if not cut.area:
        return 0.0
    if len(piece_areas(cut.mask)) == 1:
        return 0.0
    x, y = cut.window[:2]
    width, height = cut.frame_size
    _, _, pieces, _ = cv2.connectedComponentsWithStats(cut.mask.view(np.uint8), connectivity=8)
    stray = 0
    for left, top, wide, tall, area in pieces[1:][pieces[1:, cv2.CC_STAT_AREA] < pieces[1:, cv2.CC_STAT_AREA].max()]:
        at_edge = x + left <= FRAME_EDGE or y + top <= FRAME_EDGE or x + left + wide >= width - FRAME_EDGE
        stray += 0 if at_edge or y + top + tall >= height - FRAME_EDGE else int(area)
    return stray / cut.area


MEASURES: dict[str, Callable[[CutOut], float | None]] = {
    "black": dark_share,
    "empty": lambda cut: float(cut.area),
    "flat": colour_spread,
    "several_characters": lambda cut: float(count_characters(cut)),
    "no_character": is_thing,
    "unsupported": support,
    "neighbour_left": neighbour_share,
    "missing_head": missing_head,
    "headless": headless,
    "head_cut": head_cut,
    "outside_box": outside_box,
    "cut_body": visible_cut,
    "box_gap": gap_in_box,
    "incomplete_body": completeness_with_room,
    "left_out": left_out,
    "holes": lost_in_holes,
    "frayed": raggedness,
    "specks": stray_share,
    "background_left": background_share,
    "box_shaped": lambda cut: cut.area / cut.mask.size,
    "bad_shape": lambda cut: max(cut.window[2] / cut.window[3], cut.window[3] / cut.window[2]),
    "small": lambda cut: float(max(cut.window[2:])),
    "too_dark": brightness,
    "faded": contrast,
    "blurred": outline_sharpness,
    "text_over": text_over,
    "interlaced": comb_ratio,
    "bar_in_crop": bar_in_crop,
}

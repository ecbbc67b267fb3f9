"""L2, the checks of a cut-out's content, as data: what is measured, its range, the limits, the penalty or veto, why.

Each line of CHECKS stands beside a function of MEASURES. The functions lie by what they look at: figures in
body_checks, the picture in picture_flaws, what a mask left out in lost_parts, the mask itself here. How the parts
become one score and a tier does not belong here (score).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lora_assets.vision.body_checks import (
    completeness_with_room,
    count_characters,
    gap_in_box,
    head_cut,
    headless,
    is_thing,
    missing_head,
    neighbour_share,
    support,
    visible_cut,
)
from lora_assets.vision.cutout import CutOut, box_of, once_per_cutout
from lora_assets.vision.lettering import text_over
from lora_assets.vision.lost_parts import find_lost_parts
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

# Also of the measures in body_checks, picture_flaws, lettering, outlined_lines, faint_words, lost_parts,
# outline_pieces, piece_evidence and screentone, and of the second try in extract_again.
CODE_VERSION = "8"

# One mild finding makes a good crop medium, two make it low; a grave one makes it low by itself (the rules of
# benchmarks.tier_rules): 0.7 x 1 >= 0.5 > 0.7 x 0.7 and 0.45 x 1.
MILD, GRAVE = 0.7, 0.45
_EDGE = 2
_SOFT = 0.25


@dataclass(frozen=True, slots=True)
class Check:
    """One check: crossing `limit` in `direction` (above or below) multiplies the score by `penalty`, crossing `grave`
    as well multiplies it by GRAVE instead; a `veto` caps the score under 0.5. `low` and `high` are the values' range
    (None: open), `column` the column of ScoredCrop that holds the value. Of several findings of one
    `group` only the strongest counts: they are signs of one defect."""

    name: str
    group: str
    column: str
    direction: str
    low: float
    high: float | None
    limit: float
    grave: float | None
    penalty: float
    veto: bool
    why: str

    def crossed(self, value: float, limit: float) -> bool:
        """True when the value is a finding."""
        return value > limit if self.direction == "above" else value < limit

    def penalty_for(self, value: float) -> float:
        """What a value that crossed the limit multiplies the score by."""
        return min(self.penalty, GRAVE) if self.grave is not None and self.crossed(value, self.grave) else self.penalty


CHECKS: tuple[Check, ...] = (
    Check("black", "light", "dark_share", "above", 0, 1, 0.93, None, 0.3, True, "the cut-out is black or nearly black"),
    Check("empty", "empty", "pixel_count", "below", 0, None, 400, None, 0.3, True,
          "almost no pixels are left in the mask"),
    Check("flat", "light", "colour_spread", "below", 0, 128, 3, None, 0.3, True, "the cut-out is one flat colour"),
    Check("several_characters", "others", "character_count", "above", 0, None, 1, None, 0.5, True,
          "more than one character is in the cut-out"),
    Check("no_character", "thing", "is_thing", "above", 0, 1, 0.5, None, 0.5, True,
          "the detector says that this is a thing, and no head is in it"),
    Check("unsupported", "thing", "support", "below", 0, 1, 0.5, 0.2, MILD, False,
          "hardly any head, face, key point or other detector speaks for a character here"),
    Check("neighbour_left", "others", "neighbour_share", "above", 0, 1, 0.06, 0.35, MILD, False,
          "pixels of another character are left in the cut-out"),
    Check("missing_head", "body", "missing_head", "above", 0, 1, 0.5, None, GRAVE, False,
          "a head was found in the box, and the mask leaves it out"),
    Check("headless", "head", "headless", "above", 0, 1, 0.15, None, GRAVE, False,
          "the frame's top edge cuts the figure, and no head is in it"),
    Check("head_cut", "head", "head_cut", "above", 0, 1, 0.3, None, MILD, False, "the frame's edge cuts the head"),
    Check("outside_box", "leak", "outside_box", "above", 0, 1, 0.12, 0.35, MILD, False,
          "much of the mask lies outside the box that it was made from"),
    Check("cut_body", "body", "visible_cut", "above", 0, 1, 0.27, None, MILD, False,
          "the body goes on in the frame where the mask is cut off"),
    Check("box_gap", "body", "box_gap", "above", 0, 1, 0.085, 0.4, MILD, False,
          "the mask ends well before the box in which the body was found"),
    Check("incomplete_body", "body", "body_completeness", "below", 0, 1, 0.3, None, MILD, False,
          "only a small part of the body is there, with room for more"),
    Check("left_out", "body", "left_out", "above", 0, 1, 0.04, 0.4, MILD, False,
          "parts of the figure (hair tips, limbs) are outside the mask"),
    Check("holes", "holes", "lost_in_holes", "above", 0, 1, 0.03, 0.2, MILD, False,
          "the mask has holes in the figure"),
    Check("specks", "specks", "speck_share", "above", 0, 1, 0.03, 0.2, MILD, False,
          "stray pieces lie beside the figure"),
    Check("background_left", "leak", "background_left", "above", 0, 1, 0.04, 0.25, MILD, False,
          "background is left in the cut-out"),
    Check("box_shaped", "leak", "box_fill", "above", 0, 1, 0.95, None, GRAVE, False,
          "the mask is a filled box, not a figure"),
    Check("bad_shape", "shape", "elongation", "above", 1, None, 6, None, 0.5, False,
          "the shape is too long and thin for a character"),
    Check("small", "size", "longest_side", "below", 0, None, 256, 160, MILD, False,
          "the figure is small: training has to enlarge it"),
    Check("too_dark", "light", "brightness", "below", 0, 1, 0.31, None, MILD, False, "nothing in the cut-out is lit"),
    Check("faded", "light", "contrast", "below", 0, 1, 0.2, 0.1, MILD, False, "light and dark have nearly faded away"),
    Check("blurred", "blur", "sharpness", "below", 0, 1, 0.35, 0.09, MILD, False,
          "the outlines inside the cut-out are blurred"),
    Check("text_over", "text", "text_share", "above", 0, 1, 0.008, 0.12, MILD, False, "lettering lies over the figure"),
    Check("interlaced", "combs", "comb_ratio", "above", 0, 1, 0.08, None, MILD, False,
          "rows of two moments alternate in the figure (interlacing)"),
    Check("bar_in_crop", "bars", "bar_share", "above", 0, 1, 0.015, 0.2, MILD, False,
          "a black bar of the frame is in the cut-out"),
)  # fmt: skip


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
    right, bottom = int(np.clip(x2 + dx, 0, width)), int(np.clip(y2 + dy, 0, height))
    if not cut.area:
        return 0.0
    return 1.0 - float(np.count_nonzero(cut.subject.covers((left, top, right - left, bottom - top)))) / cut.area


@once_per_cutout
def background_share(cut: CutOut) -> float | None:
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


def lost_in_holes(cut: CutOut) -> float | None:
    """Share 0..1 of the mask's area that the figure lost in holes and bays; None where it cannot be told."""
    lost = None if _has_soft_lines(cut) else find_lost_parts(cut)
    return None if lost is None else lost.holes


def left_out(cut: CutOut) -> float | None:
    """Share 0..1 of the figure's ends that the mask leaves out; 0 where more background is left in it: what looks
    alike on both sides of the outline is then the background. None where it cannot be told."""
    lost = None if _has_soft_lines(cut) else find_lost_parts(cut)
    if lost is None:
        return None
    return lost.ends if lost.ends > (background_share(cut) or 0.0) else 0.0


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
        at_edge = x + left <= _EDGE or y + top <= _EDGE or x + left + wide >= width - _EDGE
        stray += 0 if at_edge or y + top + tall >= height - _EDGE else int(area)
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

"""How much of the character a cut-out shows that it should: heads, cuts, completeness.

How many characters are in it does not belong here (character_counts), nor what a value means for the score (checks).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import FRAME_EDGE, SIDES, CutOut, Head, box_of, covered_centre, off_top, tops
from lora_assets.vision.picture_flaws import percentile

_SURE_POINT = 0.5
_HEAD_SLACK, _LOWER = 0.02, 0.15
# Weights of how wide the edge cuts and of the box's height over its width, and the constant, as
# `python -m lora_assets.benchmarks.tier_heads` prints them.
CUT_HEAD = (12.94, -17.48, 6.624)
_WHOLE_HEAD, _CUT_ASPECT = 1.05, 0.95
_LINE_OUT, _LINE_IN, _LINE_STEP, _LINE_SHARE = 5, 10, 12, 0.9
_ALONE = 0.4
_TO_EDGE = 0.06
_LEAST_SPAN = 60
# Places of COCO's 17 key points.
_HEAD_POINTS, _SHOULDERS, _HIPS, _KNEES, _ANKLES = slice(0, 5), slice(5, 7), slice(11, 13), slice(13, 15), slice(15, 17)
_BODY_POINTS = (_HEAD_POINTS, _SHOULDERS, _HIPS, _KNEES, _ANKLES)
_BODY_SHARES = (0.3, 0.2, 0.2, 0.15, 0.15)


# --- evidence --------------------------------------------------------------------------------------------------------


def support(cut: CutOut) -> float | None:
    """How sure the other evidence (head, face, key points, other detectors) is that a person box is a character, 0..1.

    None where the detection carries no such evidence: another label than person, a table of an earlier version. A head
    that lies in the cut-out counts too; where the body is only a guess from that head, by at most 0.4, as nobody else
    saw anything.
    """
    found = cut.detection
    if found.label.lower() != "person" or found.body_from is None:
        return None
    most = _ALONE if found.body_from in ("expanded_from_head", "expanded_from_face") else 1.0
    heads = [min(most, head.confidence) for head in cut.inside]
    return float(np.clip(max([found.agreement, *heads]), 0.0, 1.0))


# --- heads -----------------------------------------------------------------------------------------------------------


def missing_head(cut: CutOut) -> float:
    """Uncovered share 0..1 of a head that belongs in the box but is in no subject's mask; 0 when a head is inside."""
    if cut.inside:
        return 0.0
    x1, y1, x2, y2 = box_of(cut.detection)
    worst = 0.0
    for head in cut.heads:
        middle_x, bottom = (head.box[0] + head.box[2]) / 2, head.box[3]
        # A box that was cut with the mask begins where the head ends.
        upper = x1 <= middle_x <= x2 and y1 - 0.3 * head.height <= bottom <= (y1 + 2 * y2) / 3
        if upper and all(covered_centre(other, head.box) < 0.5 for other in cut.others):
            worst = max(worst, 1.0 - covered_centre(cut.subject, head.box))
    return worst


def headless(cut: CutOut) -> float:
    """Share 0..1 of the top side that runs along the frame's edge, when no head is in the cut-out or was found at the
    top of its box, and something else speaks for a character; else 0: where nobody found anything (`support`), no head
    is missing."""
    top, box = cut.sides["top"], box_of(cut.detection)
    if not top.border or cut.inside or any(tops(box, head) for head in cut.heads):
        return 0.0
    told = support(cut)
    return top.contact if told is None or told >= _ALONE else 0.0


def head_cut(cut: CutOut) -> float | None:
    """How likely the frame's edge cuts more than a tenth off the head at the top of the box, 0..1. None without a head
    in the cut-out.

    From two signs, by a logistic regression on drawn heads (`python -m lora_assets.benchmarks.tier_heads`): how wide
    the edge cuts it (`_chord`), and how tall its box still is beside its width: a whole head is about as tall as
    wide or taller, and flat hats and hair that end at the edge cut nothing. Of a face's box the head's height is not
    known: only how wide the edge cuts what is above it counts.
    """
    if not cut.inside:
        return None
    head = _top_head(cut)
    return max(
        cut_probability(_chord(cut, head, edge), _aspect(head) if edge == 1 else _CUT_ASPECT) for edge in range(4)
    )


def head_at_edge(cut: CutOut) -> tuple[float, float] | None:
    """The two signs of `head_cut` for the upper edge; None without a head in the cut-out, where it ends below the edge,
    and for a face's box."""
    if not cut.inside:
        return None
    head = _top_head(cut)
    at_edge = head.box[1] <= FRAME_EDGE + _HEAD_SLACK * head.height
    return (_chord(cut, head, 1), _aspect(head)) if at_edge and _is_whole_box(head) else None


def cut_probability(chord: float, aspect: float) -> float:
    """P(0..1) that a head is cut, from the share of it that runs along the frame's edge, and its box's height over its
    width."""
    if chord <= 0:
        return 0.0
    weight_chord, weight_aspect, constant = CUT_HEAD
    # The box of a head in a frame a few pixels wide is so much taller than wide that the exponential is infinite: 0.
    with np.errstate(over="ignore"):
        return float(1.0 / (1.0 + np.exp(-(weight_chord * chord + weight_aspect * aspect + constant))))


def _top_head(cut: CutOut) -> Head:
    own = box_of(cut.detection)
    return min(cut.inside, key=lambda head: off_top(own, head))


def _is_whole_box(head: Head) -> bool:
    return head.height <= _WHOLE_HEAD * (head.box[3] - head.box[1])


def _aspect(head: Head) -> float:
    x1, y1, x2, y2 = head.box
    return (y2 - y1) / max(1.0, x2 - x1) if _is_whole_box(head) else _CUT_ASPECT


def _chord(cut: CutOut, head: Head, edge: int) -> float:
    """How wide the frame's left, top, right or bottom edge cuts a head, 0..1: the length on which the mask touches the
    edge over the head's own extent along it, or, at the upper edge, over the mask's width 15 % of the head's height
    lower, whichever is more, as long hair makes a head wide."""
    width, height = cut.frame_size
    x1, y1, x2, y2 = head.box
    # A chin near the frame's lower edge is no cut head, unless the box itself ends there.
    slack = FRAME_EDGE + (0.0 if edge == 3 else _HEAD_SLACK * head.height)
    if edge == 1 and not _is_whole_box(head):
        slack += head.height - (y2 - y1)
    gap = (x1, y1, width - x2, height - y2)[edge]
    if gap > slack:
        return 0.0
    upright = edge in (0, 2)
    low, high = (y1, y2) if upright else (x1, x2)
    begin, length = int(low), max(1, int(high) - int(low))
    at = {0: 0, 1: 0, 2: width - 1, 3: height - 1}[edge]
    touching = float(cut.subject.covers((at, begin, 1, length) if upright else (begin, at, length, 1)).sum())
    if edge != 1:
        return touching / length
    lower = float(cut.subject.covers((begin, round(_LOWER * head.height), length, 1)).sum())
    return min(1.0, touching / max(1.0, min(float(length), lower)))


# --- cuts and completeness -------------------------------------------------------------------------------------------


def _key_points(cut: CutOut) -> npt.NDArray[np.float64] | None:
    """The sure key points of the detection: 17x3, those under 0.5 with confidence 0; None when there are none."""
    given = cut.detection.key_points
    if given is None or len(given) != 51:
        return None
    points = np.nan_to_num(np.array(given, np.float64).reshape(17, 3))
    points[points[:, 2] < _SURE_POINT, 2] = 0.0
    return points if points[:, 2].any() else None


def _points_held(cut: CutOut, points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which key points are sure and lie in the frame, and which of those lie in the mask or within 3 % of its side."""
    width, height = cut.frame_size
    w, h = cut.window[2:]
    sure = (points[:, 2] > 0) & (points[:, 0] >= 0) & (points[:, 0] < width)
    sure &= (points[:, 1] >= 0) & (points[:, 1] < height)
    reach = max(3, round(0.03 * max(w, h)))
    held = np.zeros(17, np.bool_)
    for index in np.flatnonzero(sure):
        left, top = int(points[index, 0]) - reach, int(points[index, 1]) - reach
        held[index] = bool(cut.subject.covers((left, top, 2 * reach + 1, 2 * reach + 1)).any())
    return sure, held


def visible_cut(cut: CutOut) -> float:
    """How plainly the body goes on in the frame where the mask ends, 0..1: the larger of two signs.

    The worst side's share along which the mask ends straight while the same colour goes on in the frame; the frame's
    edge and black bars do not count, as what lies behind them was never visible, nor does what ends within 6 % of its
    extent before the frame, nor a side along which a line is drawn; neither does a figure whose middle 96 % span under
    60 levels, as in a fade all colours are alike (the tolerance is 20). And, where a pose model found key points, the
    share of the body's sure ones (head, shoulders, hips, knees, ankles) that lie in the frame but not in the mask.
    """
    ends = {name: min(cut.sides[name].contact, cut.sides[name].cut) for name in SIDES if not _nearly_border(cut, name)}
    straight = max((end for name, end in ends.items() if end > 0 and not _ends_in_line(cut, name)), default=0.0)
    if percentile(cut.histogram, 0.98) - percentile(cut.histogram, 0.02) < _LEAST_SPAN:
        straight = 0.0
    points = _key_points(cut)
    if points is None:
        return min(1.0, straight)
    sure, held = _points_held(cut, points)
    body = np.zeros(17, np.bool_)
    for part in _BODY_POINTS:
        body[part] = True
    known = int(np.count_nonzero(sure & body))
    lost = int(np.count_nonzero(sure & body & ~held)) / known if known >= 4 else 0.0
    return min(1.0, max(straight, lost))


def _ends_in_line(cut: CutOut, side: str) -> bool:
    """True when a line is drawn along a straight side of the mask, from five pixels outside to ten inside: at one depth
    nine tenths of its rows change by 12 levels or more."""
    turns = SIDES.index(side)
    x, y, w, h = cut.window
    width, height = cut.frame_size
    margin = {"left": x, "top": y, "right": width - x - w, "bottom": height - y - h}[side]
    out = min(_LINE_OUT, margin)
    turned = np.rot90(cut.mask, turns)
    touching = turned[:, : max(2, round(0.01 * turned.shape[1]))].any(axis=1)
    grown = {
        "left": np.s_[y : y + h, x - out : x + w], "top": np.s_[y - out : y + h, x : x + w],
        "right": np.s_[y : y + h, x : x + w + out], "bottom": np.s_[y : y + h + out, x : x + w],
    }[side]  # fmt: skip
    strip = np.rot90(cut.image[grown], turns)[touching, : out + _LINE_IN].astype(np.int16)
    if strip.shape[0] < 4 or strip.shape[1] < 4:
        return False
    steps = np.abs(np.diff(strip, axis=1)).max(axis=2) >= _LINE_STEP
    lined = (steps[:, 1:] | steps[:, :-1]).mean(axis=0)
    return bool(lined.max() >= _LINE_SHARE)


def _nearly_border(cut: CutOut, side: str) -> bool:
    """True when the frame ends within 6 % of the mask's extent beyond that side: what is lost there is not worth it."""
    x, y, w, h = cut.window
    width, height = cut.frame_size
    gap = {"left": x, "top": y, "right": width - x - w, "bottom": height - y - h}[side]
    return gap <= _TO_EDGE * (w if side in ("left", "right") else h)


def gap_in_box(cut: CutOut) -> float | None:
    """Largest share 0..1 of the box's height or width by which the mask ends before the box does, on any side.

    None for a box that no detector found itself (an expanded box is a guess), and for a mask without pixels.
    """
    found = cut.detection
    if found.body_from not in ("detected", "key_points") or not cut.area:
        return None
    x1, y1, x2, y2 = box_of(found)
    width, height = x2 - x1, y2 - y1
    if min(width, height) < 8:
        return None
    x, y, w, h = cut.window
    upright, level = max(y - y1, y2 - (y + h)) / height, max(x - x1, x2 - (x + w)) / width
    return float(np.clip(max(upright, level), 0.0, 1.0))


def body_completeness(cut: CutOut) -> float:
    """Share 0..1 of a body that the cut-out holds, from key points where a pose model found them, else from heads and
    outline (a start value).

    By key points: head 0.3, shoulders 0.2, hips 0.2, knees 0.15, ankles 0.15, each by the share of its points in the
    mask. By outline, with a head in it: the height below the head's top in heads; 1.3 heads are 0.3 (a head), 5.5 are 1
    (standing), and a figure of 2.3 heads or more that ends by itself (not at the frame's edge) is whole. Without a
    head: the height over the width, at most 0.8 when it ends by itself and 0.5 at the frame's edge. A visible cut
    costs up to 0.4.
    """
    if not cut.area:
        return 0.0
    points = _key_points(cut)
    if points is not None and np.count_nonzero(points[:, 2]) >= 4:
        sure, held = _points_held(cut, points)
        parts = [
            float(np.any(held[part])) * float(held[part].sum() / max(1, sure[part].sum())) for part in _BODY_POINTS
        ]
        return float(np.clip(np.dot(parts, _BODY_SHARES), 0.0, 1.0))
    _, y, width, height = cut.window
    bottom = cut.sides["bottom"]
    loss = 0.4 * max(0.0, visible_cut(cut) - 0.2) / 0.8
    if cut.inside:
        head = max(cut.inside, key=lambda h: h.height)
        heads_high = max(0.0, y + height - min(head.box[1], float(y + height))) / max(head.height, 1.0)
        known = 0.3 + 0.7 * float(np.clip((heads_high - 1.3) / 4.2, 0.0, 1.0))
        whole = 1.0 if heads_high >= 2.3 and not bottom.border else known
    else:
        tall = height / width
        whole = min(0.5, 0.25 * tall) if bottom.border or headless(cut) > 0.15 else min(0.8, 0.45 + 0.2 * tall)
    return float(np.clip(whole - loss, 0.0, 1.0))


def completeness_with_room(cut: CutOut) -> float:
    """The completeness where the frame had room for more of the body; 1 where its lower edge ends the figure."""
    return 1.0 if cut.sides["bottom"].border else body_completeness(cut)

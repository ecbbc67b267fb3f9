"""L2, the checks of a cut-out's content: is it black, empty, several characters, cut, blurred, badly shaped.

Each check is a line of data (what is measured, the limit, the penalty or veto, why) beside a function that measures.
How the parts become one score and a tier does not belong here (score).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import (
    HEAD_LABELS,
    CutOut,
    Subject,
    box_of,
    covered_centre,
    share_inside,
    shared_area,
)

CODE_VERSION = "1"

# The 79 COCO classes that are not a person, spaces as _.
_THINGS = frozenset(
    (
        "bicycle",
        "car",
        "motorcycle",
        "airplane",
        "bus",
        "train",
        "truck",
        "boat",
        "traffic_light",
        "fire_hydrant",
        "stop_sign",
        "parking_meter",
        "bench",
        "bird",
        "cat",
        "dog",
        "horse",
        "sheep",
        "cow",
        "elephant",
        "bear",
        "zebra",
        "giraffe",
        "backpack",
        "umbrella",
        "handbag",
        "tie",
        "suitcase",
        "frisbee",
        "skis",
        "snowboard",
        "sports_ball",
        "kite",
        "baseball_bat",
        "baseball_glove",
        "skateboard",
        "surfboard",
        "tennis_racket",
        "bottle",
        "wine_glass",
        "cup",
        "fork",
        "knife",
        "spoon",
        "bowl",
        "banana",
        "apple",
        "sandwich",
        "orange",
        "broccoli",
        "carrot",
        "hot_dog",
        "pizza",
        "donut",
        "cake",
        "chair",
        "couch",
        "potted_plant",
        "bed",
        "dining_table",
        "toilet",
        "tv",
        "laptop",
        "mouse",
        "remote",
        "keyboard",
        "cell_phone",
        "microwave",
        "oven",
        "toaster",
        "sink",
        "refrigerator",
        "book",
        "clock",
        "vase",
        "scissors",
        "teddy_bear",
        "hair_drier",
        "toothbrush",
    )
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: crossing `limit` in `direction` (above or below) multiplies the score by `penalty`, or is a `veto`."""

    name: str
    direction: str
    limit: float
    penalty: float
    veto: bool
    why: str

    def crossed(self, value: float, limit: float) -> bool:
        """True when the value is a finding."""
        return value > limit if self.direction == "above" else value < limit


CHECKS: tuple[Check, ...] = (
    Check("black", "above", 0.93, 0.3, True, "the cut-out is black or nearly black"),
    Check("empty", "below", 400.0, 0.3, True, "almost no pixels are left in the mask"),
    Check("flat", "below", 3.0, 0.3, True, "the cut-out is one flat colour"),
    Check("several_characters", "above", 1.0, 0.5, True, "more than one character is in the cut-out"),
    Check("no_character", "above", 0.5, 0.5, True, "the detector says that this is a thing, and no head is in it"),
    Check("missing_head", "above", 0.5, 0.55, False, "a head was found in the box, and the mask leaves it out"),
    Check("headless", "above", 0.15, 0.6, False, "the frame's top edge cuts the figure, and no head is in it"),
    Check("outside_box", "above", 0.2, 0.5, False, "much of the mask lies outside the box that it was made from"),
    Check("cut_body", "above", 0.12, 0.6, False, "the body goes on in the frame where the mask is cut off straight"),
    Check("incomplete_body", "below", 0.45, 0.65, False, "only a small part of the body is there, with room for more"),
    Check("box_shaped", "above", 0.95, 0.5, False, "the mask is a filled box, not a figure"),
    Check("bad_shape", "above", 6.0, 0.5, False, "the shape is too long and thin for a character"),
    Check("small", "below", 64.0, 0.75, False, "the figure is very small: fewer pixels than training can use"),
    Check("too_dark", "below", 0.31, 0.7, False, "nothing in the cut-out is lit"),
    Check("blurred", "below", 0.28, 0.6, False, "the outlines inside the cut-out are blurred"),
)


# --- black, empty, dark, blurred -------------------------------------------------------------------------------------


def percentile(histogram: npt.NDArray[np.int64], share: float) -> int:
    """The lowest level at or under which `share` (0..1) of the counted pixels lie; 0 without pixels."""
    return int(np.searchsorted(np.cumsum(histogram), share * histogram.sum()))


def dark_share(cut: CutOut) -> float:
    """Share 0..1 of the figure that is black (under 24 of 255), or dark (under 40) without any drawing in it.

    It is 0 when one pixel in a hundred is lit (48 or more): black hair and black clothes come with skin, folds or
    outlines, a faded frame does not.
    """
    if not cut.area or percentile(cut.histogram, 0.99) >= 48:
        return 0.0
    kernel = np.ones((3, 3), np.uint8)
    flat = cv2.subtract(cv2.dilate(cut.grey, kernel), cv2.erode(cut.grey, kernel)) < 8
    black = (cut.grey < 24) | ((cut.grey < 40) & flat)
    return float(np.count_nonzero(black & cut.mask)) / cut.area


def black_share(cut: CutOut) -> float:
    """Share 0..1 of the mask's pixels darker than 10 of 255."""
    return float(cut.histogram[:10].sum()) / cut.area if cut.area else 0.0


def _pixel_count(cut: CutOut) -> float:
    return float(cut.area)


def colour_spread(cut: CutOut) -> float:
    """The largest standard deviation of the three channels inside the mask, 0..128."""
    if not cut.area:
        return 0.0
    _, spread = cv2.meanStdDev(cut.colour, mask=cut.mask.astype(np.uint8))
    return float(spread.max())


def _brightness(cut: CutOut) -> float:
    return percentile(cut.histogram, 0.99) / 255.0


def outline_sharpness(cut: CutOut) -> float:
    """How steep the strongest edges inside the figure are, 0..1: 1 is a step within one pixel, 0.1 a soft slope.

    The gradient at the strongest edges (3 %) over the contrast in the 21x21 pixels around, median; so it depends
    neither on contrast nor on how much is drawn. On drawn scenes 0.7 sharp, 0.35 after a blur of sigma 2, 0.25 after
    sigma 3, 0.16 after sigma 5 (medians). Measured with the figure at most 512 pixels high and wide, the size
    that training sees. A figure without any edge to measure counts as sharp.
    """
    scale = min(1.0, 512.0 / max(cut.grey.shape))
    grey, inner = cut.grey, cut.mask.astype(np.uint8)
    if scale < 1.0:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        inner = np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_NEAREST))
    inner = cv2.erode(inner, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if min(grey.shape) < 3:
        return 1.0
    slope = np.zeros_like(grey)
    slope[:, 1:-1] = cv2.absdiff(grey[:, 2:], grey[:, :-2])
    slope[1:-1] = cv2.max(slope[1:-1], cv2.absdiff(grey[2:], grey[:-2]))
    counts = np.bincount(slope[inner], minlength=256)
    strong = inner & (slope >= max(8, percentile(counts, 0.97)))
    if np.count_nonzero(strong) < 16:
        return 1.0
    around = np.ones((21, 21), np.uint8)
    contrast = cv2.subtract(cv2.dilate(grey, around), cv2.erode(grey, around))[strong].astype(np.float64)
    # A central difference spans two pixels: a step of one pixel shows its whole contrast in it.
    return min(1.0, float(np.median(slope[strong] / np.maximum(contrast, 1.0))))


# --- how many, how whole ---------------------------------------------------------------------------------------------


def count_characters(cut: CutOut) -> int:
    """Characters inside the cut-out: distinct heads in it, and other subjects most of whose mask it swallows.

    Another subject counts only with evidence that it is somebody else: the cut-out's own head is elsewhere, or neither
    of the two boxes is part of the other. A swallowed mask alone may be a second box of the same body. 0 for a thing.
    """
    if is_thing(cut) > 0.5:
        return 0
    return max(1, len(cut.inside), 1 + sum(_is_somebody_else(cut, other) for other in cut.others))


def _is_somebody_else(cut: CutOut, other: Subject) -> bool:
    if other.row.area < max(64, 0.05 * cut.area) or other.detection.label.lower() in HEAD_LABELS:
        return False
    if shared_area(cut, other) < 0.5 * other.row.area:
        return False
    if cut.inside and all(covered_centre(other, head.box) < 0.3 for head in cut.inside):
        return other.row.area < 0.8 * cut.area
    own, its = box_of(cut.detection), box_of(other.detection)
    return max(share_inside(its, own), share_inside(own, its)) < 0.7


def _count(cut: CutOut) -> float:
    return float(count_characters(cut))


def is_thing(cut: CutOut) -> float:
    """1 when the label is a COCO class of things and no head lies in the cut-out, else 0. Unknown labels pass."""
    label = cut.detection.label.strip().lower().replace(" ", "_")
    return 1.0 if label in _THINGS and not cut.inside else 0.0


def missing_head(cut: CutOut) -> float:
    """Uncovered share 0..1 of a head that belongs in the box but is in no subject's mask; 0 when a head is inside."""
    if cut.inside:
        return 0.0
    x1, y1, x2, y2 = box_of(cut.detection)
    worst = 0.0
    for head in cut.heads:
        middle_x, middle_y = (head.box[0] + head.box[2]) / 2, (head.box[1] + head.box[3]) / 2
        upper = x1 <= middle_x <= x2 and y1 <= middle_y <= (y1 + y2) / 2
        if upper and all(covered_centre(other, head.box) < 0.5 for other in cut.others):
            worst = max(worst, 1.0 - covered_centre(cut.subject, head.box))
    return worst


def headless(cut: CutOut) -> float:
    """Share 0..1 of the top side that runs along the frame's edge, when no head is in the cut-out; else 0."""
    top = cut.sides["top"]
    return top.contact if top.border and not cut.inside else 0.0


def visible_cut(cut: CutOut) -> float:
    """The worst side's share 0..1 along which the mask ends straight while the same colour goes on in the frame.

    The frame's edge and black bars do not count: what lies behind them was never visible.
    """
    return min(1.0, max(min(side.contact, side.cut) for side in cut.sides.values()))


def body_completeness(cut: CutOut) -> float:
    """Share 0..1 of a body that the cut-out holds; a start value, from heads and outline alone.

    With a head in it: the height below the head's top in heads; 1.3 heads are 0.3 (a head), 5.5 are 1 (standing), and
    a figure of 2.3 heads or more that ends by itself (not at the frame's edge) is whole. Without one: the height
    over the width, at most 0.8 when it ends by itself and 0.5 at the frame's edge. A visible cut costs up to 0.4.
    """
    if not cut.area:
        return 0.0
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


def _completeness_with_room(cut: CutOut) -> float:
    return 1.0 if cut.sides["bottom"].border else body_completeness(cut)


# --- shape -----------------------------------------------------------------------------------------------------------


def _box_fill(cut: CutOut) -> float:
    return cut.area / cut.mask.size


def _elongation(cut: CutOut) -> float:
    return max(cut.window[2] / cut.window[3], cut.window[3] / cut.window[2])


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


def _longest_side(cut: CutOut) -> float:
    return float(max(cut.window[2:]))


MEASURES: dict[str, Callable[[CutOut], float]] = {
    "black": dark_share,
    "empty": _pixel_count,
    "flat": colour_spread,
    "several_characters": _count,
    "no_character": is_thing,
    "missing_head": missing_head,
    "headless": headless,
    "outside_box": outside_box,
    "cut_body": visible_cut,
    "incomplete_body": _completeness_with_room,
    "box_shaped": _box_fill,
    "bad_shape": _elongation,
    "small": _longest_side,
    "too_dark": _brightness,
    "blurred": outline_sharpness,
}

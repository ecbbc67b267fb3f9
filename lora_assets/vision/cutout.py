"""One cut-out as the judges see it: its pixels, its box, the heads found in the frame, the other subjects, its sides.

Everything that more than one check needs is worked out here once. What is good or bad about a cut-out does not belong
here (checks, score).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.tables import Detection, Mask
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, Window, mask_bounds, mask_pixels, place_pixels

HEAD_LABELS = ("face", "head")
FRAME_EDGE = 2
"""What begins or ends within so many pixels of the frame's edge is cut by it."""
SIDES = ("left", "top", "right", "bottom")
FACE_SHARE_OF_HEAD = 0.75
_LEAST_CONFIDENCE = 0.35
_DEPTH = 14
_BAR_LEVEL = 16.0
_SAME_COLOUR = 20

Xyxy = tuple[float, float, float, float]
Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Head:
    """One head found in the frame, by a head box or a face box. `height` is that of the whole head, in pixels."""

    box: Xyxy
    height: float
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A character's mask row with its detection and its decoded pixels (row.height, row.width)."""

    row: Mask
    detection: Detection
    pixels: BoolMask

    def covers(self, window: Window) -> BoolMask:
        """The mask in `window` (x, y, width, height of the frame), at the window's size."""
        return place_pixels(self.pixels, self.row.x, self.row.y, window)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a mask's bounding box. `contact`: share of the side that the mask runs along (0..1). `cut`: share
    along which the same colour goes on outside, as if the mask were cut there. `border`: the frame or a bar ends there.
    """

    contact: float
    cut: float
    border: bool


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class CutOut:
    """A mask with what surrounds it. `mask` (bool), `colour` (uint8 RGB) and `grey` have the size of `window`, the
    mask's bounding box; `histogram` counts the mask's pixels by luminance 0..255; `heads` are those of the whole frame,
    `inside` those that the mask holds, `others` the other subjects.
    """

    image: RgbImage
    subject: Subject
    window: Window
    mask: BoolMask
    colour: RgbImage
    grey: npt.NDArray[np.uint8]
    histogram: npt.NDArray[np.int64]
    area: int
    heads: tuple[Head, ...]
    inside: tuple[Head, ...]
    others: tuple[Subject, ...]
    sides: dict[str, Side]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frame in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def row(self) -> Mask:
        """The mask's row."""
        return self.subject.row

    @property
    def detection(self) -> Detection:
        """The mask's detection."""
        return self.subject.detection


def once_per_cutout(measure: Callable[[CutOut], Measured]) -> Callable[[CutOut], Measured]:
    """`measure`, its answer kept as long as the cut-out lives: several checks ask for it, and none may hold a frame."""
    known: WeakKeyDictionary[CutOut, Measured] = WeakKeyDictionary()

    @wraps(measure)
    def look_up(cut: CutOut) -> Measured:
        if cut not in known:
            known[cut] = measure(cut)
        return known[cut]

    return look_up


def box_of(detection: Detection) -> Xyxy:
    """The box of a detection row."""
    return detection.x1, detection.y1, detection.x2, detection.y2


def box_area(box: Xyxy) -> float:
    """Area in square pixels; 0 for a box turned inside out."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def share_inside(inner: Xyxy, outer: Xyxy) -> float:
    """Share of the area of `inner` that lies in `outer`; 0 for a box without area."""
    area = box_area(inner)
    overlap = (max(inner[0], outer[0]), max(inner[1], outer[1]), min(inner[2], outer[2]), min(inner[3], outer[3]))
    return box_area(overlap) / area if area > 0 else 0.0


def find_heads(detections: Sequence[Detection]) -> tuple[Head, ...]:
    """The distinct heads of a frame: a face inside a head, or a box found twice, counts once.

    Boxes surer than 0.35 only. Head boxes come first, so that a face adds a head only where no head was found.
    """
    found = [d for d in detections if d.label.lower() in HEAD_LABELS and d.confidence >= _LEAST_CONFIDENCE]
    found.sort(key=lambda d: (d.label.lower() != "head", -d.confidence, d.detection_id))
    heads: list[Head] = []
    for detection in found:
        box = box_of(detection)
        if box_area(box) <= 0 or any(max(share_inside(box, h.box), share_inside(h.box, box)) >= 0.5 for h in heads):
            continue
        scale = 1.0 if detection.label.lower() == "head" else FACE_SHARE_OF_HEAD
        heads.append(Head(box, (box[3] - box[1]) / scale, detection.confidence))
    return tuple(heads)


def covered_centre(subject: Subject, box: Xyxy) -> float:
    """Share of the middle 60 % (by side) of a box that a mask covers; 0 for a box without pixels."""
    dx, dy = 0.2 * (box[2] - box[0]), 0.2 * (box[3] - box[1])
    left, top = int(np.floor(box[0] + dx)), int(np.floor(box[1] + dy))
    width, height = int(np.ceil(box[2] - dx)) - left, int(np.ceil(box[3] - dy)) - top
    if width <= 0 or height <= 0:
        return 0.0
    return float(subject.covers((left, top, width, height)).mean())


def tops(box: Xyxy, head: Head) -> bool:
    """True when the head lies in the box and at its top."""
    return share_inside(head.box, box) >= 0.8 and abs(head.box[1] - box[1]) < 0.4 * head.height


def off_top(box: Xyxy, head: Head) -> float:
    """How far, in heads, a head is from the middle of a box's upper side."""
    aside = abs((head.box[0] + head.box[2]) - (box[0] + box[2])) / 2
    return (aside + abs(head.box[1] - box[1])) / max(head.height, 1.0)


def heads_in_mask(subject: Subject, heads: Sequence[Head]) -> tuple[Head, ...]:
    """The heads half of whose middle a mask holds. One under 0.12 of the tallest is a picture on a shirt."""
    inside = [head for head in heads if covered_centre(subject, head.box) >= 0.5]
    tallest = max((head.height for head in inside), default=0.0)
    return tuple(head for head in inside if head.height >= 0.12 * tallest)


def shared_area(cut: CutOut, other: Subject) -> int:
    """Pixels that another subject's mask has in common with the cut-out's."""
    x, y, width, height = cut.window
    left, top = max(x, other.row.x), max(y, other.row.y)
    right = min(x + width, other.row.x + other.row.width)
    bottom = min(y + height, other.row.y + other.row.height)
    if right <= left or bottom <= top:
        return 0
    own = cut.mask[top - y : bottom - y, left - x : right - x]
    return int(np.count_nonzero(own & other.covers((left, top, right - left, bottom - top))))


def make_subject(image: RgbImage, row: Mask, detection: Detection) -> Subject:
    """A subject of the frame. Raises ValueError when the mask lies outside the frame."""
    if row.x + row.width > image.shape[1] or row.y + row.height > image.shape[0]:
        raise ValueError(
            f"mask {row.detection_id} ends at {row.x + row.width}, {row.y + row.height}, outside its frame of "
            f"{image.shape[1]} x {image.shape[0]}: frame and mask do not belong together"
        )
    return Subject(row, detection, mask_pixels(row))


def make_cutout(image: RgbImage, subject: Subject, heads: tuple[Head, ...], others: Sequence[Subject]) -> CutOut:
    """The cut-out of a subject in its frame (HxWx3), with the frame's heads and its other subjects."""
    row, pixels = subject.row, subject.pixels
    x, y, width, height = mask_bounds(pixels) or (0, 0, row.width, row.height)
    mask = pixels[y : y + height, x : x + width]
    window = (row.x + x, row.y + y, width, height)
    colour = image[window[1] : window[1] + height, window[0] : window[0] + width]
    grey = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.uint8)
    counts = cv2.calcHist([grey], [0], mask.astype(np.uint8), [256], [0, 256])
    return CutOut(
        image=image,
        subject=subject,
        window=window,
        mask=mask,
        colour=colour,
        grey=grey,
        histogram=np.asarray(counts).reshape(-1).astype(np.int64),
        area=int(np.count_nonzero(mask)),
        heads=heads,
        inside=heads_in_mask(subject, heads),
        others=tuple(others),
        sides={name: _side(image, mask, window, turns) for turns, name in enumerate(SIDES)},
    )


def _side(image: RgbImage, mask: BoolMask, window: Window, turns: int) -> Side:
    """The side of the mask that comes to the left after `turns` quarter turns to the left: SIDES[turns]."""
    turned, picture = np.rot90(mask, turns), np.rot90(image, turns)
    x, y, width, height = window
    frame_height, frame_width = image.shape[:2]
    left, top = (
        (x, y),
        (y, frame_width - x - width),
        (frame_width - x - width, frame_height - y - height),
        (frame_height - y - height, x),
    )[turns]
    reach = max(2, round(0.01 * turned.shape[1]))
    touching: BoolMask = np.any(turned[:, :reach], axis=1)
    contact = _longest_run(touching) / len(touching)
    if left <= FRAME_EDGE:
        return Side(contact, 0.0, True)
    rows = np.flatnonzero(touching) + top
    if not rows.size:
        return Side(0.0, 0.0, False)
    beyond = picture[rows, max(0, left - 6) : left - 1]
    bar = float(beyond.max()) < _BAR_LEVEL if beyond.size else False
    # The refined mask is about 9 pixels larger than the figure: the figure's own colour lies further in.
    depth = left + min(_DEPTH, turned.shape[1] // 2)
    outside = picture[rows, max(0, left - 6) : max(1, left - 1)].mean(axis=1)
    inside = picture[rows, max(left, depth - 2) : depth + 3].mean(axis=1)
    same = np.abs(outside - inside).max(axis=1) < _SAME_COLOUR
    return Side(contact, 0.0 if bar else float(same.sum()) / len(touching), bar)


def _longest_run(flags: BoolMask) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0

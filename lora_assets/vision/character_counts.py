"""How many characters are in a cut-out, and how much of its mask is a neighbour's.

What it shows of the one that it should, its head and its body, does not belong here (body_checks), nor what a value
means for the score (checks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lora_assets.vision.coco_things import THINGS
from lora_assets.vision.cutout import (
    FRAME_EDGE,
    HEAD_LABELS,
    CutOut,
    Head,
    Subject,
    Xyxy,
    box_of,
    covered_centre,
    off_top,
    once_per_cutout,
    share_inside,
    shared_area,
    tops,
)
from lora_assets.vision.masks import piece_areas

_SURE_HEAD = 0.5
_LIKE_SIZED = 0.25
_OWN_PIECE = 0.3
_CHEST_HELD, _LONE_PARTS = 0.7, 3
_PART_OF_HEAD, _DISJOINT, _DRAWN_BORDER, _EDGE_STEP = 0.04, 1.03, 0.5, 20
_SAME_BODY = 0.6


@dataclass(frozen=True, slots=True)
class Counts:
    """Characters in a cut-out, counted three ways: subjects whose masks it swallows (itself included), pieces of its
    mask that are each large enough for a character, and heads in it. `agreed` is what they come to; 0 for a thing."""

    by_detections: int
    by_masks: int
    by_faces: int
    agreed: int


@once_per_cutout
def count_by_each(cut: CutOut) -> Counts:
    """The three counts and what they come to: the least of those above one when two of them are, or one is certain.

    Faces are certain when a second head surer than 0.5 is at least 0.25 of the tallest, detections when a swallowed
    subject has a head of its own in the cut-out beside this one's or lies in it with 80 % of its mask.
    """
    swallowed = [other for other in cut.others if _is_somebody_else(cut, other)]
    heads = _heads_of_its_own(cut)
    detections, masks, faces = 1 + len(swallowed), _large_pieces(cut), len(heads)
    if is_thing(cut) > 0.5:
        return Counts(detections, masks, faces, 0)
    several = [number for number in (detections, masks, faces) if number > 1]
    certain = [faces] if _second_head_is_sure(cut, heads) else []
    certain += [detections] if any(_is_surely_inside(cut, other) for other in swallowed) else []
    agreed = max(certain) if certain else min(several) if len(several) > 1 else 1
    return Counts(detections, masks, faces, agreed)


def count_characters(cut: CutOut) -> int:
    """The agreed number of characters inside the cut-out; 0 for a thing."""
    return count_by_each(cut).agreed


def _heads_of_its_own(cut: CutOut) -> list[Head]:
    """The heads in the cut-out but those of a neighbour whose mask holds a part of the head and most of whose body is
    elsewhere: an arm stretched out before a neighbour's face is no second face, nor is a head behind this one."""
    beside = [other for other in cut.others if shared_area(cut, other) < 0.3 * other.row.area]
    own = box_of(cut.detection)
    heads = []
    for head in cut.inside:
        if any(_is_hidden_behind(cut, head, other) for other in beside):
            continue
        theirs = [
            off_top(box_of(other.detection), head) for other in beside
            if tops(box_of(other.detection), head) and covered_centre(other, head.box) >= _PART_OF_HEAD
        ]  # fmt: skip
        if off_top(own, head) <= min(theirs, default=np.inf):
            heads.append(head)
    return heads


def _is_hidden_behind(cut: CutOut, head: Head, other: Subject) -> bool:
    """True when all that is seen of a head is another subject's: each holds a part of it, none both, with a drawn line
    between, and the cut-out has a head that is more its own and nothing of the other's."""
    own, its = covered_centre(cut.subject, head.box), covered_centre(other, head.box)
    if its < _PART_OF_HEAD or own + its > _DISJOINT:
        return False
    better = [
        each for each in cut.inside
        if covered_centre(cut.subject, each.box) > own and covered_centre(other, each.box) < _PART_OF_HEAD
    ]  # fmt: skip
    return bool(better) and _line_between(cut, other, head.box) >= _DRAWN_BORDER


def _line_between(cut: CutOut, other: Subject, box: Xyxy) -> float:
    """Share 0..1 of the border between a cut-out and another subject inside a box that a drawn edge (20 levels within
    two pixels) runs along; 0 where they do not meet within three pixels."""
    width, height = cut.frame_size
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    window = (left, top, min(width, int(box[2]) + 1) - left, min(height, int(box[3]) + 1) - top)
    if min(window[2:]) < 5:
        return 0.0
    near = cv2.dilate(other.covers(window).view(np.uint8), np.ones((7, 7), np.uint8)) > 0
    border = cut.subject.covers(window) & near
    if not border.any():
        return 0.0
    grey = cv2.cvtColor(cut.image[top : top + window[3], left : left + window[2]], cv2.COLOR_RGB2GRAY)
    square = np.ones((5, 5), np.uint8)
    return float((cv2.subtract(cv2.dilate(grey, square), cv2.erode(grey, square)) >= _EDGE_STEP)[border].mean())


def _second_head_is_sure(cut: CutOut, heads: Sequence[Head]) -> bool:
    sizes = [_size_of(cut, head) for head in heads]
    sure = [head for head, size in zip(heads, sizes, strict=True) if size >= _LIKE_SIZED * max(sizes)]
    return len(sure) > 1 and sorted(head.confidence for head in sure)[-2] >= _SURE_HEAD


def _size_of(cut: CutOut, head: Head) -> float:
    """The height of a head in pixels; of one that the frame cuts off, the longer side of what is left of it if that is
    more."""
    (x1, y1, x2, y2), (width, height) = head.box, cut.frame_size
    is_cut_off = min(x1, y1, width - x2, height - y2) <= FRAME_EDGE
    return max(head.height, x2 - x1, y2 - y1) if is_cut_off else head.height


def _is_surely_inside(cut: CutOut, other: Subject) -> bool:
    return shared_area(cut, other) >= 0.8 * other.row.area


def _is_somebody_else(cut: CutOut, other: Subject) -> bool:
    """Another subject most of whose mask is swallowed, with evidence that it is somebody else: the cut-out's own head
    is elsewhere, or neither of the two boxes is part of the other. A swallowed mask may be a second box of the body.
    """
    if other.row.area < max(64, 0.05 * cut.area) or other.detection.label.lower() in HEAD_LABELS:
        return False
    if shared_area(cut, other) < 0.5 * other.row.area:
        return False
    if cut.inside and all(covered_centre(other, head.box) < 0.3 for head in cut.inside):
        return other.row.area < 0.8 * cut.area
    own, its = box_of(cut.detection), box_of(other.detection)
    return max(share_inside(its, own), share_inside(own, its)) < 0.7


def _large_pieces(cut: CutOut) -> int:
    """Pieces of the mask of at least 0.3 of the largest one's pixels."""
    if not cut.area:
        return 0
    areas = piece_areas(cut.mask)
    return int(np.count_nonzero(areas >= _OWN_PIECE * areas.max()))


def neighbour_share(cut: CutOut) -> float:
    """Largest share 0..1 of the mask that belongs to somebody else: what one other subject's mask has too (boxes of the
    same body left out), or the body below a head that neither this mask nor any other subject's box holds."""
    if not cut.area:
        return 0.0
    shared = [
        shared_area(cut, other) for other in cut.others
        if other.row.area and shared_area(cut, other) < 0.7 * cut.area and not _is_same_body(cut, other)
    ]  # fmt: skip
    return max([*shared, *_bodies_of_lone_heads(cut)], default=0) / cut.area


def _bodies_of_lone_heads(cut: CutOut) -> list[int]:
    """Pixels of the mask in the body (as wide as the head, three heads high) of each head that is outside of it while
    another one is in it, where the mask holds at least 0.7 of one of the three parts and the head lies in no other
    subject's box."""
    found = []
    for head in cut.heads if cut.inside else ():
        if head in cut.inside or covered_centre(cut.subject, head.box) > 0.2:
            continue
        if any(share_inside(head.box, box_of(other.detection)) >= 0.5 for other in cut.others):
            continue
        x1, _, x2, y2 = head.box
        # Further below than the chest, what lies under two heads may be either's.
        parts = 1 if any(own.box[0] < x2 and x1 < own.box[2] for own in cut.inside) else _LONE_PARTS
        wide, tall = max(1, int(x2 - x1)), max(1, int(head.height))
        rows = range(int(y2), min(int(y2) + parts * tall, cut.frame_size[1] - tall // 4), tall)
        held = [cut.subject.covers((int(x1), top, wide, min(tall, cut.frame_size[1] - top))) for top in rows]
        found.append(sum(int(np.count_nonzero(part)) for part in held if part.mean() >= _CHEST_HELD))
    return found


def _is_same_body(cut: CutOut, other: Subject) -> bool:
    """The other subject holds this one's head, or lies in its box and most of it in its mask, without a head of its own
    elsewhere."""
    if cut.inside and other.pixels.any():
        own = max(cut.inside, key=lambda head: share_inside(head.box, box_of(cut.detection)))
        if covered_centre(other, own.box) >= 0.3:
            return True
    if shared_area(cut, other) < _SAME_BODY * other.row.area:
        return False
    beside = [head for head in cut.heads if covered_centre(other, head.box) >= 0.5]
    return not beside and share_inside(box_of(other.detection), box_of(cut.detection)) >= 0.9


def is_thing(cut: CutOut) -> float:
    """1 when the label is a COCO class of things and no head lies in the cut-out, else 0. Unknown labels pass."""
    label = cut.detection.label.strip().lower().replace(" ", "_")
    return 1.0 if label in THINGS and not cut.inside else 0.0

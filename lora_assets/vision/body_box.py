"""Body boxes: from a head or a face by proportions, from key points, and the proportions that a dataset shows.

What belongs elsewhere: finding heads, faces and key points (detect), joining the boxes of several detectors (fusion).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lora_assets.vision.boxes import FloatArray, FoundBox, clip_boxes, inside_share, xyxy_of

PERSON, HEAD, FACE = "person", "head", "face"
DETECTED, FROM_HEAD, FROM_FACE = "detected", "expanded_from_head", "expanded_from_face"
FROM_KEY_POINTS, FROM_SAM, FROM_EDGES = "key_points", "sam", "edges"
FACE_TO_BODY = "+face_to_body"

LEAST_PAIRS = 20
_INSIDE_SHARE = 0.5
SURE_POINT = 0.5
_GROWN = 1.05
_BORDER_SHARE = 0.01
_TOP_REACH = 0.5
_PART_SHARE = 0.8
_HEAD_POINTS = slice(0, 5)
_SHOULDERS, _HIPS, _ANKLES = slice(5, 7), slice(11, 13), slice(15, 17)
_HEADS_SHOULDER_TO_HIP = 2.5
_HEADS_OVER_EYES, _HEADS_UNDER_ANKLES, _HEADS_BESIDE = 0.6, 0.4, 0.3


@dataclass(frozen=True, slots=True)
class Proportions:
    """A body in heads: how high and how wide it is, and which share of a head's height a face box has."""

    body_heads: float = 6.5
    body_width_heads: float = 2.5
    face_in_head: float = 0.75


def expanded_box(xyxy: FloatArray, label: str, proportions: Proportions) -> FloatArray:
    """The body box (4,) of one face or head box (4,), not yet clipped.

    The unit is the height of the head: the head box itself, or the face box / `face_in_head`, which ends at the same
    chin. The top of the head and the middle of the box stay where they are.
    """
    x1, y1, x2, y2 = xyxy
    head = (y2 - y1) / (proportions.face_in_head if label == FACE else 1.0)
    top, middle = y2 - head, (x1 + x2) / 2
    half = proportions.body_width_heads * head / 2
    return np.array([middle - half, top, middle + half, top + proportions.body_heads * head])


def clipped(xyxy: FloatArray, width: int, height: int) -> tuple[FloatArray, float]:
    """The part of a box (4,) inside the frame, and the share of its area outside: 1 for a box without area inside."""
    inside = clip_boxes(xyxy[None], width, height)[0]
    area = float((xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]))
    kept = float((inside[2] - inside[0]) * (inside[3] - inside[1]))
    return inside, float(np.clip(1.0 - kept / area, 0.0, 1.0)) if area > 0 else 1.0


def is_body_label(label: str, subject_labels: Sequence[str]) -> bool:
    """True for persons and for subjects that are no heads or faces."""
    return label == PERSON or (label in subject_labels and label not in (HEAD, FACE))


def add_bodies(
    boxes: Sequence[FoundBox],
    proportions: Proportions,
    width: int,
    height: int,
    subject_labels: Sequence[str] = (PERSON,),
) -> list[FoundBox]:
    """The boxes, and after them a body box for each head or face that lies less than half inside any body.

    A face inside a head box is the same character: the head makes the body. A made body gets the first subject label
    that is no head or face.
    """
    persons = xyxy_of([box for box in boxes if is_body_label(box.label, subject_labels)])
    body_label = next((label for label in subject_labels if is_body_label(label, subject_labels)), PERSON)
    heads = xyxy_of([box for box in boxes if box.label == HEAD])
    made: list[FoundBox] = []
    for box in boxes:
        if box.label not in (HEAD, FACE):
            continue
        holders = persons if box.label == HEAD else np.concatenate([persons, heads])
        corners = np.array(box.xyxy)
        if (inside_share(corners[None], holders) >= _INSIDE_SHARE).any():
            continue
        body, outside = clipped(expanded_box(corners, box.label, proportions), width, height)
        if body[2] <= body[0] or body[3] <= body[1]:
            continue
        winner, *rest = box.votes
        made.append(
            FoundBox(
                xyxy=(float(body[0]), float(body[1]), float(body[2]), float(body[3])),
                confidence=box.confidence,
                label=body_label,
                votes=((winner[0] + FACE_TO_BODY, winner[1]), *rest),
                body_from=FROM_HEAD if box.label == HEAD else FROM_FACE,
                outside_share=outside,
                heads_high=proportions.body_heads,
            )
        )
    return [*boxes, *made]


def join_same_bodies(boxes: Sequence[FoundBox]) -> list[FoundBox]:
    """The boxes without bodies that are parts of others: a half body that another detector found beside the whole one.

    Of two bodies of different detectors the smaller is a part of the larger when 0.8 of it lies inside, the larger
    holds one head at most (two are two characters), and the smaller holds no other head. The larger box stays; the
    detectors of the smaller one become votes for it. Heads count, or faces where there are no heads.
    """
    bodies = [number for number, box in enumerate(boxes) if box.body_from is not None]
    heads = xyxy_of([box for box in boxes if box.label == HEAD]) if bodies else np.zeros((0, 4))
    if not len(heads) and bodies:
        heads = xyxy_of([box for box in boxes if box.label == FACE])
    held = {
        number: frozenset(np.flatnonzero(inside_share(heads, np.array(boxes[number].xyxy)[None])[:, 0] >= 0.5).tolist())
        for number in bodies
    }
    kept = dict(enumerate(boxes))
    corners = xyxy_of(boxes)
    shares = inside_share(corners, corners)
    for small in sorted(bodies, key=lambda number: _area(boxes[number])):
        for large in sorted(bodies, key=lambda number: -_area(boxes[number])):
            if shares[small, large] < _PART_SHARE:
                continue
            if small == large or small not in kept or large not in kept or _area(boxes[small]) > _area(boxes[large]):
                continue
            names = {name for name, _ in kept[small].votes}
            if names & {name for name, _ in kept[large].votes} or len(held[large]) > 1 or held[small] - held[large]:
                continue
            part = kept.pop(small)
            kept[large] = replace(
                kept[large],
                votes=kept[large].votes + part.votes,
                confidence=max(kept[large].confidence, part.confidence),
                key_points=part.key_points if kept[large].key_points is None else kept[large].key_points,
            )
    return list(kept.values())


def _area(box: FoundBox) -> float:
    x1, y1, x2, y2 = box.xyxy
    return (x2 - x1) * (y2 - y1)


# --- key points ------------------------------------------------------------------------------------------------------


def key_point_box(points: FloatArray) -> FloatArray | None:
    """The box (4,) that holds the sure key points (17,3) with margins; None when fewer than four are surer than 0.5.

    The unit of the margins is a head: shoulder to hip is 2.5 heads, or the points' height is 6. Eyes lie 0.6 heads
    under the top, ankles 0.4 heads over the ground, joints 0.3 heads inside the outline (figures of drawing books).
    """
    sure = points[:, 2] >= SURE_POINT
    if sure.sum() < 4:
        return None
    low, high = points[sure, :2].min(axis=0), points[sure, :2].max(axis=0)
    head = float(high[1] - low[1]) / 6
    if sure[_SHOULDERS].any() and sure[_HIPS].any():
        shoulder = points[_SHOULDERS][sure[_SHOULDERS], :2].mean(axis=0)
        hip = points[_HIPS][sure[_HIPS], :2].mean(axis=0)
        head = float(np.hypot(*(hip - shoulder))) / _HEADS_SHOULDER_TO_HIP
    over = _HEADS_OVER_EYES if sure[_HEAD_POINTS].any() else _HEADS_BESIDE
    under = _HEADS_UNDER_ANKLES if sure[_ANKLES].any() else _HEADS_BESIDE
    side = _HEADS_BESIDE * head
    return np.array([low[0] - side, low[1] - over * head, high[0] + side, high[1] + under * head])


def grow_by_key_points(box: FoundBox, width: int, height: int) -> FoundBox:
    """The box grown to hold its key points; `body_from` is key_points when it became more than 5 % larger."""
    around = None if box.key_points is None else key_point_box(box.key_points)
    if around is None:
        return box
    own = np.array(box.xyxy)
    joined = np.concatenate([np.minimum(own[:2], around[:2]), np.maximum(own[2:], around[2:])])
    body, outside = clipped(joined, width, height)
    before, after = (float((b[2] - b[0]) * (b[3] - b[1])) for b in (own, body))
    if after <= _GROWN * before:
        return box
    corners = (float(body[0]), float(body[1]), float(body[2]), float(body[3]))
    return replace(box, xyxy=corners, body_from=FROM_KEY_POINTS, outside_share=outside)


# --- the dataset's own proportions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """Boxes found in one frame of `width` x `height` pixels: xyxy (N,4) and labels. Made bodies do not belong here."""

    xyxy: FloatArray
    labels: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FittedProportions:
    """Proportions with the numbers of pairs behind each; a number without enough pairs is the start value."""

    proportions: Proportions
    height_pairs: int
    width_pairs: int
    face_pairs: int


def fit_proportions(
    frames: Iterable[FrameBoxes], start: Proportions, least_pairs: int = LEAST_PAIRS
) -> FittedProportions:
    """What the frames show of heads and bodies: medians over the pairs, in quarter heads and twentieths of a head.

    A pair is a body with the one head at its top, or a head with the one face in it. Heights are taken from bodies that
    no frame's edge can have cut above or below, widths from those not cut at the sides. The steps keep the numbers the
    same while a dataset grows; the order of the frames does not matter.
    """
    heights: list[float] = []
    widths: list[float] = []
    faces: list[float] = []
    for frame in frames:
        labels = np.array(frame.labels, object)
        persons, heads, found = (frame.xyxy[labels == name] for name in (PERSON, HEAD, FACE))
        x, y = _BORDER_SHARE * frame.width, _BORDER_SHARE * frame.height
        for person, head in _single_pairs(persons, heads):
            unit = float(head[3] - head[1])
            if abs(head[1] - person[1]) > _TOP_REACH * unit:
                continue
            if head[1] > y and person[3] < frame.height - y:
                heights.append(float(person[3] - head[1]) / unit)
            if person[0] > x and person[2] < frame.width - x:
                widths.append(float(person[2] - person[0]) / unit)
        for head, face in _single_pairs(heads, found):
            if head[1] > y and head[3] < frame.height - y:
                faces.append(float((face[3] - face[1]) / (head[3] - head[1])))
    shown = Proportions(
        _median(heights, 0.25, 2.0, 10.0) if len(heights) >= least_pairs else start.body_heads,
        _median(widths, 0.25, 1.0, 6.0) if len(widths) >= least_pairs else start.body_width_heads,
        _median(faces, 0.05, 0.3, 1.0) if len(faces) >= least_pairs else start.face_in_head,
    )
    return FittedProportions(shown, len(heights), len(widths), len(faces))


def _single_pairs(outer: FloatArray, inner: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Each outer box with the one inner box that lies half in it; those with none or several are left out."""
    shares = inside_share(inner, outer)
    for number, box in enumerate(outer):
        inside = inner[shares[:, number] >= _INSIDE_SHARE]
        if len(inside) == 1 and inside[0, 3] > inside[0, 1]:
            yield box, inside[0]


def _median(values: Sequence[float], step: float, low: float, high: float) -> float:
    median = float(np.clip(np.median(np.array(values)), low, high))
    return round(round(median / step) * step, 2)

"""Boxes as arrays, and the arithmetic on them: areas, overlaps, clipping, non-maximum suppression.

Boxes are xyxy float64 pixels of the upright full frame, x right, y down, x2 and y2 exclusive. What belongs elsewhere:
what finds boxes and which of them is a subject (detect).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
KEY_POINTS = 17
"""Key points of a body in the order of COCO: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; of each
pair the left one first."""


def _no_key_points() -> FloatArray:
    return np.zeros((0, KEY_POINTS, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes of one frame. xyxy (N,4) float64 pixels, confidence (N,) from 0 to 1, a label and a detector each.

    key_points: (N,17,3), x and y in pixels and a confidence each; (0,17,3) means that no box has any, and a box whose
    points all have confidence 0 has none. dropped: boxes that the detector gave and that had no finite place or no
    area. Raises ValueError when the parts differ in length, a number is NaN or infinite, a box is turned inside out,
    or a confidence lies outside 0 to 1.
    """

    xyxy: FloatArray
    confidence: FloatArray
    labels: tuple[str, ...]
    detectors: tuple[str, ...]
    key_points: FloatArray = field(default_factory=_no_key_points)
    dropped: int = 0

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.xyxy.shape != (count, 4) or self.confidence.shape != (count,) or len(self.detectors) != count:
            raise ValueError(
                f"boxes {self.xyxy.shape}, confidences {self.confidence.shape}, {count} labels and "
                f"{len(self.detectors)} detectors do not belong together: give one of each for every box"
            )
        check_xyxy(self.xyxy)
        if not (np.isfinite(self.confidence) & (self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ValueError(f"a confidence lies outside 0 to 1: {self.confidence.tolist()}")
        if self.key_points.shape[1:] != (KEY_POINTS, 3) or len(self.key_points) not in (0, count):
            raise ValueError(f"key points must be of shape ({count}, {KEY_POINTS}, 3), not {self.key_points.shape}")
        if not np.isfinite(self.key_points).all():
            raise ValueError("a key point holds a NaN or an infinite number")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: IndexArray | Sequence[int]) -> Boxes:
        """The boxes at these positions, in this order."""
        order = np.asarray(index, np.int64)
        return Boxes(
            self.xyxy[order],
            self.confidence[order],
            tuple(self.labels[i] for i in order),
            tuple(self.detectors[i] for i in order),
            self.key_points[order] if len(self.key_points) else self.key_points,
            self.dropped,
        )

    def points(self) -> FloatArray:
        """Key points (N,17,3) of every box, zeros where a box has none."""
        return self.key_points if len(self.key_points) else np.zeros((len(self), KEY_POINTS, 3))


def no_boxes(dropped: int = 0) -> Boxes:
    """Boxes of a frame in which nothing was found."""
    return Boxes(np.zeros((0, 4)), np.zeros(0), (), (), dropped=dropped)


@dataclass(frozen=True, slots=True, eq=False)
class FoundBox:
    """One box after fusion. xyxy in pixels inside the frame, confidence 0 to 1.

    votes: the detectors that found it with their own confidences, the winner first. key_points: (17,3) or None.
    body_from: how a body box came about (see body_box), None for a box that is no body. outside_share: share of the
    box that lay outside the frame before it was clipped. heads_high: the proportions that an expanded box was made
    with, in heads; None for others. prepared: found only after the frame's contrast was raised.
    """

    xyxy: tuple[float, float, float, float]
    confidence: float
    label: str
    votes: tuple[tuple[str, float], ...]
    key_points: FloatArray | None = None
    body_from: str | None = None
    outside_share: float = 0.0
    heads_high: float | None = None
    prepared: bool = False


def xyxy_of(boxes: Sequence[FoundBox]) -> FloatArray:
    """The boxes as an array (N,4)."""
    return np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)


def join_boxes(parts: Sequence[Boxes]) -> Boxes:
    """All boxes of several finds, in order."""
    if not parts:
        return no_boxes()
    return Boxes(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        tuple(label for part in parts for label in part.labels),
        tuple(detector for part in parts for detector in part.detectors),
        np.concatenate([part.points() for part in parts])
        if any(len(p.key_points) for p in parts)
        else _no_key_points(),
        sum(part.dropped for part in parts),
    )


def check_xyxy(xyxy: npt.NDArray[np.floating]) -> None:
    """Raise ValueError unless `xyxy` is (N,4), finite, with x1 <= x2 and y1 <= y2."""
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        raise ValueError(f"boxes must be an array of shape (N, 4), not {xyxy.shape}")
    if not np.isfinite(xyxy).all():
        row = int(np.flatnonzero(~np.isfinite(xyxy).all(axis=1))[0])
        raise ValueError(f"box {row} holds a NaN or an infinite number: {xyxy[row].tolist()}")
    turned = (xyxy[:, 2] < xyxy[:, 0]) | (xyxy[:, 3] < xyxy[:, 1])
    if turned.any():
        row = int(np.flatnonzero(turned)[0])
        raise ValueError(f"box {row} is turned inside out (x1 <= x2 and y1 <= y2 must hold): {xyxy[row].tolist()}")


def box_area(xyxy: FloatArray) -> FloatArray:
    """Areas in square pixels, (..., 4) -> (...)."""
    return (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])


def intersection_area(a: FloatArray, b: FloatArray) -> FloatArray:
    """Area of every intersection, (N,4) and (M,4) -> (N,M), square pixels."""
    return _paired_intersection(a[:, None], b[None])


def _paired_intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.clip(high - low, 0.0, None).prod(axis=-1)


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union, (N,4) and (M,4) -> (N,M), 0 to 1; 0 where both boxes are empty."""
    return paired_iou(a[:, None], b[None])


def paired_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """As `box_iou`, but of each box with the one in its own place: (..., 4) and (..., 4) -> (...), broadcast."""
    common = _paired_intersection(a, b)
    union = box_area(a) + box_area(b) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def inside_share(a: FloatArray, b: FloatArray) -> FloatArray:
    """Share of each box of `a` that lies inside each box of `b`, (N,4) and (M,4) -> (N,M), 0 to 1."""
    common = intersection_area(a, b)
    area = np.broadcast_to(box_area(a)[:, None], common.shape)
    return np.divide(common, area, out=np.zeros_like(common), where=area > 0)


def clip_boxes(xyxy: FloatArray, width: int, height: int) -> FloatArray:
    """The parts of the boxes that lie inside a frame; a box outside becomes an empty one on the frame's edge."""
    return np.clip(xyxy, 0.0, np.array([width, height, width, height], np.float64))


def non_maximum_suppression(
    xyxy: FloatArray, confidence: FloatArray, groups: npt.NDArray[np.integer], iou: float
) -> IndexArray:
    """Positions of the boxes that stay, most sure first: of boxes of one group that overlap by more than `iou`, the
    most sure. Ties keep the order given. Greedy, as in Felzenszwalb et al. 2010 and every YOLO since."""
    order = np.argsort(-confidence, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        overlaps = box_iou(xyxy[best : best + 1], xyxy[rest])[0]
        order = rest[(overlaps <= iou) | (groups[rest] != groups[best])]
    return np.array(kept, np.int64)

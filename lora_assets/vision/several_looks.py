"""Test-time augmentation: one detector looks at a frame several times, at other sizes and mirrored, as one answer.

A detector that was trained for a short time errs in another way each time, and is right in the same way. What belongs
elsewhere: boxes of several detectors (fusion, by whose arithmetic the looks are joined), opening weights (yolo,
yolo_onnx).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.vision.boxes import KEY_POINTS, Boxes, FloatArray
from lora_assets.vision.fusion import weighted_boxes_fusion

MIRRORED = "mirrored"
LEAST_SIDE, LARGEST_SIDE = 64, 4096
_UNSURE = 0.2
"""A look tells boxes from this share of the asked confidence on: what one look doubts, the others may know."""

# COCO's points in a mirrored picture: left and right change places.
_MIRRORED_POINTS = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


@dataclass(frozen=True, slots=True)
class Look:
    """One way to look at a frame: the longer side of the input in pixels, and whether the frame is mirrored."""

    side: int
    mirrored: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FoundBoxes:
    """Boxes (N,4) float64 in frame pixels, confidence (N,), class number (N,); most sure first. A pose model of 17 key
    points tells them too, (N,17,3): x, y in frame pixels, confidence; None for other models."""

    xyxy: FloatArray
    confidence: FloatArray
    classes: npt.NDArray[np.int64]
    key_points: FloatArray | None = None


Find = Callable[[npt.NDArray[np.uint8], int, float], FoundBoxes]
"""A uint8 RGB frame, the longer side of the input and the least confidence in; boxes out."""


def read_look(text: str) -> Look:
    """The look that "448" or "448 mirrored" names. Raises ValueError for anything else."""
    side, _, way = text.partition(" ")
    if not side.isascii() or not side.isdigit() or way not in ("", MIRRORED):
        raise ValueError(f'a look is a side in pixels, "448", or "448 {MIRRORED}", not {text!r}')
    if not LEAST_SIDE <= int(side) <= LARGEST_SIDE:
        raise ValueError(f"a look has a side of {LEAST_SIDE} to {LARGEST_SIDE} pixels, not {side}")
    return Look(int(side), way == MIRRORED)


def look_several_times(
    find: Find,
    looks: Sequence[Look],
    conf: float,
    iou: float,
    max_det: int,
) -> Callable[[npt.NDArray[np.uint8]], FoundBoxes]:
    """`find` as a function of the frame alone, answering what all `looks` together find.

    Boxes of one class that overlap by more than `iou` are one thing. Its corners are the means of its boxes' corners by
    confidence, and its confidence is the sum of the looks' confidences over the number of looks (weighted box fusion as
    published: a thing that one look of three finds is a third as sure). Kept are the `max_det` surest from `conf` on.
    """

    def answer(image: npt.NDArray[np.uint8]) -> FoundBoxes:
        if len(looks) == 1 and not looks[0].mirrored:
            return find(image, looks[0].side, conf)
        finds, points_told = [], False
        for number, look in enumerate(looks):
            seen = np.ascontiguousarray(image[:, ::-1]) if look.mirrored else image
            found = find(seen, look.side, conf * _UNSURE)
            if look.mirrored:
                found = _mirrored(found, image.shape[1])
            points_told = points_told or found.key_points is not None
            finds.append(_as_boxes(found, number))
        things = weighted_boxes_fusion(finds, [1.0] * len(finds), iou)
        together = [(sum(confidence for _, confidence in thing.votes) / len(looks), thing) for thing in things]
        sure = sorted((pair for pair in together if pair[0] > conf), key=lambda pair: -pair[0])[:max_det]
        points = [np.zeros((KEY_POINTS, 3)) if t.key_points is None else t.key_points for _, t in sure]
        return FoundBoxes(
            np.array([thing.xyxy for _, thing in sure], np.float64).reshape(-1, 4),
            np.array([confidence for confidence, _ in sure], np.float64),
            np.array([int(thing.label) for _, thing in sure], np.int64),
            np.array(points, np.float64).reshape(-1, KEY_POINTS, 3) if points_told else None,
        )

    return answer


def _mirrored(found: FoundBoxes, width: int) -> FoundBoxes:
    xyxy = found.xyxy.copy()
    xyxy[:, [0, 2]] = width - found.xyxy[:, [2, 0]]
    points = found.key_points
    if points is not None:
        points = points[:, _MIRRORED_POINTS].copy()
        points[..., 0] = width - points[..., 0]
    return FoundBoxes(xyxy, found.confidence, found.classes, points)


def _as_boxes(found: FoundBoxes, look: int) -> Boxes:
    """The boxes of one look that have a place and an area; its number stands for a detector's name."""
    fit = np.isfinite(found.xyxy).all(axis=1) & np.isfinite(found.confidence)
    fit &= (found.xyxy[:, 2:] > found.xyxy[:, :2]).all(axis=1)
    index = np.flatnonzero(fit)
    points = np.zeros((0, KEY_POINTS, 3))
    if found.key_points is not None:
        points = found.key_points[index].copy()
        points[~np.isfinite(points).all(axis=2)] = 0.0
    labels = tuple(str(number) for number in found.classes[index])
    confidence = np.clip(found.confidence[index], 0.0, 1.0)
    return Boxes(found.xyxy[index], confidence, labels, (str(look),) * len(index), points if len(index) else points[:0])

"""Scores of boxes against the truth of drawn frames: recall, precision, average precision.

Pure functions on arrays. Running a model, and saying which true boxes nobody asks for, belongs to the callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.vision.boxes import box_iou


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """Boxes of one label in one frame: what a detector found (with confidences 0 to 1) and what is true, Nx4 xyxy.

    `ignored` marks true boxes that nobody asks for (too small, or hidden): not found they are not missed, and found
    they are not false. None ignores nothing.
    """

    found: np.ndarray
    confidences: np.ndarray
    true: np.ndarray
    ignored: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """Shares 0 to 1 over many frames: recall and precision at one confidence, average precision over all."""

    recall: float
    precision: float
    average_precision: float
    true_boxes: int
    found_boxes: int


def matched(
    found: np.ndarray,
    confidences: np.ndarray,
    true: np.ndarray,
    least_iou: float,
    ignored: np.ndarray | None = None,
) -> np.ndarray:
    """For every found box the index of the true box that it answers, or -1.

    The most confident box takes the best free true box with IoU >= `least_iou`; each true box is given once. True boxes
    that are `ignored` (bool N) are taken only where no other fits, and by as many boxes as like (Lin et al., "Microsoft
    COCO", 2014, as in the evaluation code of pycocotools).
    """
    answers = np.full(len(found), -1)
    asked = np.ones(len(true), bool) if ignored is None else ~ignored
    overlaps = box_iou(*(boxes.reshape(-1, 4).astype(np.float64) for boxes in (found, true)))
    for index in np.argsort(-confidences, kind="stable"):
        for choice in (asked, ~asked):
            among = np.where(choice, overlaps[index], -1.0)
            if answers[index] < 0 and len(true) and among.max() >= least_iou:
                answers[index] = int(among.argmax())
        if answers[index] >= 0 and asked[answers[index]]:
            overlaps[:, answers[index]] = -1.0
    return answers


def score_boxes(frames: Sequence[FoundBoxes], least_iou: float = 0.5, least_confidence: float = 0.25) -> DetectionScore:
    """Score one label over many frames.

    Recall and precision count the boxes with at least `least_confidence`; average precision is the area under the
    precision envelope over all recalls (Everingham et al., PASCAL VOC 2010 rule).
    """
    judged = [_judged(frame, least_iou) for frame in frames]
    confidences = np.concatenate([confidence for confidence, _ in judged] or [np.zeros(0)])
    right = np.concatenate([hit for _, hit in judged] or [np.zeros(0, bool)])
    count = sum(len(frame.true) - _ignored_count(frame) for frame in frames)
    sure = confidences >= least_confidence
    hits = int(np.count_nonzero(right & sure))
    return DetectionScore(
        recall=hits / count if count else 1.0,
        precision=hits / int(np.count_nonzero(sure)) if sure.any() else 1.0,
        average_precision=_average_precision(confidences, right, count),
        true_boxes=count,
        found_boxes=int(np.count_nonzero(sure)),
    )


def _judged(frame: FoundBoxes, least_iou: float) -> tuple[np.ndarray, np.ndarray]:
    """Confidence, and whether right, of every found box but those that answer an ignored true box."""
    answers = matched(frame.found, frame.confidences, frame.true, least_iou, frame.ignored)
    counts = np.ones(len(answers), bool)
    if frame.ignored is not None and len(frame.true):
        counts = (answers < 0) | ~frame.ignored[answers]
    return frame.confidences[counts], answers[counts] >= 0


def _ignored_count(frame: FoundBoxes) -> int:
    return 0 if frame.ignored is None else int(np.count_nonzero(frame.ignored))


def _average_precision(confidences: np.ndarray, right: np.ndarray, count: int) -> float:
    if count == 0 or len(right) == 0:
        return 1.0 if count == len(right) else 0.0
    hits = np.cumsum(right[np.argsort(-confidences, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits, prepend=0) / count
    return float((envelope * steps).sum())

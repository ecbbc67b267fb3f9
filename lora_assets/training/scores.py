"""Scores of boxes and masks against the truth of drawn frames: recall, precision, average precision, mask IoU.

Pure functions on arrays; running a model belongs to the callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """Boxes of one label in one frame: what a detector found (with confidences 0 to 1) and what is true, Nx4 xyxy."""

    found: np.ndarray
    confidences: np.ndarray
    true: np.ndarray


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """Shares 0 to 1 over many frames: recall and precision at one confidence, average precision over all."""

    recall: float
    precision: float
    average_precision: float
    true_boxes: int
    found_boxes: int


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of xyxy boxes, float NxM in 0..1."""
    first, second = first.reshape(-1, 1, 4).astype(float), second.reshape(1, -1, 4).astype(float)
    overlap = np.clip(
        np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2]), 0, None
    )
    shared = overlap.prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def matched(found: np.ndarray, confidences: np.ndarray, true: np.ndarray, least_iou: float) -> np.ndarray:
    """For every found box the index of the true box that it answers, or -1.

    The most confident box takes the best free true box with IoU >= `least_iou`; each true box is given once.
    """
    answers = np.full(len(found), -1)
    overlaps = pairwise_iou(found, true)
    for index in np.argsort(-confidences, kind="stable"):
        if len(true) == 0:
            break
        best = int(np.argmax(overlaps[index]))
        if overlaps[index, best] >= least_iou:
            answers[index] = best
            overlaps[:, best] = -1.0
    return answers


def score_boxes(frames: Sequence[FoundBoxes], least_iou: float = 0.5, least_confidence: float = 0.25) -> DetectionScore:
    """Score one label over many frames.

    Recall and precision count the boxes with at least `least_confidence`; average precision is the area under the
    precision envelope over all recalls (Everingham et al., PASCAL VOC 2010 rule).
    """
    confidences = np.concatenate([frame.confidences for frame in frames] or [np.zeros(0)])
    right = np.concatenate(
        [matched(frame.found, frame.confidences, frame.true, least_iou) >= 0 for frame in frames] or [np.zeros(0, bool)]
    )
    count = sum(len(frame.true) for frame in frames)
    sure = confidences >= least_confidence
    hits = int(np.count_nonzero(right & sure))
    return DetectionScore(
        recall=hits / count if count else 1.0,
        precision=hits / int(np.count_nonzero(sure)) if sure.any() else 1.0,
        average_precision=_average_precision(confidences, right, count),
        true_boxes=count,
        found_boxes=int(np.count_nonzero(sure)),
    )


def mask_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two bool masks, 0..1; 1 when both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _average_precision(confidences: np.ndarray, right: np.ndarray, count: int) -> float:
    if count == 0 or len(right) == 0:
        return 1.0 if count == len(right) else 0.0
    hits = np.cumsum(right[np.argsort(-confidences, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits, prepend=0) / count
    return float((envelope * steps).sum())

"""Boxes of several detectors as one set: weighted box fusion.

Solovyev, Wang, Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object detection models" (Image and
Vision Computing 107, 2021). What belongs elsewhere: which detectors there are and how far each is trusted (detect),
bodies made from heads (body_box).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lora_assets.vision.boxes import Boxes, FloatArray, FoundBox, box_iou, join_boxes

SAME_OBJECT_IOU = 0.55
"""IoU above which two boxes of one label are one thing; the paper's value."""


def trust_by_rank(count: int) -> tuple[float, ...]:
    """How far detectors are trusted that are named most trusted first: 1, 1/2, 1/3, ..."""
    return tuple(1.0 / rank for rank in range(1, count + 1))


class _Cluster:
    """Boxes taken for one thing, and what they come to; `box` is (4,) pixels."""

    def __init__(self, boxes: Boxes, trust: FloatArray, first: int) -> None:
        self.boxes, self.trust = boxes, trust
        self.members = [first]
        self.box = boxes.xyxy[first]

    def add(self, index: int) -> None:
        self.members.append(index)
        corners = self.boxes.xyxy[self.members]
        weight = self.trust[self.members] * self.boxes.confidence[self.members]
        if weight.sum() <= 0:
            weight = self.trust[self.members]
        mean = (weight[:, None] * corners).sum(axis=0) / weight.sum()
        # A mean of equal numbers may differ from them in its last digit, and end outside the frame.
        self.box = np.clip(mean, corners.min(axis=0), corners.max(axis=0))

    def found(self) -> FoundBox:
        weight, confidence = self.trust[self.members], self.boxes.confidence[self.members]
        mean = float(np.clip((weight * confidence).sum() / weight.sum(), confidence.min(), confidence.max()))
        votes: dict[str, float] = {}
        for index in self.members:
            name, own = self.boxes.detectors[index], float(self.boxes.confidence[index])
            votes[name] = max(own, votes.get(name, 0.0))
        points = self.boxes.points()[self.members]
        with_points = np.flatnonzero(points[..., 2].any(axis=1))
        x1, y1, x2, y2 = (float(value) for value in self.box)
        return FoundBox(
            xyxy=(x1, y1, x2, y2),
            confidence=mean,
            label=self.boxes.labels[self.members[0]],
            votes=tuple(votes.items()),
            key_points=points[with_points[0]] if len(with_points) else None,
        )


def weighted_boxes_fusion(
    finds: Sequence[Boxes], trust: Sequence[float], least_iou: float = SAME_OBJECT_IOU
) -> list[FoundBox]:
    """The things that several detectors found, surest first; `trust` holds a weight above 0 for each find.

    Boxes are taken most convincing first (trust times confidence). A box joins the thing of its label that it overlaps
    most, if by more than `least_iou`, and else is a new thing. The corners of a thing are the means of its boxes'
    corners weighted by trust times confidence, its confidence is the mean weighted by trust. Unlike the paper, a thing
    that few detectors found keeps its confidence: a face detector cannot vote for a person. The order of the finds does
    not matter. Raises ValueError when finds and trust do not belong together.
    """
    if len(finds) != len(trust) or not all(np.isfinite(weight) and weight > 0 for weight in trust):
        raise ValueError(f"{len(finds)} finds need as many weights above 0, not {list(trust)}")
    boxes = join_boxes(finds)
    weight = np.repeat(np.array(trust, np.float64), [len(find) for find in finds])
    # Every part of a box takes part in the order, so that it follows from the boxes alone.
    keys = [
        (-weight[i] * boxes.confidence[i], boxes.labels[i], *boxes.xyxy[i], boxes.detectors[i])
        for i in range(len(boxes))
    ]
    clusters: list[_Cluster] = []
    for index in sorted(range(len(boxes)), key=keys.__getitem__):
        alike = [cluster for cluster in clusters if boxes.labels[cluster.members[0]] == boxes.labels[index]]
        if alike:
            overlaps = box_iou(boxes.xyxy[index : index + 1], np.stack([cluster.box for cluster in alike]))[0]
            if overlaps.max() > least_iou:
                alike[int(overlaps.argmax())].add(index)
                continue
        clusters.append(_Cluster(boxes, weight, index))
    things = [cluster.found() for cluster in clusters]
    return sorted(things, key=lambda box: (-box.confidence, box.label, box.xyxy))

"""Detections: which weights become a detector, and the rows of a frame with its subjects marked.

A detector is a function from a frame to boxes. A frame goes through: all detectors, fused; bodies from key points,
heads and faces; where that leaves no subject, once more on the prepared frame; then the last resorts, one by one. What
belongs elsewhere: reading weights (yolo, yolo_onnx), the settings (detect_settings), and each step: fusion, body_box,
prepare, last_resort, subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lora_assets.models import ModelError, OpenWeights
from lora_assets.store import digest
from lora_assets.tables import Detection
from lora_assets.vision.body_box import (
    DETECTED,
    FACE,
    HEAD,
    PERSON,
    add_bodies,
    clipped,
    grow_by_key_points,
    is_body_label,
    join_same_bodies,
)
from lora_assets.vision.boxes import KEY_POINTS, Boxes, FoundBox, join_boxes, no_boxes
from lora_assets.vision.detect_settings import DetectSettings, looks_of
from lora_assets.vision.fusion import weighted_boxes_fusion
from lora_assets.vision.images import RgbImage
from lora_assets.vision.last_resort import EDGES, LastResort, edges_detector, load_automatic_masks
from lora_assets.vision.prepare import ENLARGE, find_enlarged, prepare
from lora_assets.vision.several_looks import FoundBoxes, read_look
from lora_assets.vision.subjects import (
    References,
    Support,
    choose_subjects,
    head_and_torso,
    support_of,
)
from lora_assets.vision.yolo import Yolo, YoloLimits, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx

__all__ = ["CODE_VERSION", "DetectSettings", "Detector", "detect_frame", "load_detector"]

CODE_VERSION = "3"

Detector = Callable[[RgbImage], Boxes]
"""A frame in, boxes in pixels of the frame out; may be called from several threads at once."""

# Boxes are told apart by hundredths of a pixel.
_LEAST_SIDE = 0.01
_SAM_FAMILIES = ("sam", "mobile-sam", "starter-sam")


# --- weights ---------------------------------------------------------------------------------------------------------


def load_detector(weights: OpenWeights, settings: DetectSettings) -> Detector:
    """The detector of these weights; Segment Anything weights become a last resort. Raises ModelError when they are no
    detector or cannot be opened.

    The function returned is safe from several threads; see `threads.one_thread_per_call` for the best speed on a CPU.
    It raises ValueError for a frame that it answers with nothing but NaN.
    """
    if weights.family in _SAM_FAMILIES:
        return load_automatic_masks(weights.path, weights.name)
    looks = tuple(read_look(look) for look in looks_of(settings, weights.sha256))
    limits = YoloLimits(settings.conf, settings.iou, settings.max_det, settings.imgsz, looks)
    if weights.family == "yolo-pt":
        yolo = load_yolo(weights.path, limits)
    elif weights.family == "yolo-onnx":
        yolo = load_yolo_onnx(weights.path, limits)
    else:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which finds no boxes: "
            "name a detector in [detect] weights, see lora-assets models list"
        )
    labels = _labels(yolo, weights, settings)

    def detect(image: RgbImage) -> Boxes:
        found = yolo.find(image)
        boxes = _as_boxes(found, labels, weights.name)
        if boxes.dropped and not np.isfinite(found.xyxy).all(axis=1).any():
            raise ValueError(f"{weights.path} answers with NaN: if it does so for every frame, fetch the weights again")
        return boxes

    return detect


def _labels(yolo: Yolo, weights: OpenWeights, settings: DetectSettings) -> tuple[str, ...]:
    roles: Mapping[str, str] = dict(settings.roles)
    for name in (weights.name, weights.path.name, weights.path.stem, str(weights.path)):
        if name in roles:
            return (roles[name],) * len(yolo.names)
    renamed, ours = dict(settings.label_names), {PERSON, HEAD, FACE}
    return tuple(renamed.get(name, name.lower() if name.lower() in ours else name) for name in yolo.names)


def _as_boxes(found: FoundBoxes, labels: tuple[str, ...], detector: str) -> Boxes:
    """Boxes with names; those that are not finite or have no area fall away and are counted."""
    fit = np.isfinite(found.xyxy).all(axis=1) & np.isfinite(found.confidence)
    index = np.flatnonzero(fit)
    index = index[(found.xyxy[index, 2:] > found.xyxy[index, :2]).all(axis=1)]
    if not len(index):
        return no_boxes(dropped=len(fit))
    named = tuple(labels[number] if number < len(labels) else f"class {number}" for number in found.classes[index])
    points = np.zeros((0, KEY_POINTS, 3))
    if found.key_points is not None:
        points = found.key_points[index].copy()
        points[~np.isfinite(points).all(axis=2)] = 0.0
    confidence = np.clip(found.confidence[index], 0.0, 1.0)
    return Boxes(found.xyxy[index], confidence, named, (detector,) * len(index), points, len(fit) - len(index))


# --- one frame -------------------------------------------------------------------------------------------------------


def find_boxes(
    finds: Sequence[Boxes], trust: Sequence[float], settings: DetectSettings, width: int, height: int
) -> tuple[list[FoundBox], int]:
    """The boxes of a frame from what its detectors found, surest first, bodies made from heads last, and how many boxes
    had to be dropped. Boxes are clipped to the frame; one without a hundredth of a pixel inside is dropped. Of all
    boxes, those of one body joined, the `keep` surest stay."""
    fitting = [boxes.take(np.flatnonzero((boxes.xyxy[:, 2:] > boxes.xyxy[:, :2]).all(axis=1))) for boxes in finds]
    dropped = sum(given.dropped + len(given) - len(fit) for given, fit in zip(finds, fitting, strict=True))
    fused: list[FoundBox] = []
    for box in weighted_boxes_fusion(fitting, trust, settings.fuse_iou):
        corners, outside = clipped(np.array(box.xyxy), width, height)
        x1, y1, x2, y2 = (float(value) for value in corners)
        if min(x2 - x1, y2 - y1) < _LEAST_SIDE:
            dropped += 1
            continue
        body_from = DETECTED if is_body_label(box.label, settings.subject_labels) else None
        fused.append(replace(box, xyxy=(x1, y1, x2, y2), outside_share=outside, body_from=body_from))
    joined = join_same_bodies([grow_by_key_points(box, width, height) for box in fused])
    # A joined body is as sure as its surest part.
    kept = sorted(joined, key=lambda box: (-box.confidence, box.label, box.xyxy))[: settings.keep]
    if settings.face_to_body:
        kept = add_bodies(kept, settings.proportions, width, height, settings.subject_labels)
    return kept, dropped


def detect_frame(
    image: RgbImage,
    frame_sha256: str,
    detectors: Sequence[Detector],
    settings: DetectSettings,
    references: References | None = None,
) -> list[Detection]:
    """The detections of one frame, surest first, bodies made from faces last; none when nothing was found.

    `detectors` in the order of `settings.weights` without "edges"; `references` where the settings name them.
    """
    height, width = image.shape[:2]
    asked = zip(detectors, _trusts(settings, len(detectors)), strict=True)
    main = [(detect, trust) for detect, trust in asked if not isinstance(detect, LastResort)]
    trusts = [trust for _, trust in main]
    boxes, dropped = find_boxes([detect(image) for detect, _ in main], trusts, settings, width, height)
    if settings.second_pass and not _has_subject(boxes, settings):
        ready = prepare(image, settings.second_pass)
        enlarge = ENLARGE in settings.second_pass
        whole = [detect(ready) for detect, _ in main]
        again = [
            join_boxes([boxes, find_enlarged(ready, detect)]) if enlarge else boxes
            for boxes, (detect, _) in zip(whole, main, strict=True)
        ]
        found, lost = find_boxes(again, trusts, settings, width, height)
        dropped += lost
        found = [box for box in found if box.confidence >= settings.second_pass_conf]
        if _has_subject(found, settings):
            boxes = [replace(box, prepared=True) for box in found]
    if not _has_subject(boxes, settings):
        boxes = [*boxes, *_last_resort(image, detectors, settings)]
    return _rows(image, frame_sha256, boxes, dropped, settings, references)


def _trusts(settings: DetectSettings, count: int) -> list[float]:
    """How far each of `count` detectors is trusted; one that the settings do not name as far as the last named."""
    named = [trust for name, trust in zip(settings.weights, settings.weights_trust(), strict=True) if name != EDGES]
    return [named[min(number, len(named) - 1)] for number in range(count)]


def _has_subject(boxes: Sequence[FoundBox], settings: DetectSettings) -> bool:
    return any(box.label in settings.subject_labels for box in boxes)


def _last_resort(image: RgbImage, detectors: Sequence[Detector], settings: DetectSettings) -> list[FoundBox]:
    resorts = [detect for detect in detectors if isinstance(detect, LastResort)]
    if EDGES in settings.weights:
        resorts.append(edges_detector())
    for resort in resorts:
        boxes = resort(image)
        if len(boxes):
            found = weighted_boxes_fusion([boxes], [1.0])
            label = settings.subject_labels[0] if PERSON not in settings.subject_labels else PERSON
            return [replace(box, label=label, body_from=resort.body_from) for box in found]
    return []


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(
    image: RgbImage,
    frame_sha256: str,
    boxes: Sequence[FoundBox],
    dropped: int,
    settings: DetectSettings,
    references: References | None,
) -> list[Detection]:
    height, width = image.shape[:2]
    supports = [support_of(box, boxes) if box.body_from else None for box in boxes]
    likeness = [
        references.similarity(head_and_torso(image, box, boxes))
        if references is not None and box.label in settings.subject_labels
        else None
        for box in boxes
    ]
    fit = [
        number
        for number, (box, support, like) in enumerate(zip(boxes, supports, likeness, strict=True))
        if _may_be_subject(box, support, like, settings)
    ]
    chosen = choose_subjects([boxes[i] for i in fit], settings.subject, (width, height), [likeness[i] for i in fit])
    subjects = {number for number, is_chosen in zip(fit, chosen, strict=True) if is_chosen}
    rows = [
        _row(frame_sha256, box, supports[number], likeness[number], dropped, number in subjects)
        for number, box in enumerate(boxes)
    ]
    # Two boxes equal to a hundredth of a pixel are one detection.
    unique: dict[str, Detection] = {}
    for row in rows:
        if row.detection_id not in unique or (row.is_subject and not unique[row.detection_id].is_subject):
            unique[row.detection_id] = row
    return list(unique.values())


def _may_be_subject(box: FoundBox, support: Support | None, like: float | None, settings: DetectSettings) -> bool:
    if box.label not in settings.subject_labels:
        return False
    if like is not None and like < settings.least_similarity:
        return False
    stands_alone = support is not None and support.agreement <= 0 and box.body_from == DETECTED
    return not (stands_alone and box.confidence < settings.least_alone)


def _row(
    frame_sha256: str,
    box: FoundBox,
    support: Support | None,
    likeness: float | None,
    dropped: int,
    is_subject: bool,
) -> Detection:
    x1, y1, x2, y2 = box.xyxy
    winner = box.votes[0][0]
    rounded = [round(value, 2) for value in box.xyxy]
    return Detection(
        frame_sha256=frame_sha256,
        detection_id=digest(frame_sha256, box.label, winner, rounded),
        label=box.label,
        confidence=box.confidence,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        detector=winner,
        is_subject=is_subject,
        detectors=[name for name, _ in box.votes],
        detector_confidences=[confidence for _, confidence in box.votes],
        body_from=box.body_from,
        outside_share=box.outside_share,
        heads_high=box.heads_high,
        prepared=box.prepared,
        head_in_box=support.head if support else None,
        face_in_box=support.face if support else None,
        agreement=support.agreement if support else 0.0,
        key_points=None if box.key_points is None else [float(value) for value in box.key_points.ravel()],
        reference_similarity=likeness,
        dropped_boxes=dropped,
    )

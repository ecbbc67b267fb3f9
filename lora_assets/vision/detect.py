"""Detections: what a detector is, which weights become one, and the rows of a frame with its subjects marked.

A detector is a function from a frame to boxes. Several detectors are fused by trust (their order in the settings), and
a face or head without a body gets a body box. What belongs elsewhere: reading weights (yolo, yolo_onnx), the arithmetic
of boxes (boxes), masks (segment).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.models import ModelError, OpenWeights
from lora_assets.store import digest
from lora_assets.tables import Detection
from lora_assets.vision.boxes import Boxes, FloatArray, box_iou, clip_boxes, inside_share, join_boxes, no_boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.yolo import FoundBoxes, Yolo, YoloLimits, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx

CODE_VERSION = "1"

PERSON, HEAD, FACE = "person", "head", "face"
FACE_TO_BODY = "+face_to_body"

_SAME_OBJECT_IOU = 0.6
_INSIDE_SHARE = 0.5

Detector = Callable[[RgbImage], Boxes]
"""A frame in, boxes in pixels of the frame out; may be called from several threads at once."""


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """Settings of the stage `detections`.

    weights: registry names, added names or paths, most trusted first. conf: least confidence, 0 to 1. iou: overlap of
    two boxes of one class above which the less sure falls, 0 to 1. max_det: most boxes per detector and frame. keep:
    most boxes per frame, the surest. imgsz: longer side of the detector's input in pixels, 0 for the weights' own.
    face_to_body: a face or head without a person box gets a body box of `body_heads` heads height and
    `body_width_heads` heads width, where a face box is `face_in_head` of a head. subject_labels: labels that are
    characters to cut out. label_names: own names for the weights' class names, e.g. {"character": "person"}.
    Raises ValueError for a value out of range.
    """

    weights: tuple[str, ...] = ("starter-yolo",)
    conf: float = 0.25
    iou: float = 0.45
    max_det: int = 100
    keep: int = 50
    imgsz: int = 0
    face_to_body: bool = True
    body_heads: float = 6.5
    body_width_heads: float = 2.5
    face_in_head: float = 0.75
    subject_labels: tuple[str, ...] = (PERSON,)
    label_names: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = self.label_names
        pairs = names.items() if isinstance(names, Mapping) else [tuple(pair) for pair in names]
        object.__setattr__(self, "label_names", tuple(sorted(pairs)))
        for name in ("weights", "subject_labels"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        _check_settings(self)


def _check_settings(settings: DetectSettings) -> None:
    if not settings.weights or not all(isinstance(name, str) and name for name in settings.weights):
        raise ValueError("weights must name at least one detector, for example ['starter-yolo']")
    if len(set(settings.weights)) != len(settings.weights):
        raise ValueError(f"weights names a detector twice: {', '.join(settings.weights)}")
    for name in ("conf", "iou"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
    for name, least in (("max_det", 1), ("keep", 1), ("imgsz", 0)):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if 0 < settings.imgsz < 64 or settings.imgsz > 4096:
        raise ValueError(f"imgsz must be 0 (the weights' own) or 64 to 4096 pixels, not {settings.imgsz}")
    for name, low, high in (("body_heads", 1.0, 12.0), ("body_width_heads", 0.5, 12.0), ("face_in_head", 0.1, 1.0)):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    if not isinstance(settings.face_to_body, bool):
        raise ValueError(f"face_to_body must be true or false, not {settings.face_to_body!r}")
    for pair in settings.label_names:
        if len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
            raise ValueError(f"label_names must map class names to labels, not hold {pair!r}")


def load_detector(weights: OpenWeights, settings: DetectSettings) -> Detector:
    """The detector of these weights. Raises ModelError when they are no detector or cannot be opened.

    The function returned is safe from several threads; see `threads.one_thread_per_call` for the best speed on a CPU.
    """
    limits = YoloLimits(settings.conf, settings.iou, settings.max_det, settings.imgsz)
    if weights.family == "yolo-pt":
        yolo = load_yolo(weights.path, limits)
    elif weights.family == "yolo-onnx":
        yolo = load_yolo_onnx(weights.path, limits)
    else:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which finds no boxes: "
            "name a detector in [detect] weights, see lora-assets models list"
        )
    labels = _labels(yolo, dict(settings.label_names))

    def detect(image: RgbImage) -> Boxes:
        found = yolo.find(image)
        if not (np.isfinite(found.xyxy).all() and np.isfinite(found.confidence).all()):
            raise ModelError(f"{weights.path} answers with NaN: the weights are damaged; fetch them again")
        return _as_boxes(found, labels, weights.name)

    return detect


def _labels(yolo: Yolo, renamed: Mapping[str, str]) -> tuple[str, ...]:
    ours = {PERSON, HEAD, FACE}
    return tuple(renamed.get(name, name.lower() if name.lower() in ours else name) for name in yolo.names)


def _as_boxes(found: FoundBoxes, labels: tuple[str, ...], detector: str) -> Boxes:
    """Boxes with names; those that have no area inside the frame fall away."""
    width_height = found.xyxy[:, 2:] - found.xyxy[:, :2]
    index = np.flatnonzero((width_height > 0).all(axis=1))
    named = tuple(labels[number] if number < len(labels) else f"class {number}" for number in found.classes[index])
    confidence = np.clip(found.confidence[index], 0.0, 1.0)
    return Boxes(found.xyxy[index], confidence, named, (detector,) * len(index))


def fuse(finds: Sequence[Boxes], least_iou: float = _SAME_OBJECT_IOU) -> Boxes:
    """One set of boxes from several detectors, most trusted first: a box that a more trusted detector found too (same
    label, IoU of at least `least_iou`) falls away. Confidences of different detectors are never compared."""
    fused = no_boxes()
    for boxes in finds:
        overlaps = box_iou(boxes.xyxy, fused.xyxy)
        same_label = np.array([[a == b for b in fused.labels] for a in boxes.labels], bool).reshape(overlaps.shape)
        known = ((overlaps >= least_iou) & same_label).any(axis=1)
        fused = join_boxes([fused, boxes.take(np.flatnonzero(~known))])
    return fused


def body_box(xyxy: FloatArray, label: str, settings: DetectSettings, width: int, height: int) -> FloatArray:
    """The body box (4,) of one face or head box (4,), clipped to the frame.

    The unit is the height of the head: the head box itself, or the face box / `face_in_head`, which ends at the same
    chin. The top of the head and the middle of the box stay where they are.
    """
    x1, y1, x2, y2 = xyxy
    head = (y2 - y1) / (settings.face_in_head if label == FACE else 1.0)
    top, middle = y2 - head, (x1 + x2) / 2
    half = settings.body_width_heads * head / 2
    body = np.array([[middle - half, top, middle + half, top + settings.body_heads * head]])
    return clip_boxes(body, width, height)[0]


def add_bodies(boxes: Boxes, settings: DetectSettings, width: int, height: int) -> Boxes:
    """The boxes, and after them a person box for each head or face that lies less than half inside any person box.

    A face inside a head box is the same character: the head makes the body.
    """
    labels = np.array(boxes.labels, object)
    persons = boxes.xyxy[labels == PERSON]
    heads = boxes.xyxy[labels == HEAD]
    made: list[Boxes] = []
    for index in np.flatnonzero((labels == HEAD) | (labels == FACE)):
        box, label = boxes.xyxy[index : index + 1], boxes.labels[index]
        holders = persons if label == HEAD else np.concatenate([persons, heads])
        if (inside_share(box, holders) >= _INSIDE_SHARE).any():
            continue
        body = body_box(box[0], label, settings, width, height)[None]
        name = boxes.detectors[index] + FACE_TO_BODY
        made.append(Boxes(body, boxes.confidence[index : index + 1], (PERSON,), (name,)))
    return join_boxes([boxes, *made])


def detect_frame(
    image: RgbImage, frame_sha256: str, detectors: Sequence[Detector], settings: DetectSettings
) -> list[Detection]:
    """The detections of one frame, surest first, bodies made from faces last; none when nothing was found.

    `detectors` in the order of `settings.weights`. Of all boxes the `keep` surest stay.
    """
    height, width = image.shape[:2]
    boxes = fuse([detect(image) for detect in detectors])
    boxes = boxes.take(np.argsort(-boxes.confidence, kind="stable")[: settings.keep])
    if settings.face_to_body:
        boxes = add_bodies(boxes, settings, width, height)
    rows = [_row(frame_sha256, boxes, index, settings) for index in range(len(boxes))]
    # Two boxes equal to a hundredth of a pixel are one detection.
    return list({row.detection_id: row for row in rows}.values())


def _row(frame_sha256: str, boxes: Boxes, index: int, settings: DetectSettings) -> Detection:
    x1, y1, x2, y2 = (float(value) for value in boxes.xyxy[index])
    label, detector = boxes.labels[index], boxes.detectors[index]
    rounded = [round(value, 2) for value in (x1, y1, x2, y2)]
    return Detection(
        frame_sha256=frame_sha256,
        detection_id=digest(frame_sha256, label, detector, rounded),
        label=label,
        confidence=float(boxes.confidence[index]),
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        detector=detector,
        is_subject=label in settings.subject_labels,
    )

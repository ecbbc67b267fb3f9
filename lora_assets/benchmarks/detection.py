"""How well bodies are found in drawn scenes with truth: from heads and faces alone, and by a tracker's detectors.

Truth is the visible box of every drawn character. Even scenes are for fitting proportions, odd ones for the figures.
What belongs elsewhere: the detection itself (vision), how fast it is (pipeline).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lora_assets.models import resolve
from lora_assets.scenes import draw_scene
from lora_assets.scenes.truth import SceneFrame
from lora_assets.tables import Detection
from lora_assets.vision.body_box import FACE, HEAD, PERSON, FrameBoxes, Proportions, expanded_box, fit_proportions
from lora_assets.vision.boxes import Boxes, FloatArray, box_iou, clip_boxes, no_boxes
from lora_assets.vision.detect import Detector, DetectSettings, detect_frame, load_detector
from lora_assets.vision.images import RgbImage
from lora_assets.vision.last_resort import EDGES
from lora_assets.vision.threads import one_thread_per_call

_FIRST_SEED = 700_000
_MATCH_IOU = 0.5
_LEAST_HEAD = 12.0


@dataclass(frozen=True, slots=True)
class Found:
    """How found boxes fit the truth: characters, found boxes, matched pairs at IoU 0.5, mean IoU of each character
    with its best box (0 where there is none), and boxes found in frames without characters."""

    characters: int
    boxes: int
    matched: int
    mean_iou: float
    on_empty: int

    @property
    def line(self) -> str:
        """The figures as text."""
        recall, precision = self.matched / max(1, self.characters), self.matched / max(1, self.boxes)
        return (
            f"recall {recall:.3f}  precision {precision:.3f}  mean IoU {self.mean_iou:.3f}  "
            f"({self.characters} characters, {self.boxes} boxes, {self.on_empty} in empty frames)"
        )


def match_boxes(frames: Iterable[tuple[FloatArray, FloatArray]]) -> Found:
    """Found boxes (M,4), most sure first, against true ones (N,4), frame by frame; each true box is found once."""
    characters = boxes = matched = on_empty = 0
    best: list[float] = []
    for found, truth in frames:
        characters, boxes = characters + len(truth), boxes + len(found)
        on_empty += len(found) if not len(truth) else 0
        overlaps = box_iou(found, truth)
        best += (overlaps.max(axis=0) if len(found) else np.zeros(len(truth))).tolist()
        free = np.ones(len(truth), bool)
        for row in overlaps:
            row = np.where(free, row, 0.0)
            if len(row) and row.max() >= _MATCH_IOU:
                free[int(row.argmax())] = False
                matched += 1
    return Found(characters, boxes, matched, float(np.mean(best)) if best else 0.0, on_empty)


def _true_boxes(scene: SceneFrame) -> FloatArray:
    return np.array([each.box for each in scene.characters], np.float64).reshape(-1, 4)


def _subjects(rows: Sequence[Detection]) -> FloatArray:
    return np.array([[row.x1, row.y1, row.x2, row.y2] for row in rows if row.is_subject], np.float64).reshape(-1, 4)


def _true_parts(scene: SceneFrame, label: str) -> list[tuple[FloatArray, FloatArray]]:
    """Head or face box and body box of every character that shows it whole enough."""
    pairs = []
    for each in scene.characters:
        part = each.head_box if label == HEAD else each.face_box
        if part is not None and part[3] - part[1] >= _LEAST_HEAD:
            pairs.append((np.array(part, np.float64), np.array(each.box, np.float64)))
    return pairs


def true_expansion_iou(scenes: Sequence[SceneFrame], label: str, proportions: Proportions | None) -> tuple[float, int]:
    """Mean IoU with the true body box of true head or face boxes, expanded by `proportions` or (None) as they are, and
    how many there are: what the proportions alone are worth, without a detector's mistakes."""
    ious = []
    for scene in scenes:
        height, width = scene.image.shape[:2]
        for part, body in _true_parts(scene, label):
            box = part if proportions is None else expanded_box(part, label, proportions)
            ious.append(float(box_iou(clip_boxes(box[None], width, height), body[None])[0, 0]))
    return (float(np.mean(ious)) if ious else 0.0), len(ious)


def _only(detect: Detector, labels: Sequence[str]) -> Detector:
    def find(image: RgbImage) -> Boxes:
        boxes = detect(image)
        return boxes.take([number for number, label in enumerate(boxes.labels) if label in labels])

    return find


def _frame_boxes(scene: SceneFrame, detectors: Sequence[Detector]) -> FrameBoxes:
    rows = detect_frame(scene.image, "0" * 64, detectors, DetectSettings(face_to_body=False, second_pass=()))
    height, width = scene.image.shape[:2]
    corners = np.array([[row.x1, row.y1, row.x2, row.y2] for row in rows], np.float64).reshape(-1, 4)
    return FrameBoxes(corners, tuple(row.label for row in rows), width, height)


def _cached(detect: Detector) -> Detector:
    """The detector with its answers kept by the picture's identity: every setting looks at the same pictures."""
    known: dict[int, tuple[RgbImage, Boxes]] = {}

    def find(image: RgbImage) -> Boxes:
        if id(image) not in known:
            known[id(image)] = (image, detect(image))
        return known[id(image)][1]

    return find


def measure_detection(
    scenes: int,
    size: tuple[int, int],
    detector_names: Sequence[str],
    least_alone: float = 0.3,
    data: Path = Path("data"),
) -> list[str]:
    """The figures as lines: proportions on true heads and faces; each detector alone and all fused; heads and faces
    only, before and after expansion; the second pass and the edge-based last resort."""
    one_thread_per_call()
    drawn = [draw_scene(_FIRST_SEED + number, *size) for number in range(2 * scenes)]
    shown, judged = drawn[::2], drawn[1::2]
    opened = [_cached(load_detector(resolve(name, data), DetectSettings())) for name in detector_names]
    fit = fit_proportions([_frame_boxes(scene, opened) for scene in shown], Proportions())
    lines = [
        f"{len(judged)} scenes of {size[0]} x {size[1]}; {len(shown)} others show {fit.height_pairs} heights, "
        f"{fit.width_pairs} widths and {fit.face_pairs} faces: {fit.proportions}"
    ]
    for label in (HEAD, FACE):
        for name, proportions in (("as it is", None), ("start values", Proportions()), ("fitted", fit.proportions)):
            iou, count = true_expansion_iou(judged, label, proportions)
            lines.append(f"true {label}, {name}: body IoU {iou:.3f} ({count})")

    def tell(name: str, detectors: Sequence[Detector], settings: DetectSettings) -> None:
        frames = ((_subjects(detect_frame(s.image, "0" * 64, detectors, settings)), _true_boxes(s)) for s in judged)
        lines.append(f"{name}: {match_boxes(frames).line}")

    def numbers(proportions: Proportions, **more: object) -> DetectSettings:
        told = {"second_pass": (), "weights": tuple(detector_names), **more}
        return DetectSettings(
            body_heads=proportions.body_heads, body_width_heads=proportions.body_width_heads,
            face_in_head=proportions.face_in_head, **told,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip

    for part in (HEAD, FACE):
        parts = [_only(detect, (part,)) for detect in opened]
        bare = numbers(Proportions(), face_to_body=False, subject_labels=(part,))
        tell(f"found {part}s, as they are", parts, bare)
        tell(f"found {part}s, expanded, start values", parts, numbers(Proportions()))
        tell(f"found {part}s, expanded, fitted", parts, numbers(fit.proportions))
    for name, detect in zip(detector_names, opened, strict=True):
        tell(f"{name}, persons only", [_only(detect, (PERSON,))], numbers(Proportions()))
        tell(f"{name}, with bodies", [detect], numbers(Proportions()))
    tell("all fused, start values", opened, numbers(Proportions()))
    tell("all fused, fitted", opened, numbers(fit.proportions))
    tell("all fused, second pass", opened, numbers(fit.proportions, second_pass=("contrast", "sharpen")))
    tell("all fused, second pass enlarged", opened, numbers(fit.proportions, second_pass=("contrast", "enlarge")))
    tell(f"all fused, least_alone {least_alone:g}", opened, numbers(fit.proportions, least_alone=least_alone))
    tell("all fused, edges", opened, numbers(fit.proportions, weights=(*detector_names, EDGES)))
    nothing: Callable[[RgbImage], Boxes] = lambda _image: no_boxes()  # noqa: E731
    tell("edges alone", [nothing], numbers(fit.proportions, weights=("none", EDGES)))
    return lines

"""How many characters of real drawings a detector finds, by rough boxes that a person drew around them.

For measuring only: nothing is trained or tuned on these pictures. What belongs elsewhere: drawn scenes, whose truth is
exact (training.starters).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lora_assets.models import ModelError
from lora_assets.starter.card import file_digest
from lora_assets.training.scores import matched
from lora_assets.vision.detect_settings import DetectSettings, looks_of
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.several_looks import read_look
from lora_assets.vision.yolo import Yolo, YoloLimits, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx

PICTURES, BOXES = "anime", "truth/characters_rough_boxes.csv"
COCO_MODELS = ("yolov8n.pt", "yolov8n-seg.pt", "yolov8n-pose.dequant.pt")
LEAST_IOU = 0.4
"""Lower than the usual 0.5: the boxes were drawn by eye, about 5 % of the picture's side off."""
LEAST_CONFIDENCE = 0.25


@dataclass(frozen=True, slots=True)
class RealDrawing:
    """A picture file with boxes around all of its characters, float Nx4 xyxy in shares of the picture's sides."""

    path: Path
    boxes: np.ndarray


@dataclass(frozen=True, slots=True)
class CharacterCount:
    """Characters found and missed, and boxes that answer none."""

    found: int
    missed: int
    extra: int


def read_drawings(folder: Path) -> tuple[list[RealDrawing], int]:
    """The drawings that `folder` tells boxes of, and how many it leaves out since not all of their characters (crowds)
    have a box.

    `truth/characters_rough_boxes.csv` names per line a file of `anime/`, its number of characters, and the box of one
    in per cent. Raises FileNotFoundError when it or a picture is missing, ValueError when a line cannot be read.
    """
    table = folder / BOXES
    if not table.is_file():
        raise FileNotFoundError(f"{table} is not there: name a folder that holds {PICTURES}/ and {BOXES}")
    counts: dict[str, int] = {}
    boxes: dict[str, list[list[float]]] = {}
    with table.open(encoding="utf-8", newline="") as handle:
        for number, row in enumerate(csv.DictReader(handle), start=2):
            try:
                counts[row["file"]] = int(row["characters"])
                sides = [row[side] for side in ("x0_pct", "y0_pct", "x1_pct", "y1_pct")]
                rows = boxes.setdefault(row["file"], [])
                if all(sides):
                    rows.append([float(side) / 100 for side in sides])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {number}: {error!r}; restore the file") from error
    drawings = [
        RealDrawing(folder / PICTURES / name, np.array(boxes[name], float).reshape(-1, 4))
        for name, count in counts.items()
        if len(boxes[name]) == count
    ]
    for drawing in drawings:
        if not drawing.path.is_file():
            raise FileNotFoundError(f"{drawing.path} is not there, but {table} names it")
    return drawings, len(counts) - len(drawings)


def count_characters(detector: Yolo, drawings: Sequence[RealDrawing]) -> CharacterCount:
    """Count the characters that the class "person" of a detector finds at IoU 0.4 and confidence 0.25."""
    person = detector.names.index("person")
    found = missed = extra = 0
    for drawing in drawings:
        image = decode_image(read_file(drawing.path)).pixels
        answer = detector.find(image)
        rows = np.flatnonzero((answer.classes == person) & (answer.confidence >= LEAST_CONFIDENCE))
        true = drawing.boxes * np.array([image.shape[1], image.shape[0]] * 2)
        answers = matched(answer.xyxy[rows], answer.confidence[rows], true, LEAST_IOU)
        hits = int(np.count_nonzero(answers >= 0))
        found, missed, extra = found + hits, missed + len(true) - hits, extra + len(rows) - hits
    return CharacterCount(found, missed, extra)


def real_drawings_table(folder: Path | None, models: Path | None, starter: Path) -> list[str]:
    """The table of the starter beside detectors that were trained on COCO photographs, as lines of Markdown; what is
    absent is named with the reason."""
    if folder is None:
        return ["real drawings: left out, no folder is named (--real, or LORA_ASSETS_TEST_IMAGES)"]
    try:
        drawings, left_out = read_drawings(folder)
    except (FileNotFoundError, ValueError) as error:
        return [f"real drawings: left out, {error}"]
    characters = sum(len(drawing.boxes) for drawing in drawings)
    lines = [
        f"{len(drawings)} real drawings with {characters} characters, IoU >= {LEAST_IOU}, confidence "
        f">= {LEAST_CONFIDENCE} ({left_out} crowds without boxes left out)",
        "",
        "| detector | found | missed | found % | extra boxes | extra % of its boxes |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(_row(starter.name, lambda: _open(starter), drawings))
    for name in COCO_MODELS:
        if models is None:
            lines.append(f"| {name} | left out: no folder is named (--models, or LORA_ASSETS_TEST_MODELS) | | | | |")
        else:
            path = models / name
            lines.append(_row(name, lambda path=path: _open(path), drawings))
    return lines


def _open(path: Path) -> Yolo:
    settings = DetectSettings()
    looks = tuple(read_look(look) for look in looks_of(settings, file_digest(path) if path.is_file() else ""))
    limits = YoloLimits(LEAST_CONFIDENCE, settings.iou, max_det=100, imgsz=0, looks=looks)
    return load_yolo_onnx(path, limits) if path.suffix == ".onnx" else load_yolo(path, limits)


def _row(name: str, opened: Callable[[], Yolo], drawings: Sequence[RealDrawing]) -> str:
    try:
        counted = count_characters(opened(), drawings)
    except ModelError as error:
        return f"| {name} | left out: {error} | | | | |"
    characters, boxes = counted.found + counted.missed, counted.found + counted.extra
    share = 100 * counted.found / characters if characters else 100.0
    wrong = 100 * counted.extra / boxes if boxes else 0.0
    return f"| {name} | {counted.found} | {counted.missed} | {share:.0f} | {counted.extra} | {wrong:.0f} |"

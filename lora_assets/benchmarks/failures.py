"""Sheets of pictures of what the starters get wrong in drawn scenes: worst missed, worst false, worst masks.

Green is the truth, orange what the models answer, magenta the error. What belongs elsewhere: the figures
(training.starters).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lora_assets.scenes import SceneFrame
from lora_assets.store import atomic_write_bytes
from lora_assets.training.detector import LABELS
from lora_assets.training.scores import matched
from lora_assets.training.starters import (
    LEAST_CONFIDENCE,
    LEAST_IOU,
    PERSON,
    SceneAnswers,
    frame_mask,
    unseen_scene,
)
from lora_assets.vision.segment import Segmenter

TILE = (320, 240)
COLUMNS, ROWS = 4, 3
LARGEST_SHEET_BYTES = 400_000

_TRUE, _ANSWER, _WRONG = (40, 200, 40), (255, 150, 0), (255, 0, 255)
_SURROUNDINGS = 2.2
_LEAST_WINDOW = 0.4
_QUALITIES = (88, 80, 70, 60, 50, 40)


@dataclass(frozen=True, slots=True)
class Failure:
    """One error in the scene of `seed`: its box xyxy, its label number, what it is in words, and how bad (larger is
    worse)."""

    seed: int
    box: np.ndarray
    label: int
    words: str
    weight: float


def missed_boxes(answers: Sequence[SceneAnswers]) -> list[Failure]:
    """True boxes that nothing answers, the largest first."""
    found = []
    for answer in answers:
        for label, name in enumerate(LABELS):
            truth, rows = answer.truths[label], _sure(answer, label)
            hit = set(matched(rows[:, :4], rows[:, 4], truth.boxes, LEAST_IOU, truth.ignored).tolist())
            for index, box in enumerate(truth.boxes):
                if index not in hit and not truth.ignored[index]:
                    side = float(min(box[2] - box[0], box[3] - box[1]))
                    found.append(Failure(answer.seed, box, label, f"missed {name}, {side:.0f} px", side))
    return sorted(found, key=lambda failure: -failure.weight)


def false_boxes(answers: Sequence[SceneAnswers]) -> list[Failure]:
    """Found boxes that answer no true box, the surest first."""
    found = []
    for answer in answers:
        for label, name in enumerate(LABELS):
            truth, rows = answer.truths[label], _sure(answer, label)
            hits = matched(rows[:, :4], rows[:, 4], truth.boxes, LEAST_IOU, truth.ignored)
            for row in rows[hits < 0]:
                words = f"false {name}, confidence {row[4]:.2f}"
                found.append(Failure(answer.seed, row[:4], label, words, float(row[4])))
    return sorted(found, key=lambda failure: -failure.weight)


def worst_masks(answers: Sequence[SceneAnswers]) -> list[Failure]:
    """Masks asked for by true boxes, the least alike first."""
    found = [
        Failure(answer.seed, truth.boxes[index], PERSON, f"mask IoU {iou:.2f}", 1 - float(iou))
        for answer in answers
        for truth in (answer.truths[PERSON],)
        for index, iou in enumerate(answer.true_ious)
        if not truth.ignored[index]
    ]
    return sorted(found, key=lambda failure: -failure.weight)


def write_failure_sheets(answers: Sequence[SceneAnswers], segmenter: Segmenter, folder: Path) -> list[Path]:
    """Write `starter_missed.jpg`, `starter_false.jpg` and `starter_masks.jpg` into `folder`, each at most 400 KB.

    `answers` must be those of `unseen_scene`, which are drawn again. A sheet without errors is not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_seed = {answer.seed: answer for answer in answers}
    sheets = {
        "starter_missed.jpg": (_by_label(missed_boxes(answers)), None),
        "starter_false.jpg": (_by_label(false_boxes(answers)), None),
        "starter_masks.jpg": (_one_per_seed(worst_masks(answers), COLUMNS * ROWS), segmenter),
    }
    written = []
    for name, (failures, asked) in sheets.items():
        tiles = [_tile(unseen_scene(failure.seed), by_seed[failure.seed], failure, asked) for failure in failures]
        if tiles:
            path = folder / name
            atomic_write_bytes(path, _small_jpeg(_sheet(tiles)))
            written.append(path)
    return written


def _sure(answer: SceneAnswers, label: int) -> np.ndarray:
    return answer.found[(answer.found[:, 5] == label) & (answer.found[:, 4] >= LEAST_CONFIDENCE)]


def _by_label(failures: Sequence[Failure]) -> list[Failure]:
    """The worst of every label, one row of the sheet each, persons first."""
    chosen: list[Failure] = []
    for label in sorted(range(len(LABELS)), key=lambda label: label != PERSON):
        chosen += _one_per_seed([failure for failure in failures if failure.label == label], COLUMNS)
    return chosen


def _one_per_seed(failures: Iterable[Failure], count: int) -> list[Failure]:
    chosen: dict[int, Failure] = {}
    for failure in failures:
        if len(chosen) < count:
            chosen.setdefault(failure.seed, failure)
    return list(chosen.values())


def _tile(scene: SceneFrame, answer: SceneAnswers, failure: Failure, segmenter: Segmenter | None) -> np.ndarray:
    image = scene.image.copy()
    if segmenter is None:
        _draw_boxes(image, answer.truths[failure.label].boxes, _TRUE)
        _draw_boxes(image, _sure(answer, failure.label)[:, :4], _ANSWER)
        _draw_boxes(image, failure.box[None], _WRONG)
    else:
        image = _with_mask(scene, answer, failure, segmenter)
    left, top, right, bottom = _window(failure.box, image.shape[1], image.shape[0])
    tile = cv2.resize(image[top:bottom, left:right], TILE, interpolation=cv2.INTER_AREA)
    words = f"{failure.words} ({failure.seed})"
    cv2.rectangle(tile, (0, TILE[1] - 18), (TILE[0], TILE[1]), (0, 0, 0), -1)
    cv2.putText(tile, words, (4, TILE[1] - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def _with_mask(scene: SceneFrame, answer: SceneAnswers, failure: Failure, segmenter: Segmenter) -> np.ndarray:
    """The picture with the answer tinted and the truth outlined."""
    persons = answer.truths[PERSON]
    index = int(np.flatnonzero((persons.boxes == failure.box).all(axis=1))[0])
    truth = scene.characters[int(persons.characters[index])].mask
    (window,) = segmenter(scene.image, failure.box[None])
    mask = frame_mask(window, *truth.shape)
    image = scene.image.copy()
    image[mask] = (0.45 * image[mask] + 0.55 * np.array(_ANSWER)).astype(np.uint8)
    outlines = cv2.findContours(truth.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    cv2.drawContours(image, outlines, -1, _TRUE, 2)
    return image


def _draw_boxes(image: np.ndarray, boxes: np.ndarray, colour: tuple[int, int, int]) -> None:
    for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, 2)


def _window(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of the frame around a box that a tile shows, in the tile's proportions where the frame allows."""
    tall = max(_SURROUNDINGS * (box[3] - box[1]), _SURROUNDINGS * (box[2] - box[0]) * TILE[1] / TILE[0])
    tall = min(max(tall, _LEAST_WINDOW * height), height, width * TILE[1] / TILE[0])
    wide = tall * TILE[0] / TILE[1]
    left = float(np.clip((box[0] + box[2] - wide) / 2, 0, width - wide))
    top = float(np.clip((box[1] + box[3] - tall) / 2, 0, height - tall))
    return int(left), int(top), int(left + wide), int(top + tall)


def _sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * TILE[1], COLUMNS * TILE[0], 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // COLUMNS * TILE[1], number % COLUMNS * TILE[0]
        sheet[top : top + TILE[1], left : left + TILE[0]] = tile
    return sheet


def _small_jpeg(image: np.ndarray) -> bytes:
    """The picture as JPEG, in the best quality that keeps it below the limit."""
    content = b""
    for quality in _QUALITIES:
        bgr = np.ascontiguousarray(image[..., ::-1])
        content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(content) <= LARGEST_SHEET_BYTES:
            break
    return content

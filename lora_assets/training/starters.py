"""The last measurement of both starter models together, on unseen scenes and on the sample film, into their card.

`python -m lora_assets.training.starters`. Unseen scenes have seeds, hair, clothes and palettes that no training draws.
The models are run as the main line runs them: the detector first, then the segmenter by the true boxes and by the boxes
that the detector found. Training itself is in `detector` and `segmenter`, the ONNX form of the detector in `export`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from lora_assets.models import OpenWeights
from lora_assets.models.registry import SEGMENT, STARTER_SAM
from lora_assets.scenes import SceneFrame, draw_scene, sample_film_truth
from lora_assets.starter import STARTER_CARD, STARTER_FOLDER, STARTER_LOOKS, STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.starter import STARTER_SAM as STARTER_SAM_FILE
from lora_assets.starter.card import CardError, file_digest
from lora_assets.training.card_entry import add_figures, take_file
from lora_assets.training.detector import LABELS, score_figures
from lora_assets.training.export import export_starter
from lora_assets.training.rendered import frame_size
from lora_assets.training.scores import FoundBoxes, matched, score_boxes
from lora_assets.vision.detect_settings import DetectSettings
from lora_assets.vision.masks import mask_iou
from lora_assets.vision.segment import Segmenter, SegmentSettings, WindowMask, load_segmenter
from lora_assets.vision.several_looks import read_look
from lora_assets.vision.yolo import Yolo, YoloLimits, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx

UNSEEN_SEEDS = range(950_000, 951_000)
"""Seeds for the last measurement, apart from those of training and of the measurements during training."""
UNSEEN_LOOKS = "held_out"
SCENES = 200
SMALLEST_ASKED_SIDE = 10.0
"""Pixels of the shorter side below which a true box is ignored: WIDER FACE (Yang et al. 2016) asks for no face of less
than 10 pixels. The frames measured are 440 to 640 pixels high, so that this is about 2 % of their height; pedestrian
benchmarks ask for far more (50 of 480 pixels and 65 % visible: Dollar et al., "Pedestrian Detection", 2012)."""
CROWD = 4
"""Characters from which on a scene counts as a crowd; figures are also told for crowds and for all others apart."""
LEAST_IOU = 0.5
LEAST_CONFIDENCE = 0.25
PERSON = LABELS.index("person")

_LEAST_KEPT_CONFIDENCE = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DrawnTruth:
    """The true boxes of one label in a drawn scene: Nx4 xyxy, which of them are `ignored` (bool N), and the index of
    the character of each (int N)."""

    boxes: np.ndarray
    ignored: np.ndarray
    characters: np.ndarray


@dataclass(frozen=True, slots=True)
class SceneAnswers:
    """What the starters answer to one scene.

    `truths` are by label as in `LABELS`. `found` are float Nx6 rows of xyxy, confidence (>= 0.05) and label.
    `true_ious` and `found_ious` tell for every true person the IoU of its mask, asked for by the true box and by the
    found one (0 where it was not found).
    """

    seed: int
    truths: tuple[DrawnTruth, ...]
    found: np.ndarray
    true_ious: np.ndarray
    found_ious: np.ndarray


def open_detector(weights: Path) -> Yolo:
    """The starter detector of a `.pt` or `.onnx` file, looking and suppressing doubles as the product does."""
    settings = DetectSettings()
    looks = tuple(read_look(look) for look in STARTER_LOOKS)
    limits = YoloLimits(_LEAST_KEPT_CONFIDENCE, settings.iou, max_det=100, imgsz=0, looks=looks)
    return load_yolo_onnx(weights, limits) if weights.suffix == ".onnx" else load_yolo(weights, limits)


def open_segmenter(weights: Path) -> Segmenter:
    """The segmenter of a starter SAM file with the product's settings."""
    opened = OpenWeights(weights.stem, weights, file_digest(weights), STARTER_SAM, SEGMENT)
    return load_segmenter(opened, SegmentSettings())


def unseen_scene(seed: int) -> SceneFrame:
    """The scene of `seed` in its own frame size, with the looks that are held out of training."""
    return draw_scene(seed, *frame_size(seed), looks=UNSEEN_LOOKS)


def film_scenes(every: int = 3) -> Iterator[SceneFrame]:
    """Every `every`-th frame of the sample film that opens, with its truth."""
    return islice((scene for _, scene in sample_film_truth() if scene is not None), 0, None, every)


def drawn_truth(scene: SceneFrame) -> tuple[DrawnTruth, ...]:
    """The true boxes of a scene by label.

    Ignored are boxes with a side of less than `SMALLEST_ASKED_SIDE` pixels, and persons who are almost wholly hidden or
    outside the frame: none of head, trunk and legs is visible by 30 %.
    """
    truths = []
    for label in LABELS:
        rows, ignored, characters = [], [], []
        for index, character in enumerate(scene.characters):
            box = {"face": character.face_box, "head": character.head_box, "person": character.box}[label]
            if box is None:
                continue
            tiny = min(box[2] - box[0], box[3] - box[1]) < SMALLEST_ASKED_SIDE
            rows.append(box)
            ignored.append(tiny or (label == "person" and not character.visible_parts))
            characters.append(index)
        boxes = np.array(rows, float).reshape(-1, 4)
        truths.append(DrawnTruth(boxes, np.array(ignored, bool), np.array(characters, int)))
    return tuple(truths)


def find_rows(detector: Yolo, image: np.ndarray) -> np.ndarray:
    """What the detector finds in an RGB image: float Nx6 rows of xyxy, confidence, label."""
    found = detector.find(image)
    return np.column_stack([found.xyxy, found.confidence, found.classes])


def frame_mask(window: WindowMask, height: int, width: int) -> np.ndarray:
    """A window's mask in its frame, bool HxW."""
    mask = np.zeros((height, width), bool)
    rows, columns = window.mask.shape
    mask[window.y : window.y + rows, window.x : window.x + columns] = window.mask
    return mask


def answer_scene(scene: SceneFrame, detector: Yolo, segmenter: Segmenter) -> SceneAnswers:
    """Ask both models for one scene."""
    truths, found = drawn_truth(scene), find_rows(detector, scene.image)
    persons = truths[PERSON]
    sure = found[(found[:, 5] == PERSON) & (found[:, 4] >= LEAST_CONFIDENCE)]
    answers = matched(sure[:, :4], sure[:, 4], persons.boxes, LEAST_IOU, persons.ignored)
    # An ignored person may be answered by several boxes: the surest one counts.
    asked = {int(person): row for row, person in reversed(list(enumerate(answers))) if person >= 0}
    true_masks = segmenter(scene.image, persons.boxes)
    found_masks = segmenter(scene.image, sure[list(asked.values()), :4])

    def iou(window: WindowMask, person: int) -> float:
        mask = scene.characters[int(persons.characters[person])].mask
        return mask_iou(frame_mask(window, *mask.shape), mask)

    found_ious = np.zeros(len(persons.boxes))
    for person, window in zip(asked, found_masks, strict=True):
        found_ious[person] = iou(window, person)
    true_ious = np.array([iou(window, person) for person, window in enumerate(true_masks)])
    return SceneAnswers(scene.seed, truths, found, true_ious, found_ious)


def detector_figures(answers: Sequence[SceneAnswers], prefix: str) -> dict[str, float]:
    """Recall, precision (IoU 0.5, confidence 0.25) and average precision by label, each named `<prefix>_...`; those of
    the names that end in `_all` ignore nothing."""
    scores, strict = {}, {}
    for label, name in enumerate(LABELS):
        frames = [_found_boxes(answer, label) for answer in answers]
        scores[name] = score_boxes(frames, LEAST_IOU, LEAST_CONFIDENCE)
        strict[name] = score_boxes(
            [FoundBoxes(frame.found, frame.confidences, frame.true) for frame in frames], LEAST_IOU, LEAST_CONFIDENCE
        )
    figures = score_figures(scores, prefix)
    for name, value in score_figures(strict, prefix).items():
        figures[f"{name}_all"] = value
    return figures


def mask_figures(answers: Sequence[SceneAnswers], prefix: str) -> dict[str, float]:
    """Mean and worst-tenth mask IoU of the persons that are asked for, named `<prefix>_...`; `_all` ignores nothing."""
    asked = np.concatenate([~answer.truths[PERSON].ignored for answer in answers] or [np.zeros(0, bool)])
    true_ious = np.concatenate([answer.true_ious for answer in answers] or [np.zeros(0)])
    found_ious = np.concatenate([answer.found_ious for answer in answers] or [np.zeros(0)])
    figures = {f"{prefix}_masks": float(np.count_nonzero(asked))}
    if asked.any():
        figures |= {
            f"{prefix}_mask_iou_true_boxes": round(float(true_ious[asked].mean()), 4),
            f"{prefix}_mask_iou_true_boxes_worst_tenth": round(float(np.quantile(true_ious[asked], 0.1)), 4),
            f"{prefix}_mask_iou_true_boxes_all": round(float(true_ious.mean()), 4),
            f"{prefix}_mask_iou_found_boxes": round(float(found_ious[asked].mean()), 4),
        }
        reached = found_ious[asked & (found_ious > 0)]
        if len(reached):
            figures[f"{prefix}_mask_iou_found_boxes_without_missed"] = round(float(reached.mean()), 4)
    return figures


def answer_scenes(scenes: Iterable[SceneFrame], yolo: Path, sam: Path) -> list[SceneAnswers]:
    """Ask the detector file and the segmenter file for every scene."""
    detector, segmenter = open_detector(yolo), open_segmenter(sam)
    return [answer_scene(scene, detector, segmenter) for scene in scenes]


def scenes_to_measure(count: int) -> dict[str, Callable[[], Iterable[SceneFrame]]]:
    """Where the starters are measured, by the name that the figures begin with: unseen scenes with held-out looks, the
    same seeds with looks as in training, and the sample film."""
    seeds = UNSEEN_SEEDS[:count]
    return {
        "unseen": lambda: map(unseen_scene, seeds),
        "usual_looks": lambda: (draw_scene(seed, *frame_size(seed), looks="training") for seed in seeds),
        "film": film_scenes,
    }


def by_crowd(prefix: str, answers: Sequence[SceneAnswers]) -> dict[str, list[SceneAnswers]]:
    """All answers under `prefix`, then those of crowds and of all other scenes apart, as far as there are both."""
    crowds = [answer for answer in answers if len(answer.truths[PERSON].boxes) >= CROWD]
    others = [answer for answer in answers if len(answer.truths[PERSON].boxes) < CROWD]
    parts = {f"{prefix}_crowds": crowds, f"{prefix}_others": others} if crowds and others else {}
    return {prefix: list(answers), **parts}


def measure_and_record(folder: Path = STARTER_FOLDER, count: int = SCENES) -> dict[str, float]:
    """Export the detector of `folder` if need be, measure both starters on `count` unseen scenes, as many of usual
    looks, and the sample film, and add the figures to the card. Returns all figures.

    Raises CardError or KeyError when the card does not fit the files.
    """
    entry = export_starter(folder)
    yolo, sam, card = folder / STARTER_YOLO_ONNX.name, folder / STARTER_SAM_FILE.name, folder / STARTER_CARD.name
    figures: dict[str, float] = {}
    for prefix, scenes in scenes_to_measure(count).items():
        answers = answer_scenes(scenes(), yolo, sam)
        for name, some in by_crowd(prefix, answers).items():
            boxes, masks = detector_figures(some, name), mask_figures(some, name)
            add_figures(card, entry.file, boxes)
            add_figures(card, sam.name, masks)
            figures |= boxes | masks
    return figures


def take_starters(trained: Path, folder: Path = STARTER_FOLDER) -> list[str]:
    """Put the starters that were trained in `trained` into `folder`; the names of those that were there.

    Trainings write among their frames, so that what the package ships changes only here. Raises CardError when there
    are none, or for a file that its card does not describe.
    """
    found = [trained / name for name in (STARTER_YOLO.name, STARTER_SAM_FILE.name) if (trained / name).is_file()]
    if not found:
        raise CardError(f"{trained} holds neither {STARTER_YOLO.name} nor {STARTER_SAM_FILE.name}: train them first")
    return [take_file(path, folder).file for path in found]


def _found_boxes(answer: SceneAnswers, label: int) -> FoundBoxes:
    rows, truth = answer.found[answer.found[:, 5] == label], answer.truths[label]
    return FoundBoxes(rows[:, :4], rows[:, 4], truth.boxes, truth.ignored)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: measure the starters of a folder and write what they reach into the card."""
    parser = argparse.ArgumentParser(prog="python -m lora_assets.training.starters", description=__doc__)
    parser.add_argument("--folder", type=Path, default=STARTER_FOLDER, help="where the weights and CARD.json lie")
    parser.add_argument("--scenes", type=int, default=SCENES, help="unseen scenes to measure on")
    parser.add_argument("--take", type=Path, help="first take the trained weights of this folder, with their card")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.scenes <= len(UNSEEN_SEEDS):
        parser.error(f"--scenes is {chosen.scenes}, but there are 1 to {len(UNSEEN_SEEDS)} unseen seeds")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if chosen.take is not None:
        take_starters(chosen.take, chosen.folder)
    for name, value in measure_and_record(chosen.folder, chosen.scenes).items():
        _log.info("%-45s %.4f", name, value)


if __name__ == "__main__":
    main()

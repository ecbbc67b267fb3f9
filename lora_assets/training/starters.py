"""The last measurement of both starter models together, on unseen scenes and on the sample film, into their card.

`python -m lora_assets.training.starters`. The detector is asked first, then the segmenter by the true boxes and by the
boxes that the detector found. Training itself is in `detector` and `segmenter`, not here.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_assets.scenes import sample_film_truth
from lora_assets.starter import STARTER_CARD, STARTER_FOLDER, STARTER_SAM, STARTER_YOLO
from lora_assets.starter.card import read_card
from lora_assets.training.card_entry import add_figures
from lora_assets.training.detector import LABELS, find_boxes, frame_truth, score_figures
from lora_assets.training.rendered import RenderedFrame, draw_frame, rendered_frame
from lora_assets.training.scores import FoundBoxes, mask_iou, matched, score_boxes
from lora_assets.training.segmenter import find_masks
from lora_assets.vision.starter_sam import load_starter_sam

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

UNSEEN_SEEDS = range(950_000, 950_100)
"""Seeds for the last measurement, apart from those of training and of the measurements during training."""
LEAST_CONFIDENCE = 0.25

_log = logging.getLogger(__name__)


def measure_starters(
    yolo: Path, sam: Path, frames: Sequence[RenderedFrame], input_size: int, prefix: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Figures of the detector file and of the segmenter file on `frames`, each named `<prefix>_...`.

    Recall and precision are at IoU 0.5 and confidence 0.25. `mask_iou_found_boxes` counts a person that the detector
    missed as 0.
    """
    segmenter = load_starter_sam(sam)
    found = find_boxes(yolo, [frame.image for frame in frames], input_size)
    scores = {
        name: score_boxes(
            [
                FoundBoxes(rows[rows[:, 5] == label, :4], rows[rows[:, 5] == label, 4], frame_truth(frame)[label])
                for rows, frame in zip(found, frames, strict=True)
            ]
        )
        for label, name in enumerate(LABELS)
    }
    from_true, from_found = [], []
    for rows, frame in zip(found, frames, strict=True):
        persons = rows[(rows[:, 5] == LABELS.index("person")) & (rows[:, 4] >= LEAST_CONFIDENCE)]
        from_true += _mask_scores(segmenter, frame, frame.boxes, np.arange(len(frame.boxes)))
        answers = matched(persons[:, :4], persons[:, 4], frame.boxes, 0.5)
        from_found += _mask_scores(segmenter, frame, persons[answers >= 0, :4], answers[answers >= 0])
        from_found += [0.0] * (len(frame.boxes) - int(np.count_nonzero(answers >= 0)))
    masks = {
        f"{prefix}_mask_iou_true_boxes": round(float(np.mean(from_true)), 4),
        f"{prefix}_mask_iou_true_boxes_worst_tenth": round(float(np.quantile(from_true, 0.1)), 4),
        f"{prefix}_mask_iou_found_boxes": round(float(np.mean(from_found)), 4),
        f"{prefix}_masks": float(len(from_true)),
    }
    return score_figures(scores, prefix), masks


def film_frames(every: int = 3) -> list[RenderedFrame]:
    """Every `every`-th frame of the sample film that opens, with its truth."""
    scenes = (scene for _, scene in sample_film_truth() if scene is not None)
    return [rendered_frame(scene) for scene in islice(scenes, 0, None, every)]


def measure_and_record(folder: Path = STARTER_FOLDER, frames: int = 100) -> dict[str, float]:
    """Measure the starters of `folder` on unseen scenes and on the sample film; add the figures to its card.

    Returns all figures. Raises KeyError when the card has no entry for both files.
    """
    yolo, sam = folder / STARTER_YOLO.name, folder / STARTER_SAM.name
    card = folder / STARTER_CARD.name
    input_size = int(str(read_card(card)[yolo.name].architecture["input_size"]))
    scenes = [draw_frame(seed) for seed in UNSEEN_SEEDS[:frames]]
    figures: dict[str, float] = {}
    for prefix, drawn in (("unseen", scenes), ("film", film_frames())):
        boxes, masks = measure_starters(yolo, sam, drawn, input_size, prefix)
        add_figures(card, yolo.name, boxes)
        add_figures(card, sam.name, masks)
        figures |= boxes | masks
    return figures


def _mask_scores(segmenter: Sam, frame: RenderedFrame, boxes: np.ndarray, characters: np.ndarray) -> list[float]:
    masks = find_masks(segmenter, frame.image, boxes)
    return [mask_iou(mask, frame.owners == index + 1) for mask, index in zip(masks, characters, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: measure the starters of a folder and write what they reach into the card."""
    parser = argparse.ArgumentParser(prog="python -m lora_assets.training.starters", description=__doc__)
    parser.add_argument("--folder", type=Path, default=STARTER_FOLDER, help="where the weights and CARD.json lie")
    parser.add_argument("--frames", type=int, default=len(UNSEEN_SEEDS), help="unseen scenes to measure on")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, value in measure_and_record(chosen.folder, chosen.frames).items():
        _log.info("%-45s %.4f", name, value)


if __name__ == "__main__":
    main()

"""How well a page detector and a segmenter find panels, bubbles, characters and text on pages of unseen layouts.

Drawn pages have seeds that no sample set uses, layouts and looks that no training page has. A real page with panel
truth (JSON {"format": "x,y,w,h", "panels": [...]}) is measured beside them when one is named. Training is in
finetuning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lora_assets.finetuning.page_detector import PageDetector, open_page_detector
from lora_assets.finetuning.page_segmenting import PageMask, box_mask, segment_page
from lora_assets.scenes.comic import COMIC_CATEGORIES, PANEL, ComicPage, draw_comic_page
from lora_assets.training.scores import FoundBoxes, score_boxes
from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.masks import mask_iou
from lora_assets.vision.prompted import Prompted, open_prompted

FIRST_SEED = 1_900_000_000
PAGE_SIZE = (720, 1024)


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """One category over all pages: recall and precision of boxes (IoU 0.5), mean best mask IoU of its true things."""

    category: str
    recall: float
    precision: float
    mask_iou: float
    things: int


def best_ious(found: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> list[float]:
    """For every true mask (bool HxW) the IoU of the found mask that fits it best; 0 where nothing was found."""
    return [max((mask_iou(mask, truth) for mask in found), default=0.0) for truth in true]


def score_page(page: ComicPage, found: Sequence[PageMask], names: Mapping[int, str], category: str) -> FoundBoxes:
    """The boxes of one category on one page, found and true."""
    mine = [one for one in found if names[one.category_id] == category]
    boxes = np.array([one.box for one in mine], float).reshape(-1, 4)
    true = np.array([one.bbox for one in page.of(category)], float).reshape(-1, 4)
    return FoundBoxes(boxes, np.array([one.score for one in mine]), true)


def measure_drawn(detector: PageDetector, segmenter: Prompted, pages: int) -> tuple[list[CategoryFigures], float]:
    """The figures of every drawn category over `pages` pages, and the seconds that a page takes."""
    names = dict(detector.card.categories)
    drawn = [draw_comic_page(FIRST_SEED + n, *PAGE_SIZE, layouts="held_out") for n in range(pages)]
    began = time.perf_counter()
    answers = [segment_page(page.image, detector, segmenter) for page in drawn]
    seconds = (time.perf_counter() - began) / max(1, pages)
    figures = []
    for category in COMIC_CATEGORIES:
        frames = [score_page(page, found, names, category) for page, found in zip(drawn, answers, strict=True)]
        score = score_boxes(frames, 0.5, 0.0)
        ious: list[float] = []
        for page, found in zip(drawn, answers, strict=True):
            mine = [one.mask for one in found if names[one.category_id] == category]
            ious += best_ious(mine, [one.mask for one in page.of(category)])
        figures.append(
            CategoryFigures(category, score.recall, score.precision, float(np.mean(ious or [0.0])), len(ious))
        )
    return figures, seconds


def panel_truth(path: Path) -> FloatArray:
    """True panels as xyxy. Raises ValueError when the file holds none in the form x, y, width, height."""
    told = json.loads(path.read_text(encoding="utf-8"))
    if told.get("format") != "x,y,w,h" or not told.get("panels"):
        raise ValueError(f"{path} holds no panels as x,y,w,h")
    boxes = np.array(told["panels"], np.float64)
    return np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def measure_real(detector: PageDetector, segmenter: Prompted, page: Path, truth: Path) -> list[str]:
    """Lines about the panels of a real page: IoU of each true panel with the best mask and with the best box."""
    pixels = decode_image(read_file(page)).pixels
    names = dict(detector.card.categories)
    mine = [one for one in segment_page(pixels, detector, segmenter) if names[one.category_id] == PANEL]
    shape = pixels.shape[:2]
    true = [box_mask(box, shape) for box in panel_truth(truth)]
    in_boxes = [box_mask(np.array(one.box), shape) for one in mine]
    by_mask, by_box = best_ious([one.mask for one in mine], true), best_ious(in_boxes, true)
    return [
        f"{page.name}: {len(true)} true panels, {len(mine)} found",
        f"  IoU of masks {np.mean(by_mask):.3f} (least {min(by_mask):.3f}), of boxes {np.mean(by_box):.3f} "
        f"(least {min(by_box):.3f})",
    ]


def measure_page_detection(
    data: Path, detector: str, model: str, pages: int, real: Path | None, truth: Path | None
) -> list[str]:
    """Lines of figures. Raises ModelError when detector or segmenter cannot be opened."""
    opened, segmenter = open_page_detector(data, detector), open_prompted(model, data)
    figures, seconds = measure_drawn(opened, segmenter, pages)
    lines = [f"{pages} drawn pages of unseen layouts and looks, {detector} and {model}, {seconds:.2f} s a page"]
    lines += [
        f"  {one.category:10} recall {one.recall:.3f}  precision {one.precision:.3f}  mask IoU {one.mask_iou:.3f}  "
        f"({one.things} things)"
        for one in figures
    ]
    return lines + (measure_real(opened, segmenter, real, truth) if real and truth else [])

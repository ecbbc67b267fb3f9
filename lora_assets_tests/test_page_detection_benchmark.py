"""The benchmark of page detection: what counts as found, and panels of a real page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lora_assets.benchmarks.page_detection import best_ious, measure_drawn, measure_real, panel_truth, score_page
from lora_assets.finetuning.page_cards import PageDetectorCard
from lora_assets.finetuning.page_detector import PageDetector
from lora_assets.finetuning.page_segmenting import PageMask
from lora_assets.scenes.comic import COMIC_CATEGORIES, draw_comic_page
from lora_assets.training.scores import score_boxes
from lora_assets.vision.prompted import Candidates, Embedding, best_first
from lora_assets.vision.several_looks import FoundBoxes
from lora_assets.vision.yolo import Yolo

NAMES = dict(enumerate(COMIC_CATEGORIES, start=1))


class _Filling:
    """A segmenter whose masks fill the asked box."""

    name = "filling"

    def embed(self, rgb: np.ndarray) -> Embedding:
        return Embedding(rgb.shape[1], rgb.shape[0], 0, None)

    def predict(self, embedding: Embedding, *, points=(), labels=(), box=None, mask_input=None) -> Candidates:
        masks = np.zeros((3, embedding.height, embedding.width), bool)
        x1, y1, x2, y2 = np.round(np.asarray(box, float)).astype(int)
        masks[:, y1:y2, x1:x2] = True
        return best_first(masks, np.array([0.9, 0.8, 0.7]), (0, 1, 2))


def _detector(boxes: list[tuple[float, float, float, float]], classes: list[int]) -> PageDetector:
    found = FoundBoxes(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9), np.array(classes, int), None)
    card = PageDetectorCard("fixed", "", "", "", "", 0.0, 0, {"side": 128}, tuple(NAMES.items()), ())
    return PageDetector(card, Yolo(COMIC_CATEGORIES, lambda _: found))


def test_true_boxes_score_full_marks_and_a_wrong_one_costs_precision():
    page = draw_comic_page(3, 300, 420, layouts="held_out")
    found = [
        PageMask(COMIC_CATEGORIES.index(one.category) + 1, 0.9, one.mask, one.bbox, False) for one in page.instances
    ]
    panels = score_page(page, found, NAMES, "panel")
    score = score_boxes([panels], 0.5, 0.0)
    assert (score.recall, score.precision) == (1.0, 1.0)
    wrong = PageMask(1, 0.5, np.zeros_like(page.instances[0].mask), (0, 0, 5, 5), True)
    score = score_boxes([score_page(page, [*found, wrong], NAMES, "panel")], 0.5, 0.0)
    assert score.recall == 1.0 and score.precision < 1.0


def test_every_true_mask_is_answered_by_its_best_one():
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :5], masks[1, 5:] = True, True
    assert best_ious([masks[1], masks[0]], [masks[0], masks[1]]) == [1.0, 1.0]
    assert best_ious([], [masks[0]]) == [0.0]


def test_a_detector_that_finds_nothing_is_told_so():
    figures, seconds = measure_drawn(_detector([], []), _Filling(), 1)
    assert [one.category for one in figures] == list(COMIC_CATEGORIES)
    assert all(one.mask_iou == 0.0 for one in figures if one.category != "panel") and seconds >= 0


def test_panels_of_a_real_page_are_compared_with_their_truth(tmp_path):
    Image.new("RGB", (200, 100), (255, 255, 255)).save(tmp_path / "page.png")
    truth = tmp_path / "page.panels.json"
    truth.write_text(json.dumps({"format": "x,y,w,h", "panels": [[10, 10, 80, 80], [110, 10, 80, 80]]}))
    detector = _detector([(10, 10, 90, 90), (110, 10, 190, 50)], [0, 0])
    lines = measure_real(detector, _Filling(), tmp_path / "page.png", truth)
    assert "2 true panels, 2 found" in lines[0]
    assert "masks 0.750 (least 0.500), of boxes 0.750" in lines[1]
    truth.write_text(json.dumps({"format": "x1,y1,x2,y2", "panels": [[1, 2, 3, 4]]}))
    with pytest.raises(ValueError, match="no panels as x,y,w,h"):
        panel_truth(truth)

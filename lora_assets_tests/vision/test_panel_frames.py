from __future__ import annotations

import cv2
import numpy as np
import pytest

from lora_assets.vision.panel_frames import framed_panels

BOXES = ((12, 12, 150, 130), (166, 12, 308, 130), (12, 146, 308, 330))


def _page(gutter: int, frame: int, inside: int, grain: float = 0.0) -> np.ndarray:
    page = np.full((344, 320), gutter, np.uint8)
    for x0, y0, x1, y1 in BOXES:
        page[y0:y1, x0:x1] = frame
        page[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3] = inside
    noise = np.random.default_rng(0).normal(0, grain, page.shape) if grain else 0
    return np.clip(page + noise, 0, 255).astype(np.uint8)


def _in_order(boxes: np.ndarray) -> list[list[float]]:
    return sorted(boxes.tolist(), key=lambda box: (box[1], box[0]))


@pytest.mark.parametrize(("gutter", "frame", "inside"), [(255, 0, 255), (10, 240, 12), (200, 30, 90), (250, 120, 120)])
def test_panels_between_gutters_are_found_whatever_their_tones(gutter, frame, inside):
    assert np.abs(np.array(_in_order(framed_panels(_page(gutter, frame, inside)))) - np.array(BOXES)).max() <= 2


def test_grain_and_a_bubble_over_a_gutter_part_or_join_nothing():
    page = _page(250, 0, 170, grain=2.5)
    cv2.ellipse(page, (158, 70), (14, 9), 0, 0, 360, 250, -1)
    cv2.ellipse(page, (158, 70), (14, 9), 0, 0, 360, 0, 1)
    assert np.abs(np.array(_in_order(framed_panels(page))) - np.array(BOXES)).max() <= 2
    page[50:110, 120:200] = 20
    assert np.abs(np.array(_in_order(framed_panels(page))) - np.array(BOXES)).max() <= 2


@pytest.mark.parametrize("page", [np.full((300, 200), 255, np.uint8), np.zeros((1, 1), np.uint8)])
def test_a_page_without_anything_has_none(page):
    assert framed_panels(page).shape == (0, 4)


def test_a_picture_that_fills_the_page_and_small_things_are_no_panels():
    page = np.full((300, 200), 255, np.uint8)
    page[3:297, 3:197] = 40
    assert len(framed_panels(page)) == 0
    page[:] = 255
    page[50:62, 50:62] = 0
    assert len(framed_panels(page)) == 0

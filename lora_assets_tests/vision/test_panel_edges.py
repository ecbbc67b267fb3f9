from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.masks import mask_iou
from lora_assets.vision.panel_edges import panel_mask

WIDTH, HEIGHT = 320, 260


def _page(corners: list[tuple[int, int]], *, border: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A white page with one panel of soft noise, as grey, and the panel's mask."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.integers(60, 200, (HEIGHT, WIDTH)).astype(np.uint8), (0, 0), 3)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    points = np.array(corners, np.int32)
    cv2.fillConvexPoly(mask, points, 1)
    page = np.where(mask > 0, noise, 255).astype(np.uint8)
    if border:
        cv2.polylines(page, [points], True, 0, border)
        cv2.polylines(mask, [points], True, 1, border)
    return page, mask > 0


def _bounds(mask: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], float)


@settings(max_examples=8, deadline=None)
@given(
    shifts=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    border=st.sampled_from([0, 2, 5]),
    slips=st.lists(st.integers(-4, 4), min_size=4, max_size=4),
)
def test_a_slanted_panel_is_found_from_a_box_that_is_a_little_off(shifts, border, slips):
    top, foot, left, right = shifts
    corners = [(30 + left, 30), (290, 30 + top), (290 - right, 230), (30, 230 - foot)]
    page, mask = _page(corners, border=border)
    box = _bounds(mask) + np.array(slips, float)
    assert mask_iou(panel_mask(page, box), mask) > 0.94


def test_a_bubble_over_a_side_does_not_bend_it():
    page, mask = _page([(40, 30), (280, 30), (280, 220), (40, 220)], border=3)
    cv2.circle(page, (280, 120), 30, 255, -1)
    cv2.circle(page, (280, 120), 30, 0, 2)
    assert mask_iou(panel_mask(page, _bounds(mask)), mask) > 0.97


def test_a_picture_that_bleeds_off_the_page_ends_at_its_rim():
    page, mask = _page([(100, -5), (400, -5), (400, 300), (60, 300)], border=3)
    box = np.array([58, 2, WIDTH - 3, HEIGHT - 2], float)
    found = panel_mask(page, box)
    assert mask_iou(found, mask) > 0.96
    assert found[:, -1].all() and found[0, 120:].all()


def test_a_side_without_an_edge_is_the_boxs():
    blank = np.full((HEIGHT, WIDTH), 200, np.uint8)
    box = np.array([50.0, 40, 250, 200])
    mask = panel_mask(blank, box)
    assert mask.sum() == 200 * 160 and mask[40, 50] and mask[199, 249] and not mask[200, 250]


@pytest.mark.parametrize("box", [(-20.0, -20, 400, 400), (0, 0, 2, 2), (318.5, 258.5, 330, 300), (10, 10, 10.5, 200)])
def test_boxes_at_and_over_the_rim_are_answered(box):
    page, _ = _page([(40, 30), (280, 30), (280, 220), (40, 220)], border=3)
    assert panel_mask(page, np.array(box, float)).shape == (HEIGHT, WIDTH)


def test_a_box_without_area_is_refused():
    with pytest.raises(ValueError, match="has no area"):
        panel_mask(np.zeros((20, 20), np.uint8), np.array([5.0, 5, 5, 9]))

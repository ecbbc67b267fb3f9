from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.finetuning.planes import counted, coverage, enlarged, page_part
from lora_assets.vision.masks import mask_iou

WHOLE = np.array([0.0, 0.0, 60.0, 40.0])


def _rectangle(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[y1:y2, x1:x2] = True
    return mask


@given(st.integers(0, 50), st.integers(0, 30), st.integers(1, 10), st.integers(1, 10), st.integers(4, 40))
@settings(max_examples=40, deadline=None)
def test_coverage_keeps_the_area(x, y, wide, high, cells):
    mask = _rectangle(x, y, x + wide, y + high)
    covered = coverage(mask, WHOLE, (cells, cells))
    assert covered.min() >= 0
    assert covered.max() <= 1 + 1e-6
    assert covered.sum() * (60 * 40) / cells**2 == pytest.approx(mask.sum(), rel=1e-4)


@given(st.integers(5, 30), st.integers(5, 15), st.integers(12, 25), st.integers(12, 20))
@settings(max_examples=30, deadline=None)
def test_what_is_made_small_is_found_again_where_it_was(x, y, wide, high):
    mask = _rectangle(x, y, x + wide, y + high)
    for window in (
        WHOLE,
        np.array([0.0, 0.0, 60.0, 60.0]),
        np.array([x - 4.5, y - 3.0, x + wide + 3.5, y + high + 5.0]),
    ):
        logits = coverage(mask, window, (48, 48)) - 0.5
        assert mask_iou(enlarged(logits, window, (60, 40)), mask) > 0.85


def test_a_window_beyond_the_page_is_known_to_be_off_it():
    part = page_part(np.array([-10.0, -10.0, 10.0, 10.0]), (4, 4), (60, 40))
    assert part.tolist() == [[False] * 4, [False] * 4, [False, False, True, True], [False, False, True, True]]
    assert enlarged(np.full((4, 4), -1.0, np.float32), WHOLE, (60, 40)).sum() == 0
    assert enlarged(np.full((4, 4), 1.0, np.float32), WHOLE, (60, 40)).all()


def test_one_pixel_in_a_large_plane_is_not_lost():
    mask = _rectangle(59, 39, 60, 40)
    assert coverage(mask, WHOLE, (40, 60))[39, 59] == pytest.approx(1)
    assert coverage(np.zeros((40, 60), bool), WHOLE, (8, 8)).sum() == 0


@given(st.integers(1, 6), st.integers(0, 30), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_no_thing_is_too_small_to_be_counted_and_a_whole_cell_counts_by_half(side, row, column):
    mask = np.zeros((40, 60), bool)
    mask[row : row + side, column : column + side] = True
    covered = coverage(mask, WHOLE, (8, 8))
    assert counted(covered[None])[0].any()
    large = np.array([[[1.0, 0.6, 0.5, 0.4, 0.0]]], np.float32)
    assert counted(large).tolist() == [[[True, True, False, False, False]]]
    assert not counted(np.zeros((1, 4, 4), np.float32)).any()

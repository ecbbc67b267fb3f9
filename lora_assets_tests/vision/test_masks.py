"""Tests of run lengths and windows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lora_assets.vision.masks import (
    decode_mask,
    enclosed_pixels,
    encode_mask,
    mask_bounds,
    mask_iou,
    mask_pixels,
    piece_areas,
    window_pixels,
)
from lora_assets_tests.vision.drawn import mask_row, noise_mask

SEEDS = st.integers(0, 2**31)
SIDES = st.integers(1, 70)
SHARES = st.sampled_from((0.0, 0.01, 0.2, 0.6, 1.0))


@given(SEEDS, SIDES, SIDES, SHARES)
@settings(deadline=None, max_examples=30)
def test_run_lengths_give_the_mask_back(seed: int, height: int, width: int, share: float):
    mask = noise_mask(seed, height, width, share)
    back = decode_mask(encode_mask(mask), height, width)
    assert back.dtype == np.bool_
    assert np.array_equal(back, mask)


@given(SEEDS, SIDES, SIDES, st.integers(-20, 80), st.integers(-20, 80), st.integers(1, 90), st.integers(1, 90))
@settings(deadline=None, max_examples=30)
def test_a_window_shows_what_the_frame_shows(seed: int, height: int, width: int, x: int, y: int, w: int, h: int):
    mask = noise_mask(seed, height, width, 0.3)
    whole = np.pad(mask, 200)
    expected = whole[y + 200 : y + 200 + h, x + 200 : x + 200 + w]
    assert np.array_equal(window_pixels(mask_row(mask), (x, y, w, h)), expected)


def test_bounds_are_tight_and_none_for_an_empty_mask():
    mask = np.zeros((9, 12), np.bool_)
    assert mask_bounds(mask) is None
    mask[2, 3] = mask[6, 10] = True
    assert mask_bounds(mask) == (3, 2, 8, 5)
    assert mask_pixels(mask_row(mask)).shape == (5, 8)


@pytest.mark.parametrize("rle", [b"", b"zzzz", b"0", b"5:", b"\xff\xff"])
def test_damaged_run_lengths_are_refused(rle: bytes):
    with pytest.raises(ValueError, match="run lengths"):
        decode_mask(rle, 5, 5)


def test_only_bool_masks_are_encoded():
    with pytest.raises(ValueError, match="bool"):
        encode_mask(np.ones((3, 3), np.uint8))  # pyright: ignore


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)))
@settings(deadline=None, max_examples=60)
def test_pieces_and_holes_are_those_of_opencvs_statistics(mask: np.ndarray):
    levels = mask.astype(np.uint8)
    pieces = cv2.connectedComponentsWithStats(levels, connectivity=8)[2]
    assert piece_areas(mask).tolist() == pieces[1:, cv2.CC_STAT_AREA].tolist()
    around = cv2.copyMakeBorder(1 - levels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, gaps, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    holes = gaps[1:, cv2.CC_STAT_AREA].sum() - gaps[labels[0, 0], cv2.CC_STAT_AREA]
    assert enclosed_pixels(mask) == holes


def test_mask_iou_of_half_and_of_nothing():
    full = np.ones((4, 4), bool)
    half = full.copy()
    half[:2] = False
    assert mask_iou(full, half) == 0.5
    assert mask_iou(full & False, half & False) == 1.0

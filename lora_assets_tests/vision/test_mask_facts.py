"""Tests of what is measured on every mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.mask_facts import background_left, measure_shape
from lora_assets.vision.masks import BoolMask
from lora_assets_tests.vision.drawn import noise_mask


def figure() -> tuple[np.ndarray, BoolMask]:
    """A red figure with a blue coat on a green wall, and its mask, 200 x 300."""
    image = np.full((300, 200, 3), (60, 150, 80), np.uint8)
    mask = np.zeros((300, 200), np.uint8)
    cv2.ellipse(image, (100, 150), (50, 110), 0, 0, 360, (200, 60, 50), -1)
    cv2.ellipse(image, (100, 180), (48, 60), 0, 0, 360, (50, 60, 190), -1)
    cv2.ellipse(mask, (100, 150), (50, 110), 0, 0, 360, 1, -1)
    return image, mask > 0


def test_holes_and_specks_are_shares():
    mask = np.zeros((60, 80), np.bool_)
    mask[10:50, 10:50] = True
    mask[20:30, 20:30] = False
    mask[0:5, 70:74] = True
    shape = measure_shape(mask, 3, 4, 200, 200)
    assert shape.holes == pytest.approx(100 / 1620)
    assert (shape.specks, shape.speck_share) == (1, pytest.approx(20 / 1520))
    assert shape.edge_contact == (0.0, 0.0, 0.0, 0.0)


def test_contact_is_told_for_each_edge_of_the_frame():
    mask = np.ones((10, 20), np.bool_)
    mask[:5, 0] = False
    assert measure_shape(mask, 0, 30, 100, 40).edge_contact == (0.5, 0.0, 0.0, 1.0)
    assert measure_shape(mask, 80, 0, 100, 40).edge_contact == (0.0, 0.95, 1.0, 0.0)
    assert measure_shape(np.ones((7, 9), np.bool_), 0, 0, 9, 7).edge_contact == (1.0, 1.0, 1.0, 1.0)


@given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 50), st.sampled_from((0.0, 0.05, 0.5, 1.0)))
@settings(deadline=None, max_examples=40)
def test_every_mask_has_finite_shares(seed: int, height: int, width: int, share: float):
    mask = noise_mask(seed, height, width, share)
    shape = measure_shape(mask, 0, 0, width, height)
    assert all(0.0 <= value <= 1.0 for value in (shape.holes, shape.speck_share, *shape.edge_contact))
    assert 0 <= shape.specks <= mask.sum()
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    left = background_left(image, mask, np.zeros_like(mask))
    assert left is None or 0.0 <= left <= 1.0


def test_background_in_a_mask_is_found_and_the_figure_is_not_taken_for_it():
    image, mask = figure()
    nobody = np.zeros_like(mask)
    clean = background_left(image, mask, nobody)
    assert clean is not None and clean < 0.02
    wide = mask.copy()
    wide[60:240, 20:100] = True
    true = float((wide & ~mask).sum() / wide.sum())
    found = background_left(image, wide, nobody)
    assert found == pytest.approx(true, rel=0.3)


def test_a_neighbour_is_no_background():
    image, mask = figure()
    image[:, 140:] = (200, 60, 50)
    neighbour = np.zeros_like(mask)
    neighbour[:, 140:] = True
    alone, beside = background_left(image, mask, np.zeros_like(mask)), background_left(image, mask, neighbour)
    assert alone is not None and beside is not None and beside <= alone and beside < 0.02


@pytest.mark.parametrize("mask", [np.zeros((30, 30), np.bool_), np.ones((30, 30), np.bool_)])
def test_without_inside_or_outside_it_cannot_be_told(mask: BoolMask):
    assert background_left(np.zeros((30, 30, 3), np.uint8), mask, np.zeros_like(mask)) is None

"""Tests of pieces of a picture on the wrong side of a mask's outline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.mask_facts import background_left
from lora_assets.vision.outline_pieces import (
    around,
    enclosed_gaps,
    open_pieces,
    surroundings,
    zones_of_other_side,
)
from lora_assets_tests.vision.drawn import noise_mask


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A disc with a dark outline on a plain ground, 200 x 200, and its mask."""
    image = np.full((200, 200, 3), (120, 170, 210), np.uint8)
    cv2.circle(image, (100, 100), 60, (230, 120, 60), -1)
    cv2.circle(image, (100, 100), 60, (20, 20, 30), 3)
    mask = np.zeros((200, 200), np.uint8)
    cv2.circle(mask, (100, 100), 61, 1, -1)
    return image, mask > 0


def test_a_piece_of_the_ground_is_in_a_zone_of_the_other_side():
    image, mask = drawn()
    wrong = np.zeros_like(mask)
    wrong[140:190, 20:70] = True
    seen = surroundings(image, mask | wrong, np.zeros_like(mask))
    flat = seen.flat(seen.ring(0.08))
    found = zones_of_other_side(seen, flat, seen.mask, 0.6)
    true = cv2.resize((wrong & ~mask).astype(np.uint8), found.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert (found & true).sum() > 0.85 * true.sum() and (found & ~true).sum() < 0.05 * seen.mask.sum()
    assert not zones_of_other_side(seen, flat, seen.mask, 0.6, largest=10).any()


def test_what_a_line_parts_from_the_outside_is_no_piece():
    image, mask = drawn()
    seen = surroundings(image, mask, np.zeros_like(mask))
    flat = seen.flat(seen.ring(0.08))
    inside = cv2.erode(seen.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not open_pieces(inside, seen.mask, seen.outside, flat, 3).any()
    everywhere = np.ones_like(flat)
    assert open_pieces(inside, seen.mask, seen.outside, everywhere, 3).sum() > 0.8 * seen.mask.sum()
    assert not open_pieces(np.zeros_like(inside), seen.mask, seen.outside, flat, 3).any()


@pytest.mark.parametrize("rim", [2, 4, 6])
def test_a_rim_is_no_background_left(rim: int):
    image, mask = drawn()
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * rim + 1,) * 2, np.uint8)) > 0
    left = background_left(image, grown, np.zeros_like(mask))
    assert left is not None and left < 0.02


def test_a_fade_does_not_make_the_figure_background():
    image, mask = drawn()
    dark = cv2.convertScaleAbs(image, alpha=0.15)
    left = background_left(np.asarray(dark, np.uint8), mask, np.zeros_like(mask))
    assert left is not None and left < 0.02


def test_gaps_are_enclosed_and_bays_are_not():
    ring = np.zeros((40, 40), np.uint8)
    cv2.circle(ring, (20, 20), 15, 1, 3)
    assert enclosed_gaps(ring > 0)[20, 20] and not enclosed_gaps(ring > 0)[0, 0]
    ring[20:, 18:23] = 0
    assert not enclosed_gaps(ring > 0).any()


def test_a_window_grows_inside_the_frame():
    assert around((50, 40, 100, 20), 0.2, 400, 300) == (30, 20, 140, 60)
    assert around((0, 0, 3, 3), 0.2, 5, 4) == (0, 0, 5, 4)


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.sampled_from((0.0, 0.3, 1.0)))
@settings(deadline=None, max_examples=30)
def test_any_window_gives_pieces_of_it(seed: int, height: int, width: int, share: float):
    mask = noise_mask(seed, height, width, share)
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    seen = surroundings(image, mask, np.zeros_like(mask))
    flat = seen.flat(seen.ring(0.1))
    assert not (zones_of_other_side(seen, flat, seen.mask, 0.6) & ~seen.mask).any()
    assert not (open_pieces(mask, seen.mask, seen.outside, flat, 2, narrow=True) & ~seen.mask).any()

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
    closed_by_frame,
    enclosed_gaps,
    ground_candidates,
    lost_candidates,
    surroundings,
    without_specks,
    zones_of_other_side,
)
from lora_assets.vision.piece_evidence import GROUND, GROUND_SIGNS, LOST, LOST_SIGNS, Evidence
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
    flat = seen.flat(seen.ring(0.08), seen.steps())
    found = zones_of_other_side(seen, flat, seen.mask, 0.6)
    true = cv2.resize((wrong & ~mask).astype(np.uint8), found.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert (found & true).sum() > 0.85 * true.sum() and (found & ~true).sum() < 0.05 * seen.mask.sum()
    assert not zones_of_other_side(seen, flat, seen.mask, 0.6, largest=10).any()


def striped(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with the ground in stripes of 6 pixels."""
    bars = np.broadcast_to((np.arange(image.shape[1]) // 6 % 2 == 0)[None], mask.shape)
    shown = image.copy()
    shown[bars & ~mask] = (185, 220, 245)
    return shown


@pytest.mark.parametrize("stripes", [False, True])
def test_ground_in_the_mask_is_a_piece_and_what_a_line_parts_from_it_is_none(stripes: bool):
    image, mask = drawn()
    image = striped(image, mask) if stripes else image
    wrong = cv2.circle(np.zeros(mask.shape, np.uint8), (50, 140), 30, 1, -1) > 0
    seen = surroundings(image, mask | wrong, np.zeros_like(mask))
    near, steps = seen.ring(0.08), seen.steps()
    small = cv2.resize((wrong & ~mask).astype(np.uint8), seen.mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    like = np.where(small, 2.0, -2.0)
    pieces, loose = ground_candidates(seen, small, seen.outside, near, steps, seen.flat(near, steps), 3, like)
    assert pieces is not None and pieces.signs.shape[1] == len(GROUND_SIGNS)
    assert (pieces.likely(GROUND, 0.5) & small).sum() > 0.8 * small.sum() and stripes | (loose > 0.15)
    inside = cv2.erode(seen.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    right = surroundings(image, mask, np.zeros_like(mask))
    around_it, edges = right.ring(0.08), right.steps()
    found, flat = inside & right.mask, right.flat(around_it, edges)
    pieces, loose = ground_candidates(right, found, right.outside, around_it, edges, flat, 3, np.zeros(found.shape))
    assert pieces is not None and not pieces.likely(GROUND, 0.5).any() and loose < 0.02
    nothing = np.zeros_like(inside)
    assert ground_candidates(seen, nothing, seen.outside, near, steps, seen.flat(near, steps), 3, like)[0] is None


def test_what_the_outline_cuts_without_a_line_is_torn_off():
    image, mask = drawn()
    upper = mask.copy()
    upper[110:] = False
    for lined, torn in ((False, True), (True, False)):
        shown = image.copy()
        if lined:
            cv2.line(shown, (40, 110), (160, 110), (20, 20, 30), 3)
        seen = surroundings(shown, upper, np.zeros_like(mask))
        lost = cv2.resize((mask & ~upper).astype(np.uint8), seen.mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        nothing = np.zeros_like(lost)
        like, heads = np.where(lost, 2.0, -2.0), (nothing, nothing)
        found = lost_candidates(seen, lost, seen.outside, seen.steps(), 2, like, heads)
        assert found is not None and found.signs.shape[1] == len(LOST_SIGNS)
        told = found.likely(LOST, 0.5)
        assert told.any() == torn and (not torn or (told & lost).sum() > 0.9 * lost.sum())
        others = lost_candidates(seen, lost, seen.outside, seen.steps(), 2, like, (nothing, lost))
        assert others is not None
        # A head that no mask holds is more likely this figure's.
        assert LOST.probability(others.signs)[0] > LOST.probability(found.signs)[0]
    assert lost_candidates(seen, nothing, seen.outside, seen.steps(), 2, np.zeros(lost.shape), heads) is None
    away = nothing.copy()
    away[-12:-2, -12:-2] = True
    assert lost_candidates(seen, away & seen.outside, seen.outside, seen.steps(), 2, like, heads) is None


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=8),
    st.lists(st.floats(-50, 50), min_size=4, max_size=4),
)
def test_evidence_is_a_probability_that_grows_with_its_signs(signs: list[list[float]], numbers: list[float]):
    evidence = Evidence(tuple(numbers[:3]), numbers[3])
    told = evidence.probability(np.array(signs))
    assert told.shape == (len(signs),) and ((told >= 0) & (told <= 1)).all()
    more = evidence.probability(np.array(signs) + np.sign(numbers[:3]))
    assert (more >= told - 1e-12).all()


def test_specks_are_left_out_and_large_pieces_stay():
    _, mask = drawn()
    specked = mask.copy()
    specked[5:15, 5:15] = True
    assert (without_specks(specked) == mask).all() and without_specks(mask) is mask
    apart = mask.copy()
    apart[95:105] = False
    assert (without_specks(apart) == apart).all()


def test_a_gap_that_the_frame_closes_is_enclosed():
    mask = np.zeros((40, 40), np.bool_)
    mask[10:, 5:35] = True
    mask[30:, 15:25] = False
    closed = closed_by_frame(mask, (100, 60, 40, 40), 300, 100)
    assert enclosed_gaps(closed)[32, 20] and not enclosed_gaps(mask).any()
    assert not enclosed_gaps(closed_by_frame(mask, (100, 60, 40, 40), 300, 200)).any()


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
    near, steps = seen.ring(0.1), seen.steps()
    assert not (zones_of_other_side(seen, seen.flat(near, steps), seen.mask, 0.6) & ~seen.mask).any()
    level, flat = np.zeros(mask.shape), seen.flat(near, steps)
    ground, loose = ground_candidates(seen, seen.mask, seen.outside, near, steps, flat, 2, level)
    assert 0.0 <= loose <= 1.0
    lost = lost_candidates(seen, seen.outside, seen.outside, steps, 2, level, (seen.mask, near))
    for pieces, where in ((ground, seen.mask), (lost, seen.outside)):
        if pieces is not None:
            assert np.isfinite(pieces.signs).all() and len(pieces.signs) == pieces.labels.max()
            assert not (pieces.likely(LOST if pieces is lost else GROUND, 0.5) & ~where).any()
    assert not (without_specks(seen.mask) & ~seen.mask).any()

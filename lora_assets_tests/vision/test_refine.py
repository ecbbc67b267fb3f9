"""Tests of the refinement presets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.tables import Mask, to_table
from lora_assets.vision.masks import BoolMask, mask_bounds, mask_pixels, window_pixels
from lora_assets.vision.refine import PRESETS, RefineSettings, find_preset, refine_pixels, refine_row, refine_rows
from lora_assets_tests.vision.drawn import mask_row, noise_mask


def ellipse(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def aggressive_in_frame(mask: BoolMask) -> BoolMask:
    """The chain as its authors write it, on the whole frame."""
    levels = mask.astype(np.uint8) * 255
    levels = cv2.morphologyEx(levels, cv2.MORPH_CLOSE, ellipse(3), iterations=5)
    levels = cv2.threshold(cv2.GaussianBlur(levels, (3, 3), 0), 100, 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.dilate(levels, ellipse(7), iterations=3)) > 0


def extended_in_frame(mask: BoolMask) -> BoolMask:
    levels = mask.astype(np.uint8) * 255
    levels = cv2.morphologyEx(levels, cv2.MORPH_CLOSE, ellipse(5), iterations=2)
    levels = cv2.morphologyEx(levels, cv2.MORPH_OPEN, ellipse(5), iterations=1)
    levels = cv2.threshold(cv2.GaussianBlur(levels, (5, 5), 0), 127, 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.dilate(levels, ellipse(5), iterations=2)) > 0


CHAINS = {"aggressive": aggressive_in_frame, "extended": extended_in_frame, "baseline": lambda mask: mask}


@pytest.mark.parametrize("preset", list(PRESETS))
@given(
    seed=st.integers(0, 2**31), x=st.integers(-30, 120), y=st.integers(-30, 80), share=st.sampled_from((0.1, 0.4, 0.8))
)
@settings(deadline=None, max_examples=30)
def test_the_window_gives_the_pixels_of_the_whole_frame(preset: str, seed: int, x: int, y: int, share: float):
    frame = np.zeros((110, 150), np.bool_)
    blob = noise_mask(seed, 40, 50, share)
    left, top = max(0, x), max(0, y)
    part = blob[top - y :, left - x :][: 110 - top, : 150 - left]
    frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    expected = CHAINS[preset](frame)
    row = refine_row(mask_row(frame), 150, 110, RefineSettings(preset))
    assert np.array_equal(window_pixels(row, (0, 0, 150, 110)), expected)
    assert row.area == expected.sum()
    assert row.coverage == pytest.approx(expected.mean())
    if row.area:
        assert mask_bounds(mask_pixels(row)) == (0, 0, row.width, row.height)


def test_the_margin_of_each_preset_is_the_provable_one():
    assert {name: preset.pad for name, preset in PRESETS.items()} == {"aggressive": 16, "extended": 11, "baseline": 1}


def test_an_empty_mask_stays_an_empty_row_with_its_window():
    row = refine_row(mask_row(np.zeros((20, 30), np.bool_)), 30, 20)
    assert (row.x, row.y, row.width, row.height, row.area, row.coverage) == (0, 0, 30, 20, 0, 0.0)


def test_an_opened_away_speck_stays_an_empty_row():
    mask = np.zeros((60, 60), np.bool_)
    mask[30, 30] = True
    row = refine_row(mask_row(mask), 60, 60, RefineSettings("extended"))
    assert row.area == 0
    assert not mask_pixels(row).any()


def test_growing_spares_the_neighbour():
    left, right = np.zeros((2, 80, 120), np.bool_)
    left[20:60, 20:58] = True
    right[20:60, 60:100] = True
    rows = [mask_row(left, "left"), mask_row(right, "right")]
    frame = (0, 0, 120, 80)
    spared = [window_pixels(row, frame) for row in refine_rows(rows, 120, 80)]
    greedy = [window_pixels(row, frame) for row in refine_rows(rows, 120, 80, RefineSettings(spare_neighbours=False))]
    assert not (spared[0] & right).any()
    assert (greedy[0] & right).any()
    assert (spared[0] & left).sum() == left.sum()
    assert spared[0][40, 12]


def test_a_pixel_between_two_goes_to_the_nearer():
    left, right = np.zeros((2, 80, 120), np.bool_)
    left[20:60, 20:50] = True
    right[20:60, 62:100] = True
    frame = (0, 0, 120, 80)
    refined = refine_rows([mask_row(left, "left"), mask_row(right, "right")], 120, 80)
    one, other = (window_pixels(row, frame) for row in refined)
    assert not (one & other).any()
    assert one[40, 50:55].all() and other[40, 57:62].all()
    assert (one | other)[40, 50:62].all()


def test_one_character_masked_twice_stays_whole():
    mask = np.zeros((80, 120), np.bool_)
    mask[20:60, 20:50] = True
    alone = refine_row(mask_row(mask), 120, 80)
    for row in refine_rows([mask_row(mask, "a"), mask_row(mask, "b")], 120, 80):
        assert np.array_equal(window_pixels(row, (0, 0, 120, 80)), window_pixels(alone, (0, 0, 120, 80)))


def test_the_shape_of_the_refined_mask_is_in_its_row():
    mask = np.zeros((60, 80), np.bool_)
    mask[:50, 10:50] = True
    mask[20:30, 20:30] = False
    mask[55, 70] = True
    row = refine_row(mask_row(mask), 80, 60, RefineSettings("baseline"))
    assert row.holes == pytest.approx(100 / 2001)
    assert (row.specks, row.speck_share) == (1, pytest.approx(1 / 1901))
    assert row.edge_contact == [0.0, pytest.approx(40 / 61), 0.0, 0.0]
    assert row.matting == "none"
    to_table([row], Mask)


@pytest.mark.parametrize("mask", [np.zeros((9, 7), np.bool_), np.ones((9, 7), np.bool_)])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_hostile_masks_make_sound_rows(mask: BoolMask, preset: str):
    one_pixel = mask.copy()
    one_pixel[0, 0] = True
    rows = refine_rows(
        [mask_row(mask, "a"), mask_row(one_pixel, "b"), mask_row(mask, "c")], 7, 9, RefineSettings(preset)
    )
    assert to_table(rows, Mask).num_rows == 3


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean aggressive\?.*aggressive, extended, baseline"):
        find_preset("agressive")


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_growing_presets_never_lose_the_figure(seed: int):
    mask = cv2.morphologyEx(noise_mask(seed, 60, 80, 0.5).astype(np.uint8), cv2.MORPH_OPEN, ellipse(5)) > 0
    assert not (mask & ~refine_pixels(mask, PRESETS["aggressive"])).any()

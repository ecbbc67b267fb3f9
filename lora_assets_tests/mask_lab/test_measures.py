from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.mask_lab.measures import agreement, boundary_f, thin_kept, thin_parts
from lora_assets_tests.vision.drawn import noise_mask


def disc(radius: int = 40, side: int = 120) -> np.ndarray:
    found = np.zeros((side, side), np.uint8)
    cv2.circle(found, (side // 2, side // 2), radius, 1, -1)
    return found > 0


@given(st.integers(0, 2**31), st.sampled_from((0.0, 0.2, 0.6)), st.sampled_from((0.0, 0.3, 1.0)))
@settings(deadline=None, max_examples=40)
def test_every_pair_of_masks_has_an_agreement_between_nothing_and_all(seed: int, one: float, other: float):
    mask, judge = noise_mask(seed, 40, 50, one), noise_mask(seed + 1, 40, 50, other)
    found = agreement(mask, judge)
    for value in (found.iou, found.covered, found.exact, found.boundary_f, found.thin_kept or 0.0):
        assert 0.0 <= value <= 1.0
    same = agreement(judge, judge)
    assert (same.iou, same.covered, same.exact, same.boundary_f) == (1.0, 1.0, 1.0, 1.0)
    assert same.thin_kept is None or same.thin_kept > 0.99


def test_the_shares_are_what_they_say():
    mask, judge = np.zeros((2, 10, 20), np.bool_)
    mask[:, :10], judge[:, 5:10] = True, True
    found = agreement(mask, judge)
    assert (found.iou, found.covered, found.exact) == (0.5, 1.0, 0.5)
    empty = np.zeros_like(mask)
    assert agreement(empty, judge).iou == agreement(empty, judge).boundary_f == 0.0
    assert agreement(empty, empty).exact == agreement(empty, empty).boundary_f == 1.0


def test_the_boundary_forgives_a_pixel_and_not_five():
    assert boundary_f(disc(41), disc(40)) > 0.95
    assert boundary_f(disc(45), disc(40)) < 0.1
    assert boundary_f(disc(45), disc(40)) == pytest.approx(boundary_f(disc(40), disc(45)), abs=0.05)


def test_an_edge_on_the_frames_border_is_no_outline():
    mask, judge = np.zeros((2, 60, 60), np.bool_)
    mask[20:] = judge[20:] = True
    judge[:, 59] = True
    assert boundary_f(mask, judge) > 0.7


def test_thin_parts_are_those_narrower_than_a_cell_and_count_by_what_is_left_of_them():
    judge = disc(320, 1024)
    assert thin_parts(judge).mean() < 1e-4
    judge[300:304, 860:1000] = True  # a strand of 4 pixels at 1024
    thin = thin_parts(judge)
    assert thin[300:304, 880:1000].all()
    without = judge.copy()
    without[:, 850:] = False
    half = judge.copy()
    half[:, 930:] = False
    whole, gone, part = thin_kept(judge, judge), thin_kept(without, judge), thin_kept(half, judge)
    assert whole is not None and gone is not None and part is not None
    assert whole > 0.99 and gone < 0.6 < part + 0.2 and gone < part < whole
    assert thin_kept(np.ones((64, 64), np.bool_), np.ones((64, 64), np.bool_)) is None

"""Tests of dividing what several masks claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.masks import BoolMask
from lora_assets.vision.neighbours import Claim, depth, divide
from lora_assets_tests.vision.drawn import noise_mask

CORNERS = st.tuples(st.integers(0, 60), st.integers(0, 60))


def claim(mask: BoolMask, x: int = 0, y: int = 0) -> Claim:
    return Claim(x, y, mask, depth(mask))


def in_frame(one: Claim, mask: BoolMask) -> BoolMask:
    frame = np.zeros((140, 140), np.bool_)
    frame[one.y : one.y + mask.shape[0], one.x : one.x + mask.shape[1]] = mask
    return frame


@given(st.integers(0, 2**31), st.lists(CORNERS, min_size=1, max_size=5), st.sampled_from((0.1, 0.4)))
@settings(deadline=None, max_examples=25)
def test_nothing_is_lost_and_nothing_is_shared(seed: int, corners: list[tuple[int, int]], share: float):
    rng = np.random.default_rng(seed)
    claims = []
    for x, y in corners:
        mask = noise_mask(int(rng.integers(2**31)), 50, 60, share)
        claims.append(Claim(x, y, mask, rng.normal(size=mask.shape)))
    shares = divide(claims)
    before = sum(in_frame(one, one.mask).astype(int) for one in claims)
    after = sum(in_frame(one, kept.mask).astype(int) for one, kept in zip(claims, shares, strict=True))
    assert np.array_equal(before > 0, after > 0)
    assert after.max() <= 1
    for one, kept in zip(claims, shares, strict=True):
        gone = int((one.mask & ~kept.mask).sum())
        assert not (kept.mask & ~one.mask).any()
        assert kept.taken == pytest.approx(gone / one.mask.sum() if one.mask.any() else 0.0)


def test_the_surest_gets_the_pixel_and_the_first_of_equals():
    mask = np.ones((1, 4), np.bool_)
    first = Claim(0, 0, mask, np.array([[1.0, 2, 3, 4]]))
    second = Claim(2, 0, mask, np.array([[9.0, 4, 1, 1]]))
    kept = divide([first, second])
    assert kept[0].mask.tolist() == [[True, True, False, True]]
    assert kept[1].mask.tolist() == [[True, False, True, True]]
    assert (kept[0].taken, kept[1].taken) == (0.25, 0.25)


def test_one_character_masked_twice_is_not_torn_apart():
    mask = np.zeros((40, 40), np.bool_)
    mask[5:35, 10:30] = True
    twin = mask.copy()
    twin[5:8] = False
    kept = divide([claim(mask), claim(twin)])
    assert np.array_equal(kept[0].mask, mask) and np.array_equal(kept[1].mask, twin)
    assert kept[0].taken == kept[1].taken == 0.0


@pytest.mark.parametrize("masks", [[], [np.zeros((5, 5), np.bool_)] * 2, [np.ones((1, 1), np.bool_)] * 3])
def test_odd_masks_are_divided_too(masks: list[BoolMask]):
    kept = divide([claim(mask) for mask in masks])
    assert [share.mask.shape for share in kept] == [mask.shape for mask in masks]
    assert all(np.isfinite(share.taken) for share in kept)


def test_depth_counts_from_the_window_border_too():
    assert depth(np.ones((3, 3), np.bool_)).max() == depth(np.ones((3, 3), np.bool_))[1, 1] > 1
    assert not depth(np.zeros((3, 3), np.bool_)).any()

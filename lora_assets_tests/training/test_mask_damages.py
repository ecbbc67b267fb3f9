"""Tests of masks made wrong on purpose, and of the truth about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.training.mask_damages import DAMAGES, Drawn, damaged_mask, good_mask, wrong_pixels
from lora_assets.training.rendered import rendered_frame
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(2, 320, 180))
DRAWN = Drawn(FRAME.image, FRAME.owners == 1, (FRAME.owners == 2,))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_a_damaged_mask_is_never_empty_and_keeps_the_frame(seed: int):
    mask = damaged_mask(np.random.default_rng(seed), DRAWN)
    assert mask.shape == DRAWN.figure.shape and mask.dtype == np.bool_ and mask.any()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_hardly_anything_is_wrong_with_a_good_mask(seed: int):
    mask = good_mask(np.random.default_rng(seed), DRAWN)
    too_much, missing = wrong_pixels(mask, DRAWN.figure)
    area = np.count_nonzero(DRAWN.figure)
    assert np.count_nonzero(too_much) <= 0.05 * area and np.count_nonzero(missing) <= 0.05 * area


@pytest.mark.parametrize("name", list(DAMAGES))
def test_each_damage_damages(name: str):
    rng, changed = np.random.default_rng(3), 0
    for _ in range(8):
        mask = DAMAGES[name][0](rng, DRAWN.figure, DRAWN)
        assert mask.shape == DRAWN.figure.shape
        changed += bool((mask != DRAWN.figure).any())
    assert changed >= 2


def test_wrong_is_what_lies_beyond_the_rim():
    figure = np.zeros((200, 200), np.bool_)
    figure[50:150, 80:120] = True
    wide, short = figure.copy(), figure.copy()
    wide[50:150, 120:121] = True
    wide[60:90, 120:150] = True
    short[130:] = False
    too_much, missing = wrong_pixels(wide, figure)
    assert too_much[60:90, 121:150].all() and not missing.any()
    # A rim of a pixel is nothing, but beside a patch it is a part of that.
    assert not too_much[95:150].any()
    too_much, missing = wrong_pixels(short, figure)
    assert missing[131:150, 80:120].all() and not too_much.any()
    assert not any(each.any() for each in wrong_pixels(figure, figure))
    # What was grown on purpose is no error.
    grown = np.zeros_like(figure)
    grown[42:158, 72:128] = True
    assert wrong_pixels(grown, figure)[0].any() and not wrong_pixels(grown, figure, grown=10)[0].any()

"""Tests of masks made wrong on purpose, and of the truth about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.training.mask_damages import (
    DAMAGES,
    Drawn,
    add_segments,
    add_thing,
    damaged_mask,
    fill_bays,
    good_mask,
    wrong_pixels,
)
from lora_assets.training.rendered import rendered_frame
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(2, 320, 180))
BESIDE = np.zeros_like(FRAME.owners, np.bool_)
BESIDE[100:170, 132:160] = True
DRAWN = Drawn(FRAME.image, FRAME.owners == 1, (FRAME.owners == 2,), (BESIDE & (FRAME.owners == 0),))


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


def test_what_leaks_is_not_the_figure_and_follows_the_picture():
    """A plain ground with a red thing beside the figure: segments stop at its outline, a thing is taken whole."""
    image, figure, thing = np.full((200, 300, 3), 90, np.uint8), np.zeros((200, 300), bool), np.zeros((200, 300), bool)
    figure[40:180, 60:120], thing[90:150, 118:200] = True, True
    thing &= ~figure
    image[figure], image[thing] = (30, 160, 60), (220, 30, 30)
    drawn = Drawn(image, figure, (), (thing,))
    whole = [(add_thing(np.random.default_rng(seed), figure, drawn) & thing).sum() / thing.sum() for seed in range(12)]
    assert max(whole) > 0.97
    inside = outside = 0
    for seed in range(20):
        added = add_segments(np.random.default_rng(seed), figure, drawn) & ~figure
        share = float((added & thing).sum() / max(1, added.sum()))
        inside, outside = inside + (share > 0.9), outside + (share < 0.1)
    assert inside + outside >= 10 and inside >= 2


def test_bays_lie_between_limbs():
    figure = np.zeros((200, 200), np.bool_)
    figure[20:180, 60:80] = figure[20:180, 120:140] = figure[20:50, 60:140] = True
    drawn = Drawn(np.full((200, 200, 3), 90, np.uint8), figure, ())
    added = [fill_bays(np.random.default_rng(seed), figure, drawn) & ~figure for seed in range(12)]
    assert all(mask[:, :58].sum() + mask[:, 142:].sum() == 0 for mask in added)
    assert sum(mask[60:150, 85:115].any() for mask in added) >= 6


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

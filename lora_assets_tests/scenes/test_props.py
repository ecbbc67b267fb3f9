"""Props: each stays inside the bounds that the stage draws it in, repeats by its seed, and is no character."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.scenes.ink import Ink, raster
from lora_assets.scenes.layout import random_stage
from lora_assets.scenes.props import OTHER_BOUNDS, PROP_BOUNDS, PROPS, draw_prop
from lora_assets.scenes.stage import Prop, Stage, render_stage
from lora_assets.scenes.truth import mask_bounds

SIZE, FOOT = 40, (200.0, 90.0)


def drawn(name: str, seed: int, *, mirrored: bool = False) -> np.ndarray:
    pixels, surface = raster(400, 140)
    draw_prop(surface.getCanvas(), name, seed, FOOT, SIZE, mirrored=mirrored)
    return pixels


@pytest.mark.parametrize("name", list(PROPS))
def test_props_stay_in_their_bounds(name: str):
    side, above, below = (SIZE * reach + 1 for reach in PROP_BOUNDS.get(name, OTHER_BOUNDS))
    for seed in range(25):
        rows, columns = np.nonzero(drawn(name, seed)[:, :, 3] > 8)
        assert rows.size
        assert FOOT[0] - side <= columns.min()
        assert columns.max() < FOOT[0] + side
        assert FOOT[1] - above <= rows.min()
        assert rows.max() < FOOT[1] + below


@pytest.mark.parametrize("name", list(PROPS))
def test_props_repeat_and_mirror(name: str):
    np.testing.assert_array_equal(drawn(name, 3), drawn(name, 3))
    plain, turned = drawn(name, 3).astype(int), drawn(name, 3, mirrored=True)[:, ::-1].astype(int)
    assert np.abs(plain - turned).max(axis=2).mean() < 1.5


def test_things_are_told_where_they_can_be_seen():
    cat, hidden = Prop("cat", 1, (160.0, 170.0), 80.0), Prop("ball", 1, (160.0, 140.0), 10.0)
    frame = render_stage(Stage((hidden, Prop("shadow", 1, (160.0, 170.0), 30.0), cat), 5, ("room", "day")), 320, 180, 0)
    assert [thing.name for thing in frame.things] == ["cat"]
    x0, y0, x1, y1 = frame.things[0].box
    assert 60 < x1 - x0 < 140
    assert y0 == pytest.approx(170 - 80 * 1.1, abs=8)
    assert y1 == pytest.approx(174, abs=6)
    assert mask_bounds(frame.things[0].mask) == frame.things[0].box
    assert frame.characters == ()


def test_a_thing_has_the_pixels_that_nothing_nearer_hides():
    cat, ball = Prop("cat", 1, (160.0, 170.0), 80.0), Prop("ball", 1, (160.0, 170.0), 40.0)
    alone, both = (render_stage(Stage(items, 5, ("room", "day")), 320, 180, 0) for items in ((cat,), (cat, ball)))
    assert both.things[1].name == "ball"
    assert not (both.things[0].mask & both.things[1].mask).any()
    assert np.array_equal(both.things[0].mask | both.things[1].mask, alone.things[0].mask | both.things[1].mask)


def test_a_stage_without_characters_shows_more_things():
    def count(characters: int) -> float:
        stages = [random_stage(np.random.default_rng(s), 320, 180, characters, Ink(), bars=False) for s in range(40)]
        return float(np.mean([sum(isinstance(item, Prop) for item in stage.items) for stage in stages]))

    assert count(0) > count(1) + 0.8

"""Random scenes: the same call gives the same frame, and its truth fits the picture."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.scenes import CharacterTruth, SceneFrame, draw_scene
from lora_assets.scenes.design import HELD_OUT_HAIR, LOOKS, design_of
from lora_assets.scenes.layout import FRAMINGS
from lora_assets.scenes.props import PROPS
from lora_assets.scenes.scene import LARGEST_SEED

WIDTH, HEIGHT = 320, 180
PARTS = {"head", "torso", "legs"}


def inside(inner: tuple[float, ...], outer: tuple[float, ...], slack: float = 0.0) -> bool:
    return all(
        (
            inner[0] >= outer[0] - slack,
            inner[1] >= outer[1] - slack,
            inner[2] <= outer[2] + slack,
            inner[3] <= outer[3] + slack,
        )
    )


def check_character(character: CharacterTruth, width: int, height: int) -> None:
    frame = (0.0, 0.0, float(width), float(height))
    assert character.mask.shape == (height, width)
    assert character.mask.dtype == np.bool_
    rows, columns = np.nonzero(character.mask)
    # The box is exactly the bounds of the visible pixels.
    assert character.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    for box in (character.box, character.head_box, character.face_box):
        if box is not None:
            assert inside(box, frame)
            assert box[0] < box[2]
            assert box[1] < box[3]
            assert inside(box, character.box)
    if character.face_box is not None:
        assert character.head_box is not None
        # Cheeks and chin may stand a little out of the head's own pixels (its outline is drawn around the hair).
        assert inside(
            character.face_box, character.head_box, slack=0.1 * (character.head_box[3] - character.head_box[1]) + 2
        )
    assert set(character.visible_parts) <= PARTS


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, LARGEST_SEED))
def test_truth_fits_every_scene(seed: int):
    scene = draw_scene(seed, WIDTH, HEIGHT)
    assert scene.image.shape == (HEIGHT, WIDTH, 3)
    assert scene.image.dtype == np.uint8
    assert scene.seed == seed
    assert len(scene.characters) <= 8
    for thing in scene.things:
        assert thing.name in PROPS
        assert inside(thing.box, (0.0, 0.0, float(WIDTH), float(HEIGHT)))
    for character in scene.characters:
        check_character(character, WIDTH, HEIGHT)
    # A pixel shows one character at most.
    shown = sum((character.mask.astype(int) for character in scene.characters), np.zeros((HEIGHT, WIDTH), int))
    assert shown.max() <= 1


@pytest.mark.parametrize("effects", [True, False])
def test_same_arguments_give_the_same_frame(effects: bool):
    first, second = (draw_scene(77, WIDTH, HEIGHT, effects=effects) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert [c.box for c in first.characters] == [c.box for c in second.characters]
    for one, other in zip(first.characters, second.characters, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_other_seeds_give_other_frames():
    frames = {draw_scene(seed, 128, 72).image.tobytes() for seed in range(12)}
    assert len(frames) == 12


@pytest.mark.parametrize("count", [0, 1, 3, 6, 10])
def test_asked_number_of_characters(count: int):
    scenes = [draw_scene(seed, WIDTH, HEIGHT, characters=count) for seed in range(6)]
    # Fewer when a nearer one hides another wholly, never more; nobody at all when nobody was asked for.
    assert all(len(scene.characters) <= count for scene in scenes)
    assert max(len(scene.characters) for scene in scenes) == count


def test_masks_show_what_is_drawn():
    """Where the mask ends, the picture changes: the same stage without its character differs just inside the mask."""
    from lora_assets.scenes.ink import Ink
    from lora_assets.scenes.layout import random_stage
    from lora_assets.scenes.stage import Stage, render_stage

    stage = random_stage(np.random.default_rng(4), WIDTH, HEIGHT, 1, Ink(), bars=False, framing="half")
    with_one = render_stage(stage, WIDTH, HEIGHT, 0)
    alone = Stage(tuple(item for item in stage.items if not hasattr(item, "design")), stage.background_seed)
    without = render_stage(alone, WIDTH, HEIGHT, 0)
    changed = (with_one.image != without.image).any(axis=2)
    mask = with_one.characters[0].mask
    assert mask.sum() > 500
    assert (changed & mask).sum() > 0.97 * mask.sum()
    # Antialiased edges and nothing else change outside the mask.
    assert (changed & ~mask).sum() < 0.12 * mask.sum()


def test_views_and_framings_are_mixed():
    scenes: list[SceneFrame] = [draw_scene(seed, 160, 90) for seed in range(60)]
    people = [character for scene in scenes for character in scene.characters]
    faces = sum(character.face_box is not None for character in people)
    assert 0.5 < faces / len(people) < 0.95
    assert any(character.head_box is not None and character.face_box is None for character in people)
    cut = sum(character.cut_by_frame for character in people)
    assert 0.3 < cut / len(people) < 0.95
    assert any(not scene.characters for scene in scenes)
    assert any("legs" in character.visible_parts for character in people)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_framing_decides_how_near_characters_are(framing: str):
    scenes = [draw_scene(seed, 160, 90, characters=1, framing=framing, effects=False) for seed in range(16)]
    heads = [c.head_box[3] - c.head_box[1] for scene in scenes for c in scene.characters if c.head_box is not None]
    low, high = {"face": (40, 90), "bust": (22, 75), "half": (10, 70), "full": (4, 60), "far": (2, 25)}[framing]
    assert low < np.median(heads) < high


def test_looks_decide_who_may_appear():
    for looks in LOOKS:
        identities = {c.identity for seed in range(12) for c in draw_scene(seed, 160, 90, looks=looks).characters}
        shapes = {design_of(identity, looks).hair_shape for identity in identities}
        assert bool(shapes & set(HELD_OUT_HAIR)) is (looks != "training")
        assert shapes <= set(LOOKS[looks].hair_shapes)


def test_crowds_touch_and_hide_each_other():
    touching = 0
    for seed in range(8):
        scene = draw_scene(seed, WIDTH, HEIGHT, characters=8, effects=False)
        grown = [np.pad(c.mask, 1)[2:, 1:-1] | np.pad(c.mask, 1)[1:-1, 2:] for c in scene.characters]
        touching += sum(
            bool((grown[i] & other.mask).any()) for i in range(len(grown)) for other in scene.characters[i + 1 :]
        )
    assert touching > 16


def test_an_empty_scene_still_shows_things():
    scenes = [draw_scene(seed, WIDTH, HEIGHT, characters=0, effects=False) for seed in range(10)]
    assert all(scene.characters == () for scene in scenes)
    assert len({thing.name for scene in scenes for thing in scene.things}) > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": LARGEST_SEED + 1}, "must lie in 0..2147483647"),
        ({"seed": 1, "width": 63}, "63 x 720"),
        ({"seed": 1, "height": 10}, "at least 64 pixels"),
        ({"seed": 1, "characters": 11}, "characters is 11"),
        ({"seed": 1, "style": "oils"}, "style is 'oils', but it must be one of"),
        ({"seed": 1, "looks": "odd"}, "must be one of training, held_out, all"),
        ({"seed": 1, "framing": "feet"}, "framing is 'feet', but it must be one of face, bust"),
        ({"seed": 1, "characters": -1}, "0..10"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        draw_scene(**arguments)


def test_smallest_frame():
    for seed in range(8):
        for character in draw_scene(seed, 64, 64).characters:
            check_character(character, 64, 64)


def test_import_loads_no_drawing_library():
    code = "import sys, lora_assets.scenes; print('skia' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

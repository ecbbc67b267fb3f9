"""Effects over drawn pictures: each keeps the frame's form, is told in the truth, and does what its name says."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from lora_assets.scenes import Effect, SceneFrame, draw_scene
from lora_assets.scenes.effects import (
    EFFECTS,
    INVISIBLE,
    LETTERING,
    apply_effect,
    apply_effects,
    random_lettering,
    with_lettering,
)
from lora_assets.scenes.ink import Ink
from lora_assets.scenes.layout import random_stage
from lora_assets.scenes.stage import Stage, render_stage
from lora_assets.scenes.textures import TEXTURES, draw_texture, painted

WIDTH, HEIGHT = 320, 180


@pytest.fixture(scope="module")
def scene() -> SceneFrame:
    return draw_scene(5, WIDTH, HEIGHT, characters=2, effects=False)


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


@pytest.mark.parametrize("name", list(EFFECTS))
def test_every_effect_changes_the_picture_and_says_so(scene: SceneFrame, name: str):
    done = apply_effect(scene, name, 0.8, np.random.default_rng(1))
    again = apply_effect(scene, name, 0.8, np.random.default_rng(1))
    assert done.image.shape == scene.image.shape
    assert done.image.dtype == np.uint8
    assert done.effects == (Effect(name, 0.8),)
    assert (done.image != scene.image).any()
    np.testing.assert_array_equal(done.image, again.image)
    # The picture that was given is left as it was: it may be another frame's as well.
    np.testing.assert_array_equal(scene.image, draw_scene(5, WIDTH, HEIGHT, characters=2, effects=False).image)
    for one, other in zip(done.characters, scene.characters, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("name", list(EFFECTS))
@pytest.mark.parametrize("strength", [0.01, 1.0])
@pytest.mark.parametrize("size", [(64, 64), (65, 131)])
def test_effects_stand_any_size_and_strength(name: str, strength: float, size: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    done = EFFECTS[name].apply(image, strength, np.random.default_rng(2))
    assert done.shape == image.shape
    assert done.dtype == np.uint8


def test_blurs_blur_and_stronger_ones_more(scene: SceneFrame):
    for name in ("focus_blur", "motion_blur"):
        weak, strong = (apply_effect(scene, name, s, np.random.default_rng(3)).image for s in (0.2, 1.0))
        assert sharpness(strong) < sharpness(weak) < sharpness(scene.image)


def test_fades_end_in_black_and_white_without_anybody(scene: SceneFrame):
    rng = np.random.default_rng(0)
    half = apply_effect(scene, "fade_to_black", 0.5, rng)
    assert half.characters == scene.characters
    assert half.image.mean() == pytest.approx(scene.image.mean() / 2, abs=1)
    black, white = apply_effect(scene, "fade_to_black", 1.0, rng), apply_effect(scene, "fade_to_white", 1.0, rng)
    assert black.image.max() == 0
    assert white.image.min() == 255
    assert black.characters == white.characters == ()
    assert apply_effect(scene, "fade_to_black", INVISIBLE + 0.02, rng).characters == ()
    assert black.strength("fade_to_black") == 1.0
    assert black.strength("rain") == 0.0


def test_interlacing_leaves_every_other_row(scene: SceneFrame):
    combed = apply_effect(scene, "interlaced", 0.9, np.random.default_rng(0)).image
    np.testing.assert_array_equal(combed[::2], scene.image[::2])
    assert (combed[1::2] != scene.image[1::2]).any()


@pytest.mark.parametrize("name", list(LETTERING))
def test_lettering_lies_in_its_boxes(scene: SceneFrame, name: str):
    done = with_lettering(scene, name, np.random.default_rng(4))
    assert done.lettering
    assert done.effects[0].name == name
    changed = (done.image != scene.image).any(axis=2)
    inside = np.zeros_like(changed)
    for x0, y0, x1, y1 in done.lettering:
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        inside[int(y0) : int(np.ceil(y1)) + 1, int(x0) : int(np.ceil(x1)) + 1] = True
    assert changed.any()
    assert not (changed & ~inside).any()


def test_random_effects_are_told_and_repeat(scene: SceneFrame):
    seen: set[str] = set()
    for seed in range(150):
        done = apply_effects(scene, np.random.default_rng(seed), 0)
        seen |= {effect.name for effect in done.effects}
        assert all(0 <= effect.strength <= 1 for effect in done.effects)
        assert bool(done.lettering) <= bool({*LETTERING, "subtitle"} & {effect.name for effect in done.effects})
        if not done.effects:
            np.testing.assert_array_equal(done.image, scene.image)
    assert len(seen) > 20
    assert any(random_lettering(scene, np.random.default_rng(seed), 0).lettering for seed in range(40))


@pytest.mark.parametrize("name", list(TEXTURES))
def test_textures_fill_the_frame_and_repeat(name: str):
    first, second = (draw_texture(name, np.random.default_rng(9), WIDTH, HEIGHT) for _ in range(2))
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert first.std() > 1
    np.testing.assert_array_equal(first, second)
    assert painted(first, np.random.default_rng(0), 1.0).shape == first.shape


def test_bars_hide_characters_and_background_blur_leaves_them_sharp():
    def staged(**fields: Any) -> SceneFrame:
        plain = random_stage(np.random.default_rng(8), WIDTH, HEIGHT, 2, Ink(), bars=False)
        return render_stage(Stage(plain.items, plain.background_seed, ("city", "day"), **fields), WIDTH, HEIGHT, 0)

    plain, barred, soft = staged(), staged(bar=30, side_bar=40), staged(background_blur=1.0)
    assert {effect.name for effect in barred.effects} == {"letterbox", "pillarbox"}
    assert barred.strength("letterbox") == pytest.approx(60 / HEIGHT, abs=1e-3)
    assert barred.image[:30].max() == barred.image[:, :40].max() == 0
    for character in barred.characters:
        assert not character.mask[:30].any()
        assert not character.mask[:, WIDTH - 40 :].any()
    assert soft.effects == (Effect("background_blur", 1.0),)
    shown = np.any([character.mask for character in plain.characters], axis=0)
    # Gaps between locks are narrower than their antialiased edges, so a few pixels inside show the background.
    inner = cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    same = (plain.image == soft.image).all(axis=2)
    assert same[inner].mean() > 0.99
    assert same[~shown].mean() < 0.5

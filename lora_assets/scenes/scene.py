"""One random drawn scene with truth: which characters stand where, how they hide each other, what lies over all.

The drawing of figures, backgrounds and effects is in the neighbouring modules.
"""

from __future__ import annotations

import numpy as np

from lora_assets.scenes.truth import SceneFrame

SMALLEST_SIDE = 64
LARGEST_SEED = 2**31 - 1
MOST_CHARACTERS = 6
GREY_SHARE = 0.08


def draw_scene(
    seed: int, width: int = 1280, height: int = 720, *, characters: int | None = None, effects: bool = True
) -> SceneFrame:
    """Draw a random scene of 0 to 4 characters (or exactly `characters`, 0 to 6) with its truth.

    The same arguments give the same frame. Masks and boxes are those of the drawn geometry, before blur or grain.
    Raises ValueError for a frame below 64 pixels, a seed outside 0..2**31-1 or characters outside 0..6.
    """
    _check(seed, width, height, characters)
    from lora_assets.scenes.effects import apply_effects, grey_style
    from lora_assets.scenes.layout import random_stage
    from lora_assets.scenes.stage import render_stage

    rng = np.random.default_rng([seed, width, height, 99 if characters is None else characters, int(effects)])
    stage = random_stage(rng, width, height, characters, bars=effects)
    frame = render_stage(stage, width, height, seed)
    image = grey_style(frame.image, rng) if rng.random() < GREY_SHARE else frame.image
    if effects:
        image = apply_effects(image, rng, stage.bar)
    return SceneFrame(image, frame.characters, seed)


def _check(seed: int, width: int, height: int, characters: int | None) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}, but it must lie in 0..{LARGEST_SEED}; use seed % {LARGEST_SEED + 1}")
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(f"the frame is {width} x {height}, but both sides must be at least {SMALLEST_SIDE} pixels")
    if characters is not None and not 0 <= characters <= MOST_CHARACTERS:
        raise ValueError(f"characters is {characters}, but it must lie in 0..{MOST_CHARACTERS} (or None for random)")

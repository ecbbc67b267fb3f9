"""One random drawn scene with truth: which characters stand where, how they hide each other, what lies over all.

The layout is drawn by layout.py, the picture by stage.py, its effects by effects.py; films of shots are in shots.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lora_assets.scenes.truth import SceneFrame

SMALLEST_SIDE = 64
MOST_PIXELS = 64_000_000
LARGEST_SEED = 2**31 - 1
MOST_CHARACTERS = 10


def draw_scene(
    seed: int, width: int = 1280, height: int = 720, *, characters: int | None = None, effects: bool = True,
    style: str | None = None, looks: str = "all", framing: str | None = None,
) -> SceneFrame:  # fmt: skip
    """Draw a random scene of 0 to 8 characters (or exactly `characters`, 0 to 10) with its truth.

    Zero characters is a legitimate scene: a world with things and animals and nobody in it. With more, some may come
    out hidden wholly behind others, and then have no truth. The same arguments give the same frame, byte for byte.
    Masks and boxes are those of the drawn geometry, before blur or grain; a frame faded away shows nobody.

    `effects` False leaves out bars, blurs, text and everything else that is done to a finished picture. `style` names
    a key of `styles.STYLES`, or None for a random one; `looks` is "all", "training" or "held_out" (see `design.LOOKS`);
    `framing` one of `layout.FRAMINGS` for all characters, or None. Raises ValueError for any other value, a seed
    outside 0..2**31-1, a frame side below 64 pixels, a frame of more than 64 megapixels, or characters outside 0..10.
    """
    check_frame(seed, width, height, characters)
    from lora_assets.scenes.design import LOOKS
    from lora_assets.scenes.effects import apply_effects
    from lora_assets.scenes.layout import FRAMINGS, random_stage
    from lora_assets.scenes.stage import render_stage
    from lora_assets.scenes.styles import STYLES, draw_style, finish_of, ink_of
    from lora_assets.scenes.tone import finished

    check_name("looks", looks, tuple(LOOKS))
    if framing is not None:
        check_name("framing", framing, FRAMINGS)
    if style is not None:
        check_name("style", style, tuple(STYLES))
    asked = [
        list(LOOKS).index(looks),
        0 if framing is None else 1 + FRAMINGS.index(framing),
        0 if style is None else 1 + list(STYLES).index(style),
    ]
    rng = np.random.default_rng([seed, width, height, 99 if characters is None else characters, int(effects), *asked])
    name = draw_style(rng) if style is None else style
    ink = ink_of(name, rng)
    stage = random_stage(rng, width, height, characters, ink, bars=effects, looks=looks, framing=framing)
    frame = render_stage(stage, width, height, seed)
    frame = replace(frame, image=finished(frame.image, finish_of(name), rng), style=name)
    return apply_effects(frame, rng, stage.bar) if effects else frame


def check_name(argument: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ValueError when an argument's value is not among the known ones."""
    if value not in known:
        raise ValueError(f"{argument} is {value!r}, but it must be one of {', '.join(known)}")


def check_frame(seed: int, width: int, height: int, characters: int | None) -> None:
    """Raise ValueError for a seed, a size or a number of characters that cannot be drawn."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}, but it must lie in 0..{LARGEST_SEED}; use seed % {LARGEST_SEED + 1}")
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(
            f"the frame is {width} x {height}, but both sides must be at least {SMALLEST_SIDE} pixels: "
            f"a character drawn smaller shows neither head nor face"
        )
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"the frame is {width} x {height}, but {MOST_PIXELS // 10**6} megapixels are the most: draw it smaller"
        )
    if characters is not None and not 0 <= characters <= MOST_CHARACTERS:
        raise ValueError(f"characters is {characters}, but it must lie in 0..{MOST_CHARACTERS} (or None for random)")

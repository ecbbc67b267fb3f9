"""Random layout of a scene: who stands where, how near, with which things before and behind, in which ink.

Drawing the layout is done by stage.py.
"""

from __future__ import annotations

import numpy as np

from lora_assets.scenes.design import design_of
from lora_assets.scenes.ink import Ink, Rgb
from lora_assets.scenes.pose import draw_pose
from lora_assets.scenes.props import PROPS
from lora_assets.scenes.stage import Cast, Prop, Stage

IDENTITIES = 100_000
FRAMINGS = ("face", "bust", "half", "full", "far")
FRAMING_SHARES = (0.13, 0.25, 0.27, 0.27, 0.08)
NEAR_PROPS = ("bush", "lamp_post", "sign", "table", "plant", "fence", "ball", "flower", "cat", "tree")
LINE_RGBS: tuple[Rgb | None, ...] = (None, None, (26, 20, 26), (70, 40, 40), (40, 44, 80))


def random_ink(rng: np.random.Generator) -> Ink:
    """A drawing style: outline width and colour (sometimes none), cel or soft shadow, light side, paper-white lines."""
    return Ink(
        line_width=float(rng.choice([0.0, rng.uniform(0.006, 0.014), rng.uniform(0.014, 0.028)], p=[0.1, 0.5, 0.4])),
        line_rgb=LINE_RGBS[int(rng.integers(len(LINE_RGBS)))],
        line_darkness=float(rng.uniform(0.2, 0.5)),
        shadow=1.0 if rng.random() < 0.12 else float(rng.uniform(0.62, 0.9)),
        light=(float(rng.uniform(-0.09, 0.09)), float(rng.uniform(-0.09, -0.01))),
        soft=bool(rng.random() < 0.12),
        paper=bool(rng.random() < 0.04),
    )


def random_stage(rng: np.random.Generator, width: int, height: int, characters: int | None, *, bars: bool) -> Stage:
    """A random scene layout with 0 to 4 characters, or exactly `characters`."""
    count = int(rng.choice(5, p=[0.08, 0.44, 0.3, 0.12, 0.06])) if characters is None else characters
    ink = random_ink(rng)
    framing = str(rng.choice(FRAMINGS, p=FRAMING_SHARES))
    slots = [int(slot) for slot in rng.permutation(count)]
    crowd = float(rng.uniform(0.55, 1.0)) if rng.random() < 0.35 else 1.0
    behind = int(rng.choice(4, p=[0.35, 0.35, 0.2, 0.1]))
    items: list[Cast | Prop] = [_random_prop(rng, tuple(PROPS), width, height, 0.12, 0.6) for _ in range(behind)]
    for slot in slots:
        own = framing if rng.random() < 0.7 else str(rng.choice(FRAMINGS, p=FRAMING_SHARES))
        items.append(_random_cast(rng, width, height, own, ((slot + 0.5) / count - 0.5) * crowd + 0.5, count, ink))
        if rng.random() < 0.16:
            items.append(_random_prop(rng, NEAR_PROPS, width, height, 0.2, 0.7))
    bar = int(height * rng.uniform(0.07, 0.13)) if bars and rng.random() < 0.05 else 0
    return Stage(tuple(items), int(rng.integers(1 << 30)), bar=bar)


def _random_cast(
    rng: np.random.Generator, width: int, height: int, framing: str, at: float, count: int, ink: Ink
) -> Cast:
    design = design_of(int(rng.integers(IDENTITIES)))
    shown = {"face": 1.35, "bust": 2.4, "half": 0.62 * design.heads, "full": design.heads}.get(
        framing, design.heads * 2.4
    )
    if framing != "far":
        shown = min(max(shown, 1.35), design.heads + 0.3)
    size = height / (shown + 0.45) * float(rng.uniform(0.45 if framing == "full" else 0.8, 1.1))
    if framing in ("full", "far"):
        y = height * float(rng.uniform(0.72, 0.99)) - (design.heads - 1) * size
    else:
        y = size * (1.12 + float(rng.uniform(-0.15, 0.4)))
    x = width * (at + float(rng.normal(0, 0.1)) / max(count, 1))
    return Cast(design, draw_pose(rng), ink, (x, max(y, size * 0.35)), size)


def _random_prop(
    rng: np.random.Generator, names: tuple[str, ...], width: int, height: int, least: float, most: float
) -> Prop:
    size = height * float(rng.uniform(least, most))
    name = names[int(rng.integers(len(names)))]
    foot = (float(rng.uniform(0, width)), height * float(rng.uniform(0.7, 1.05)))
    if name in ("bush", "table", "fence", "car"):
        size *= 0.6
    if name in ("bird", "poster"):
        foot = (foot[0], height * float(rng.uniform(0.15, 0.6)))
        size *= 0.5
    return Prop(name, int(rng.integers(1 << 30)), foot, size)

"""One panel of a comic: who is shown and how near, before what, with which small signs of mood; and its picture.

Panels are cut out and joined in comic.py; bubbles, sounds and borders are laid over the whole page there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import skia

from lora_assets.scenes.background import SCENERY
from lora_assets.scenes.brush import fill, oval, polygon, stroke
from lora_assets.scenes.comic_backdrops import BACKDROPS, FILLED, draw_backdrop
from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import Ink, Rgb, smooth
from lora_assets.scenes.landscape import MOODS
from lora_assets.scenes.layout import random_items
from lora_assets.scenes.pose import Expression
from lora_assets.scenes.stage import Cast, Prop, Stage, render_stage
from lora_assets.scenes.truth import Box, CharacterTruth

NEAR, MIDDLE, WIDE = ("face", "bust"), ("bust", "half"), ("half", "full", "far")
SIGNS = ("sweat", "anger", "heart", "note", "surprise")


@dataclass(frozen=True, slots=True)
class PanelPicture:
    """A drawn panel (uint8 RGB of its bounds), its characters in its own pixels, and where its creature's head is.

    `speakers` are the points that tails may lead to, the characters' first; `framing` is how near it is.
    """

    image: np.ndarray
    characters: tuple[CharacterTruth, ...]
    creature: Box | None
    framing: str


def draw_panel(
    rng: np.random.Generator, width: int, height: int, designs: Sequence[Design], ink: Ink, prop: str, *,
    coloured: bool, empty: bool = False, large: bool = False, blank: bool = False, filled: bool = False,
) -> PanelPicture:  # fmt: skip
    """Draw a panel of `width` x `height` pixels with some of the page's characters; `empty` shows none of them.

    A `large` one, the page's picture to remember, has a world around its characters and never shows them tiny. A
    `blank` one is paper or one tone, as in drafts; a `filled` one has no paper at its rim, so that it needs no border.
    """
    if blank:
        ground = draw_backdrop(rng, str(rng.choice(["paper", "paper", "flat", "fade"])), width, height,
                               coloured=coloured)  # fmt: skip
        return PanelPicture(np.ascontiguousarray(ground[:, :, 2::-1]), (), None, "blank")
    wide = width > 1.7 * height
    count = 0 if empty else int(rng.choice([1, 2, 3], p=[0.5, 0.38, 0.12] if wide else [0.66, 0.3, 0.04]))
    chosen = [designs[i] for i in rng.permutation(len(designs))[:count].tolist()]
    near = float(rng.random())
    framing = str(rng.choice(NEAR if near < 0.34 else MIDDLE if near < 0.72 else WIDE))
    if count > 1 and framing == "face":
        framing = "bust"
    if large and framing == "far":
        framing = "half"
    items: list[Cast | Prop] = []
    if chosen:
        casts = [item for item in random_items(rng, width, height, chosen, ink, framing) if isinstance(item, Cast)]
        items += [_in_sight(rng, _lively(rng, cast), width, height, count) for cast in casts]
    creature: Box | None = None
    if rng.random() < (0.9 if not items else 0.3):
        thing = _creature(rng, width, height, prop, alone=not items)
        items.insert(int(rng.integers(len(items) + 1)), thing)
        x, y = thing.foot
        creature = (x - thing.size * 0.4, y - thing.size, x + thing.size * 0.4, y - thing.size * 0.4)
    stage = Stage(tuple(items), int(rng.integers(1 << 30)), scenery=_scenery(rng))
    backdrop = None
    if not large and rng.random() < (0.42 if coloured else 0.72) and framing != "far":
        shares = np.array([2.4, 1.5, 1.8, 0.7, 1.2, 0.7, 1.2, 1.0, 0.7, 0.5])
        if filled:
            shares = shares * [name in FILLED for name in BACKDROPS]
        name = str(rng.choice(list(BACKDROPS), p=shares / shares.sum()))
        backdrop = draw_backdrop(rng, name, width, height, coloured=coloured)
    elif not coloured and rng.random() < 0.5:
        stage = replace(stage, background_blur=float(rng.uniform(0.05, 0.3)))
    frame = render_stage(stage, width, height, 0, backdrop)
    return PanelPicture(frame.image, frame.characters, creature, framing)


def _scenery(rng: np.random.Generator) -> tuple[str, str]:
    return str(rng.choice(list(SCENERY))), str(rng.choice(list(MOODS)))


def _lively(rng: np.random.Generator, cast: Cast) -> Cast:
    """The same character, turned to the reader more often and with a stronger face than people of films have."""
    pose = cast.pose
    if pose.yaw > 110 and rng.random() < 0.75:
        pose = replace(pose, yaw=float(rng.uniform(0, 60)))
    if rng.random() < 0.6:
        face = Expression(
            mouth=str(rng.choice(["open", "grin", "open", "frown", "smile"])),
            lids=float(rng.choice([0.0, 1.1, 1.1, 0.9])),
            brow=float(rng.choice([-1.3, 1.3, 0.6])),
            blush=bool(rng.random() < 0.4),
            gaze=pose.expression.gaze,
            wink=bool(rng.random() < 0.1),
        )
        pose = replace(pose, expression=face)
    return replace(cast, pose=pose)


def _in_sight(rng: np.random.Generator, cast: Cast, width: int, height: int, count: int) -> Cast:
    """The same character, small enough for a narrow panel and with its head in it; one in ten stays cut off."""
    if rng.random() < 0.1:
        return cast
    size = min(cast.head_height, 0.72 * width / max(1.0, 0.8 * count), 0.85 * height)
    x, y = cast.chin
    x = min(max(x, 0.42 * size), width - 0.42 * size) if width > size else width / 2
    y = min(max(y, 1.12 * size), max(1.12 * size, 0.96 * height))
    return replace(cast, chin=(x, y), head_height=size)


def _creature(rng: np.random.Generator, width: int, height: int, prop: str, *, alone: bool) -> Prop:
    """The story's animal or thing, standing low at one side, large where it is alone."""
    size = min(height, width * 0.8) * float(rng.uniform(0.5, 0.75) if alone else rng.uniform(0.2, 0.34))
    at = (
        float(rng.uniform(0.35, 0.65)) if alone else float(rng.choice([rng.uniform(0.1, 0.25), rng.uniform(0.75, 0.9)]))
    )
    foot = (width * at, height * float(rng.uniform(0.86, 0.96)))
    return Prop(prop, int(rng.integers(1 << 30)), foot, size, mirrored=bool(rng.random() < 0.5))


def draw_sign(canvas: skia.Canvas, rng: np.random.Generator, name: str, head: Box, *, coloured: bool) -> None:
    """A sign of mood beside a head (xyxy): a drop of sweat, a vein of anger, a heart, a note, strokes of surprise."""
    x0, y0, x1, y1 = head
    size, side = (y1 - y0) * 0.2, float(rng.choice([-1, 1]))
    x, y = (x0 + x1) / 2 + side * (x1 - x0) * 0.56, y0 + (y1 - y0) * 0.16
    dark: Rgb = (18, 18, 20)
    line = max(1.5, size * 0.13)
    if name == "sweat":
        low = y + size * 0.1
        drop = smooth(
            [(x, y - size), (x + size * 0.42, low), (x, y + size * 0.5), (x - size * 0.42, low)], tension=0.14
        )
        fill(canvas, drop, (170, 220, 250) if coloured else (255, 255, 255))
        stroke(canvas, drop, dark, line)
    elif name == "anger":
        vein = skia.Path()
        for turn in range(4):
            a = turn * math.pi / 2 + 0.4
            (ux, uy), (vx, vy) = (math.cos(a), math.sin(a)), (-math.sin(a), math.cos(a))
            vein.moveTo(x + size * (0.75 * ux + 0.2 * vx), y + size * (0.75 * uy + 0.2 * vy))
            bend = (x + size * 0.2 * (ux + vx), y + size * 0.2 * (uy + vy))
            vein.quadTo(*bend, x + size * (0.2 * ux + 0.75 * vx), y + size * (0.2 * uy + 0.75 * vy))
        stroke(canvas, vein, (214, 30, 40) if coloured else dark, line * 1.3)
    elif name == "heart":
        heart = skia.Path()
        heart.moveTo(x, y + size * 0.7)
        heart.cubicTo(x - size * 1.3, y - size * 0.2, x - size * 0.5, y - size, x, y - size * 0.3)
        heart.cubicTo(x + size * 0.5, y - size, x + size * 1.3, y - size * 0.2, x, y + size * 0.7)
        fill(canvas, heart, (240, 70, 110) if coloured else (60, 60, 62))
        stroke(canvas, heart, dark, line * 0.7)
    elif name == "note":
        fill(canvas, oval(x, y + size * 0.5, size * 0.28, size * 0.2), dark)
        stem = skia.Path()
        stem.moveTo(x + size * 0.26, y + size * 0.46)
        stem.lineTo(x + size * 0.26, y - size * 0.7)
        stem.quadTo(x + size * 0.8, y - size * 0.4, x + size * 0.62, y)
        stroke(canvas, stem, dark, line)
    else:
        strokes = skia.Path()
        for turn in (-0.5, 0.0, 0.5):
            a = -math.pi / 2 + side * 0.7 + turn
            at = (x + size * 0.3 * math.cos(a), y + size * 0.3 * math.sin(a))
            to = (x + size * 1.1 * math.cos(a), y + size * 1.1 * math.sin(a))
            wide = size * 0.09
            strokes.addPath(polygon([at, (to[0] - wide * math.sin(a), to[1] + wide * math.cos(a)),
                                     (to[0] + wide * math.sin(a), to[1] - wide * math.cos(a))]))  # fmt: skip
        fill(canvas, strokes, dark)

"""Drawn frames with fully visible characters, before damage, and what a damage works on.

The damages themselves do not belong here (tier_mask_damages, tier_picture_damages).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lora_assets.benchmarks.tier_rules import Picture
from lora_assets.scenes.truth import Box, CharacterTruth, SceneFrame
from lora_assets.vision.masks import BoolMask, mask_bounds

RIM = 4
_LEAST_FIGURE = 1500


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A drawn frame and one fully visible character of it, before damage."""

    image: Picture
    figure: BoolMask
    head: Box
    others: tuple[CharacterTruth, ...]
    characters: tuple[CharacterTruth, ...]
    subject: int


@dataclass(slots=True, eq=False)
class Damaged:
    """A base on its way to a crop: picture, mask, box of the detector, strengths; `found` false: no head is found;
    `others_in` false: the bodies of the others were not found; `figure`: every pixel that shows the character."""

    image: Picture
    mask: BoolMask
    box: Box
    strengths: dict[str, float]
    figure: BoolMask
    found: bool = True
    characters: tuple[CharacterTruth, ...] = ()
    others_in: bool = True


Damage = Callable[[Damaged, Base, np.random.Generator], bool]
"""Damages the crop in place and writes the strength; False when it cannot be done to this base."""


def draw_base(seed: int, width: int, height: int) -> SceneFrame:
    """A scene of one to three characters in a random style with nothing drawn before them, often with a harmless
    effect of film or network."""
    from lora_assets.scenes.design import design_of
    from lora_assets.scenes.effects import apply_effect
    from lora_assets.scenes.layout import IDENTITIES, random_items
    from lora_assets.scenes.stage import Cast, Stage, render_stage
    from lora_assets.scenes.styles import draw_style, finish_of, ink_of
    from lora_assets.scenes.tone import finished

    rng = np.random.default_rng([seed, width, height, 31])
    style = draw_style(rng)
    ink = ink_of(style, rng)
    designs = [
        design_of(int(i), "all") for i in rng.integers(IDENTITIES, size=int(rng.choice(3, p=(0.4, 0.45, 0.15))) + 1)
    ]
    framing = str(rng.choice(("face", "bust", "half", "full", "far"), p=(0.12, 0.27, 0.27, 0.3, 0.04)))
    items = random_items(rng, width, height, designs, ink, framing, str(rng.choice(("spread", "huddle"))))
    last_prop = next((i for i, item in enumerate(items) if isinstance(item, Cast)), len(items))
    kept = [item for i, item in enumerate(items) if i < last_prop or isinstance(item, Cast)]
    frame = render_stage(Stage(tuple(kept), int(rng.integers(1 << 30))), width, height, seed)
    frame = replace(frame, image=finished(frame.image, finish_of(style), rng), style=style)
    for name, strongest in (("graded", 0.6), ("vignette", 0.5), ("film_grain", 0.5), ("compressed", 0.5)):
        if rng.random() < 0.15:
            frame = apply_effect(frame, name, float(rng.uniform(0.1, strongest)), rng)
    return frame


def visible_bases(frame: SceneFrame) -> list[Base]:
    """The characters of a frame that nobody hides and whose head the frame does not cut."""
    height, width = frame.image.shape[:2]
    found = []
    for index, each in enumerate(frame.characters):
        head = each.head_box
        if head is None or each.mask.sum() < _LEAST_FIGURE:
            continue
        if head[0] < 2 or head[1] < 2 or head[2] > width - 2 or head[3] > height - 2:
            continue
        near = cv2.dilate(each.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        if any((near & other.mask).any() for other in frame.characters[index + 1 :]):
            continue
        others = frame.characters[:index] + frame.characters[index + 1 :]
        found.append(Base(frame.image, each.mask, head, others, frame.characters, index))
    return found


def _longer_side(mask: BoolMask) -> int:
    bounds = mask_bounds(mask)
    return max(bounds[2:]) if bounds else 1


def drawn_mask(figure: BoolMask, others: tuple[CharacterTruth, ...], rng: np.random.Generator) -> BoolMask:
    """The figure as a good segmenter and its refinement give it: exact, smoothed, or with a rim of up to 4 pixels."""
    levels = figure.astype(np.uint8)
    kind = int(rng.integers(3))
    if kind == 1:
        levels = np.asarray(cv2.medianBlur(levels, 5), np.uint8)
    elif kind == 2:
        most = max(1, min(RIM, round(0.015 * _longer_side(figure))))
        reach = int(rng.integers(1, most + 1))
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        levels = np.asarray(cv2.dilate(levels, ellipse), np.uint8)
        for other in others:
            levels[other.mask & ~figure] = 0
    return levels > 0


def pick(rng: np.random.Generator, *strengths: float) -> float:
    """One of the strengths, each as likely."""
    return float(strengths[int(rng.integers(len(strengths)))])


def bounds_of(mask: BoolMask) -> Box:
    """The box of a mask: left, top, right, bottom in pixels."""
    x, y, width, height = mask_bounds(mask) or (0, 0, 1, 1)
    return float(x), float(y), float(x + width), float(y + height)

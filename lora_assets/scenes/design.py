"""Character designs as data: palettes, hair shapes, clothes, proportions, and the design of a given identity.

A design fixes what stays the same between frames; pose, view and expression of one frame are in pose.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Rgb = tuple[int, int, int]
Choice = TypeVar("Choice")

HAIR_SHAPES = ("short", "bob", "long", "twintails", "ponytail", "spiky", "bun", "wavy")
FRINGES = ("locks", "parted", "straight", "swept")
OUTFITS = ("uniform", "dress", "hoodie", "coat", "armour", "shirt")
EYE_STYLES = ("bright", "flat", "dot")
HATS = ("", "beret", "cap", "straw", "cat_ears", "headphones")
LEGWEAR = ("trousers", "skirt", "shorts")
SKINS: tuple[Rgb, ...] = (
    (255, 228, 210), (253, 218, 196), (250, 206, 180), (238, 186, 154), (214, 158, 122), (172, 118, 86), (128, 84, 62),
)  # fmt: skip
HAIRS: tuple[Rgb, ...] = (
    (54, 44, 52), (32, 34, 46), (92, 60, 44), (140, 86, 52), (190, 128, 70), (240, 206, 120), (248, 226, 176),
    (236, 140, 160), (214, 84, 90), (120, 180, 214), (78, 104, 180), (140, 110, 190), (110, 170, 120), (226, 228, 238),
    (170, 176, 190), (232, 120, 52),
)  # fmt: skip
EYES: tuple[Rgb, ...] = (
    (66, 120, 190), (70, 150, 110), (150, 96, 54), (190, 62, 70), (126, 84, 170), (210, 150, 50), (70, 70, 90),
    (60, 170, 180), (222, 110, 150),
)  # fmt: skip
CLOTHES: tuple[Rgb, ...] = (
    (52, 62, 104), (38, 42, 58), (206, 70, 74), (236, 236, 240), (240, 200, 90), (96, 150, 190), (130, 176, 120),
    (170, 120, 190), (236, 110, 70), (104, 78, 66), (90, 100, 110), (70, 120, 110), (244, 176, 206), (150, 50, 80),
    (180, 186, 196), (90, 190, 186),
)  # fmt: skip
BOOTS: tuple[Rgb, ...] = ((60, 44, 40), (36, 36, 44), (120, 70, 48), (230, 230, 232), (150, 60, 60))


@dataclass(frozen=True, slots=True)
class Design:
    """What a character always looks like. Lengths are in head heights (chin to skull top = 1)."""

    identity: int
    heads: float
    skin: Rgb
    hair: Rgb
    hair_shape: str
    fringe: str
    fringe_seed: int
    hair_length: float
    eye: Rgb
    eye_size: float
    eye_tilt: float
    jaw: float
    outfit: str
    legwear: str
    cloth: Rgb
    cloth_two: Rgb
    accent: Rgb
    boots: Rgb
    ribbon: bool
    glasses: bool
    hat: str
    scarf: bool
    build: float
    eye_height: float = 1.0
    eye_style: str = "bright"


def design_of(identity: int) -> Design:
    """The design of an identity number; the same number gives the same design."""
    rng = np.random.default_rng([identity, 7_301])

    def pick(options: Sequence[Choice]) -> Choice:
        return options[int(rng.integers(len(options)))]

    heads = float(rng.choice([rng.uniform(2.5, 3.6), rng.uniform(4.2, 5.6), rng.uniform(5.6, 7.5)], p=[0.2, 0.3, 0.5]))
    hair_shape = pick(HAIR_SHAPES)
    length = {"long": rng.uniform(0.6, 2.4), "wavy": rng.uniform(0.4, 1.8)}.get(hair_shape, rng.uniform(0.5, 1.6))
    return Design(
        identity=identity,
        heads=heads,
        skin=pick(SKINS) if rng.random() < 0.3 else SKINS[int(rng.integers(3))],
        hair=pick(HAIRS),
        hair_shape=hair_shape,
        fringe=pick(FRINGES),
        fringe_seed=int(rng.integers(1 << 30)),
        hair_length=float(length),
        eye=pick(EYES),
        eye_size=float(rng.uniform(0.75, 1.2)) * (1.0 if heads > 4.5 else 1.15),
        eye_tilt=float(rng.uniform(-0.16, 0.16)),
        jaw=float(rng.uniform(0.88, 1.1)),
        outfit=pick(OUTFITS),
        legwear=pick(LEGWEAR),
        cloth=pick(CLOTHES),
        cloth_two=pick(CLOTHES),
        accent=pick(CLOTHES),
        boots=pick(BOOTS),
        ribbon=bool(rng.random() < 0.3),
        glasses=bool(rng.random() < 0.13),
        hat=str(rng.choice(HATS, p=[0.76, 0.05, 0.05, 0.04, 0.06, 0.04])),
        scarf=bool(rng.random() < 0.12),
        build=float(rng.uniform(0.85, 1.15)),
        eye_height=float(rng.uniform(0.72, 1.12)),
        eye_style=str(rng.choice(EYE_STYLES, p=[0.7, 0.22, 0.08])),
    )

"""Character designs as data: palettes, hair shapes, clothes, proportions, and the design of a given identity.

A design fixes what stays the same between frames; pose, view and expression of one frame are in pose.py. The tables of
LOOKS part what a model may be trained on from what is held out to measure it: hair shapes, outfits and palettes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Rgb = tuple[int, int, int]
Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Palette:
    """Tones that go together: hair, eyes and clothes."""

    hairs: tuple[Rgb, ...]
    eyes: tuple[Rgb, ...]
    clothes: tuple[Rgb, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """What designs may be put together from."""

    hair_shapes: tuple[str, ...]
    outfits: tuple[str, ...]
    palettes: tuple[Palette, ...]


BRIGHT = Palette(
    hairs=((54, 44, 52), (32, 34, 46), (92, 60, 44), (140, 86, 52), (190, 128, 70), (240, 206, 120), (248, 226, 176),
           (236, 140, 160), (214, 84, 90), (120, 180, 214), (78, 104, 180), (140, 110, 190), (110, 170, 120),
           (226, 228, 238), (170, 176, 190), (232, 120, 52)),
    eyes=((66, 120, 190), (70, 150, 110), (150, 96, 54), (190, 62, 70), (126, 84, 170), (210, 150, 50), (70, 70, 90),
          (60, 170, 180), (222, 110, 150)),
    clothes=((52, 62, 104), (38, 42, 58), (206, 70, 74), (236, 236, 240), (240, 200, 90), (96, 150, 190),
             (130, 176, 120), (170, 120, 190), (236, 110, 70), (104, 78, 66), (90, 100, 110), (70, 120, 110),
             (244, 176, 206), (150, 50, 80), (180, 186, 196), (90, 190, 186)),
)  # fmt: skip
NATURAL = Palette(
    hairs=((28, 24, 26), (44, 34, 30), (64, 44, 34), (98, 66, 44), (128, 92, 60), (176, 140, 92), (112, 108, 106)),
    eyes=((60, 42, 32), (84, 60, 40), (70, 84, 96), (76, 90, 66), (40, 36, 36)),
    clothes=((58, 62, 70), (88, 92, 96), (120, 112, 100), (150, 144, 132), (70, 78, 62), (96, 70, 56), (44, 50, 66),
             (188, 184, 174), (120, 62, 56), (78, 96, 116), (226, 222, 212), (34, 32, 36)),
)  # fmt: skip
PASTEL = Palette(
    hairs=((250, 206, 214), (206, 222, 246), (222, 206, 244), (252, 236, 200), (204, 236, 220), (246, 246, 250)),
    eyes=((120, 170, 220), (210, 140, 180), (140, 190, 170), (180, 150, 210)),
    clothes=((250, 220, 226), (214, 228, 246), (252, 242, 214), (220, 240, 226), (236, 226, 246), (250, 250, 252),
             (190, 204, 226), (230, 190, 200)),
)  # fmt: skip
NEON = Palette(
    hairs=((60, 240, 190), (250, 60, 200), (190, 255, 70), (90, 70, 255), (20, 12, 60), (255, 90, 20)),
    eyes=((255, 70, 230), (40, 255, 210), (240, 255, 60), (130, 80, 255)),
    clothes=((24, 14, 54), (255, 50, 150), (20, 230, 230), (210, 255, 40), (110, 40, 220), (12, 60, 70), (255, 140, 0)),
)  # fmt: skip
AUTUMN = Palette(
    hairs=((122, 30, 34), (166, 72, 20), (200, 158, 34), (84, 88, 40), (58, 18, 30), (150, 118, 96)),
    eyes=((176, 120, 16), (110, 130, 30), (130, 44, 20), (60, 96, 84)),
    clothes=((146, 84, 26), (112, 116, 50), (190, 150, 60), (92, 26, 40), (60, 70, 44), (206, 180, 134), (70, 40, 24),
             (170, 60, 24)),
)  # fmt: skip

TRAINING_HAIR = (
    "short", "bob", "long", "twintails", "ponytail", "spiky", "bun", "hime", "messy", "braid", "side_tail", "buzz",
    "bald", "cropped",
)  # fmt: skip
HELD_OUT_HAIR = ("wavy", "drills", "odango", "curly")
TRAINING_OUTFITS = (
    "uniform", "dress", "hoodie", "coat", "shirt", "kimono", "suit", "swimsuit", "tank", "tracksuit", "cloak",
)  # fmt: skip
HELD_OUT_OUTFITS = ("armour", "maid", "overalls")
LOOKS: dict[str, Looks] = {
    "training": Looks(TRAINING_HAIR, TRAINING_OUTFITS, (BRIGHT, BRIGHT, NATURAL, PASTEL)),
    "held_out": Looks(HELD_OUT_HAIR, HELD_OUT_OUTFITS, (NEON, AUTUMN)),
    "all": Looks(
        TRAINING_HAIR + HELD_OUT_HAIR, TRAINING_OUTFITS + HELD_OUT_OUTFITS,
        (BRIGHT, BRIGHT, BRIGHT, NATURAL, NATURAL, PASTEL, NEON, AUTUMN),
    ),
}  # fmt: skip

FRINGES = ("locks", "parted", "straight", "swept", "one_eye", "back")
EYE_STYLES = ("bright", "flat", "dot", "shiny", "small", "round")
EYE_SHARES = (0.38, 0.15, 0.07, 0.2, 0.12, 0.08)
HATS = ("", "beret", "cap", "straw", "cat_ears", "headphones", "beanie", "witch", "helmet", "crown", "top_hat")
HAT_SHARES = (0.72, 0.03, 0.04, 0.03, 0.05, 0.03, 0.03, 0.02, 0.02, 0.01, 0.02)
LEGWEAR = ("trousers", "skirt", "shorts")
BEARDS = ("moustache", "beard", "goatee", "stubble")
BAGS = ("", "backpack", "shoulder_bag")
# Name, share, and the ranges of heads, shoulder width, limb thickness and belly.
BUILDS = (
    ("chibi", 0.14, (2.0, 3.4), (0.85, 1.15), (0.9, 1.15), (0.0, 0.3)),
    ("child", 0.16, (4.0, 5.2), (0.85, 1.05), (0.9, 1.1), (0.0, 0.1)),
    ("slender", 0.4, (5.4, 7.6), (0.84, 1.08), (0.85, 1.05), (0.0, 0.0)),
    ("adult", 0.16, (6.2, 8.0), (0.95, 1.2), (1.0, 1.2), (0.0, 0.25)),
    ("muscular", 0.07, (6.4, 8.2), (1.25, 1.5), (1.25, 1.5), (0.0, 0.0)),
    ("stout", 0.07, (4.4, 6.6), (1.1, 1.35), (1.15, 1.45), (0.5, 1.1)),
)
SKINS: tuple[Rgb, ...] = (
    (255, 228, 210), (253, 218, 196), (250, 206, 180), (238, 186, 154), (214, 158, 122), (172, 118, 86), (128, 84, 62),
)  # fmt: skip
GREY_HAIRS: tuple[Rgb, ...] = ((206, 206, 210), (170, 172, 178), (236, 234, 228), (128, 126, 130))
# Hair that goes with beards and bare chests.
MANLY = ("short", "spiky", "messy", "buzz", "bald", "cropped", "curly")
BOOTS: tuple[Rgb, ...] = ((60, 44, 40), (36, 36, 44), (120, 70, 48), (230, 230, 232), (150, 60, 60))


@dataclass(frozen=True, slots=True)
class Design:
    """What a character always looks like. Lengths are in head heights (chin to skull top = 1).

    `realism` 0..1 makes eyes smaller and higher, nose and mouth more drawn and the face narrower (`head_width`);
    `belly` rounds the waist, `limb_scale` thickens arms and legs.
    """

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
    realism: float = 0.0
    head_width: float = 1.0
    limb_scale: float = 1.0
    belly: float = 0.0
    elder: bool = False
    beard: str = ""
    bag: str = ""
    ahoge: bool = False
    dark_lenses: bool = False


def design_of(identity: int, looks: str = "all") -> Design:
    """The design of an identity number, the same for the same number and looks.

    `looks` names a row of LOOKS: "training" never has the hair shapes, outfits and palettes of "held_out"; "all" has
    both. Raises ValueError for any other name.
    """
    if looks not in LOOKS:
        raise ValueError(f"looks is {looks!r}, but it must be one of {', '.join(LOOKS)}")
    rng = np.random.default_rng([identity, 7_301])
    choice = LOOKS[looks]

    def pick(options: Sequence[Choice]) -> Choice:
        return options[int(rng.integers(len(options)))]

    def chance(share: float) -> bool:
        return bool(rng.random() < share)

    figure, _, heads_range, widths, limbs, bellies = BUILDS[int(rng.choice(len(BUILDS), p=[b[1] for b in BUILDS]))]
    heads = float(rng.uniform(*heads_range))
    palette = pick(choice.palettes)
    hair_shape = pick(choice.hair_shapes)
    grown = figure in ("slender", "adult", "muscular", "stout")
    elder = grown and chance(0.12)
    realism = float(rng.uniform(0.4, 1.0)) if grown and chance(0.3) else 0.0
    outfit = pick(choice.outfits)
    if figure == "child" and outfit == "swimsuit":
        outfit = "shirt"
    bearded = grown and hair_shape in MANLY and chance(0.75 if elder else 0.3)
    lengths = {"long": (0.6, 2.4), "hime": (0.8, 2.4), "wavy": (0.4, 1.8), "drills": (0.3, 1.2)}
    styles = [0.05, 0.2, 0.05, 0.05, 0.6, 0.05] if realism else EYE_SHARES
    return Design(
        identity=identity,
        heads=heads,
        skin=pick(SKINS) if chance(0.3) else SKINS[int(rng.integers(3))],
        hair=pick(GREY_HAIRS) if elder else pick(palette.hairs),
        hair_shape=hair_shape,
        fringe="straight" if hair_shape == "hime" else pick(FRINGES),
        fringe_seed=int(rng.integers(1 << 30)),
        hair_length=float(rng.uniform(*lengths.get(hair_shape, (0.5, 1.6)))),
        eye=pick(palette.eyes),
        eye_size=float(rng.uniform(0.75, 1.2)) * (1.0 if heads > 4.5 else 1.15) * (1 - 0.4 * realism),
        eye_tilt=float(rng.uniform(-0.16, 0.16)),
        jaw=float(rng.uniform(0.88, 1.1)) + (0.08 if figure in ("muscular", "stout") else 0.0),
        outfit=outfit,
        legwear=pick(LEGWEAR),
        cloth=pick(palette.clothes),
        cloth_two=pick(palette.clothes),
        accent=pick(palette.clothes),
        boots=pick(BOOTS),
        ribbon=chance(0.25) and not bearded,
        glasses=chance(0.3 if elder else 0.14),
        hat=str(rng.choice(HATS, p=HAT_SHARES)),
        scarf=chance(0.1),
        build=float(rng.uniform(*widths)),
        eye_height=float(rng.uniform(0.72, 1.12)) * (1 - 0.2 * realism),
        eye_style=str(rng.choice(EYE_STYLES, p=styles)),
        realism=realism,
        head_width=float(rng.uniform(0.94, 1.05)) * (1 - 0.1 * realism),
        limb_scale=float(rng.uniform(*limbs)),
        belly=float(rng.uniform(*bellies)),
        elder=elder,
        beard=pick(BEARDS) if bearded else "",
        bag=str(rng.choice(BAGS, p=[0.86, 0.08, 0.06])),
        ahoge=chance(0.12),
        dark_lenses=chance(0.15),
    )

"""Tops: neck, clothed trunk and what each outfit shows on it. How an outfit is cut is data in CUTS.

Sleeves, skirts, legs and shoes are in wardrobe.py; things worn on the head are in accessories.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import skia

from lora_assets.scenes.body import Skeleton, limb_path, on_torso, torso_path
from lora_assets.scenes.design import MANLY, Design
from lora_assets.scenes.ink import TORSO, Point, Rgb, Shape, smooth, toned

WHITE: Rgb = (246, 246, 248)
STEEL: Rgb = (176, 186, 200)
GOLD: Rgb = (226, 196, 110)

Draw = Callable[[Design, Skeleton, skia.Path], list[Shape]]


@dataclass(frozen=True, slots=True)
class Cut:
    """How an outfit is cut: sleeves and their looseness, depth of the neck opening and what is seen in it, legs.

    `below` is what covers the legs: "" (the design's legwear), "dress", "robe", "trousers" or "bare".
    """

    front: Draw
    sleeves: str = "long"
    loose: float = 1.15
    deep: float = 0.1
    opening: str = ""
    below: str = ""
    boots: bool = False
    belt_behind: bool = False
    tails: float = 0.0


def cut_of(design: Design) -> Cut:
    """The cut of a design's outfit."""
    return CUTS[design.outfit]


def trunk_tone(design: Design) -> Rgb:
    """The tone of the trunk around the shoulders."""
    if design.outfit == "overalls":
        return design.cloth_two
    return design.skin if bare_chested(design) else design.cloth


def bare_chested(design: Design) -> bool:
    """Whether the trunk shows skin only (swimming trunks)."""
    manly = design.hair_shape in MANLY and not design.ribbon
    return manly and design.outfit == "swimsuit" and design.legwear != "skirt"


def wears_skirt(design: Design) -> bool:
    """Whether a skirt or the skirt of a dress covers the thighs."""
    below = cut_of(design).below
    return below in ("dress", "robe") or (below == "" and design.legwear == "skirt")


def torso_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """Neck and clothed trunk with the details of the outfit."""
    limb = bones.limb
    middle = (bones.shoulders[0][0] + bones.shoulders[1][0]) / 2
    neck = limb_path([(0.0, -0.14), (middle * 0.5, bones.shoulders[0][1] + limb * 0.2)], [limb * 1.1, limb * 1.25])
    trunk = torso_path(bones)
    shade = limb_path([(0.02, -0.14), (0.02, 0.02)], [limb * 1.3, limb * 1.3])
    shapes = [
        Shape(neck, design.skin, TORSO),
        Shape(shade, toned(design.skin, 0.8), line=0, clip=neck),
        Shape(trunk, trunk_tone(design), TORSO),
    ]
    cut = cut_of(design)
    if bones.yaw > 100:
        return shapes + _back(design, bones, trunk)
    return shapes + _neckline(design, cut, bones, trunk) + cut.front(design, bones, trunk)


def shoulder_patch(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """The trunk painted once more around a shoulder, so that no outline parts sleeve and trunk there."""
    if cut_of(design).sleeves in ("plate", "none") or 60 < bones.yaw < 120:
        return []
    spot = skia.Path()
    x, y = bones.shoulders[i]
    inward = -1 if i == 0 else 1
    spot.addCircle(x + inward * bones.limb * 0.2, y + bones.limb * 0.2, bones.limb * 0.95)
    return [Shape(torso_path(bones), trunk_tone(design), line=0, clip=spot)]


def _poly(bones: Skeleton, *points: Point) -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(*on_torso(bones, u, v)) for u, v in points], True)
    return path


def _curve(bones: Skeleton, *points: Point) -> skia.Path:
    return smooth([on_torso(bones, u, v) for u, v in points])


def _line(bones: Skeleton, *points: Point) -> skia.Path:
    return smooth([on_torso(bones, u, v) for u, v in points], closed=False)


def _stroke(path: skia.Path, tone: Rgb, line: float, trunk: skia.Path) -> Shape:
    return Shape(path, None, line=line, line_rgb=tone, clip=trunk)


def _neckline(design: Design, cut: Cut, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    """Bare skin or shirt in the opening at the throat."""
    white = cut.opening == "white" or (cut.opening == "" and design.legwear != "skirt")
    opening = _poly(bones, (-0.34, -0.1), (0.34, -0.1), (0.0, cut.deep))
    return [Shape(opening, WHITE if white else design.skin, line=0.6, clip=trunk)]


def _back(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if design.outfit == "uniform" and bones.yaw > 140:
        flap = _poly(bones, (-0.75, -0.05), (0.75, -0.05), (0.7, 0.26), (-0.7, 0.26))
        return [Shape(flap, design.cloth_two, line=0.8, clip=trunk)]
    if design.outfit == "overalls":
        return _bib(design, bones, trunk)
    return [_belt(design, bones, trunk, 1.0)] if cut_of(design).belt_behind else []


def _belt(design: Design, bones: Skeleton, trunk: skia.Path, wide: float) -> Shape:
    y, half, high = bones.waist[1], bones.hip_half * (1.3 + bones.belly), bones.limb * 0.4 * wide
    band = skia.Path()
    band.addRect(skia.Rect.MakeLTRB(bones.waist[0] - half, y - high, bones.waist[0] + half, y + high))
    return Shape(band, design.accent, line=0.7, clip=trunk)


def _bow(bones: Skeleton, u: float, v: float, size: float, tone: Rgb) -> list[Shape]:
    x, y = on_torso(bones, u, v)
    wide = size * max(0.45, math.cos(math.radians(bones.yaw)))
    shapes = []
    for side in (-1, 1):
        tail = smooth([(x, y), (x + side * wide * 0.55, y + size * 1.2), (x + side * wide * 0.15, y + size * 1.05)],
                      tension=0.08)  # fmt: skip
        loop = smooth([(x, y), (x + side * wide, y - size * 0.5), (x + side * wide * 1.05, y + size * 0.5)],
                      tension=0.12)  # fmt: skip
        shapes += [Shape(tail, toned(tone, 0.9), line=0.7), Shape(loop, tone, line=0.8)]
    knot = skia.Path()
    knot.addCircle(x, y, size * 0.26)
    return [*shapes, Shape(knot, tone, line=0.7)]


def _uniform(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if design.legwear == "trousers":
        return _suit(design, bones, trunk)
    shapes = []
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.3, -0.12), (side * 0.78, -0.1), (side * 0.72, 0.16), (side * 0.05, 0.27))
        inner = _line(bones, (side * 0.68, 0.11), (side * 0.06, 0.22))
        shapes.append(Shape(flap, design.cloth_two, line=0.8, clip=trunk))
        shapes.append(_stroke(inner, WHITE, 0.7, trunk))
    return shapes + _bow(bones, 0.0, 0.26, bones.limb * 1.2, design.accent)


def _suit(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    shapes = []
    for side in (-1, 1):
        lapel = _poly(bones, (side * 0.5, -0.1), (side * 0.3, -0.1), (0.0, 0.34), (side * 0.32, 0.26))
        shapes.append(Shape(lapel, toned(design.cloth, 0.85), line=0.7, clip=trunk))
    tie = _poly(bones, (-0.05, -0.01), (0.05, -0.01), (0.09, 0.24), (0.0, 0.32), (-0.09, 0.24))
    seam = _line(bones, (0.0, 0.34), (0.02, 0.7), (0.0, 1.1))
    shapes += [Shape(tie, design.accent, line=0.6, clip=trunk), _stroke(seam, toned(design.cloth, 0.5), 0.7, trunk)]
    return shapes + [_button(bones, 0.1, v, bones.limb * 0.16, GOLD) for v in (0.5, 0.66)]


def _button(bones: Skeleton, u: float, v: float, radius: float, tone: Rgb) -> Shape:
    path = skia.Path()
    path.addCircle(*on_torso(bones, u, v), radius)
    return Shape(path, tone, line=0.5)


def _dress(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    shapes = [_belt(design, bones, trunk, 1.0)]
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.3, -0.12), (side * 0.6, -0.08), (side * 0.42, 0.14), (side * 0.03, 0.12))
        shapes.append(Shape(flap, WHITE, line=0.7, clip=trunk))
    return shapes + [_button(bones, 0.0, v, bones.limb * 0.14, design.accent) for v in (0.26, 0.38, 0.5)]


def _maid(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    bib = _poly(bones, (-0.42, 0.16), (0.42, 0.16), (0.5, 0.72), (-0.5, 0.72))
    shapes = [Shape(bib, WHITE, line=0.8, clip=trunk)]
    for side in (-1, 1):
        frill = _curve(bones, (side * 0.4, -0.1), (side * 0.86, -0.06), (side * 0.8, 0.2), (side * 0.5, 0.4))
        shapes.append(Shape(frill, WHITE, line=0.8, clip=trunk))
    return shapes + _bow(bones, 0.0, 0.1, bones.limb * 1.0, design.accent)


def _hoodie(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    limb = bones.limb
    pocket = _poly(bones, (-0.5, 0.62), (0.5, 0.62), (0.72, 0.92), (-0.72, 0.92))
    roll = _curve(bones, (-0.5, -0.03), (-0.26, 0.11), (0.0, 0.15), (0.26, 0.11), (0.5, -0.03), (0.24, 0.03),
                  (0.0, 0.06), (-0.24, 0.03))  # fmt: skip
    shapes = [Shape(pocket, toned(design.cloth, 0.9), line=0.7, clip=trunk), Shape(roll, design.cloth, line=0.8)]
    cords = [_line(bones, (u, 0.12), (u * 1.2, 0.34)) for u in (-0.12, 0.12)]
    shapes += [Shape(cord, None, line=1.0, line_rgb=WHITE) for cord in cords]
    hem = skia.Path()
    hem.addRect(skia.Rect.MakeLTRB(bones.hip_x - 2, bones.hip_y, bones.hip_x + 2, bones.hip_y + limb * 2))
    return [*shapes, Shape(hem, toned(design.cloth, 0.82), line=0.6, clip=trunk)]


def _coat(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    shapes = []
    for side in (-1, 1):
        lapel = _poly(bones, (side * 0.3, -0.12), (side * 0.62, -0.1), (side * 0.55, 0.2), (0.0, 0.38))
        shapes.append(Shape(lapel, toned(design.cloth, 0.86), line=0.8, clip=trunk))
    seam = _line(bones, (0.02, 0.36), (0.04, 0.7), (0.02, 1.2))
    shapes.append(_stroke(seam, toned(design.cloth, 0.45), 0.8, trunk))
    return shapes + [_button(bones, u, v, bones.limb * 0.17, GOLD) for u in (-0.2, 0.22) for v in (0.46, 0.62, 0.8)]


def _armour(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    plate = _curve(bones, (-0.8, -0.02), (0.0, 0.1), (0.8, -0.02), (0.92, 0.34), (0.6, 0.6), (0.0, 0.68), (-0.6, 0.6),
                   (-0.92, 0.34))  # fmt: skip
    ridge = _line(bones, (0.0, 0.12), (0.02, 0.4), (0.0, 0.66))
    return [
        Shape(plate, STEEL, line=0.9, clip=trunk),
        _stroke(ridge, toned(STEEL, 0.6), 0.7, trunk),
        _belt(design, bones, trunk, 1.0),
        _button(bones, 0.0, 0.66, bones.limb * 0.36, GOLD),
    ]


def _shirt(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if design.fringe_seed % 2:
        bands = [_line(bones, (-1.0, v), (0.0, v + 0.03), (1.0, v)) for v in (0.34, 0.5)]
        return [_stroke(band, design.accent, 3.0, trunk) for band in bands]
    shapes = []
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.26, -0.12), (side * 0.5, -0.1), (side * 0.4, 0.1), (side * 0.02, 0.06))
        shapes.append(Shape(flap, toned(design.cloth, 1.3), line=0.7, clip=trunk))
    seam = _line(bones, (0.0, 0.08), (0.02, 0.6), (0.0, 1.2))
    return [*shapes, _stroke(seam, toned(design.cloth, 0.55), 0.6, trunk)]


def _kimono(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    tone = WHITE if design.fringe_seed % 2 else design.cloth_two
    far = _poly(bones, (0.52, -0.12), (0.3, -0.12), (-0.2, 0.5), (0.04, 0.5))
    near = _poly(bones, (-0.52, -0.12), (-0.3, -0.12), (0.34, 0.56), (0.1, 0.56))
    sash = _belt(design, bones, trunk, 2.6)
    cord = _line(bones, (-1.0, 0.66), (0.0, 0.68), (1.0, 0.66))
    return [Shape(far, tone, line=0.7, clip=trunk), Shape(near, tone, line=0.7, clip=trunk), sash,
            _stroke(cord, design.cloth_two, 1.6, trunk)]  # fmt: skip


def _swimsuit(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    chest = _poly(bones, (-1.2, -0.2), (-0.5, -0.2), (-0.34, 0.16), (0.34, 0.16), (0.5, -0.2), (1.2, -0.2), (1.2, 0.1),
                  (0.8, -0.04), (0.42, 0.2), (-0.42, 0.2), (-0.8, -0.04), (-1.2, 0.1))  # fmt: skip
    scoop = _curve(bones, (-0.44, -0.14), (0.44, -0.14), (0.3, 0.2), (0.0, 0.26), (-0.3, 0.2))
    band = _line(bones, (-1.0, 0.44), (0.0, 0.47), (1.0, 0.44))
    return [Shape(scoop, design.skin, line=0.8, clip=trunk), Shape(chest, design.skin, line=0, clip=trunk),
            _stroke(band, design.accent, 2.0, trunk)]  # fmt: skip


def _tank(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    scoop = _curve(bones, (-0.46, -0.16), (0.46, -0.16), (0.3, 0.14), (0.0, 0.2), (-0.3, 0.14))
    shapes = [Shape(scoop, design.skin, line=0.8, clip=trunk)]
    if design.fringe_seed % 3 == 0:
        badge = _poly(bones, (-0.2, 0.36), (0.2, 0.36), (0.2, 0.56), (-0.2, 0.56))
        shapes.append(Shape(badge, design.accent, line=0.6, clip=trunk))
    return shapes


def _tracksuit(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    collar = _curve(bones, (-0.44, -0.1), (0.44, -0.1), (0.36, 0.06), (0.0, 0.12), (-0.36, 0.06))
    zipper = _line(bones, (0.0, 0.1), (0.02, 0.6), (0.0, 1.2))
    yoke = _line(bones, (-1.0, 0.24), (0.0, 0.3), (1.0, 0.24))
    return [Shape(collar, toned(design.cloth, 0.8), line=0.8, clip=trunk), _stroke(yoke, design.accent, 2.4, trunk),
            _stroke(zipper, WHITE, 1.0, trunk)]  # fmt: skip


def _bib(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    bib = _poly(bones, (-0.5, 0.3), (0.5, 0.3), (0.62, 0.6), (1.2, 0.68), (1.2, 1.4), (-1.2, 1.4), (-1.2, 0.68),
                (-0.62, 0.6))  # fmt: skip
    straps = [_line(bones, (side * 0.42, 0.34), (side * 0.5, -0.14)) for side in (-1, 1)]
    return [*[_stroke(strap, toned(design.cloth, 0.85), 3.4, trunk) for strap in straps],
            Shape(bib, design.cloth, line=0.8, clip=trunk)]  # fmt: skip


def _overalls(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    pocket = _poly(bones, (-0.24, 0.42), (0.24, 0.42), (0.2, 0.6), (-0.2, 0.6))
    return [*_bib(design, bones, trunk), Shape(pocket, toned(design.cloth, 0.88), line=0.6, clip=trunk),
            *[_button(bones, side * 0.42, 0.34, bones.limb * 0.18, GOLD) for side in (-1, 1)]]  # fmt: skip


def _cloak(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    belt = _belt(design, bones, trunk, 0.8)
    return [belt, _stroke(_line(bones, (0.0, 0.1), (0.0, 0.3)), toned(design.cloth, 0.5), 0.7, trunk)]


CUTS: dict[str, Cut] = {
    "uniform": Cut(_uniform, deep=0.2),
    "dress": Cut(_dress, sleeves="puff", deep=0.14, opening="skin", below="dress", belt_behind=True),
    "hoodie": Cut(_hoodie, loose=1.38, deep=0.08),
    "coat": Cut(_coat, loose=1.34, deep=0.3, boots=True, tails=0.85),
    "armour": Cut(_armour, sleeves="plate", deep=0.08, boots=True, belt_behind=True),
    "shirt": Cut(_shirt, sleeves="short", deep=0.1, opening="skin"),
    "kimono": Cut(_kimono, sleeves="wide", deep=0.22, opening="skin", below="robe", belt_behind=True),
    "suit": Cut(_suit, loose=1.2, deep=0.34, opening="white", below="trousers"),
    "swimsuit": Cut(_swimsuit, sleeves="none", deep=0.0, opening="skin", below="bare"),
    "tank": Cut(_tank, sleeves="none", deep=0.0, opening="skin"),
    "tracksuit": Cut(_tracksuit, loose=1.3, deep=0.08, below="trousers"),
    "cloak": Cut(_cloak, loose=1.25, deep=0.12, boots=True, belt_behind=True),
    "maid": Cut(_maid, sleeves="puff", deep=0.04, opening="white", below="dress", belt_behind=True),
    "overalls": Cut(_overalls, sleeves="short", deep=0.08, opening="skin", below="trousers"),
}

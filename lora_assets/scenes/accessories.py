"""Things worn on the head: hats, bows, cat ears, headphones. Head space as in head.py; glasses are in features.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import HEAD, Rgb, Shape, smooth, toned


def behind_head(design: Design, yaw: float) -> list[Shape]:
    """Parts of head wear that the head hides."""
    if design.hat != "straw" or yaw > 112:
        return []
    brim = skia.Path()
    brim.addOval(skia.Rect.MakeLTRB(-0.8, -0.98, 0.8, -0.72))
    return [Shape(brim, (206, 170, 104), HEAD)]


def on_head(design: Design, yaw: float) -> list[Shape]:
    """Head wear over the hair."""
    shift = -0.05 * math.sin(math.radians(yaw))
    if design.hat:
        return HATS[design.hat](design, yaw, shift)
    return _head_bow(design, yaw, shift) if design.ribbon else []


def _beret(design: Design, _yaw: float, shift: float) -> list[Shape]:
    cloth = smooth([(shift - 0.56, -0.86), (shift - 0.42, -1.12), (shift + 0.02, -1.24), (shift + 0.46, -1.1),
                    (shift + 0.5, -0.92), (shift, -0.98)])  # fmt: skip
    return [Shape(cloth, design.accent, HEAD)]


def _cap(design: Design, yaw: float, shift: float) -> list[Shape]:
    dome = smooth([(shift - 0.53, -0.76), (shift - 0.46, -1.04), (shift, -1.2), (shift + 0.46, -1.04),
                   (shift + 0.53, -0.76), (shift, -0.84)], tension=0.15)  # fmt: skip
    shapes = [Shape(dome, design.accent, HEAD)]
    if yaw < 112:
        ahead = math.sin(math.radians(yaw)) * 0.34
        half = 0.4 - 0.1 * math.sin(math.radians(yaw))
        peak = smooth([(shift + ahead - half, -0.8), (shift + ahead, -0.88), (shift + ahead + half, -0.8),
                       (shift + ahead * 1.5 + half * 0.8, -0.68), (shift + ahead * 1.5, -0.66),
                       (shift + ahead * 1.2 - half * 0.9, -0.69)], tension=0.14)  # fmt: skip
        shapes.append(Shape(peak, toned(design.accent, 0.82), HEAD))
    return shapes


def _straw(design: Design, _yaw: float, shift: float) -> list[Shape]:
    straw: Rgb = (238, 208, 138)
    dome = smooth([(shift - 0.46, -0.86), (shift - 0.4, -1.18), (shift, -1.32), (shift + 0.4, -1.18),
                   (shift + 0.46, -0.86), (shift, -0.8)], tension=0.15)  # fmt: skip
    band = skia.Path()
    band.addRect(skia.Rect.MakeLTRB(-0.7, -0.98, 0.7, -0.86))
    brim = smooth([(-0.84, -0.84), (-0.4, -0.9), (0, -0.92), (0.4, -0.9), (0.84, -0.84), (0.5, -0.74), (0, -0.7),
                   (-0.5, -0.74)])  # fmt: skip
    return [Shape(dome, straw, HEAD), Shape(band, design.accent, line=0.6, clip=dome), Shape(brim, straw, HEAD)]


def _cat_ears(design: Design, yaw: float, shift: float) -> list[Shape]:
    shapes = []
    turn = math.radians(yaw)
    for side in (-1, 1):
        x = side * 0.32 * math.cos(turn) + shift
        lean = side * 0.12 * (0.4 + 0.6 * abs(math.cos(turn)))
        ear = smooth([(x - 0.17, -0.94), (x + lean, -1.36), (x + 0.17, -0.94)], tension=0.06)
        inner = smooth([(x - 0.09, -0.97), (x + lean * 0.9, -1.24), (x + 0.09, -0.97)], tension=0.06)
        shapes.append(Shape(ear, design.hair, HEAD))
        if yaw < 112:
            shapes.append(Shape(inner, (250, 190, 196), line=0))
    return shapes


def _headphones(design: Design, yaw: float, shift: float) -> list[Shape]:
    band = skia.Path()
    half = 0.53 * max(0.35, abs(math.cos(math.radians(yaw))))
    band.moveTo(shift - half, -0.5)
    band.cubicTo(shift - half, -1.3, shift + half, -1.3, shift + half, -0.5)
    shapes = [Shape(band, None, line=3.2, line_rgb=toned(design.accent, 0.7))]
    for side in (-1, 1):
        if 45 < yaw < 135 and side > 0:
            continue
        x = shift + side * half if not 45 < yaw < 135 else shift - 0.02
        cup = skia.Path()
        cup.addRoundRect(skia.Rect.MakeLTRB(x - 0.09, -0.58, x + 0.09, -0.28), 0.08, 0.1)
        shapes.append(Shape(cup, design.accent, HEAD))
    return shapes


def _head_bow(design: Design, yaw: float, shift: float) -> list[Shape]:
    if design.hair_shape in ("twintails", "ponytail"):
        return []
    longitude = math.radians(-58 + yaw)
    x, y = 0.47 * math.sin(longitude) + shift, -0.98
    return bow_shapes(x, y, 0.2, design.accent) if math.cos(longitude) > -0.3 else []


def bow_shapes(x: float, y: float, size: float, tone: Rgb) -> list[Shape]:
    """A bow in the hair around (x, y)."""
    shapes = []
    for side in (-1, 1):
        loop = smooth(
            [(x, y), (x + side * size, y - size * 0.65), (x + side * size * 1.05, y + size * 0.45)], tension=0.12,
        )  # fmt: skip
        shapes.append(Shape(loop, tone, HEAD))
    knot = skia.Path()
    knot.addCircle(x, y, size * 0.25)
    return [*shapes, Shape(knot, toned(tone, 0.85), HEAD)]


def _beanie(design: Design, _yaw: float, shift: float) -> list[Shape]:
    dome = smooth([(shift - 0.53, -0.72), (shift - 0.47, -1.04), (shift, -1.22), (shift + 0.47, -1.04),
                   (shift + 0.53, -0.72), (shift, -0.78)], tension=0.15)  # fmt: skip
    fold = smooth([(shift - 0.55, -0.68), (shift - 0.54, -0.86), (shift, -0.94), (shift + 0.54, -0.86),
                   (shift + 0.55, -0.68), (shift, -0.75)], tension=0.12)  # fmt: skip
    shapes = [Shape(dome, design.accent, HEAD), Shape(fold, toned(design.accent, 0.85), HEAD)]
    if design.fringe_seed % 2:
        ball = skia.Path()
        ball.addCircle(shift, -1.27, 0.13)
        shapes.insert(0, Shape(ball, toned(design.accent, 1.6), HEAD))
    return shapes


def _witch(design: Design, _yaw: float, shift: float) -> list[Shape]:
    lean = 0.2 if design.fringe_seed % 2 else -0.2
    cone = smooth([(shift - 0.5, -0.86), (shift - 0.28, -1.3), (shift + lean * 0.3, -1.62), (shift + lean, -1.7),
                   (shift + 0.2 + lean * 0.3, -1.4), (shift + 0.5, -0.86), (shift, -0.78)], tension=0.12)  # fmt: skip
    band = skia.Path()
    band.addRect(skia.Rect.MakeLTRB(-0.8, -1.02, 0.8, -0.88))
    brim = smooth([(-0.92, -0.8), (-0.45, -0.92), (0, -0.95), (0.45, -0.92), (0.92, -0.8), (0.5, -0.74), (0, -0.72),
                   (-0.5, -0.74)])  # fmt: skip
    tone = toned(design.accent, 0.6)
    return [Shape(cone, tone, HEAD), Shape(band, toned(design.accent, 1.6), line=0.6, clip=cone),
            Shape(brim, tone, HEAD)]  # fmt: skip


def _helmet(design: Design, yaw: float, shift: float) -> list[Shape]:
    steel: Rgb = (180, 188, 200) if design.fringe_seed % 2 else design.accent
    foot = -0.62 if yaw < 112 else -0.2
    dome = smooth([(shift - 0.57, foot), (shift - 0.54, -0.94), (shift, -1.22), (shift + 0.54, -0.94),
                   (shift + 0.57, foot), (shift, min(foot, -0.72))], tension=0.14)  # fmt: skip
    ridge = smooth([(shift - 0.55, -0.78), (shift, -0.9), (shift + 0.55, -0.78)], closed=False)
    return [Shape(dome, steel, HEAD), Shape(ridge, None, line=1.6, line_rgb=toned(steel, 0.6), clip=dome)]


def _crown(_design: Design, _yaw: float, shift: float) -> list[Shape]:
    gold: Rgb = (240, 204, 92)
    path = skia.Path()
    points = [(-0.36, -0.96)]
    for i in range(5):
        x = -0.36 + 0.18 * i
        points += [(x, -1.34 if i % 2 == 0 else -1.3), (x + 0.09, -1.12)] if i < 4 else [(x, -1.34)]
    points += [(0.36, -0.96), (0.0, -0.9)]
    path.addPoly([skia.Point(shift + x, y) for x, y in points], True)
    gem = skia.Path()
    gem.addCircle(shift, -1.02, 0.05)
    return [Shape(path, gold, HEAD), Shape(gem, (206, 60, 80), line=0.6)]


def _top_hat(design: Design, _yaw: float, shift: float) -> list[Shape]:
    tone = toned(design.accent, 0.5)
    tube, band, brim = skia.Path(), skia.Path(), skia.Path()
    tube.addPoly([skia.Point(shift + x, y) for x, y in ((-0.42, -0.92), (-0.46, -1.55), (0.46, -1.55), (0.42, -0.92))],
                 True)  # fmt: skip
    band.addRect(skia.Rect.MakeLTRB(shift - 0.6, -1.12, shift + 0.6, -0.96))
    brim.addOval(skia.Rect.MakeLTRB(shift - 0.72, -1.02, shift + 0.72, -0.82))
    return [Shape(brim, tone, HEAD), Shape(tube, tone, HEAD), Shape(band, design.accent, line=0.6, clip=tube)]


HATS: dict[str, Callable[[Design, float, float], list[Shape]]] = {
    "beret": _beret, "straw": _straw, "cap": _cap, "cat_ears": _cat_ears, "headphones": _headphones,
    "beanie": _beanie, "witch": _witch, "helmet": _helmet, "crown": _crown, "top_hat": _top_hat,
}  # fmt: skip

"""What lies behind the figures of a comic panel when it is no scenery: paper, tone, focus and speed lines, sparkle.

Sceneries and patterns of coloured pictures are in background.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import skia

from lora_assets.scenes.brush import fill, gradient, oval, polygon, rect, some_tone
from lora_assets.scenes.ink import Rgb, raster

Draw = Callable[[skia.Canvas, np.random.Generator, int, int, bool], None]


def draw_backdrop(rng: np.random.Generator, name: str, width: int, height: int, *, coloured: bool) -> np.ndarray:
    """The named backdrop (a key of BACKDROPS) as uint8 BGRA HxWx4, in grey tones unless `coloured`."""
    pixels, surface = raster(width, height)
    BACKDROPS[name](surface.getCanvas(), rng, width, height, coloured)
    return pixels


def _tone(rng: np.random.Generator, low: int, high: int, coloured: bool) -> Rgb:
    if coloured:
        return some_tone(rng, low, high)
    level = int(rng.integers(low, high))
    return level, level, level


def _paper(canvas: skia.Canvas, _rng: np.random.Generator, width: int, height: int, _coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), (255, 255, 255))


def _flat(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), _tone(rng, 110, 235, coloured))


def _fade(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    tones = [_tone(rng, 90, 210, coloured), (255, 255, 255) if not coloured else _tone(rng, 170, 256, True)]
    gradient(canvas, (0, 0, width, height), tones if rng.random() < 0.5 else tones[::-1])


def _night(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), (20, 22, 52) if coloured else (12, 12, 14))
    stars = skia.Path()
    for x, y, size in rng.random((int(rng.integers(12, 40)), 3)).tolist():
        stars.addPath(oval(x * width, y * height, 1 + 2.4 * size, 1 + 2.4 * size))
    fill(canvas, stars, (255, 255, 255), 230)


def _rays(
    canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, count: int, ground: Rgb, ink: Rgb
) -> None:
    """Wedges from the rim towards a middle that stays free."""
    fill(canvas, rect(0, 0, width, height), ground)
    cx, cy = width * float(rng.uniform(0.35, 0.65)), height * float(rng.uniform(0.3, 0.6))
    reach, path = math.hypot(width, height), skia.Path()
    for turn in rng.uniform(0, 2 * math.pi, count).tolist():
        start, half = float(rng.uniform(0.34, 0.6)), float(rng.uniform(0.003, 0.016))
        sx, sy = cx + start * width * math.cos(turn), cy + start * height * math.sin(turn)
        path.addPath(polygon([
            (sx, sy),
            (cx + reach * math.cos(turn - half), cy + reach * math.sin(turn - half)),
            (cx + reach * math.cos(turn + half), cy + reach * math.sin(turn + half)),
        ]))  # fmt: skip
    fill(canvas, path, ink)


def _focus(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    ground = _tone(rng, 190, 256, True) if coloured else (255, 255, 255)
    _rays(canvas, rng, width, height, int(rng.integers(70, 130)), ground, (16, 16, 18))


def _flash(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    ground = _tone(rng, 20, 90, True) if coloured else (14, 14, 16)
    _rays(canvas, rng, width, height, int(rng.integers(50, 100)), ground, (255, 255, 255))


def _speed(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), _tone(rng, 180, 256, True) if coloured else (255, 255, 255))
    canvas.save()
    canvas.rotate(float(rng.uniform(-18, 18)), width / 2, height / 2)
    path = skia.Path()
    for y in rng.uniform(-0.3, 1.3, int(rng.integers(40, 90))).tolist():
        start, length = float(rng.uniform(-0.5, 0.7)), float(rng.uniform(0.3, 1.2))
        thick = height * float(rng.uniform(0.001, 0.007))
        path.addPath(polygon([
            (start * width, y * height), ((start + length) * width, y * height - thick),
            ((start + length) * width, y * height + thick),
        ]))  # fmt: skip
    fill(canvas, path, (20, 20, 24))
    canvas.restore()


def _sparkle(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), _tone(rng, 170, 230, coloured))
    small = min(width, height)
    for x, y, size in rng.random((int(rng.integers(8, 20)), 3)).tolist():
        radius = small * (0.03 + 0.09 * size)
        fill(canvas, oval(x * width, y * height, radius, radius), (255, 255, 255), 150)
    stars = skia.Path()
    for x, y, size in rng.random((int(rng.integers(5, 12)), 3)).tolist():
        reach = small * (0.03 + 0.07 * size)
        stars.moveTo(x * width, y * height - reach)
        for dx, dy in ((reach, 0), (0, reach), (-reach, 0), (0, -reach)):
            stars.quadTo(x * width, y * height, x * width + dx, y * height + dy)
    fill(canvas, stars, (255, 255, 255))


def _stripes(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    fill(canvas, rect(0, 0, width, height), (255, 255, 255))
    step, path = max(6.0, min(width, height) * float(rng.uniform(0.03, 0.08))), skia.Path()
    for i in range(int((width + height) / step) + 1):
        x = i * step * 2 - height
        path.addPath(polygon([(x, height), (x + height, 0), (x + height + step, 0), (x + step, height)]))
    fill(canvas, path, _tone(rng, 160, 230, coloured))


def _gloom(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, coloured: bool) -> None:
    """Lines hanging from above, as over somebody whose cake is gone."""
    gradient(canvas, (0, 0, width, height), [_tone(rng, 90, 150, coloured), (245, 245, 248)])
    path, thick = skia.Path(), max(1.0, width * 0.004)
    for x in np.arange(0.01, 1, 0.022).tolist():
        path.addPath(rect(x * width, 0, x * width + thick, height * float(rng.uniform(0.15, 0.6))))
    fill(canvas, path, (40, 40, 52))


BACKDROPS: dict[str, Draw] = {
    "paper": _paper,
    "flat": _flat,
    "fade": _fade,
    "night": _night,
    "focus": _focus,
    "flash": _flash,
    "speed": _speed,
    "sparkle": _sparkle,
    "stripes": _stripes,
    "gloom": _gloom,
}
FILLED = ("flat", "night", "flash", "sparkle")
"""Backdrops that leave no paper at the rim of a panel."""

"""The background of a random scene: which scenery or pattern, and the drawn patterns themselves.

Landscapes are in landscape.py, streets and rooms in town.py; nothing here depicts a person.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import skia

from lora_assets.scenes.brush import fill, glow, gradient, mixed, oval, polygon, rect, some_tone, stroke
from lora_assets.scenes.ink import colour
from lora_assets.scenes.landscape import MOODS, Mood, draw_forest, draw_meadow, draw_sea, draw_sky, draw_snow
from lora_assets.scenes.town import draw_city, draw_classroom, draw_corridor, draw_room

SCENERY: dict[str, Callable[[skia.Canvas, np.random.Generator, int, int, Mood], None]] = {
    "sky": draw_sky,
    "meadow": draw_meadow,
    "sea": draw_sea,
    "forest": draw_forest,
    "snow": draw_snow,
    "city": draw_city,
    "room": draw_room,
    "corridor": draw_corridor,
    "classroom": draw_classroom,
}


def draw_background(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Fill the frame with random scenery (about two of three) or a random pattern."""
    if rng.random() < 0.66:
        name = str(rng.choice(list(SCENERY)))
        mood = str(rng.choice(list(MOODS), p=[0.28, 0.2, 0.12, 0.16, 0.16, 0.08]))
        draw_scenery(canvas, name, mood, rng, width, height)
    else:
        patterns = list(PATTERNS)
        PATTERNS[patterns[int(rng.integers(len(patterns)))]](canvas, rng, width, height)


def draw_scenery(canvas: skia.Canvas, name: str, mood: str, rng: np.random.Generator, width: int, height: int) -> None:
    """Draw the named scenery (a key of SCENERY) in the named mood (a key of MOODS)."""
    SCENERY[name](canvas, rng, width, height, MOODS[mood])


def _flat(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    fill(canvas, rect(0, 0, width, height), some_tone(rng, 0, 256))


def _blend(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    tones = [some_tone(rng, 20, 256) for _ in range(int(rng.integers(2, 4)))]
    gradient(canvas, (0, 0, width, height), tones, across=bool(rng.random() < 0.3))


def _dots(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    _blend(canvas, rng, width, height)
    step = height / float(rng.uniform(5, 16))
    path = skia.Path()
    for row in range(int(height / step) + 2):
        for column in range(int(width / step) + 2):
            path.addCircle((column + 0.5 * (row % 2)) * step, row * step, step * 0.25)
    fill(canvas, path, some_tone(rng), 160)


def _stripes(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    _blend(canvas, rng, width, height)
    canvas.save()
    canvas.rotate(float(rng.uniform(0, 180)), width / 2, height / 2)
    step = height / float(rng.uniform(4, 20))
    path = skia.Path()
    for i in range(-int(width / step), int(2 * width / step)):
        path.addRect(skia.Rect.MakeXYWH(i * step, -width, step * 0.5, width * 3))
    fill(canvas, path, some_tone(rng), 150)
    canvas.restore()


def _checks(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    _blend(canvas, rng, width, height)
    step = height / float(rng.uniform(4, 14))
    path = skia.Path()
    for row in range(int(height / step) + 1):
        for column in range(row % 2, int(width / step) + 1, 2):
            path.addRect(skia.Rect.MakeXYWH(column * step, row * step, step, step))
    fill(canvas, path, some_tone(rng), 150)


def _speed_lines(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    tone = some_tone(rng, 120, 256)
    canvas.clear(colour(tone))
    cx, cy = width * float(rng.uniform(0.3, 0.7)), height * float(rng.uniform(0.3, 0.7))
    reach = math.hypot(width, height)
    path = skia.Path()
    for turn in rng.uniform(0, 2 * math.pi, 90):
        start, half = reach * float(rng.uniform(0.2, 0.45)), float(rng.uniform(0.004, 0.02))
        path.addPath(polygon([
            (cx + start * math.cos(turn), cy + start * math.sin(turn)),
            (cx + reach * math.cos(turn - half), cy + reach * math.sin(turn - half)),
            (cx + reach * math.cos(turn + half), cy + reach * math.sin(turn + half)),
        ]))  # fmt: skip
    fill(canvas, path, some_tone(rng, 0, 120) if rng.random() < 0.5 else (255, 255, 255))


def _rays(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    _blend(canvas, rng, width, height)
    cx, cy = width * float(rng.uniform(0.2, 0.8)), height * float(rng.uniform(0.2, 1.0))
    count, reach = int(rng.integers(8, 20)), math.hypot(width, height)
    path = skia.Path()
    for i in range(count):
        a, b = 2 * math.pi * i / count, 2 * math.pi * (i + 0.5) / count
        path.addPath(polygon([(cx, cy), (cx + reach * math.cos(a), cy + reach * math.sin(a)),
                              (cx + reach * math.cos(b), cy + reach * math.sin(b))]))  # fmt: skip
    fill(canvas, path, some_tone(rng), 130)


def _sparkles(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    _blend(canvas, rng, width, height)
    for _ in range(int(rng.integers(8, 26))):
        centre = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        glow(canvas, centre, height * float(rng.uniform(0.03, 0.2)), some_tone(rng, 150, 256), 150)
    path = skia.Path()
    for _ in range(12):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), height * rng.uniform(0.01, 0.05)
        path.moveTo(x, y - size)
        for dx, dy in ((size, 0), (0, size), (-size, 0), (0, -size)):
            path.quadTo(x, y, x + dx, y + dy)
    fill(canvas, path, (255, 255, 255), 230)


def _noise(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Cloudy noise in two scales, as in blurred photographs and painted paper."""
    _blend(canvas, rng, width, height)
    for _ in range(2):
        frequency = float(rng.uniform(2, 30)) / height
        make = skia.PerlinNoiseShader.MakeFractalNoise if rng.random() < 0.5 else skia.PerlinNoiseShader.MakeTurbulence
        shader = make(frequency, frequency, int(rng.integers(2, 5)), float(rng.integers(1, 9_999)))
        paint = skia.Paint(Shader=shader, Alpha=int(rng.integers(70, 200)))
        canvas.drawRect(skia.Rect.MakeWH(width, height), paint)


def _blocks(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Random overlapping boxes and discs: hard edges that mean nothing."""
    _blend(canvas, rng, width, height)
    for _ in range(int(rng.integers(8, 40))):
        x, y = float(rng.uniform(-0.1, 1) * width), float(rng.uniform(-0.1, 1) * height)
        size = height * float(rng.uniform(0.03, 0.4))
        if rng.random() < 0.5:
            path = rect(x, y, x + size * float(rng.uniform(0.3, 2)), y + size)
        else:
            path = oval(x, y, size * 0.5, size * float(rng.uniform(0.2, 0.7)))
        tone = some_tone(rng)
        fill(canvas, path, tone, int(rng.integers(120, 256)))
        if rng.random() < 0.5:
            stroke(canvas, path, mixed(tone, (10, 10, 16), 0.7), max(1.0, height * 0.004))


PATTERNS: dict[str, Callable[[skia.Canvas, np.random.Generator, int, int], None]] = {
    "flat": _flat,
    "blend": _blend,
    "dots": _dots,
    "stripes": _stripes,
    "checks": _checks,
    "speed_lines": _speed_lines,
    "rays": _rays,
    "sparkles": _sparkles,
    "noise": _noise,
    "blocks": _blocks,
}

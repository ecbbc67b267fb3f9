"""The background of a random scene: which scenery, pattern or texture, in which finish, and the drawn patterns.

Landscapes are in landscape.py, streets and rooms in town.py, noise and paper in textures.py; nothing depicts a person.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import skia

from lora_assets.scenes.brush import fill, glow, gradient, mixed, oval, polygon, rect, some_tone, stroke
from lora_assets.scenes.ink import Rgb, colour, raster
from lora_assets.scenes.landscape import MOODS, Mood, draw_forest, draw_meadow, draw_sea, draw_sky, draw_snow
from lora_assets.scenes.textures import TEXTURES, draw_texture, painted
from lora_assets.scenes.town import draw_city, draw_classroom, draw_corridor, draw_room
from lora_assets.scenes.vistas import (
    draw_concert,
    draw_kitchen,
    draw_mountains,
    draw_platform,
    draw_shrine,
    draw_stars,
    draw_underwater,
)

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
    "mountains": draw_mountains,
    "underwater": draw_underwater,
    "stars": draw_stars,
    "concert": draw_concert,
    "shrine": draw_shrine,
    "kitchen": draw_kitchen,
    "platform": draw_platform,
}


PAPERS: tuple[Rgb, ...] = ((255, 255, 255), (255, 255, 255), (250, 246, 238), (236, 238, 242), (128, 128, 128))
FINISHES = ("clean", "painted", "blurred")
FINISH_SHARES = (0.58, 0.2, 0.22)


def draw_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A random background as uint8 BGRA HxWx4: scenery (about half), pattern or texture; clean, painted or blurred."""
    kind = rng.random()
    finish = str(rng.choice(FINISHES, p=FINISH_SHARES))
    if kind > 0.82:
        texture = draw_texture(str(rng.choice(list(TEXTURES))), rng, width, height)
        if finish == "blurred":
            texture = cv2.blur(texture, (height // 40 | 1, height // 40 | 1))
        return cv2.cvtColor(texture, cv2.COLOR_RGB2BGRA)
    # What will be soft is drawn small: it looks the same and takes a fraction of the time.
    scale = {"clean": 1, "painted": 2, "blurred": 4}[finish] if min(width, height) >= 256 else 1
    pixels, surface = raster(width // scale, height // scale)
    canvas = surface.getCanvas()
    if kind < 0.56:
        mood = str(rng.choice(list(MOODS), p=[0.28, 0.2, 0.12, 0.16, 0.16, 0.08]))
        draw_scenery(canvas, str(rng.choice(list(SCENERY))), mood, rng, width // scale, height // scale)
    else:
        patterns = list(PATTERNS)
        PATTERNS[patterns[int(rng.integers(len(patterns)))]](canvas, rng, width // scale, height // scale)
    if finish == "painted":
        picture = painted(np.ascontiguousarray(pixels[:, :, :3]), rng, float(rng.uniform(0.2, 1.0)))
        pixels = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    elif finish == "blurred":
        pixels = cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] * float(rng.uniform(0.004, 0.03)))
    return pixels if scale == 1 else cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)


def draw_scenery(canvas: skia.Canvas, name: str, mood: str, rng: np.random.Generator, width: int, height: int) -> None:
    """Draw the named scenery (a key of SCENERY) in the named mood (a key of MOODS)."""
    SCENERY[name](canvas, rng, width, height, MOODS[mood])


def _flat(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    tone = PAPERS[int(rng.integers(len(PAPERS)))] if rng.random() < 0.5 else some_tone(rng, 0, 256)
    fill(canvas, rect(0, 0, width, height), tone)


def _blend(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    tones = [some_tone(rng, 20, 256) for _ in range(int(rng.integers(2, 4)))]
    gradient(canvas, (0, 0, width, height), tones, across=bool(rng.random() < 0.3))


def _panel(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Paper with one or two coloured shapes behind the middle, as illustrations and model sheets have."""
    fill(canvas, rect(0, 0, width, height), PAPERS[int(rng.integers(len(PAPERS)))])
    for _ in range(int(rng.integers(1, 3))):
        x, y, size = width * float(rng.uniform(0.2, 0.8)), height * float(rng.uniform(0.3, 0.7)), height * 0.4
        kind, tone = int(rng.integers(3)), some_tone(rng, 90, 250)
        if kind == 0:
            fill(canvas, oval(x, y, size, size), tone)
        elif kind == 1:
            fill(canvas, rect(x - size * float(rng.uniform(0.3, 1.2)), 0, x + size * 0.4, height), tone)
        else:
            slope = size * float(rng.uniform(-1, 1))
            fill(canvas, polygon([(0, y - slope), (width, y + slope), (width, height), (0, height)]), tone)


def _motifs(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Flowers, hearts or stars scattered over a ground."""
    _blend(canvas, rng, width, height)
    kind = int(rng.integers(3))
    motif = skia.Path()
    if kind == 0:
        for turn in range(5):
            motif.addCircle(0.6 * math.cos(turn * 1.2566), 0.6 * math.sin(turn * 1.2566), 0.45)
    elif kind == 1:
        motif.moveTo(0, 0.9)
        motif.cubicTo(-1.6, -0.2, -0.6, -1.2, 0, -0.3)
        motif.cubicTo(0.6, -1.2, 1.6, -0.2, 0, 0.9)
    else:
        tips = [(r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5)) for i in range(10)
                for r in (1.0 if i % 2 == 0 else 0.42,)]  # fmt: skip
        motif = polygon(tips)
    for tone in (some_tone(rng, 120, 256), (255, 255, 255)):
        scattered = skia.Path()
        for x, y, turn, size in rng.uniform(0, 1, (int(rng.integers(6, 22)), 4)).tolist():
            place = skia.Matrix()
            place.setTranslate(x * width, y * height)
            place.preRotate(turn * 360)
            place.preScale(*[height * (0.015 + 0.05 * size)] * 2)
            scattered.addPath(motif, place)
        fill(canvas, scattered, tone, 200)


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
    "panel": _panel,
    "motifs": _motifs,
    "dots": _dots,
    "stripes": _stripes,
    "checks": _checks,
    "speed_lines": _speed_lines,
    "rays": _rays,
    "sparkles": _sparkles,
    "blocks": _blocks,
}

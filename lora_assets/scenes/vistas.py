"""More scenery without people: mountains, under water, stars, a stage, a shrine gate, a kitchen, a platform.

Skies, meadows and forests are in landscape.py, streets and rooms in town.py.
"""

from __future__ import annotations

import numpy as np
import skia

from lora_assets.scenes.brush import fill, glow, gradient, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, toned
from lora_assets.scenes.landscape import LEAVES, Mood, draw_sky, draw_tree, lit, ridge
from lora_assets.scenes.town import PASTELS

STONES: tuple[Rgb, ...] = ((110, 124, 150), (96, 110, 120), (134, 120, 128), (90, 100, 136))


def draw_mountains(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Peaks in three depths, the farthest with snow, and a lake or meadow before them."""
    draw_sky(canvas, rng, width, height, mood)
    stone, haze = some(rng, STONES), mood.sky[-1]
    for depth in range(3):
        level = height * (0.36 + 0.13 * depth)
        tone = lit(mixed(stone, haze, 0.55 - 0.22 * depth), mood)
        x = -width * 0.1
        while x < width * 1.1:
            wide, tall = (
                width * float(rng.uniform(0.2, 0.45)),
                height * float(rng.uniform(0.15, 0.34)) * (1 - 0.2 * depth),
            )
            peak = (x + wide * float(rng.uniform(0.4, 0.6)), level - tall)
            base = level + tall * 0.3
            slope = polygon([(x, height), (x, base), peak, (x + wide, base), (x + wide, height)])
            fill(canvas, slope, tone)
            fill(canvas, polygon([peak, (x + wide, base), (peak[0] + wide * 0.08, base)]), toned(tone, 0.86))
            if depth == 0:
                cap = tall * 0.3
                snow = [(peak[0] - cap * 0.7, peak[1] + cap), peak, (peak[0] + cap * 0.7, peak[1] + cap),
                        (peak[0] + cap * 0.2, peak[1] + cap * 0.75),
                        (peak[0] - cap * 0.15, peak[1] + cap * 1.1)]  # fmt: skip
                fill(canvas, polygon(snow), lit((246, 248, 252), mood))
            x += wide * float(rng.uniform(0.5, 0.8))
    foot = height * float(rng.uniform(0.7, 0.8))
    ground: Rgb = (96, 150, 190) if rng.random() < 0.4 else some(rng, LEAVES[:3])
    fill(canvas, ridge(rng, width, height, foot, height * 0.012, 6), lit(ground, mood))
    fill(canvas, ridge(rng, width, height, foot + height * 0.1, height * 0.012, 6), toned(lit(ground, mood), 0.88), 180)


def draw_underwater(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Blue depth with shafts of light, weeds, corals and bubbles."""
    gradient(canvas, (0, 0, width, height), ((120, 220, 232), mixed((40, 130, 190), mood.light, 0.2), (14, 50, 100)))
    for _ in range(4):
        x, lean = width * float(rng.uniform(0, 1)), width * float(rng.uniform(-0.15, 0.15))
        shaft = polygon([(x, 0), (x + width * 0.06, 0), (x + lean + width * 0.16, height), (x + lean, height)])
        fill(canvas, shaft, (230, 255, 255), 36)
    fill(canvas, ridge(rng, width, height, height * 0.86, height * 0.03, 7), (180, 170, 140))
    for _ in range(int(rng.integers(5, 14))):
        x, tall = width * float(rng.uniform(0, 1)), height * float(rng.uniform(0.12, 0.42))
        weed = skia.Path()
        weed.moveTo(x, height)
        weed.cubicTo(
            x + tall * 0.2, height - tall * 0.4, x - tall * 0.25, height - tall * 0.7, x + tall * 0.1, height - tall
        )
        tone = some(rng, ((50, 140, 90), (206, 90, 110), (240, 150, 90), (110, 80, 160)))
        stroke(canvas, weed, tone, height * float(rng.uniform(0.008, 0.03)))
    bubbles = skia.Path()
    for x, y, size in rng.uniform(0, 1, (30, 3)).tolist():
        bubbles.addCircle(x * width, y * height, height * (0.003 + 0.012 * size))
    stroke(canvas, bubbles, (235, 252, 255), max(1.0, height * 0.002), 170)


def draw_stars(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, _mood: Mood) -> None:
    """Space: clouds of light, stars, a planet."""
    deep = some(rng, ((10, 8, 30), (24, 8, 44), (6, 20, 40)))
    fill(canvas, rect(0, 0, width, height), deep)
    for _ in range(7):
        centre = (width * float(rng.uniform(0, 1)), height * float(rng.uniform(0, 1)))
        tone = some(rng, ((120, 60, 190), (40, 110, 200), (200, 70, 140), (60, 170, 170)))
        glow(canvas, centre, height * float(rng.uniform(0.2, 0.6)), tone, int(rng.integers(40, 110)))
    stars = skia.Path()
    for x, y, size in rng.uniform(0, 1, (160, 3)).tolist():
        stars.addCircle(x * width, y * height, height * (0.0006 + 0.0026 * size**4))
    fill(canvas, stars, (255, 255, 250), 230)
    if rng.random() < 0.7:
        x, y, size = (
            width * float(rng.uniform(0.1, 0.9)),
            height * float(rng.uniform(0.1, 0.6)),
            height * float(rng.uniform(0.06, 0.2)),
        )
        tone = some(rng, ((226, 170, 120), (120, 170, 210), (200, 200, 206), (206, 120, 110)))
        planet = oval(x, y, size, size)
        fill(canvas, planet, tone)
        canvas.save()
        canvas.clipPath(planet, doAntiAlias=True)
        for i in range(3):
            fill(canvas, oval(x, y + size * (0.5 * i - 0.5), size, size * 0.1), toned(tone, 0.85))
        fill(canvas, oval(x + size * 0.6, y + size * 0.3, size, size), deep, 130)
        canvas.restore()
        stroke(canvas, oval(x, y, size * 1.6, size * 0.3), toned(tone, 1.4), size * 0.06, 190)


def draw_concert(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, _mood: Mood) -> None:
    """A stage with coloured spotlights, curtains and loudspeakers."""
    night = some(rng, ((30, 16, 52), (14, 22, 50), (44, 14, 34)))
    gradient(canvas, (0, 0, width, height), (night, toned(night, 1.3)))
    foot = height * float(rng.uniform(0.74, 0.86))
    fill(canvas, rect(0, foot, width, height), toned(night, 1.6))
    for _ in range(int(rng.integers(3, 8))):
        x, to = width * float(rng.uniform(0, 1)), width * float(rng.uniform(0, 1))
        tone = some(rng, ((255, 90, 150), (90, 200, 255), (255, 220, 110), (150, 110, 255), (120, 255, 170)))
        beam = polygon(
            [(x - width * 0.01, 0), (x + width * 0.01, 0), (to + width * 0.1, foot), (to - width * 0.1, foot)]
        )
        fill(canvas, beam, tone, 60)
        fill(canvas, oval(to, foot, width * 0.1, height * 0.03), tone, 110)
        fill(canvas, oval(x, height * 0.01, height * 0.02, height * 0.02), (255, 255, 255))
    for side in (0, 1):
        left = 0.0 if side == 0 else width * 0.9
        for fold in range(4):
            fill(canvas, rect(left + width * 0.025 * fold, 0, left + width * 0.025 * (fold + 1.1), foot),
                 toned((170, 40, 60), 1.0 - 0.12 * (fold % 3)))  # fmt: skip
        box = width * (0.12 if side == 0 else 0.8)
        fill(canvas, rect(box, foot - height * 0.3, box + width * 0.08, foot), (24, 24, 28))
        for y in (0.23, 0.1):
            fill(canvas, oval(box + width * 0.04, foot - height * y, width * 0.028, width * 0.028), (60, 60, 66))


def draw_shrine(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A red gate over stone steps between trees."""
    draw_sky(canvas, rng, width, height, mood)
    leaf = lit(some(rng, LEAVES), mood)
    for x in np.linspace(-0.02, 1.02, 9).tolist():
        size = height * float(rng.uniform(0.4, 0.75))
        draw_tree(canvas, rng, x * width, height * 0.72, size, toned(leaf, float(rng.uniform(0.7, 1.1))), (80, 62, 50))
    ground = height * 0.68
    fill(canvas, rect(0, ground, width, height), lit((170, 150, 120), mood))
    middle = width * float(rng.uniform(0.35, 0.65))
    for i in range(7):
        y, half = ground + (height - ground) * i / 7, width * (0.09 + 0.025 * i)
        tone = lit((170, 168, 166), mood)
        fill(
            canvas,
            rect(middle - half, y, middle + half, y + (height - ground) / 7),
            toned(tone, 0.82 if i % 2 else 1.0),
        )
    red = lit((206, 62, 46), mood)
    half, top = width * 0.13, ground - height * 0.5
    for side in (-1, 1):
        x = middle + side * half
        near, far = height * 0.016, height * 0.022
        post = polygon([(x - near, top), (x + near, top), (x + far, ground + near), (x - far, ground + near)])
        fill(canvas, post, red)
    fill(canvas, rect(middle - half * 1.15, top + height * 0.09, middle + half * 1.15, top + height * 0.12), red)
    beam = polygon([(middle - half * 1.45, top - height * 0.05), (middle, top - height * 0.02),
                    (middle + half * 1.45, top - height * 0.05), (middle + half * 1.35, top + height * 0.02),
                    (middle - half * 1.35, top + height * 0.02)])  # fmt: skip
    fill(canvas, beam, red)
    fill(
        canvas,
        rect(middle - half * 1.45, top - height * 0.06, middle + half * 1.45, top - height * 0.035),
        lit((50, 44, 48), mood),
    )


def draw_kitchen(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Tiles, cupboards, pots and a counter."""
    wall, wood = (
        lit(some(rng, PASTELS), mood),
        lit(some(rng, ((196, 150, 106), (236, 230, 220), (120, 150, 150))), mood),
    )
    fill(canvas, rect(0, 0, width, height), wall)
    tiles = skia.Path()
    for i in range(24):
        tiles.moveTo(width * i / 24, height * 0.3)
        tiles.lineTo(width * i / 24, height * 0.62)
    for i in range(6):
        tiles.moveTo(0, height * (0.3 + 0.064 * i))
        tiles.lineTo(width, height * (0.3 + 0.064 * i))
    stroke(canvas, tiles, toned(wall, 0.85), max(1.0, height * 0.003))
    for row, (y0, y1) in enumerate(((0.0, 0.26), (0.68, 0.97))):
        count = int(rng.integers(4, 8))
        for i in range(count):
            door = rect(width * i / count, height * y0, width * (i + 1) / count, height * y1)
            fill(canvas, door, wood)
            stroke(canvas, door, toned(wood, 0.7), max(1.0, height * 0.006))
            knob = height * (y1 - 0.04 if row == 0 else y0 + 0.05)
            fill(canvas, oval(width * (i + 0.85) / count, knob, height * 0.008, height * 0.008), (110, 104, 100))
    fill(canvas, rect(0, height * 0.62, width, height * 0.68), toned(wood, 1.5))
    for _ in range(int(rng.integers(3, 9))):
        x, size = width * float(rng.uniform(0.02, 0.95)), height * float(rng.uniform(0.05, 0.13))
        tone = some(rng, ((206, 90, 80), (236, 236, 240), (90, 130, 170), (70, 74, 80), (240, 190, 90)))
        fill(
            canvas,
            rect(x, height * 0.62 - size, x + size * float(rng.uniform(0.5, 1.2)), height * 0.62),
            lit(tone, mood),
        )
    fill(canvas, rect(0, height * 0.97, width, height), toned(wall, 0.7))


def draw_platform(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A station platform: roof with girders, a train or open sky, a yellow line on the floor."""
    draw_sky(canvas, rng, width, height, mood)
    steel = lit((150, 156, 164), mood)
    floor = height * float(rng.uniform(0.7, 0.8))
    if rng.random() < 0.6:
        paint = lit(some(rng, ((236, 238, 240), (90, 150, 110), (230, 140, 70), (70, 110, 180))), mood)
        fill(canvas, rect(0, height * 0.28, width, floor), paint)
        fill(canvas, rect(0, height * 0.58, width, height * 0.62), toned(paint, 0.6))
        for i in range(6):
            x = width * (i + 0.15) / 6
            fill(canvas, rect(x, height * 0.34, x + width * 0.11, height * 0.5), lit((120, 150, 170), mood))
    fill(canvas, rect(0, 0, width, height * 0.12), toned(steel, 0.8))
    for x in np.arange(float(rng.uniform(0, 0.2)), 1.1, 0.28).tolist():
        fill(canvas, rect(width * x, 0, width * x + height * 0.03, floor), steel)
        at, roof = width * x, height * 0.12
        fill(canvas, polygon([(at - roof, roof), (at, roof * 2), (at, roof)]), steel)
    fill(canvas, rect(0, floor, width, height), lit((176, 172, 168), mood))
    fill(canvas, rect(0, floor + height * 0.05, width, floor + height * 0.08), lit((240, 200, 60), mood))
    board = width * float(rng.uniform(0.1, 0.6))
    fill(canvas, rect(board, height * 0.16, board + width * 0.2, height * 0.25), (246, 248, 250))
    fill(canvas, rect(board, height * 0.23, board + width * 0.2, height * 0.25), lit((60, 120, 190), mood))

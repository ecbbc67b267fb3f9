"""What falls, flies or flashes in front of a picture: rain, snow, petals, dust, sparkles, speed lines.

Each takes a uint8 RGB frame, a strength of 0 to 1 and a random generator, and gives a new frame of the same size. It is
thin enough to leave masks and boxes as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import skia

from lora_assets.scenes.brush import fill, polygon, some, stroke
from lora_assets.scenes.ink import raster

Draw = Callable[[skia.Canvas, int, int], None]


def laid_over(image: np.ndarray, draw: Draw) -> np.ndarray:
    """The frame with something drawn over it."""
    height, width = image.shape[:2]
    frame, surface = raster(width, height)
    cv2.cvtColor(image, cv2.COLOR_RGB2BGRA, dst=frame)
    draw(surface.getCanvas(), width, height)
    return cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB)


def rain(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Slanting streaks."""

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        lean, streaks = float(rng.uniform(-0.35, 0.35)), skia.Path()
        for x, y, size in rng.uniform(0, 1, (int(40 + 160 * strength), 3)).tolist():
            reach = height * (0.03 + 0.09 * size)
            streaks.moveTo(x * width, y * height)
            streaks.lineTo(x * width + lean * reach, y * height + reach)
        stroke(canvas, streaks, (226, 236, 248), max(0.8, height * 0.002), int(70 + 110 * strength))

    return laid_over(image, draw)


def snowfall(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Flakes near and far."""

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        for near in range(2):
            flakes = skia.Path()
            for x, y, size in rng.uniform(0, 1, (int((30 + 110 * strength) / (1 + 3 * near)), 3)).tolist():
                flakes.addCircle(x * width, y * height, height * (0.0025 + 0.0035 * size) * (1 + 1.6 * near))
            fill(canvas, flakes, (255, 255, 255), 220 - 70 * near)

    return laid_over(image, draw)


def petals(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Petals or leaves on the wind."""
    tone = some(rng, ((250, 190, 206), (255, 226, 232), (226, 140, 70), (150, 190, 90)))

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        blades = skia.Path()
        for x, y, turn, size in rng.uniform(0, 1, (int(10 + 50 * strength), 4)).tolist():
            blade = skia.Path()
            reach = height * (0.006 + 0.014 * size)
            blade.moveTo(-reach, 0)
            blade.quadTo(0, -reach, reach, 0)
            blade.quadTo(0, reach * 0.5, -reach, 0)
            place = skia.Matrix()
            place.setTranslate(x * width, y * height)
            place.preRotate(turn * 360)
            blade.transform(place)
            blades.addPath(blade)
        fill(canvas, blades, tone, 225)

    return laid_over(image, draw)


def dust(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Specks, hairs and scratches of an old print."""

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        specks, scratches = skia.Path(), skia.Path()
        for x, y, size in rng.uniform(0, 1, (int(10 + 70 * strength), 3)).tolist():
            specks.addCircle(x * width, y * height, height * (0.0008 + 0.002 * size))
        for _ in range(int(1 + 4 * strength)):
            x = float(rng.uniform(0, width))
            scratches.moveTo(x, 0)
            scratches.quadTo(x + float(rng.normal(0, 6)), height / 2, x, height)
        fill(canvas, specks, (250, 250, 244) if rng.random() < 0.5 else (20, 18, 16), 200)
        stroke(canvas, scratches, (240, 240, 236), max(0.6, height * 0.001), int(60 + 90 * strength))

    return laid_over(image, draw)


def sparkles(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Four-pointed stars of magic and good mood."""

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        stars = skia.Path()
        for x, y, size in rng.uniform(0, 1, (int(4 + 18 * strength), 3)).tolist():
            reach, cx, cy = height * (0.01 + 0.04 * size), x * width, y * height
            stars.moveTo(cx, cy - reach)
            for dx, dy in ((reach, 0), (0, reach), (-reach, 0), (0, -reach)):
                stars.quadTo(cx, cy, cx + dx, cy + dy)
        fill(canvas, stars, (255, 255, 240), 235)

    return laid_over(image, draw)


def speed_lines(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Wedges from the edges towards the middle, as comics draw speed and shock."""
    tone = (16, 14, 20) if rng.random() < 0.5 else (255, 255, 255)

    def draw(canvas: skia.Canvas, width: int, height: int) -> None:
        cx, cy = width * float(rng.uniform(0.35, 0.65)), height * float(rng.uniform(0.35, 0.65))
        reach, lines = math.hypot(width, height), skia.Path()
        for turn in rng.uniform(0, 2 * math.pi, int(30 + 60 * strength)).tolist():
            start, half = reach * float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.002, 0.012))
            tips = [(math.cos(turn + side) * reach, math.sin(turn + side) * reach) for side in (-half, half)]
            inner = (cx + start * math.cos(turn), cy + start * math.sin(turn))
            lines.addPath(polygon([inner, *((cx + x, cy + y) for x, y in tips)]))
        fill(canvas, lines, tone, int(120 + 110 * strength))

    return laid_over(image, draw)

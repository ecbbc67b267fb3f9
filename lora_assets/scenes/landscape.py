"""Outdoor scenery without people: skies, clouds, hills, meadows, sea and trees. Streets and rooms are in town.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from lora_assets.scenes.brush import fill, glow, gradient, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned


@dataclass(frozen=True, slots=True)
class Mood:
    """Time of day: sky from top to horizon, cloud light and shadow, and the light cast on the land."""

    sky: tuple[Rgb, ...]
    cloud: Rgb
    cloud_shadow: Rgb
    light: Rgb
    strength: float
    dark: bool = False


MOODS: dict[str, Mood] = {
    "day": Mood(((58, 134, 214), (120, 190, 238), (214, 238, 248)), (255, 255, 255), (196, 214, 236), (255, 255, 250),
                0.0),
    "summer": Mood(((30, 104, 206), (78, 164, 236), (178, 226, 246)), (255, 255, 252), (178, 206, 238),
                   (255, 252, 230), 0.08),
    "dawn": Mood(((126, 150, 214), (246, 190, 190), (255, 228, 190)), (255, 236, 222), (222, 170, 190),
                 (255, 214, 190), 0.25),
    "sunset": Mood(((74, 60, 130), (226, 98, 104), (255, 190, 100)), (255, 178, 140), (176, 84, 120), (255, 140, 90),
                   0.36),
    "night": Mood(((12, 16, 46), (26, 36, 84), (60, 74, 128)), (66, 76, 122), (38, 46, 88), (24, 32, 84), 0.62, True),
    "overcast": Mood(((138, 150, 164), (172, 182, 192), (204, 210, 214)), (206, 212, 218), (160, 170, 182),
                     (150, 160, 172), 0.3),
}  # fmt: skip


def lit(tone: Rgb, mood: Mood) -> Rgb:
    """A surface colour in the light of a mood."""
    return mixed(tone, mood.light, mood.strength)


def draw_sky(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Sky over the whole frame with sun or stars and clouds."""
    gradient(canvas, (0, 0, width, height * 0.75), mood.sky)
    canvas.drawRect(
        skia.Rect.MakeLTRB(0, height * 0.75 - 1, width, height),
        skia.Paint(Color=skia.Color(*mood.sky[-1])),
    )
    centre = (width * float(rng.uniform(0.1, 0.9)), height * float(rng.uniform(0.08, 0.4)))
    if mood.dark:
        stars = skia.Path()
        for x, y, size in rng.uniform(0, 1, (90, 3)).tolist():
            stars.addCircle(x * width, y * height * 0.7, height * (0.001 + 0.0016 * size))
        fill(canvas, stars, (255, 255, 255), 204)
    if rng.random() < 0.6:
        disc: Rgb = (250, 246, 220) if mood.dark else (255, 250, 226)
        glow(canvas, centre, height * 0.3, disc, 120)
        fill(canvas, oval(*centre, height * 0.045, height * 0.045), disc)
    for _ in range(int(rng.integers(1, 6))):
        size = height * float(rng.uniform(0.08, 0.26))
        draw_cloud(canvas, rng, float(rng.uniform(0, width)), height * float(rng.uniform(0.12, 0.6)), size, mood)


def draw_cloud(canvas: skia.Canvas, rng: np.random.Generator, x: float, y: float, size: float, mood: Mood) -> None:
    """A heap cloud with a flat foot at y."""
    path = skia.Path()
    for offset in np.linspace(-1, 1, int(rng.integers(5, 9))):
        radius = size * (0.22 + 0.3 * (1 - abs(offset)) * float(rng.uniform(0.6, 1.25)))
        path.addCircle(x + float(offset) * size * 1.5, y - radius * 0.6, radius)
    canvas.save()
    canvas.clipRect(skia.Rect.MakeLTRB(x - size * 3, y - size * 2, x + size * 3, y))
    fill(canvas, path, mood.cloud_shadow, 235)
    canvas.clipPath(path, doAntiAlias=True)
    light = skia.Path(path)
    light.offset(-size * 0.06, -size * 0.13)
    fill(canvas, light, mood.cloud, 245)
    canvas.restore()


def ridge(rng: np.random.Generator, width: int, height: int, level: float, swing: float, bumps: int) -> skia.Path:
    """A hill line across the frame around `level` (pixels), filled down to the frame's foot."""
    xs = np.linspace(-0.05 * width, 1.05 * width, bumps)
    ys = level + rng.normal(0, swing, bumps)
    path = smooth(list(zip(xs.tolist(), ys.tolist(), strict=True)), closed=False)
    path.lineTo(width * 1.05, height + 2)
    path.lineTo(-0.05 * width, height + 2)
    path.close()
    return path


def draw_tree(
    canvas: skia.Canvas, rng: np.random.Generator, x: float, foot: float, size: float, leaf: Rgb, bark: Rgb
) -> None:
    """A leaf tree standing at (x, foot), `size` pixels high."""
    trunk = size * 0.05
    fill(canvas, polygon([(x - trunk, foot), (x - trunk * 0.6, foot - size * 0.6), (x + trunk * 0.6, foot - size * 0.6),
                          (x + trunk * 1.2, foot)]), bark)  # fmt: skip
    crown = skia.Path()
    crown.addCircle(x, foot - size * 0.7, size * 0.2)
    for turn in np.linspace(0, 2 * np.pi, 8)[:-1] + rng.uniform(-0.25, 0.25, 7):
        reach = size * float(rng.uniform(0.8, 1.15))
        crown.addCircle(x + reach * 0.22 * float(np.cos(turn)), foot - size * 0.7 + reach * 0.16 * float(np.sin(turn)),
                        size * float(rng.uniform(0.11, 0.16)))  # fmt: skip
    fill(canvas, crown, toned(leaf, 0.72))
    canvas.save()
    canvas.clipPath(crown, doAntiAlias=True)
    bright = skia.Path(crown)
    bright.offset(-size * 0.05, -size * 0.06)
    fill(canvas, bright, leaf)
    bright.offset(-size * 0.06, -size * 0.09)
    fill(canvas, bright, toned(leaf, 1.25))
    canvas.restore()


LEAVES: tuple[Rgb, ...] = (
    (86, 150, 74), (112, 170, 80), (60, 124, 84), (224, 150, 70), (246, 178, 196), (150, 180, 80),
)  # fmt: skip


def draw_meadow(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Hills, trees and a meadow with flowers under the sky."""
    draw_sky(canvas, rng, width, height, mood)
    horizon = height * float(rng.uniform(0.48, 0.68))
    haze = mood.sky[-1]
    fill(canvas, ridge(rng, width, height, horizon - height * 0.1, height * 0.05, 7), mixed((92, 140, 160), haze, 0.45))
    fill(canvas, ridge(rng, width, height, horizon - height * 0.03, height * 0.025, 6),
         lit(mixed((96, 160, 110), haze, 0.25), mood))  # fmt: skip
    leaf = some(rng, LEAVES)
    for _ in range(int(rng.integers(2, 8))):
        size = height * float(rng.uniform(0.12, 0.32))
        draw_tree(canvas, rng, float(rng.uniform(0, width)), horizon + height * 0.03, size,
                  lit(leaf, mood), lit((110, 80, 60), mood))  # fmt: skip
    ground = ridge(rng, width, height, horizon + height * 0.02, height * 0.008, 5)
    grass = lit(some(rng, ((124, 184, 84), (146, 196, 96), (104, 168, 92), (196, 180, 104))), mood)
    fill(canvas, ground, grass)
    _bands_of_grass(canvas, rng, width, height, horizon, grass)
    if rng.random() < 0.4:
        middle, end = width * float(rng.uniform(0.3, 0.7)), width * float(rng.uniform(0.2, 0.8))
        track = skia.Path()
        track.moveTo(middle - width * 0.01, horizon + height * 0.03)
        track.cubicTo(middle - width * 0.1, height * 0.75, end - width * 0.2, height * 0.85, end - width * 0.16, height)
        track.lineTo(end + width * 0.16, height)
        track.cubicTo(end, height * 0.85, middle + width * 0.02, height * 0.75, middle + width * 0.02,
                      horizon + height * 0.03)  # fmt: skip
        fill(canvas, track, lit((222, 200, 158), mood))
    _flowers(canvas, rng, width, height, horizon, mood)


def _bands_of_grass(
    canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, horizon: float, grass: Rgb
) -> None:
    for step in range(3):
        level = horizon + (height - horizon) * (0.2 + 0.27 * step)
        fill(canvas, ridge(rng, width, height, level, height * 0.012, 6), toned(grass, 0.96 - 0.07 * step), 190)
    blades = skia.Path()
    for x, depth, lean in rng.uniform(0, 1, (130, 3)):
        y = horizon + (height - horizon) * (0.08 + 0.9 * depth)
        reach = height * 0.012 * (0.5 + 1.6 * depth)
        left = x * width
        blades.moveTo(left - reach * 0.4, y)
        blades.lineTo(left + (lean - 0.5) * reach, y - reach * 1.8)
        blades.lineTo(left + reach * 0.4, y)
    fill(canvas, blades, toned(grass, 0.78), 200)


def _flowers(
    canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, horizon: float, mood: Mood
) -> None:
    for tone in ((255, 250, 240), some(rng, ((250, 200, 80), (240, 130, 150), (150, 130, 220), (240, 100, 90)))):
        petals = skia.Path()
        for x, depth in rng.uniform(0, 1, (int(rng.integers(6, 40)), 2)):
            size = height * 0.004 * (0.5 + 1.7 * depth)
            petals.addCircle(x * width, horizon + (height - horizon) * (0.12 + 0.85 * depth), size)
        fill(canvas, petals, lit(tone, mood))


def draw_sea(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Open sea with glitter and often a beach."""
    draw_sky(canvas, rng, width, height, mood)
    horizon = height * float(rng.uniform(0.4, 0.6))
    deep, near = mixed((26, 92, 168), mood.sky[0], 0.4), mixed((90, 190, 206), mood.sky[-1], 0.35)
    gradient(canvas, (0, horizon, width, height), (deep, near))
    sparks = skia.Path()
    for x, depth, size in rng.uniform(0, 1, (70, 3)):
        y = horizon + (height - horizon) * 0.7 * depth**1.5
        half = width * (0.004 + 0.02 * size * depth)
        sparks.addRect(skia.Rect.MakeXYWH(x * width - half, y, 2 * half, height * (0.001 + 0.003 * depth)))
    fill(canvas, sparks, mixed(mood.cloud, (255, 255, 255), 0.5), 170)
    if rng.random() < 0.7:
        shore = height * float(rng.uniform(0.72, 0.86))
        fill(canvas, ridge(rng, width, height, shore - height * 0.015, height * 0.012, 6), (248, 252, 252), 200)
        fill(canvas, ridge(rng, width, height, shore, height * 0.012, 6), lit((238, 218, 174), mood))
    if rng.random() < 0.35:
        x, size = width * float(rng.uniform(0.1, 0.9)), height * 0.05
        fill(canvas, polygon([(x - size, horizon - size * 0.1), (x + size, horizon - size * 0.1),
                              (x + size * 0.7, horizon + size * 0.2), (x - size * 0.7, horizon + size * 0.2)]),
             lit((160, 70, 60), mood))  # fmt: skip
        fill(canvas, polygon([(x, horizon - size * 1.6), (x + size * 0.8, horizon - size * 0.25),
                              (x, horizon - size * 0.25)]), lit((250, 250, 246), mood))  # fmt: skip


def draw_forest(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Trunks of a wood with light between them."""
    leaf = lit(some(rng, LEAVES[:4]), mood)
    gradient(canvas, (0, 0, width, height), (toned(leaf, 1.2), toned(leaf, 1.9), toned(leaf, 0.8)))
    foot = height * float(rng.uniform(0.68, 0.85))
    for layer in range(3):
        tone = mixed(lit((92, 70, 56), mood), toned(leaf, 1.6), 0.66 - 0.3 * layer)
        trunks = skia.Path()
        for x in rng.uniform(0, width, 7 - layer):
            half = height * (0.01 + 0.014 * layer) * float(rng.uniform(0.7, 1.3))
            trunks.addRect(skia.Rect.MakeLTRB(x - half, 0, x + half, foot + height * 0.04 * layer))
        fill(canvas, trunks, tone)
        if layer == 1:
            glow(canvas, (width * float(rng.uniform(0.2, 0.8)), height * 0.25), height * 0.6, (255, 255, 220), 120)
    fill(canvas, ridge(rng, width, height, foot + height * 0.03, height * 0.012, 7), toned(leaf, 0.75))
    crown = skia.Path()
    for x, y in rng.uniform(0, 1, (26, 2)):
        crown.addCircle(x * width, y * height * 0.16 - height * 0.03, height * float(rng.uniform(0.05, 0.12)))
    fill(canvas, crown, toned(leaf, 0.85))


def draw_snow(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """Snowfield with firs and falling flakes."""
    draw_sky(canvas, rng, width, height, mood)
    horizon = height * float(rng.uniform(0.5, 0.66))
    firs = skia.Path()
    for x, size in rng.uniform(0, 1, (14, 2)):
        tall = height * (0.1 + 0.18 * size)
        firs.addPath(polygon([(x * width - tall * 0.25, horizon + 4), (x * width, horizon - tall),
                              (x * width + tall * 0.25, horizon + 4)]))  # fmt: skip
    fill(canvas, firs, lit((70, 104, 108), mood))
    fill(canvas, ridge(rng, width, height, horizon, height * 0.012, 6), lit((236, 242, 250), mood))
    fill(canvas, ridge(rng, width, height, horizon + height * 0.16, height * 0.015, 5), lit((218, 228, 244), mood), 160)
    flakes = skia.Path()
    for x, y, size in rng.uniform(0, 1, (120, 3)):
        flakes.addCircle(x * width, y * height, height * (0.002 + 0.005 * size))
    fill(canvas, flakes, (255, 255, 255), 220)


def draw_wires(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> None:
    """Sagging power lines across the sky between two poles."""
    poles = [width * float(rng.uniform(-0.1, 0.3)), width * float(rng.uniform(0.7, 1.1))]
    top = height * float(rng.uniform(0.08, 0.25))
    wood: Rgb = (88, 84, 84)
    for x in poles:
        fill(canvas, rect(x - height * 0.008, top, x + height * 0.008, height), wood)
        fill(canvas, rect(x - height * 0.06, top + height * 0.03, x + height * 0.06, top + height * 0.042), wood)
    for dy in (0.03, 0.045, 0.09):
        line = skia.Path()
        line.moveTo(poles[0], top + height * dy)
        line.quadTo(sum(poles) / 2, top + height * (dy + 0.14), poles[1], top + height * dy)
        stroke(canvas, line, (60, 58, 62), max(1.0, height * 0.003))

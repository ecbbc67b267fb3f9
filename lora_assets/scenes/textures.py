"""Procedural textures as pictures: clouds, watercolour, marble, wood, stone, bricks, foliage, cloth, hatching, bokeh.

Each takes a random generator, a width and a height in pixels and gives a uint8 RGB array HxWx3. Noise is summed from
coarse grids blown up by interpolation (value noise), which costs a few milliseconds where gradient noise costs
hundreds. Patterns of clean shapes are in background.py.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import skia

from lora_assets.scenes.brush import fill, mixed, oval, rect, some, some_tone, stroke
from lora_assets.scenes.ink import Rgb, raster, smooth, toned

COARSE = 2
"""Textures are made at this fraction of the frame's size and blown up: they are soft anyway."""


def fractal(rng: np.random.Generator, width: int, height: int, cells: float, octaves: int) -> np.ndarray:
    """Value noise as uint8 HxW over the whole range: `cells` bumps over the height, each octave half as large."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(2, min(height, round(cells * 2**octave)))
        columns = max(2, min(width, round(rows * width / height)))
        grid = rng.random((rows, columns), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**octave
    return cv2.normalize(total, np.empty((height, width), np.uint8), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)


def coloured(levels: np.ndarray, tones: list[Rgb]) -> np.ndarray:
    """A grey picture through a ramp of tones: uint8 HxW to uint8 RGB."""
    at = np.linspace(0, len(tones) - 1, 256)
    ramp = np.stack([np.interp(at, range(len(tones)), [tone[i] for tone in tones]) for i in range(3)], axis=1)
    return cv2.LUT(cv2.merge([levels] * 3), ramp.astype(np.uint8).reshape(1, 256, 3))


def _tones(rng: np.random.Generator, count: int) -> list[Rgb]:
    first = some_tone(rng, 30, 240)
    return [first, *(mixed(some_tone(rng, 20, 250), first, float(rng.uniform(0, 0.6))) for _ in range(count - 1))]


def _clouds(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return coloured(fractal(rng, width, height, float(rng.uniform(1.5, 8)), 4), _tones(rng, int(rng.integers(2, 5))))


def _watercolour(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Washes with darker rims, as water leaves them on paper."""
    levels = fractal(rng, width, height, float(rng.uniform(1.5, 5)), 4)
    steps = int(rng.integers(4, 8))
    washes = (levels // (256 // steps)) * (256 // steps)
    rims = cv2.GaussianBlur(cv2.morphologyEx(washes, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), (0, 0), 1.2)
    pale = [mixed(tone, (252, 248, 240), float(rng.uniform(0.2, 0.6))) for tone in _tones(rng, 4)]
    picture = coloured(cv2.addWeighted(washes, 0.6, levels, 0.4, 0), pale)
    return cv2.subtract(picture, cv2.merge([cv2.convertScaleAbs(rims, alpha=0.8)] * 3))


def _marble(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    noise = fractal(rng, width, height, float(rng.uniform(2, 5)), 5)
    veins = cv2.convertScaleAbs(noise, alpha=2.2, beta=-2.2 * 128)
    tones = _tones(rng, 2)
    return coloured(veins, [toned(tones[0], 0.6), tones[0], toned(tones[0], 1.8)])


def _wood(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Planks with grain that runs along them."""
    wood = some(rng, ((176, 130, 90), (214, 176, 130), (120, 84, 62), (150, 140, 130), (238, 200, 164)))
    bend = fractal(rng, width, height, 2.0, 3).astype(np.float32)
    rings = np.sin(np.arange(height, dtype=np.float32)[:, None] * float(rng.uniform(0.05, 0.2)) + bend * 0.09)
    picture = coloured(((rings + 1) * 127).astype(np.uint8), [toned(wood, 0.78), wood, toned(wood, 1.15)])
    planks = int(rng.integers(3, 8))
    for i in range(1, planks):
        y = height * i // planks
        picture[y : y + max(1, height // 200)] //= 2
    return picture if rng.random() < 0.6 else np.ascontiguousarray(cv2.resize(picture.swapaxes(0, 1), (width, height)))


def _stone(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Cobbles or cells of glass: each pixel in the tone of the nearest of some random points."""
    seeds = np.full((height, width), 255, np.uint8)
    count = int(rng.integers(30, 220))
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    reach, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    base = some_tone(rng, 60, 220)
    spread = float(rng.choice([0.15, 0.5, 1.0]))
    tones = np.array([mixed(base, some_tone(rng), spread) for _ in range(int(labels.max()) + 1)], np.uint8)
    shade = cv2.normalize(reach, np.empty((height, width), np.uint8), 0, 90, cv2.NORM_MINMAX, cv2.CV_8U)
    return cv2.subtract(tones[np.asarray(labels, np.int32)], cv2.merge([shade] * 3))


def _bricks(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    wall = some(rng, ((170, 90, 70), (196, 176, 160), (130, 134, 142), (214, 190, 160), (236, 226, 214)))
    pixels, surface = raster(width, height)
    canvas = surface.getCanvas()
    fill(canvas, rect(0, 0, width, height), toned(wall, 0.65))
    tall = height / float(rng.integers(6, 18))
    wide = tall * float(rng.choice([1.0, 2.2]))
    for row in range(int(height / tall) + 1):
        for column in range(-1, int(width / wide) + 1):
            x = (column + 0.5 * (row % 2)) * wide
            brick = skia.Rect.MakeXYWH(x, row * tall, wide * 0.95, tall * 0.9)
            canvas.drawRect(brick, skia.Paint(Color=skia.Color(*toned(wall, float(rng.uniform(0.85, 1.15))))))
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)


def _foliage(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Leaves over leaves, darker towards the back."""
    leaf = some(rng, ((86, 150, 74), (112, 170, 80), (60, 124, 84), (224, 150, 70), (246, 178, 196), (150, 90, 60)))
    pixels, surface = raster(width, height)
    canvas = surface.getCanvas()
    fill(canvas, rect(0, 0, width, height), toned(leaf, 0.35))
    size = height * float(rng.uniform(0.02, 0.09))
    blade = smooth([(-1.0, 0.0), (0.0, -0.42), (1.0, 0.0), (0.0, 0.42)])
    paint = skia.Paint(AntiAlias=True)
    for layer in range(3):
        for x, y, turn, tone in rng.uniform(0, 1, (110, 4)).tolist():
            paint.setColor(skia.Color(*toned(leaf, 0.45 + 0.2 * layer + 0.35 * tone)))
            canvas.save()
            canvas.translate(x * width, y * height)
            canvas.rotate(turn * 360)
            canvas.scale(size, size)
            canvas.drawPath(blade, paint)
            canvas.restore()
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)


def _cloth(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Plaid: bands along and across that mix."""
    tones = np.array(_tones(rng, 5), np.uint8)
    period = int(height * float(rng.uniform(0.1, 0.4))) + 4
    sett = np.repeat(rng.integers(0, 5, 8), rng.integers(1, max(2, period // 5), 8))
    lines = tones[sett[np.arange(max(width, height)) % len(sett)]]
    across = np.broadcast_to(lines[None, :width], (height, width, 3))
    along = np.broadcast_to(lines[:height, None], (height, width, 3))
    return cv2.addWeighted(np.ascontiguousarray(across), 0.5, np.ascontiguousarray(along), 0.5, 0)


def _hatching(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Pen strokes on paper, as the backgrounds of comics have them."""
    pixels, surface = raster(width, height)
    canvas = surface.getCanvas()
    fill(canvas, rect(0, 0, width, height), some(rng, ((252, 250, 246), (240, 232, 214), (226, 230, 236))))
    ink = some(rng, ((24, 22, 26), (70, 60, 90), (110, 80, 60)))
    for _ in range(int(rng.integers(2, 5))):
        turn, pitch = float(rng.uniform(0, 180)), height * float(rng.uniform(0.008, 0.03))
        x, y, size = float(rng.uniform(0, width)), float(rng.uniform(0, height)), height * float(rng.uniform(0.3, 0.9))
        canvas.save()
        canvas.clipPath(oval(x, y, size, size * 0.6), doAntiAlias=True)
        canvas.rotate(turn, x, y)
        lines = skia.Path()
        for i in range(int(2 * size / pitch)):
            lines.moveTo(x - size, y - size + i * pitch)
            lines.lineTo(x + size, y - size + i * pitch + float(rng.normal(0, 2)))
        stroke(canvas, lines, ink, max(0.8, height * 0.002))
        canvas.restore()
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)


def _bokeh(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A photograph far out of focus: large soft patches and discs of light."""
    rows = int(rng.integers(3, 9))
    kept = np.array(_tones(rng, 4), np.float32)
    tones = kept[rng.integers(0, 4, (rows, rows * 2))]
    picture = cv2.resize(tones + rng.normal(0, 18, tones.shape).astype(np.float32), (width, height),
                         interpolation=cv2.INTER_CUBIC)  # fmt: skip
    picture = cv2.convertScaleAbs(np.maximum(picture, 0))
    for _ in range(int(rng.integers(0, 26))):
        lit = picture.copy() if width * height < 20_000 else picture
        x, y, size = int(rng.uniform(0, width)), int(rng.uniform(0, height)), int(height * rng.uniform(0.02, 0.1)) + 1
        x0, y0, x1, y1 = max(0, x - size), max(0, y - size), min(width, x + size), min(height, y + size)
        patch = lit[y0:y1, x0:x1].copy()
        cv2.circle(patch, (x - x0, y - y0), size - 1, some_tone(rng, 180, 256), -1, cv2.LINE_AA)
        picture[y0:y1, x0:x1] = cv2.addWeighted(lit[y0:y1, x0:x1], 0.65, patch, 0.35, 0)
    return picture


TEXTURES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "clouds": _clouds,
    "watercolour": _watercolour,
    "marble": _marble,
    "wood": _wood,
    "stone": _stone,
    "bricks": _bricks,
    "foliage": _foliage,
    "cloth": _cloth,
    "hatching": _hatching,
    "bokeh": _bokeh,
}


def draw_texture(name: str, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """The named texture (a key of TEXTURES) as uint8 RGB HxWx3."""
    small = TEXTURES[name](rng, max(32, width // COARSE), max(32, height // COARSE))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def painted(picture: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """A clean picture as if painted by hand: edges wander with the brush and paper shows through; `amount` 0 to 1."""
    height, width = picture.shape[:2]
    reach = height * 0.012 * amount
    drift = [fractal(rng, width, height, float(rng.uniform(6, 20)), 2).astype(np.float32) for _ in range(2)]
    columns = np.arange(width, dtype=np.float32)[None, :] + (drift[0] - 128) * (reach / 64)
    rows = np.arange(height, dtype=np.float32)[:, None] + (drift[1] - 128) * (reach / 64)
    moved = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    moved = cv2.medianBlur(moved, 5 if amount > 0.5 else 3)
    paper = fractal(rng, width, height, height / 6, 2)
    shade = cv2.convertScaleAbs(paper, alpha=0.25 * amount, beta=255 * (1 - 0.2 * amount))
    return cv2.multiply(moved, cv2.merge([shade] * 3), scale=1 / 255)

"""Things that are not characters and may stand in front of or behind them: trees, lamps, cars, animals, balls.

Each prop is drawn one unit high with its foot at (0, 0), y down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skia

from lora_assets.scenes.brush import fill, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned
from lora_assets.scenes.landscape import LEAVES, draw_tree
from lora_assets.scenes.town import draw_picture

PAINTS: tuple[Rgb, ...] = ((206, 70, 66), (66, 120, 190), (240, 196, 80), (236, 236, 236), (90, 160, 110), (70, 70, 80),
                           (230, 140, 90), (150, 110, 180))  # fmt: skip
FURS: tuple[Rgb, ...] = ((60, 56, 60), (226, 160, 90), (240, 236, 228), (150, 130, 116), (190, 190, 196))


def _tree(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    draw_tree(canvas, rng, 0, 0, 1.0, some(rng, LEAVES), (106, 78, 60))


def _bush(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    leaf = some(rng, LEAVES[:4])
    path = skia.Path()
    for x in np.linspace(-0.8, 0.8, 7):
        path.addCircle(float(x), -0.4 + float(rng.uniform(-0.1, 0.12)), 0.34 + 0.14 * float(rng.random()))
    canvas.clipRect(skia.Rect.MakeLTRB(-2, -2, 2, 0))
    fill(canvas, path, toned(leaf, 0.72))
    canvas.clipPath(path, doAntiAlias=True)
    path = skia.Path(path)
    path.offset(-0.06, -0.1)
    fill(canvas, path, leaf)


def _lamp_post(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((70, 74, 80), (60, 84, 76), (110, 112, 116)))
    fill(canvas, rect(-0.016, -0.95, 0.016, 0), tone)
    fill(canvas, rect(-0.04, -0.06, 0.04, 0), tone)
    fill(canvas, rect(-0.1, -0.95, 0.1, -0.93), tone)
    for x in (-0.1, 0.1):
        fill(canvas, oval(x, -0.9, 0.034, 0.045), (255, 240, 190))
        fill(canvas, polygon([(x - 0.04, -0.93), (x + 0.04, -0.93), (x, -0.98)]), tone)


def _car(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    paint = some(rng, PAINTS)
    dark: Rgb = (40, 40, 46)
    body = smooth([(-1.35, -0.22), (-1.3, -0.55), (-0.85, -0.62), (-0.5, -0.98), (0.45, -1.0), (0.85, -0.62),
                   (1.3, -0.52), (1.38, -0.22)], tension=0.09)  # fmt: skip
    fill(canvas, body, paint)
    canvas.save()
    canvas.clipPath(body, doAntiAlias=True)
    fill(canvas, rect(-2, -0.36, 2, 0), toned(paint, 0.75))
    canvas.restore()
    fill(canvas, polygon([(-0.68, -0.6), (-0.42, -0.9), (-0.04, -0.91), (-0.04, -0.6)]), (190, 216, 230))
    fill(canvas, polygon([(0.04, -0.6), (0.04, -0.91), (0.4, -0.92), (0.68, -0.6)]), (190, 216, 230))
    stroke(canvas, body, toned(paint, 0.35), 0.025)
    for x in (-0.8, 0.82):
        fill(canvas, oval(x, -0.2, 0.22, 0.2), dark)
        fill(canvas, oval(x, -0.2, 0.11, 0.1), (180, 182, 188))
    fill(canvas, oval(1.3, -0.42, 0.06, 0.07), (255, 240, 170))


def _cat(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    fur = some(rng, FURS)
    line = toned(fur, 0.4)
    tail = skia.Path()
    tail.moveTo(0.3, -0.1)
    tail.cubicTo(0.75, -0.1, 0.6, -0.55, 0.75, -0.7)
    stroke(canvas, tail, line, 0.14)
    stroke(canvas, tail, fur, 0.1)
    body = smooth([(-0.3, 0), (-0.34, -0.3), (-0.16, -0.6), (0.14, -0.6), (0.36, -0.3), (0.34, 0)])
    head = smooth([(-0.38, -0.74), (-0.34, -1.08), (-0.16, -0.96), (0.12, -0.96), (0.3, -1.08), (0.34, -0.74),
                   (0.16, -0.54), (-0.2, -0.54)], tension=0.11)  # fmt: skip
    for path in (body, head):
        stroke(canvas, path, line, 0.06)
        fill(canvas, path, fur)
    fill(canvas, oval(0, -0.2, 0.16, 0.18), toned(fur, 1.6))
    for x in (-0.18, 0.14):
        fill(canvas, oval(x, -0.76, 0.05, 0.075), (240, 214, 90))
        fill(canvas, oval(x, -0.76, 0.022, 0.065), (30, 26, 30))
    fill(canvas, polygon([(-0.05, -0.66), (0.01, -0.66), (-0.02, -0.63)]), (220, 120, 120))
    for x in (-0.14, 0.1):
        fill(canvas, oval(x, -0.03, 0.08, 0.05), toned(fur, 1.3))
    smile = skia.Path()
    for side in (-1, 1):
        smile.moveTo(-0.02, -0.63)
        smile.quadTo(-0.02 + side * 0.05, -0.57, -0.02 + side * 0.1, -0.62)
        for dy in (-0.01, 0.04):
            smile.moveTo(-0.02 + side * 0.16, -0.64 + dy)
            smile.lineTo(-0.02 + side * 0.46, -0.68 + dy * 2.4)
    stroke(canvas, smile, toned(fur, 1.6) if sum(fur) < 240 else line, 0.016)


def _dog(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    fur = some(rng, FURS)
    line = toned(fur, 0.4)
    body = smooth([(-0.62, -0.5), (-0.3, -0.62), (0.3, -0.6), (0.5, -0.45), (0.46, 0), (0.3, 0), (0.26, -0.26),
                   (-0.36, -0.26), (-0.4, 0), (-0.56, 0)], tension=0.1)  # fmt: skip
    tail = smooth([(-0.58, -0.48), (-0.86, -0.8), (-0.66, -0.72), (-0.46, -0.54)])
    head = smooth([(0.3, -0.5), (0.28, -0.86), (0.5, -0.98), (0.68, -0.86), (0.9, -0.74), (0.86, -0.62), (0.6, -0.52)])
    ear = smooth([(0.32, -0.94), (0.2, -0.7), (0.3, -0.58), (0.42, -0.8)])
    for path, tone in ((tail, fur), (body, fur), (head, fur), (ear, toned(fur, 0.7))):
        stroke(canvas, path, line, 0.04)
        fill(canvas, path, tone)
    fill(canvas, oval(0.87, -0.74, 0.05, 0.04), (30, 26, 30))
    fill(canvas, oval(0.58, -0.82, 0.035, 0.045), (30, 26, 30))


def _bird(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((240, 240, 244), (90, 130, 190), (226, 150, 90), (80, 80, 90)))
    for side in (-1, 1):
        wing = smooth([(0, -0.5), (side * 0.5, -0.95), (side * 1.1, -0.7), (side * 0.6, -0.62), (side * 0.1, -0.36)])
        fill(canvas, wing, toned(tone, 0.85))
    fill(canvas, oval(0, -0.42, 0.16, 0.22), tone)
    fill(canvas, oval(0.08, -0.64, 0.11, 0.11), tone)
    fill(canvas, polygon([(0.17, -0.66), (0.3, -0.62), (0.17, -0.59)]), (240, 180, 70))


def _ball(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone, other = some(rng, PAINTS), some(rng, PAINTS)
    ball = oval(0, -0.5, 0.5, 0.5)
    fill(canvas, ball, tone)
    canvas.save()
    canvas.clipPath(ball, doAntiAlias=True)
    fill(canvas, oval(-0.5, -0.5, 0.4, 0.7), other)
    fill(canvas, oval(0.55, -0.6, 0.3, 0.7), other)
    shade = oval(-0.12, -0.6, 0.5, 0.5)
    shade.toggleInverseFillType()
    fill(canvas, shade, (30, 20, 50), 70)
    canvas.restore()
    stroke(canvas, ball, toned(tone, 0.35), 0.04)


def _poster(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    draw_picture(canvas, rng, -0.35, -1.0, 0.7, 1.0)


def _sign(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    fill(canvas, rect(-0.025, -0.7, 0.025, 0), (150, 150, 156))
    tone = some(rng, PAINTS)
    plate = oval(0, -0.8, 0.2, 0.2) if rng.random() < 0.5 else rect(-0.26, -0.98, 0.26, -0.66)
    fill(canvas, plate, tone)
    stroke(canvas, plate, (250, 250, 250), 0.03)
    fill(canvas, polygon([(-0.1, -0.77), (0.04, -0.77), (0.04, -0.85), (0.14, -0.8), (0.04, -0.72), (-0.1, -0.74)]),
         (250, 250, 250))  # fmt: skip


def _plant(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    leaf = some(rng, LEAVES[:3])
    for turn in np.linspace(-70, 70, 8) + rng.normal(0, 6, 8):
        canvas.save()
        canvas.translate(0, -0.3)
        canvas.rotate(float(turn))
        fill(canvas, oval(0, -0.36, 0.08, 0.34), toned(leaf, float(rng.uniform(0.75, 1.2))))
        canvas.restore()
    pot = some(rng, ((196, 110, 76), (230, 226, 220), (90, 110, 140)))
    fill(canvas, polygon([(-0.22, -0.36), (0.22, -0.36), (0.16, 0), (-0.16, 0)]), pot)
    fill(canvas, rect(-0.25, -0.4, 0.25, -0.32), toned(pot, 0.85))


def _table(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    wood = some(rng, ((176, 130, 90), (220, 190, 150), (120, 84, 62)))
    for x in (-1.05, 0.95):
        fill(canvas, rect(x, -0.8, x + 0.1, 0), toned(wood, 0.7))
    fill(canvas, rect(-1.25, -0.95, 1.25, -0.75), wood)
    fill(canvas, rect(-1.25, -0.8, 1.25, -0.75), toned(wood, 0.75))
    mug = some(rng, PAINTS)
    fill(canvas, rect(-0.5, -1.17, -0.3, -0.95), mug)
    stroke(canvas, oval(-0.28, -1.06, 0.07, 0.07), mug, 0.035)


def _fence(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((240, 236, 228), (150, 112, 80), (110, 120, 126)))
    for y in (-0.75, -0.35):
        fill(canvas, rect(-3.2, y, 3.2, y + 0.1), toned(tone, 0.82))
    for i in range(-9, 10):
        x = i * 0.34
        fill(canvas, polygon([(x - 0.09, 0), (x - 0.09, -0.88), (x, -1.0), (x + 0.09, -0.88), (x + 0.09, 0)]), tone)


def _flower(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((240, 120, 150), (250, 210, 90), (240, 240, 250), (170, 130, 220)))
    stem = skia.Path()
    stem.moveTo(0, 0)
    stem.quadTo(0.06, -0.4, 0, -0.75)
    stroke(canvas, stem, (90, 150, 80), 0.05)
    for turn in range(0, 360, 60):
        canvas.save()
        canvas.translate(0, -0.78)
        canvas.rotate(turn)
        fill(canvas, oval(0, -0.13, 0.08, 0.12), tone)
        canvas.restore()
    fill(canvas, oval(0, -0.78, 0.07, 0.07), mixed(tone, (250, 180, 60), 0.8))


PROPS: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    "tree": _tree,
    "bush": _bush,
    "lamp_post": _lamp_post,
    "car": _car,
    "cat": _cat,
    "dog": _dog,
    "bird": _bird,
    "ball": _ball,
    "poster": _poster,
    "sign": _sign,
    "plant": _plant,
    "table": _table,
    "fence": _fence,
    "flower": _flower,
}


def draw_prop(canvas: skia.Canvas, name: str, seed: int, foot: tuple[float, float], size: float) -> None:
    """Draw the named prop, `size` pixels high, standing at `foot`; the seed picks its colours and details."""
    canvas.save()
    canvas.translate(*foot)
    canvas.scale(size, size)
    PROPS[name](canvas, np.random.default_rng([seed, 23]))
    canvas.restore()

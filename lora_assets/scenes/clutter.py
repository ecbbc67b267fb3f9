"""Clutter that looks like limbs, hair or skin and is none: roots, ropes, curtains, trunks, ribbons, blobs, streamers.

Each is drawn one unit high with its foot at (0, 0), y down, so that it can stand among the props.
"""

from __future__ import annotations

import math

import numpy as np
import skia

from lora_assets.scenes.brush import fill, oval, polygon, rect, some, some_tone, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned

SKIN_LIKE: tuple[Rgb, ...] = ((255, 228, 210), (250, 206, 180), (238, 186, 154), (214, 158, 122), (172, 118, 86),
                              (246, 222, 190), (240, 196, 190))  # fmt: skip
BARKS: tuple[Rgb, ...] = ((106, 78, 60), (140, 104, 76), (80, 64, 58), (176, 140, 108), (96, 96, 88))
CLOTHS: tuple[Rgb, ...] = ((206, 90, 90), (180, 206, 220), (230, 220, 160), (110, 90, 150), (236, 236, 240),
                           (60, 80, 120), (238, 186, 154), (92, 60, 44))  # fmt: skip


def _limb(points: list[tuple[float, float]], wide: float, narrow: float) -> skia.Path:
    """A tapering tube along points."""
    left, right = [], []
    for i, (x, y) in enumerate(points):
        ax, ay = points[max(0, i - 1)]
        bx, by = points[min(len(points) - 1, i + 1)]
        length = math.hypot(bx - ax, by - ay) or 1.0
        half = wide + (narrow - wide) * i / (len(points) - 1)
        left.append((x - (by - ay) / length * half, y + (bx - ax) / length * half))
        right.append((x + (by - ay) / length * half, y - (bx - ax) / length * half))
    return smooth([*left, *reversed(right)])


def draw_roots(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Roots or bare branches that reach about like arms with fingers."""
    bark = some(rng, (*BARKS, *SKIN_LIKE[3:5]))
    for _ in range(int(rng.integers(3, 7))):
        x, lean = float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.9, 0.9))
        mid = (x + lean * 0.3, -float(rng.uniform(0.3, 0.6)))
        tip = (x + lean, -float(rng.uniform(0.5, 1.0)))
        limb = _limb([(x, 0.02), mid, ((mid[0] + tip[0]) / 2 + 0.06, (mid[1] + tip[1]) / 2), tip], 0.09, 0.02)
        stroke(canvas, limb, toned(bark, 0.45), 0.02)
        fill(canvas, limb, bark)
        for fork in (-0.2, 0.0, 0.2):
            twig = skia.Path()
            twig.moveTo(*tip)
            twig.quadTo(tip[0] + fork * 0.4, tip[1] - 0.08, tip[0] + fork * 0.6, tip[1] - 0.14)
            stroke(canvas, twig, bark, 0.025)


def draw_trunk(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A thick trunk with bark lines, a knot and a stump of a branch."""
    bark = some(rng, BARKS)
    lean = float(rng.uniform(-0.15, 0.15))
    trunk = smooth([(-0.3, 0.02), (-0.16, -0.3), (lean - 0.15, -1.05), (lean + 0.15, -1.05), (0.17, -0.35),
                    (0.34, 0.02)], tension=0.1)  # fmt: skip
    branch = _limb([(lean * 0.6, -0.6), (lean + 0.3, -0.8), (lean + 0.45, -1.0)], 0.08, 0.04)
    for path in (branch, trunk):
        stroke(canvas, path, toned(bark, 0.45), 0.03)
        fill(canvas, path, bark)
    lines = skia.Path()
    for x in np.linspace(-0.12, 0.12, 6):
        lines.moveTo(float(x) * 1.6, -0.03)
        lines.quadTo(float(x), -0.5, float(x) + lean, -1.0 + 0.3 * float(rng.random()))
    stroke(canvas, lines, toned(bark, 0.65), 0.014)
    fill(canvas, oval(lean * 0.5, -0.5, 0.06, 0.09), toned(bark, 0.5))


def draw_rope(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Hanging ropes, hoses or cables, some of them as thick as arms or plaits."""
    for _ in range(int(rng.integers(1, 5))):
        tone = some(rng, (*BARKS, *SKIN_LIKE[:3], (240, 206, 120), (54, 44, 52)))
        wide, x = float(rng.uniform(0.015, 0.07)), float(rng.uniform(-0.6, 0.6))
        cord = skia.Path()
        cord.moveTo(x, -1.05)
        cord.cubicTo(x + float(rng.normal(0, 0.3)), -0.7, x + float(rng.normal(0, 0.5)), -0.3,
                     x + float(rng.normal(0, 0.4)), 0.0)  # fmt: skip
        stroke(canvas, cord, toned(tone, 0.45), wide * 1.35)
        stroke(canvas, cord, tone, wide)
        if wide > 0.03:
            twist = skia.Paint(
                AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=wide * 0.9,
                Color=skia.Color(*toned(tone, 0.7)), PathEffect=skia.DashPathEffect.Make([wide * 0.2, wide * 0.5], 0),
            )  # fmt: skip
            canvas.drawPath(cord, twist)


def draw_curtain(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A curtain in long folds, like hair or a skirt."""
    cloth, half = some(rng, CLOTHS), float(rng.uniform(0.2, 0.5))
    folds = int(rng.integers(5, 12))
    for i in range(folds):
        x0, x1 = -half + 2 * half * i / folds, -half + 2 * half * (i + 1.15) / folds
        sway = float(rng.normal(0, 0.05))
        strip = skia.Path()
        strip.moveTo(x0, -1.0)
        strip.cubicTo(x0 + sway, -0.6, x0 - sway, -0.3, x0 + sway * 0.6, 0)
        strip.lineTo(x1 + sway * 0.6, 0)
        strip.cubicTo(x1 - sway, -0.3, x1 + sway, -0.6, x1, -1.0)
        strip.close()
        fill(canvas, strip, toned(cloth, (1.0, 0.86, 0.74)[i % 3]))
    fill(canvas, rect(-half - 0.1, -1.04, half + 0.1, -0.99), (110, 90, 76))


def draw_blobs(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Soft blobs of the colours of skin, hair and cloth, outlined like figures: cushions, stones, clay."""
    for _ in range(int(rng.integers(1, 5))):
        tone = some(rng, SKIN_LIKE) if rng.random() < 0.6 else some_tone(rng)
        x, y = float(rng.uniform(-0.5, 0.5)), -float(rng.uniform(0.25, 0.75))
        size = float(rng.uniform(0.12, 0.3))
        turns = np.linspace(0, 2 * np.pi, 8)[:-1]
        reach = size * rng.uniform(0.7, 1.2, 7)
        blob = smooth(
            [(x + float(r * np.cos(t)), y + float(r * np.sin(t)) * 0.9) for t, r in zip(turns, reach, strict=True)]
        )
        stroke(canvas, blob, toned(tone, 0.4), 0.03)
        fill(canvas, blob, tone)
        canvas.save()
        canvas.clipPath(blob, doAntiAlias=True)
        shade = skia.Path(blob)
        shade.offset(-size * 0.15, -size * 0.18)
        shade.toggleInverseFillType()
        fill(canvas, shade, toned(tone, 0.78))
        canvas.restore()


def draw_streamers(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Ribbons and locks of grass or seaweed waving: strands like hair, with no head under them."""
    tone = some(rng, ((240, 206, 120), (92, 60, 44), (110, 170, 90), (214, 84, 90), (54, 44, 52), (120, 180, 214)))
    lean = float(rng.uniform(-0.5, 0.5))
    for i in range(int(rng.integers(4, 10))):
        x = float(rng.uniform(-0.3, 0.3))
        top = -float(rng.uniform(0.6, 1.0))
        curl = float(rng.uniform(-0.3, 0.3))
        lock = smooth([(x - 0.05, 0.0), (x + curl - 0.06, top * 0.3), (x + lean * 0.4 - curl * 0.5 - 0.05, top * 0.65),
                       (x + lean + curl * 0.4, top), (x + lean * 0.4 - curl * 0.5 + 0.05, top * 0.62),
                       (x + curl + 0.06, top * 0.3), (x + 0.06, 0.0)])  # fmt: skip
        stroke(canvas, lock, toned(tone, 0.4), 0.02)
        fill(canvas, lock, toned(tone, 1.0 if i % 2 else 0.85))


def draw_flags(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A string of pennants across the picture."""
    cord = skia.Path()
    cord.moveTo(-2.2, -1.0)
    cord.quadTo(0, -0.6, 2.2, -1.0)
    stroke(canvas, cord, (90, 84, 80), 0.015)
    for i in range(12):
        x = -2.0 + i * 0.36
        y = -1.0 + 0.4 * 0.5 * (1 - (x / 2.2) ** 2)
        fill(canvas, polygon([(x - 0.13, y), (x + 0.13, y), (x, y + 0.34)]), some(rng, CLOTHS))

"""Animals and toy creatures that are not characters: cat, dog, bird, horse, rabbit, fox, fish, penguin, teddy, robot.

Each is drawn one unit high with its foot at (0, 0), y down, looking to the right; lifeless things are in props.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skia

from lora_assets.scenes.brush import fill, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned

FURS: tuple[Rgb, ...] = ((60, 56, 60), (226, 160, 90), (240, 236, 228), (150, 130, 116), (190, 190, 196))
COATS: tuple[Rgb, ...] = ((126, 78, 50), (78, 54, 44), (226, 206, 176), (238, 234, 228), (70, 66, 70), (176, 116, 70))
PLUSHES: tuple[Rgb, ...] = ((186, 128, 82), (226, 186, 140), (240, 200, 206), (150, 110, 90), (200, 206, 220),
                            (246, 232, 206))  # fmt: skip
METALS: tuple[Rgb, ...] = ((170, 178, 188), (96, 132, 170), (206, 96, 80), (230, 200, 110), (120, 160, 140))
DARK: Rgb = (34, 28, 32)


def _inked(canvas: skia.Canvas, parts: Sequence[tuple[skia.Path, Rgb]], line: float) -> None:
    for path, tone in parts:
        stroke(canvas, path, toned(tone, 0.4), line)
        fill(canvas, path, tone)


def draw_cat(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A cat sitting upright."""
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
    _inked(canvas, ((body, fur), (head, fur)), 0.06)
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


def draw_dog(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A dog standing."""
    fur = some(rng, FURS)
    body = smooth([(-0.62, -0.5), (-0.3, -0.62), (0.3, -0.6), (0.5, -0.45), (0.46, 0), (0.3, 0), (0.26, -0.26),
                   (-0.36, -0.26), (-0.4, 0), (-0.56, 0)], tension=0.1)  # fmt: skip
    tail = smooth([(-0.58, -0.48), (-0.86, -0.8), (-0.66, -0.72), (-0.46, -0.54)])
    head = smooth([(0.3, -0.5), (0.28, -0.86), (0.5, -0.98), (0.68, -0.86), (0.9, -0.74), (0.86, -0.62), (0.6, -0.52)])
    ear = smooth([(0.32, -0.94), (0.2, -0.7), (0.3, -0.58), (0.42, -0.8)])
    line = toned(fur, 0.4)
    for path, tone in ((tail, fur), (body, fur), (head, fur), (ear, toned(fur, 0.7))):
        stroke(canvas, path, line, 0.04)
        fill(canvas, path, tone)
    fill(canvas, oval(0.87, -0.74, 0.05, 0.04), (30, 26, 30))
    fill(canvas, oval(0.58, -0.82, 0.035, 0.045), (30, 26, 30))


def draw_bird(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A bird flying."""
    tone = some(rng, ((240, 240, 244), (90, 130, 190), (226, 150, 90), (80, 80, 90)))
    for side in (-1, 1):
        wing = smooth([(0, -0.5), (side * 0.5, -0.95), (side * 1.1, -0.7), (side * 0.6, -0.62), (side * 0.1, -0.36)])
        fill(canvas, wing, toned(tone, 0.85))
    fill(canvas, oval(0, -0.42, 0.16, 0.22), tone)
    fill(canvas, oval(0.08, -0.64, 0.11, 0.11), tone)
    fill(canvas, polygon([(0.17, -0.66), (0.3, -0.62), (0.17, -0.59)]), (240, 180, 70))


def draw_horse(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A horse standing, with mane and tail."""
    coat, mane = some(rng, COATS), some(rng, ((46, 36, 36), (240, 226, 190), (90, 60, 44), (230, 230, 234)))
    swing = float(rng.uniform(-0.05, 0.07))
    tail = smooth([(-0.56, -0.62), (-0.72, -0.56), (-0.78, -0.2), (-0.68, -0.12), (-0.6, -0.36)])
    legs = [(x, dx) for x, dx in ((-0.5, -swing), (-0.34, swing), (0.3, swing), (0.16, -swing))]
    parts: list[tuple[skia.Path, Rgb]] = [(tail, mane)]
    for i, (x, dx) in enumerate(legs):
        leg = smooth([(x - 0.02, -0.46), (x + 0.13, -0.46), (x + 0.1 + dx, -0.2), (x + 0.1 + dx, 0), (x + dx, 0),
                      (x + 0.02 + dx, -0.22)], tension=0.08)  # fmt: skip
        parts.append((leg, toned(coat, 0.8) if i % 2 else coat))
    body = smooth([(-0.58, -0.62), (-0.3, -0.7), (0.1, -0.66), (0.36, -0.72), (0.44, -0.5), (0.2, -0.38),
                   (-0.2, -0.36), (-0.54, -0.42)])  # fmt: skip
    neck = smooth([(0.2, -0.6), (0.36, -0.92), (0.5, -1.0), (0.6, -0.94), (0.54, -0.72), (0.44, -0.48)], tension=0.12)
    head = smooth([(0.42, -0.94), (0.52, -1.0), (0.62, -0.92), (0.84, -0.72), (0.8, -0.64), (0.7, -0.66), (0.5, -0.8)],
                  tension=0.12)  # fmt: skip
    ear = polygon([(0.46, -0.98), (0.5, -1.1), (0.55, -0.97)])
    parts += [(body, coat), (neck, coat), (ear, coat), (head, coat)]
    hair = smooth([(0.5, -1.04), (0.34, -0.94), (0.22, -0.74), (0.2, -0.6), (0.3, -0.66), (0.42, -0.86)])
    _inked(canvas, [*parts, (hair, mane)], 0.025)
    fill(canvas, oval(0.56, -0.88, 0.022, 0.028), DARK)
    fill(canvas, oval(0.78, -0.7, 0.014, 0.018), DARK)


def draw_rabbit(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A rabbit on its haunches."""
    fur = some(rng, ((240, 236, 232), (180, 150, 124), (130, 124, 126), (226, 206, 186)))
    ears = [smooth([(x - 0.05, -0.64), (x - 0.1 + lean, -0.96), (x + lean, -1.0), (x + 0.06, -0.64)])
            for x, lean in ((0.18, -0.06), (0.3, 0.06))]  # fmt: skip
    body = smooth([(-0.42, -0.06), (-0.44, -0.3), (-0.2, -0.5), (0.14, -0.44), (0.3, -0.16), (0.3, 0), (-0.34, 0)])
    head = smooth([(0.06, -0.5), (0.14, -0.68), (0.34, -0.7), (0.5, -0.54), (0.42, -0.4), (0.18, -0.38)])
    _inked(canvas, [(oval(-0.46, -0.14, 0.09, 0.09), toned(fur, 1.8)), (ears[0], toned(fur, 0.85)), (body, fur),
                    (ears[1], fur), (head, fur)], 0.03)  # fmt: skip
    haunch = skia.Path()
    haunch.addArc(skia.Rect.MakeLTRB(-0.4, -0.36, -0.02, 0.02), -120, 150)
    stroke(canvas, haunch, toned(fur, 0.5), 0.018)
    fill(canvas, oval(0.34, -0.57, 0.032, 0.042), DARK)
    fill(canvas, oval(0.49, -0.53, 0.024, 0.018), (226, 130, 140))


def draw_fox(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A fox sitting, its brush beside it."""
    fur = some(rng, ((222, 122, 60), (206, 96, 52), (236, 232, 228), (96, 90, 100)))
    pale = toned(fur, 3.0)
    tail = smooth([(-0.16, -0.06), (-0.5, -0.1), (-0.72, -0.4), (-0.62, -0.56), (-0.44, -0.34), (-0.12, -0.2)])
    body = smooth([(-0.22, 0), (-0.26, -0.26), (-0.06, -0.6), (0.18, -0.58), (0.26, -0.2), (0.24, 0)])
    head = smooth([(-0.12, -0.66), (-0.12, -0.98), (0.02, -0.86), (0.16, -0.86), (0.3, -0.98), (0.3, -0.7),
                   (0.5, -0.58), (0.3, -0.5), (0.02, -0.5)], tension=0.08)  # fmt: skip
    _inked(canvas, ((tail, fur), (body, fur), (head, fur)), 0.03)
    fill(canvas, oval(-0.62, -0.47, 0.07, 0.09), pale)
    fill(canvas, smooth([(0.02, -0.5), (0.2, -0.46), (0.22, -0.2), (0.1, -0.12), (0.02, -0.28)]), pale)
    fill(canvas, polygon([(0.12, -0.56), (0.5, -0.58), (0.28, -0.5)]), pale)
    fill(canvas, oval(0.49, -0.59, 0.035, 0.028), DARK)
    for x in (0.06, 0.24):
        fill(canvas, oval(x, -0.7, 0.022, 0.03), DARK)


def draw_fish(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A fish swimming."""
    tone = some(rng, ((240, 130, 60), (70, 150, 210), (246, 210, 90), (200, 90, 120), (150, 170, 180)))
    tail = smooth([(-0.5, -0.5), (-0.95, -0.9), (-0.84, -0.5), (-0.95, -0.12)], tension=0.1)
    fin = smooth([(-0.2, -0.74), (0.0, -1.0), (0.3, -0.76)], tension=0.1)
    body = smooth([(-0.6, -0.5), (-0.1, -0.84), (0.5, -0.74), (0.8, -0.5), (0.5, -0.26), (-0.1, -0.16)])
    _inked(canvas, ((tail, toned(tone, 0.85)), (fin, toned(tone, 0.85)), (body, tone)), 0.035)
    canvas.save()
    canvas.clipPath(body, doAntiAlias=True)
    fill(canvas, oval(0.1, -0.14, 0.8, 0.22), toned(tone, 1.7))
    for x in (-0.3, 0.05):
        fill(canvas, rect(x, -1, x + 0.12, 0), toned(tone, 2.4), 170)
    canvas.restore()
    fill(canvas, oval(0.54, -0.58, 0.08, 0.08), (250, 250, 250))
    fill(canvas, oval(0.56, -0.58, 0.04, 0.045), DARK)


def draw_penguin(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A penguin standing upright: two legs, but no character."""
    back = some(rng, ((44, 48, 62), (70, 84, 120), (90, 90, 96)))
    for x in (-0.16, 0.16):
        fill(canvas, oval(x, -0.03, 0.14, 0.045), (240, 160, 60))
    wings = [smooth([(side * 0.26, -0.66), (side * 0.5, -0.3), (side * 0.42, -0.2), (side * 0.26, -0.4)])
             for side in (-1, 1)]  # fmt: skip
    body = smooth([(-0.32, -0.1), (-0.36, -0.5), (-0.24, -0.9), (0, -1.0), (0.24, -0.9), (0.36, -0.5), (0.32, -0.1),
                   (0, -0.02)])  # fmt: skip
    _inked(canvas, ((wings[0], back), (wings[1], back), (body, back)), 0.035)
    fill(canvas, smooth([(-0.22, -0.12), (-0.24, -0.5), (-0.14, -0.82), (0, -0.72), (0.14, -0.82), (0.24, -0.5),
                         (0.22, -0.12), (0, -0.06)]), (248, 248, 250))  # fmt: skip
    for x in (-0.1, 0.1):
        fill(canvas, oval(x, -0.76, 0.03, 0.04), DARK)
    fill(canvas, polygon([(-0.07, -0.7), (0.07, -0.7), (0, -0.61)]), (244, 170, 60))


def draw_teddy(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A plush bear or rabbit sitting: head, arms and legs of cloth."""
    plush = some(rng, PLUSHES)
    pale = toned(plush, 1.7)
    long_ears = rng.random() < 0.3
    parts: list[tuple[skia.Path, Rgb]] = []
    for side in (-1, 1):
        ear = oval(side * 0.16, -1.0, 0.07, 0.2) if long_ears else oval(side * 0.22, -0.92, 0.11, 0.11)
        parts += [(ear, plush), (smooth([(side * 0.18, -0.5), (side * 0.46, -0.4), (side * 0.48, -0.26),
                                         (side * 0.36, -0.22), (side * 0.16, -0.34)]), plush)]  # fmt: skip
    parts += [(oval(0, -0.3, 0.27, 0.29), plush), (oval(0, -0.72, 0.31, 0.26), plush)]
    parts += [(oval(side * 0.27, -0.11, 0.17, 0.14), plush) for side in (-1, 1)]
    _inked(canvas, parts, 0.03)
    fill(canvas, oval(0, -0.3, 0.16, 0.18), pale)
    fill(canvas, oval(0, -0.64, 0.13, 0.1), pale)
    for side in (-1, 1):
        fill(canvas, oval(side * 0.29, -0.1, 0.09, 0.08), pale)
        fill(canvas, oval(side * 0.12, -0.76, 0.032, 0.038), DARK)
    fill(canvas, oval(0, -0.67, 0.045, 0.032), DARK)
    if rng.random() < 0.5:
        tone = some(rng, ((206, 70, 74), (80, 130, 190), (240, 196, 80)))
        for side in (-1, 1):
            fill(canvas, polygon([(0, -0.48), (side * 0.16, -0.56), (side * 0.16, -0.4)]), tone)
        fill(canvas, oval(0, -0.48, 0.04, 0.04), toned(tone, 0.8))


def draw_robot(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A toy robot of boxes on wheels or stilts, with a screen for a face."""
    metal, other = some(rng, METALS), some(rng, METALS)
    line = toned(metal, 0.4)
    wheels = rng.random() < 0.5
    boxes: list[tuple[skia.Path, Rgb]] = [
        (rect(-0.3, -0.62, 0.3, -0.2), metal),
        (rect(-0.26, -0.94, 0.26, -0.66), other),
    ]
    for side in (-1, 1):
        boxes.append((rect(side * 0.36 - 0.05, -0.58, side * 0.36 + 0.05, -0.28), toned(metal, 0.8)))
        foot = oval(side * 0.18, -0.1, 0.12, 0.1) if wheels else rect(side * 0.16 - 0.07, -0.2, side * 0.16 + 0.07, 0)
        boxes.append((foot, toned(other, 0.6)))
    antenna = skia.Path()
    antenna.moveTo(0, -0.94)
    antenna.lineTo(0.04, -1.06)
    stroke(canvas, antenna, line, 0.02)
    fill(canvas, oval(0.04, -1.08, 0.03, 0.03), (230, 80, 70))
    for path, tone in boxes:
        stroke(canvas, path, line, 0.03)
        fill(canvas, path, tone)
    fill(canvas, rect(-0.2, -0.88, 0.2, -0.72), (36, 44, 52))
    light = some(rng, ((110, 230, 220), (250, 210, 90), (240, 90, 90)))
    for x in (-0.1, 0.1):
        fill(canvas, rect(x - 0.04, -0.83, x + 0.04, -0.77), light)
    for i in range(3):
        fill(canvas, oval(-0.14 + 0.14 * i, -0.42, 0.04, 0.04), toned(other, 1.2) if i % 2 else light)

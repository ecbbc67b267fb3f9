"""Lifeless objects as props: vehicles, furniture, food, umbrellas, balloons, clothes on hangers, instruments, bags.

Each is drawn one unit high with its foot at (0, 0), y down. Plants and street furniture are in props.py, animals in
animals.py, shapes that only look like limbs or hair in clutter.py.
"""

from __future__ import annotations

import math

import numpy as np
import skia

from lora_assets.scenes.brush import fill, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned

PAINTS: tuple[Rgb, ...] = ((206, 70, 66), (66, 120, 190), (240, 196, 80), (236, 236, 236), (90, 160, 110), (70, 70, 80),
                           (230, 140, 90), (150, 110, 180))  # fmt: skip
WOODS: tuple[Rgb, ...] = ((176, 130, 90), (220, 190, 150), (120, 84, 62), (206, 160, 110))
DARK: Rgb = (40, 40, 46)
GLASS: Rgb = (190, 216, 230)


def draw_bus(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A bus or a railway carriage from the side."""
    paint, band = some(rng, PAINTS), some(rng, PAINTS)
    body = skia.Path()
    body.addRoundRect(skia.Rect.MakeLTRB(-1.4, -1.0, 1.4, -0.14), 0.1, 0.1)
    stroke(canvas, body, toned(paint, 0.35), 0.04)
    fill(canvas, body, paint)
    fill(canvas, rect(-1.4, -0.42, 1.4, -0.3), band)
    for i in range(6):
        x = -1.28 + i * 0.44
        fill(canvas, rect(x, -0.88, x + 0.36, -0.52), GLASS)
        fill(canvas, polygon([(x, -0.52), (x + 0.14, -0.88), (x + 0.24, -0.88), (x + 0.1, -0.52)]), (226, 240, 248))
    for x in (-0.9, 0.9):
        fill(canvas, oval(x, -0.14, 0.17, 0.14), DARK)
        fill(canvas, oval(x, -0.14, 0.08, 0.07), (170, 172, 178))


def draw_bicycle(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A bicycle leaning on nothing: thin tubes and two rings."""
    tone = some(rng, PAINTS)
    for x in (-0.56, 0.56):
        stroke(canvas, oval(x, -0.34, 0.32, 0.32), DARK, 0.045)
        for turn in range(0, 180, 30):
            dx, dy = 0.31 * math.cos(math.radians(turn)), 0.31 * math.sin(math.radians(turn))
            stroke(canvas, polygon([(x - dx, -0.34 - dy), (x + dx, -0.34 + dy)]), (170, 172, 178), 0.008)
    frame = skia.Path()
    for points in (((-0.56, -0.34), (-0.24, -0.76), (0.34, -0.78), (-0.06, -0.34), (-0.56, -0.34)),
                   ((-0.06, -0.34), (-0.27, -0.86)), ((0.56, -0.34), (0.32, -0.94), (0.46, -1.0))):  # fmt: skip
        frame.moveTo(*points[0])
        for point in points[1:]:
            frame.lineTo(*point)
    stroke(canvas, frame, tone, 0.045)
    fill(canvas, oval(-0.28, -0.88, 0.14, 0.04), DARK)
    fill(canvas, oval(-0.06, -0.34, 0.07, 0.07), DARK)


def draw_plane(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """An aeroplane in flight."""
    tone, other = some(rng, ((240, 240, 244), (226, 230, 236), (240, 200, 90))), some(rng, PAINTS)
    body = smooth([(-1.2, -0.5), (-0.9, -0.62), (0.7, -0.66), (1.15, -0.5), (0.7, -0.36), (-0.9, -0.42)])
    fill(canvas, polygon([(-1.15, -0.54), (-1.3, -0.98), (-1.08, -0.98), (-0.78, -0.58)]), other)
    stroke(canvas, body, toned(tone, 0.45), 0.03)
    fill(canvas, body, tone)
    for i in range(8):
        fill(canvas, oval(-0.6 + 0.15 * i, -0.54, 0.03, 0.035), (80, 110, 150))
    wing = polygon([(-0.1, -0.46), (0.3, -0.46), (-0.34, -0.02), (-0.56, -0.02)])
    stroke(canvas, wing, toned(tone, 0.45), 0.025)
    fill(canvas, wing, toned(tone, 0.85))


def draw_chair(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A chair, stool or armchair nobody sits on."""
    wood = some(rng, WOODS)
    if rng.random() < 0.35:
        cloth = some(rng, PAINTS)
        back = smooth([(-0.44, -0.3), (-0.46, -0.86), (-0.2, -1.0), (0.2, -1.0), (0.46, -0.86), (0.44, -0.3)])
        seat = smooth([(-0.5, -0.5), (0.5, -0.5), (0.52, -0.12), (-0.52, -0.12)], tension=0.08)
        for path, tone in ((back, cloth), (seat, toned(cloth, 0.85)), (oval(-0.46, -0.4, 0.12, 0.14), cloth),
                           (oval(0.46, -0.4, 0.12, 0.14), cloth)):  # fmt: skip
            stroke(canvas, path, toned(cloth, 0.4), 0.03)
            fill(canvas, path, tone)
        return
    legs = skia.Path()
    for x, lean in ((-0.24, -0.06), (0.24, 0.06), (-0.12, -0.02), (0.14, 0.02)):
        legs.addPath(polygon([(x - 0.03, -0.48), (x + 0.03, -0.48), (x + lean + 0.025, 0), (x + lean - 0.025, 0)]))
    fill(canvas, legs, toned(wood, 0.75))
    for x in (-0.24, 0.18):
        fill(canvas, rect(x, -1.0, x + 0.06, -0.46), wood)
    for y in (-0.96, -0.78, -0.6):
        fill(canvas, rect(-0.24, y, 0.24, y + 0.07), wood)
    fill(canvas, polygon([(-0.28, -0.5), (0.28, -0.5), (0.34, -0.42), (-0.34, -0.42)]), toned(wood, 1.2))
    fill(canvas, rect(-0.34, -0.42, 0.34, -0.38), toned(wood, 0.8))


def draw_umbrella(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """An open umbrella standing on its handle."""
    tone, other = some(rng, PAINTS), some(rng, PAINTS)
    handle = skia.Path()
    handle.moveTo(0, -0.9)
    handle.lineTo(0, -0.1)
    handle.cubicTo(0, 0.02, 0.12, 0.02, 0.12, -0.08)
    stroke(canvas, handle, (104, 74, 56), 0.03)
    dome = skia.Path()
    dome.moveTo(-0.62, -0.5)
    dome.cubicTo(-0.56, -1.12, 0.56, -1.12, 0.62, -0.5)
    for i in range(4):
        x = 0.62 - 0.31 * i
        dome.quadTo(x - 0.155, -0.6, x - 0.31, -0.5)
    dome.close()
    stroke(canvas, dome, toned(tone, 0.35), 0.03)
    fill(canvas, dome, tone)
    canvas.save()
    canvas.clipPath(dome, doAntiAlias=True)
    if rng.random() < 0.6:
        for x in (-0.4, 0.22):
            fill(canvas, polygon([(x * 0.1, -1.0), (x - 0.05, -0.4), (x + 0.26, -0.4)]), other)
    fill(canvas, oval(0.5, -0.5, 0.3, 0.6), (20, 10, 40), 50)
    canvas.restore()


def draw_balloons(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """One to five round balloons on strings: head-sized, but nobody's heads."""
    count = int(rng.integers(1, 6))
    for i in range(count):
        x = (i - (count - 1) / 2) * 0.24 + float(rng.normal(0, 0.04))
        y = -0.78 + 0.1 * float(rng.random()) - 0.06 * (i % 2)
        string = skia.Path()
        string.moveTo(x, y + 0.2)
        string.quadTo(x * 0.3 + 0.05, -0.3, 0, 0)
        stroke(canvas, string, (120, 120, 126), 0.008)
        tone = some(rng, (*PAINTS, (250, 206, 180), (244, 170, 190)))
        ball = smooth([(x - 0.16, y), (x, y - 0.2), (x + 0.16, y), (x, y + 0.2)], tension=0.28)
        stroke(canvas, ball, toned(tone, 0.5), 0.02)
        fill(canvas, ball, tone)
        fill(canvas, oval(x - 0.06, y - 0.08, 0.03, 0.05), (255, 255, 255), 190)


def draw_hung_clothes(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Shirts, dresses and coats on hangers or a line: clothes without anybody in them."""
    count = int(rng.integers(1, 4))
    rail = count * 0.42
    fill(canvas, rect(-rail, -1.0, rail, -0.975), (120, 116, 112))
    for i in range(count):
        x, tone = (i - (count - 1) / 2) * 0.78, some(rng, PAINTS)
        hook = skia.Path()
        hook.moveTo(x, -0.98)
        hook.lineTo(x, -0.9)
        hook.lineTo(x - 0.2, -0.82)
        hook.moveTo(x, -0.9)
        hook.lineTo(x + 0.2, -0.82)
        stroke(canvas, hook, (90, 84, 80), 0.02)
        long = float(rng.choice([-0.35, -0.12]))
        hem = 0.34 if rng.random() < 0.4 else 0.22
        body = polygon([(x - 0.09, -0.86), (x + 0.09, -0.86), (x + 0.24, -0.8), (x + 0.38, -0.5), (x + 0.27, -0.44),
                        (x + 0.2, -0.6), (x + hem, long), (x - hem, long), (x - 0.2, -0.6), (x - 0.27, -0.44),
                        (x - 0.38, -0.5), (x - 0.24, -0.8)])  # fmt: skip
        stroke(canvas, body, toned(tone, 0.45), 0.025)
        fill(canvas, body, tone)
        collar = polygon([(x - 0.09, -0.86), (x + 0.09, -0.86), (x, -0.72)])
        fill(canvas, collar, toned(tone, 0.7) if rng.random() < 0.5 else (246, 246, 248))
        for y in (-0.64, -0.54, -0.44):
            fill(canvas, oval(x, y, 0.014, 0.014), toned(tone, 0.5))


def draw_fruit(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Apples, oranges, melons, pears in a heap: round, shaded, some of them the colour of skin."""
    for x, y in ((-0.42, -0.3), (0.42, -0.3), (0, -0.34), (-0.2, -0.72), (0.24, -0.7))[: int(rng.integers(1, 6))]:
        tone = some(
            rng, ((206, 60, 56), (240, 150, 60), (246, 210, 90), (130, 180, 80), (250, 200, 170), (236, 170, 140))
        )
        ball = oval(x, y, 0.3, 0.3 * float(rng.uniform(0.85, 1.1)))
        stroke(canvas, ball, toned(tone, 0.45), 0.025)
        fill(canvas, ball, tone)
        fill(canvas, oval(x - 0.1, y - 0.11, 0.06, 0.05), (255, 255, 255), 150)
        stalk = skia.Path()
        stalk.moveTo(x, y - 0.26)
        stalk.quadTo(x + 0.02, y - 0.34, x + 0.08, y - 0.38)
        stroke(canvas, stalk, (96, 72, 50), 0.02)
        fill(canvas, oval(x + 0.12, y - 0.36, 0.08, 0.03), (100, 160, 80))


def draw_cake(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A cake or a pile of pancakes on a plate."""
    sponge = some(rng, ((240, 206, 150), (120, 80, 60), (250, 220, 226)))
    cream = some(rng, ((255, 250, 244), (250, 196, 206), (246, 226, 170)))
    fill(canvas, oval(0, -0.06, 0.78, 0.09), (226, 230, 236))
    layers = int(rng.integers(2, 5))
    for i in range(layers):
        y = -0.1 - 0.62 * i / layers
        fill(canvas, rect(-0.52, y - 0.62 / layers, 0.52, y), sponge)
        fill(canvas, rect(-0.52, y - 0.62 / layers, 0.52, y - 0.4 / layers), cream)
    fill(canvas, oval(0, -0.72, 0.52, 0.11), cream)
    for i in range(5):
        fill(
            canvas,
            oval(-0.36 + 0.18 * i, -0.76, 0.07, 0.07),
            some(rng, ((206, 50, 60), (120, 60, 120), (250, 180, 80))),
        )
    if rng.random() < 0.5:
        for x in (-0.2, 0.0, 0.2):
            fill(canvas, rect(x - 0.015, -0.96, x + 0.015, -0.78), (120, 180, 220))
            fill(canvas, oval(x, -0.99, 0.02, 0.04), (255, 200, 80))


def draw_bowl(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A bowl of noodles: strands like hair around round things."""
    fill(canvas, oval(0, -0.56, 0.66, 0.2), (206, 150, 90))
    broth = skia.Path()
    for i in range(9):
        x = -0.5 + i * 0.12
        broth.moveTo(x, -0.58)
        broth.cubicTo(x + 0.1, -0.7 - 0.06 * (i % 3), x + 0.1, -0.5, x + 0.22, -0.6)
    stroke(canvas, broth, some(rng, ((246, 222, 160), (250, 240, 210))), 0.05)
    fill(canvas, oval(0.2, -0.62, 0.14, 0.09), (250, 250, 246))
    fill(canvas, oval(0.2, -0.62, 0.07, 0.045), (246, 180, 70))
    bowl = smooth([(-0.68, -0.56), (-0.5, -0.18), (-0.24, -0.04), (0.24, -0.04), (0.5, -0.18), (0.68, -0.56),
                   (0, -0.42)], tension=0.12)  # fmt: skip
    tone = some(rng, PAINTS)
    stroke(canvas, bowl, toned(tone, 0.4), 0.03)
    fill(canvas, bowl, tone)
    for x in (0.3, 0.42):
        stroke(canvas, polygon([(x, -0.56), (x + 0.4, -1.0)]), (150, 84, 60), 0.03)


def draw_guitar(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A guitar standing upright: waist, neck and head of wood."""
    wood = some(rng, (*WOODS, *PAINTS[:2]))
    fill(canvas, rect(-0.035, -0.94, 0.035, -0.36), (90, 64, 50))
    body = smooth([(-0.2, -0.03), (-0.26, -0.16), (-0.15, -0.3), (-0.18, -0.44), (0, -0.5), (0.18, -0.44), (0.15, -0.3),
                   (0.26, -0.16), (0.2, -0.03), (0, 0)])  # fmt: skip
    stroke(canvas, body, toned(wood, 0.4), 0.02)
    fill(canvas, body, wood)
    fill(canvas, oval(0, -0.28, 0.065, 0.065), DARK)
    fill(canvas, rect(-0.08, -0.13, 0.08, -0.1), DARK)
    fill(canvas, rect(-0.05, -1.0, 0.05, -0.9), toned(wood, 0.7))
    for x in (-0.015, 0.015):
        fill(canvas, rect(x - 0.002, -0.98, x + 0.002, -0.1), (236, 236, 236))


def draw_bag(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A rucksack."""
    tone = some(rng, PAINTS)
    strap = skia.Path()
    strap.addArc(skia.Rect.MakeLTRB(-0.14, -1.04, 0.14, -0.78), 180, 180)
    stroke(canvas, strap, toned(tone, 0.5), 0.05)
    body = smooth(
        [(-0.38, -0.03), (-0.42, -0.5), (-0.3, -0.88), (0.3, -0.88), (0.42, -0.5), (0.38, -0.03)], tension=0.12
    )
    pocket = skia.Path()
    pocket.addRoundRect(skia.Rect.MakeLTRB(-0.26, -0.4, 0.26, -0.08), 0.08, 0.08)
    for path, shade in ((body, tone), (pocket, toned(tone, 0.85))):
        stroke(canvas, path, toned(tone, 0.4), 0.03)
        fill(canvas, path, shade)
    stroke(canvas, polygon([(-0.34, -0.6), (0.34, -0.6)]), toned(tone, 0.55), 0.025)


def draw_lantern(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """Paper lanterns hanging on a cord."""
    cord = skia.Path()
    cord.moveTo(-1.2, -1.0)
    cord.quadTo(0, -0.86, 1.2, -1.0)
    stroke(canvas, cord, (60, 56, 60), 0.015)
    for x in (-0.8, 0.0, 0.8):
        tone = some(rng, ((226, 70, 60), (250, 200, 110), (246, 240, 226)))
        ball = oval(x, -0.66, 0.22, 0.24)
        stroke(canvas, ball, toned(tone, 0.5), 0.02)
        fill(canvas, ball, tone)
        fill(canvas, oval(x, -0.66, 0.12, 0.18), mixed(tone, (255, 250, 210), 0.6))
        for y in (-0.9, -0.44):
            fill(canvas, rect(x - 0.1, y - 0.02, x + 0.1, y + 0.02), DARK)


def draw_vase(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A vase, jug or bottle: shoulders and a neck of clay or glass, often of a skin's colour."""
    tone = some(
        rng, ((230, 190, 160), (246, 220, 200), (120, 160, 190), (190, 110, 80), (90, 120, 100), (236, 236, 240))
    )
    neck, belly = float(rng.uniform(0.05, 0.14)), float(rng.uniform(0.2, 0.36))
    body = smooth([(-neck, -1.0), (-neck, -0.76), (-belly, -0.5), (-belly * 0.7, -0.08), (-0.12, 0), (0.12, 0),
                   (belly * 0.7, -0.08), (belly, -0.5), (neck, -0.76), (neck, -1.0)], tension=0.14)  # fmt: skip
    stroke(canvas, body, toned(tone, 0.45), 0.025)
    fill(canvas, body, tone)
    canvas.save()
    canvas.clipPath(body, doAntiAlias=True)
    fill(canvas, rect(-1, -0.52, 1, -0.44), toned(tone, 0.7))
    fill(canvas, oval(0.3, -0.4, 0.2, 0.6), (30, 20, 40), 50)
    canvas.restore()

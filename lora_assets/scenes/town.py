"""Built scenery without people: streets by day and night, rooms, school corridors and classrooms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import skia

from lora_assets.scenes.brush import fill, glow, gradient, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, toned
from lora_assets.scenes.landscape import MOODS, Mood, draw_sky, draw_wires, lit

WALLS: tuple[Rgb, ...] = ((196, 176, 160), (170, 180, 190), (214, 204, 190), (150, 130, 124), (180, 196, 190),
                          (222, 190, 160), (132, 146, 166))  # fmt: skip
PASTELS: tuple[Rgb, ...] = ((246, 232, 214), (222, 232, 240), (240, 222, 226), (228, 238, 222), (250, 240, 210),
                            (206, 214, 228))  # fmt: skip
LAMP: Rgb = (255, 226, 150)


def draw_city(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A street with houses in two depths, lit windows at night, shops and a road."""
    draw_sky(canvas, rng, width, height, mood)
    street = height * float(rng.uniform(0.68, 0.8))
    _houses(canvas, rng, width, street, height, mood, far=True)
    if rng.random() < 0.35:
        draw_wires(canvas, rng, width, height)
    _houses(canvas, rng, width, street, height, mood, far=False)
    _road(canvas, rng, width, height, street, mood)


def _houses(
    canvas: skia.Canvas, rng: np.random.Generator, width: int, street: float, height: int, mood: Mood, *, far: bool
) -> None:
    x = -float(rng.uniform(0, 0.1)) * width
    while x < width:
        wide = width * float(rng.uniform(0.06, 0.13) if far else rng.uniform(0.12, 0.26))
        tall = height * float(rng.uniform(0.25, 0.62) if far else rng.uniform(0.2, 0.52))
        wall = lit(some(rng, WALLS), mood)
        if far:
            wall = mixed(wall, mood.sky[-1], 0.5)
        if far or rng.random() < 0.86:
            _house(canvas, rng, (x, street - tall, x + wide, street), wall, mood, far=far)
        x += wide * float(rng.uniform(0.96, 1.12))


def _house(
    canvas: skia.Canvas, rng: np.random.Generator, box: tuple[float, float, float, float], wall: Rgb, mood: Mood, *,
    far: bool,
) -> None:  # fmt: skip
    x0, y0, x1, y1 = box
    wide = x1 - x0
    fill(canvas, rect(*box), wall)
    fill(canvas, rect(x1 - wide * 0.14, y0, x1, y1), toned(wall, 0.82))
    fill(canvas, rect(x0 - wide * 0.02, y0, x1 + wide * 0.02, y0 + wide * 0.05), toned(wall, 0.7))
    columns = int(rng.integers(2, 6))
    cell = wide / columns
    step = cell * float(rng.uniform(0.8, 1.3))
    shop = 0.0 if far else min(wide * 0.55, (y1 - y0) * 0.4)
    rows = max(0, int((y1 - y0 - shop - wide * 0.12) / step))
    lit_share = 0.55 if mood.dark else 0.12
    bright, dull = skia.Path(), skia.Path()
    for row in range(rows):
        for column in range(columns):
            left, top = x0 + (column + 0.22) * cell, y0 + wide * 0.12 + row * step
            window = skia.Rect.MakeXYWH(left, top, cell * 0.56, step * 0.6)
            (bright if rng.random() < lit_share else dull).addRect(window)
    fill(canvas, dull, mixed(toned(wall, 0.5), mood.sky[0], 0.4))
    fill(canvas, bright, LAMP if mood.dark else (250, 240, 206))
    if shop > 0:
        _shop(canvas, rng, (x0, y1 - shop, x1, y1), mood)


def _shop(canvas: skia.Canvas, rng: np.random.Generator, box: tuple[float, float, float, float], mood: Mood) -> None:
    x0, y0, x1, y1 = box
    tall, wide = y1 - y0, x1 - x0
    fill(canvas, rect(x0 + wide * 0.06, y0 + tall * 0.35, x1 - wide * 0.06, y1),
         LAMP if mood.dark else lit((120, 150, 164), mood))  # fmt: skip
    fill(canvas, rect(x0 + wide * 0.62, y0 + tall * 0.38, x0 + wide * 0.82, y1), lit((104, 74, 60), mood))
    tone = lit(some(rng, ((206, 74, 70), (70, 120, 170), (90, 150, 100), (230, 170, 70))), mood)
    stripes = 8
    for i in range(stripes):
        left, right = x0 + wide * i / stripes, x0 + wide * (i + 1) / stripes
        fill(canvas, polygon([(left, y0 + tall * 0.16), (right, y0 + tall * 0.16), (right, y0 + tall * 0.4),
                              (left, y0 + tall * 0.4)]), tone if i % 2 else lit((246, 240, 230), mood))  # fmt: skip
    fill(canvas, rect(x0 + wide * 0.1, y0 + tall * 0.02, x1 - wide * 0.1, y0 + tall * 0.14), toned(tone, 0.8))
    glyphs = skia.Path()
    for i in range(5):
        glyphs.addRect(skia.Rect.MakeXYWH(x0 + wide * (0.2 + 0.12 * i), y0 + tall * 0.05, wide * 0.06, tall * 0.05))
    fill(canvas, glyphs, (250, 246, 236))
    if mood.dark:
        glow(canvas, ((x0 + x1) / 2, y1), wide * 0.7, LAMP, 70)


def _road(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, street: float, mood: Mood) -> None:
    pavement = lit((196, 190, 184), mood)
    fill(canvas, rect(0, street, width, height), pavement)
    kerb = street + (height - street) * float(rng.uniform(0.3, 0.5))
    joints = skia.Path()
    for i in range(-6, 18):
        joints.moveTo(width * i / 12, street)
        joints.lineTo(width * (0.5 + (i / 12 - 0.5) * 1.5), kerb)
    stroke(canvas, joints, toned(pavement, 0.85), max(1.0, height * 0.002))
    fill(canvas, rect(0, kerb, width, height), lit((92, 94, 104), mood))
    fill(canvas, rect(0, kerb, width, kerb + height * 0.012), toned(pavement, 0.75))
    marks = skia.Path()
    y = kerb + (height - kerb) * 0.55
    for i in range(-1, 7):
        x = width * (i + 0.2) / 6
        marks.addPath(polygon([(x, y), (x + width * 0.09, y), (x + width * 0.1, y + height * 0.014),
                               (x + width * 0.005, y + height * 0.014)]))  # fmt: skip
    fill(canvas, marks, lit((236, 234, 226), mood))


def draw_room(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A room with window, curtains, shelf, picture and lamp."""
    wall = lit(some(rng, PASTELS), mood)
    floor_y = height * float(rng.uniform(0.72, 0.86))
    gradient(canvas, (0, 0, width, floor_y), (wall, toned(wall, 0.93)))
    boards = lit(some(rng, ((196, 150, 106), (150, 110, 80), (220, 196, 160), (170, 170, 174))), mood)
    fill(canvas, rect(0, floor_y, width, height), boards)
    joints = skia.Path()
    for i in range(-8, 20):
        joints.moveTo(width * i / 12, floor_y)
        joints.lineTo(width * (0.5 + (i / 12 - 0.5) * 2.2), height)
    stroke(canvas, joints, toned(boards, 0.82), max(1.0, height * 0.003))
    fill(canvas, rect(0, floor_y - height * 0.025, width, floor_y), toned(wall, 0.8))
    places = [int(place) for place in rng.permutation(4)]
    _window(canvas, rng, width * (0.04 + 0.24 * places[0]), height * 0.1, width * 0.24, height * 0.42, mood)
    if rng.random() < 0.75:
        _shelf(canvas, rng, width * (0.06 + 0.24 * places[1]), floor_y, width * 0.17, height * 0.55, mood)
    if rng.random() < 0.7:
        draw_picture(canvas, rng, width * (0.08 + 0.24 * places[2]), height * 0.16, width * 0.11, height * 0.2)
    if rng.random() < 0.6:
        _lamp(canvas, width * (0.14 + 0.24 * places[3]), floor_y, height * 0.5, lit(some(rng, PASTELS), mood))
    if rng.random() < 0.5:
        _bed(canvas, rng, width, height, floor_y, mood)


def _window(
    canvas: skia.Canvas, rng: np.random.Generator, x: float, y: float, wide: float, tall: float, mood: Mood
) -> None:
    canvas.save()
    canvas.clipRect(skia.Rect.MakeXYWH(x, y, wide, tall))
    canvas.translate(x, y)
    draw_sky(canvas, rng, int(wide), int(tall), mood)
    canvas.restore()
    frame = skia.Path()
    frame.addRect(skia.Rect.MakeXYWH(x, y, wide, tall))
    frame.moveTo(x + wide / 2, y)
    frame.lineTo(x + wide / 2, y + tall)
    frame.moveTo(x, y + tall * 0.45)
    frame.lineTo(x + wide, y + tall * 0.45)
    stroke(canvas, frame, lit((244, 242, 236), mood), wide * 0.03)
    curtain = lit(some(rng, ((240, 200, 190), (180, 206, 220), (230, 220, 160), (190, 170, 200))), mood)
    for side in (0, 1):
        left = x - wide * 0.12 if side == 0 else x + wide * 0.88
        for fold in range(3):
            fill(canvas, rect(left + wide * 0.08 * fold, y - tall * 0.06, left + wide * 0.08 * (fold + 1.1),
                              y + tall * 1.08), toned(curtain, (1.0, 0.9, 0.82)[fold]))  # fmt: skip


def _shelf(
    canvas: skia.Canvas, rng: np.random.Generator, x: float, foot: float, wide: float, tall: float, mood: Mood
) -> None:
    wood = lit((156, 112, 76), mood)
    fill(canvas, rect(x, foot - tall, x + wide, foot), toned(wood, 0.6))
    for row in range(4):
        base = foot - tall + tall * (row + 1) / 4
        at = x + wide * 0.04
        while at < x + wide * 0.9:
            thick, high = wide * float(rng.uniform(0.04, 0.09)), tall * float(rng.uniform(0.12, 0.2))
            if rng.random() < 0.85:
                tone = lit(some(rng, ((200, 80, 76), (80, 130, 180), (230, 200, 110), (90, 150, 110), (236, 230, 220),
                                      (120, 90, 140))), mood)  # fmt: skip
                fill(canvas, rect(at, base - high, min(at + thick * 0.92, x + wide), base), tone)
            at += thick
        fill(canvas, rect(x, base - tall * 0.018, x + wide, base + tall * 0.006), wood)
    outline = rect(x, foot - tall, x + wide, foot)
    stroke(canvas, outline, wood, wide * 0.04)


def draw_picture(canvas: skia.Canvas, rng: np.random.Generator, x: float, y: float, wide: float, tall: float) -> None:
    """A framed picture on a wall: a landscape or coloured figures, never a person."""
    canvas.save()
    canvas.clipRect(skia.Rect.MakeXYWH(x, y, wide, tall))
    mood = MOODS[str(rng.choice(list(MOODS)))]
    gradient(canvas, (x, y, x + wide, y + tall), mood.sky)
    if rng.random() < 0.5:
        fill(canvas, oval(x + wide * 0.6, y + tall * 0.4, tall * 0.15, tall * 0.15), (250, 220, 150))
        fill(canvas, polygon([(x, y + tall), (x + wide * 0.35, y + tall * 0.4), (x + wide * 0.7, y + tall)]),
             (90, 110, 130))  # fmt: skip
    else:
        for _ in range(4):
            tone = some(rng, ((220, 90, 80), (80, 140, 190), (240, 200, 90), (90, 160, 120)))
            fill(canvas, oval(x + wide * float(rng.uniform(0.1, 0.9)), y + tall * float(rng.uniform(0.1, 0.9)),
                              wide * 0.16, wide * float(rng.uniform(0.08, 0.2))), tone, 200)  # fmt: skip
    canvas.restore()
    stroke(canvas, rect(x, y, x + wide, y + tall), (120, 90, 66), wide * 0.05)


def _lamp(canvas: skia.Canvas, x: float, foot: float, tall: float, shade: Rgb) -> None:
    fill(canvas, rect(x - tall * 0.01, foot - tall, x + tall * 0.01, foot), (90, 84, 80))
    fill(canvas, oval(x, foot, tall * 0.1, tall * 0.02), (90, 84, 80))
    glow(canvas, (x, foot - tall * 0.95), tall * 0.5, (255, 240, 190), 110)
    fill(canvas, polygon([(x - tall * 0.07, foot - tall * 1.1), (x + tall * 0.07, foot - tall * 1.1),
                          (x + tall * 0.14, foot - tall * 0.88), (x - tall * 0.14, foot - tall * 0.88)]),
         shade)  # fmt: skip


def _bed(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, floor_y: float, mood: Mood) -> None:
    x, wide, tall = width * float(rng.uniform(0.0, 0.6)), width * 0.36, height * 0.13
    tone = lit(some(rng, ((150, 180, 210), (220, 160, 170), (170, 200, 160))), mood)
    fill(canvas, rect(x, floor_y - tall * 0.9, x + wide, floor_y + tall * 0.5), lit((140, 100, 74), mood))
    fill(canvas, rect(x + wide * 0.02, floor_y - tall, x + wide * 0.98, floor_y + tall * 0.2), tone)
    fill(canvas, rect(x + wide * 0.02, floor_y - tall, x + wide * 0.98, floor_y - tall * 0.7), toned(tone, 1.5))
    fill(canvas, oval(x + wide * 0.14, floor_y - tall * 1.1, wide * 0.1, tall * 0.28), lit((250, 250, 250), mood))


def draw_corridor(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A school corridor running to a vanishing point: windows on one side, doors on the other."""
    vx, vy = width * float(rng.uniform(0.35, 0.65)), height * float(rng.uniform(0.38, 0.5))
    wall = lit(some(rng, PASTELS), mood)
    depth = 0.16

    def to(x: float, y: float, share: float) -> tuple[float, float]:
        return x + (vx - x) * (1 - share), y + (vy - y) * (1 - share)

    corners = [(-0.1 * width, -0.25 * height), (1.1 * width, -0.25 * height), (1.1 * width, 1.2 * height),
               (-0.1 * width, 1.2 * height)]  # fmt: skip
    tones = [toned(wall, 1.3), toned(wall, 0.92), lit((186, 150, 112), mood), wall]
    for i in range(4):
        a, b = corners[i], corners[(i + 1) % 4]
        fill(canvas, polygon([a, b, to(*b, depth), to(*a, depth)]), tones[i])
    x0, y0 = to(*corners[0], depth)
    x1, y1 = to(*corners[2], depth)
    fill(canvas, rect(x0, y0, x1, y1), toned(wall, 0.85))
    shares = [1.0, 0.72, 0.52, 0.38, 0.28, 0.2]
    left = bool(rng.random() < 0.5)
    for near, far in pairwise(shares):
        inner = near - (near - far) * 0.2
        for side in (0, 1):
            x = corners[0][0] if side == 0 else corners[1][0]
            pane = (side == 0) == left
            top, foot = (0.05 * height, 0.55 * height) if pane else (0.12 * height, 1.2 * height)
            quad = polygon([to(x, top, inner), to(x, top, far), to(x, foot, far), to(x, foot, inner)])
            fill(canvas, quad, mixed(mood.sky[1], (255, 255, 255), 0.3) if pane else lit((170, 124, 88), mood))
            stroke(canvas, quad, toned(wall, 0.7), max(1.0, height * 0.006 * near))
        lamp = polygon([to(width * 0.42, corners[0][1], inner), to(width * 0.58, corners[0][1], inner),
                        to(width * 0.58, corners[0][1], far), to(width * 0.42, corners[0][1], far)])  # fmt: skip
        fill(canvas, lamp, (255, 252, 236))


def draw_classroom(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, mood: Mood) -> None:
    """A classroom: blackboard, clock, desks."""
    wall = lit(some(rng, PASTELS), mood)
    gradient(canvas, (0, 0, width, height), (wall, toned(wall, 0.92)))
    floor_y = height * float(rng.uniform(0.7, 0.8))
    fill(canvas, rect(0, floor_y, width, height), lit((190, 150, 110), mood))
    x0, x1 = width * float(rng.uniform(0.02, 0.2)), width * float(rng.uniform(0.7, 0.98))
    board = rect(x0, height * 0.16, x1, height * 0.5)
    fill(canvas, board, lit((58, 96, 80), mood))
    stroke(canvas, board, lit((150, 112, 78), mood), height * 0.014)
    chalk = skia.Path()
    for i in range(int(rng.integers(6, 22))):
        x, y = x0 + (x1 - x0) * (0.06 + 0.04 * i), height * float(rng.uniform(0.22, 0.42))
        chalk.moveTo(x, y)
        chalk.lineTo(x + width * float(rng.uniform(-0.01, 0.02)), y + height * float(rng.uniform(-0.03, 0.03)))
    stroke(canvas, chalk, (226, 236, 228), max(1.0, height * 0.004), 190)
    fill(canvas, oval(width * 0.5, height * 0.08, height * 0.04, height * 0.04), (250, 250, 248))
    stroke(canvas, oval(width * 0.5, height * 0.08, height * 0.04, height * 0.04), (80, 80, 84), height * 0.006)
    wood = lit((206, 164, 112), mood)
    for row in range(2):
        y, size = floor_y + height * (0.02 + 0.1 * row), height * (0.1 + 0.05 * row)
        for i in range(5):
            x = width * (0.02 + 0.22 * i) - width * 0.04 * row
            fill(canvas, rect(x + size * 0.1, y, x + size * 0.18, y + size), (110, 112, 120))
            fill(canvas, rect(x + size * 1.2, y, x + size * 1.28, y + size), (110, 112, 120))
            fill(canvas, polygon([(x + size * 0.1, y - size * 0.22), (x + size * 1.28, y - size * 0.22),
                                  (x + size * 1.4, y), (x, y)]), wood)  # fmt: skip
            fill(canvas, rect(x, y, x + size * 1.4, y + size * 0.1), toned(wood, 0.75))

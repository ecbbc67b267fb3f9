"""Hair that hangs or stands off the head: curtains, tails, buns, braids, curls. The cap of hair itself is in hair.py.

Head space as in head.py; shapes of part TRAIL do not count for the head's box.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.hair import light_band
from lora_assets.scenes.ink import HEAD, TRAIL, Shape, smooth, toned

FROM_BEHIND = 112.0
ON_THE_SKULL = ("bald", "buzz")


def back_hair(design: Design, yaw: float) -> list[Shape]:
    """Hair that hangs: behind the body in front views, in front of it in back views."""
    if design.hair_shape in ON_THE_SKULL:
        return []
    draw = BACKS.get(design.hair_shape, _nape_only)
    return draw(design, yaw, -math.sin(math.radians(yaw)))


def hair_before_body(design: Design, yaw: float) -> list[Shape]:
    """Hair that falls over the shoulders in front of the body."""
    if yaw > FROM_BEHIND:
        return []
    turn = math.radians(yaw)
    shapes: list[Shape] = []
    if design.hair_shape == "braid":
        for side in (-1, 1):
            if side > 0 and yaw > 50:
                continue
            x = side * 0.4 * math.cos(turn) - 0.06 * math.sin(turn)
            shapes += _plait(design, x, side * 0.1, design.hair_length * 0.7 + 0.3)
    if design.hair_shape == "hime":
        for side in (-1, 1):
            x = side * 0.44 * math.cos(turn) - 0.02
            if side > 0 and yaw > 40:
                continue
            path = skia.Path()
            path.addPoly(
                [
                    skia.Point(*point)
                    for point in ((x - 0.09, -0.6), (x + 0.09, -0.6), (x + 0.1, 0.16), (x - 0.1, 0.16))
                ],
                True,
            )
            shapes.append(Shape(path, design.hair, TRAIL))
    return shapes


def _nape_only(design: Design, yaw: float, back: float) -> list[Shape]:
    return [] if yaw > FROM_BEHIND else [_nape(design, back)]


def _sheet(design: Design, yaw: float, back: float) -> list[Shape]:
    return _curtain(design, back, yaw > FROM_BEHIND)


def _twintails(design: Design, yaw: float, back: float) -> list[Shape]:
    turn = math.radians(yaw)
    shapes = _nape_only(design, yaw, back)
    for side in (-1, 1):
        root = side * 0.47 * math.cos(turn) + back * 0.12
        shapes += _tail(design, root, math.copysign(1, root) if abs(math.cos(turn)) > 0.5 else -0.6)
    return shapes


def _ponytail(design: Design, yaw: float, back: float) -> list[Shape]:
    if yaw > 135:
        return _plume(design, back * 0.3)
    lean = -0.75 if yaw > 25 else 0.2
    return _nape_only(design, yaw, back) + _tail(design, back * 0.46, lean)


def _side_tail(design: Design, yaw: float, back: float) -> list[Shape]:
    root = -0.47 * math.cos(math.radians(yaw)) + back * 0.1
    return _nape_only(design, yaw, back) + _tail(design, root, -1.0 if yaw < 90 else 1.0)


def _bun(design: Design, yaw: float, back: float) -> list[Shape]:
    return [*_nape_only(design, yaw, back), _ball(design, back * 0.46, -1.04, 0.2)]


def _odango(design: Design, yaw: float, back: float) -> list[Shape]:
    turn = math.radians(yaw)
    return [*_nape_only(design, yaw, back),
            *[_ball(design, side * 0.42 * math.cos(turn) + back * 0.12, -1.02, 0.2) for side in (-1, 1)]]  # fmt: skip


def _ball(design: Design, x: float, y: float, radius: float) -> Shape:
    path = skia.Path()
    path.addCircle(x, y, radius)
    return Shape(path, design.hair, TRAIL)


def _drills(design: Design, yaw: float, back: float) -> list[Shape]:
    """A corkscrew curl on either side."""
    turn = math.radians(yaw)
    shapes = _nape_only(design, yaw, back)
    for side in (-1, 1):
        x = side * 0.5 * math.cos(turn) + back * 0.16
        curl, turns = skia.Path(), skia.Path()
        rings = max(4, round((design.hair_length + 0.42) / 0.19))
        for ring in range(rings):
            share = ring / (rings - 1)
            y, half = -0.42 + (design.hair_length + 0.42) * share, 0.2 * (1 - 0.68 * share)
            curl.addOval(skia.Rect.MakeLTRB(x - half, y - 0.14, x + half, y + 0.14))
            turns.moveTo(x - half, y + 0.02)
            turns.quadTo(x, y + 0.15, x + half, y - 0.05)
        shapes += [Shape(curl, design.hair, TRAIL), Shape(turns, None, line=0.8, line_rgb=toned(design.hair, 0.55))]
    return shapes


def _plait(design: Design, x: float, lean: float, length: float) -> list[Shape]:
    """A braid of crossing strands that ends in a tie and a tuft."""
    braid, lines = skia.Path(), skia.Path()
    links = max(4, round(length / 0.16))
    for link in range(links):
        share = link / links
        at, y = x + lean * share, -0.25 + length * share
        braid.addOval(skia.Rect.MakeLTRB(at - 0.095, y - 0.03, at + 0.095, y + length / links + 0.05))
        tilt = 0.07 if link % 2 else -0.07
        lines.moveTo(at - tilt, y)
        lines.lineTo(at + tilt, y + length / links)
    end, foot = x + lean, -0.25 + length
    tuft = smooth([(end - 0.05, foot), (end + 0.05, foot), (end + 0.09, foot + 0.14), (end, foot + 0.24),
                   (end - 0.09, foot + 0.14)])  # fmt: skip
    tie = skia.Path()
    tie.addCircle(end, foot + 0.02, 0.06)
    return [Shape(tuft, design.hair, TRAIL), Shape(braid, design.hair, TRAIL),
            Shape(lines, None, line=0.7, line_rgb=toned(design.hair, 0.55)),
            Shape(tie, design.accent, TRAIL)]  # fmt: skip


def _braids(design: Design, yaw: float, back: float) -> list[Shape]:
    if yaw <= FROM_BEHIND:
        return [_nape(design, back)]
    return [
        shape for side in (-1, 1) for shape in _plait(design, side * 0.3, side * 0.05, design.hair_length * 0.7 + 0.3)
    ]


def _curls(design: Design, _yaw: float, back: float) -> list[Shape]:
    """A cloud of curls all round the head."""
    rng = np.random.default_rng([design.fringe_seed, 23])
    cloud = skia.Path()
    for angle in np.linspace(-25, 205, 13).tolist():
        turn = math.radians(angle)
        radius = float(rng.uniform(0.17, 0.24))
        cloud.addCircle(0.48 * math.cos(turn) + back * 0.1, -0.6 - 0.44 * math.sin(turn), radius)
    cloud.addCircle(back * 0.1, -0.55, 0.5)
    return [Shape(cloud, toned(design.hair, 0.9), HEAD)]


def _nape(design: Design, back: float) -> Shape:
    """The hair seen behind neck and jaw."""
    foot = {"bob": 0.06, "short": -0.1, "spiky": -0.12, "cropped": -0.2, "messy": -0.06}.get(design.hair_shape, -0.14)
    wide = {"bob": 0.46, "cropped": 0.32}.get(design.hair_shape, 0.38)
    path = smooth([(-0.4, -0.75), (0.4 + back * 0.3, -0.75), (wide + back * 0.34, -0.3),
                   (wide * 0.85 + back * 0.4, foot), (-wide * 0.85 + back * 0.08, foot),
                   (-wide - 0.02 + back * 0.04, -0.3)])  # fmt: skip
    return Shape(path, toned(design.hair, 0.85), TRAIL)


def _curtain(design: Design, back: float, from_behind: bool) -> list[Shape]:
    """Long hair: one sheet from the crown with a ragged hem and waves."""
    rng = np.random.default_rng([design.fringe_seed, 19])
    length, tips = design.hair_length, 6
    left, right = -0.53 + back * 0.1, 0.53 + back * (0.12 if from_behind else 0.52)
    crown = -1.11 if from_behind else -1.0
    wave = {"wavy": 0.09, "hime": 0.0}.get(design.hair_shape, 0.025)
    spread = 0.06 + 0.05 * length
    path = skia.Path()
    path.moveTo(left * 0.6 + right * 0.4, crown)
    path.cubicTo(left + 0.1, crown + 0.02, left - 0.01, -0.75, left - 0.01, -0.5)
    middle = (length - 0.5) * 0.5
    path.cubicTo(left - wave, -0.2, left - spread * 0.6 + wave, middle - 0.1, left - spread * 0.7, middle)
    path.cubicTo(left - spread * 0.8 - wave, middle + 0.2, left - spread + wave, length - 0.3, left - spread, length)
    start, end = left - spread, right + spread * (1 + back * 0.6)
    edges = np.linspace(start, end, tips + 1)
    for x0, x1 in pairwise(edges.tolist()):
        drop = length + (0.02 if design.hair_shape == "hime" else float(rng.uniform(0.05, 0.2)))
        tip = (x0 + x1) / 2 + float(rng.normal(0, 0.02))
        path.quadTo(x0 + 0.01, drop - 0.06, tip, drop)
        path.quadTo(x1 - 0.02, drop - 0.1, x1, length - 0.05)
    path.cubicTo(end - wave, length - 0.3, right + wave + spread * 0.6, middle + 0.2, right + spread * 0.6, middle)
    path.cubicTo(right + spread * 0.4 - wave, middle - 0.1, right + wave, -0.2, right, -0.5)
    path.cubicTo(right, -0.75, right - 0.1, crown + 0.02, left * 0.4 + right * 0.6, crown)
    path.close()
    lines = skia.Path()
    for share in (0.2, 0.36, 0.55, 0.72, 0.86):
        x0, x1 = left + (right - left) * share, start + (end - start) * share
        lines.moveTo(x0, -0.3)
        lines.cubicTo(x0 + wave, middle * 0.4, x1 - wave, middle, x1, length - 0.05)
    tone = design.hair if from_behind else toned(design.hair, 0.88)
    sheet = [Shape(path, tone, TRAIL), Shape(lines, None, line=0.6, line_rgb=toned(design.hair, 0.62), clip=path)]
    if from_behind:
        sheet.append(light_band(design, path, -0.05))
    return sheet


def _plume(design: Design, x: float) -> list[Shape]:
    """A tied tail seen from behind."""
    length = design.hair_length
    path = smooth([(x - 0.06, -0.82), (x - 0.2, -0.5), (x - 0.24, length * 0.5), (x - 0.12, length - 0.1),
                   (x + 0.02, length + 0.12), (x + 0.13, length - 0.08), (x + 0.22, length * 0.5), (x + 0.2, -0.5),
                   (x + 0.06, -0.82)])  # fmt: skip
    lines = skia.Path()
    for share in (-0.09, 0.02, 0.1):
        lines.moveTo(x + share * 0.6, -0.7)
        lines.quadTo(x + share * 1.6, length * 0.4, x + share * 0.8, length - 0.1)
    tie = skia.Path()
    tie.addCircle(x, -0.82, 0.085)
    return [
        Shape(path, design.hair, TRAIL),
        Shape(lines, None, line=0.6, line_rgb=toned(design.hair, 0.62), clip=path),
        Shape(tie, design.accent, TRAIL),
    ]


def _tail(design: Design, x: float, side: float) -> list[Shape]:
    """A tied tail from a root beside or behind the crown, with the tie that holds it."""
    length = design.hair_length
    path = skia.Path()
    path.moveTo(x - side * 0.04, -0.84)
    path.cubicTo(x + side * 0.3, -1.06, x + side * 0.52, -0.55, x + side * 0.46, -0.3 + length * 0.3)
    path.cubicTo(x + side * 0.4, length * 0.6, x + side * 0.42, length - 0.2, x + side * 0.3, length + 0.1)
    path.cubicTo(x + side * 0.26, length - 0.1, x + side * 0.2, length - 0.1, x + side * 0.16, length - 0.02)
    path.cubicTo(x + side * 0.1, length * 0.4, x + side * 0.14, -0.3, x - side * 0.02, -0.68)
    path.close()
    line = skia.Path()
    line.moveTo(x + side * 0.14, -0.72)
    line.cubicTo(x + side * 0.36, -0.4, x + side * 0.26, length * 0.4, x + side * 0.27, length * 0.8)
    tie = skia.Path()
    tie.addCircle(x, -0.78, 0.085)
    return [
        Shape(path, design.hair, TRAIL),
        Shape(line, None, line=0.6, line_rgb=toned(design.hair, 0.62), clip=path),
        Shape(tie, design.accent, TRAIL),
    ]


BACKS: dict[str, Callable[[Design, float, float], list[Shape]]] = {
    "long": _sheet, "wavy": _sheet, "hime": _sheet, "twintails": _twintails, "ponytail": _ponytail, "bun": _bun,
    "side_tail": _side_tail, "odango": _odango, "drills": _drills, "braid": _braids, "curly": _curls,
}  # fmt: skip

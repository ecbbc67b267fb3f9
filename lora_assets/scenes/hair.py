"""Hair in locks set around the head, so that one list of locks serves every view, and hair that hangs behind.

Head space as in head.py. Longitudes in degrees: 0 the nose, 180 the nape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.head import face_outline
from lora_assets.scenes.ink import HEAD, TRAIL, Shape, smooth, toned

CAP_RADIUS = 0.5


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock of hair: where it grows (longitude, half width in degrees), where it ends (y) and its sideways bend."""

    longitude: float
    half: float
    root: float
    tip: float
    bend: float


def locks_of(design: Design) -> list[Lock]:
    """The locks of a design all round the head, ordered by longitude from -180 to 180."""
    rng = np.random.default_rng([design.fringe_seed, 11])
    locks: list[Lock] = []
    nape = {"short": -0.12, "spiky": -0.15, "bob": 0.05, "bun": -0.2, "ponytail": -0.2, "twintails": -0.15}
    side = {"short": -0.24, "spiky": -0.26, "bob": 0.02, "long": 0.12, "wavy": 0.08, "bun": -0.05}
    part = float(rng.uniform(-22, 22))
    edges = _edges(rng)
    for start, end in pairwise(edges):
        middle, half = (start + end) / 2, (end - start) / 2
        away = abs(middle)
        if away < 56:
            tip, root, bend = _fringe(design, middle, part, rng)
        elif away < 96:
            tip, root, bend = side.get(design.hair_shape, -0.1) + rng.normal(0, 0.04), -0.45, rng.normal(0, 0.03)
        else:
            tip, root, bend = nape.get(design.hair_shape, 0.1) + rng.normal(0, 0.03), -0.3, rng.normal(0, 0.05)
        locks.append(Lock(middle, half, min(root, tip - 0.04), tip, bend))
    return locks


def _edges(rng: np.random.Generator) -> list[float]:
    front = int(rng.integers(4, 7))
    steps = [-180.0, -150.0, -122.0, -96.0, -74.0]
    inner = list(np.linspace(-56, 56, front + 1) + np.r_[0, rng.normal(0, 5, front - 1), 0])
    return steps + [float(value) for value in inner] + [-value for value in reversed(steps)]


def _fringe(design: Design, middle: float, part: float, rng: np.random.Generator) -> tuple[float, float, float]:
    if design.fringe == "straight":
        return -0.5 + rng.normal(0, 0.012), -0.55, 0.0
    if design.fringe == "parted":
        away = min(1.0, abs(middle - part) / 45)
        return -0.74 + 0.34 * away, -0.84 + 0.24 * away, 0.12 * math.copysign(1, middle - part)
    if design.fringe == "swept":
        return -0.52 + rng.normal(0, 0.04), -0.68, 0.14 * math.copysign(1, part)
    return -0.495 + rng.normal(0, 0.045), -0.68, rng.normal(0, 0.05)


def front_hair(design: Design, yaw: float) -> list[Shape]:
    """The cap of hair over the skull with all locks that this view shows, and its band of light."""
    shift = -0.05 * math.sin(math.radians(yaw))
    path = skia.Path()
    first = True
    visible = sorted(_on_screen(locks_of(design), yaw), key=lambda item: item[0])
    for screen, lock in visible:
        left, right = max(-90.0, screen - lock.half), min(90.0, screen + lock.half)
        x_left, x_right = _x(left, shift), _x(right, shift)
        middle = _x(max(-90.0, min(90.0, screen)), shift)
        tip_x = middle + lock.bend * max(0.0, math.cos(math.radians(max(-90.0, min(90.0, screen)))))
        if first:
            path.moveTo(x_left, lock.root)
            first = False
        else:
            path.lineTo(x_left, lock.root)
        fall = lock.tip - lock.root
        if 15 < yaw < 165 and screen > 60:
            # A lock seen edge-on at the far side would dangle as a lone string.
            fall *= min(1.0, (x_right - x_left) / 0.08)
        tip = lock.root + fall
        path.cubicTo(x_left - 0.01, lock.root + fall * 0.5, tip_x - 0.03, tip - fall * 0.2, tip_x, tip)
        path.cubicTo(tip_x + 0.02, tip - fall * 0.3, x_right, lock.root + fall * 0.55, x_right, lock.root)
    _crown(path, design, shift)
    return [Shape(path, design.hair, HEAD), _strands(design, visible, path, shift), _band(design, path, shift)]


def fringe_shadow(design: Design, yaw: float, cap: Shape) -> list[Shape]:
    """The shadow that the fringe (the first shape of `front_hair`) throws on the face."""
    if yaw > 100:
        return []
    cast = skia.Path(cap.path)
    cast.offset(0.015, 0.055)
    face = smooth(face_outline(yaw, design.jaw))
    return [Shape(cast, toned(design.skin, 0.8), line=0, shaded=False, clip=face)]


def _strands(design: Design, visible: list[tuple[float, Lock]], cap: skia.Path, shift: float) -> Shape:
    """Thin lines from between the locks up to the crown."""
    path = skia.Path()
    for screen, lock in visible:
        edge = screen - lock.half
        if abs(edge) < 75:
            x = _x(edge, shift)
            path.moveTo(x, lock.root + 0.01)
            path.quadTo(x * 0.95, lock.root - 0.2, x * 0.6 + shift * 0.4, max(-0.98, lock.root - 0.36))
    return Shape(path, None, line=0.6, line_rgb=toned(design.hair, 0.62), clip=cap)


def _x(screen: float, shift: float) -> float:
    return CAP_RADIUS * math.sin(math.radians(screen)) + shift * math.cos(math.radians(screen))


def _on_screen(locks: list[Lock], yaw: float) -> list[tuple[float, Lock]]:
    found = []
    for lock in locks:
        screen = (lock.longitude + yaw + 180) % 360 - 180
        if abs(screen) < 90 + lock.half * 0.6:
            found.append((screen, lock))
    return found


def _crown(path: skia.Path, design: Design, shift: float) -> None:
    """Close the lower edge over the top of the skull, from right to left."""
    top, radius = -1.1, CAP_RADIUS + 0.02
    if design.hair_shape != "spiky" or design.hat:
        path.cubicTo(radius + shift * 0.5, -0.78, radius * 0.8 + shift, top, shift, top)
        start = path.getPoint(0)
        path.cubicTo(-radius * 0.8 + shift, top, -radius + shift * 0.5, -0.78, start.x(), start.y())
    else:
        rng = np.random.default_rng([design.fringe_seed, 13])
        for angle in np.linspace(10, 170, 9):
            turn = math.radians(angle)
            reach = 0.66 + rng.uniform(-0.05, 0.1)
            path.lineTo(shift + reach * math.cos(turn - 0.05), -0.58 - reach * math.sin(turn - 0.05))
            path.lineTo(shift + 0.52 * math.cos(turn + 0.14), -0.58 - 0.52 * math.sin(turn + 0.14))
    path.close()


def _band(design: Design, cap: skia.Path, shift: float) -> Shape:
    band = skia.Path()
    rng = np.random.default_rng([design.fringe_seed, 17])
    xs = np.linspace(-0.37, 0.37, 9).tolist()
    upper = [(shift + x, -0.9 + 0.3 * x**2 + float(rng.uniform(-0.01, 0.03))) for x in xs]
    lower = [(shift + x, -0.84 + 0.3 * x**2 + float(rng.uniform(-0.02, 0.03))) for x in xs[-2:0:-1]]
    band.addPoly([skia.Point(x, y) for x, y in upper + lower], True)
    return Shape(band, toned(design.hair, 1.7), line=0, shaded=False, clip=cap, alpha=170)


def back_hair(design: Design, yaw: float) -> list[Shape]:
    """Hair that hangs: behind the body in front views, in front of it in back views."""
    turn = math.radians(yaw)
    back = -math.sin(turn)
    from_behind = yaw > 112
    shape = design.hair_shape
    if shape in ("long", "wavy"):
        return _curtain(design, back, from_behind)
    if shape == "twintails":
        shapes = [] if from_behind else [_nape(design, back)]
        for side in (-1, 1):
            root = side * 0.47 * math.cos(turn) + back * 0.12
            shapes += _tail(design, root, math.copysign(1, root) if abs(math.cos(turn)) > 0.5 else -0.6)
        return shapes
    if shape == "ponytail":
        if yaw > 135:
            return _plume(design, back * 0.3)
        lean = -0.75 if yaw > 25 else 0.2
        return ([] if from_behind else [_nape(design, back)]) + _tail(design, back * 0.46, lean)
    if shape == "bun":
        bun = skia.Path()
        bun.addCircle(back * 0.46, -1.04, 0.2)
        return ([] if from_behind else [_nape(design, back)]) + [Shape(bun, design.hair, TRAIL)]
    return [] if from_behind else [_nape(design, back)]


def _nape(design: Design, back: float) -> Shape:
    """The hair seen behind neck and jaw."""
    foot = {"bob": 0.06, "short": -0.1, "spiky": -0.12}.get(design.hair_shape, -0.14)
    wide = 0.46 if design.hair_shape == "bob" else 0.38
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
    wave = 0.09 if design.hair_shape == "wavy" else 0.025
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
        drop = length + float(rng.uniform(0.05, 0.2))
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
        sheet.append(_band(design, path, -0.05))
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
        Shape(tie, design.accent, TRAIL, shaded=False),
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
        Shape(tie, design.accent, TRAIL, shaded=False),
    ]

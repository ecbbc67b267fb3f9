"""Hair in locks set around the head, so that one list of locks serves every view. Hanging hair is in tresses.py.

Head space as in head.py. Longitudes in degrees: 0 the nose, 180 the nape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.head import face_path
from lora_assets.scenes.ink import HEAD, TRAIL, Shape, toned

CAP_RADIUS = 0.5


@dataclass(frozen=True, slots=True)
class Cut:
    """How the cap is cut: where locks end at the nape and at the sides (y), how much the fringe is lifted, the crown.

    `crown` is "round", "spiky", "tousled", "curly" or "close" (on the skull).
    """

    nape: float = 0.1
    side: float = -0.1
    lift: float = 0.0
    crown: str = "round"


CUTS: dict[str, Cut] = {
    "short": Cut(-0.12, -0.24),
    "bob": Cut(0.05, 0.02),
    "long": Cut(0.1, 0.12),
    "wavy": Cut(0.1, 0.08),
    "hime": Cut(0.1, -0.04),
    "twintails": Cut(-0.15),
    "ponytail": Cut(-0.2),
    "side_tail": Cut(-0.16),
    "odango": Cut(-0.18, -0.02),
    "drills": Cut(-0.14, -0.06),
    "braid": Cut(-0.16, -0.08),
    "bun": Cut(-0.2, -0.05),
    "spiky": Cut(-0.15, -0.26, crown="spiky"),
    "messy": Cut(-0.06, -0.16, crown="tousled"),
    "cropped": Cut(-0.24, -0.4, 0.1),
    "curly": Cut(-0.1, -0.2, 0.03, crown="curly"),
    "buzz": Cut(-0.3, -0.5, 0.2, crown="close"),
}


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock of hair: where it grows (longitude, half width in degrees), where it ends (y) and its sideways bend."""

    longitude: float
    half: float
    root: float
    tip: float
    bend: float


@lru_cache(maxsize=32)
def locks_of(design: Design) -> tuple[Lock, ...]:
    """The locks of a design all round the head, ordered by longitude from -180 to 180."""
    rng = np.random.default_rng([design.fringe_seed, 11])
    locks: list[Lock] = []
    cut = CUTS[design.hair_shape]
    ragged = 2.2 if cut.crown == "tousled" else 0.5 if cut.crown == "close" else 1.0
    lift = cut.lift + 0.1 * design.realism
    part = float(rng.uniform(-22, 22))
    edges = _edges(rng)
    for start, end in pairwise(edges):
        middle, half = (start + end) / 2, (end - start) / 2
        away = abs(middle)
        if away < 56:
            tip, root, bend = _fringe(design, middle, part, rng)
            tip, root = tip - lift, root - lift * 0.8
        elif away < 96:
            tip, root, bend = cut.side + rng.normal(0, 0.04) * ragged, -0.45, rng.normal(0, 0.03)
        else:
            tip, root, bend = cut.nape + rng.normal(0, 0.03) * ragged, -0.3, rng.normal(0, 0.05)
        locks.append(Lock(middle, half, min(root, tip - 0.04), tip, bend))
    return tuple(locks)


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
    if design.fringe == "back":
        return -0.79 + rng.normal(0, 0.01), -0.83, 0.0
    if design.fringe == "one_eye" and middle < -8:
        return -0.26 + 0.004 * abs(middle + 30) + rng.normal(0, 0.02), -0.7, -0.06
    if design.fringe == "swept":
        return -0.52 + rng.normal(0, 0.04), -0.68, 0.14 * math.copysign(1, part)
    return -0.495 + rng.normal(0, 0.045), -0.68, rng.normal(0, 0.05)


def front_hair(design: Design, yaw: float) -> list[Shape]:
    """The cap of hair over the skull with all locks that this view shows, and its band of light; none for the bald."""
    if design.hair_shape not in CUTS:
        return []
    shift = -0.05 * math.sin(math.radians(yaw))
    path = skia.Path()
    first = True
    visible = sorted(_on_screen(locks_of(design), yaw), key=lambda item: item[0])
    for screen, lock in visible:
        left, right = max(-90.0, screen - lock.half), min(90.0, screen + lock.half)
        on_skull = _skull_width(lock.root)
        x_left, x_right = _x(left, shift) * on_skull, _x(right, shift) * on_skull
        middle = _x(max(-90.0, min(90.0, screen)), shift) * on_skull
        tip_x = middle + lock.bend * max(0.0, math.cos(math.radians(max(-90.0, min(90.0, screen)))))
        if 15 < yaw < 165 and screen - lock.half > 78 and not first:
            continue
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
    cap = Shape(path, design.hair, HEAD)
    if CUTS[design.hair_shape].crown == "close":
        return [cap]
    shapes = [cap, _strands(design, visible, path, shift), light_band(design, path, shift)]
    return [*shapes, _ahoge(design, shift)] if design.ahoge and not design.hat else shapes


def _ahoge(design: Design, shift: float) -> Shape:
    """A single strand that stands up from the crown."""
    side = 1 if design.fringe_seed % 2 else -1
    path = skia.Path()
    path.moveTo(shift - 0.05, -1.06)
    path.cubicTo(shift - side * 0.06, -1.3, shift + side * 0.1, -1.42, shift + side * 0.3, -1.3)
    path.cubicTo(shift + side * 0.14, -1.34, shift + side * 0.04, -1.26, shift + 0.05, -1.06)
    path.close()
    return Shape(path, design.hair, TRAIL)


def fringe_shadow(design: Design, yaw: float, cap: Shape) -> list[Shape]:
    """The shadow that the fringe (the first shape of `front_hair`) throws on the face."""
    if yaw > 100:
        return []
    cast = skia.Path(cap.path)
    cast.offset(0.015, 0.055)
    face = face_path(yaw, design.jaw)
    return [Shape(cast, toned(design.skin, 0.8), line=0, clip=face)]


def _strands(design: Design, visible: list[tuple[float, Lock]], cap: skia.Path, shift: float) -> Shape:
    """Thin lines from between the locks up to the crown."""
    path = skia.Path()
    for screen, lock in visible:
        edge = screen - lock.half
        if abs(edge) < 75:
            x = _x(edge, shift) * _skull_width(lock.root)
            path.moveTo(x, lock.root + 0.01)
            path.quadTo(x * 0.95, lock.root - 0.2, x * 0.6 + shift * 0.4, max(-0.98, lock.root - 0.36))
    return Shape(path, None, line=0.6, line_rgb=toned(design.hair, 0.62), clip=cap)


def _skull_width(y: float) -> float:
    """How wide the skull is at a height, as a share of its widest."""
    above = max(0.0, -0.66 - y) / 0.45
    return math.sqrt(max(0.1, 1 - above**2))


def _x(screen: float, shift: float) -> float:
    return CAP_RADIUS * math.sin(math.radians(screen)) + shift * math.cos(math.radians(screen))


def _on_screen(locks: tuple[Lock, ...], yaw: float) -> list[tuple[float, Lock]]:
    found = []
    for lock in locks:
        screen = (lock.longitude + yaw + 180) % 360 - 180
        if abs(screen) < 90 + lock.half * 0.6:
            found.append((screen, lock))
    return found


def _crown(path: skia.Path, design: Design, shift: float) -> None:
    """Close the lower edge over the top of the skull, from right to left."""
    crown = "round" if design.hat else CUTS[design.hair_shape].crown
    if crown in ("round", "close"):
        top, radius = (-1.1, CAP_RADIUS + 0.02) if crown == "round" else (-1.035, CAP_RADIUS - 0.01)
        count = path.countPoints()
        start, end = path.getPoint(0), path.getPoint(count - 1)
        path.cubicTo(radius + shift * 0.5, min(-0.78, end.y() - 0.1), radius * 0.8 + shift, top, shift, top)
        path.cubicTo(
            -radius * 0.8 + shift, top, -radius + shift * 0.5, min(-0.78, start.y() - 0.1), start.x(), start.y()
        )
        path.close()
        return
    rng = np.random.default_rng([design.fringe_seed, 13])
    count, reach, spread, sharp = CROWNS[crown]
    for angle in np.linspace(10, 170, count):
        turn = math.radians(angle)
        far = reach + rng.uniform(-0.5, 1.0) * spread
        peak = (shift + far * math.cos(turn - 0.05), -0.58 - far * math.sin(turn - 0.05))
        foot = (shift + 0.52 * math.cos(turn + 0.14), -0.58 - 0.52 * math.sin(turn + 0.14))
        if sharp:
            path.lineTo(*peak)
            path.lineTo(*foot)
        else:
            path.quadTo(*peak, *foot)
    path.close()


# Number of peaks, how far they stand off, how much that varies, and whether they are sharp.
CROWNS = {"spiky": (9, 0.66, 0.1, True), "tousled": (7, 0.7, 0.12, False), "curly": (11, 0.84, 0.08, False)}


def light_band(design: Design, cap: skia.Path, shift: float) -> Shape:
    """The ragged band of light around the crown, inside the cap."""
    band = skia.Path()
    rng = np.random.default_rng([design.fringe_seed, 17])
    xs = np.linspace(-0.37, 0.37, 9).tolist()
    upper = [(shift + x, -0.9 + 0.3 * x**2 + float(rng.uniform(-0.01, 0.03))) for x in xs]
    lower = [(shift + x, -0.84 + 0.3 * x**2 + float(rng.uniform(-0.02, 0.03))) for x in xs[-2:0:-1]]
    band.addPoly([skia.Point(x, y) for x, y in upper + lower], True)
    return Shape(band, toned(design.hair, 1.7), line=0, clip=cap, alpha=170)

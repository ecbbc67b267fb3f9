"""Head of a character: skull and face outline for any view, ears, and the regions the truth boxes are read from.

Head space: chin at (0, 0), skull top at (0, -1), y down, the face turns towards +x as yaw grows. Eyes and mouth are in
features.py, hair is in hair.py.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import HEAD, Point, Shape, smooth

CHEEK_RADIUS = 0.42

_FRONT = ((0, -1), (0.29, -0.93), (0.42, -0.72), (0.43, -0.48), (0.39, -0.27), (0.25, -0.1), (0.08, -0.012), (0, 0),
          (-0.08, -0.012), (-0.25, -0.1), (-0.39, -0.27), (-0.43, -0.48), (-0.42, -0.72), (-0.29, -0.93))  # fmt: skip
_THREE_QUARTER = (
    (0, -1), (0.28, -0.93), (0.4, -0.72), (0.375, -0.5), (0.385, -0.3), (0.3, -0.11), (0.185, -0.012), (0.12, 0),
    (0.06, -0.01), (-0.12, -0.09), (-0.31, -0.24), (-0.42, -0.48), (-0.45, -0.72), (-0.3, -0.93),
)  # fmt: skip
_SIDE = (
    (0, -1), (0.26, -0.93), (0.4, -0.72), (0.385, -0.48), (0.445, -0.25), (0.375, -0.15), (0.335, -0.025),
    (0.28, 0), (0.19, -0.015), (0.02, -0.1), (-0.13, -0.24), (-0.32, -0.42), (-0.47, -0.7), (-0.34, -0.93),
)  # fmt: skip
_OUTLINES = ((0.0, _FRONT), (45.0, _THREE_QUARTER), (90.0, _SIDE), (150.0, _FRONT), (180.0, _FRONT))


def face_outline(yaw: float, jaw: float) -> list[Point]:
    """The face outline of a yaw in 0..180 degrees, key outlines blended linearly."""
    angles = [angle for angle, _ in _OUTLINES]
    above = min(int(np.searchsorted(angles, yaw, side="right")), len(angles) - 1)
    below = above - 1
    share = (yaw - angles[below]) / (angles[above] - angles[below])
    points = []
    for start, end in zip(_OUTLINES[below][1], _OUTLINES[above][1], strict=True):
        x = start[0] + (end[0] - start[0]) * share
        y = start[1] + (end[1] - start[1]) * share
        points.append((x * (jaw if y > -0.4 else 1.0), y))
    return points


@lru_cache(maxsize=16)
def face_path(yaw: float, jaw: float) -> skia.Path:
    """The face outline as a closed curve; it is shared, so that nobody may change it."""
    return smooth(face_outline(yaw, jaw))


def on_face(longitude: float, yaw: float, radius: float = CHEEK_RADIUS) -> tuple[float, float]:
    """Screen x of a longitude of the face (0 nose, degrees) and its foreshortening (cosine, negative when hidden)."""
    angle = math.radians(longitude + yaw)
    return radius * math.sin(angle), math.cos(angle)


def head_shapes(design: Design, yaw: float) -> list[Shape]:
    """Face and ears; the features and the hair come on top."""
    shapes = [Shape(face_path(yaw, design.jaw), design.skin, HEAD)]
    for longitude in (-88.0, 88.0):
        x, depth = on_face(longitude, yaw)
        if depth > -0.25 and yaw < 125:
            ear = skia.Path()
            width = 0.05 + 0.05 * abs(depth)
            ear.addOval(skia.Rect.MakeXYWH(x - width, -0.46, 2 * width, 0.2))
            shapes.insert(0 if depth < 0.15 else 1, Shape(ear, design.skin, HEAD))
    return shapes


def face_region(design: Design, yaw: float) -> skia.Path | None:
    """The face from forehead to chin between the cheeks; None for views from behind."""
    if yaw > 112:
        return None
    outline = face_outline(yaw, design.jaw)
    left = -0.42 + 0.5 * max(0.0, yaw - 25) / 65
    right = max(x for x, _ in outline)
    path = skia.Path()
    path.addPoly([skia.Point(min(max(x, left), right), max(y, -0.72)) for x, y in outline], True)
    return path


def head_region(yaw: float) -> skia.Path:
    """Where head pixels may lie: all of the head space above the chin, but not tails far to the side."""
    path = skia.Path()
    shift = -0.07 * math.sin(math.radians(yaw))
    path.addRect(skia.Rect.MakeLTRB(-0.62 + shift, -1.4, 0.62 + shift, 0.03))
    return path

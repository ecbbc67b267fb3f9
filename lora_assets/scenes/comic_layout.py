"""Layouts of comic pages: where panels lie, which lie over others or have no border, in which order they are read.

Panels are convex polygons in page pixels. What is drawn in them is in comic_panel.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Point = tuple[float, float]
Polygon = tuple[Point, ...]

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "ltr", "rtl"
LEAST_PANEL = 0.11
"""The least side of a panel as a share of the page's short side: smaller ones hold neither face nor bubble."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its corners, whether a border is drawn around it, and whether it lies over an earlier one."""

    corners: Polygon
    border: bool = True
    inset: bool = False

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """xyxy."""
        xs, ys = [x for x, _ in self.corners], [y for _, y in self.corners]
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Panels of a page in the order of reading (an inset follows what it lies over), and the layout's name."""

    name: str
    panels: tuple[Panel, ...]
    direction: str
    gutter: float


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What a layout is cut from: the page's size, the rectangle for panels, the gutter (pixels), chance for slants."""

    width: float
    height: float
    area: Polygon
    gutter: float
    rng: np.random.Generator

    def cut(self, polygon: Polygon, share: float, *, down: bool, slant: float = 0.0) -> tuple[Polygon, Polygon]:
        """Two parts of a polygon, a gutter between them: the upper and lower (`down` False) or left and right one.

        `slant` tilts the cut, as a share of the polygon's length along it.
        """
        x0, y0, x1, y1 = _bounds(polygon)
        if down:
            at, lean = x0 + (x1 - x0) * share, slant * (y1 - y0) * 0.5
            start, end = (at - lean, y0), (at + lean, y1)
        else:
            at, lean = y0 + (y1 - y0) * share, slant * (x1 - x0) * 0.5
            start, end = (x1, at - lean), (x0, at + lean)
        length = math.dist(start, end)
        normal = ((end[1] - start[1]) / length, (start[0] - end[0]) / length)
        # With y down, the normal of a cut walked downwards points to the right, of one walked to the left downwards.
        half = self.gutter / 2
        first = clip_half(polygon, (start[0] - normal[0] * half, start[1] - normal[1] * half), (-normal[0], -normal[1]))
        second = clip_half(polygon, (start[0] + normal[0] * half, start[1] + normal[1] * half), normal)
        return first, second

    def split(
        self, polygon: Polygon, count: int, *, down: bool, slants: float = 0.0, even: bool = False
    ) -> list[Polygon]:
        """A polygon in `count` parts from left to right (`down`) or from top to bottom."""
        parts, rest = [], polygon
        for left in range(count, 1, -1):
            share = 1 / left if even else (1 + float(self.rng.uniform(-0.3, 0.3))) / left
            slant = float(self.rng.uniform(-slants, slants)) if slants else 0.0
            part, rest = self.cut(rest, share, down=down, slant=slant)
            parts.append(part)
        return [*parts, rest]


def clip_half(polygon: Polygon, at: Point, normal: Point) -> Polygon:
    """The part of a convex polygon on the side of the line through `at` that `normal` points to."""
    kept: list[Point] = []
    for i, start in enumerate(polygon):
        end = polygon[(i + 1) % len(polygon)]
        a = (start[0] - at[0]) * normal[0] + (start[1] - at[1]) * normal[1]
        b = (end[0] - at[0]) * normal[0] + (end[1] - at[1]) * normal[1]
        if a >= 0:
            kept.append(start)
        if (a > 0 > b) or (a < 0 < b):
            t = a / (a - b)
            kept.append((start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t))
    return tuple(kept)


def _bounds(polygon: Sequence[Point]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _grid(sheet: _Sheet) -> list[Panel]:
    rows, columns = ((2, 2), (3, 2), (2, 3), (3, 3), (4, 2))[int(sheet.rng.integers(5))]
    return [
        Panel(part)
        for row in sheet.split(sheet.area, rows, down=False, even=True)
        for part in sheet.split(row, columns, down=True, even=True)
    ]


def _tiers(sheet: _Sheet, slants: float = 0.0) -> list[Panel]:
    panels: list[Panel] = []
    last = 0
    for row in sheet.split(sheet.area, int(sheet.rng.integers(2, 5)), down=False, slants=slants * 0.5):
        count = int(sheet.rng.choice([1, 2, 3], p=[0.26, 0.5, 0.24]))
        count = 2 if count == 1 and last == 1 else count
        last = count
        panels += [Panel(part) for part in sheet.split(row, count, down=True, slants=slants)]
    return panels


def _slanted(sheet: _Sheet) -> list[Panel]:
    return _tiers(sheet, slants=0.32)


def _columns(sheet: _Sheet) -> list[Panel]:
    left, right = sheet.cut(sheet.area, float(sheet.rng.uniform(0.36, 0.64)), down=True)
    tall, many = (left, right) if sheet.rng.random() < 0.5 else (right, left)
    return [Panel(tall), *(Panel(part) for part in sheet.split(many, int(sheet.rng.integers(2, 4)), down=False))]


def _strip(sheet: _Sheet) -> list[Panel]:
    """Four panels below each other, or two such columns."""
    columns = sheet.split(sheet.area, 1 if sheet.rng.random() < 0.5 else 2, down=True, even=True)
    return [Panel(part) for column in columns for part in sheet.split(column, 4, down=False, even=True)]


def _splash(sheet: _Sheet) -> list[Panel]:
    """One large picture, alone or over a row of small ones."""
    if sheet.rng.random() < 0.3:
        return [Panel(sheet.area)]
    large, row = sheet.cut(sheet.area, float(sheet.rng.uniform(0.6, 0.74)), down=False)
    if sheet.rng.random() < 0.3:
        row, large = sheet.cut(sheet.area, float(sheet.rng.uniform(0.26, 0.4)), down=False)
    return [Panel(large), *(Panel(part) for part in sheet.split(row, int(sheet.rng.integers(2, 4)), down=True))]


def _inset(sheet: _Sheet) -> list[Panel]:
    """A large picture with one or two small panels lying over its corners, perhaps with a row below."""
    large, rows = sheet.area, []
    if sheet.rng.random() < 0.6:
        large, below = sheet.cut(sheet.area, float(sheet.rng.uniform(0.58, 0.72)), down=False)
        rows = [Panel(part) for part in sheet.split(below, int(sheet.rng.integers(1, 3)), down=True)]
    x0, y0, x1, y1 = _bounds(large)
    panels = [Panel(large)]
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    for place in sheet.rng.permutation(4)[: int(sheet.rng.integers(1, 3))].tolist():
        at_right, at_foot = corners[place]
        wide, high = (x1 - x0) * float(sheet.rng.uniform(0.28, 0.4)), (y1 - y0) * float(sheet.rng.uniform(0.2, 0.34))
        margin = sheet.gutter * 1.4
        left = x1 - margin - wide if at_right else x0 + margin
        top = y1 - margin - high if at_foot else y0 + margin
        panels.append(Panel(_box(left, top, left + wide, top + high), inset=True))
    return [*panels, *rows]


def _pinwheel(sheet: _Sheet) -> list[Panel]:
    """Four panels turning around a fifth."""
    x0, y0, x1, y1 = _bounds(sheet.area)
    a, b = (float(v) for v in sheet.rng.uniform(0.27, 0.36, 2))
    w, h, g = x1 - x0, y1 - y0, sheet.gutter
    boxes = [
        _box(x0, y0, x1 - w * a - g, y0 + h * b),
        _box(x1 - w * a, y0, x1, y1 - h * b - g),
        _box(x0, y0 + h * b + g, x0 + w * a, y1),
        _box(x0 + w * a + g, y0 + h * b + g, x1 - w * a - g, y1 - h * b - g),
        _box(x0 + w * a + g, y1 - h * b, x1, y1),
    ]
    return [Panel(box) for box in boxes]


def _diagonal(sheet: _Sheet) -> list[Panel]:
    """The page cut through from corner to corner once or twice, the parts cut again."""
    first, second = sheet.cut(
        sheet.area, float(sheet.rng.uniform(0.4, 0.6)), down=False, slant=float(sheet.rng.choice([-1, 1])) * 0.62
    )
    panels = []
    for part in (first, second):
        cut = sheet.split(part, int(sheet.rng.integers(1, 3)), down=True, slants=0.5)
        panels += [Panel(piece) for piece in cut]
    return panels


def _staircase(sheet: _Sheet) -> list[Panel]:
    """Columns whose cuts go down step by step."""
    columns = sheet.split(sheet.area, 3 if sheet.width > sheet.height * 0.8 else 2, down=True, even=True)
    panels = []
    start = float(sheet.rng.uniform(0.24, 0.34))
    for place, column in enumerate(columns):
        upper, lower = sheet.cut(column, start + 0.4 * place / max(1, len(columns) - 1), down=False)
        panels += [Panel(upper), Panel(lower)]
    return panels


def _medallion(sheet: _Sheet) -> list[Panel]:
    """Two or three tiers with a round panel lying over the middle."""
    tiers = [Panel(part) for part in sheet.split(sheet.area, int(sheet.rng.integers(2, 4)), down=False)]
    x0, y0, x1, y1 = _bounds(sheet.area)
    radius = 0.25 * min(x1 - x0, y1 - y0)
    first = _bounds(tiers[0].corners)
    cx, cy = x0 + (x1 - x0) * float(sheet.rng.uniform(0.36, 0.64)), first[3] + sheet.gutter / 2
    ring = tuple((cx + radius * math.cos(a), cy + radius * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 49)[:-1])
    return [*tiers, Panel(ring, inset=True)]


LAYOUTS: dict[str, Callable[[_Sheet], list[Panel]]] = {
    "grid": _grid,
    "tiers": _tiers,
    "slanted": _slanted,
    "columns": _columns,
    "strip": _strip,
    "splash": _splash,
    "inset": _inset,
}
HELD_OUT_LAYOUTS: dict[str, Callable[[_Sheet], list[Panel]]] = {
    "pinwheel": _pinwheel,
    "diagonal": _diagonal,
    "staircase": _staircase,
    "medallion": _medallion,
}
"""Layouts that are kept out of training pages, so that a model can be measured on layouts it has not seen."""
SHARES = (0.14, 0.28, 0.2, 0.1, 0.08, 0.08, 0.12)


def draw_layout(rng: np.random.Generator, width: int, height: int, name: str, direction: str) -> PageLayout:
    """A random layout of a family (a key of LAYOUTS or HELD_OUT_LAYOUTS), as panels in the order of reading."""
    short = min(width, height)
    # The narrow ones leave no more than the borders' lines between panels.
    widths = [rng.uniform(0.012, 0.026), rng.uniform(0.026, 0.045), rng.uniform(0.001, 0.006)]
    gutter = short * float(rng.choice(widths, p=[0.57, 0.31, 0.12]))
    margin = short * float(rng.uniform(0.025, 0.07))
    bleeds = rng.random() < 0.25 and name != "strip"
    edges = [0.0 if bleeds and rng.random() < 0.5 else margin for _ in range(4)]
    area = _box(edges[0], edges[1], width - edges[2], height - edges[3])
    draw = (LAYOUTS | HELD_OUT_LAYOUTS)[name]
    panels: list[Panel] = []
    for _ in range(12):
        panels = draw(_Sheet(width, height, area, gutter, rng))
        if all(_large_enough(panel.corners, short) for panel in panels):
            break
    else:
        panels = [Panel(area)]
    # A panel without border is at home where nothing else would be lost with it.
    free = len(panels) > 2 and rng.random() < 0.22
    if free:
        chosen = int(rng.integers(len(panels)))
        panels = [replace(p, border=p.border and (i != chosen or p.inset)) for i, p in enumerate(panels)]
    return PageLayout(name, tuple(_in_order(panels, direction, name)), direction, gutter)


def _large_enough(polygon: Polygon, short: float) -> bool:
    if len(polygon) < 3:
        return False
    x0, y0, x1, y1 = _bounds(polygon)
    area = 0.5 * abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)))
    least = LEAST_PANEL * short
    return min(x1 - x0, y1 - y0) >= least and area >= least * least * 1.6


def _in_order(panels: list[Panel], direction: str, name: str) -> list[Panel]:
    """From top to bottom by rows and along the rows; strips go down their columns. Insets after what they lie over."""
    sign = 1 if direction == LEFT_TO_RIGHT else -1

    def middle(panel: Panel) -> Point:
        x0, y0, x1, y1 = panel.bounds
        return (x0 + x1) / 2, (y0 + y1) / 2

    plain = [panel for panel in panels if not panel.inset]
    if name == "strip":
        plain.sort(key=lambda panel: (round(sign * middle(panel)[0]), middle(panel)[1]))
    else:
        plain.sort(key=lambda panel: (round(panel.bounds[1] / 40), sign * middle(panel)[0]))
    return [*plain, *(panel for panel in panels if panel.inset)]

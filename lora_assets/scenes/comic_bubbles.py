"""Speech bubbles: bodies for speech, thought, shouting and narration, their tails, and where they find room.

Text is set in comic_lettering.py; which line belongs to whom is decided in comic_panel.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import skia

from lora_assets.scenes.brush import oval, polygon, rect
from lora_assets.scenes.ink import Rgb, colour, smooth
from lora_assets.scenes.truth import Box

SPEECH, ROUNDED, THOUGHT, SHOUT, BOX, WAVY = "speech", "rounded", "thought", "shout", "box", "wavy"
KINDS = (SPEECH, ROUNDED, THOUGHT, SHOUT, BOX, WAVY)


@dataclass(frozen=True, slots=True)
class Bubble:
    """A bubble in page pixels: one path of body and tail, the centre of its text, and how it is drawn."""

    path: skia.Path
    centre: tuple[float, float]
    kind: str
    line: float
    fill: Rgb = (255, 255, 255)
    ink: Rgb = (14, 14, 16)

    @property
    def bounds(self) -> Box:
        """xyxy of body, tail and line."""
        box, grown = self.path.getBounds(), self.line / 2
        return box.left() - grown, box.top() - grown, box.right() + grown, box.bottom() + grown


def body_half(kind: str, half: tuple[float, float], pad: float) -> tuple[float, float]:
    """Half width and half height of a body that holds a text block of the given halves, `pad` pixels free around it."""
    wide, high = half[0] + pad, half[1] + pad
    if kind in (BOX, ROUNDED):
        return wide, high
    # An ellipse through the corners of a rectangle is sqrt(2) times as large.
    grown = {SPEECH: 1.34, THOUGHT: 1.36, SHOUT: 1.4, WAVY: 1.4}[kind]
    return wide * grown, high * grown


def make_bubble(
    rng: np.random.Generator, kind: str, centre: tuple[float, float], half: tuple[float, float], line: float,
    target: tuple[float, float] | None, fill: Rgb,
) -> Bubble:  # fmt: skip
    """A bubble around `centre` with a body of the given halves and a tail towards `target` (None: without)."""
    body = _body(rng, kind, centre, half)
    if target is not None and kind != BOX:
        tail = _puffs(centre, half, target) if kind == THOUGHT else _tail(rng, centre, half, target, kind)
        if tail is not None:
            joined = skia.Op(body, tail, skia.PathOp.kUnion_PathOp)
            body = joined if joined is not None else body
    return Bubble(body, centre, kind, line, fill)


def draw_bubble(canvas: skia.Canvas, bubble: Bubble) -> None:
    """Fill and line."""
    canvas.drawPath(bubble.path, skia.Paint(AntiAlias=True, Color=colour(bubble.fill)))
    paint = skia.Paint(
        AntiAlias=True, Color=colour(bubble.ink), Style=skia.Paint.kStroke_Style, StrokeWidth=bubble.line,
        StrokeJoin=skia.Paint.kMiter_Join if bubble.kind == SHOUT else skia.Paint.kRound_Join,
    )  # fmt: skip
    canvas.drawPath(bubble.path, paint)


def _body(rng: np.random.Generator, kind: str, centre: tuple[float, float], half: tuple[float, float]) -> skia.Path:
    (x, y), (wide, high) = centre, half
    if kind == BOX:
        return rect(x - wide, y - high, x + wide, y + high)
    if kind == ROUNDED:
        path = skia.Path()
        radius = min(wide, high) * float(rng.uniform(0.35, 0.8))
        path.addRRect(skia.RRect.MakeRectXY(skia.Rect.MakeLTRB(x - wide, y - high, x + wide, y + high), radius, radius))
        return path
    if kind == SPEECH:
        if rng.random() < 0.5:
            return oval(x, y, wide, high)
        # A hand's oval: a little flattened or pointed.
        bend = float(rng.uniform(2.0, 2.6))
        turns = np.linspace(0, 2 * math.pi, 25)[:-1]
        return smooth([
            (x + wide * math.copysign(abs(math.cos(a)) ** (2 / bend), math.cos(a)),
             y + high * math.copysign(abs(math.sin(a)) ** (2 / bend), math.sin(a)))
            for a in turns.tolist()
        ])  # fmt: skip
    around = math.pi * (3 * (wide + high) - math.sqrt((3 * wide + high) * (wide + 3 * high)))
    if kind == THOUGHT:
        return _cloud(rng, centre, half, max(8, round(around / (min(wide, high) * 0.8))))
    if kind == SHOUT:
        count = int(np.clip(round(around / (min(wide, high) * 0.42)), 10, 26))
        points = []
        for i in range(2 * count):
            a = math.pi * i / count + float(rng.uniform(-0.05, 0.05))
            spike = 0.0 if i % 2 else min(wide, high) * float(rng.uniform(0.16, 0.38))
            points.append((x + (wide + spike) * math.cos(a), y + (high + spike) * math.sin(a)))
        return polygon(points)
    waves = int(rng.integers(9, 15))
    return smooth([
        (x + wide * (1.04 + 0.055 * math.sin(waves * a)) * math.cos(a), y + high * (1.04 + 0.055 * math.sin(waves * a))
         * math.sin(a))
        for a in np.linspace(0, 2 * math.pi, 16 * 8 + 1)[:-1].tolist()
    ])  # fmt: skip


def _cloud(rng: np.random.Generator, centre: tuple[float, float], half: tuple[float, float], count: int) -> skia.Path:
    """An oval with a ring of round puffs."""
    (x, y), (wide, high) = centre, half
    path = oval(x, y, wide, high)
    puff = min(wide, high) * 0.4
    for a in (np.linspace(0, 2 * math.pi, count + 1)[:-1] + rng.uniform(0, 1)).tolist():
        radius = puff * float(rng.uniform(0.85, 1.2))
        at = (x + (wide - radius * 0.55) * math.cos(a), y + (high - radius * 0.55) * math.sin(a))
        joined = skia.Op(path, oval(*at, radius, radius), skia.PathOp.kUnion_PathOp)
        path = joined if joined is not None else path
    return path


def _edge(
    centre: tuple[float, float], half: tuple[float, float], target: tuple[float, float]
) -> tuple[float, float, float]:
    """Unit direction to the target, and how far the ellipse's edge lies in it."""
    dx, dy = target[0] - centre[0], target[1] - centre[1]
    length = max(1e-6, math.hypot(dx, dy))
    dx, dy = dx / length, dy / length
    return dx, dy, 1 / math.hypot(dx / half[0], dy / half[1])


def _tail(
    rng: np.random.Generator, centre: tuple[float, float], half: tuple[float, float], target: tuple[float, float],
    kind: str,
) -> skia.Path | None:  # fmt: skip
    """A bent spike towards the target; None when it is too near to need one."""
    dx, dy, edge = _edge(centre, half, target)
    free = math.dist(centre, target) - edge
    small = min(half)
    if free < small * 0.12:
        return None
    reach = edge + min(free * 0.72, small * float(rng.uniform(0.7, 1.5)))
    base = small * float(rng.uniform(0.16, 0.3)) * (1.3 if kind == SHOUT else 1.0)
    root = edge * 0.7
    nx, ny = -dy, dx
    bend = small * float(rng.uniform(-0.25, 0.25))
    tip = (centre[0] + dx * reach, centre[1] + dy * reach)
    path = skia.Path()
    path.moveTo(centre[0] + dx * root + nx * base, centre[1] + dy * root + ny * base)
    for side in (1, -1):
        middle = ((root + reach) / 2, bend + side * base * 0.35)
        control = (centre[0] + dx * middle[0] + nx * middle[1], centre[1] + dy * middle[0] + ny * middle[1])
        end = tip if side == 1 else (centre[0] + dx * root - nx * base, centre[1] + dy * root - ny * base)
        path.quadTo(*control, *end)
    path.close()
    return path


def _puffs(centre: tuple[float, float], half: tuple[float, float], target: tuple[float, float]) -> skia.Path | None:
    """The shrinking rings between a thought and its head, a part of the bubble though they stand free."""
    dx, dy, edge = _edge(centre, half, target)
    small = min(half)
    at, radius, path = edge + small * 0.42, small * 0.17, skia.Path()
    for _ in range(3):
        if at + radius > math.dist(centre, target) * 0.95 + small * 0.2:
            break
        path.addPath(oval(centre[0] + dx * at, centre[1] + dy * at, radius, radius * 0.85))
        at, radius = at + radius * 2.3, radius * 0.62
    return path if path.countPoints() else None


def find_place(
    rng: np.random.Generator, half: tuple[float, float], room: Box, page: tuple[int, int],
    avoid: Sequence[tuple[Box, float]], wish: tuple[float, float], tries: int = 60,
) -> tuple[tuple[float, float], float] | None:  # fmt: skip
    """The centre of a bubble (halves with all that stands out) in `room` (xyxy) with the least cost, and the cost.

    `avoid` are boxes with what a share of the bubble over them costs; `wish` is a corner of the room as shares x, y.
    None when the bubble is larger than the page.
    """
    width, height = page
    margin = 3.0
    if 2 * half[0] + 2 * margin >= width or 2 * half[1] + 2 * margin >= height:
        return None
    x0, y0, x1, y1 = room
    best: tuple[tuple[float, float], float] | None = None
    for a, b in rng.random((tries, 2)).tolist():
        # Room that is too narrow is left on both sides alike.
        x = x0 + half[0] + a * (x1 - x0 - 2 * half[0]) if x1 - x0 > 2 * half[0] else (x0 + x1) / 2
        y = y0 + half[1] + b * (y1 - y0 - 2 * half[1]) if y1 - y0 > 2 * half[1] else (y0 + y1) / 2
        x = min(max(x, half[0] + margin), width - half[0] - margin)
        y = min(max(y, half[1] + margin), height - half[1] - margin)
        own = (x - half[0], y - half[1], x + half[0], y + half[1])
        cost = sum(price * overlap(own, box) / (4 * half[0] * half[1]) for box, price in avoid)
        cost += 1.5 * (1 - overlap(own, room) / (4 * half[0] * half[1]))
        cost += 0.3 * (abs(a - wish[0]) + abs(b - wish[1]))
        if best is None or cost < best[1]:
            best = ((x, y), cost)
    return best


def overlap(a: Box, b: Box) -> float:
    """Pixels that two xyxy boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))

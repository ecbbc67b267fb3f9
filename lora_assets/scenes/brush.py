"""Brushes for scenery: filled paths, gradients, soft spots and random tones on a skia canvas.

Inked figures with outline and cel shadow are drawn by ink.py instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skia

from lora_assets.scenes.ink import Point, Rgb, colour

GRADIENT_STEPS = 256


def fill(canvas: skia.Canvas, path: skia.Path, rgb: Rgb, alpha: int = 255, *, blur: float = 0.0) -> None:
    """Fill a path; `blur` is the softness of its edge in pixels."""
    paint = skia.Paint(AntiAlias=True, Color=colour(rgb, alpha))
    if blur > 0:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    canvas.drawPath(path, paint)


def stroke(canvas: skia.Canvas, path: skia.Path, rgb: Rgb, width: float, alpha: int = 255) -> None:
    """Draw a line of the given width (pixels) along a path."""
    paint = skia.Paint(
        AntiAlias=True, Color=colour(rgb, alpha), Style=skia.Paint.kStroke_Style, StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join,
    )  # fmt: skip
    canvas.drawPath(path, paint)


def gradient(
    canvas: skia.Canvas, box: tuple[float, float, float, float], tones: Sequence[Rgb], *, across: bool = False
) -> None:
    """Fill an xyxy box with tones blended from top to bottom (or from left to right), in up to GRADIENT_STEPS bands."""
    # Solid bands are about ten times faster than skia's gradient shader on the processor, and look the same.
    x0, y0, x1, y1 = box
    steps = max(2, min(GRADIENT_STEPS, round((x1 - x0 if across else y1 - y0) * canvas.getTotalMatrix().getMaxScale())))
    at = np.linspace(0, len(tones) - 1, steps)
    bands = np.stack([np.interp(at, range(len(tones)), [tone[i] for tone in tones]) for i in range(3)], axis=1)
    edges = np.linspace(x0, x1, steps + 1) if across else np.linspace(y0, y1, steps + 1)
    paint = skia.Paint()
    for i, (red, green, blue) in enumerate(bands.astype(int).tolist()):
        paint.setColor(skia.Color(red, green, blue))
        low, high = float(edges[i]), float(edges[i + 1])
        band = skia.Rect.MakeLTRB(low, y0, high, y1) if across else skia.Rect.MakeLTRB(x0, low, x1, high)
        canvas.drawRect(band, paint)


def glow(canvas: skia.Canvas, centre: Point, radius: float, rgb: Rgb, alpha: int) -> None:
    """A round spot of light that fades to nothing at its radius."""
    shader = skia.GradientShader.MakeRadial(skia.Point(*centre), radius, [colour(rgb, alpha), colour(rgb, 0)])
    canvas.drawCircle(centre[0], centre[1], radius, skia.Paint(AntiAlias=True, Shader=shader))


def polygon(points: Sequence[Point]) -> skia.Path:
    """A closed polygon."""
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in points], True)
    return path


def rect(x0: float, y0: float, x1: float, y1: float) -> skia.Path:
    """A rectangle from its xyxy corners."""
    path = skia.Path()
    path.addRect(skia.Rect.MakeLTRB(x0, y0, x1, y1))
    return path


def oval(x: float, y: float, rx: float, ry: float) -> skia.Path:
    """An ellipse around a centre."""
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    """The colour between two, `share` of the way to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return (red, green, blue)


def some_tone(rng: np.random.Generator, low: int = 20, high: int = 245) -> Rgb:
    """A random colour."""
    red, green, blue = rng.integers(low, high, 3).tolist()
    return (red, green, blue)


def some(rng: np.random.Generator, tones: Sequence[Rgb]) -> Rgb:
    """One of the given colours."""
    return tones[int(rng.integers(len(tones)))]

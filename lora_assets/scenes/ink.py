"""Cel ink: shapes with outline and flat fill, laid on a skia canvas. Their shadows are in shading.py.

What the shapes depict (heads, clothes) is not decided here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import skia

Rgb = tuple[int, int, int]
Point = tuple[float, float]

HEAD, TORSO, LEGS, ARMS, TRAIL = 1, 2, 3, 4, 5


IDENTITY = skia.Matrix()
# A detail of fewer pixels than this cannot be seen.
SMALLEST_DETAIL = 2.0
WOBBLE_STEP = 0.12


@dataclass(frozen=True, slots=True)
class Ink:
    """How a character is inked: outline width (head heights) and colour, shadow offset and strength.

    `shadow` is the tone of shadows (1 none), `second` that of a deeper one inside it, `rim_light` how white the rim
    towards the light gets. `weight` shifts outlines to the dark side (in line widths), so that they swell and taper;
    `wobble` is how far a shaky hand strays (head heights). `paper` leaves light areas white, as a drawing in line only.
    """

    line_width: float = 0.02
    line_rgb: Rgb | None = None
    line_darkness: float = 0.3
    shadow: float = 0.78
    light: Point = (-0.07, -0.08)
    soft: bool = False
    paper: bool = False
    second: float = 1.0
    rim_light: float = 0.0
    weight: float = 0.0
    wobble: float = 0.0

    @property
    def reach(self) -> float:
        """How far outlines can stand out from the shapes (head heights)."""
        return self.line_width * (1 + self.weight) + self.wobble


@dataclass(frozen=True, slots=True)
class Shape:
    """One path with its fill; `part` is the body part it counts for, 0 for detail inside another shape.

    `line` scales the outline's width; a shape without fill is a line only. `clip` and `edge` both bound what is drawn.
    """

    path: skia.Path
    fill: Rgb | None
    part: int = 0
    line: float = 1.0
    place: skia.Matrix = IDENTITY
    clip: skia.Path | None = None
    edge: skia.Path | None = None
    line_rgb: Rgb | None = None
    alpha: int = 255


def raster(width: int, height: int) -> tuple[np.ndarray, skia.Surface]:
    """A clear uint8 array HxWx4 and the surface that draws into it: BGRA premultiplied, which skia draws fastest."""
    pixels = np.zeros((height, width, 4), np.uint8)
    info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
    return pixels, skia.Surface.MakeRasterDirect(info, pixels, width * 4)


def colour(rgb: Rgb, alpha: int = 255) -> int:
    """The skia ARGB integer of an RGB triple."""
    return skia.Color(rgb[0], rgb[1], rgb[2], alpha)


def toned(rgb: Rgb, factor: float) -> Rgb:
    """The colour darkened (factor < 1: warm tones keep their red, others lean to blue) or lightened (factor > 1)."""
    red, green, blue = rgb
    if factor >= 1.0:
        return (_lighter(red, factor), _lighter(green, factor), _lighter(blue, factor))
    if red > green >= blue and red - blue > 24:
        return (round(red * factor**0.6), round(green * factor * 0.97), round(blue * factor * 0.97))
    return (round(red * factor * 0.97), round(green * factor * 0.96), round(blue * min(1.0, factor * 1.05)))


def _lighter(value: int, factor: float) -> int:
    return round(255 - (255 - value) / factor)


def on_paper(rgb: Rgb) -> Rgb:
    """The colour in a drawing in line only: dark areas stay dark grey, all others turn white."""
    dark = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
    return (64, 64, 68) if dark < 75 else (252, 252, 250)


def smooth(points: Sequence[Point], *, closed: bool = True, tension: float = 1 / 6) -> skia.Path:
    """A Catmull-Rom curve through the points."""
    path = skia.Path()
    count = len(points)
    path.moveTo(*points[0])
    for i in range(count if closed else count - 1):
        before, start = points[i - 1 if closed or i else 0], points[i]
        end = points[(i + 1) % count]
        after = points[(i + 2) % count] if closed else points[min(i + 2, count - 1)]
        path.cubicTo(
            start[0] + (end[0] - before[0]) * tension,
            start[1] + (end[1] - before[1]) * tension,
            end[0] - (after[0] - start[0]) * tension,
            end[1] - (after[1] - start[1]) * tension,
            *end,
        )
    if closed:
        path.close()
    return path


def draw_shapes(canvas: skia.Canvas, shapes: Iterable[Shape], ink: Ink) -> None:
    """Draw the shapes in order, each outline below its fill, then the shadows; the canvas must hold nothing else."""
    from lora_assets.scenes.shading import shade

    drawn = list(shapes)
    before: Shape | None = None
    pixel = 1.0 / max(canvas.getTotalMatrix().getMaxScale(), 1e-6)
    around = ink.reach * 3
    pen, brush = _Pen(ink), skia.Paint(AntiAlias=True)
    canvas.save()
    for shape in drawn:
        bounds = shape.path.getBounds()
        if shape.part == 0:
            size = max(bounds.width(), bounds.height()) * shape.place.getMaxScale()
            if size < SMALLEST_DETAIL * pixel:
                continue
        # Clips are dear: neighbours that share place and clip (all of an iris) share one state of the canvas.
        if before is None or not _same_state(before, shape):
            canvas.restore()
            canvas.save()
            canvas.concat(shape.place)
            for clip in (shape.clip, shape.edge):
                if clip is not None and not canvas.quickReject(clip):
                    canvas.clipPath(clip, doAntiAlias=True)
        before = shape
        if canvas.quickReject(bounds.makeOutset(around, around)):
            continue
        pen.draw(canvas, shape)
        if shape.fill is not None:
            rgb = on_paper(shape.fill) if ink.paper else shape.fill
            brush.setColor(colour(rgb, shape.alpha))
            canvas.drawPath(shape.path, brush)
    canvas.restore()
    shade(canvas, drawn, ink)


def _same_state(first: Shape, second: Shape) -> bool:
    return first.place is second.place and first.clip is second.clip and first.edge is second.edge


class _Pen:
    """Draws the outlines of one figure; its paints are made once, which takes longer than drawing with them."""

    def __init__(self, ink: Ink) -> None:
        self._ink = ink
        self._paint = skia.Paint(
            AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeJoin=skia.Paint.kRound_Join,
            StrokeCap=skia.Paint.kRound_Cap,
        )  # fmt: skip
        self._shaky = skia.Paint(self._paint)
        if ink.wobble > 0:
            self._shaky.setPathEffect(skia.DiscretePathEffect.Make(WOBBLE_STEP, ink.wobble))

    def draw(self, canvas: skia.Canvas, shape: Shape) -> None:
        """The outline of a shape, or the whole of a shape without fill."""
        ink = self._ink
        width = ink.line_width * shape.line
        if width <= 0 and shape.fill is not None:
            return
        rgb = shape.line_rgb or ink.line_rgb or toned(shape.fill or (60, 40, 40), ink.line_darkness)
        paint = self._shaky if shape.part else self._paint
        paint.setColor(colour(rgb, shape.alpha))
        paint.setStrokeWidth(max(width, 0.008) * (2 if shape.fill is not None else 1))
        if ink.weight <= 0 or not shape.part:
            canvas.drawPath(shape.path, paint)
            return
        shift = ink.weight * width
        canvas.save()
        canvas.translate(math.copysign(shift, -ink.light[0]), shift)
        canvas.drawPath(shape.path, paint)
        canvas.restore()


def draw_parts(canvas: skia.Canvas, shapes: Iterable[Shape], line_width: float) -> None:
    """Draw each body part flat in the grey value of its part number, without antialiasing; 0 leaves out outlines."""
    for shape in shapes:
        if shape.part == 0:
            continue
        canvas.save()
        canvas.concat(shape.place)
        if shape.clip is not None:
            canvas.clipPath(shape.clip)
        paint = skia.Paint(Color=skia.Color(shape.part, shape.part, shape.part))
        if line_width > 0:
            paint.setStyle(skia.Paint.kStrokeAndFill_Style)
            paint.setStrokeWidth(line_width * shape.line * 2)
        canvas.drawPath(shape.path, paint)
        canvas.restore()

"""Shadow and light of inked figures, laid on in one pass over the finished flat drawing.

Every filled body part leaves its number in a map of the layer. A pixel lies in shadow when the map shows another part
(or nothing) a little way off, away from the light: the rim of each part, and the ground beside whatever lies over it,
as cel painters set their shadow tones. One pass costs a fraction of a clipped shadow per shape. Lines and fills are in
ink.py, named styles in styles.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import skia

from lora_assets.scenes.ink import Ink, Point, Shape, raster

# Hues of shadow: warm light leaves more red than green, as painters mix it.
SHADOW_GAINS = (1.0, 0.97, 1.045)
SECOND_REACH = 0.45
LIGHT_REACH = 0.3
SOFTNESS = 0.03
NEAR_SCALE = 100.0


def shade(canvas: skia.Canvas, shapes: Sequence[Shape], ink: Ink) -> None:
    """Lay the shadow tones and the rim light of an ink over shapes already drawn on a raster canvas of their own."""
    if ink.shadow >= 1.0 or ink.paper:
        return
    pixmap = skia.Pixmap()
    if not canvas.peekPixels(pixmap):
        raise ValueError("figures can only be shaded on a raster canvas; draw them on a surface from raster()")
    pixels = np.asarray(pixmap)
    place = canvas.getTotalMatrix()
    scale = place.getMaxScale()
    height, width = pixels.shape[:2]
    # Near figures are mapped at half size: the mask's edges come out smooth, at a quarter of the cost.
    step = 2 if scale > NEAR_SCALE else 1
    small = skia.Matrix.Scale(1 / step, 1 / step)
    parts = _part_map(shapes, skia.Matrix.Concat(small, place), -(-width // step), -(-height // step))
    scale /= step
    softness = SOFTNESS * scale if ink.soft else 0.0
    away = (-ink.light[0] * scale, -ink.light[1] * scale)

    def rim(reach: float) -> np.ndarray:
        mask = _rim(parts, away, reach, softness)
        if step == 1:
            return mask
        large = (mask.shape[1] * step, mask.shape[0] * step)
        return np.ascontiguousarray(cv2.resize(mask, large, interpolation=cv2.INTER_LINEAR)[:height, :width])

    _darken(pixels, rim(1.0), ink.shadow)
    if ink.second < 1.0:
        _darken(pixels, rim(SECOND_REACH), ink.second)
    if ink.rim_light > 0.0:
        _lighten(pixels, rim(-LIGHT_REACH), ink.rim_light)


def _part_map(shapes: Sequence[Shape], place: skia.Matrix, width: int, height: int) -> np.ndarray:
    """Which body part shows at each pixel, as numbers 1..255 in a uint8 array HxW; 0 where there is none."""
    marks, surface = raster(width, height)
    canvas = surface.getCanvas()
    canvas.setMatrix(place)
    paint = skia.Paint()
    number = 0
    for shape in shapes:
        if shape.part == 0 or shape.fill is None:
            continue
        number = number % 255 + 1
        paint.setColor(skia.Color(number, number, number))
        canvas.save()
        canvas.concat(shape.place)
        for clip in (shape.clip, shape.edge):
            if clip is not None:
                canvas.clipPath(clip)
        canvas.drawPath(shape.path, paint)
        canvas.restore()
    return cv2.extractChannel(marks, 0)


def _rim(parts: np.ndarray, away: Point, reach: float, softness: float) -> np.ndarray:
    """How much each pixel lies at the far rim of its part, uint8 0..255, with soft edges."""
    height, width = parts.shape
    dx, dy = round(away[0] * reach), round(away[1] * reach)
    mask = np.zeros((height, width), np.uint8)
    if abs(dx) < width and abs(dy) < height and (dx or dy):
        rows, columns = (max(0, -dy), height - max(0, dy)), (max(0, -dx), width - max(0, dx))
        here = parts[rows[0] : rows[1], columns[0] : columns[1]]
        there = parts[rows[0] + dy : rows[1] + dy, columns[0] + dx : columns[1] + dx]
        mask[rows[0] : rows[1], columns[0] : columns[1]] = cv2.compare(here, there, cv2.CMP_NE)
        mask = cv2.bitwise_and(mask, mask, mask=parts)
    if softness > 1.0:
        size = int(softness) * 2 + 1
        return cv2.blur(cv2.blur(mask, (size, size)), (size, size))
    return cv2.blur(mask, (3, 3))


def _darken(pixels: np.ndarray, mask: np.ndarray, factor: float) -> None:
    """Multiply premultiplied BGRA pixels by the shadow tone where the mask says so, in place."""
    at, share = _marked(mask)
    red, green, blue = (min(1.0, factor**0.9 * gain) for gain in SHADOW_GAINS)
    levels = np.arange(256)[:, None] / 255.0
    gains = np.rint(256 * (1 - levels * (1 - np.array([blue, green, red, 1.0])))).astype(np.uint16)
    old = _taken(pixels, at)
    _put(pixels, at, (old * np.take(gains, share, axis=0)) >> 8)


def _lighten(pixels: np.ndarray, mask: np.ndarray, strength: float) -> None:
    """Mix premultiplied BGRA pixels towards white where the mask says so, in place."""
    at, share = _marked(mask)
    old = _taken(pixels, at).astype(np.int32)
    weight = (share.astype(np.int32) * round(256 * strength))[:, None]
    _put(pixels, at, old + (((old[:, 3:] - old) * weight) >> 16))


# Whole pixels as single numbers: taking and putting them is ten times faster than rows of four bytes.
def _marked(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.flatnonzero(mask != 0)
    return at, np.take(mask.reshape(-1), at)


def _taken(pixels: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.take(pixels.view(np.uint32).reshape(-1), at).view(np.uint8).reshape(-1, 4)


def _put(pixels: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
    pixels.view(np.uint32).reshape(-1)[at] = values.astype(np.uint8).view(np.uint32).reshape(-1)

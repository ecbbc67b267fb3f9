"""Reading the truth of one drawn character: boxes, visible parts, cut by the frame, from its visible pixels.

Drawing and stacking of layers is in stage.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import skia

from lora_assets.scenes.figure import Figure
from lora_assets.scenes.ink import HEAD, LEGS, TORSO, Ink, draw_parts, raster
from lora_assets.scenes.truth import Box, CharacterTruth, mask_bounds

PART_NAMES = ((HEAD, "head"), (TORSO, "torso"), (LEGS, "legs"))
PART_SHARE = 0.3
FACE_SHARE = 0.3
FEWEST_PIXELS = 12
SMALL_SCALE = 18.0


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels inside the frame, ends exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @staticmethod
    def around(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Window | None:
        """The pixels of the frame that the xyxy box touches; None when there are none."""
        left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
        right, bottom = min(width, math.ceil(x1)), min(height, math.ceil(y1))
        return Window(left, top, right, bottom) if left < right and top < bottom else None

    @property
    def rows(self) -> slice:
        """The rows of the frame."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """The columns of the frame."""
        return slice(self.left, self.right)

    def shifted(self, box: Box) -> Box:
        """A box in pixels of the window as one in pixels of the frame."""
        return (box[0] + self.left, box[1] + self.top, box[2] + self.left, box[3] + self.top)


def figure_window(figure: Figure, place: skia.Matrix, ink: Ink, width: int, height: int) -> Window | None:
    """The part of the frame that a placed figure can touch."""
    bounds = _body_bounds(figure)
    bounds.outset(ink.reach * 1.5 + 0.01, ink.reach * 1.5 + 0.01)
    box = place.mapRect(bounds)
    return Window.around(box.left(), box.top(), box.right(), box.bottom(), width, height)


def _body_bounds(figure: Figure) -> skia.Rect:
    """What a figure's body parts cover in body space, without outlines."""
    bounds = skia.Rect.MakeEmpty()
    for shape in figure.shapes:
        if shape.part:
            bounds.join(shape.place.mapRect(shape.path.getBounds()))
    return bounds


def read_truth(
    identity: int, figure: Figure, place: skia.Matrix, ink: Ink, visible: np.ndarray, window: Window,
    frame_size: tuple[int, int],
) -> CharacterTruth | None:  # fmt: skip
    """The truth of one character from its visible pixels in its window; None when nothing of it is visible."""
    box = mask_bounds(visible)
    if box is None:
        return None
    width, height = frame_size
    mask = np.zeros((height, width), bool)
    mask[window.rows, window.columns] = visible
    parts, cut = _visible_parts(figure, place, mask)
    head, face = _head_and_face(figure, place, ink, visible, window)
    points = _key_points(figure, place, mask)
    return CharacterTruth(identity, window.shifted(box), head, face, mask, parts, cut, points)


def _key_points(figure: Figure, place: skia.Matrix, mask: np.ndarray) -> np.ndarray:
    """The figure's key points in the frame with COCO's visibility, as `CharacterTruth.key_points` describes them."""
    height, width = mask.shape
    told = np.zeros_like(figure.key_points)
    for row, (x, y, shown) in zip(told, figure.key_points, strict=True):
        point = place.mapXY(float(x), float(y))
        column, line = math.floor(point.x()), math.floor(point.y())
        if 0 <= column < width and 0 <= line < height:
            row[:] = (point.x(), point.y(), 2.0 if shown and mask[line, column] else 1.0)
    return told


def _head_and_face(
    figure: Figure, place: skia.Matrix, ink: Ink, visible: np.ndarray, window: Window
) -> tuple[Box | None, Box | None]:
    """Boxes of the visible head and face pixels; red marks head pixels, green the face region."""
    whole = skia.Matrix.Concat(place, figure.head_place)
    bounds = whole.mapRect(figure.head_region.getBounds())
    near = Window.around(bounds.left(), bounds.top(), bounds.right(), bounds.bottom(), window.right, window.bottom)
    if near is None or near.right <= window.left or near.bottom <= window.top:
        return None, None
    near = Window(max(near.left, window.left), max(near.top, window.top), near.right, near.bottom)
    marks, surface = raster(near.right - near.left, near.bottom - near.top)
    canvas = surface.getCanvas()
    canvas.translate(-near.left, -near.top)
    canvas.concat(place)
    canvas.save()
    canvas.concat(figure.head_place)
    canvas.clipPath(figure.head_region)
    canvas.concat(_inverse(figure.head_place))
    draw_parts(canvas, [shape for shape in figure.shapes if shape.part == HEAD], ink.line_width)
    canvas.restore()
    canvas.concat(figure.head_place)
    if figure.face_region is not None:
        paint = skia.Paint(Color=skia.Color(0, 255, 0), BlendMode=skia.BlendMode.kPlus)
        canvas.drawPath(figure.face_region, paint)
    seen = visible[near.top - window.top : near.bottom - window.top, near.left - window.left : near.right - window.left]
    head_pixels = seen & (marks[:, :, 2] == HEAD)
    if np.count_nonzero(head_pixels) < FEWEST_PIXELS:
        return None, None
    head = mask_bounds(head_pixels)
    face_pixels = seen & (marks[:, :, 1] > 127)
    least = max(FEWEST_PIXELS, FACE_SHARE * figure.face_area * abs(place.getScaleX() * place.getScaleY()))
    face = mask_bounds(face_pixels) if np.count_nonzero(face_pixels) >= least else None
    return (
        None if head is None else near.shifted(head),
        None if face is None else near.shifted(face),
    )


def _inverse(matrix: skia.Matrix) -> skia.Matrix:
    inverse = skia.Matrix()
    matrix.invert(inverse)
    return inverse


def _visible_parts(figure: Figure, place: skia.Matrix, mask: np.ndarray) -> tuple[tuple[str, ...], bool]:
    """Parts with enough visible area, and whether drawn pixels lie outside the frame; measured on a small copy."""
    scale = SMALL_SCALE
    bounds = _body_bounds(figure)
    parts, surface = raster(math.ceil(bounds.width() * scale) + 2, math.ceil(bounds.height() * scale) + 2)
    canvas = surface.getCanvas()
    canvas.translate(1, 1)
    canvas.scale(scale, scale)
    canvas.translate(-bounds.left(), -bounds.top())
    draw_parts(canvas, figure.shapes, 0.0)
    ys, xs = np.nonzero(parts[:, :, 0])
    values = parts[ys, xs, 0]
    frame_x = place.getTranslateX() + ((xs - 0.5) / scale + bounds.left()) * place.getScaleX()
    frame_y = place.getTranslateY() + ((ys - 0.5) / scale + bounds.top()) * place.getScaleY()
    height, width = mask.shape
    inside = (frame_x >= 0) & (frame_x < width) & (frame_y >= 0) & (frame_y < height)
    seen = inside.copy()
    seen[inside] = mask[frame_y[inside].astype(int), frame_x[inside].astype(int)]
    names = []
    for number, name in PART_NAMES:
        own = values == number
        if own.any() and seen[own].mean() > PART_SHARE:
            names.append(name)
    return tuple(names), bool((~inside).any())

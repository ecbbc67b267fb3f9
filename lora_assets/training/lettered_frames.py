"""Lettering of many kinds over drawn frames, with the truth of where it can be seen: what the letter finder learns.

Subtitles (opaque strokes, most of them with an outline) and faint words (half-transparent strokes of one opacity, as of
watermarks and logos), in the stroke alphabets of the scenes and in printed letters. How the letter finder is trained is
in letter_finder; lettering as a part of drawn scenes is in `lora_assets.scenes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.letter_map import CELL

if TYPE_CHECKING:
    import skia

Picture = npt.NDArray[np.uint8]
Layer = npt.NDArray[np.float32]
Rgb = tuple[int, int, int]

SEEN_LEVELS = 20
"""A stroke that changes no channel by so many levels is not seen."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PRINTED = _LETTERS + _LETTERS.upper() + "0123456789.,!?'-@:"
_WHITE, _YELLOW, _BLACK = (255, 255, 255), (255, 240, 120), (16, 16, 20)


@dataclass(frozen=True, slots=True, eq=False)
class LetteredFrame:
    """A frame (HxWx3, sides that CELL divides) and its truth in cells of CELL x CELL pixels: `truth` (2 x H/CELL x
    W/CELL, 0 or 1) tells where lines of opaque lettering lie, and strokes of faint words; `weight` (the same shape, 0
    or 1) where that can be told."""

    image: Picture
    truth: Layer
    weight: Layer


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """A line of letters around (0, 0): its strokes, their width (0: the path is filled), its half size in pixels."""

    path: skia.Path
    stroke: float
    half: tuple[float, float]


def letter_frame(image: Picture, rng: np.random.Generator) -> LetteredFrame:
    """The frame with nothing over it (one of five), or lettering of one or two kinds."""
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    frame = LetteredFrame(
        np.ascontiguousarray(image[: rows * CELL, : columns * CELL]),
        np.zeros((2, rows, columns), np.float32),
        np.ones((2, rows, columns), np.float32),
    )
    kind = float(rng.random())
    if 0.2 <= kind < 0.64 or kind >= 0.96:
        frame = _with_faint_words(frame, rng)
    if kind >= 0.62:
        frame = _with_lines(frame, rng)
    return frame


def _with_lines(frame: LetteredFrame, rng: np.random.Generator) -> LetteredFrame:
    """One to three lines one below the other, as of a subtitle, or one large one."""
    import skia

    height, width = frame.image.shape[:2]
    large = rng.random() < 0.1
    size = height * float(rng.uniform(0.09, 0.2) if large else rng.uniform(0.03, 0.075))
    count = 1 if large else int(rng.choice((1, 2, 3), p=(0.62, 0.3, 0.08)))
    middle = width * float(rng.uniform(0.15, 0.85) if rng.random() < 0.4 else 0.5)
    foot = height * float(rng.uniform(0.1, 0.97))
    tone, outline = _tones(rng)
    reach = 0.0 if outline is None else size * float(rng.uniform(0.05, 0.12))
    turn = float(rng.uniform(-12, 12)) if rng.random() < 0.15 else 0.0
    ink = 1.0 if rng.random() < 0.8 else float(rng.uniform(0.8, 1.0))
    family, lines = int(rng.integers(5)), []
    for row in range(count):
        line = _line(
            rng, size, 1.0 if row == 0 else float(rng.uniform(0.5, 1.0)), int(rng.integers(5)) if row else family
        )
        lines.append((line, _place(middle, foot - row * size * 1.5 - size / 2, turn)))
    truth, weight = frame.truth.copy(), frame.weight.copy()
    image = frame.image
    if outline is not None and rng.random() < 0.1:
        shift = size * float(rng.uniform(0.04, 0.1))
        for line, place in lines:
            below = skia.Matrix(np.array(place.get9(), np.float32).reshape(3, 3))
            below.postTranslate(shift, shift)
            image = _mixed(image, _drawn(line, below, 0.0, image.shape), outline, ink)
    elif outline is not None:
        for line, place in lines:
            image = _mixed(image, _drawn(line, place, reach, image.shape), outline, ink)
    for line, place in lines:
        strokes = _drawn(line, place, 0.0, image.shape)
        image = _mixed(image, strokes, tone, ink)
    seen = _change(image, frame.image) >= 2 * SEEN_LEVELS
    for line, place in lines:
        box = _box(line, place, reach, image.shape)
        area, changed = _in_cells(box.astype(np.float32)), _in_cells((box & seen).astype(np.float32))
        there = area >= 0.5
        truth[0][there] = 1.0
        weight[:, (area > 0.02) & ~there] = 0.0
        # A line that can hardly be seen over its ground: nobody can tell where it is.
        if changed.sum() < 0.06 * area.sum():
            weight[:, area > 0.02] = 0.0
        weight[1][there] = 0.0
    return LetteredFrame(image, truth, weight)


def _with_faint_words(frame: LetteredFrame, rng: np.random.Generator) -> LetteredFrame:
    """Words of one opacity: a slanting line across the frame, several small ones, or a logo in a corner."""
    height, width = frame.image.shape[:2]
    opacity = float(rng.uniform(0.24, 0.75))
    tone = _WHITE if rng.random() < 0.82 else _some_colour(rng)
    kind, family = float(rng.random()), int(rng.integers(6))
    lines: list[tuple[_Line, skia.Matrix]] = []
    if kind < 0.68:
        line = _line(rng, 100.0, 1.0, family)
        size = 100.0 * width * float(rng.uniform(0.5, 0.95)) / max(2 * line.half[0], 240.0)
        place = _place(width * float(rng.uniform(0.3, 0.7)), height * float(rng.uniform(0.15, 0.9)),
                       float(rng.uniform(-30, 30)), size / 100.0)  # fmt: skip
        lines.append((line, place))
    elif kind < 0.85:
        size, turn = height * float(rng.uniform(0.05, 0.11)), float(rng.uniform(-40, 40))
        line = _line(rng, size, 0.5, family)
        step = (2 * line.half[0] + size * float(rng.uniform(1, 4)), size * float(rng.uniform(2, 6)))
        for at in np.arange(-2, 3):
            for row in np.arange(-4, 5):
                x, y = float(at * step[0] + (row % 2) * step[0] / 2), float(row * step[1])
                lean = np.deg2rad(turn)
                place = _place(width / 2 + x * np.cos(lean) - y * np.sin(lean),
                               height / 2 + x * np.sin(lean) + y * np.cos(lean), turn)  # fmt: skip
                lines.append((line, place))
    else:
        size = height * float(rng.uniform(0.03, 0.12))
        line = _line(rng, size, 0.4, family)
        lines.append((line, _place(width * float(rng.uniform(0.05, 0.95)), height * float(rng.uniform(0.05, 0.95)),
                                   0.0)))  # fmt: skip
    strokes = np.zeros(frame.image.shape[:2], np.float32)
    for line, place in lines:
        strokes = np.maximum(strokes, _drawn(line, place, 0.0, frame.image.shape))
    image = _mixed(frame.image, strokes, tone, opacity)
    changed = _change(image, frame.image) >= SEEN_LEVELS
    seen, drawn = _in_cells(changed.astype(np.float32)), _in_cells(strokes)
    truth, weight = frame.truth.copy(), frame.weight.copy()
    truth[1][seen >= 0.25] = 1.0
    weight[1][(seen < 0.25) & (drawn > 0.04)] = 0.0
    weight[0][drawn > 0.04] = np.where(opacity > 0.6, 0.0, weight[0][drawn > 0.04])
    return LetteredFrame(image, truth, weight)


def _tones(rng: np.random.Generator) -> tuple[Rgb, Rgb | None]:
    """The colours of strokes and of their outline."""
    chosen = float(rng.random())
    tone = _WHITE if chosen < 0.55 else _YELLOW if chosen < 0.75 else _some_colour(rng)
    if rng.random() < 0.08:
        return tone, None
    bright = sum(tone) > 380
    if rng.random() < 0.85:
        return tone, _BLACK if bright else _WHITE
    return tone, tuple(int(value) // 4 for value in _some_colour(rng)) if bright else _WHITE  # pyright: ignore[reportReturnType]


def _some_colour(rng: np.random.Generator) -> Rgb:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _line(rng: np.random.Generator, size: float, longest: float, family: int) -> _Line:
    """A line of letters `size` pixels high. `longest`: of the usual number of letters, 0..1. `family`: 0 and 1 the
    Latin strokes of the scenes, 2 invented glyphs, 3 Japanese, all others printed letters."""
    import skia

    from lora_assets.scenes.lettering import WORDS, glyph_line, latin_line, latin_width

    weight = float(rng.uniform(0.09, 0.16))
    if family < 2:
        text = WORDS[int(rng.integers(len(WORDS)))] if rng.random() < 0.5 else _words(rng, _LETTERS, longest)
        half = latin_width(text, size) / 2
        return _Line(latin_line(text, -half, size / 2, size), size * weight, (half, size / 2))
    if family == 2:
        count = max(2, round(float(rng.uniform(3, 15)) * longest))
        half = count * size * 0.54
        return _Line(glyph_line(rng, count, -half, size / 2, size), size * weight, (half, size / 2))
    if family == 3:
        return _japanese(rng, size, longest)
    text = _words(rng, _PRINTED, longest)
    faces = _typefaces()
    font = skia.Font(faces[int(rng.integers(len(faces)))], size * 1.3)
    path, x = skia.Path(), 0.0
    glyphs = font.textToGlyphs(text)
    for glyph, step in zip(glyphs, font.getWidths(glyphs), strict=True):
        outline = font.getPath(glyph)
        if outline is not None:
            path.addPath(outline, x, 0.0)
        x += step
    path.offset(-x / 2, size / 2)
    return _Line(path, 0.0, (x / 2, size * 0.62))


def _japanese(rng: np.random.Generator, size: float, longest: float) -> _Line:
    from lora_assets.scenes.comic_glyphs import KANA, KANJI
    from lora_assets.scenes.comic_lettering import HANDS, set_rows

    known = [*KANA, *KANJI]
    count = max(2, round(float(rng.uniform(3, 16)) * longest))
    text = "".join(known[int(at)] for at in rng.integers(len(known), size=count))
    hands = list(HANDS.values())
    block = set_rows(text, size, hands[int(rng.integers(len(hands)))], rng, count)
    return _Line(block.path, block.stroke, (count * size * 0.54, size * 0.55))


def _words(rng: np.random.Generator, letters: str, longest: float) -> str:
    count = max(1, round(float(rng.uniform(1, 5)) * longest))
    sizes = rng.integers(1, 9, count)
    return " ".join("".join(letters[int(at)] for at in rng.integers(len(letters), size=int(n))) for n in sizes)


@cache
def _typefaces() -> list[skia.Typeface]:
    """The printed letters that come with Matplotlib: the same on every machine."""
    import matplotlib
    import skia

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold",
             "DejaVuSansMono", "STIXGeneral", "STIXGeneralBol")  # fmt: skip
    return [skia.Typeface.MakeFromFile(str(folder / f"{name}.ttf")) for name in names]


def _place(x: float, y: float, turn: float, scale: float = 1.0) -> skia.Matrix:
    import skia

    place = skia.Matrix()
    place.setTranslate(x, y)
    place.preRotate(turn)
    place.preScale(scale, scale)
    return place


def _drawn(line: _Line, place: skia.Matrix, reach: float, shape: tuple[int, ...]) -> Layer:
    """How much of each pixel (0..1) the strokes cover, grown by `reach` pixels on all sides."""
    import skia

    from lora_assets.scenes.ink import raster

    pixels, surface = raster(shape[1], shape[0])
    with surface as canvas:
        canvas.concat(place)
        paint = skia.Paint(AntiAlias=True, Color=0xFFFFFFFF)
        paint.setStrokeJoin(skia.Paint.kRound_Join)
        wide = line.stroke + 2 * reach
        if line.stroke > 0.0:
            paint.setStyle(skia.Paint.kStroke_Style)
        elif reach > 0.0:
            paint.setStyle(skia.Paint.kStrokeAndFill_Style)
        paint.setStrokeCap(skia.Paint.kRound_Cap if reach > 0.0 else skia.Paint.kButt_Cap)
        paint.setStrokeWidth(wide)
        canvas.drawPath(line.path, paint)
    return pixels[..., 3].astype(np.float32) / 255.0


def _box(line: _Line, place: skia.Matrix, reach: float, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The pixels in the rectangle around a line."""
    import skia

    from lora_assets.scenes.ink import raster

    pixels, surface = raster(shape[1], shape[0])
    grown = reach + line.stroke / 2
    with surface as canvas:
        canvas.concat(place)
        x, y = line.half[0] + grown, line.half[1] + grown
        canvas.drawRect(skia.Rect(-x, -y, x, y), skia.Paint(Color=0xFFFFFFFF))
    return pixels[..., 3] > 127


def _mixed(image: Picture, layer: Layer, tone: Rgb, opacity: float) -> Picture:
    x, y, width, height = cv2.boundingRect((layer > 0).view(np.uint8))
    part = np.s_[y : y + height, x : x + width]
    share = (layer[part] * opacity)[..., None]
    mixed = image.copy()
    mixed[part] = np.rint(image[part] + (np.array(tone, np.float32) - image[part]) * share)
    return mixed


def _change(one: Picture, other: Picture) -> npt.NDArray[np.uint8]:
    """How far each pixel (HxW) differs in the channel in which it differs most."""
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _in_cells(layer: Layer) -> Layer:
    """The mean of each cell."""
    rows, columns = layer.shape[0] // CELL, layer.shape[1] // CELL
    return np.asarray(cv2.resize(layer, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)

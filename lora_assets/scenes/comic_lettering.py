"""Lettering of comics without fonts: English in capitals, Japanese in rows or columns, in several hands.

Blocks of text are set here and told where their letters lie; bubbles that hold them are in comic_bubbles.py.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import skia

from lora_assets.scenes.comic_glyphs import HALF_VOICED, KANA, KANJI, MARKS, SMALL, TICKS, VOICED
from lora_assets.scenes.ink import Rgb, colour, raster, smooth
from lora_assets.scenes.lettering import LETTERS

GRID, LATIN_GRID = 9.0, 6.0
TURNED = "ー…〜-"
"""Marks that lie in rows and stand in columns."""
HANGING = "。、"
"""Marks that stand at the upper right of their place in columns."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A way of lettering: stroke width and slant in letter heights, width of Latin letters, how unsteady it is.

    `round_ends` False draws cut-off ends, as a broad pen does; `double` draws every stroke twice, a little apart.
    """

    weight: float
    slant: float = 0.0
    width: float = 1.0
    shake: float = 0.0
    round_ends: bool = True
    double: float = 0.0


HANDS: dict[str, Hand] = {
    "pen": Hand(0.11),
    "light": Hand(0.075, width=1.08),
    "bold": Hand(0.17),
    "italic": Hand(0.12, slant=0.24),
    "narrow": Hand(0.11, width=0.78),
    "marker": Hand(0.15, shake=0.035),
    "broad": Hand(0.1, round_ends=False, double=0.07),
}


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A set text around (0, 0): the strokes' path, their width, and the half width and half height of all lines."""

    path: skia.Path
    stroke: float
    half: tuple[float, float]
    size: float
    hand: Hand


def can_letter(text: str) -> bool:
    """Whether there is a glyph for every character but spaces."""
    return all(letter.isspace() or _glyph(letter) is not None for letter in text)


def set_latin(text: str, size: float, hand: Hand, rng: np.random.Generator, longest: int) -> TextBlock:
    """Words in centred lines of up to about `longest` letters; `size` is the height of a letter in pixels."""
    lines = _broken(text.lower(), longest)
    step = size * 1.42
    path = skia.Path()
    widest = 0.0
    for row, line in enumerate(lines):
        width = _latin_width(line, size, hand)
        widest = max(widest, width)
        x, top = -width / 2, (row - len(lines) / 2) * step + (step - size) / 2
        for letter in line:
            if not letter.isspace():
                _put(path, letter, x, top, size * 0.66 * hand.width, size, hand, rng)
            x += _advance(letter) * size * hand.width
    return _block(path, size, hand, (widest / 2, len(lines) * step / 2))


def set_rows(text: str, size: float, hand: Hand, rng: np.random.Generator, longest: int) -> TextBlock:
    """Japanese in rows from left to right."""
    lines = _chunks(text, longest)
    path = skia.Path()
    step, pitch = size * 1.35, size * 1.08
    for row, line in enumerate(lines):
        for place, letter in enumerate(line):
            x = (place - len(line) / 2) * pitch
            y = (row - len(lines) / 2) * step + (step - size) / 2
            _put_japanese(path, letter, x, y, size, hand, rng, upright=False)
    widest = max(len(line) for line in lines) * pitch
    return _block(path, size, hand, (widest / 2, len(lines) * step / 2))


def set_columns(text: str, size: float, hand: Hand, rng: np.random.Generator, longest: int) -> TextBlock:
    """Japanese in columns from right to left, as bubbles of manga have it."""
    lines = _chunks(text, longest)
    path = skia.Path()
    step, pitch = size * 1.35, size * 1.08
    tallest = max(len(line) for line in lines) * pitch
    for column, line in enumerate(lines):
        x = (len(lines) / 2 - column - 1) * step + (step - size) / 2
        for place, letter in enumerate(line):
            y = -tallest / 2 + place * pitch
            _put_japanese(path, letter, x, y, size, hand, rng, upright=True)
    return _block(path, size, hand, (len(lines) * step / 2, tallest / 2))


def draw_block(
    canvas: skia.Canvas, block: TextBlock, centre: tuple[float, float], rgb: Rgb, *, outline: Rgb | None = None,
    turn: float = 0.0, stretch: float = 1.0,
) -> None:  # fmt: skip
    """Draw a block around `centre`, turned by `turn` degrees and stretched in height; `outline` goes around it."""
    paint = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeJoin=skia.Paint.kRound_Join,
        StrokeCap=skia.Paint.kRound_Cap if block.hand.round_ends else skia.Paint.kSquare_Cap,
    )  # fmt: skip
    canvas.save()
    canvas.translate(*centre)
    canvas.rotate(turn)
    canvas.scale(1.0, stretch)
    if outline is not None:
        paint.setColor(colour(outline))
        paint.setStrokeWidth(block.stroke + block.size * 0.22)
        canvas.drawPath(block.path, paint)
    paint.setColor(colour(rgb))
    paint.setStrokeWidth(block.stroke)
    canvas.drawPath(block.path, paint)
    canvas.restore()


def block_region(
    block: TextBlock, centre: tuple[float, float], width: int, height: int, *, outline: bool = False, turn: float = 0.0,
    stretch: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Two bool masks HxW: the inked pixels of a block, and its region with gaps up to about half a letter closed."""
    pixels, surface = raster(width, height)
    draw_block(
        surface.getCanvas(), block, centre, (255, 255, 255), outline=(255, 255, 255) if outline else None, turn=turn,
        stretch=stretch,
    )  # fmt: skip
    inked = pixels[:, :, 3] > 100
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    region = np.zeros_like(inked)
    if rows.size == 0:
        return inked, region
    reach = max(1, round(block.size * 0.36))
    top, left = max(0, int(rows[0]) - reach), max(0, int(columns[0]) - reach)
    window = (slice(top, int(rows[-1]) + reach + 1), slice(left, int(columns[-1]) + reach + 1))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    part = np.pad(inked[window].view(np.uint8), 2 * reach)
    closed = np.asarray(cv2.morphologyEx(part, cv2.MORPH_CLOSE, disc))[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    region[window] = closed > 0
    return inked, region


def _block(path: skia.Path, size: float, hand: Hand, half: tuple[float, float]) -> TextBlock:
    if hand.slant:
        lean = skia.Matrix()
        lean.setSkew(-hand.slant, 0.0)
        path.transform(lean)
    stroke = size * hand.weight
    grown = abs(hand.slant) * half[1] + stroke / 2 + size * (hand.shake + hand.double)
    return TextBlock(path, stroke, (half[0] + grown, half[1] + stroke / 2 + size * hand.shake), size, hand)


def _broken(text: str, longest: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= longest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _chunks(text: str, longest: int) -> list[str]:
    """Pieces of like length; a mark is not parted from what it follows."""
    plain = text.replace(" ", "")
    count = max(1, math.ceil(len(plain) / longest))
    length = math.ceil(len(plain) / count)
    pieces: list[str] = []
    for letter in plain:
        fits = pieces and (len(pieces[-1]) < length or letter in MARKS or letter in SMALL)
        if fits:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces or [""]


def _advance(letter: str) -> float:
    return {" ": 0.5, "i": 0.62, "!": 0.6, ".": 0.45, ",": 0.45, "'": 0.4}.get(letter, 0.9)


def _latin_width(line: str, size: float, hand: Hand) -> float:
    return sum(_advance(letter) for letter in line) * size * hand.width


@lru_cache(maxsize=512)
def _glyph(letter: str) -> tuple[tuple[bool, tuple[tuple[float, float], ...]], ...] | None:
    """The strokes of a character in a unit square: whether each has corners, and its points. None when unknown."""
    told, grid = LETTERS.get(letter, ""), LATIN_GRID
    cornered = True
    if not told:
        base = unicodedata.normalize("NFD", letter)
        told = KANA.get(base[0]) or KANJI.get(base[0]) or MARKS.get(base[0]) or ""
        if not told and letter in SMALL:
            return _glyph(SMALL[letter])
        if len(base) > 1 and base[1] == VOICED:
            told = " ".join((told, *TICKS))
        grid, cornered = GRID, False
    strokes = []
    for stroke in told.split():
        digits = stroke.removeprefix("-")
        points = tuple((int(x) / grid, int(y) / grid) for x, y in zip(digits[::2], digits[1::2], strict=True))
        strokes.append((cornered or stroke.startswith("-") or len(points) < 3, points))
    if len(unicodedata.normalize("NFD", letter)) > 1 and unicodedata.normalize("NFD", letter)[1] == HALF_VOICED:
        ring = tuple((0.95 + 0.11 * math.cos(a), 0.08 + 0.11 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 9))
        strokes.append((False, ring))
    return tuple(strokes) or None


def _put_japanese(
    path: skia.Path, letter: str, x: float, y: float, size: float, hand: Hand, rng: np.random.Generator, *,
    upright: bool,
) -> None:  # fmt: skip
    if letter in SMALL:
        shift = (0.32, 0.04) if upright else (0.15, 0.3)
        x, y, size = x + shift[0] * size, y + shift[1] * size, size * 0.68
    elif upright and letter in HANGING:
        x, y = x + size * 0.6, y - size * 0.55
    _put(path, letter, x + 0.05 * size, y, size * 0.9, size * 0.95, hand, rng, turned=upright and letter in TURNED)


def _put(
    path: skia.Path, letter: str, x: float, y: float, width: float, height: float, hand: Hand, rng: np.random.Generator,
    *, turned: bool = False,
) -> None:  # fmt: skip
    strokes = _glyph(letter)
    if strokes is None:
        raise ValueError(f"there is no glyph for {letter!r}; add its strokes to comic_glyphs.py")
    for cornered, points in strokes:
        if turned:
            points = tuple((1 - b, a) for a, b in points)
        shaken = rng.normal(0, hand.shake, (len(points), 2)) if hand.shake else np.zeros((len(points), 2))
        placed = [
            (x + (a + float(da)) * width, y + (b + float(db)) * height)
            for (a, b), (da, db) in zip(points, np.clip(shaken, -0.08, 0.08), strict=True)
        ]
        path.addPath(_line(placed) if cornered else smooth(placed, closed=False))
        if hand.double:
            shift = hand.double * height
            path.addPath(_line([(a + shift, b) for a, b in placed]) if cornered
                         else smooth([(a + shift, b) for a, b in placed], closed=False))  # fmt: skip


def _line(points: list[tuple[float, float]]) -> skia.Path:
    path = skia.Path()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    return path

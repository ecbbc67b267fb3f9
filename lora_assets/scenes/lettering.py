"""Lettering without fonts: a stroke alphabet for Latin words and invented block glyphs, for subtitles and logos.

Drawn from data so that the same bytes come out on every machine; real typography is not wanted here.
"""

from __future__ import annotations

import numpy as np
import skia

from lora_assets.scenes.truth import Box

# Strokes on a grid 4 wide and 6 high, y down: pairs of digits x, y joined by lines; spaces part the strokes.
LETTERS: dict[str, str] = {
    "a": "0602204246 0444", "b": "00063645443303 0030414233", "c": "4130100105163645", "d": "00063645413000",
    "e": "40000646 0333", "f": "400006 0333", "g": "41301001051636454323", "h": "0006 4046 0343", "i": "2026",
    "j": "30352605", "k": "0006 4003 0346", "l": "000646", "m": "0600234046", "n": "06004640",
    "o": "100105163645413010", "p": "06003041423303", "q": "100105163645413010 2446", "r": "06003041423303 2346",
    "s": "413010010213334445361605", "t": "0040 2026", "u": "000516364540", "v": "002640", "w": "0016233640",
    "x": "0046 4006", "y": "002340 2326", "z": "00400646",
}  # fmt: skip
WORDS = (
    "the sky is so blue", "wait for me", "i will be late", "what a day", "look at that", "are you all right",
    "let us go home", "it is only rain", "good morning", "see you tomorrow", "where were you", "nothing at all",
    "hey", "thank you",
)  # fmt: skip


def latin_line(text: str, left: float, foot: float, size: float) -> skia.Path:
    """The strokes of a line of lower-case words, `size` pixels high, standing on `foot`."""
    path = skia.Path()
    step = size / 6
    x = left
    for letter in text:
        for run in LETTERS.get(letter, "").split():
            digits = [int(digit) for digit in run]
            for i in range(0, len(digits), 2):
                to = (x + digits[i] * step, foot - size + digits[i + 1] * step)
                path.lineTo(*to) if i else path.moveTo(*to)
        x += size * (0.9 if letter != " " else 0.5)
    return path


def latin_width(text: str, size: float) -> float:
    """The width of `latin_line` for the same text and size."""
    return sum(size * (0.9 if letter != " " else 0.5) for letter in text)


def glyph_line(rng: np.random.Generator, count: int, left: float, foot: float, size: float) -> skia.Path:
    """A line of `count` invented square glyphs of three to seven strokes."""
    path = skia.Path()
    for i in range(count):
        x, y = left + i * size * 1.08, foot - size
        for _ in range(int(rng.integers(3, 8))):
            kind, at = int(rng.integers(4)), float(rng.uniform(0.08, 0.92))
            a, b = sorted(float(value) for value in rng.uniform(0.05, 0.95, 2))
            if kind == 0:
                start, end = (a * 0.6, at), (0.4 + b * 0.55, at)
            elif kind == 1:
                start, end = (at, a * 0.6), (at, 0.4 + b * 0.55)
            else:
                start, end = (0.5, a), (0.08 if kind == 2 else 0.92, b)
            path.moveTo(x + start[0] * size, y + start[1] * size)
            path.lineTo(x + end[0] * size, y + end[1] * size)
    return path


def _line(rng: np.random.Generator, middle: float, foot: float, size: float, longest: int = 15) -> skia.Path:
    """A random centred line, Latin or invented."""
    if rng.random() < 0.5:
        text = WORDS[int(rng.integers(len(WORDS)))]
        return latin_line(text, middle - latin_width(text, size) / 2, foot, size)
    count = int(rng.integers(min(4, longest), longest + 1))
    return glyph_line(rng, count, middle - count * size * 0.54, foot, size)


def draw_subtitle(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int, foot: float) -> list[Box]:
    """One or two outlined lines of text, centred above `foot` (pixels); the boxes of the lines."""
    size = height * float(rng.uniform(0.035, 0.065))
    tone = 0xFFFFFFFF if rng.random() < 0.7 else skia.Color(255, 240, 120)
    rows = 1 if rng.random() < 0.7 else 2
    return [
        _outlined(canvas, _line(rng, width / 2, foot - row * size * 1.5, size), size * 0.13, tone)
        for row in range(rows)
    ]


def draw_caption(canvas: skia.Canvas, text: str, width: int, size: float, foot: float) -> Box:
    """One outlined line of words, `size` pixels high, in the middle of the frame; its box."""
    path = latin_line(text, (width - latin_width(text, size)) / 2, foot, size)
    return _outlined(canvas, path, size * 0.13, 0xFFFFFFFF)


def draw_title(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> list[Box]:
    """A large title of a few glyphs or words, with a line under it."""
    size = height * float(rng.uniform(0.1, 0.2))
    middle, foot = width * float(rng.uniform(0.3, 0.7)), height * float(rng.uniform(0.25, 0.9))
    tone = skia.Color(*rng.integers(120, 256, 3).tolist())
    boxes = [
        _outlined(canvas, glyph_line(rng, int(rng.integers(2, 6)), middle - size * 1.6, foot, size), size * 0.14, tone)
    ]
    if rng.random() < 0.6:
        boxes.append(_outlined(canvas, _line(rng, middle, foot + size * 0.45, size * 0.26), size * 0.035, 0xFFFFFFFF))
    return boxes


def draw_credits(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> list[Box]:
    """Rolling credits: a column of small lines at the middle or one side, over the whole height."""
    size = height * float(rng.uniform(0.022, 0.04))
    middle = width * float(rng.choice([0.25, 0.5, 0.75]))
    boxes: list[Box] = []
    foot = float(rng.uniform(0, size * 3))
    while foot < height + size:
        if rng.random() < 0.78:
            boxes.append(_outlined(canvas, _line(rng, middle, foot, size, 9), size * 0.1, 0xFFFFFFFF))
        foot += size * 1.9
    return boxes


def draw_logo(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> list[Box]:
    """A faint channel logo in a corner."""
    size = height * float(rng.uniform(0.03, 0.06))
    count = int(rng.integers(2, 5))
    left = width * 0.03 if rng.random() < 0.3 else width * 0.97 - count * size * 1.08
    foot = height * 0.05 + size if rng.random() < 0.7 else height * 0.96
    path = glyph_line(rng, count, left, foot, size)
    paint = skia.Paint(AntiAlias=True, Color=0x99FFFFFF, Style=skia.Paint.kStroke_Style, StrokeWidth=size * 0.12)
    canvas.drawPath(path, paint)
    return [_box(path, size * 0.06)]


def draw_watermark(canvas: skia.Canvas, rng: np.random.Generator, width: int, height: int) -> list[Box]:
    """One faint slanting line of words across the frame."""
    text = WORDS[int(rng.integers(len(WORDS)))]
    size = width * 0.7 / max(latin_width(text, 1.0), 1.0)
    path = latin_line(text, width * 0.15, height * float(rng.uniform(0.35, 0.75)), size)
    turn = skia.Matrix()
    turn.setRotate(float(rng.uniform(-30, 30)), width / 2, height / 2)
    path.transform(turn)
    paint = skia.Paint(
        AntiAlias=True, Color=skia.Color(255, 255, 255, int(rng.integers(40, 120))), Style=skia.Paint.kStroke_Style,
        StrokeWidth=size * 0.12,
    )  # fmt: skip
    canvas.drawPath(path, paint)
    return [_box(path, size * 0.06)]


def _outlined(canvas: skia.Canvas, path: skia.Path, width: float, tone: int) -> Box:
    paint = skia.Paint(AntiAlias=True, Style=skia.Paint.kStroke_Style)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    for scale, ink in ((2.4, 0xFF101014), (1.0, tone)):
        paint.setStrokeWidth(width * scale)
        paint.setColor(ink)
        canvas.drawPath(path, paint)
    return _box(path, width * 1.2)


def _box(path: skia.Path, margin: float) -> Box:
    bounds = path.computeTightBounds()
    return (bounds.left() - margin, bounds.top() - margin, bounds.right() + margin, bounds.bottom() + margin)

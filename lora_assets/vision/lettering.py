"""Lettering laid over a figure: lines as of subtitles, and half-transparent words as of watermarks.

Where letters lie is told by the letter finder (`letter_map`) around the figure, what half-transparent white does to its
grounds by `faint_words`, further to both sides; what makes lettering of these signs are the two logistic regressions
here, as plain numbers. What a value means for the score does not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision import faint_words
from lora_assets.vision.cutout import CutOut, once_per_cutout
from lora_assets.vision.faint_words import Word, find_word
from lora_assets.vision.images import RgbImage
from lora_assets.vision.letter_map import CELL, HEIGHT, STEP, letter_map
from lora_assets.vision.masks import BoolMask

# Lengths are shares of the frame's height; a frame much taller than wide counts as one and a half times as tall.
_REACH, _FAR, _TALLEST = 0.1, 1.0, 1.5
_LEAST_SIDE = 12
_LIKELY = 0.5
# Of 590 drawn words that were told, one was less sure; a third of all crops is, and costs less so.
_LEAST_SURE = 0.1
_FAINT_AT_MOST = 0.11

LINE_SIGNS = (
    "cells of lines over the figure (logarithm)", "the same beside it", "their share of the figure",
    "how sure those over the figure are, 0 to 1", "how sure all of them are, 0 to 1",
    "cells of faint words over the figure (logarithm)", "how much dots or lines are in the picture, 0 to 1",
)  # fmt: skip
WORD_SIGNS = (
    "cells of faint words over the figure (logarithm)", "the same beside it", "their share of the figure",
    "how sure those over the figure are, 0 to 1", "how sure all of them are, 0 to 1",
    "cells of lines over the figure (logarithm)", "1: no opacity stands out", *faint_words.SIGNS,
)  # fmt: skip
# Where "how sure those over the figure are" stands among the signs.
_SURE = 3
# Weights of the signs, and the constants, as `python -m lora_assets.benchmarks.tier_lettering` prints them: above 0 it
# is lettering.
LINES = ((0.9739, 0.4707, 9.443, 8.151, 5.837, 0.2811, -1.188), -17.61)
WORDS = (
    (-0.7532, 0.6761, 1.091, 4.595, 1.03, -0.009858, 4.368, 1.492, 2.486, -5.253,
     -0.05883, 1.508, -0.04828, 0.8621, -0.1508, 0.8545, 4.156, 0.3185, -0.2879),
    -15.03,
)  # fmt: skip

Regression = tuple[tuple[float, ...], float]
Signs = npt.NDArray[np.float64]
Cells = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Letters:
    """What was found at a figure: the shares (0..1) of it under lines and under faint words if they are lettering, and
    the signs of that (see LINE_SIGNS, WORD_SIGNS; None: hardly anything like words is over the figure)."""

    line_share: float
    word_share: float
    line_signs: Signs
    word_signs: Signs | None


def text_over(cut: CutOut) -> float | None:
    """Share 0..1 of the figure that lies under lettering; None without pixels. Faint words count for at most 0.11:
    what is drawn can still be seen through them."""
    if not cut.area:
        return None
    found = find_letters(cut)
    if found is None:
        return 0.0
    lines = found.line_share if is_lettering(found.line_signs, LINES) else 0.0
    is_word = found.word_signs is not None and is_lettering(found.word_signs, WORDS)
    words = found.word_share if is_word else 0.0
    return max(lines, min(_FAINT_AT_MOST, words))


def is_lettering(signs: Signs, regression: Regression) -> bool:
    """True when the evidence of the signs (weighted sum and constant: the logarithm of the odds) is above 0."""
    weights, constant = regression
    return float(np.dot(weights, signs)) + constant > 0.0


@once_per_cutout
def find_letters(cut: CutOut) -> Letters | None:
    """What may be lettering over a figure; None where there is too little of a frame for letters."""
    seen = _strip_of(cut) if cut.area else None
    if seen is None:
        return None
    first, last = seen.columns
    lines, words = letter_map(np.ascontiguousarray(seen.picture[:, first:last]))
    figure = _in_cells(seen.figure[:, first:last], lines.shape)
    tone = _tone(seen.picture)
    of_lines = np.array((*_cell_signs(lines, words, figure), min(tone, 60.0) / 60.0), np.float64)
    of_words = _cell_signs(words, lines, figure)
    if of_words[_SURE] < _LEAST_SURE:
        return Letters(_share_of(figure, lines), 0.0, of_lines, None)
    word = find_word(seen.picture, seen.figure, HEIGHT, tone)
    return Letters(
        _share_of(figure, lines),
        max(_share_of(figure, words), 0.0 if word is None else _share_under(word, seen.figure)),
        of_lines,
        np.array((*of_words, *_opacity_signs(word)), np.float64),
    )


def _cell_signs(own: Cells, other: Cells, figure: Cells) -> tuple[float, ...]:
    on, everywhere = own * figure, float(own.sum())
    over = float(on.sum())
    return (
        float(np.log1p(over)), float(np.log1p(max(0.0, everywhere - over))), over / float(figure.sum()),
        float((on * own).sum()) / max(over, 1e-6), float((own * own).sum()) / max(everywhere, 1e-6),
        float(np.log1p(float((other * figure).sum()))),
    )  # fmt: skip


def _opacity_signs(word: Word | None) -> tuple[float, ...]:
    return (1.0, *(0.0 for _ in faint_words.SIGNS)) if word is None else (0.0, *(float(sign) for sign in word.signs))


def _share_of(figure: Cells, likely: Cells) -> float:
    return float(figure[likely > _LIKELY].sum()) / float(figure.sum())


def _share_under(word: Word, figure: BoolMask) -> float:
    return int(np.count_nonzero(word.under(figure.shape) & figure)) / int(np.count_nonzero(figure))


def _in_cells(figure: BoolMask, shape: tuple[int, ...]) -> Cells:
    """How much of each cell (0..1) the figure covers."""
    rows, columns = shape
    whole = np.zeros((rows * CELL, columns * CELL), np.float32)
    whole[: figure.shape[0], : figure.shape[1]] = figure
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """The frame around a figure at work size, as wide as a word may reach to both sides, the figure in it, and the
    columns near the figure."""

    picture: RgbImage
    figure: BoolMask
    columns: tuple[int, int]


def _strip_of(cut: CutOut) -> _Strip | None:
    """None where there is too little of a frame for letters. A faint word is told by what it does to all the grounds
    that it crosses, also beside the figure."""
    width, height = cut.frame_size
    tall = min(float(height), _TALLEST * width)
    scale = min(1.0, HEIGHT / tall)
    x, y, wide, high = cut.window
    top, bottom = _span(y, high, height, _REACH * tall, scale)
    near = _span(x, wide, width, _REACH * tall, scale)
    left, right = max(0, min(near[0], round(x - _FAR * tall))), min(width, max(near[1], round(x + wide + _FAR * tall)))
    picture = cut.image[top:bottom, left:right]
    figure = cut.subject.covers((left, top, right - left, bottom - top))
    if scale < 1.0:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        figure = cv2.resize(figure.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    first = round((near[0] - left) * scale)
    last = min(picture.shape[1], max(first + 1, round((near[1] - left) * scale)))
    if min(picture.shape[0], last - first) < _LEAST_SIDE or not figure[:, first:last].any():
        return None
    return _Strip(np.ascontiguousarray(picture), figure, (first, last))


def _span(start: int, length: int, most: int, reach: float, scale: float) -> tuple[int, int]:
    """From where to where a side of the frame (0 to `most` pixels) is looked at: the figure's part of it and `reach` on
    both sides, and as much more as fills the network's steps at work size."""
    first, last = max(0.0, start - reach), min(float(most), start + length + reach)
    wanted = min(float(most), -(-(last - first) * scale // STEP) * STEP / scale)
    first = max(0.0, min(first - (wanted - (last - first)) / 2, most - wanted))
    return round(first), min(most, round(first + wanted))


def _tone(picture: RgbImage) -> float:
    """How far pixels differ from the mean of the 25 around them, in levels: drawn pictures by 1 to 12, pictures printed
    in dots or lines by 20 to 60."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return float(cv2.mean(cv2.absdiff(grey, cv2.blur(grey, (5, 5))))[0])

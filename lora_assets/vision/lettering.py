"""Lettering laid over a figure: outlined lines as of subtitles, and half-transparent white words as of watermarks.

Looked for at the size of a frame 360 pixels high, where a stroke of a subtitle is two or three pixels wide. Candidates
and their signs come from `outlined_lines` and `faint_words`; what makes lettering of them are the two logistic
regressions here, as plain numbers. What a value means for the score does not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import CutOut
from lora_assets.vision.faint_words import Word, find_word
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.outlined_lines import Rectangle, Row, find_rows

_HEIGHT = 360
_REACH = 0.2
_LEAST_SIDE = 12
_FAINT_AT_MOST = 0.11
# Weights of outlined_lines.SIGNS and of faint_words.SIGNS, and the constants, as
# `python -m lora_assets.benchmarks.tier_lettering` prints them: above 0 it is lettering.
OUTLINED_LINE = ((2.366, 17.96, 15.7, 15.24, 2.449, -2.623, 1.376, -2.179, 12.15, -3.352, -0.03973), -39.5)
FAINT_WORD = ((2.957, 4.986, -6.814, 0.03156, 2.359, 0.645, 0.8569, 0.07945, 3.758, 6.007, 5.483, 2.078), -33.71)

Regression = tuple[tuple[float, ...], float]


def text_over(cut: CutOut) -> float | None:
    """Share 0..1 of the figure that lies under lettering; None without pixels. Faint words count for at most 0.11:
    what is drawn can still be seen through them."""
    if not cut.area:
        return None
    seen = _strip_of(cut)
    if seen is None:
        return 0.0
    area = int(np.count_nonzero(seen.figure))
    outlined = np.zeros_like(seen.figure)
    near = outlined[:, seen.columns[0] : seen.columns[1]]
    for row in _rows(seen, cut):
        if is_lettering(row.signs, OUTLINED_LINE):
            near[row.part] |= row.under
    shares = [int(np.count_nonzero(outlined & seen.figure)) / area]
    word = find_word(seen.picture, seen.figure, seen.frame_height, seen.tone)
    if word is not None and is_lettering(word.signs, FAINT_WORD):
        under = int(np.count_nonzero(word.under(seen.figure.shape) & seen.figure))
        shares.append(min(_FAINT_AT_MOST, under / area))
    return max(shares)


def is_lettering(signs: npt.NDArray[np.float64], regression: Regression) -> bool:
    """True when the evidence of the signs (weighted sum and constant: the logarithm of the odds) is above 0."""
    weights, constant = regression
    return float(np.dot(weights, signs)) + constant > 0.0


def line_candidates(cut: CutOut) -> list[Row]:
    """What may be outlined lines near a figure; the `part` of each is the whole frame (HxW)."""
    seen = _strip_of(cut) if cut.area else None
    if seen is None:
        return []
    width, height = cut.frame_size
    found = []
    for row in _rows(seen, cut):
        strip = np.zeros(seen.figure.shape, np.uint8)
        strip[:, seen.columns[0] : seen.columns[1]][row.part] = row.under
        rows = min(height - seen.top, round(len(strip) / seen.scale))
        under = np.zeros((height, width), np.bool_)
        under[seen.top : seen.top + rows] = cv2.resize(strip, (width, rows), interpolation=cv2.INTER_NEAREST) > 0
        found.append(Row(row.signs, np.s_[:height, :width], under))
    return found


def word_candidate(cut: CutOut) -> Word | None:
    """What may be a faint word; None where there is hardly anything like one."""
    seen = _strip_of(cut) if cut.area else None
    return None if seen is None else find_word(seen.picture, seen.figure, seen.frame_height, seen.tone)


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """The rows of the frame around a figure at work size, the figure in them, the frame's height there, the first row
    in the frame, the scale (pixels here / pixels of the frame), the columns near the figure, and the tone."""

    picture: RgbImage
    figure: BoolMask
    frame_height: int
    top: int
    scale: float
    columns: tuple[int, int]
    tone: float


def _strip_of(cut: CutOut) -> _Strip | None:
    """None where there is too little of a frame for letters. A faint word is told by what it does to all the grounds
    that it crosses, also beside the figure: the strip is as wide as the frame."""
    width, height = cut.frame_size
    reach = round(_REACH * height)
    _, y, _, h = cut.window
    top, bottom = max(0, y - reach // 4), min(height, y + h + reach // 4)
    strip, figure = cut.image[top:bottom], cut.subject.covers((0, top, width, bottom - top))
    scale = min(1.0, _HEIGHT / height)
    if scale < 1.0:
        size = (max(1, round(strip.shape[1] * scale)), max(1, round(strip.shape[0] * scale)))
        strip = np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA), np.uint8)
        figure = cv2.resize(figure.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if min(strip.shape[:2]) < _LEAST_SIDE or not figure.any():
        return None
    frame_height = round(height * scale)
    inside = np.flatnonzero(figure.any(axis=0))
    reach = round(_REACH * frame_height)
    columns = (max(0, int(inside[0]) - reach), min(strip.shape[1], int(inside[-1]) + 1 + reach))
    return _Strip(np.ascontiguousarray(strip), figure, frame_height, top, scale, columns, _tone(strip))


def _tone(strip: RgbImage) -> float:
    """How far pixels differ from the mean of the 25 around them, in levels: drawn pictures by 1 to 12, pictures printed
    in dots or lines by 20 to 60."""
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)
    return float(cv2.mean(cv2.absdiff(grey, cv2.blur(grey, (5, 5))))[0])


def _rows(seen: _Strip, cut: CutOut) -> list[Row]:
    """Candidates near the figure. Eyes, glasses and the gloss of hair are as bright and as outlined as letters: heads
    are told with their hair."""
    left, right = seen.columns
    heads: list[Rectangle] = []
    for head in cut.heads:
        hair = max(0.0, head.height - (head.box[3] - head.box[1]))
        x1, x2 = (int(value * seen.scale) - left for value in (head.box[0] - hair, head.box[2] + hair))
        y1, y2 = (int((value - seen.top) * seen.scale) for value in (head.box[1] - hair, head.box[3]))
        heads.append((x1, y1, x2, y2))
    part = np.ascontiguousarray(seen.picture[:, left:right])
    return find_rows(part, seen.figure[:, left:right], heads, seen.frame_height, seen.tone)

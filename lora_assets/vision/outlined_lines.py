"""Outlined lines over a picture, as of subtitles: white or yellow strokes with black around them, many in one row.

Every row of such strokes is a candidate; signs of it tell lettering from gloss, eyes, hatching and printed dots. What a
value means for the score does not belong here (checks), nor what lies under faint words (faint_words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask

# Lengths are shares of the frame's height.
_STROKE = 0.008
_LEAST_LETTER, _MOST_LETTER = 0.015, 0.12
_REACH, _ROWS, _BEGINNINGS = 0.2, 0.03, 2.0
_SHORTEST, _TALLEST, _FEWEST, _LEAST_INK = 0.07, 0.3, 2, 30

SIGNS = (
    "strokes (logarithm)", "share of the row's area that they fill", "share of them next to black",
    "share of all outlined bright pixels that are in strokes of a letter's size", "the same of all bright pixels",
    "share of them in one head", "share of them beside the figure",
    "median width of them, in hundredths of the frame's height",
    "median height of them, in tenths of the frame's height", "how much dots or lines are in the picture",
    "strokes in a length of the frame's height",
)  # fmt: skip

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What may be a line of lettering: its signs (see SIGNS), the part of the picture (rows, columns) in which it lies,
    and the pixels of that part that it lies on: a long strip has thousands of lines."""

    signs: npt.NDArray[np.float64]
    part: tuple[slice, slice]
    under: BoolMask


def find_rows(
    strip: RgbImage, figure: BoolMask, heads: Sequence[Rectangle], frame_height: int, tone: float
) -> list[Row]:
    """The candidates in a picture HxWx3 of a frame of that height: rows of white or yellow strokes thinner than 2 % of
    the frame's height with black beside them, so many that a piece as long as a fifth of the frame's height begins two
    of them in the mean of its rows. `figure` (HxW): where the figure is; `heads` (x1, y1, x2, y2) with their hair;
    `tone`: mean difference of pixels from those around them."""
    bright = _bright(strip)
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)
    side = 2 * max(1, round(_STROKE * frame_height)) + 3
    outlined = _outlined(grey, bright, side)
    strokes = None if outlined is None else _of_letter_size(outlined, frame_height)
    if outlined is None or strokes is None or np.count_nonzero(strokes) < _LEAST_INK:
        return []
    black = cv2.erode(grey, np.ones((5, 5), np.uint8)) < 60
    count, labels, boxes = _rows_of(strokes, frame_height)
    found: list[Row] = []
    for index in range(1, count):
        left, top, wide, tall = (int(value) for value in boxes[index, :4])
        part = np.s_[top : top + tall, left : left + wide]
        inside = labels[part] == index
        own = strokes[part] & inside
        ink = int(np.count_nonzero(own))
        if ink < _LEAST_INK or tall > _TALLEST * frame_height:
            continue
        columns = np.flatnonzero(own.any(axis=0))
        length = int(columns[-1]) + 1 - int(columns[0])
        _, _, pieces, _ = cv2.connectedComponentsWithStats(own.view(np.uint8), connectivity=8)
        heights = pieces[1:, cv2.CC_STAT_HEIGHT][pieces[1:, cv2.CC_STAT_AREA] >= 4]
        if length < _SHORTEST * frame_height or len(heights) < _FEWEST:
            continue
        in_head = max((_count_in(own, head, left, top) for head in heads), default=0)
        signs = (
            np.log(len(heights)), ink / np.count_nonzero(inside), np.count_nonzero(black[part] & own) / ink,
            ink / np.count_nonzero(outlined[part] & inside), ink / np.count_nonzero(bright[part] & inside),
            in_head / ink, np.count_nonzero(own & ~figure[part]) / ink, 100 * _median_width(own) / frame_height,
            10 * float(np.median(heights)) / frame_height, min(tone, 60.0) / 60.0, len(heights) * frame_height / length,
        )  # fmt: skip
        # The search window is wider than the letters: the line ends where its strokes end.
        inside[:, : max(0, int(columns[0]) - side)] = False
        inside[:, int(columns[-1]) + side :] = False
        found.append(Row(np.array(signs, np.float64), part, inside))
    return found


def _bright(strip: RgbImage) -> BoolMask:
    """Which pixels are white or yellow, as subtitles are."""
    red, green, blue = cv2.split(strip)
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    white = (least >= 196) & (cv2.subtract(most, least) <= 28)
    yellow = (cv2.min(red, green) >= 190) & (blue <= cv2.convertScaleAbs(red, alpha=0.72))
    return np.asarray(white | yellow, np.bool_)


def _outlined(grey: npt.NDArray[np.uint8], bright: BoolMask, side: int) -> BoolMask | None:
    """The bright pixels of what is thinner than `side` pixels and has black in the square of that side around it; None
    where these are hardly any."""
    if np.count_nonzero(bright) < _LEAST_INK:
        return None
    square = np.ones((side, side), np.uint8)
    thin = (cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, square) >= 70) & bright
    if np.count_nonzero(thin) < _LEAST_INK:
        return None
    outlined = np.asarray(thin & (cv2.erode(grey, square) <= 60), np.bool_)
    return outlined if np.count_nonzero(outlined) >= _LEAST_INK else None


def _of_letter_size(strokes: BoolMask, frame_height: int) -> BoolMask:
    """The pieces as large as letters, 1.5 to 12 % of the frame's height: the dots of a printed tone are smaller."""
    kept = np.zeros_like(strokes)
    x, y, width, height = cv2.boundingRect(strokes.view(np.uint8))
    part = np.s_[y : y + height, x : x + width]
    inside = np.ascontiguousarray(strokes[part]).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    wide, tall = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    keep = (np.maximum(wide, tall) >= _LEAST_LETTER * frame_height) & (tall <= _MOST_LETTER * frame_height)
    keep[0] = False
    kept[part] = keep[np.asarray(labels, np.int32)]
    return kept


def _rows_of(strokes: BoolMask, frame_height: int) -> tuple[int, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where many strokes begin side by side: how many such places there are and one, which pixels lie in which, and
    their boxes as OpenCV gives them."""
    begins = np.zeros(strokes.shape, np.float32)
    begins[:, 1:] = strokes[:, 1:] & ~strokes[:, :-1]
    span, rows = max(9, round(_REACH * frame_height)), max(5, round(_ROWS * frame_height))
    begun = cv2.boxFilter(begins, -1, (span, rows), normalize=False, borderType=cv2.BORDER_CONSTANT) / rows
    many = (begun >= _BEGINNINGS).astype(np.uint8)
    many = cv2.morphologyEx(many, cv2.MORPH_CLOSE, np.ones((3, span // 2 | 1), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(many, connectivity=8)
    return count, np.asarray(labels, np.int32), np.asarray(boxes, np.int32)


def _count_in(strokes: BoolMask, box: Rectangle, left: int, top: int) -> int:
    """How many pixels of a part, which begins at `left` and `top` of the picture, lie in a box of the picture."""
    x1, y1, x2, y2 = box
    return int(np.count_nonzero(strokes[max(0, y1 - top) : max(0, y2 - top), max(0, x1 - left) : max(0, x2 - left)]))


def _median_width(strokes: BoolMask) -> float:
    """The median length in pixels of the runs of strokes along the rows."""
    steps = np.diff(np.pad(strokes.view(np.int8), ((0, 0), (1, 1))), axis=1)
    return float(np.median(np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1]))

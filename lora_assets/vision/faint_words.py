"""Faint words over a picture: half-transparent white strokes, as of watermarks, told by what they do to their grounds.

White of one opacity takes every colour the same share of the way to white, on any ground; what is drawn in a picture
hardly ever does. So one looks for the opacity that stands out among all such steps, then for all steps of it: a word
has many, on several grounds, going all ways, in one slanting band. What a value means for the score does not belong
here (checks), nor what is lettering in the end (lettering).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask

_ACROSS = 4
_LEAST_GAIN, _AGREE = 10, 4.0
_KNOWN_GAIN, _KNOWN_AGREE = 16, 6
_LEAST_OPACITY, _MOST_OPACITY = 0.3, 0.72
# The height of the slanting band, as a share of the frame's.
_BAND = 0.3
# Of 976 drawn words two had less of either.
_FEWEST, _LEAST_PEAK = 60, 3.3

SIGNS = (
    "how far the most frequent opacity stands out from its neighbours, in standard deviations (logarithm)",
    "share of its first steps in one slanting band", "share of them from the most frequent colour of ground",
    "colours of ground of them, at most 8", "share of them from grounds of clear colour, at most a half",
    "all steps of the opacity (logarithm)", "steps on the figure (logarithm)", "colours of ground",
    "level and upright steps, the fewer / the more",
    "steps one way and back, the fewer / the more", "share of the steps in one slanting band",
    "how much dots or lines are in the picture, 0 to 1",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """What may be a word: its signs (see SIGNS), and where the edges of its strokes are (rows, columns)."""

    signs: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]

    def under(self, shape: tuple[int, int]) -> BoolMask:
        """The surroundings (2 pixels) of the edges, in a picture of `shape`."""
        marks = np.zeros(shape, np.uint8)
        marks[self.rows, self.columns] = 1
        return cv2.dilate(marks, np.ones((5, 5), np.uint8)) > 0


def find_word(strip: RgbImage, figure: BoolMask, frame_height: int, tone: float) -> Word | None:
    """The steps of the most frequent opacity in a picture HxWx3 of a frame of that height, whether they are a word or
    not; None where no opacity stands out. `figure` (HxW): where the figure is; `tone`: mean difference of pixels from
    those around them, in levels."""
    if min(strip.shape[:2]) <= _ACROSS:
        return None
    steps = _steps_to_white(strip)
    first = _most_frequent_opacity(steps, frame_height)
    if first is None:
        return None
    strokes = _steps_of_opacity(strip, first.opacity)
    count = len(strokes.rows)
    if count < _FEWEST:
        return None
    ways = np.maximum(np.bincount(strokes.way, minlength=4), 1).astype(np.float64)
    upright, level = ways[0] + ways[1], ways[2] + ways[3]
    colours = _colours(strokes.ground)
    signs = (
        *first.signs,
        np.log1p(count),
        np.log1p(np.count_nonzero(figure[strokes.rows, strokes.columns])),
        np.count_nonzero(colours >= max(4.0, 0.03 * count)),
        min(upright, level) / max(upright, level),
        0.5 * (ways[:2].min() / ways[:2].max() + ways[2:].min() / ways[2:].max()),
        _share_in_band(strokes.rows, strokes.columns, _BAND * frame_height),
        min(tone, 60.0) / 60.0,
    )
    return Word(np.array(signs, np.float64), strokes.rows, strokes.columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps from a ground to something lighter: what share of the way to white they go (0..1), the ground's colour
    (N,3), and where they are (rows, columns)."""

    opacity: npt.NDArray[np.float32]
    ground: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pixels of every other row and others four pixels on, as one line of pixels (1xNx3): what a step goes to, the
    ground that it comes from, which way (0 to 3: right, left, down, up), and the width of the picture."""

    light: RgbImage
    ground: RgbImage
    way: int
    width: int

    def middles(self, places: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows and columns in the picture of the middles of the steps at these places of the line."""
        rows, columns = np.divmod(places.astype(np.int64), self.width)
        middle = _ACROSS // 2
        return (2 * rows + middle, columns) if self.way >= 2 else (2 * rows, columns + middle)

    def inside(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """The places whose two pixels lie in one row: a line of pixels goes on in the next."""
        return places if self.way >= 2 else places[places % self.width < self.width - _ACROSS]


def _across(strip: RgbImage) -> Iterator[_Pairs]:
    """All pairs of pixels, one way and back, along the columns and the rows."""
    half = np.ascontiguousarray(strip[::2])
    width = half.shape[1]
    line = half.reshape(1, -1, 3)
    for down in (True, False):
        step = _ACROSS // 2 * width if down else _ACROSS
        one, two = line[:, step:], line[:, :-step]
        yield _Pairs(one, two, 2 * down, width)
        yield _Pairs(two, one, 2 * down + 1, width)


def _steps_to_white(strip: RgbImage) -> _Steps:
    """Every other row's steps over four pixels in which red, green and blue go the same share of the way
    to white, to 4 levels: white of that opacity does so on any ground, what is drawn in the picture hardly ever does.
    """
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    parts = []
    for pairs in _across(strip):
        gain = cv2.subtract(pairs.light, pairs.ground)
        red, green, blue = cv2.split(gain)
        # By places in one line: picking by rows and columns takes three times as long.
        places = pairs.inside(np.flatnonzero(cv2.min(cv2.min(red, green), blue) >= _LEAST_GAIN))
        under = pairs.ground[0].take(places, axis=0).astype(np.float32)
        room = 255.0 - under
        gained = gain[0].take(places, axis=0).astype(np.float32)
        opacity = (gained[:, 0] + gained[:, 1] + gained[:, 2]) / np.maximum(room[:, 0] + room[:, 1] + room[:, 2], 1)
        off = np.abs(gained - opacity[:, None] * room)
        agrees = np.maximum(np.maximum(off[:, 0], off[:, 1]), off[:, 2]) <= _AGREE
        agrees &= (opacity >= 0.2) & (opacity <= 0.8)
        parts.append((opacity[agrees].astype(np.float32), under[agrees], *pairs.middles(places[agrees])))
    return _Steps(*(np.concatenate(each) for each in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _First:
    """The opacity that stands out most (0..1), and the signs of its steps."""

    opacity: float
    signs: tuple[float, ...]


def _most_frequent_opacity(steps: _Steps, frame_height: int) -> _First | None:
    """The opacity from 0.3 to 0.72 that stands out most among the steps; None where fewer than 60 have it, or it
    stands out by less than 3.3 standard deviations."""
    counts = np.bincount((steps.opacity * 100).astype(np.int64), minlength=101).astype(np.float64)
    near = np.convolve(counts, np.ones(5), "same")
    around = (np.convolve(counts, np.ones(21), "same") - near) * (5 / 16)
    stands_out = (near - around) / np.sqrt(near + around + 10.0)
    least = round(100 * _LEAST_OPACITY)
    peak = least + int(np.argmax(stands_out[least : round(100 * _MOST_OPACITY)]))
    which = np.flatnonzero(np.abs(steps.opacity - (peak + 0.5) / 100) <= 0.025)
    count = len(which)
    if count < _FEWEST or stands_out[peak] < _LEAST_PEAK:
        return None
    ground = steps.ground[which]
    colours = _colours(ground)
    signs = (
        float(np.log(stands_out[peak])),
        _share_in_band(steps.rows[which], steps.columns[which], _BAND * frame_height),
        float(colours.max()) / count,
        min(8.0, float(np.count_nonzero(colours >= max(4.0, 0.03 * count)))),
        min(0.5, float(np.mean(np.ptp(ground, axis=1) > 30))),
    )
    return _First(float(np.median(steps.opacity[which])), signs)


@dataclass(frozen=True, slots=True, eq=False)
class _Strokes:
    """Steps to white of one known opacity: where they are (rows, columns), the ground's colour (N,3), and which way
    they go (0 to 3: right, left, down, up)."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    ground: npt.NDArray[np.uint8]
    way: npt.NDArray[np.int64]


def _steps_of_opacity(strip: RgbImage, opacity: float) -> _Strokes:
    """Every other row's steps over four pixels that white of this opacity makes, to 6 levels, where any
    channel has 16 or more to gain: also on skin and pink hair, whose red is white already."""
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]] = []
    for pairs in _across(strip):
        gain = cv2.convertScaleAbs(pairs.ground, alpha=-opacity, beta=255 * opacity)
        red, green, blue = cv2.split(cv2.absdiff(pairs.light, cv2.add(pairs.ground, gain)))
        off = cv2.max(cv2.max(red, green), blue)
        red, green, blue = cv2.split(gain)
        places = (off <= _KNOWN_AGREE) & (cv2.max(cv2.max(red, green), blue) >= _KNOWN_GAIN)
        found = pairs.inside(np.flatnonzero(places))
        way = np.full(len(found), pairs.way, np.int64)
        parts.append((*pairs.middles(found), pairs.ground[0].take(found, axis=0), way))
    return _Strokes(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _colours(ground: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many colours (N,3) fall in each of the 512 cubes of 32 levels."""
    return np.bincount((ground.astype(np.int32) >> 5) @ np.array([64, 8, 1], np.int32), minlength=512)


def _share_in_band(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], width: float) -> float:
    """The largest share of points that lie in one band of `width` that slants by at most 33 degrees; of about 300 of
    them."""
    places = np.column_stack((columns, rows))[:: max(1, len(rows) // 300)].astype(np.float64)
    best = 0
    for angle in np.deg2rad(np.arange(-33, 34, 6)):
        across = np.sort(places @ np.array([-np.sin(angle), np.cos(angle)]))
        best = max(best, int((np.searchsorted(across, across + width, "right") - np.arange(len(across))).max()))
    return best / len(places)

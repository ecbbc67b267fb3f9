"""Faint words over a picture: half-transparent white strokes, as of watermarks, told by what they do to their grounds.

White of one opacity takes every colour the same share of the way to white, on any ground; what is drawn in a picture
hardly ever does. So one looks for the opacity that stands out among all such steps, then for all steps of it: a word
has many, on several grounds, going all ways, in one slanting band. What a value means for the score does not belong
here (checks), nor what lies under other lettering (outlined_lines).
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


def _across(strip: RgbImage) -> Iterator[tuple[int, RgbImage, RgbImage]]:
    """Every other column and row with itself four pixels on: which way the step goes (0 to 3: right, left, down, up),
    what it goes to, and the ground that it comes from."""
    for down in (True, False):
        half = np.ascontiguousarray(strip[:, ::2] if down else strip[::2])
        one = np.ascontiguousarray(half[_ACROSS:] if down else half[:, _ACROSS:])
        two = np.ascontiguousarray(half[:-_ACROSS] if down else half[:, :-_ACROSS])
        yield 2 * down, one, two
        yield 2 * down + 1, two, one


def _middles(places: npt.NDArray[np.intp], width: int, way: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns in the picture of the middles of steps, from their places in the pixels of a part as `_across`
    gives it, of that width."""
    rows, columns = np.divmod(places.astype(np.int64), width)
    middle = _ACROSS // 2
    return (rows + middle, 2 * columns) if way >= 2 else (2 * rows, columns + middle)


def _steps_to_white(strip: RgbImage) -> _Steps:
    """Every other row's and column's steps over four pixels in which red, green and blue go the same share of the way
    to white, to 4 levels: white of that opacity does so on any ground, what is drawn in the picture hardly ever does.
    """
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    parts = []
    for way, light, ground in _across(strip):
        gain = cv2.subtract(light, ground)
        red, green, blue = cv2.split(gain)
        # By places in one line: picking by rows and columns takes three times as long.
        places = np.flatnonzero(cv2.min(cv2.min(red, green), blue) >= _LEAST_GAIN)
        under = ground.reshape(-1, 3)[places].astype(np.float32)
        room = 255.0 - under
        gained = gain.reshape(-1, 3)[places].astype(np.float32)
        opacity = (gained[:, 0] + gained[:, 1] + gained[:, 2]) / np.maximum(room[:, 0] + room[:, 1] + room[:, 2], 1)
        off = np.abs(gained - opacity[:, None] * room)
        agrees = np.maximum(np.maximum(off[:, 0], off[:, 1]), off[:, 2]) <= _AGREE
        agrees &= (opacity >= 0.2) & (opacity <= 0.8)
        place = _middles(places[agrees], light.shape[1], way)
        parts.append((opacity[agrees].astype(np.float32), under[agrees], *place))
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
    """Every other row's and column's steps over four pixels that white of this opacity makes, to 6 levels, where any
    channel has 16 or more to gain: also on skin and pink hair, whose red is white already."""
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]] = []
    for way, light, ground in _across(strip):
        gain = cv2.convertScaleAbs(ground, alpha=-opacity, beta=255 * opacity)
        red, green, blue = cv2.split(cv2.absdiff(light, cv2.add(ground, gain)))
        off = cv2.max(cv2.max(red, green), blue)
        red, green, blue = cv2.split(gain)
        places = np.flatnonzero((off <= _KNOWN_AGREE) & (cv2.max(cv2.max(red, green), blue) >= _KNOWN_GAIN))
        place = _middles(places, light.shape[1], way)
        parts.append((*place, ground.reshape(-1, 3)[places], np.full(len(places), way, np.int64)))
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

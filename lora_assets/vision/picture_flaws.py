"""Flaws of the picture under a cut-out, measured inside the figure only: blur, combs of two fields, black bars, faded
contrast.

What a value means for the score does not belong here (checks), lettering over the figure neither (lettering).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import CutOut, once_per_cutout

_BAR_LEVEL = 20
_LEAST_BAR, _MOST_BAR = 0.02, 0.32
_COMB_STEP = 12
_LEAST_SLOPE = 6.0


def percentile(histogram: npt.NDArray[np.int64], share: float) -> int:
    """The lowest level at or under which `share` (0..1) of the counted pixels lie; 0 without pixels."""
    return int(np.searchsorted(np.cumsum(histogram), share * histogram.sum()))


# --- light and contrast ----------------------------------------------------------------------------------------------


def brightness(cut: CutOut) -> float:
    """The level 0..1 under which 99 % of the figure's pixels lie."""
    return percentile(cut.histogram, 0.99) / 255.0


def contrast(cut: CutOut) -> float | None:
    """The span of the luminance of the figure's middle 96 % over the lightest of it, 0..1; None without pixels.

    A fade to black does not change it (brightness tells that), a fade to white brings it to 0.
    """
    if not cut.area:
        return None
    light = percentile(cut.histogram, 0.98)
    return max(0, light - percentile(cut.histogram, 0.02)) / light if light else 0.0


def colour_spread(cut: CutOut) -> float:
    """The largest standard deviation of the three channels inside the mask, 0..128."""
    if not cut.area:
        return 0.0
    _, spread = cv2.meanStdDev(cut.colour, mask=cut.mask.astype(np.uint8))
    return float(spread.max())


# --- blur ------------------------------------------------------------------------------------------------------------


@once_per_cutout
def outline_sharpness(cut: CutOut) -> float | None:
    """How sharp the strongest edges inside the figure are, 0..1: 1 / (1 + sigma^2) for edges that are blurred by sigma
    pixels, so 1 sharp, 0.5 at one pixel, 0.2 at two, 0.1 at three.

    The gradient there over that of the picture blurred once more by one pixel is sqrt(1 + 1 / sigma^2) for a step
    (Zhuo and Sim, "Defocus map estimation from a single image", Pattern Recognition 44, 2011); the median over the
    strongest 3 %, so it depends neither on contrast nor on how much is drawn. Measured with the figure at most 512
    pixels high and wide, the size that training sees. None for a figure without any edge to measure.
    """
    scale = min(1.0, 512.0 / max(cut.grey.shape))
    grey, inner = cut.grey, cut.mask.astype(np.uint8)
    if scale < 1.0:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        inner = np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_NEAREST))
    inner = cv2.erode(inner, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if min(grey.shape) < 5 or np.count_nonzero(inner) < 100:
        return None
    level = grey.astype(np.float32)
    slope = _gradient(level)[inner]
    strong = slope >= max(_LEAST_SLOPE, float(np.quantile(slope, 0.97)))
    if np.count_nonzero(strong) < 16:
        return None
    again = _gradient(np.asarray(cv2.GaussianBlur(level, (0, 0), 1.0), np.float32))[inner]
    ratio = float(np.median(slope[strong] / np.maximum(again[strong], 1e-3)))
    return float(np.clip(1.0 - 1.0 / max(ratio, 1.0) ** 2, 0.0, 1.0))


def _gradient(level: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Length of the central differences over two pixels; 0 at the border."""
    across, down = np.zeros_like(level), np.zeros_like(level)
    across[:, 1:-1] = level[:, 2:] - level[:, :-2]
    down[1:-1] = level[2:] - level[:-2]
    # cv2.magnitude rounds by where its arrays lie in memory, so that equal pixels would not give equal values.
    return np.sqrt(across * across + down * down)


# --- combs -----------------------------------------------------------------------------------------------------------


def comb_ratio(cut: CutOut) -> float | None:
    """Pixels of the figure in runs of five rows that alternate in level, over its pixels on upright edges, 0..1.

    In a frame of two fields every other row is from another moment: at each upright edge of what moved the rows
    alternate, while rows of one field agree. None for a figure with hardly any upright edge, or under 6 rows.
    """
    if cut.grey.shape[0] < 6 or cut.grey.shape[1] < 3:
        return None
    level = cut.grey.astype(np.int16)
    up, down = level[1:-1] - level[:-2], level[1:-1] - level[2:]
    least = np.minimum(np.abs(up), np.abs(down))
    alternates = (least >= _COMB_STEP) & ((up > 0) == (down > 0)) & (2 * np.abs(level[:-2] - level[2:]) < least)
    above, below = alternates & (up > 0), alternates & (up < 0)
    turns = (above[:-1] & below[1:]) | (below[:-1] & above[1:])
    runs = turns[:-2] & turns[1:-1] & turns[2:]
    inside = cut.mask[2:-3]
    edges = cut.mask[:, 1:] & (cv2.absdiff(cut.grey[:, 1:], cut.grey[:, :-1]) >= 2 * _COMB_STEP)
    upright = int(np.count_nonzero(edges))
    if upright < 32:
        return None
    return min(1.0, int(np.count_nonzero(runs & inside)) / upright)


# --- bars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bars:
    """Heights and widths in pixels of the black bars along the frame's four edges; 0 where there is none."""

    left: int
    top: int
    right: int
    bottom: int


def find_bars(image: npt.NDArray[np.uint8]) -> Bars:
    """The black bars of a frame HxWx3: rows (columns) without any level over 20, from 2 to 32 % of the frame's side,
    next to a row (column) that is clearly lit. A frame that is black up to its middle has no bars."""
    height, width = image.shape[:2]
    left = top = right = bottom = 0
    # Most frames have no bar: their outermost rows and columns tell it at once.
    if min(int(image[0].max()), int(image[-1].max())) <= _BAR_LEVEL:
        across = image[:, :: max(1, width // 256)].max(axis=(1, 2))
        top, bottom = _bar(across), _bar(across[::-1])
    if min(int(image[:, 0].max()), int(image[:, -1].max())) <= _BAR_LEVEL:
        down = image[:: max(1, height // 256)].max(axis=(0, 2))
        left, right = _bar(down), _bar(down[::-1])
    return Bars(left, top, right, bottom)


def _bar(brightest: npt.NDArray[np.uint8]) -> int:
    lit = np.flatnonzero(brightest > _BAR_LEVEL)
    size = int(lit[0]) if lit.size else len(brightest)
    if not _LEAST_BAR * len(brightest) <= size <= _MOST_BAR * len(brightest):
        return 0
    # One soft row may lie between a bar and the picture.
    return size if int(brightest[size : size + 3].max(initial=0)) > 3 * _BAR_LEVEL else 0


def bar_in_crop(cut: CutOut) -> float:
    """Share 0..1 of the mask that lies on the frame's black bars."""
    bars = find_bars(cut.image)
    width, height = cut.frame_size
    if not cut.area or not any((bars.left, bars.top, bars.right, bars.bottom)):
        return 0.0
    x, y, _, _ = cut.window
    inside = cut.mask[
        max(0, bars.top - y) : max(0, height - bars.bottom - y), max(0, bars.left - x) : max(0, width - bars.right - x)
    ]
    return 1.0 - int(np.count_nonzero(inside)) / cut.area

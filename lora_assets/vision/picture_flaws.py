"""Flaws of the picture under a cut-out, measured inside the figure only: blur, text laid over it, combs of two fields,
black bars, faded contrast.

What a value means for the score does not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import CutOut
from lora_assets.vision.masks import BoolMask

_BAR_LEVEL = 20
_LEAST_BAR, _MOST_BAR = 0.02, 0.32
_COMB_STEP = 12
_STROKE = 0.008
_LINE = 0.2
_SHORTEST, _TALLEST, _FILLED, _FEWEST, _OF_BAND = 0.26, 0.17, 0.22, 5, 0.12
_IN_HEAD, _BEYOND = 0.8, 0.1
_GROUNDS, _LARGEST_PIECE = 15, 0.5
_MOST_PIECES = 120


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


def outline_sharpness(cut: CutOut) -> float | None:
    """How steep the strongest edges inside the figure are, 0..1: 1 is a step within one pixel, 0.1 a soft slope.

    The gradient at the strongest edges (3 %) over the contrast in the 21x21 pixels around, median; so it depends
    neither on contrast nor on how much is drawn. On drawn scenes 0.7 sharp, 0.35 after a blur of sigma 2, 0.25 after
    sigma 3, 0.16 after sigma 5 (medians). Measured with the figure at most 512 pixels high and wide, the size
    that training sees. None for a figure without any edge to measure.
    """
    scale = min(1.0, 512.0 / max(cut.grey.shape))
    grey, inner = cut.grey, cut.mask.astype(np.uint8)
    if scale < 1.0:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        inner = np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_NEAREST))
    inner = cv2.erode(inner, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if min(grey.shape) < 3:
        return None
    slope = np.zeros_like(grey)
    slope[:, 1:-1] = cv2.absdiff(grey[:, 2:], grey[:, :-2])
    slope[1:-1] = cv2.max(slope[1:-1], cv2.absdiff(grey[2:], grey[:-2]))
    counts = np.bincount(slope[inner], minlength=256)
    strong = inner & (slope >= max(8, percentile(counts, 0.97)))
    if np.count_nonzero(strong) < 16:
        return None
    around = np.ones((21, 21), np.uint8)
    span = cv2.subtract(cv2.dilate(grey, around), cv2.erode(grey, around))[strong].astype(np.float64)
    # A central difference spans two pixels: a step of one pixel shows its whole contrast in it.
    return min(1.0, float(np.median(slope[strong] / np.maximum(span, 1.0))))


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
    across = image[:, :: max(1, width // 256)].max(axis=(1, 2))
    down = image[:: max(1, height // 256)].max(axis=(0, 2))
    top, bottom = _bar(across), _bar(across[::-1])
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


# --- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Lettering:
    """Strokes that look like one line of lettering, and the pixels that the line lies on."""

    strokes: BoolMask
    under: BoolMask


def text_over(cut: CutOut) -> float | None:
    """Share 0..1 of the figure that lies under lines of lettering; None without pixels.

    Looked for in the figure's rows, also left and right of the figure, where a line goes on: outlined lettering as of
    subtitles, and faint white lettering as of watermarks. What lies in one head is its eyes, glasses or the gloss of
    its hair, however alike; where no head was found, a line has to go on beyond the figure. So a word that lies in a
    face only is missed: on drawn crops most such finds were wrong.
    """
    if not cut.area:
        return None
    width, height = cut.frame_size
    reach = round(_LINE * height)
    x, y, w, h = cut.window
    left, right = max(0, x - reach), min(width, x + w + reach)
    strip = np.ascontiguousarray(cut.image[y : y + h, left:right])
    figure = np.zeros(strip.shape[:2], np.bool_)
    figure[:, x - left : x - left + w] = cut.mask
    under = np.zeros_like(figure)
    for line in (*_outlined_lines(strip, height), *_faint_line(strip, height)):
        if not _is_face(line.strokes, figure, cut, left, y):
            under |= line.under
    return int(np.count_nonzero(under & figure)) / cut.area


def _is_face(strokes: BoolMask, figure: BoolMask, cut: CutOut, left: int, top: int) -> bool:
    """True when four fifths of the strokes lie in one head, or no head is known and they do not leave the figure."""
    count = int(np.count_nonzero(strokes))
    for head in cut.heads:
        hair = max(0.0, head.height - (head.box[3] - head.box[1]))
        x1, x2 = int(head.box[0] - hair) - left, int(head.box[2] + hair) - left
        y1, y2 = int(head.box[1] - hair) - top, int(head.box[3]) - top
        if np.count_nonzero(strokes[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]) >= _IN_HEAD * count:
            return True
    return not cut.inside and int(np.count_nonzero(strokes & ~figure)) < _BEYOND * count


def _outlined_lines(strip: npt.NDArray[np.uint8], frame_height: int) -> list[_Lettering]:
    """Bands of white or yellow strokes, thinner than 2 % of the frame's height, with black beside them.

    So many side by side that a piece as long as a fifth of the frame's height begins 2.5 of them in the mean of its
    rows; the band at least 0.26 of the frame's height wide, at most 0.17 high (two lines), of five strokes or more,
    half of them at least an eighth of the band high, that fill 0.22 of it. Gloss and hatching are none of these.
    """
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)
    stroke = 2 * max(1, round(_STROKE * frame_height)) + 3
    square = np.ones((stroke, stroke), np.uint8)
    bright = (cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, square) >= 70) & (grey >= 150)
    outlined = bright & (cv2.erode(grey, square) <= 60)
    found: list[_Lettering] = []
    if np.count_nonzero(outlined) < 30:
        return found
    begins = np.zeros(grey.shape, np.float32)
    begins[:, 1:] = outlined[:, 1:] & ~outlined[:, :-1]
    span, rows = max(9, round(_LINE * frame_height)), max(5, round(0.03 * frame_height))
    crossed = cv2.boxFilter(begins, -1, (span, rows), normalize=False, borderType=cv2.BORDER_CONSTANT) / rows
    band = (crossed >= 2.5).astype(np.uint8)
    band = np.asarray(cv2.morphologyEx(band, cv2.MORPH_CLOSE, np.ones((3, span // 2 | 1), np.uint8)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(band, connectivity=8)
    for index in range(1, count):
        wide, tall = int(stats[index, cv2.CC_STAT_WIDTH]), int(stats[index, cv2.CC_STAT_HEIGHT])
        if tall > _TALLEST * frame_height or wide < _SHORTEST * frame_height:
            continue
        inside = labels == index
        strokes = outlined & inside
        _, _, pieces, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
        heights = pieces[1:, cv2.CC_STAT_HEIGHT][pieces[1:, cv2.CC_STAT_AREA] >= 4]
        if len(heights) < _FEWEST or np.median(heights) < _OF_BAND * tall:
            continue
        red, green, blue = np.percentile(strip[strokes], 60, axis=0)
        plain = min(red, green, blue) >= 228 or (min(red, green) >= 215 and blue < 0.75 * red)
        if plain and np.count_nonzero(strokes) >= _FILLED * np.count_nonzero(inside):
            # The search window is wider than the letters: the line ends where its strokes end.
            columns = np.flatnonzero(strokes.any(axis=0))
            inside[:, : max(0, columns[0] - stroke)] = False
            inside[:, columns[-1] + stroke :] = False
            found.append(_Lettering(strokes, inside))
    return found


def _faint_line(strip: npt.NDArray[np.uint8], frame_height: int) -> list[_Lettering]:
    """Half-transparent white strokes that stand in one line, slanting by at most 35 degrees.

    White of one opacity moves red, green and blue by the same share of what they lack to white; what is drawn in the
    picture hardly ever does. Strokes are what a morphological opening takes away; the most frequent opacity, from 0.17
    to 0.75, must make four pieces or more, none over half of them, in a line of at least 0.22 of the frame's height
    that holds 60 % of them. And the line must cross grounds 15 levels apart: a gloss of one ground has one opacity too.
    """
    side = round(0.045 * frame_height) | 1
    ground = cv2.morphologyEx(strip, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    gain = cv2.subtract(strip, ground)
    possible = (gain.min(axis=2) >= 10) & (ground.max(axis=2) < 215)
    if np.count_nonzero(possible) < 60:
        return []
    shares = gain[possible].astype(np.float32) / (255.0 - ground[possible])
    opacity = np.zeros(strip.shape[:2], np.float32)
    same = np.ptp(shares, axis=1) <= 0.07
    opacity[possible] = np.where(same, shares.mean(axis=1), 0.0)
    candidate = ((opacity >= 0.17) & (opacity <= 0.75)).astype(np.uint8)
    candidate = np.asarray(cv2.morphologyEx(candidate, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))) > 0
    if np.count_nonzero(candidate) < 60:
        return []
    counts = np.bincount((opacity[candidate] * 50).astype(np.int64), minlength=52)
    peak = (int(np.argmax(counts[:-2] + counts[1:-1] + counts[2:])) + 1.5) / 50
    strokes = candidate & (np.abs(opacity - peak) <= 0.03)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    large = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= 15)
    large = large[np.argsort(-stats[large, cv2.CC_STAT_AREA])][:_MOST_PIECES]
    if len(large) < 4:
        return []
    middles = np.asarray(centres[large], np.float64)
    places, areas = _best_line(middles, np.asarray(stats[large, cv2.CC_STAT_AREA], np.int32), 0.045 * frame_height)
    along = middles[places]
    long = float(np.hypot(*np.ptp(along, axis=0)))
    if len(along) < 4 or long < 0.22 * frame_height or areas < 0.6 * np.count_nonzero(strokes):
        return []
    if stats[large[places], cv2.CC_STAT_AREA].max() > _LARGEST_PIECE * areas:
        return []
    kept = np.isin(labels, large[places])
    darkest, lightest = np.percentile(ground[kept], (10, 90), axis=0)
    if (lightest - darkest).max() < _GROUNDS:
        return []
    reach = max(3, round(0.02 * frame_height)) | 1
    return [_Lettering(kept, cv2.dilate(kept.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0)]


def _best_line(
    centres: npt.NDArray[np.float64], areas: npt.NDArray[np.int32], reach: float
) -> tuple[npt.NDArray[np.bool_], int]:
    """Which points (N,2) lie within `reach` of the line through one of them that gathers most area, and that area."""
    best, most = np.zeros(len(centres), np.bool_), 0
    for angle in np.deg2rad(np.arange(-35, 36, 3)):
        across = centres @ np.array([-np.sin(angle), np.cos(angle)])
        near = np.abs(across[:, None] - across[None]) <= reach
        sums = near @ areas
        index = int(np.argmax(sums))
        if sums[index] > most:
            best, most = near[index], int(sums[index])
    return best, most

"""Lettering laid over a figure: outlined lines as of subtitles, and half-transparent white words as of watermarks.

Looked for at the size of a frame 360 pixels high, where a stroke of a subtitle is two or three pixels wide. What a
value means for the score does not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.cutout import CutOut
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask

_HEIGHT = 360
_REACH = 0.2

# Outlined lines; lengths are shares of the frame's height.
_STROKE = 0.008
_SHORTEST, _TALLEST, _FILLED, _FEWEST, _OF_BAND = 0.26, 0.19, 0.12, 5, 0.12
_SURE_STROKES, _SURE_LENGTH = 12, 0.4
_LEAST_LETTER, _MOST_LETTER, _AMONG_DOTS, _NEXT_TO_BLACK = 0.015, 0.12, 0.85, 0.7
_IN_HEAD, _BEYOND = 0.8, 0.1

# Faint words.
_ACROSS = 4
_LEAST_GAIN, _LEAST_OPACITY, _MOST_OPACITY = 10, 0.3, 0.72
_AGREE = 4.0
_BAND = 0.3
# Under this evidence of the most frequent opacity its steps are not looked at again.
_DOUBTED = -3.5
_KNOWN_AGREE, _KNOWN_GAIN = 6, 16
# Weights of `_signs` and the constant, as `python -m lora_assets.benchmarks.tier_lettering` prints them.
FAINT_WORD = ((0.7841, 1.162, 0.52, 0.1364, 4.612, 5.239, 7.809), -28.4)
_FAINT_AT_MOST = 0.11
_TONED = 18.0
_LETTER_IN_TONE = 0.03
# Under this share of clear colours the picture is a grey one, where all steps go the same way to white.
_GREY = 0.03


def text_over(cut: CutOut) -> float | None:
    """Share 0..1 of the figure that lies under lettering; None without pixels. Faint words count for at most 0.11:
    what is drawn can still be seen through them."""
    if not cut.area:
        return None
    seen = _strip_of(cut)
    if seen is None:
        return 0.0
    strip, figure, high = seen.picture, seen.figure, seen.frame_height
    columns = np.flatnonzero(figure.any(axis=0))
    reach = round(_REACH * high)
    left, right = max(0, int(columns[0]) - reach), int(columns[-1]) + 1 + reach
    under, toned = np.zeros_like(figure), _is_toned(strip)
    for line in _outlined_lines(np.ascontiguousarray(strip[:, left:right]), high):
        if toned and line.letter < _LETTER_IN_TONE * high:
            continue
        if line.is_sure or not _is_face(line.strokes, figure[:, left:right], cut, (left, seen.top), seen.scale):
            under[:, left:right] |= line.under
    faint = None if toned else _faint_words(strip, figure, high)
    area = int(np.count_nonzero(figure))
    outlined = int(np.count_nonzero(under & figure)) / area
    return max(outlined, 0.0 if faint is None else min(_FAINT_AT_MOST, int(np.count_nonzero(faint & figure)) / area))


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """The rows of the frame around a figure at work size, the figure in them, the frame's height there, the first row
    in the frame, and the scale (pixels here / pixels of the frame)."""

    picture: RgbImage
    figure: BoolMask
    frame_height: int
    top: int
    scale: float


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
    if min(strip.shape[:2]) < 3 * _ACROSS or not figure.any():
        return None
    return _Strip(np.ascontiguousarray(strip), figure, round(height * scale), top, scale)


def _is_toned(strip: RgbImage) -> bool:
    """True for a picture printed in dots or lines: pixels differ from the mean of the 25 around them by 18 levels in
    the mean. Drawn pictures differ by 1 to 12, printed ones by 45 or more; every tone of them is a step to white."""
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)
    return float(cv2.mean(cv2.absdiff(grey, cv2.blur(grey, (5, 5))))[0]) > _TONED


# --- outlined lines --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Strokes that look like one line of lettering, the pixels that the line lies on, the median height of its pieces
    in pixels, and whether it is so long and of so many strokes that no face looks like it."""

    strokes: BoolMask
    under: BoolMask
    letter: float
    is_sure: bool


def _is_face(strokes: BoolMask, figure: BoolMask, cut: CutOut, corner: tuple[int, int], scale: float) -> bool:
    """True when four fifths of the strokes lie in one head, or no head is known and they do not leave the figure: eyes,
    glasses and the gloss of hair are as bright and as outlined as letters. `corner`: where the strokes' picture begins,
    its column at work size, its row in the frame."""
    count = int(np.count_nonzero(strokes))
    for head in cut.heads:
        hair = max(0.0, head.height - (head.box[3] - head.box[1]))
        x1, x2 = (int(value * scale) - corner[0] for value in (head.box[0] - hair, head.box[2] + hair))
        y1, y2 = (int((value - corner[1]) * scale) for value in (head.box[1] - hair, head.box[3]))
        if np.count_nonzero(strokes[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]) >= _IN_HEAD * count:
            return True
    return not cut.inside and int(np.count_nonzero(strokes & ~figure)) < _BEYOND * count


def _plain(strip: RgbImage) -> BoolMask:
    """Which pixels are white or yellow, as subtitles are."""
    red, green, blue = cv2.split(strip)
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    white = (least >= 196) & (cv2.subtract(most, least) <= 28)
    yellow = (cv2.min(red, green) >= 190) & (blue <= cv2.convertScaleAbs(red, alpha=0.72))
    return np.asarray(white | yellow, np.bool_)


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


def _outlined_lines(strip: RgbImage, frame_height: int) -> list[_Line]:
    """Bands of white or yellow strokes, thinner than 2 % of the frame's height, with black beside them.

    So many side by side that a piece as long as a fifth of the frame's height begins 2.5 of them in the mean of its
    rows; the band at least 0.26 of the frame's height wide, at most 0.19 high (two lines), of five strokes or more,
    half of them at least an eighth of the band high, that fill an eighth of it. Gloss and hatching are none of these.
    """
    plain = _plain(strip)
    found: list[_Line] = []
    if np.count_nonzero(plain) < 30:
        return found
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)
    stroke = 2 * max(1, round(_STROKE * frame_height)) + 3
    square = np.ones((stroke, stroke), np.uint8)
    bright = (cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, square) >= 70) & plain
    dotted = bright & (cv2.erode(grey, square) <= 60)
    if np.count_nonzero(dotted) < 30:
        return found
    outlined = _of_letter_size(dotted, frame_height)
    if np.count_nonzero(outlined) < 30:
        return found
    black = cv2.erode(grey, np.ones((5, 5), np.uint8)) < 60
    begins = np.zeros(grey.shape, np.float32)
    begins[:, 1:] = outlined[:, 1:] & ~outlined[:, :-1]
    span, rows = max(9, round(_REACH * frame_height)), max(5, round(0.03 * frame_height))
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
        # In a printed tone what is left of the dots may stand like letters.
        drawn = int(np.count_nonzero(strokes))
        is_line = drawn >= _AMONG_DOTS * np.count_nonzero(dotted & inside)
        is_line &= int(np.count_nonzero(black & strokes)) >= _NEXT_TO_BLACK * drawn
        if is_line and drawn >= _FILLED * np.count_nonzero(inside):
            # The search window is wider than the letters: the line ends where its strokes end.
            columns = np.flatnonzero(strokes.any(axis=0))
            inside[:, : max(0, columns[0] - stroke)] = False
            inside[:, columns[-1] + stroke :] = False
            is_sure = len(heights) >= _SURE_STROKES and columns[-1] - columns[0] >= _SURE_LENGTH * frame_height
            found.append(_Line(strokes, inside, float(np.median(heights)), bool(is_sure)))
    return found


# --- faint words -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps from a ground to something lighter: what share of the way to white they go (0..1), the ground's colour
    (N,3), and where they are (rows, columns)."""

    opacity: npt.NDArray[np.float32]
    ground: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]


def _steps_to_white(strip: RgbImage) -> _Steps | None:
    """Every other row's and column's steps over four pixels in which red, green and blue go the same share of the way
    to white, to 4 levels: white of that opacity does so on any ground, what is drawn in the picture hardly ever does.
    """
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    parts = []
    for down in (True, False):
        half = np.ascontiguousarray(strip[:, ::2] if down else strip[::2])
        one = np.ascontiguousarray(half[_ACROSS:] if down else half[:, _ACROSS:])
        two = np.ascontiguousarray(half[:-_ACROSS] if down else half[:, :-_ACROSS])
        for light, ground in ((one, two), (two, one)):
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
            rows, columns = np.divmod(places[agrees].astype(np.int64), light.shape[1])
            middle = _ACROSS // 2
            place = (rows + middle, 2 * columns) if down else (2 * rows, columns + middle)
            parts.append((opacity[agrees].astype(np.float32), under[agrees], *place))
    return _Steps(*(np.concatenate(each) for each in zip(*parts, strict=True))) if parts else None


@dataclass(frozen=True, slots=True, eq=False)
class _Faint:
    """The steps of one opacity: which they are, how far the most frequent opacity stands out from its neighbours (in
    standard deviations), the share in one slanting band, of the most frequent colour of the ground, of grounds of
    clear colour, how many colours of ground there are, and how many of the steps lie on the figure."""

    steps: npt.NDArray[np.intp]
    stands_out: float
    in_band: float
    alike: float
    coloured: float
    grounds: int

    on_figure: int

    @property
    def evidence(self) -> float:
        """A first guess, above 0 for lettering: a regression on the tuning part of the tier benchmark, made once by
        hand. FAINT_WORD weighs it anew among the other signs."""
        return (
            1.77 * float(np.log(max(1.0, self.stands_out)))
            + 12.4 * self.in_band
            - 4.76 * self.alike
            + 0.22 * min(8, self.grounds)
            + 3.5 * min(0.5, self.coloured)
            + 0.68 * float(np.log1p(self.on_figure))
            + 1.73 * float(np.log1p(len(self.steps)))
            - (2.0 if self.coloured < _GREY else 0.0)
            - 30.8
        )


def _faint_words(strip: RgbImage, figure: BoolMask, frame_height: int) -> BoolMask | None:
    """The surroundings (2 pixels) of the edges of half-transparent white strokes that stand in one slanting band across
    several grounds; None where there are none."""
    found = _strokes(strip, figure, frame_height)
    if found is None:
        return None
    faint, strokes = found
    weights, constant = FAINT_WORD
    if float(np.dot(weights, _signs(faint, strokes, figure, frame_height))) + constant <= 0:
        return None
    marks = np.zeros(figure.shape, np.uint8)
    marks[strokes.rows, strokes.columns] = 1
    return cv2.dilate(marks, np.ones((5, 5), np.uint8)) > 0


def faint_signs(cut: CutOut) -> npt.NDArray[np.float64] | None:
    """The signs of `FAINT_WORD` on a cut-out; None where it is not weighed."""
    seen = _strip_of(cut) if cut.area else None
    if seen is None or _is_toned(seen.picture):
        return None
    found = _strokes(seen.picture, seen.figure, seen.frame_height)
    return None if found is None else _signs(*found, seen.figure, seen.frame_height)


def _strokes(strip: RgbImage, figure: BoolMask, frame_height: int) -> tuple[_Faint, _Strokes] | None:
    """What the most frequent opacity tells, and all steps of that opacity; None where it is hardly one."""
    steps = _steps_to_white(strip)
    faint = None if steps is None else _most_frequent_opacity(steps, figure, frame_height)
    if steps is None or faint is None or faint.evidence <= _DOUBTED:
        return None
    strokes = _steps_of_opacity(strip, float(np.median(steps.opacity[faint.steps])))
    return (faint, strokes) if len(strokes.rows) >= 10 else None


@dataclass(frozen=True, slots=True, eq=False)
class _Strokes:
    """Steps to white of one known opacity: where they are (rows, columns), the ground's colour (N,3), and which way
    they go (0 to 3: up, down, left, right)."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    ground: npt.NDArray[np.uint8]
    way: npt.NDArray[np.int64]


def _steps_of_opacity(strip: RgbImage, opacity: float) -> _Strokes:
    """Every other row's and column's steps over four pixels that white of this opacity makes, to 6 levels, where any
    channel has 16 or more to gain: also on skin and pink hair, whose red is white already."""
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]] = []
    middle = _ACROSS // 2
    for down in (True, False):
        half = np.ascontiguousarray(strip[:, ::2] if down else strip[::2])
        one = np.ascontiguousarray(half[_ACROSS:] if down else half[:, _ACROSS:])
        two = np.ascontiguousarray(half[:-_ACROSS] if down else half[:, :-_ACROSS])
        for turned, (light, ground) in enumerate(((one, two), (two, one))):
            gain = cv2.convertScaleAbs(ground, alpha=-opacity, beta=255 * opacity)
            red, green, blue = cv2.split(cv2.absdiff(light, cv2.add(ground, gain)))
            off = cv2.max(cv2.max(red, green), blue)
            red, green, blue = cv2.split(gain)
            places = np.flatnonzero((off <= _KNOWN_AGREE) & (cv2.max(cv2.max(red, green), blue) >= _KNOWN_GAIN))
            rows, columns = np.divmod(places.astype(np.int64), light.shape[1])
            place = (rows + middle, 2 * columns) if down else (2 * rows, columns + middle)
            way = np.full(len(places), 2 * down + turned, np.int64)
            parts.append((*place, ground.reshape(-1, 3)[places], way))
    return _Strokes(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _signs(faint: _Faint, strokes: _Strokes, figure: BoolMask, frame_height: int) -> npt.NDArray[np.float64]:
    """The signs of `FAINT_WORD`: what the most frequent opacity told; logarithms of how many steps of it there are in
    all and on the figure; on how many grounds; how alike are level and upright ones, and the two ways of each, as
    strokes have two sides and go all ways; the share in one band."""
    count = len(strokes.rows)
    colours = np.bincount((strokes.ground.astype(np.int32) >> 5) @ np.array([64, 8, 1], np.int32))
    places = np.column_stack((strokes.columns, strokes.rows)).astype(np.float64)
    ways = np.maximum(np.bincount(strokes.way, minlength=4), 1).astype(np.float64)
    upright, level = ways[0] + ways[1], ways[2] + ways[3]
    sides = 0.5 * (ways[:2].min() / ways[:2].max() + ways[2:].min() / ways[2:].max())
    on_figure = int(np.count_nonzero(figure[strokes.rows, strokes.columns]))
    in_band = _share_in_band(places[:: max(1, count // 300)], _BAND * frame_height)
    grounds = np.count_nonzero(colours >= max(4.0, 0.03 * count))
    alike = min(upright, level) / max(upright, level)
    return np.array([faint.evidence, np.log1p(count), np.log1p(on_figure), grounds, alike, sides, in_band], np.float64)


def _most_frequent_opacity(steps: _Steps, figure: BoolMask, frame_height: int) -> _Faint | None:
    """The opacity from 0.3 to 0.72 that stands out most among the steps; None where fewer than ten have it."""
    counts = np.bincount((steps.opacity * 100).astype(np.int64), minlength=101).astype(np.float64)
    near = np.convolve(counts, np.ones(5), "same")
    around = (np.convolve(counts, np.ones(21), "same") - near) * (5 / 16)
    stands_out = (near - around) / np.sqrt(near + around + 10.0)
    first = round(100 * _LEAST_OPACITY)
    peak = first + int(np.argmax(stands_out[first : round(100 * _MOST_OPACITY)]))
    which = np.flatnonzero(np.abs(steps.opacity - (peak + 0.5) / 100) <= 0.025)
    if len(which) < 10:
        return None
    ground = steps.ground[which].astype(np.int32)
    colours = np.bincount((ground >> 5) @ np.array([64, 8, 1], np.int32))
    places = np.column_stack((steps.columns[which], steps.rows[which])).astype(np.float64)
    return _Faint(
        which,
        float(stands_out[peak]),
        _share_in_band(places[:: max(1, len(which) // 300)], _BAND * frame_height),
        float(colours.max()) / len(which),
        float(np.mean(np.ptp(ground, axis=1) > 30)),
        int(np.count_nonzero(colours >= max(4.0, 0.03 * len(which)))),
        int(np.count_nonzero(figure[steps.rows[which], steps.columns[which]])),
    )


def _share_in_band(places: npt.NDArray[np.float64], width: float) -> float:
    """The largest share of points (N,2) that lie in one band of `width` that slants by at most 33 degrees."""
    best = 0
    for angle in np.deg2rad(np.arange(-33, 34, 6)):
        across = np.sort(places @ np.array([-np.sin(angle), np.cos(angle)]))
        best = max(best, int((np.searchsorted(across, across + width, "right") - np.arange(len(across))).max()))
    return best / len(places)

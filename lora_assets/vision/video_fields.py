"""Frames woven from two fields of different times: whether one is combed, which field comes first, one picture of it.

Discs and broadcasts hold films whose frames mix two moments line by line, with or without a flag that says so, and all
of their frames or two of five (telecine). So it is the picture that is judged. Which frames are kept belongs to video.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.frame import VideoFrame

Grey = npt.NDArray[np.uint8]

MOST_ROWS = 1088
"""No format of interlaced video is higher: above this nothing is looked for."""
NARROWED = 2
"""Pictures are looked at this much narrower than they are: half the work, less grain, and all of their lines."""
_STEP = 9
_COMBED_PIXELS = 80 // NARROWED
_BLOCK = (16 // NARROWED, 16)
"""Grey levels, and pixels in a block of 16 x 16: the limits `cthresh` and `MI` of TFM (tritical, TIVTC), which FFmpeg's
`fieldmatch` took over."""


def is_of_one_kind(frame: VideoFrame, other: VideoFrame) -> bool:
    """True when two frames have one size and one pixel format, so that they can be compared line by line."""
    return (frame.width, frame.height, frame.format.name) == (other.width, other.height, other.format.name)


def is_combed(grey: Grey, before: Grey | None, after: Grey | None) -> bool:
    """True when lines stick out of their neighbours above and below (grey levels, H x W / NARROWED) where it moves.

    A pixel counts by TFM's rule when it or one above or below differs from the frame before or after. Pixels that the
    same rule finds sideways are taken off, so that grain and fine patterns, which have no direction, are no combing.
    """
    differs = np.zeros(grey.shape, np.bool_)
    for other in (before, after):
        if other is not None:
            differs |= np.asarray(cv2.absdiff(grey, other), np.uint8) > _STEP
    # At its edges a thing moves through one field only.
    moved = np.asarray(cv2.dilate(differs.astype(np.uint8), np.ones((3, 1), np.uint8)), np.uint8)
    if min(grey.shape) < max(_BLOCK) or not moved.any():
        return False
    upright = _in_blocks(_sticking_out(grey) & moved)
    if int(upright.max()) <= _COMBED_PIXELS:
        return False
    sideways = _in_blocks(np.ascontiguousarray(_sticking_out(np.ascontiguousarray(grey.T)).T) & moved)
    return int((upright - sideways).max()) > _COMBED_PIXELS


def _in_blocks(found: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """How many pixels are found in the block around each pixel."""
    return np.asarray(cv2.boxFilter(found, cv2.CV_32S, _BLOCK, normalize=False), np.int32)


def _sticking_out(grey: Grey) -> npt.NDArray[np.uint8]:
    """1 where a pixel is lighter or darker than both its vertical neighbours by more than the step, and its line than
    the lines around by TFM's five-tap filter; 0 elsewhere and in the two outermost rows."""
    up = np.asarray(cv2.subtract(grey[2:-2], grey[1:-3], dtype=cv2.CV_16S), np.int16)
    down = np.asarray(cv2.subtract(grey[2:-2], grey[3:-1], dtype=cv2.CV_16S), np.int16)
    taps = np.array([[1], [-3], [4], [-3], [1]], np.float32)
    apart = np.abs(np.asarray(cv2.filter2D(grey, cv2.CV_16S, taps), np.int16)[2:-2])
    lighter, darker = np.minimum(up, down) > _STEP, np.maximum(up, down) < -_STEP
    found = (lighter | darker) & (apart > 6 * _STEP)
    return np.pad(found.astype(np.uint8), ((2, 2), (0, 0)))


def top_first(grey: Grey, before: Grey) -> float:
    """Above 0 when the upper field of a combed frame is the earlier one, below 0 when the lower is (grey levels).

    The earlier field fits the later one of the frame before better than the other way round (as FFmpeg's `idet`).
    """
    rows = grey.shape[0] // 2 * 2
    top, bottom = (grey[start:rows:2].astype(np.int16) for start in (0, 1))
    top_before, bottom_before = (before[start:rows:2].astype(np.int16) for start in (0, 1))
    return _misfit(top_before, bottom) - _misfit(top, bottom_before)


def _misfit(top: npt.NDArray[np.int16], bottom: npt.NDArray[np.int16]) -> float:
    """How far lines of the upper field lie from the mean of those of the lower one around them."""
    return float(np.abs(2 * top[1:] - bottom[:-1] - bottom[1:]).mean()) if len(top) > 1 else 0.0


def one_field(grey: Grey) -> Grey:
    """The lines of the upper field."""
    return np.ascontiguousarray(grey[::2])


def deinterlaced(
    frame: VideoFrame, before: VideoFrame | None, after: VideoFrame | None, first_is_top: bool
) -> VideoFrame:
    """The frame at the time of its earlier field, the lines of the other one made anew by FFmpeg's `bwdif`. Its
    neighbours must be of one kind with it."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base, name="frames"
    )
    kept = graph.add("bwdif", f"mode=send_frame:parity={'tff' if first_is_top else 'bff'}:deint=all")
    sink = graph.add("buffersink")
    source.link_to(kept)
    kept.link_to(sink)
    graph.configure()
    for each in (before or frame, frame, after or frame):
        graph.push(each)
    graph.vpull()
    return graph.vpull()

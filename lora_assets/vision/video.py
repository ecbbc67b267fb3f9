"""A video to the frames worth keeping: the sharpest of every stretch of a shot, a held drawing once.

Decoding is PyAV's (FFmpeg), cuts are found by PySceneDetect's adaptive detector. Frames come upright in the shape in
which they are shown (square pixels), in the colours of their own matrix, and never with two moments woven into one.
This module is loaded by the process that reads videos (video_child) and by nothing else of the package but benchmarks;
which drawing of a stretch is kept is told in video_choice; where frames are put, and what a death of that process
means, belongs to main_line.videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from scenedetect import AdaptiveDetector, FrameTimecode

from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage
from lora_assets.vision.picture_flaws import Bars, find_bars
from lora_assets.vision.video_choice import Chooser, Drawing, Fields, sharpness_of
from lora_assets.vision.video_fields import is_of_one_kind
from lora_assets.vision.video_formats import DEMUXERS
from lora_assets.vision.video_settings import VideoSettings

_LOOK_WIDTH, _LOOK_HEIGHT = 160, 90
_BLOCK = 10
_SAME_LEVEL = 4.0
"""Grey levels: two frames are one drawing while no block of 10 x 10 of 160 x 90 pixels differs by more on average.
Noise of compression stays below 2, a blink or a moving mouth moves a block by 10 and more."""
_CUT_WIDTH, _CUT_HEIGHT = 256, 144
_CUT_DELAY = 2
"""Drawings behind the newest one at which the detector tells a cut (its `window_width`)."""
_SHORTEST_SHOT_S = 0.4
_JOINT_S = 1.0
"""A frame that is earlier than the one before by more than this begins another part of a joined file."""
_SHARP_WIDTH = 640
_HD_HEIGHT = 720
_RGB, _UNSPECIFIED = 0, 2
"""Of FFmpeg's AVColorSpace: pixels that have no matrix, and a file that does not name its own."""
_PROGRESS_FRAMES = 50


@dataclass(frozen=True, slots=True)
class VideoFrameFound:
    """A frame to keep: uint8 RGB HxWx3; its time in seconds, its place among the decoded frames, its shot from 0."""

    pixels: RgbImage
    seconds: float
    index: int
    shot: int


@dataclass(frozen=True, slots=True)
class VideoProgress:
    """How many frames were decoded, of how many where the file tells (else 0)."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a whole video showed: its size in pixels as shown, frames a second, seconds; counts of decoded frames, of
    drawings among them (a held drawing is one), of shots and of kept frames; frames marked as interlaced, kept ones
    that were combed and are one field now, packets that could not be decoded; `bars` are black at the left, top,
    right, bottom in all of it, in pixels."""

    width: int
    height: int
    rate: float
    seconds: float
    frames: int
    drawings: int
    shots: int
    kept: int
    interlaced: int
    deinterlaced: int
    damaged: int
    codec: str
    bars: tuple[int, int, int, int]


@dataclass(slots=True)
class _Seen:
    """What was seen of the frames so far."""

    look: npt.NDArray[np.float32] | None = None
    brightest: npt.NDArray[np.uint8] | None = None
    frames: int = 0
    drawings: int = 0
    interlaced: int = 0
    deinterlaced: int = 0
    damaged: int = 0
    kept: int = 0
    start_s: float = 0.0
    previous: VideoFrame | None = None
    unpaired: Drawing | None = None
    last_s: float = 0.0
    shift_s: float = 0.0
    size: tuple[int, int] = (0, 0)
    turns: int = 0
    waiting: list[Drawing] = field(default_factory=list)
    scalers: dict[tuple[int, int, str], VideoReformatter] = field(default_factory=dict)

    def small(self, frame: VideoFrame, width: int, height: int, format: str) -> npt.NDArray[np.uint8]:
        """A frame reduced. Each size keeps its scaler, whose tables cost more than a frame; of threads it would start a
        pool for each call."""
        scaler = self.scalers.setdefault((width, height, format), VideoReformatter())
        small = scaler.reformat(frame, width, height, format, interpolation=Interpolation.AREA, threads=1)
        return np.asarray(small.to_ndarray(), np.uint8)


def _differs(look: npt.NDArray[np.float32], before: npt.NDArray[np.float32] | None) -> bool:
    if before is None:
        return True
    blocks = np.abs(look - before).reshape(_LOOK_HEIGHT // _BLOCK, _BLOCK, _LOOK_WIDTH // _BLOCK, _BLOCK)
    return bool(blocks.mean(axis=(1, 3)).max() > _SAME_LEVEL)


def shown_size(stream: VideoStream, frame: VideoFrame) -> tuple[int, int]:
    """Width and height in square pixels: discs and old files store frames narrower or wider than they are shown."""
    ratio = stream.sample_aspect_ratio or Fraction(1)
    return (max(1, round(frame.width * ratio)), frame.height) if ratio > 0 else (frame.width, frame.height)


def to_rgb(frame: VideoFrame, size: tuple[int, int]) -> RgbImage:
    """The pixels in `size` (width, height), upright. A file that does not name its matrix is read as players do: BT.709
    from 720 rows on, BT.601 below."""
    matrix: int | None = frame.colorspace
    if matrix == _UNSPECIFIED:
        matrix = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
    elif matrix == _RGB:
        matrix = None
    # Full chroma interpolation and exact rounding: lines of one pixel in red would else be blurred twice.
    way = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    pixels = frame.reformat(*size, "rgb24", src_colorspace=matrix, interpolation=way, threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, _turns(frame)), np.uint8)


def _turns(frame: VideoFrame) -> int:
    """How many quarter turns to the left make a frame upright."""
    return round(frame.rotation / 90) % 4


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    try:
        yield from container.demux(stream)
    except IndexError:
        # At the end of a broadcast to which streams were added meanwhile PyAV asks for one that it does not know; ours
        # came before it.
        return


def _decoded(container: InputContainer, stream: VideoStream, seen: _Seen) -> Iterator[VideoFrame]:
    """The frames of a stream; packets that cannot be decoded are counted and left out."""
    try:
        for packet in _packets(container, stream):
            try:
                yield from packet.decode()
            except InvalidDataError:
                seen.damaged += 1
    except InvalidDataError:
        seen.damaged += 1


def read_video(
    path: Path, settings: VideoSettings, limits: ReadSettings
) -> Iterator[VideoFrameFound | VideoProgress | VideoFacts]:
    """The frames worth keeping in order of time, progress between them, and the facts at the end.

    Raises ImageRefused with the reason for a file that cannot be opened, holds no video, or is too small or large.
    """
    try:
        allowed = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}
        container = av.open(str(path), options=allowed)
    except (FFmpegError, OSError, ValueError) as error:
        raise ImageRefused(
            f"a video that cannot be opened ({_words(error)}): it is damaged or not completely copied; copy it again"
        ) from error
    with container:
        stream = _film_of(container)
        if stream is None:
            raise ImageRefused("holds sound and no video: take it out of the folder")
        yield from _read(container, stream, settings, limits)


def _film_of(container: InputContainer) -> VideoStream | None:
    """The video stream that players show: broadcasts hold a small one for phones beside it, music files a cover."""
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or Disposition.attached_pic in best.disposition:
        return None
    return best


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _read(
    container: InputContainer, stream: VideoStream, settings: VideoSettings, limits: ReadSettings
) -> Iterator[VideoFrameFound | VideoProgress | VideoFacts]:
    stream.thread_type = "AUTO"
    rate = stream.average_rate or stream.guessed_rate or Fraction(24)
    total = stream.frames or (round(container.duration / av.time_base * rate) if container.duration else 0)
    detector = AdaptiveDetector(min_scene_len=_SHORTEST_SHOT_S, window_width=_CUT_DELAY)
    fields = Fields(settings.deinterlace)
    seen, chooser = _Seen(start_s=_start_of(container)), Chooser(1.0 / settings.rate if settings.rate else 0.0, fields)

    def given(drawing: Drawing | None, shot: int) -> Iterator[VideoFrameFound]:
        if drawing is not None:
            seen.kept += 1
            seen.deinterlaced += fields.combed(drawing)
            yield VideoFrameFound(to_rgb(fields.whole(drawing), seen.size), drawing.seconds, drawing.index, shot)

    def decided(cuts: list[float], most_waiting: int) -> Iterator[VideoFrameFound]:
        while len(seen.waiting) > most_waiting:
            drawing = seen.waiting.pop(0)
            if any(abs(drawing.seconds - cut) < 1e-6 for cut in cuts):
                yield from given(chooser.cut(), chooser.shot - 1)
            yield from given(chooser.take(drawing), chooser.shot)

    for frame in _decoded(container, stream, seen):
        seconds = _seconds_of(frame, float(1 / rate), seen)
        if not seen.frames:
            seen.size, seen.turns = shown_size(stream, frame), _turns(frame)
            _check_size(seen.size, limits)
        if _is_new_drawing(frame, seconds, seen):
            told = detector.process_frame(
                FrameTimecode(seconds, rate), seen.small(frame, _CUT_WIDTH, _CUT_HEIGHT, "bgr24")
            )
            # Frames are counted from 0 by the detector; ours keep the time that it was given.
            yield from decided([cut.seconds for cut in told], _CUT_DELAY)
        if seen.frames % _PROGRESS_FRAMES == 0:
            yield VideoProgress(seen.frames, total)
    if not seen.frames:
        raise ImageRefused("a video without a frame that can be decoded: it is damaged; copy it again")
    yield from decided([], 0)
    yield from given(chooser.cut(), chooser.shot - 1)
    width, height = seen.size if seen.turns % 2 == 0 else seen.size[::-1]
    yield VideoFacts(
        width, height, float(rate), round(seen.last_s, 3), seen.frames, seen.drawings, chooser.shot, seen.kept,
        seen.interlaced, seen.deinterlaced, seen.damaged, stream.codec_context.name, _bars(seen),
    )  # fmt: skip


def _start_of(container: InputContainer) -> float:
    """The time at which a file begins, in seconds: players count from it, and a broadcast begins at any hour."""
    return max(0.0, (container.start_time or 0) / av.time_base)


def _seconds_of(frame: VideoFrame, step_s: float, seen: _Seen) -> float:
    """The time of the next frame, from 0 on and later than that of the one before.

    Files that were joined begin anew or below 0, and some frames have no time of their own, or that of another.
    """
    if not seen.frames:
        first = frame.time or 0.0
        seen.shift_s = max(-seen.start_s, -first)
        return first + seen.shift_s
    following = seen.last_s + step_s
    seconds = frame.time + seen.shift_s if frame.time is not None else following
    if seconds > seen.last_s:
        return seconds
    if seconds < seen.last_s - _JOINT_S:
        seen.shift_s += following - seconds
    return following


def _check_size(size: tuple[int, int], limits: ReadSettings) -> None:
    width, height = size
    if min(size) < limits.min_side:
        raise ImageRefused(f"a video too small: {width} x {height} pixels, the least side is {limits.min_side}")
    if width * height > limits.max_megapixels * 1e6:
        raise ImageRefused(f"a video too large: {width} x {height} pixels, the limit is {limits.max_megapixels:g} MP")


def _is_new_drawing(frame: VideoFrame, seconds: float, seen: _Seen) -> bool:
    """Count a frame; one that is not the drawing before waits for the word of the detector."""
    index, seen.frames, seen.last_s = seen.frames, seen.frames + 1, seconds
    before, seen.previous = seen.previous, frame
    if before is not None and not is_of_one_kind(before, frame):
        before, seen.unpaired = None, None  # a joined file or a broadcast goes on in another size
    if seen.unpaired is not None:
        seen.unpaired.after, seen.unpaired = frame, None
    seen.interlaced += frame.interlaced_frame
    look = seen.small(frame, _LOOK_WIDTH, _LOOK_HEIGHT, "gray").astype(np.float32)
    if not _differs(look, seen.look):
        return False
    seen.look = look
    seen.drawings += 1
    height = max(1, round(_SHARP_WIDTH * seen.size[1] / seen.size[0]))
    grey = seen.small(frame, _SHARP_WIDTH, height, "gray")
    seen.brightest = grey if seen.brightest is None else np.maximum(seen.brightest, grey)
    seen.unpaired = Drawing(frame, seconds, index, sharpness_of(grey), before)
    seen.waiting.append(seen.unpaired)
    return True


def _bars(seen: _Seen) -> tuple[int, int, int, int]:
    assert seen.brightest is not None
    found: Bars = find_bars(np.repeat(np.rot90(seen.brightest, seen.turns)[:, :, None], 3, axis=2))
    scale = seen.size[0] / _SHARP_WIDTH
    return (
        round(found.left * scale), round(found.top * scale), round(found.right * scale), round(found.bottom * scale)
    )  # fmt: skip

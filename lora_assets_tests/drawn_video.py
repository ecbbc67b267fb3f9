"""Small videos with a known truth, for tests: shots of flat shapes, drawings held for several frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from lora_assets.vision.images import RgbImage

RATE = 24
SIZE = (320, 180)


def shot(seed: int, drawings: int, held: int, size: tuple[int, int] = SIZE) -> list[RgbImage]:
    """Frames of one shot: a background of boxes over which a red box moves; each drawing stands for `held` frames."""
    width, height = size
    rng = np.random.default_rng(seed)
    background = np.full((height, width, 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(30):
        x, y = rng.integers(0, width - 40), rng.integers(0, height - 40)
        background[y : y + 40, x : x + 40] = rng.integers(0, 255, 3)
    frames = []
    for number in range(drawings):
        drawn = background.copy()
        drawn[60:120, 8 * number : 8 * number + 40] = (255, 0, 0)
        frames += [drawn] * held
    return frames


def write_video(
    path: Path,
    frames: Sequence[RgbImage],
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    matrix: int | None = None,
    shape: Fraction | None = None,
    container_format: str | None = None,
    first: int = 0,
) -> Path:
    """Write frames as a video of 24 frames a second that begins `first` frames late; `matrix` as FFmpeg counts them (1:
    BT.709, 5: BT.601), `shape` the width of a pixel over its height, `container_format` FFmpeg's name of it."""
    import av

    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.options = {"crf": "10", "preset": "veryfast"} if codec == "libx264" else {}
        stream.codec_context.thread_count = 1
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        for number, pixel in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixel, format="rgb24").reformat(
                format=pixels, dst_colorspace=matrix or 5, threads=1
            )
            frame.pts, frame.time_base = first + number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def woven(moments: Sequence[RgbImage], *, top_first: bool = True) -> list[RgbImage]:
    """Interlaced frames: the lines of each two moments in turn, the earlier ones in the upper field or the lower."""
    frames = []
    for earlier, later in zip(moments[::2], moments[1::2], strict=True):
        frame = later.copy()
        frame[0 if top_first else 1 :: 2] = earlier[0 if top_first else 1 :: 2]
        frames.append(frame)
    return frames


def telecined(frames: Sequence[RgbImage]) -> list[RgbImage]:
    """Five frames for each four, of which two are woven (2:3 pulldown, as on NTSC discs of films)."""
    told: list[RgbImage] = []
    for start in range(0, len(frames) - 3, 4):
        a, b, c, d = frames[start : start + 4]
        told += [a, b, *woven([b, c, c, d]), d]
    return told


def write_sound(path: Path) -> Path:
    """A Matroska file with silence and no picture."""
    import av

    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path

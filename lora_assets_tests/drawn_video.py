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
) -> Path:
    """Write frames as a video of 24 frames a second; `matrix` as FFmpeg counts them (1: BT.709, 5: BT.601), `shape` the
    width of a pixel over its height."""
    import av

    with av.open(str(path), "w") as container:
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
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


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

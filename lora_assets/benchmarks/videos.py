"""A video to frames: the whole step, and the choice of frames alone, against plain decoding of the same file.

The peers are PyAV's own loop over a file, and that loop with an RGB array of every frame, as most tutorials have it.
All contestants take turns over one file in one run, and medians are told. The film is drawn, held on twos as cartoons
are; another file can be named.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from lora_assets.benchmarks.workplace import DATASET, frames_folder
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.videos import update_video_frames
from lora_assets.specs import list_datasets
from lora_assets.store import Store
from lora_assets.vision.images import ReadSettings
from lora_assets.vision.video_settings import VideoSettings

_RATE = 24
_SEED = 5


def write_drawn_film(path: Path, shots: int, loops: int, size: tuple[int, int]) -> int:
    """Write a drawn film of `shots` shots, shown `loops` times, as H.264; returns its number of frames."""
    import av
    import numpy as np

    from lora_assets.scenes import draw_shots

    drawn = [np.ascontiguousarray(frame.frame.image) for frame in draw_shots(_SEED, shots, *size)]
    count = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in drawn * loops:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p", dst_colorspace=1)
            frame.pts, frame.time_base, count = count, Fraction(1, _RATE), count + 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return count


def _decode(path: Path, rgb: bool) -> int:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        count = 0
        for frame in container.decode(stream):
            if rgb:
                frame.to_ndarray(format="rgb24")
            count += 1
    return count


def _choose(path: Path, settings: VideoSettings) -> int:
    from lora_assets.vision.video import VideoFrameFound, read_video

    return sum(isinstance(told, VideoFrameFound) for told in read_video(path, settings, ReadSettings()))


def _whole_step(path: Path, settings: VideoSettings) -> int:
    """List a folder with the video and make its frames, as the assets do: a process of its own, PNG files, tables."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        told = f'[video]\nrate = {settings.rate}\ndeinterlace = "{settings.deinterlace}"\n'
        (data / "settings.toml").write_text(told, encoding="utf-8")
        frames_folder(data).mkdir(parents=True)
        shutil.copyfile(path, frames_folder(data) / path.name)
        store = Store(data)
        update_raw_frames(store, list_datasets(data)[DATASET])
        made = update_video_frames(store, list_datasets(data)[DATASET])
    if made is None or made.refused:
        raise ValueError(f"{path} gives no frames: {'; '.join(made.refused.values()) if made else 'it is no video'}")
    return made.frames


def measure_videos(
    shots: int, loops: int, repeats: int, size: tuple[int, int], settings: VideoSettings, file: Path | None = None
) -> list[str]:
    """Frames of video per second of each contestant, and each one's time as a ratio to plain decoding."""
    with tempfile.TemporaryDirectory() as folder:
        path = file or Path(folder) / "film.mkv"
        if file is None:
            write_drawn_film(path, shots, loops, size)
        frames = _decode(path, rgb=False)
        contestants: dict[str, Callable[[], int]] = {
            "plain decoding": lambda: _decode(path, rgb=False),
            "decoding, RGB of every frame": lambda: _decode(path, rgb=True),
            "choosing frames": lambda: _choose(path, settings),
            "listing, choosing, writing": lambda: _whole_step(path, settings),
        }
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        kept = 0
        for _ in range(repeats):
            for name, run in contestants.items():
                began = time.perf_counter()
                kept = run()
                taken[name].append(time.perf_counter() - began)
    base = statistics.median(taken["plain decoding"])
    told = [f"{path.name}: {frames} frames, {kept} kept at {settings.rate:g} a second; medians of {repeats}"]
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        told.append(f"{name:29} {frames / median:7.0f} frames per second, {median / base:5.2f} times plain decoding")
    return told

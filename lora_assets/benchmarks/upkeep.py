"""What upkeep costs: re-runs over unchanged folders, a few new frames, and memory against the number of frames."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lora_assets.benchmarks.cheap import ellipses, middle_box
from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.benchmarks.workplace import TRACKER, frames_folder, run_once
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import read_tracker
from lora_assets.vision.detect import Detector, load_detector
from lora_assets.vision.segment import Segmenter, load_segmenter
from lora_assets.vision.threads import one_thread_per_call

_SIZE = (640, 360)


def _cheap() -> tuple[Callable[[], Sequence[Detector]], Callable[[], Segmenter]]:
    return (lambda: (middle_box,)), (lambda: ellipses)


def measure_noop(frames: int) -> list[str]:
    """Three re-runs over an unchanged folder, all stages made before (with models that cost nothing)."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        draw_frames(frames_folder(data), frames, size=_SIZE)
        first = run_once(data, *_cheap())
        again = [run_once(data, *_cheap()) for _ in range(3)]
    best = min(again, key=lambda seconds: seconds.total)
    return [
        f"first run, models that cost nothing: {first.total / frames * 1e3:.2f} ms per frame ({frames} frames)",
        f"no-op re-run: {best.total / frames * 1e3:.4f} ms per frame "
        f"(listing {best.raw_frames:.2f} s, planning {best.planning:.3f} s; best of 3: "
        f"{', '.join(f'{seconds.total:.2f}' for seconds in again)} s)",
    ]


def measure_increment(frames: int) -> list[str]:
    """The cost of 1 % new frames as a share of the full cost, with the starter models, opened before both."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        draw_frames(frames_folder(data), 2, size=_SIZE)
        run_once(data, *_cheap())
        recipes = tracker_recipes(read_tracker(data, TRACKER), data)
        settings = recipes.settings
        detectors = tuple(load_detector(each, settings.detect) for each in recipes.detectors)
        segmenter = load_segmenter(recipes.segmenter, settings.segment, recipes.second_opinion)
        one_thread_per_call()

    def models() -> tuple[Callable[[], Sequence[Detector]], Callable[[], Segmenter]]:
        return (lambda: detectors), (lambda: segmenter)

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        draw_frames(frames_folder(data), frames, size=_SIZE)
        full = run_once(data, *models())
        new = max(1, frames // 100)
        draw_frames(frames_folder(data), new, start=frames, size=_SIZE)
        more = run_once(data, *models())
    share = more.total / full.total
    return [
        f"full run, starter models, {frames} frames of {_SIZE[0]}x{_SIZE[1]}: {full.total:.1f} s "
        f"({full.total / frames * 1e3:.0f} ms per frame)",
        f"{new} new frames ({new / frames:.1%}): {more.total:.2f} s = {share:.2%} of the full cost",
    ]


def peak_memory(frames: int) -> float:
    """Peak resident memory of this process after a whole first run over `frames` frames, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        draw_frames(frames_folder(data), frames, size=_SIZE)
        run_once(data, *_cheap())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_memory(counts: Sequence[int]) -> list[str]:
    """Peak memory of a first run for each number of frames, each in a process of its own."""
    peaks = []
    for frames in counts:
        code = f"from lora_assets.benchmarks.upkeep import peak_memory; print(peak_memory({frames}))"
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        peaks.append(float(told.stdout.strip()))
    lines = [f"peak memory, {frames} frames: {peak:.0f} MiB" for frames, peak in zip(counts, peaks, strict=True)]
    return [*lines, f"most frames against fewest: {peaks[-1] / peaks[0]:.3f} times"]

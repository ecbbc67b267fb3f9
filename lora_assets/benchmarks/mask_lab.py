"""Refinement presets: inside the box against the whole frame and the plain OpenCV calls, and their quality on drawings.

Masks are those that the starter segmenter makes of drawn scenes with their true boxes. Contestants take turns on one
core, do the same work on the same masks, and must give the same pixels; the fastest of their turns counts.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.mask_lab.frames import LabFrame, LabSource
from lora_assets.mask_lab.measures import agreement
from lora_assets.mask_lab.sample import RANDOM, SampledMask
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.sweeping import TRUTH, JudgedMask, one_thread, sweep
from lora_assets.models import resolve
from lora_assets.store import digest
from lora_assets.tables import Mask
from lora_assets.training.rendered import FIRST_UNSEEN_SEED
from lora_assets.vision.mask_facts import measure_shape
from lora_assets.vision.masks import BoolMask, encode_mask, place_pixels
from lora_assets.vision.refine import RefineSettings, refine_in_box, refine_pixels, refine_rows
from lora_assets.vision.refine_presets import PRESETS, Preset
from lora_assets.vision.segment import SegmentSettings, load_segmenter

SIZE = (1920, 1080)
MILLION = 1_000_000
_LEAST_AREA = 400
_SIZES = (0.05, 0.15, 0.4, 1.0)
_STEPS = ("aggressive", "extended", "smooth", "strong_edge", "conservative", "fine")


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMasks:
    """A drawn frame's rows before refinement, with the true masks in the same order, and its picture as PNG bytes."""

    rows: list[Mask]
    windows: list[tuple[int, int, BoolMask]]
    truths: list[BoolMask]
    png: bytes
    width: int
    height: int


def draw_masks(scenes: int, size: tuple[int, int] = SIZE, first_seed: int = FIRST_UNSEEN_SEED) -> list[DrawnMasks]:
    """Unseen drawn scenes with characters, and the starter segmenter's masks of their true boxes."""
    from lora_assets.scenes import draw_scene

    found: list[DrawnMasks] = []
    with tempfile.TemporaryDirectory(prefix="lora_assets-refine-") as folder:
        segment = load_segmenter(resolve("starter-sam", Path(folder)), SegmentSettings())
    seed = first_seed
    while len(found) < scenes:
        scene = draw_scene(seed, *size)
        seed += 1
        seen = [each for each in scene.characters if np.count_nonzero(each.mask) >= _LEAST_AREA]
        if not seen:
            continue
        answers = segment(scene.image, np.array([each.box for each in seen], np.float64))
        buffer = io.BytesIO()
        Image.fromarray(scene.image).save(buffer, "PNG", compress_level=1)
        frame = hashlib.sha256(buffer.getvalue()).hexdigest()
        rows = []
        for place, answer in enumerate(answers):
            area = int(np.count_nonzero(answer.mask))
            high, wide = answer.mask.shape
            rows.append(
                Mask(
                    frame, digest(frame, place), answer.x, answer.y, wide, high, encode_mask(answer.mask), area,
                    area / (size[0] * size[1]), answer.predicted_iou, answer.stability,
                )
            )  # fmt: skip
        windows = [(answer.x, answer.y, answer.mask) for answer in answers]
        found.append(DrawnMasks(rows, windows, [each.mask for each in seen], buffer.getvalue(), *size))
    return found


def plain_opencv(mask: npt.NDArray[np.uint8], preset: Preset) -> npt.NDArray[np.uint8]:
    """The calls of the reference on a whole frame (0 and 255), as tutorials write them."""

    def kernel(size: int) -> npt.NDArray[np.uint8]:
        return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)

    levels: Any = mask
    if preset.close:
        levels = cv2.morphologyEx(levels, cv2.MORPH_CLOSE, kernel(preset.close), iterations=preset.close_iterations)
    if preset.open:
        levels = cv2.morphologyEx(levels, cv2.MORPH_OPEN, kernel(preset.open), iterations=preset.open_iterations)
    if preset.gaussian:
        levels = cv2.GaussianBlur(levels, (preset.gaussian, preset.gaussian), 0)
        if preset.unsharp:
            wide = cv2.GaussianBlur(levels, (preset.unsharp, preset.unsharp), 0)
            levels = cv2.addWeighted(levels, 1 + preset.unsharp_amount, wide, -preset.unsharp_amount, 0)
        levels = cv2.threshold(levels, preset.threshold, 255, cv2.THRESH_BINARY)[1]
    if preset.dilate:
        levels = cv2.dilate(levels, kernel(preset.dilate), iterations=preset.dilate_iterations)
    return levels


def measure_mask_lab(scenes: int = 24, repeats: int = 5, size: tuple[int, int] = SIZE) -> list[str]:
    """Lines of Markdown: speed of each preset by contestant, quality against the truth, a million frames."""
    frames = draw_masks(scenes, size)
    with one_thread():
        return [*_speed(frames, repeats), "", *_pipeline(frames, repeats), "", *_quality(frames)]


def _fastest(contestants: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The fastest of the turns of each, in seconds."""
    found = [np.inf] * len(contestants)
    for _ in range(repeats):
        for place, run in enumerate(contestants):
            began = time.perf_counter()
            run()
            found[place] = min(found[place], time.perf_counter() - began)
    return [float(seconds) for seconds in found]


def _speed(frames: Sequence[DrawnMasks], repeats: int) -> list[str]:
    masks = [(frame, x, y, mask) for frame in frames for x, y, mask in frame.windows]
    whole = [place_pixels(mask, x, y, (0, 0, f.width, f.height)) for f, x, y, mask in masks]
    levels = [mask.astype(np.uint8) * np.uint8(255) for mask in whole]
    share = np.mean([mask.shape[0] * mask.shape[1] / (f.width * f.height) for f, _, _, mask in masks])
    lines = [
        f"{len(masks)} masks on {len(frames)} drawn frames of {frames[0].width} x {frames[0].height}, their windows "
        f"{100 * share:.0f} % of the frame on average; one core, the fastest of {repeats} turns, same pixels",
        "",
        "| preset | plain OpenCV, whole frame | whole frame | in the box | faster than plain | than whole |",
        "|---|---|---|---|---|---|",
    ]
    totals = np.zeros(3)
    by_size = {limit: np.zeros(3) for limit in _SIZES}
    for name in _STEPS:
        preset = PRESETS[name]
        seconds = np.zeros(3)
        for (frame, x, y, mask), bools, plain in zip(masks, whole, levels, strict=True):
            boxed = refine_in_box(mask, x, y, frame.width, frame.height, preset)
            window = boxed.window
            expected = plain_opencv(plain, preset) > 0
            same = np.array_equal(place_pixels(boxed.after, *window[:2], (0, 0, frame.width, frame.height)), expected)
            if not same or not np.array_equal(refine_pixels(bools, preset), expected):
                raise RuntimeError(f"{name} gives other pixels in the box than on the whole frame")
            took = np.array(
                _fastest(
                    (
                        lambda p=plain, s=preset: plain_opencv(p, s),
                        lambda b=bools, s=preset: refine_pixels(b, s),
                        lambda x=x, y=y, m=mask, s=preset, f=frame: refine_in_box(m, x, y, f.width, f.height, s),
                    ),
                    repeats,
                )
            )
            seconds += took
            by_size[next(limit for limit in _SIZES if window[2] * window[3] <= limit * frame.width * frame.height)] += (
                took
            )
        totals += seconds
        lines.append(_ratio_line(name, seconds / len(masks)))
    lines.append(_ratio_line("**mean**", totals / len(masks) / len(_STEPS)))
    told = [
        f"up to {100 * limit:.0f} % of the frame {took[0] / took[2]:.1f}x" for limit, took in by_size.items() if took[2]
    ]
    return [*lines, "", f"By the size of the mask's box with its margin, all presets: {', '.join(told)}"]


def _ratio_line(name: str, seconds: npt.NDArray[np.float64]) -> str:
    plain, whole, box = 1000 * seconds
    return f"| {name} | {plain:.2f} ms | {whole:.2f} ms | {box:.2f} ms | {plain / box:.1f}x | {whole / box:.1f}x |"


def _pipeline(frames: Sequence[DrawnMasks], repeats: int) -> list[str]:
    """The whole step of the pipeline: run lengths in, neighbours spared, run lengths and shape out."""
    cores = len(os.sched_getaffinity(0))
    lines = [
        "The whole step (run lengths in, chain, neighbours spared, shape and run lengths out), frames per second:",
        "",
        f"| preset | one core | {cores} cores, threads | a million frames, extrapolated from that |",
        "|---|---|---|---|",
    ]
    for name in PRESETS:
        settings = RefineSettings(name)

        def one(frame: DrawnMasks, settings: RefineSettings = settings) -> object:
            return refine_rows(frame.rows, frame.width, frame.height, settings)

        def side_by_side(one: Callable[[DrawnMasks], object] = one) -> None:
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(one, frames))

        alone, together = _fastest((lambda one=one: [one(frame) for frame in frames], side_by_side), repeats)
        per_second = len(frames) / together
        lines.append(
            f"| {name} | {len(frames) / alone:.0f} | {per_second:.0f} | {MILLION / per_second / 3600:.1f} h "
            f"({3600 * per_second:,.0f} frames per hour) |"
        )
    lines += [
        "",
        f"Extrapolated, not run: a million frames like these {len(frames)} on these {cores} cores, refinement alone, "
        "without reading, decoding, detecting and segmenting.",
    ]
    return lines


def _quality(frames: Sequence[DrawnMasks]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="lora_assets-refine-") as folder:
        results = sweep(_judged(frames, Path(folder)), MaskLabSettings(repeats=1)).results
    lines = [
        f"{results[0].images} masks of the starter segmenter against the truth (objective: weights of [mask_lab]):",
        "",
        "| preset | coverage | box | IoU | covered | boundary F | thin kept at 1/8 | specks | holes | objective |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.preset} | {100 * each.coverage:.1f} % | {100 * each.box_share:.1f} % | {each.iou or 0:.3f} | "
        f"{each.covered or 0:.3f} | {each.boundary_f or 0:.3f} | {each.thin_kept or 0:.3f} | {each.specks:.2f} | "
        f"{100 * each.holes:.2f} % | {each.objective or 0:.3f} |"
        for each in results
    ]
    return lines


def _judged(frames: Sequence[DrawnMasks], folder: Path) -> list[JudgedMask]:
    """The masks as a sweep takes them, each with its truth; those that miss their character altogether are left out."""
    found: list[JudgedMask] = []
    for number, frame in enumerate(frames):
        name = f"frame_{number:04}.png"
        (folder / name).write_bytes(frame.png)
        sha256 = frame.rows[0].frame_sha256
        source = LabSource(
            "drawn", "drawn", folder, {sha256: LabFrame((name,), frame.width, frame.height)}, None, "drawn"
        )
        for index, truth in enumerate(frame.truths):
            x, y, mask = frame.windows[index]
            if not agreement(place_pixels(mask, x, y, (0, 0, frame.width, frame.height)), truth).iou:
                continue
            sampled = SampledMask(len(found) + 1, source, sha256, tuple(frame.rows), index, (RANDOM,), 0.0)
            holes = measure_shape(truth, 0, 0, frame.width, frame.height).holes
            found.append(JudgedMask(sampled, TRUTH, truth, (0, 0, frame.width, frame.height), holes))
    return found

"""What the judge gains: crops of drawn scenes, and a reviewer whose taste the rules do not know.

Figures are precision at equal recall (mean over recalls of 0.5 to 0.9) on scenes without any verdict, against the
reviewer's taste without its noise.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lora_assets.judge.comparing import compare, mean_precision
from lora_assets.judge.judging import judge_probabilities
from lora_assets.judge.learning import JudgeSettings
from lora_assets.judge.report import learn
from lora_assets.scenes import CharacterTruth, draw_scene
from lora_assets.tables import Detection, Mask, ScoredCrop
from lora_assets.vision.masks import encode_mask, mask_iou
from lora_assets.vision.score import score_frame

SIZE = (480, 270)
NOISE = 0.05
_INTERVAL = 0.95


@dataclass(frozen=True, slots=True)
class ReviewedCrop:
    """One drawn crop: its measured row, its scene, and what only the renderer knows of it."""

    row: dict[str, Any]
    scene: int
    head_height: float
    tall: float
    saturation: float
    agreement: float
    cut_by_frame: bool


def _damaged(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask as a segmenter might give it: often right, else ragged, eaten, cut, or with the background in it."""
    kind = rng.choice(["right", "eaten", "grown", "cut", "holes"], p=[0.5, 0.15, 0.15, 0.1, 0.1])
    levels = mask.astype(np.uint8)
    reach = int(rng.integers(2, 8))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    rows = np.flatnonzero(mask.any(axis=1))
    if kind == "eaten":
        levels = np.asarray(cv2.erode(levels, kernel), np.uint8)
    elif kind == "grown":
        levels = np.asarray(cv2.dilate(levels, kernel), np.uint8)
    elif kind == "cut":
        levels[int(np.quantile(rows, rng.uniform(0.4, 0.8))) :] = 0
    elif kind == "holes":
        ys, xs = np.nonzero(mask)
        for place in rng.integers(0, len(ys), 6):
            cv2.circle(levels, (int(xs[place]), int(ys[place])), reach, 0, -1)
    return levels.astype(bool) if levels.any() else mask


def _spoiled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame as a film might show it: mostly as drawn, else blurred, dark or washed out."""
    kind = rng.choice(["drawn", "blurred", "dark", "pale"], p=[0.6, 0.13, 0.07, 0.2])
    if kind == "blurred":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1.0, 4.0))), np.uint8)
    if kind == "dark":
        return np.asarray(image * rng.uniform(0.05, 0.5), np.uint8)
    if kind == "pale":
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        share = rng.uniform(0.0, 0.6)
        return np.asarray(grey * (1 - share) + image * share, np.uint8)
    return image


def _rows(truth: CharacterTruth, mask: np.ndarray, name: str, rng: np.random.Generator) -> tuple[Detection, Mask]:
    ys, xs = np.nonzero(mask)
    x, y, right, bottom = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    window = np.ascontiguousarray(mask[y:bottom, x:right])
    same = mask_iou(mask, truth.mask)
    sure = [float(np.clip(rng.normal(centre + 0.2 * same, 0.08), 0.05, 0.99)) for centre in (0.6, 0.72, 0.75)]
    jitter = rng.normal(0.0, 0.01, 4) * [right - x, bottom - y, right - x, bottom - y]
    x1, y1, x2, y2 = (float(side) for side in np.array(truth.box) + jitter)
    frame = "0" * 64
    box = Detection(frame, name, "person", sure[0], x1, y1, x2, y2, "drawn", True)
    area = int(window.sum())
    rle = encode_mask(window)
    return box, Mask(frame, name, x, y, right - x, bottom - y, rle, area, area / mask.size, sure[1], sure[2])


def reviewed_crops(seeds: Sequence[int], size: tuple[int, int] = SIZE) -> list[ReviewedCrop]:
    """The scored crops of drawn scenes (frames of `size` width, height), half of the masks damaged."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 7])
        scene = draw_scene(seed, *size)
        image = _spoiled(scene.image, rng)
        saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1] / 255.0
        people = [truth for truth in scene.characters if truth.mask.sum() >= 64]
        masks = [_damaged(truth.mask, rng) for truth in people]
        pairs = [
            _rows(truth, mask, f"{i:016x}", rng) for i, (truth, mask) in enumerate(zip(people, masks, strict=True))
        ]
        heads = [
            Detection("0" * 64, f"head{i:012x}", "head", 0.9, *truth.head_box, "drawn", False)
            for i, truth in enumerate(people) if truth.head_box
        ]  # fmt: skip
        scored = score_frame(image, [box for box, _ in pairs] + heads, [row for _, row in pairs])
        for truth, mask, (_, row), crop in zip(people, masks, pairs, scored, strict=True):
            found.append(_reviewed(seed, truth, mask, row, crop, float(saturation[truth.mask].mean())))
    return found


def _reviewed(
    seed: int, truth: CharacterTruth, mask: np.ndarray, row: Mask, crop: ScoredCrop, saturation: float
) -> ReviewedCrop:
    head = truth.head_box
    facts = {"mask.predicted_iou": row.predicted_iou, "mask.stability": row.stability, "mask.coverage": row.coverage}
    same = mask_iou(mask, truth.mask)
    return ReviewedCrop(
        {**dataclasses.asdict(crop), **facts},
        seed,
        (head[3] - head[1]) if head else 0.0,
        (truth.box[3] - truth.box[1]) / max(1.0, truth.box[2] - truth.box[0]),
        saturation,
        same,
        truth.cut_by_frame,
    )


def _size_and_framing(crop: ReviewedCrop) -> bool:
    """Wants a head of 50 pixels or more and a clean cut-out; a whole figure only when it is not lying."""
    return crop.agreement >= 0.85 and crop.head_height >= 50 and (crop.cut_by_frame or crop.tall >= 1.0)


def _size_framing_and_colour(crop: ReviewedCrop) -> bool:
    """The same, and strong colours, which no column of the table measures."""
    return crop.agreement >= 0.85 and crop.head_height >= 40 and crop.saturation >= 0.2


TASTES: dict[str, Callable[[ReviewedCrop], bool]] = {
    "large heads, clean cut-outs": _size_and_framing,
    "the same and strong colours": _size_framing_and_colour,
}


def measure_judge(
    counts: Sequence[int] = (50, 200, 800), scenes: int = 900, draws: int = 2, seed: int = 0
) -> list[str]:
    """Lines of a table: precision at equal recall of rules and judge after each number of verdicts, by taste.

    Two thirds of the scenes are judged from, one third is kept for trying. Every figure is a mean over `draws` choices
    of verdicts; the interval reaches from the lowest to the highest end of their bootstrap intervals over the scenes.
    """
    began = time.perf_counter()
    crops = reviewed_crops(range(seed, seed + scenes))
    drawn_in = time.perf_counter() - began
    learn_from = [crop for crop in crops if crop.scene < seed + scenes * 2 // 3]
    tried = [crop for crop in crops if crop.scene >= seed + scenes * 2 // 3]
    lines = [
        f"judge: {len(learn_from)} drawn crops to judge and {len(tried)} to try on, of {scenes} scenes at "
        f"{SIZE[0]}x{SIZE[1]} (drawn and scored in {drawn_in:.0f} s); {NOISE:.0%} of the verdicts are wrong",
        "precision at equal recall, mean over recalls of 0.5 to 0.9:",
        f"{'taste':30} {'good':>5} {'verdicts':>8} {'rules':>6} {'judge':>6} {'gain':>7} {'95 % interval':>17} "
        f"{'active':>6} {'abstains':>8} {'s':>5}",
    ]
    lines += [
        _measured_line(name, taste, learn_from, tried, count, draws, seed)
        for name, taste in TASTES.items()
        for count in counts
    ]
    return lines


def _measured_line(
    name: str,
    taste: Callable[[ReviewedCrop], bool],
    learn_from: Sequence[ReviewedCrop],
    tried: Sequence[ReviewedCrop],
    count: int,
    draws: int,
    seed: int,
) -> str:
    truth = np.array([taste(crop) for crop in tried], np.float64)
    rules = np.array([crop.row["score"] for crop in tried])
    scenes = [crop.scene for crop in tried]
    if count > len(learn_from):
        return f"{name:30} {count} verdicts need more scenes: only {len(learn_from)} crops were drawn"
    gains, lows, highs, precisions, active, abstained, seconds = [], [], [], [], 0, [], []
    for draw in range(draws):
        rng = np.random.default_rng([seed, count, draw])
        judged = [learn_from[i] for i in sorted(rng.choice(len(learn_from), count, replace=False))]
        labels = [int(taste(crop) != (rng.random() < NOISE)) for crop in judged]
        began = time.perf_counter()
        scenes_judged = [crop.scene for crop in judged]
        settings = JudgeSettings(seed=draw, resamples=300)
        judge = learn([crop.row for crop in judged], labels, scenes_judged, settings, with_curve=False)
        seconds.append(time.perf_counter() - began)
        if judge.model is None:
            return f"{name:30} {count} verdicts: {judge.report.reason}"
        said = judge_probabilities(judge.model, [crop.row for crop in tried], judge.settings)
        p_good = np.array([one.p_good for one in said])
        found = compare(rules, p_good, truth, scenes, interval=_INTERVAL, resamples=300, seed=draw)
        gains.append(found.difference)
        lows.append(found.low)
        highs.append(found.high)
        precisions.append(found.judge)
        active += judge.active
        abstained.append(np.mean([one.abstained is not None for one in said]))
    return (
        f"{name:30} {truth.mean():5.0%} {count:8d} {mean_precision(rules, truth):6.3f} {np.mean(precisions):6.3f} "
        f"{np.mean(gains):+7.3f} {min(lows):+8.3f} {max(highs):+8.3f} {active:>3d}/{draws} "
        f"{np.mean(abstained):8.0%} {np.mean(seconds):5.1f}"
    )

"""Tuning on drawn comic pages: IoU before and after on pages of unseen layouts, steps per second, memory against its
estimate. For the starter SAM, which is trained, and for a small SAM 2 of random weights, which learns from nothing.

Each contestant is tuned in a process of its own, so that its peak of memory is its own. No checkpoint of SAM 2 can be
had on every machine: what a random one learns says that the training works, not how good a tuned SAM 2 is.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from lora_assets.annotations.sample import write_sample
from lora_assets.finetuning.making import make_report, tune_segmenter
from lora_assets.finetuning.random_start import random_start, write_new_sam2
from lora_assets.finetuning.settings import SegmenterSettings, TrainingSettings, write_segmenter
from lora_assets.tables.segmenters import CategoryFigure

SET = "drawn"
STARTER, SMALL_SAM2 = "starter-sam", "small-sam2"


def measure_finetuning(
    pages: int = 100, steps: int = 400, sam2_steps: int = 1200, seed: int = 1, sheets: Path | None = None
) -> list[str]:
    """Tune both on `pages` drawn pages, a fifth of them of unseen layouts, and tell the figures; 0 steps leave one out.

    `sheets`: a folder for the pictures of the reports.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        drawn = write_sample(data / "annotations" / SET, pages, seed, form="rle")
        counts = {split: len(drawn.of_split(split)) for split in ("train", "val")}
        told = [f"drawn pages: {counts['train']} of train, {counts['val']} of val (unseen layouts and looks)"]
        for name, wanted in ((STARTER, steps), (SMALL_SAM2, sam2_steps)):
            if not wanted:
                continue
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawn) as process:
                facts, rows = process.submit(_tuned, data, name, wanted).result()
            told += figure_lines(name, facts, [CategoryFigure(**row) for row in rows])
            if sheets is not None:
                sheets.mkdir(parents=True, exist_ok=True)
                report = data / "segmenters" / f"tuned-{name}" / "report.png"
                (sheets / f"finetuning-{name}.png").write_bytes(report.read_bytes())
        return told


def _tuned(data: Path, name: str, steps: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts of the training and figures of the report, made in a process of its own."""
    import torch

    torch.set_num_threads(1)
    every = max(1, steps // 4)
    base, training = name, TrainingSettings(steps=steps, validate_every=every, patience=0)
    if name == SMALL_SAM2:
        base, training = str(write_new_sam2(data / "models" / SMALL_SAM2)), random_start(training)
    tuned = f"tuned-{name}"
    write_segmenter(data, SegmenterSettings(tuned, SET, base, training))
    made = tune_segmenter(data, tuned)
    report = make_report(data, tuned)
    facts = {**made.table.facts, **report.numbers(), "verdict": report.card.verdict, "reason": report.card.reason}
    return facts, report.table.read().to_pylist()


def figure_lines(name: str, facts: dict[str, Any], figures: list[CategoryFigure]) -> list[str]:
    """The figures of one contestant as lines of text."""
    lines = [
        f"{name}: {facts['steps']:.0f} steps, {facts['steps_per_second']:.2f} a second on {facts['device']}, best at "
        f"step {facts['best_step']:.0f}, {facts['trained_numbers'] / 1e6:.2f} million numbers learn",
        f"{name}: memory {facts['peak_memory_gb']:.2f} GB at most, {facts['estimated_memory_gb']:.2f} GB told before",
        f"{name}: {facts['verdict']}: {facts['reason']}",
    ]
    lines += [
        f"{name}: {one.figure}, {one.prompt}, {one.category}: {one.base:.3f} -> {one.tuned:.3f} "
        f"({one.gain:+.3f}, 95 % {one.low:+.3f} to {one.high:+.3f}; {one.annotations} annotations)"
        for one in figures
    ]
    correlations = [facts.get(f"predicted_iou_correlation_{which}") for which in ("base", "tuned")]
    if None not in correlations:
        lines.append(f"{name}: predicted and real IoU correlate {correlations[0]:.2f} -> {correlations[1]:.2f}")
    return lines

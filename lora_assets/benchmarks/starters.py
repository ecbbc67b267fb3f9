"""The figures of the starter models: drawn scenes, real drawings, speed, and sheets of failures.

Nothing is written into the card here: `training.starters` does that, with the same measurement. What belongs elsewhere:
the measurement itself (training.starters, real_drawings, model_speed, failures).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lora_assets.benchmarks.failures import write_failure_sheets
from lora_assets.benchmarks.model_speed import REPEATS, model_speed_table
from lora_assets.benchmarks.real_drawings import real_drawings_table
from lora_assets.starter import STARTER_SAM, STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.training.detector import LABELS
from lora_assets.training.starters import (
    SCENES,
    answer_scenes,
    by_crowd,
    detector_figures,
    mask_figures,
    open_segmenter,
    scenes_to_measure,
)

TITLES = {
    "unseen": "unseen scenes: seeds, hair, clothes and palettes that no training draws",
    "usual_looks": "unseen seeds, looks as in training",
    "film": "every third frame of the sample film",
}


def measure_starter_models(
    scenes: int = SCENES,
    real: Path | None = None,
    models: Path | None = None,
    figures: Path | None = None,
    repeats: int = REPEATS,
) -> list[str]:
    """Measure the packaged starters and tell the figures as lines of Markdown.

    `real` holds real drawings and `models` detectors to compare with (None leaves them out and says so); sheets of
    failures are written into `figures` unless it is None.
    """
    lines: list[str] = []
    for prefix, drawn in scenes_to_measure(scenes).items():
        answers = answer_scenes(drawn(), STARTER_YOLO_ONNX, STARTER_SAM)
        for name, some in by_crowd(prefix, answers).items():
            told = detector_figures(some, name) | mask_figures(some, name)
            part = name.removeprefix(prefix).replace("_", ", ")
            lines += [*drawn_table(told, name, f"{TITLES[prefix]}{part} ({len(some)} frames)"), ""]
        if prefix == "unseen" and figures is not None:
            written = write_failure_sheets(answers, open_segmenter(STARTER_SAM), figures)
            lines += [f"failures: {', '.join(str(path) for path in written) or 'none'}", ""]
    lines += [*real_drawings_table(real, models, STARTER_YOLO_ONNX), ""]
    return lines + model_speed_table(STARTER_YOLO, STARTER_YOLO_ONNX, STARTER_SAM, repeats)


def drawn_table(figures: Mapping[str, float], prefix: str, title: str) -> list[str]:
    """One table of figures from drawn frames, by label, with the mask IoU below it."""
    lines = [
        title,
        "",
        "| IoU 0.5, confidence 0.25 | asked | recall | precision | AP50 | all | recall of all | precision of all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label in LABELS:
        names = [
            f"{label}_{name}"
            for name in ("boxes", "recall", "precision", "ap50", "boxes_all", "recall_all", "precision_all")
        ]
        cells = [_cell(name, figures[f"{prefix}_{name}"]) for name in names]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    masks = {name: value for name, value in figures.items() if name.startswith(f"{prefix}_mask_iou")}
    told = [
        f"{name.removeprefix(f'{prefix}_mask_iou_').replace('_', ' ')} {value:.3f}" for name, value in masks.items()
    ]
    return [*lines, "", f"mask IoU of {figures[f'{prefix}_masks']:.0f} persons: {', '.join(told) or 'none'}"]


def _cell(name: str, value: float) -> str:
    return f"{value:.0f}" if "boxes" in name else f"{value:.3f}"

"""A data folder of its own for a measurement, and the main line run over it without Dagster."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_assets.main_line.cells import Cell, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.planning import plan_tracker
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import TrackerSpec, list_datasets, read_tracker, tracker_path, write_tracker
from lora_assets.store import Store
from lora_assets.vision.detect import Detector
from lora_assets.vision.device import worker_count
from lora_assets.vision.segment import Segmenter

DATASET, TRACKER = "measured", "MEASURED"


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall time of one pass over a dataset, by part."""

    raw_frames: float
    planning: float
    stages: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.raw_frames + self.planning + self.stages


def frames_folder(data: Path) -> Path:
    """Where the measured dataset's frames lie."""
    return data / "input" / DATASET


def run_once(
    data: Path, open_detectors: Callable[[], Sequence[Detector]], open_segmenter: Callable[[], Segmenter]
) -> Seconds:
    """Bring the measured dataset up to date: list, plan, and make what is due."""
    if not tracker_path(data, TRACKER).exists():
        write_tracker(data, TrackerSpec(TRACKER, (DATASET,)))
    store, began = Store(data), time.perf_counter()
    dataset = list_datasets(data)[DATASET]
    update_raw_frames(store, dataset, workers=worker_count())
    listed = time.perf_counter()
    spec = read_tracker(data, TRACKER)
    due = plan_tracker(store, spec).cells
    planned = time.perf_counter()
    if due:
        cell = Cell(store, dataset, TRACKER, tracker_recipes(spec, data), workers=worker_count())
        update_detections(cell, open_detectors)
        update_masks(cell, open_segmenter)
        update_scored_crops(cell, open_segmenter)
    return Seconds(listed - began, planned - listed, time.perf_counter() - planned)

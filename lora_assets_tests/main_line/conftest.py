"""A cell that is worked on without Dagster, with models that count how often they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lora_assets.benchmarks.cheap import ellipses, middle_box
from lora_assets.main_line.cells import Cell, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.stages import StageUpdate
from lora_assets.progress import Listener, nobody
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import TrackerSpec, list_datasets
from lora_assets.store import Store


@dataclass(slots=True)
class Line:
    """The main line of one data folder; `detected` and `segmented` count the frames that the models saw."""

    data: Path
    detected: int = 0
    segmented: int = 0
    opened: list[str] = field(default_factory=list)

    def _detector(self, image: Any) -> Any:
        self.detected += 1
        return middle_box(image)

    def _segmenter(self, image: Any, xyxy: Any) -> Any:
        self.segmented += 1
        return ellipses(image, xyxy)

    def _open(self, name: str, model: Any) -> Any:
        self.opened.append(name)
        return model

    def cell(self, tracker: str = "T1", settings: dict[str, Any] | None = None, listen: Listener = nobody) -> Cell:
        """The cell of the dataset `film`; its frames are listed first."""
        store = Store(self.data)
        dataset = list_datasets(self.data)["film"]
        update_raw_frames(store, dataset)
        recipes = tracker_recipes(TrackerSpec(tracker, settings=settings or {}), self.data)
        return Cell(store, dataset, tracker, recipes, listen=listen)

    def make(self, cell: Cell) -> tuple[StageUpdate, StageUpdate, StageUpdate]:
        """Detections, masks and scored crops of a cell."""
        found = update_detections(cell, lambda: self._open("detector", (self._detector,)))
        masks = update_masks(cell, lambda: self._open("segmenter", self._segmenter))
        return found, masks, update_scored_crops(cell)


@pytest.fixture
def line(data: Path) -> Callable[..., Line]:
    return Line(data)

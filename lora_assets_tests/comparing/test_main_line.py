"""The real main line on drawn frames, with cheap models: one thing is changed at a time and must be named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lora_assets import recipes
from lora_assets.benchmarks.cheap import ellipses
from lora_assets.comparing import CompareSettings, Comparison, Selection, compare_trackers
from lora_assets.comparing.details import crop_changes
from lora_assets.comparing.report import cause_text
from lora_assets.main_line.cells import Cell, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.specs import TrackerSpec, list_datasets, write_tracker
from lora_assets.starter import STARTER_FOLDER
from lora_assets.store import Store
from lora_assets.vision.boxes import Boxes

FRAMES = 2
ANY_CHANGE = CompareSettings(least_difference=0.0)


@pytest.fixture
def make(data: Path, drop_frames: Callable[..., Path]) -> Callable[..., None]:
    """Make a tracker's cell: a sure person in every frame, `shift` pixels to the right, and an unsure face."""
    drop_frames(count=FRAMES)

    def cell(tracker: str, settings: dict[str, Any] | None = None, shift: float = 0.0) -> None:
        store = Store(data)
        spec = TrackerSpec(tracker, settings=settings or {})
        write_tracker(data, spec)
        dataset = list_datasets(data)["film"]
        update_raw_frames(store, dataset)
        made = Cell(store, dataset, tracker, recipes.tracker_recipes(spec, data), workers=1)

        def find(image: Any) -> Boxes:
            height, width = image.shape[:2]
            body = [width * 0.35 + shift, height * 0.1, width * 0.65, height * 0.95]
            other = [width * 0.7, height * 0.1, width * 0.98, height * 0.9]
            confidence = np.array([0.9, 0.3])
            sure = confidence >= made.recipes.settings.detect.conf
            labels = tuple(label for label, kept in zip(("person", "person"), sure, strict=True) if kept)
            return Boxes(np.array([body, other])[sure], confidence[sure], labels, ("drawn",) * len(labels))

        update_detections(made, lambda: (find,))
        update_masks(made, lambda: ellipses)
        update_scored_crops(made)

    return cell


def compared(data: Path, before: str, after: str) -> Comparison:
    return compare_trackers(Store(data), before, after, ANY_CHANGE)


def texts(found: Comparison) -> list[str]:
    return [cause_text(cause.key) for cause in found.causes]


def test_each_setting_and_each_code_version_is_named(data, make, monkeypatch):
    make("BASE")
    make("AGAIN")
    assert compared(data, "BASE", "AGAIN").counts["same"] == 2 * FRAMES
    assert texts(compared(data, "BASE", "AGAIN")) == []

    make("CONF", {"detect": {"conf": 0.4}})
    found = compared(data, "BASE", "CONF")
    assert found.counts["gone"] == FRAMES
    assert texts(found) == ["detection conf 0.25 -> 0.4"]
    assert {crop.how for crop in crop_changes(found, found.select(Selection(change="gone")))} == {"below_conf"}
    back = compared(data, "CONF", "BASE")
    assert (back.counts["new"], back.counts["better"]) == (FRAMES, found.counts["worse"])

    make("PRESET", {"refine": {"preset": "baseline"}})
    found = compared(data, "BASE", "PRESET")
    assert texts(found) == ["mask preset aggressive -> baseline"]
    assert found.counts["same"] < 2 * FRAMES

    make("SCORE", {"score": {"area_ratio": 0.4, "mask_completeness": 0.05}})
    assert texts(compared(data, "BASE", "SCORE")) == [
        "2 changes of scoring: area_ratio 0.15 -> 0.4, mask_completeness 0.3 -> 0.05"
    ]

    monkeypatch.setitem(recipes.CODE_VERSIONS, "detections", "99")
    make("CODE", shift=4.0)
    monkeypatch.undo()
    [text] = texts(compared(data, "BASE", "CODE"))
    assert text == f"detection code {recipes.CODE_VERSIONS['detections']} -> 99"


def test_weights_are_named_by_their_content(data, make, tmp_path):
    copy, other = tmp_path / "copy.onnx", tmp_path / "other.onnx"
    shutil.copyfile(STARTER_FOLDER / "starter_yolo.onnx", copy)
    other.write_bytes(copy.read_bytes() + b"\0")
    make("COPY", {"detect": {"weights": [str(copy)], "imgsz": 512}})
    make("OTHER", {"detect": {"weights": [str(other)], "imgsz": 512}}, shift=5.0)
    [text] = texts(compared(data, "COPY", "OTHER"))
    assert text.startswith("detection weights copy (")
    assert " -> other (" in text


def test_a_frame_whose_bytes_changed_and_one_that_came(data, make, drop_frames):
    make("BASE")
    folder = drop_frames(count=1, start=5)
    newest = max(folder.glob("*.jpg"), key=lambda path: path.name)
    first = min(folder.glob("*.jpg"), key=lambda path: path.name)
    shutil.move(newest, first)
    drop_frames(count=1, start=7)
    make("LATER")
    found = compared(data, "BASE", "LATER")
    assert found.counts["new"] == 2
    assert sorted(texts(found)) == ["frame added", "the frame's bytes differ"]
    changed = [crop for crop in crop_changes(found, found.select(Selection())) if crop.how == "bytes"]
    assert {crop.stage for crop in changed} == {"frame"}
    assert {crop.before.path == crop.after.path for crop in changed if crop.before and crop.after} == {True}

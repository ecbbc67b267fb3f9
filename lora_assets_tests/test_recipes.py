"""What detection settings make of a recipe: reference pictures, measured proportions, the word edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lora_assets import recipes
from lora_assets.recipes import CODE_VERSIONS, tracker_recipes
from lora_assets.specs import SpecError, TrackerSpec
from lora_assets.store import Store
from lora_assets.tables import Detection, RawFrame, to_table
from lora_assets_tests.vision.tiny_models import constant_onnx


@pytest.fixture
def weights(data: Path) -> str:
    return str(constant_onnx(data / "net.onnx", np.zeros((1, 5, 4), np.float32), (32, 32)))


def _spec(weights: str, tracker: str = "T", **detect: object) -> TrackerSpec:
    return TrackerSpec(tracker, ("film",), settings={"detect": {"weights": [weights], **detect}})


def _publish_pairs(data: Path, tracker: str, count: int) -> None:
    store, frames, boxes = Store(data), [], []
    for number in range(count):
        sha256 = f"{number:064x}"
        frames.append(RawFrame(f"{number}.png", sha256, 1, 1, 1, 1000, 600, "PNG", 0.5, 0.0, 1.0, "0" * 16, None))
        for label, *xyxy in (("person", 450, 100, 550, 400), ("head", 470, 100, 530, 160)):
            boxes.append(Detection(sha256, f"{number}{label}", label, 0.9, *map(float, xyxy), "net", label == "person"))
        made = Detection(sha256, f"{number}made", "person", 0.9, 0.0, 0.0, 9.0, 9.0, "net", True, body_from="edges")
        boxes.append(made)
    for name, row_type, rows in (("frames", RawFrame, frames), ("detections", Detection, boxes)):
        store.publish(store.table_path(name, "film", tracker), row_type, [to_table(rows, row_type)], "v", {})


def test_detections_of_the_new_code_are_not_those_of_the_old() -> None:
    assert CODE_VERSIONS["detections"] != "1"


def test_edges_needs_no_weights_but_changes_the_recipe(data: Path, weights: str) -> None:
    plain, edges = (
        tracker_recipes(_spec(weights), data),
        tracker_recipes(TrackerSpec("T", ("film",), settings={"detect": {"weights": [weights, "edges"]}}), data),
    )
    assert len(plain.detectors) == len(edges.detectors) == 1
    assert plain.detections.digest != edges.detections.digest


def test_reference_pictures_are_known_by_content(data: Path, weights: str) -> None:
    spec = _spec(weights, subject="references", references="hana")
    with pytest.raises(SpecError, match=r"tracker T, section \[detect\], references: .*hana holds no picture"):
        tracker_recipes(spec, data)
    folder = data / "references" / "hana"
    folder.mkdir(parents=True)
    Image.new("RGB", (40, 40), (200, 0, 0)).save(folder / "1.png")
    first = tracker_recipes(spec, data)
    assert first.references is not None and first.detections.digest == tracker_recipes(spec, data).detections.digest
    Image.new("RGB", (41, 40), (0, 0, 200)).save(folder / "2.png")
    assert tracker_recipes(spec, data).detections.digest != first.detections.digest


def test_other_weights_of_a_check_score_anew_and_leave_the_masks(
    data: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracker_recipes(_spec(weights), data)
    told = first.scored_crops.weights
    assert [used.name for used in told] == list(recipes.CHECKERS) and all(len(used.sha256) == 64 for used in told)
    assert not any(used.starter for used in told), "nobody is asked to fetch better ones"
    monkeypatch.setattr(recipes, "CHECKERS", ("starter-pages",))
    other = tracker_recipes(_spec(weights), data)
    assert other.masks.digest == first.masks.digest
    assert other.scored_crops.digest != first.scored_crops.digest


def test_proportions_are_measured_on_a_finished_tracker(data: Path, weights: str) -> None:
    spec = _spec(weights, proportions_from="FIRST")
    with pytest.raises(SpecError, match="FIRST, which has no detections"):
        tracker_recipes(spec, data)
    _publish_pairs(data, "FIRST", 25)
    made = tracker_recipes(spec, data)
    assert (made.settings.detect.body_heads, made.settings.detect.body_width_heads) == (5.0, 1.75)
    assert made.settings.detect.face_in_head == 0.75
    written = tracker_recipes(_spec(weights, body_heads=5.0, body_width_heads=1.75), data)
    assert made.detections.digest == written.detections.digest
    # A table of an earlier version does not say how a box came about: all of its boxes count.
    store = Store(data)
    path = store.table_path("detections", "film", "FIRST")
    pq.write_table(pq.read_table(path).drop_columns(["body_from"]), path)
    assert tracker_recipes(spec, data).settings.detect.body_heads > 0
    with pytest.raises(SpecError, match="must name another tracker"):
        tracker_recipes(_spec(weights, tracker="FIRST", proportions_from="FIRST"), data)


def test_onnx_weights_name_the_runtime_that_answers_for_them(
    data: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tracker_recipes(_spec(weights), data)
    assert "onnxruntime" in before.detections.runtime and "CPUExecutionProvider" in before.detections.runtime
    assert "onnxruntime" not in before.segments.runtime
    monkeypatch.setattr("onnxruntime.__version__", "9.9.9")
    after = tracker_recipes(_spec(weights), data)
    assert after.detections.digest != before.detections.digest

"""coco_annotations, finetuned_segmenter and segmenter_report by Dagster."""

from __future__ import annotations

import shutil
from typing import Any

import dagster as dg

from lora_assets.assets.annotations import coco_annotations
from lora_assets.assets.segmenters import better_than_base, finetuned_segmenter, segmenter_report
from lora_assets.models.tuned import WORSE
from lora_assets.resources import DataFolder
from lora_assets_tests.finetuning.conftest import drawn_set, sam2_folder, segmenter  # noqa: F401

ASSETS = [coco_annotations, finetuned_segmenter, segmenter_report]


def _make(data, instance, name):
    instance.add_dynamic_partitions("segmenter", [name])
    resources = {"data_folder": DataFolder(path=str(data))}
    return dg.materialize([*ASSETS, better_than_base], partition_key=name, instance=instance, resources=resources)


def _event(result: dg.ExecuteInProcessResult, asset: str) -> tuple[dict[str, Any], dict[str, str]]:
    event = result.asset_materializations_for_node(asset)[0]
    return {name: value.value for name, value in event.metadata.items()}, dict(event.tags or {})


def test_the_branch_is_made_shown_and_not_made_twice(data, instance, segmenter):  # noqa: F811
    segmenter("comics", learning_rate=1e-12, steps=1, validate_every=1)
    result = _make(data, instance, "comics")
    assert result.success
    (tuned, _), (report, tags) = _event(result, "finetuned_segmenter"), _event(result, "segmenter_report")
    assert tuned["steps"] == 1.0
    assert isinstance(tuned["estimated_memory_gb"], float)
    assert tuned["lineage"]["base_sha256"]
    assert tuned["ended"] == "all steps are done"
    assert report["verdict"] == WORSE
    assert report["offered"] is False
    assert report["iou_box_gain"] == 0.0
    for one in (tuned, report):
        assert one["preview"].startswith("![")
        assert "data:image/png;base64," in one["preview"]
        assert one["already_made"] is False
    checks = [(one.check_name, one.passed) for one in result.get_asset_check_evaluations()]
    assert ("better_than_base", False) in checks
    again, same_tags = _event(_make(data, instance, "comics"), "segmenter_report")
    assert again["already_made"] is True
    assert same_tags["dagster/data_version"] == tags["dagster/data_version"]


def test_a_set_that_forbids_training_fails_with_the_reason(data, instance, segmenter):  # noqa: F811
    segmenter("comics")
    shutil.rmtree(data / "annotations" / "tiny" / "images" / "val")
    instance.add_dynamic_partitions("segmenter", ["comics"])
    result = dg.materialize(
        [finetuned_segmenter], partition_key="comics", instance=instance,
        resources={"data_folder": DataFolder(path=str(data))}, raise_on_error=False,
    )  # fmt: skip
    assert not result.success
    assert "val" in str(result.failure_data_for_node("finetuned_segmenter"))

from __future__ import annotations

import dagster as dg
import pytest

from lora_assets.assets.automation import dashboard_job
from lora_assets.assets.compare import not_worse_than_baseline
from lora_assets.assets.main_line import tracker_dashboard
from lora_assets.definitions import defs
from lora_assets.resources import DataFolder
from lora_assets_tests.comparing.cells import Crop, Recipes, publish


@pytest.fixture
def check(data, instance):
    """Make a tracker's dashboard: the check's evaluation, and whether the run went well."""
    job = dg.Definitions(
        assets=[tracker_dashboard],
        asset_checks=[not_worse_than_baseline],
        jobs=[dashboard_job],
        resources={"data_folder": DataFolder(path=str(data))},
        executor=dg.in_process_executor,
    ).resolve_job_def(dashboard_job.name)

    def run(tracker: str):
        instance.add_dynamic_partitions("tracker", [tracker])
        result = job.execute_in_process(instance=instance, partition_key=tracker, raise_on_error=False)
        [evaluation] = result.get_asset_check_evaluations()
        return evaluation, result.success

    return run


@pytest.mark.parametrize(
    ("worse", "passed", "severity", "success"),
    [(0, True, "WARN", True), (1, False, "WARN", True), (8, False, "ERROR", False)],
)
def test_the_check_warns_and_blocks_by_the_trackers_settings(data, check, worse, passed, severity, success):
    publish(data, "A", [Crop(n) for n in range(20)])
    after = [Crop(n, score=0.3 if n < worse else 0.9) for n in range(20)]
    publish(data, "B", after, recipes=Recipes(score={"high": 0.85}), baseline="A")
    evaluation, went_well = check("B")
    assert (evaluation.passed, evaluation.severity.value, went_well) == (passed, severity, success)
    metadata = evaluation.metadata
    assert {name: metadata[name].value for name in ("worse", "same", "worse_share")} == {
        "worse": float(worse),
        "same": 20.0 - worse,
        "worse_share": worse / 20,
    }
    assert all(isinstance(metadata[name], dg.FloatMetadataValue) for name in ("better", "gone", "new", "causes"))
    assert ("scoring high 0.8 -> 0.85" in metadata["changes"].value) == bool(worse)
    assert metadata["page"].value.endswith("/compare/A/B")


def test_a_tracker_without_a_baseline_passes_and_says_so(data, check):
    publish(data, "B", [Crop(1)])
    evaluation, went_well = check("B")
    assert (evaluation.passed, went_well) == (True, True)
    assert evaluation.description == "B names no baseline: nothing is compared"
    assert "page" not in evaluation.metadata


def test_the_check_is_among_the_definitions():
    keys = {key for one in defs.asset_checks or () for key in one.check_keys}  # pyright: ignore
    assert dg.AssetCheckKey(dg.AssetKey("tracker_dashboard"), "not_worse_than_baseline") in keys

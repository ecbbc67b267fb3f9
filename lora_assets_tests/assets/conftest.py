"""An ephemeral Dagster instance and the project's jobs on a data folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lora_assets.assets.automation import cells_job, dashboard_job, frames_job
from lora_assets.benchmarks.cheap import ellipses, middle_box
from lora_assets.definitions import CHECKS, GROUPS
from lora_assets.resources import DataFolder, ModelOpener


class CheapModels(ModelOpener):
    """Models that cost nothing, at the one seam where models are opened."""

    def detectors(self, recipes: Any) -> Sequence[Any]:
        return (middle_box,)

    def segmenter(self, recipes: Any) -> Any:
        return ellipses


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def run_job(data: Path, instance: dg.DagsterInstance) -> Callable[..., dg.ExecuteInProcessResult]:
    """Run a job of the project for one partition on the test's data folder."""
    defs = dg.Definitions(
        assets=[asset for group in GROUPS.values() for asset in group],
        asset_checks=CHECKS,
        jobs=[frames_job, cells_job, dashboard_job],
        resources={"data_folder": DataFolder(path=str(data)), "models": CheapModels()},
        executor=dg.in_process_executor,
    )

    def run(job: str, partition: Any, **dimensions: str) -> dg.ExecuteInProcessResult:
        for name, key in dimensions.items():
            instance.add_dynamic_partitions(name, [key])
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=partition, raise_on_error=False
        )

    return run


@pytest.fixture
def make_cell(run_job) -> Callable[..., dg.ExecuteInProcessResult]:
    """List the dataset's frames and make one cell."""

    def make(dataset: str = "film", tracker: str = "T1") -> dg.ExecuteInProcessResult:
        assert run_job("main_line_frames", dataset, dataset=dataset).success
        key = dg.MultiPartitionKey({"dataset": dataset, "tracker": tracker})
        return run_job("main_line_cells", key, dataset=dataset, tracker=tracker)

    return make

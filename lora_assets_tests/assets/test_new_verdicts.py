"""The sensor that makes a judge anew after enough marks, as Dagster runs it."""

from __future__ import annotations

import dagster as dg
import pytest

from lora_assets.assets.automation import AFTER_VERDICTS, RETRIES, new_verdicts, review_job
from lora_assets.assets.judge import judge, verdicts
from lora_assets.curation.making import make_curated
from lora_assets.definitions import defs
from lora_assets.resources import DataFolder, trackers
from lora_assets.verdicts import VerdictLog, open_log
from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops
from lora_assets_tests.verdicts.marks import a_mark


@pytest.fixture
def tick(data, instance):
    def run(cursor: str | None = None, definitions: dg.Definitions | None = None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=instance,
            resources={"data_folder": DataFolder(path=str(data))},
            cursor=cursor,
            definitions=definitions,
        )
        return new_verdicts(context)

    return run


def test_it_asks_once_for_a_state_and_again_when_a_run_failed(data, instance, tick):
    reviewed = make_cell(data)
    assert isinstance(tick(), dg.SkipReason)
    with open_log(data) as log:
        mark_crops(log, reviewed[:24])
    assert tick().run_requests == []  # the partition is added by live_trackers
    instance.add_dynamic_partitions("tracker", [TRACKER])
    (request,) = tick().run_requests
    assert (request.job_name, request.partition_key) == ("review", TRACKER)
    assert [one.run_key for one in tick().run_requests] == [request.run_key]
    keys = {request.run_key}
    for _ in range(RETRIES + 2):
        instance.add_run(dg.DagsterRun(job_name="review", status=dg.DagsterRunStatus.FAILURE, tags=dict(request.tags)))
        keys.update(one.run_key for one in tick().run_requests)
    assert len(keys) == RETRIES + 1


def test_the_job_makes_the_judge_and_then_nothing_is_due(data, instance, tick):
    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:24])
    instance.add_dynamic_partitions("tracker", [TRACKER])
    own = dg.Definitions(
        assets=[judge, verdicts], jobs=[review_job], resources={"data_folder": DataFolder(path=str(data))}
    )
    (request,) = tick(definitions=own).run_requests
    names = {key.to_user_string() for key in defs.resolve_job_def("review").asset_layer.executable_asset_keys}
    assert "judge" in names
    assert names <= set(AFTER_VERDICTS)
    result = own.resolve_job_def("review").execute_in_process(instance=instance, partition_key=request.partition_key)
    assert result.success
    assert tick(definitions=own).run_requests == []


def test_curation_that_fails_after_the_judge_is_asked_for_again(data, instance, tick):
    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:24])
    instance.add_dynamic_partitions("tracker", [TRACKER])
    failing = [True]

    @dg.asset(name="curated_dataset", deps=[judge], partitions_def=trackers)
    def curation(data_folder: DataFolder) -> None:
        if failing:
            raise RuntimeError("the disk is full")
        make_curated(data_folder.store, TRACKER)

    own = dg.Definitions(
        assets=[judge, verdicts, curation],
        jobs=[review_job],
        resources={"data_folder": DataFolder(path=str(data))},
        executor=dg.in_process_executor,
    )

    def run(request: dg.RunRequest) -> bool:
        job = own.resolve_job_def("review")
        return job.execute_in_process(
            instance=instance, partition_key=TRACKER, tags=dict(request.tags), raise_on_error=False
        ).success

    (request,) = tick(definitions=own).run_requests
    assert not run(request)
    (again,) = tick(definitions=own).run_requests
    assert again.tags == request.tags
    assert again.run_key != request.run_key
    failing.clear()
    assert run(again)
    assert tick(definitions=own).run_requests == []


def test_a_state_that_was_looked_at_is_not_read_again(data, instance, tick, monkeypatch):
    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:24])
    instance.add_dynamic_partitions("tracker", [TRACKER])
    first = tick()
    reads = []
    monkeypatch.setattr(VerdictLog, "numbered_since", lambda *_: reads.append(1) or [])
    again = tick(first.cursor)
    assert ([one.run_key for one in again.run_requests], again.cursor) == (
        [one.run_key for one in first.run_requests], first.cursor
    )  # fmt: skip
    assert not reads
    with open_log(data) as log:
        log.append(a_mark())
    tick(first.cursor)
    assert reads

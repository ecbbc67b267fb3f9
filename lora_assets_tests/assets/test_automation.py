from __future__ import annotations

import datetime
import uuid
from pathlib import Path

import dagster as dg
import pytest

from lora_assets.assets import automation
from lora_assets.assets.automation import RETRIES, input_folders, live_trackers, nightly_recheck
from lora_assets.resources import DataFolder
from lora_assets.run_launcher import PROCESS_TAG
from lora_assets.run_recovery import close_dead_runs
from lora_assets.specs import LIVE, TrackerSpec, read_tracker, tracker_path, write_tracker


@pytest.fixture
def clock(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr(automation.time, "time", lambda: now[0])
    return now


@pytest.fixture
def tick(data, instance, clock):
    cursor = [None]

    def run(sensor, seconds: float = 5.0):
        clock[0] += seconds
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor[0] if sensor is input_folders else None,
            resources={"data_folder": DataFolder(path=str(data))},
        )  # fmt: skip
        result = sensor(context)
        if sensor is input_folders:
            cursor[0] = result.cursor
        for request in result.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return result

    return run


def test_a_new_folder_becomes_a_partition_and_a_run_in_one_tick(drop_frames, tick, instance):
    drop_frames("キャラ 画像", count=2)
    assert not tick(input_folders).run_requests
    results = [tick(input_folders) for _ in range(3)]
    requests = [request for result in results for request in result.run_requests]
    assert len(requests) == 1
    assert requests[0].partition_key in instance.get_dynamic_partitions("dataset")


def test_a_vanished_folder_is_observed_once_and_its_partition_stays(data, drop_frames, tick, instance):
    folder = drop_frames(count=2)
    for _ in range(4):
        tick(input_folders)
    folder.rename(data / "away")
    events = [event for _ in range(3) for event in tick(input_folders).asset_events]
    assert [event.partition for event in events] == ["film"]
    assert instance.get_dynamic_partitions("dataset") == ["film"]


def test_cells_are_asked_for_while_they_are_missing_and_then_the_dashboard(data, drop_frames, tick, make_cell, run_job):
    drop_frames(count=2)
    assert not tick(live_trackers).run_requests  # nothing is listed yet
    assert read_tracker(data, LIVE).covers("film")
    run_job("main_line_frames", "film", dataset="film")
    due = tick(live_trackers).run_requests
    assert [(request.job_name, str(request.partition_key)) for request in due] == [("main_line_cells", "film|LIVE")]
    assert [request.run_key for request in tick(live_trackers).run_requests] == [due[0].run_key]
    make_cell(tracker=LIVE)
    due = tick(live_trackers).run_requests
    assert [(request.job_name, request.partition_key) for request in due] == [("main_line_dashboard", LIVE)]
    run_job("main_line_dashboard", LIVE, tracker=LIVE)
    assert not tick(live_trackers).run_requests
    assert not read_tracker(data, LIVE).sealed


def test_inputs_that_return_to_an_earlier_state_are_asked_for_under_a_new_key(data, drop_frames, tick, run_job):
    def key() -> str:
        run_job("main_line_frames", "film", dataset="film")
        return tick(live_trackers).run_requests[0].run_key

    folder = drop_frames(count=2)
    first = key()
    extra = sorted(drop_frames(count=3).glob("*.jpg"))[-1]
    second = key()
    extra.unlink()
    third = key()
    assert len({first, second, third}) == 3
    assert len(list(folder.glob("*.jpg"))) == 2


def test_a_tracker_that_cannot_be_planned_stops_no_other(data, drop_frames, tick, run_job):
    drop_frames(count=1)
    write_tracker(data, TrackerSpec("BROKEN", settings={"detect": {"weights": ["nothing-like-it"]}}))
    run_job("main_line_frames", "film", dataset="film")
    due = tick(live_trackers).run_requests
    assert [str(request.partition_key) for request in due] == ["film|LIVE"]


def test_the_nightly_schedule_reads_every_dataset_again(data, drop_frames, tmp_path):
    drop_frames(count=1)
    drop_frames("unknown to Dagster", count=1)
    (tmp_path / "dagster").mkdir()
    stored = dg.DagsterInstance.local_temp(str(tmp_path / "dagster"))
    stored.add_dynamic_partitions("dataset", ["film", "gone"])
    context = dg.build_schedule_context(
        instance=stored, scheduled_execution_time=datetime.datetime(2026, 11, 21, 3, tzinfo=datetime.UTC),
        resources={"data_folder": DataFolder(path=str(data))},
    )  # fmt: skip
    with context:
        requests = nightly_recheck(context)
    stored.dispose()
    assert [request.partition_key for request in requests] == ["film"]
    assert requests[0].run_config["ops"]["raw_frames"]["config"]["rehash"] is True


def _end_run(instance, request, status) -> None:
    """A run as the daemon starts it for a request, and how it ended."""
    tags = {**request.tags, "dagster/run_key": request.run_key}
    job = request.job_name or "main_line_frames"
    instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=status, tags=tags))


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_a_cell_that_fails_is_tried_three_times_more(data, drop_frames, tick, run_job, instance, status):
    drop_frames(count=1)
    run_job("main_line_frames", "film", dataset="film")
    keys = []
    for _ in range(7):
        (request,) = tick(live_trackers).run_requests
        if request.run_key not in keys:
            _end_run(instance, request, status)
        keys.append(request.run_key)
    assert len(set(keys[:4])) == 4
    assert set(keys[4:]) == {keys[3]}


def test_what_is_lost_after_its_run_is_made_again(data, drop_frames, tick, make_cell, run_job, instance):
    drop_frames(count=1)
    write_tracker(data, TrackerSpec(LIVE))
    run_job("main_line_frames", "film", dataset="film")
    (cell,) = tick(live_trackers).run_requests
    make_cell("film", LIVE)
    _end_run(instance, cell, dg.DagsterRunStatus.SUCCESS)
    (page,) = tick(live_trackers).run_requests
    run_job("main_line_dashboard", LIVE, tracker=LIVE)
    _end_run(instance, page, dg.DagsterRunStatus.SUCCESS)
    assert not tick(live_trackers).run_requests
    (data / "pages" / LIVE / "inputs").unlink()
    (data / "tables" / "masks" / LIVE / "film.parquet").unlink()
    (again,) = tick(live_trackers).run_requests
    assert (again.partition_key, again.tags) == (cell.partition_key, cell.tags)
    assert again.run_key != cell.run_key
    make_cell("film", LIVE)
    assert tick(live_trackers).run_requests[0].run_key not in (page.run_key, cell.run_key, again.run_key)


def test_what_stays_due_although_its_runs_succeed_is_told_and_tried_once_a_day(
    data, drop_frames, tick, run_job, instance, clock, capfd
):
    drop_frames(count=1)
    run_job("main_line_frames", "film", dataset="film")
    keys = []
    for _ in range(RETRIES + 1):
        (request,) = tick(live_trackers).run_requests
        _end_run(instance, request, dg.DagsterRunStatus.SUCCESS)
        keys.append(request.run_key)
    clock[0] = datetime.datetime.now(datetime.UTC).timestamp()
    assert tick(live_trackers).run_requests[0].run_key == keys[-1]
    assert "4 ended without it being up to date" in capfd.readouterr().err
    assert tick(live_trackers, 90_000.0).run_requests[0].run_key not in keys


def test_a_run_that_goes_on_is_not_asked_for_under_a_new_key(data, drop_frames, tick, run_job, instance):
    drop_frames(count=1)
    run_job("main_line_frames", "film", dataset="film")
    (request,) = tick(live_trackers).run_requests
    _end_run(instance, request, dg.DagsterRunStatus.STARTED)
    assert tick(live_trackers).run_requests[0].run_key == request.run_key


def test_a_cell_that_failed_does_not_hold_back_the_dashboard(data, drop_frames, tick, make_cell, run_job, instance):
    drop_frames(count=1)
    drop_frames("later", count=1)
    write_tracker(data, TrackerSpec(LIVE))
    make_cell("film", LIVE)
    run_job("main_line_frames", "later", dataset="later")
    (request,) = tick(live_trackers).run_requests
    assert str(request.partition_key) == "later|LIVE"  # the dashboard waits for it
    _end_run(instance, request, dg.DagsterRunStatus.FAILURE)
    asked = tick(live_trackers).run_requests
    assert [request.job_name for request in asked] == ["main_line_cells", "main_line_dashboard"]
    _end_run(instance, asked[1], dg.DagsterRunStatus.FAILURE)
    assert tick(live_trackers).run_requests[1].run_key != asked[1].run_key
    run_job("main_line_dashboard", LIVE, tracker=LIVE)
    assert [request.job_name for request in tick(live_trackers).run_requests] == ["main_line_cells"]


def test_a_listing_that_failed_is_asked_for_again_and_not_while_it_goes_on(drop_frames, tick, run_job, instance):
    drop_frames(count=1)
    (first,) = [request for _ in range(4) for request in tick(input_folders).run_requests]
    going_on = dg.DagsterRun(
        job_name="main_line_frames", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "film"},
    )  # fmt: skip
    instance.add_run(going_on)
    assert not tick(input_folders, 70.0).run_requests
    instance.report_run_canceled(going_on)
    (second,) = tick(input_folders).run_requests
    assert second.run_key != first.run_key
    assert run_job("main_line_frames", "film", dataset="film").success
    assert not [request for _ in range(5) for request in tick(input_folders, 3600.0).run_requests]


def test_a_wrong_setting_of_videos_stops_no_watch(data, drop_frames, tick, run_job):
    drop_frames(count=1)
    (data / "input" / "film" / "a.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(200))
    assert [request for _ in range(4) for request in tick(input_folders).run_requests]
    assert run_job("main_line_frames", "film", dataset="film").success
    (data / "settings.toml").write_text("[video]\nspeed = 4\n")
    drop_frames("later", count=1)
    asked = [request for _ in range(4) for request in tick(input_folders).run_requests]
    assert [request.partition_key for request in asked] == ["later"]


def test_a_live_tracker_that_cannot_be_read_stops_no_other(data, drop_frames, tick, run_job):
    drop_frames(count=1)
    write_tracker(data, TrackerSpec("T1", ("film",)))
    tracker_path(data, LIVE).write_text("datasets = [")
    run_job("main_line_frames", "film", dataset="film")
    assert [str(request.partition_key) for request in tick(live_trackers).run_requests] == ["film|T1"]


def _die(instance, request) -> None:
    """A run as the machine leaves it that stops while it goes on, and the servers as they start again."""
    job = request.job_name or "main_line_frames"
    tags = {**request.tags, "dagster/run_key": request.run_key, PROCESS_TAG: "another-start/1/1"}
    if request.job_name is None:
        tags["dagster/partition"] = request.partition_key
    run = dg.DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.add_run(run)
    assert close_dead_runs(instance) == [run.run_id]


def test_deaths_use_up_no_retries(data, drop_frames, tick, run_job, instance):
    drop_frames(count=1)
    run_job("main_line_frames", "film", dataset="film")
    keys = set()
    for _ in range(3 * RETRIES):
        (request,) = tick(live_trackers).run_requests
        _die(instance, request)
        keys.add(request.run_key)
    assert len(keys) == 3 * RETRIES
    for _ in range(RETRIES + 1):
        (request,) = tick(live_trackers).run_requests
        assert request.run_key not in keys
        keys.add(request.run_key)
        _end_run(instance, request, dg.DagsterRunStatus.FAILURE)
    assert tick(live_trackers).run_requests[0].run_key in keys


def test_what_failed_for_good_is_tried_once_a_day_and_told(data, drop_frames, tick, run_job, instance, clock, capfd):
    drop_frames(count=1)
    run_job("main_line_frames", "film", dataset="film")
    keys = []
    for _ in range(RETRIES + 1):
        (request,) = tick(live_trackers).run_requests
        keys.append(request.run_key)
        _end_run(instance, request, dg.DagsterRunStatus.FAILURE)
    clock[0] = datetime.datetime.now(datetime.UTC).timestamp()
    assert tick(live_trackers).run_requests[0].run_key in keys
    assert "4 runs failed" in capfd.readouterr().err
    (request,) = tick(live_trackers, 90_000.0).run_requests
    assert request.run_key not in keys


def test_the_instance_has_a_limit_for_runs_one_of_each_partition_and_no_telemetry():
    import yaml

    told = yaml.safe_load((Path(__file__).resolve().parents[2] / "dagster.yaml").read_text())
    assert told["telemetry"] == {"enabled": False}
    assert told["run_monitoring"]["enabled"] and 0 < told["run_monitoring"]["max_runtime_seconds"] <= 48 * 3600
    (limit,) = told["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limit == {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}

"""Jobs, sensors and the nightly schedule: what makes the graph bring itself up to date.

All sensors are level-triggered: they compare what is on disk with what is wanted and remember no events.
No `from __future__ import annotations` here (dagster#26837).
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lora_assets.assets.main_line import detections, masks, raw_frames, scored_crops, tracker_dashboard, video_frames
from lora_assets.folder_watch import SETTLE_SECONDS, Listing, look_at_folders, read_state, write_state
from lora_assets.judge.renewal import (
    CURATED,
    JUDGE,
    JudgeDue,
    ReviewSettings,
    followers,
    judges_due,
    read_review_settings,
    renewal_state,
)
from lora_assets.main_line.sampling import is_of_sample
from lora_assets.main_line.videos import waiting_videos
from lora_assets.planning import CellDue, DashboardDue, plan_all
from lora_assets.resources import DataFolder, datasets, trackers
from lora_assets.run_recovery import DIED, DIED_TAG
from lora_assets.specs import LIVE, SpecError, dataset_problems, ensure_live, known_tracker_ids, list_datasets
from lora_assets.verdicts import open_log
from lora_assets.verdicts.log import log_path

TICK_SECONDS = 5
# How often a cell or dashboard whose run failed or was canceled is tried again at once while its inputs stay the same.
RETRIES = 3
_DAY_SECONDS = 86400.0
_DUE_TAG = "lora_assets/due"
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_ENDED = [*_FAILED, dg.DagsterRunStatus.SUCCESS]
_GOING_ON = [status for status in dg.DagsterRunStatus if status not in _ENDED]

# The terminal of `make up` shows warnings only; the log of a run in the UI shows everything.
_QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}

frames_job = dg.define_asset_job(
    "main_line_frames",
    selection=dg.AssetSelection.assets(raw_frames, video_frames),
    config=_QUIET,
    description="List and judge the files of one dataset; its videos become frames.",
)
cells_job = dg.define_asset_job(
    "main_line_cells",
    selection=dg.AssetSelection.assets(detections, masks, scored_crops),
    config=_QUIET,
    description="Detect, mask and score one dataset for one tracker; models are opened once.",
)
dashboard_job = dg.define_asset_job(
    "main_line_dashboard",
    selection=dg.AssetSelection.assets(tracker_dashboard),
    config=_QUIET,
    description="Build the page of one tracker from its cells.",
)
# What follows the person's verdicts, as far as it is among the loaded assets; each is made for one tracker.
AFTER_VERDICTS = (JUDGE, CURATED)
review_job = dg.define_asset_job(
    "review",
    selection=dg.AssetSelection.from_string(" or ".join(f'key:"{name}"' for name in AFTER_VERDICTS)),
    config=_QUIET,
    description="Learn a tracker's judge from the verdicts, and choose its dataset anew.",
)


def _frames_config(*, rehash: bool, settle_seconds: float) -> dict[str, Any]:
    return {**_QUIET, "ops": {"raw_frames": {"config": {"rehash": rehash, "settle_seconds": settle_seconds}}}}


def _listing(context: dg.SensorEvaluationContext, data_folder: DataFolder, slug: str) -> Listing:
    instance = context.instance
    frames = data_folder.store.frames_of(slug)
    facts = frames.facts if frames else {}
    going_on = dg.RunsFilter(job_name=frames_job.name, tags={"dagster/partition": slug}, statuses=_GOING_ON)
    running = instance.get_runs_count(going_on) > 0
    last = instance.get_runs(dg.RunsFilter(job_name=frames_job.name, tags={"dagster/partition": slug}), limit=1)
    died = bool(last) and last[0].status in _FAILED and DIED_TAG in last[0].tags
    waiting = int(facts.get("unsettled", 0))
    try:
        waiting += len(waiting_videos(data_folder.store, slug))
        waiting += frames is not None and not is_of_sample(data_folder.root, data_folder.dataset(slug), facts)
    except SpecError as error:  # a wrong setting of videos or samples must not stop the watch over all folders
        context.log.warning(f"dataset {slug}: {error}")
    return Listing(str(facts.get("fingerprint", "")), waiting, running, died)


@dg.sensor(
    jobs=[frames_job],
    minimum_interval_seconds=TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds new and changed folders under data/input (and folders named elsewhere). A folder is read when "
    "it has stood still for some seconds, and again when its run failed; a folder that vanishes keeps its results.",
)
def input_folders(context: dg.SensorEvaluationContext, data_folder: DataFolder) -> dg.SensorResult:
    state = read_state(context.cursor)
    for problem in dataset_problems(data_folder.root):
        context.log.warning(problem)
    watch = look_at_folders(
        list_datasets(data_folder.root).values(),
        state,
        time.time(),
        lambda slug: _listing(context, data_folder, slug),
    )
    existing = set(context.instance.get_dynamic_partitions("dataset"))
    new = [request.dataset.slug for request in watch.requests if request.dataset.slug not in existing]
    newly_gone = [slug for slug in watch.gone if slug in existing and not (slug in state and state[slug].gone)]
    for slug in newly_gone:
        context.log.warning(f"dataset {slug}: its folder is gone; its results are kept until it returns")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=request.key,
                partition_key=request.dataset.slug,
                run_config=_frames_config(rehash=False, settle_seconds=SETTLE_SECONDS),
            )
            for request in watch.requests
        ],
        dynamic_partitions_requests=[datasets.build_add_request(new)] if new else [],
        asset_events=[
            dg.AssetObservation("raw_frames", partition=slug, metadata={"folder": "gone"}) for slug in newly_gone
        ],
        cursor=write_state(watch.state),
    )


def _due_name(due: CellDue | DashboardDue) -> str:
    place = f"{due.dataset}|{due.tracker}" if isinstance(due, CellDue) else due.tracker
    return f"{place}:{due.key}"


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of the runs for one state of the inputs: whether one failed (or was canceled) by itself, or all retries
    are used up, and the key of the next run. A key that was used before starts none."""

    failed: bool
    key: str


def _tried(context: dg.SensorEvaluationContext, name: str, planned_at: datetime | None = None) -> _Tried:
    """One run per state of the inputs and try before, and after the last retry one a day: what fails for good is told,
    and never dropped in silence. A run that died with its process was no try.

    With `planned_at`, when the plan was begun, a run that succeeded before is a try as well: what it made was lost
    since (or weights are again what they were before), or it would not be due.
    """
    instance = context.instance
    tags = {_DUE_TAG: name}
    ended = instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=_FAILED))
    died = ended and instance.get_runs_count(dg.RunsFilter(tags={**tags, DIED_TAG: DIED}, statuses=_FAILED))
    failures, made = ended - died, 0
    if planned_at is not None:
        succeeded = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS], updated_before=planned_at)
        made = instance.get_runs_count(succeeded)
    number = failures + made
    given_up = number > RETRIES
    if given_up:
        told = f"{failures} runs failed" + (f" and {made} ended without it being up to date" if made else "")
        counted = _ENDED if made else _FAILED
        (last,) = instance.get_run_records(dg.RunsFilter(tags=tags, statuses=counted), limit=1)
        if time.time() - (last.end_time or last.update_timestamp.timestamp()) < _DAY_SECONDS:
            number = RETRIES
        context.log.warning(
            f"{name.rpartition(':')[0]}: {told}, the last is {last.dagster_run.run_id}; it is tried "
            "again a day after that one, or when its inputs change"
        )
    return _Tried(failures > 0 or given_up, f"{name}:{number}" + (f"+{died}" if died else ""))


def _request(due: CellDue | DashboardDue, run_key: str) -> dg.RunRequest:
    name = _due_name(due)
    if isinstance(due, DashboardDue):
        return dg.RunRequest(
            job_name=dashboard_job.name, run_key=run_key, partition_key=due.tracker, tags={_DUE_TAG: name}
        )
    return dg.RunRequest(
        job_name=cells_job.name,
        run_key=run_key,
        partition_key=dg.MultiPartitionKey({"dataset": due.dataset, "tracker": due.tracker}),
        tags={"lora_assets/wanted": due.version, _DUE_TAG: name},
    )


@dg.sensor(
    jobs=[cells_job, dashboard_job],
    minimum_interval_seconds=TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds cells and dashboards of unsealed trackers that are missing or stale on disk. A run that fails "
    f"is tried again up to {RETRIES} times per state of the inputs, then once a day, as are frames that had to be "
    "dropped; one that died with its process is made again at once.",
)
def live_trackers(context: dg.SensorEvaluationContext, data_folder: DataFolder) -> dg.SensorResult:
    if LIVE not in known_tracker_ids(data_folder.root):  # a LIVE that cannot be read is told by the plan
        ensure_live(data_folder.root)
    planned_at = datetime.now(UTC)
    plan = plan_all(data_folder.root, retry_dropped=True)
    for problem in plan.problems:
        context.log.warning(problem)
    known_trackers = set(context.instance.get_dynamic_partitions("tracker"))
    known_datasets = set(context.instance.get_dynamic_partitions("dataset"))
    new_trackers = [t for t in known_tracker_ids(data_folder.root) if t not in known_trackers]
    new_datasets = sorted({due.dataset for due in plan.cells} - known_datasets)
    # Frames that were dropped may be dropped again by a run that succeeds: that is the one run of the day.
    tried = {
        (due.tracker, due.dataset): _tried(context, _due_name(due), None if due.retry else planned_at)
        for due in plan.cells
    }
    requests = [_request(due, tried[due.tracker, due.dataset].key) for due in plan.cells]
    # A dashboard waits for cells that may still come, and for none that failed.
    requests += [
        _request(due, _tried(context, _due_name(due), planned_at).key)
        for due in plan.dashboards
        if all(tried[due.tracker, dataset].failed for dataset in due.waits_for)
    ]
    additions = [trackers.build_add_request(new_trackers)] if new_trackers else []
    additions += [datasets.build_add_request(new_datasets)] if new_datasets else []
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=additions)


@dg.sensor(
    jobs=[review_job],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes the judge of a tracker anew, and what rests on it, when enough of its crops were marked since: "
    f"{ReviewSettings().rerun_after}, or rerun_after in section [verdicts] of data/settings.toml. For a sealed tracker "
    f"only marks of its own pages count. A run that fails is tried again up to {RETRIES} times, then once "
    "a day.",
)
def new_verdicts(context: dg.SensorEvaluationContext, data_folder: DataFolder) -> dg.SensorResult | dg.SkipReason:
    if not log_path(data_folder.root).exists():
        return dg.SkipReason("no crop has been marked yet")
    known = set(context.instance.get_dynamic_partitions("tracker"))
    trackers_here = [tracker for tracker in known_tracker_ids(data_folder.root) if tracker in known]
    settings, store = read_review_settings(data_folder.root), data_folder.store
    with open_log(data_folder.root) as log:
        last_row = log.last_row()
        behind = followers(store, last_row, trackers_here, _loaded(context, AFTER_VERDICTS))
        state = renewal_state(store, last_row, behind, settings)
        due = _known_due(context.cursor, state)
        if due is None:
            due = judges_due(store, log, behind, settings)
    requests = []
    for judge in due:
        name = f"{judge.tracker}:{judge.key}"
        run_key, tags = _tried(context, name).key, {_DUE_TAG: name}
        requests.append(
            dg.RunRequest(job_name=review_job.name, run_key=run_key, partition_key=judge.tracker, tags=tags)
        )
    told = [[judge.tracker, judge.marked, judge.key] for judge in due]
    return dg.SensorResult(run_requests=requests, cursor=json.dumps([state, told]))


def _loaded(context: dg.SensorEvaluationContext, names: Sequence[str]) -> list[str]:
    """Those of the assets that the running code has; all where that is not known."""
    if context.repository_def is None:
        return list(names)
    keys = context.repository_def.asset_graph.executable_asset_keys
    return [name for name in names if dg.AssetKey(name) in keys]


def _known_due(cursor: str | None, state: str) -> list[JudgeDue] | None:
    """What was due when the same state was looked at last; None for another one. It spares reading the log."""
    try:
        told_state, told = json.loads(cursor or "null")
        return [JudgeDue(*one) for one in told] if told_state == state else None
    except (ValueError, TypeError):
        return None


@dg.schedule(
    job=frames_job,
    cron_schedule="0 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, opens and hashes every file again, so that also a change that kept its size and time is "
    "found; what depends on changed frames follows by the sensors.",
)
def nightly_recheck(context: dg.ScheduleEvaluationContext, data_folder: DataFolder) -> list[dg.RunRequest]:
    night = context.scheduled_execution_time.strftime("%Y-%m-%d")
    known = set(context.instance.get_dynamic_partitions("dataset"))
    return [
        dg.RunRequest(
            run_key=f"{slug}:{night}",
            partition_key=slug,
            run_config=_frames_config(rehash=True, settle_seconds=SETTLE_SECONDS),
        )
        for slug, spec in list_datasets(data_folder.root).items()
        if slug in known and os.path.exists(spec.place)  # noqa: PTH110 (Path.exists raises where a disk fails)
    ]

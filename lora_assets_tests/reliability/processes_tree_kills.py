"""G7: `lora-assets up` and everything that it started are killed at once while runs go on, and started again, as after
a power cut. Work must resume by itself, no run may stay in progress, and no folder may be left out, however often.

The quick level does without servers: runs that name dead processes, the reconciler, and the sensors, many times over.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from lora_assets.assets import automation
from lora_assets.assets.automation import input_folders, live_trackers
from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.resources import DataFolder
from lora_assets.run_launcher import PROCESS_TAG
from lora_assets.run_recovery import close_dead_runs
from lora_assets_tests.reliability.goals import Figures, Level, Trials

_ROOT = Path(__file__).resolve().parents[2]
_DEADLINE_S = 300.0
_FRAMES = 40
_STATUS = dg.DagsterRunStatus
_IN_PROGRESS = [_STATUS.NOT_STARTED, _STATUS.STARTING, _STATUS.STARTED, _STATUS.CANCELING]
_DEAD = "00000000-another-start-of-the-machine/1/1"


# --- without servers -------------------------------------------------------------------------------------------------


def _died(instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    """The run of a request as a machine leaves it that stops while it goes on."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key), PROCESS_TAG: _DEAD}
    if request.job_name is None:
        tags["dagster/partition"] = str(request.partition_key)
    job = request.job_name or "main_line_frames"
    instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=_STATUS.STARTED, tags=tags))


@dataclass(slots=True)
class _Sensors:
    """The sensors on a data folder, one look after the other, five seconds apart."""

    instance: dg.DagsterInstance
    data: Path
    now: float = 1_000_000.0
    cursor: str | None = None

    def look(self, sensor: Any) -> list[dg.RunRequest]:
        self.now += 5.0
        before, automation.time.time = automation.time.time, lambda: self.now
        try:
            context = dg.build_sensor_context(
                instance=self.instance, cursor=self.cursor if sensor is input_folders else None,
                resources={"data_folder": DataFolder(path=str(self.data))},
            )  # fmt: skip
            result = sensor(context)
        finally:
            automation.time.time = before
        if sensor is input_folders:
            self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return list(result.run_requests or [])

    def ask(self, sensor: Any, looks: int) -> list[dg.RunRequest]:
        """The requests of several looks that the instance has no run for: the daemon starts no run of a known key."""
        known = {run.tags.get("dagster/run_key") for run in self.instance.get_runs()}
        found = {request.run_key: request for _ in range(looks) for request in self.look(sensor)}
        return [request for key, request in found.items() if key not in known]


def _without_servers(deaths: int, trials: Trials) -> bool:
    """Each death is followed by one start of the servers; returns whether deaths that count as failures are noticed."""
    from lora_assets.main_line.frames import update_raw_frames
    from lora_assets.specs import list_datasets
    from lora_assets.store import Store

    with tempfile.TemporaryDirectory(prefix="lora_assets-deaths-") as made, dg.DagsterInstance.ephemeral() as instance:
        data = Path(made)
        draw_frames(data / "input" / "film", 1, different=1, size=(96, 64))
        sensors = _Sensors(instance, data)
        (asked,) = sensors.ask(input_folders, 6)
        for number in range(deaths):
            _died(instance, asked)
            trials.check(len(close_dead_runs(instance)) == 1, f"listing {number}: the dead run was not closed")
            again = sensors.ask(input_folders, 1)
            trials.check(len(again) == 1, f"listing {number}: it was not asked for again at the next look")
            asked = again[0] if again else asked
        update_raw_frames(Store(data), list_datasets(data)["film"])
        first = sensors.ask(live_trackers, 2)
        trials.check(len(first) == 1, "the cell was not asked for")
        asked = first[0]
        for number in range(deaths):
            _died(instance, asked)
            close_dead_runs(instance)
            again = sensors.ask(live_trackers, 1)
            trials.check(len(again) == 1, f"cell {number}: it was not asked for again at the next look")
            asked = again[0] if again else asked
        trials.check(not instance.get_runs(dg.RunsFilter(statuses=_IN_PROGRESS)), "a run is still in progress")
        # The planted fault: deaths that count as failures use up the retries.
        for _ in range(automation.RETRIES + 2):
            run = dg.DagsterRun(job_name=str(asked.job_name), run_id=str(uuid.uuid4()), status=_STATUS.FAILURE,
                                tags={**asked.tags, "dagster/run_key": str(asked.run_key)})  # fmt: skip
            instance.add_run(run)
            again = sensors.ask(live_trackers, 1)
            if not again:
                return True
            asked = again[0]
        return False


# --- with servers ----------------------------------------------------------------------------------------------------


def _descendants(pid: int) -> list[int]:
    """A process and all that it started, however far down, also those with a session of their own."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(told[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found


def kill_tree(process: subprocess.Popen[bytes]) -> int:
    """Kill a process and all that it started; how many. Stopped first, so that none starts another meanwhile."""
    before: list[int] = []
    while (found := _descendants(process.pid)) != before:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        before = found
    for pid in before:
        _signal(pid, signal.SIGKILL)
    process.wait()
    return len(before)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(condition: Callable[[], Any], seconds: float) -> float | None:
    """Seconds until the condition held; None when it never did."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.25)
    return None


@dataclass(slots=True)
class _Project:
    """A project folder with servers that are killed and started again."""

    root: Path
    up: subprocess.Popen[bytes] | None = None
    page: int = 0

    def start(self) -> None:
        self.page = _free_port()
        command = [sys.executable, "-m", "lora_assets.cli", "up", "--pages-port", str(self.page), "--dagster-port",
                   str(_free_port())]  # fmt: skip
        with (self.root / "log").open("ab") as log:
            self.up = subprocess.Popen(
                command, env={**os.environ, "LORA_ASSETS_HOME": str(self.root)}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[str]:
        """The ids of the runs in these states, straight from the instance's own files."""
        import sqlite3

        path = self.root / "data" / "dagster" / "storage" / "history" / "runs.db"
        if not path.exists():
            return []
        names = ",".join(f"'{status.value}'" for status in statuses)
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
                return [row[0] for row in db.execute(f"select run_id from runs where status in ({names})")]
        except sqlite3.Error:
            return []

    def frames_done(self, name: str) -> int:
        """Frames of a dataset whose cell of LIVE is made, as its page tells."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/api/tracker/LIVE", timeout=5) as answer:
                told = json.load(answer)
        except (OSError, ValueError):
            return 0
        return sum(
            int(one["counts"]["frames"])
            for one in told.get("datasets", [])
            if one["name"] == name and all(stage["made"] for stage in one["stages"])
        )


def _with_servers(kills: int, trials: Trials) -> None:
    rng = random.Random(7)
    slowest, killed, cut_off = 0.0, 0, 0
    with tempfile.TemporaryDirectory(prefix="lora_assets-trees-") as made:
        project = _Project(Path(made))
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copyfile(_ROOT / name, project.root / name)
        inputs = project.root / "data" / "input"
        inputs.mkdir(parents=True)
        draw_frames(project.root / "drawn", _FRAMES, different=8, size=(480, 270))
        project.start()
        for number in range(kills):
            name = f"film-{number:02d}"
            shutil.copytree(project.root / "drawn", inputs / name)
            # The kill meets a run under way: a moment after it began.
            if _wait(lambda: project.runs(_STATUS.STARTING, _STATUS.STARTED), 180) is None:
                trials.check(False, f"kill {number}: no run began within 180 s")
                break
            time.sleep(rng.uniform(0.0, 8.0))
            assert project.up is not None
            was = set(project.runs(*_IN_PROGRESS))
            killed += kill_tree(project.up)
            cut_off += len(was)
            project.start()
            closed = _wait(lambda was=was: not was & set(project.runs(*_IN_PROGRESS)), _DEADLINE_S)
            trials.check(closed is not None, f"kill {number}: {len(was)} runs stayed in progress")
            done = _wait(lambda name=name: project.frames_done(name) == _FRAMES, _DEADLINE_S)
            trials.check(done is not None, f"kill {number}: {name} was not on the page within {_DEADLINE_S:.0f} s")
            slowest = max(slowest, done or _DEADLINE_S)
        assert project.up is not None
        for number in range(kills):
            trials.check(project.frames_done(f"film-{number:02d}") == _FRAMES, f"film-{number:02d} was left out")
        project.up.send_signal(signal.SIGINT)
        try:
            project.up.wait(60)
        except subprocess.TimeoutExpired:
            kill_tree(project.up)
        trials.check(not project.runs(*_IN_PROGRESS), "runs were left in progress at the end")
    trials.notes.append(
        f"{killed} processes killed in {kills} kills, which cut off {cut_off} runs; the slowest folder was on the page "
        f"{slowest:.0f} s after the servers were started again"
    )


def run(level: Level) -> Figures:
    """Measure G7. The full level starts real servers and takes about a minute for each kill."""
    kills = int(os.environ.get("LORA_ASSETS_TREE_KILLS", "20")) if level == "full" else 0
    deaths = 20 if kills else 6
    how = f"{kills} kills of `up` with all its processes while runs go on; " if kills else ""
    trials = Trials("G7", f"{how}{deaths} deaths in a row of one listing and of one cell, seen by the sensors",
                    "deaths that count as failures")  # fmt: skip
    trials.caught = _without_servers(deaths, trials)
    if kills:
        _with_servers(kills, trials)
    return trials.figures()

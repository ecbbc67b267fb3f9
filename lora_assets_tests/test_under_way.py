"""How far stages are, as their files tell: while they run, when they end, and when they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets import store
from lora_assets.specs import SpecError
from lora_assets.store import StoreError
from lora_assets.under_way import DONE, FAILED, RUNNING, STOPPED, WAITING, StageState, read_states, telling


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def only(data: Path, tracker: str = "T1") -> StageState:
    (state,) = read_states(data, tracker)
    return state


def test_a_stage_is_told_from_its_start_to_its_end(tmp_path: Path):
    clock, wall = Clock(), Clock(1.7e9)
    with telling(
        tmp_path, "film", "detections", "T1", run_id="r1", recipe="abc", clock=clock, wall=wall
    ) as told:  # fmt: skip
        assert only(tmp_path).status == WAITING
        told.begin(100, 40)
        state = only(tmp_path)
        assert (state.status, state.done, state.total, state.reused) == (RUNNING, 40, 100, 40)
        assert state.seconds_left is None
        told.count(0)
        for number in range(1, 31):
            clock.now += 0.5
            told.count(number)
        state = only(tmp_path)
        assert (state.done, state.rate) == (70, pytest.approx(2.0))
        assert state.seconds_left == pytest.approx(15.0)
        assert (state.pid, state.run_id, state.recipe) == (os.getpid(), "r1", "abc")
    state = only(tmp_path)
    assert (state.status, state.done, state.seconds) == (DONE, 100, pytest.approx(15.0))
    assert read_states(tmp_path, "T2") == []


def test_the_rate_is_that_of_the_last_half_minute(tmp_path: Path):
    clock = Clock()
    with telling(tmp_path, "film", "masks", "T1", clock=clock) as told:
        told.begin(10_000, 0)
        told.count(0)
        for number in range(1, 601):
            clock.now += 1.0
            told.count(number)
        for number in range(610, 1210, 10):
            clock.now += 1.0
            told.count(number)
        assert only(tmp_path).rate == pytest.approx(10.0, rel=0.05)


def test_a_file_is_written_at_most_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written: list[Path] = []
    monkeypatch.setattr("lora_assets.under_way.atomic_write_bytes", lambda path, *_, **__: written.append(path))
    clock = Clock()
    with telling(tmp_path, "film", "detections", "T1", clock=clock) as told:
        told.begin(5000, 0)
        for number in range(5000):
            clock.now += 0.002
            told.count(number)
    assert 10 <= len(written) <= 13


@given(jumps=st.lists(st.floats(-1e8, 1e8), min_size=2, max_size=8))
def test_a_wall_clock_that_jumps_changes_no_rate_and_no_duration(tmp_path_factory: pytest.TempPathFactory, jumps):
    data = tmp_path_factory.mktemp("jumps")
    clock, wall = Clock(), Clock(1.7e9)
    with telling(data, "film", "detections", "T1", clock=clock, wall=wall) as told:
        told.begin(1000, 0)
        told.count(0)
        for number, jump in enumerate(jumps, start=1):
            wall.now += jump
            clock.now += 1.0
            told.count(number)
        state = only(data)
        assert (state.rate, state.seconds) == (pytest.approx(1.0), pytest.approx(len(jumps)))


def test_a_failure_and_an_interruption_are_told(tmp_path: Path):
    with pytest.raises(ValueError), telling(tmp_path, "film", "masks", "T1") as told:
        told.begin(10, 3)
        raise ValueError("x" * 9000)
    state = only(tmp_path)
    assert (state.status, state.done, len(state.error)) == (FAILED, 3, 500)
    with pytest.raises(KeyboardInterrupt), telling(tmp_path, "film", "masks", "T1"):
        raise KeyboardInterrupt
    assert only(tmp_path).status == STOPPED


_WORKER = """
import sys
from pathlib import Path
from lora_assets.under_way import telling
with telling(Path(sys.argv[1]), "film", "detections", "T1") as told:
    told.begin(100, 7)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_killed_stage_is_told_as_stopped_where_it_was(tmp_path: Path):
    command = [sys.executable, "-c", _WORKER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        assert only(tmp_path).status == RUNNING
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert json.loads((tmp_path / "progress/T1/film/detections.json").read_bytes())["status"] == RUNNING
    state = only(tmp_path)
    assert (state.status, state.done, state.total) == (STOPPED, 7, 100)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'{"stage": "detections"}', b"\xff", b'{"tracker":"T1","dataset":"film","stage":"x"}'],
)
def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path, content: bytes):
    with telling(tmp_path, "film", "masks", "T1") as told:
        told.begin(3, 3)
    (tmp_path / "progress/T1/film/detections.json").write_bytes(content)
    (tmp_path / "progress/T1/film/.tmp-1.json").write_bytes(b"{")
    assert [state.stage for state in read_states(tmp_path, "T1")] == ["masks"]


@given(cut=st.integers(0, 400))
def test_a_half_written_file_is_left_out_or_whole(tmp_path_factory: pytest.TempPathFactory, cut):
    data = tmp_path_factory.mktemp("half")
    with telling(data, "film", "masks", "T1") as told:
        told.begin(3, 3)
    path = data / "progress/T1/film/masks.json"
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    assert len(read_states(data, "T1")) == int(cut >= len(content))


def test_a_full_disk_does_not_end_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("lora_assets.under_way.atomic_write_bytes", full)
    with telling(tmp_path, "film", "masks", "T1") as told:
        told.begin(3, 0)
    assert read_states(tmp_path, "T1") == []


def test_listing_frames_belongs_to_no_tracker_and_stages_are_in_order(tmp_path: Path):
    for stage, tracker in (("scored_crops", "-"), ("detections", "-"), ("raw_frames", "")):
        with telling(tmp_path, "film", stage, tracker):
            pass
    assert [state.stage for state in read_states(tmp_path, "-")] == ["detections", "scored_crops"]
    assert [state.stage for state in read_states(tmp_path)] == ["raw_frames"]
    with pytest.raises(SpecError):
        read_states(tmp_path, "../up")


def test_leftovers_of_killed_writers_are_swept(tmp_path: Path):
    left = tmp_path / "progress/T1/film/.tmp-0123"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"{")
    os.utime(left, (1, 1))
    assert store.Store(tmp_path).sweep() == 1

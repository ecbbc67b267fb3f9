"""How far the stages of a cell are while they are made: a small JSON file for each, written at most once a second.

State on disk, not events: whoever looks, at any time, reads what is so. A file says how many frames of all are answered
and how fast; a lock, which the system releases when a process ends in whatever way, says whether somebody is still at
it. So a killed stage reads as stopped and no clock is asked. Durations are measured by the writer's monotonic clock;
times of day are only shown. What belongs elsewhere: listeners for a terminal (progress, cli.console), what
pages say of it (tracker.progress).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from lora_assets.specs import check_tracker_id
from lora_assets.store import StoreError, atomic_write_bytes, exclusive

FRAMES_STAGE = "raw_frames"
STAGES = (FRAMES_STAGE, "detections", "segments", "masks", "scored_crops")
"""In the order of work; `segments` are the masks before refinement."""
TUNING_STAGE = "finetuning"
"""The training of a segmenter: it belongs to no tracker, `dataset` is the segmenter's name, frames are steps."""

WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
_WRITE_EVERY_S = 1.0
_RATE_OVER_S = 30.0
_ERROR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class StageState:
    """How far one stage of one cell is.

    `done` of `total` frames have a result; `reused` of them had one before the stage began. `rate` is frames a second
    over the last half minute of work, 0 while it cannot be told. `recipe` is the digest under which results lie on the
    shelf. `began_at` and `told_at` are seconds since 1970, `seconds` the time at work. In a file `status` is never
    `stopped` by itself: a reader finds out (`read_states`).
    """

    tracker: str
    dataset: str
    stage: str
    status: str
    done: int = 0
    total: int = 0
    reused: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    began_at: float = 0.0
    told_at: float = 0.0
    pid: int = 0
    run_id: str = ""
    recipe: str = ""
    error: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Seconds to go at the present rate; None while it cannot be told."""
        return (self.total - self.done) / self.rate if self.status == RUNNING and self.rate > 0 else None


def _folder(data: Path, tracker: str, stage: str = FRAMES_STAGE) -> Path:
    """The folder of a tracker's states; listing a dataset's frames, and tuning, belong to no tracker."""
    if stage == TUNING_STAGE:
        return data / "progress" / "tuned.segmenters"
    return data / "progress" / (check_tracker_id(tracker) if tracker else "raw.frames")


def states_folder(data: Path, tracker: str = "") -> Path:
    """The folder with one folder of states for each dataset of a tracker (of the listing of frames without one)."""
    return _folder(data, tracker)


def _path(data: Path, state: StageState) -> Path:
    return _folder(data, state.tracker, state.stage) / state.dataset / f"{state.stage}.json"


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")


class StageTold:
    """Writes the state of one stage while `telling` holds it; `count` is cheap enough to be called for every frame."""

    def __init__(self, path: Path, state: StageState, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._path = path
        self._clock, self._wall = clock, wall
        self._began = self._written = clock()
        self._recent: deque[tuple[float, int]] = deque()
        self.state = replace(state, began_at=wall())
        self._write()

    def begin(self, total: int, reused: int) -> None:
        """All frames are known: `reused` of `total` are done already."""
        self.state = replace(self.state, status=RUNNING, total=total, done=reused, reused=reused)
        # What was waited for another process, or for the stage before, is not time at work.
        self._began = self._clock()
        self._recent.clear()
        self._write()

    def count(self, computed: int) -> None:
        """`computed` frames were answered since the beginning, beside the re-used ones."""
        now = self._clock()
        if not self._recent:
            self._recent.append((now, computed))
        if now - self._written < _WRITE_EVERY_S:
            return
        while len(self._recent) > 1 and self._recent[0][0] < now - _RATE_OVER_S:
            self._recent.popleft()
        since, before = self._recent[0]
        rate = (computed - before) / (now - since) if now > since else 0.0
        self._recent.append((now, computed))
        self.state = replace(self.state, done=self.state.reused + computed, rate=rate)
        self._write()

    def end(self, status: str, error: str = "") -> None:
        """The last word: done, stopped or failed."""
        done = self.state.total if status == DONE else self.state.done
        self.state = replace(self.state, status=status, done=done, error=error[:_ERROR_LIMIT])
        self._write()

    def _write(self) -> None:
        self._written = self._clock()
        self.state = replace(self.state, seconds=self._written - self._began, told_at=self._wall())
        content = json.dumps(asdict(self.state), ensure_ascii=False).encode("utf-8", "backslashreplace")
        try:
            atomic_write_bytes(self._path, content, durable=False)
        except StoreError:
            # A full disk ends the stage where a result cannot be kept, not here.
            pass


@contextmanager
def telling(
    data: Path,
    dataset: str,
    stage: str,
    tracker: str = "",
    *,
    run_id: str = "",
    recipe: str = "",
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Iterator[StageTold]:
    """Tell how far a stage is while the body runs; how it ended is told when it is left."""
    state = StageState(tracker, dataset, stage, WAITING, pid=os.getpid(), run_id=run_id, recipe=recipe)
    path = _path(data, state)
    with exclusive(_lock_path(path)):
        told = StageTold(path, state, clock, wall)
        try:
            yield told
        except Exception as error:
            told.end(FAILED, str(error) or type(error).__name__)
            raise
        except BaseException:
            told.end(STOPPED)
            raise
        told.end(DONE)


def _is_held(lock: Path) -> bool:
    """True while a process holds the lock. The system releases it at the end of the process, however it ends."""
    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read(path: Path) -> StageState | None:
    """The state in a file as it was written; None for a file that is gone or says something else."""
    try:
        told = json.loads(path.read_bytes())
        state = StageState(**{field.name: told[field.name] for field in fields(StageState) if field.name in told})
        numbers = (state.done, state.total, state.reused, state.rate, state.seconds, state.began_at, state.told_at)
        fits = all(isinstance(number, int | float) for number in numbers) and state.stage in (*STAGES, TUNING_STAGE)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if fits else None


def _state_in(path: Path) -> StageState | None:
    # The lock is looked at first: a stage that ends in between is then read as what it ended as.
    held = _is_held(_lock_path(path))
    state = _read(path)
    if state is None or (state.dataset, state.stage) != (path.parent.name, path.stem):
        return None
    return replace(state, status=STOPPED) if not held and state.status in (WAITING, RUNNING) else state


def read_state(data: Path, tracker: str, dataset: str, stage: str) -> StageState | None:
    """The state of one stage; None when it was never begun or its file cannot be read. `read_states` tells more."""
    return _state_in(_folder(data, tracker, stage) / dataset / f"{stage}.json")


def read_states(data: Path, tracker: str = "") -> list[StageState]:
    """The states of a tracker's cells (of all datasets' frames without one), by dataset and in the order of STAGES.

    One that says running and whose process is gone is told as stopped.
    """
    paths = _folder(data, tracker).glob("*/*.json")
    found = [state for path in paths if not path.name.startswith(".") and (state := _state_in(path))]
    return sorted(found, key=lambda state: (state.dataset, STAGES.index(state.stage)))

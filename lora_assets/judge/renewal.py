"""When a tracker's judge, and what rests on it, is to be made anew: after so many new verdicts. Level-triggered.

Nothing here remembers an event: the row of the log up to which the last judge was made is compared with the log. What a
judge learns is in learning and report; starting runs is in assets.automation.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.specs import SpecError
from lora_assets.store import Store, atomic_write_json, digest
from lora_assets.verdicts import Verdict, VerdictLog
from lora_assets.verdicts.places import cell_datasets


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """Section [verdicts] of `data/settings.toml`. `rerun_after`: new verdicts after which judge and curation follow."""

    rerun_after: int = 20

    def __post_init__(self) -> None:
        if type(self.rerun_after) is not int or self.rerun_after < 1:
            raise ValueError(f"rerun_after = {self.rerun_after!r} must be a whole number from 1")


@dataclass(frozen=True, slots=True)
class JudgeDue:
    """A tracker whose judge is to be made, how many crops were marked since, and a key that stays until so many more
    are, so that one state asks for one run."""

    tracker: str
    marked: int
    key: str


def read_review_settings(data: Path) -> ReviewSettings:
    """The settings, or the defaults. Raises SpecError naming the entry that does not fit."""
    path = data / "settings.toml"
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8")).get("verdicts", {}) if path.exists() else {}
        return ReviewSettings(**told)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise SpecError(f"{path}, section [verdicts]: {error}; it may hold rerun_after") from error


def _row_path(store: Store, tracker: str) -> Path:
    return store.data / "tables" / "judge" / tracker / "log_row.json"


def note_row(store: Store, tracker: str, row: int) -> None:
    """Remember up to which row of the log the tracker's judge was made."""
    atomic_write_json(_row_path(store, tracker), {"row": row})


def noted_row(store: Store, tracker: str) -> int:
    """The row up to which the last judge was made; 0 when there is none."""
    try:
        return int(json.loads(_row_path(store, tracker).read_text(encoding="utf-8"))["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def judge_due(tracker: str, row: int, verdicts: Iterable[Verdict], frames: set[str], after: int) -> JudgeDue | None:
    """Is a judge due that was made up to `row`, when `verdicts` came since? Only crops of the tracker's frames count,
    each once, whatever was said of them how often."""
    marked = len({verdict.crop_id for verdict in verdicts if verdict.mark.frame_sha256 in frames})
    if marked < after:
        return None
    return JudgeDue(tracker, marked, digest(tracker, row, marked // after))


def judges_due(store: Store, log: VerdictLog, trackers: Iterable[str], settings: ReviewSettings) -> list[JudgeDue]:
    """The judges that are due, of trackers that have scored crops. Raises VerdictError when the log cannot be read."""
    found = []
    for tracker in trackers:
        row = noted_row(store, tracker)
        _, verdicts = log.since(row)
        if len(verdicts) < settings.rerun_after:
            continue
        frames = _frames(store, tracker, {verdict.mark.frame_sha256 for verdict in verdicts})
        if due := judge_due(tracker, row, verdicts, frames, settings.rerun_after):
            found.append(due)
    return found


def _frames(store: Store, tracker: str, asked: set[str]) -> set[str]:
    """Which of the frames the tracker has crops of."""
    found: set[str] = set()
    for dataset in cell_datasets(store, tracker):
        table = store.cell_table("scored_crops", dataset, tracker)
        if table is not None:
            known = table.read(["frame_sha256"]).column("frame_sha256")
            found.update(known.filter(pc.is_in(known, value_set=pa.array(sorted(asked)))).to_pylist())  # pyright: ignore
    return found

"""When a tracker's judge, and what rests on it, is to be made anew: after so many new verdicts. Level-triggered.

Nothing here remembers an event: the rows of the log up to which the last judge and the last curated dataset were made
are compared with the log. What a
judge learns is in learning and report; starting runs is in assets.automation.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.specs import SpecError, read_tracker
from lora_assets.store import Store, atomic_write_json, digest
from lora_assets.verdicts import Verdict, VerdictLog
from lora_assets.verdicts.places import cell_datasets

JUDGE, CURATED = "judge", "curated_dataset"
"""What is made anew after verdicts; each notes the row of the log that it was made of."""


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


def _row_path(store: Store, tracker: str, asset: str) -> Path:
    name = "log_row.json" if asset == JUDGE else f"{asset}_log_row.json"
    return store.data / "tables" / "judge" / tracker / name


def note_row(store: Store, tracker: str, row: int, asset: str = JUDGE) -> None:
    """Remember up to which row of the log the tracker's judge, or what else follows the verdicts, was made."""
    atomic_write_json(_row_path(store, tracker, asset), {"row": row})


def noted_row(store: Store, tracker: str, asset: str = JUDGE) -> int:
    """The row up to which the judge, or another asset, was made last; 0 when it never was."""
    try:
        return int(json.loads(_row_path(store, tracker, asset).read_text(encoding="utf-8"))["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def judge_due(tracker: str, row: int, verdicts: Iterable[Verdict], frames: set[str], after: int) -> JudgeDue | None:
    """Is a judge due that was made up to `row`, when `verdicts` came since? Only crops of the tracker's frames count,
    each once, whatever was said of them how often."""
    marked = len({verdict.crop_id for verdict in verdicts if verdict.mark.frame_sha256 in frames})
    if marked < after:
        return None
    return JudgeDue(tracker, marked, digest(tracker, row, marked // after))


@dataclass(frozen=True, slots=True)
class Followers:
    """What follows the verdicts on one tracker: up to which row all of it was made, and whether only verdicts of the
    tracker's own pages count, as for a sealed one: trackers share frames, and one run for each of them would be many.

    `told` tells the state from any other; it is negative when the log has not so many rows, since it was replaced.
    """

    tracker: str
    row: int
    told: int
    sealed: bool


def followers(store: Store, last_row: int, trackers: Iterable[str], assets: Collection[str]) -> list[Followers]:
    """How far `assets` (the judge, the curated dataset; those that are loaded) are behind a log of so many rows. The
    one that is furthest behind counts, so that one that failed is asked for again."""
    found = []
    for tracker in trackers:
        try:
            sealed = read_tracker(store.data, tracker).sealed
        except SpecError:
            # It cannot be run either; the sensor of the main line tells why.
            continue
        noted = [noted_row(store, tracker, asset) for asset in assets]
        beyond = [row for row in noted if row > last_row]
        row = min((0 if row > last_row else row for row in noted), default=last_row)
        found.append(Followers(tracker, row, -max(beyond) if beyond else row, sealed))
    return found


def renewal_state(store: Store, last_row: int, known: Sequence[Followers], settings: ReviewSettings) -> str:
    """A text that changes with whatever `judges_due` looks at, and costs no look into the log or a table."""
    tables = [
        [one.tracker, dataset, *_file_state(store.table_path("scored_crops", dataset, one.tracker))]
        for one in known
        for dataset in cell_datasets(store, one.tracker)
    ]
    return digest(
        last_row, [[one.tracker, one.row, one.told, one.sealed] for one in known], settings.rerun_after, tables
    )


def _file_state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def judges_due(store: Store, log: VerdictLog, known: Sequence[Followers], settings: ReviewSettings) -> list[JudgeDue]:
    """What is due, of trackers that have scored crops. The log is read once, from the row of the one that is furthest
    behind. Raises VerdictError when it cannot be read."""
    rows = log.numbered_since(min((one.row for one in known), default=0)) if known else []
    found = []
    for one in known:
        verdicts = [
            verdict
            for number, verdict in rows
            if number > one.row and (not one.sealed or verdict.mark.tracker == one.tracker)
        ]
        if len(verdicts) < settings.rerun_after:
            continue
        frames = _frames(store, one.tracker, {verdict.mark.frame_sha256 for verdict in verdicts})
        if due := judge_due(one.tracker, one.told, verdicts, frames, settings.rerun_after):
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

"""The append-only log of verdicts: one SQLite file, `data/verdicts/verdicts.sqlite`.

What a verdict is belongs to record, which crops it applies to belongs to matching, how the file is kept safe, carried
away and backed up to append_only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lora_assets.verdicts.append_only import AppendOnlyLog, ImportCount, LogUnusable, keep_backup, try_daily_backup
from lora_assets.verdicts.record import CLEARED, Mark, Verdict, VerdictError, from_line, to_line

__all__ = [
    "ImportCount",
    "LogUnusable",
    "NothingToUndo",
    "VerdictLog",
    "keep_backup",
    "log_path",
    "open_log",
    "request_of",
    "try_daily_backup",
]

_COLUMNS = (
    "request_id", "at", "tracker", "dataset", "frame_sha256", "x1", "y1", "x2", "y2", "crop_id", "value", "stars",
    "note", "previous", "undoes",
)  # fmt: skip
_ALL = ", ".join(_COLUMNS)
# A clock may be set back and another machine's log may be imported: time orders, the row number breaks ties.
_ORDER = "at, seq"
_SCHEMA = """
CREATE TABLE verdict (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    tracker TEXT NOT NULL,
    dataset TEXT NOT NULL,
    frame_sha256 TEXT NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    crop_id TEXT NOT NULL,
    value TEXT NOT NULL CHECK (value IN ('good', 'bad', 'exclude', 'cleared')),
    stars INTEGER CHECK (stars BETWEEN 1 AND 5),
    note TEXT NOT NULL,
    previous TEXT,
    undoes TEXT
) STRICT;
CREATE INDEX verdict_of_crop ON verdict (crop_id, at, seq);
CREATE TRIGGER verdicts_are_never_changed BEFORE UPDATE ON verdict
    BEGIN SELECT RAISE(ABORT, 'verdicts are never changed: append another'); END;
CREATE TRIGGER verdicts_are_never_deleted BEFORE DELETE ON verdict
    BEGIN SELECT RAISE(ABORT, 'verdicts are never deleted: append cleared'); END;
"""
_INDEXES = "CREATE INDEX IF NOT EXISTS verdict_in_time ON verdict (at, seq)"


class NothingToUndo(VerdictError):
    """No mark is left that could be taken back."""


def log_path(data: Path) -> Path:
    """Where the log of a project lies."""
    return VerdictLog.path_in(data)


def open_log(data: Path) -> VerdictLog:
    """The project's log, made when it is not there. Raises VerdictError when it cannot be used."""
    return VerdictLog(log_path(data))


def _verdict(row: tuple[Any, ...]) -> Verdict:
    told = dict(zip(_COLUMNS, row, strict=True))
    box = tuple(told.pop(side) for side in ("x1", "y1", "x2", "y2"))
    at, previous = told.pop("at"), told.pop("previous")
    return Verdict(Mark(box=box, **told), at, previous)  # pyright: ignore[reportArgumentType]


def _row(verdict: Verdict) -> tuple[Any, ...]:
    told = dataclasses.asdict(verdict.mark) | {"at": verdict.at, "previous": verdict.previous}
    told |= dict(zip(("x1", "y1", "x2", "y2"), map(float, verdict.mark.box), strict=True))
    return tuple(told[name] for name in _COLUMNS)


class VerdictLog(AppendOnlyLog):
    """The log in one file. May be used by several threads, and by several processes of one machine, at once."""

    things = "verdicts"
    table = "verdict"
    columns = _COLUMNS
    schema = _SCHEMA
    indexes = _INDEXES

    def _line(self, row: tuple[Any, ...]) -> str:
        return to_line(_verdict(row))

    def _take_line(self, line: str) -> bool:
        verdict = from_line(line)
        there = self._read("WHERE request_id = ?", (verdict.mark.request_id,))
        if not there:
            self._check_time(verdict.at)
            self._insert(_row(verdict))
        elif _row(there[0]) != _row(verdict):
            raise VerdictError(f"request {verdict.mark.request_id} is in the log with other content")
        return not there

    def _rows(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Verdict]:
        with self._lock:
            return self._read(where, values)

    def _read(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Verdict]:
        with self._reading():
            found = self._db.execute(f"SELECT {_ALL} FROM verdict {where} ORDER BY {_ORDER}", values)
            return [_verdict(row) for row in found]

    # --- saying ------------------------------------------------------------------------------------------------------

    def append(self, *marks: Mark) -> list[Verdict]:
        """Take marks, all or none; they are on disk when this returns. A mark sent again is returned as first taken.

        Raises VerdictError when nothing was saved: a full disk, or a request id that was used for another mark.
        """
        with self._transaction():
            return [self._take(mark) for mark in marks]

    def _take(self, mark: Mark) -> Verdict:
        if known := self._read("WHERE request_id = ?", (mark.request_id,)):
            if _row(known[0]) != _row(Verdict(mark, known[0].at, known[0].previous)):
                raise VerdictError(
                    f"request {mark.request_id} was taken for another mark (crop {known[0].crop_id}, "
                    f"{known[0].value}): choose a new request id"
                )
            return known[0]
        last = "SELECT value FROM verdict WHERE crop_id = ? ORDER BY at DESC, seq DESC LIMIT 1"
        before = self._db.execute(last, (mark.crop_id,)).fetchone()
        taken = Verdict(mark, self._next_time(), before[0] if before else None)
        self._insert(_row(taken))
        return taken

    def undo(self, crop_id: str, request_id: str, tracker: str | None = None) -> Verdict:
        """Take back the crop's last mark that still stands, by a new row with the state before it.

        Called again (with another request id) it takes back the one before. `tracker` is where the person stands.
        Raises VerdictError when nothing is left to undo.
        """
        with self._transaction():
            if known := self._read("WHERE request_id = ?", (request_id,)):
                return known[0]
            mark = self._undoing(crop_id, request_id, tracker)
            if mark is None:
                raise NothingToUndo(f"crop {crop_id} has no verdict that could be undone")
            return self._take(mark)

    def _undoing(self, crop_id: str, request_id: str, tracker: str | None) -> Mark | None:
        """The mark that takes back the crop's last one that stands; None when none does."""
        standing = _standing(self._read("WHERE crop_id = ?", (crop_id,)))
        if not standing:
            return None
        last = standing[-1].mark
        before = standing[-2].mark if len(standing) > 1 else None
        return dataclasses.replace(
            last,
            tracker=tracker or last.tracker,
            value=before.value if before else CLEARED,
            stars=before.stars if before else None,
            note=before.note if before else "",
            request_id=request_id,
            undoes=last.request_id,
        )

    def undo_last(self, request_id: str, tracker: str) -> list[Verdict]:
        """Take back the last action that a person made on a tracker's pages and that still stands: one mark, or all
        marks of one request (`request_of`). Crops that were marked otherwise since are left as they are; an action of
        which no crop is left is passed over.

        Raises VerdictError when nothing is left to undo.
        """
        with self._transaction():
            if known := self._read_like("request_id", f"{request_id}:"):
                return known
            last = self._last_standing(tracker)
            if last is None:
                raise NothingToUndo(f"no mark on tracker {tracker} is left that could be undone")
            found = [last]
            if ":" in last.mark.request_id:
                found = self._read_like("request_id", f"{request_of(last)}:")
            return [
                self._take(undo)
                for verdict in found
                if verdict.mark.undoes is None
                and (undo := self._undoing(verdict.crop_id, f"{request_id}:{verdict.crop_id}", tracker))
                and undo.undoes == verdict.mark.request_id
            ]

    def _last_standing(self, tracker: str) -> Verdict | None:
        """The last mark of a tracker that stands and that no later one stands over. Trackers share crops, so that an
        earlier mark may be the one to take back."""
        undone = "SELECT undoes FROM verdict WHERE undoes NOTNULL"
        later = f"""SELECT 1 FROM verdict AS later WHERE later.crop_id = one.crop_id
            AND (later.at, later.seq) > (one.at, one.seq)
            AND later.undoes IS NULL AND later.request_id NOT IN ({undone})"""
        where = f"one.tracker = ? AND one.undoes IS NULL AND one.request_id NOT IN ({undone}) AND NOT EXISTS ({later})"
        with self._reading():
            row = self._db.execute(
                f"SELECT {_ALL} FROM verdict AS one WHERE {where} ORDER BY at DESC, seq DESC LIMIT 1", (tracker,)
            ).fetchone()
        return _verdict(row) if row else None

    def _read_like(self, column: str, start: str) -> list[Verdict]:
        """Rows whose column begins with a text, which the index of the column finds; `;` comes right after `:`."""
        return self._read(f"WHERE {column} >= ? AND {column} < ?", (start, f"{start[:-1]};"))

    # --- reading -----------------------------------------------------------------------------------------------------

    def history(self, crop_id: str | None = None) -> list[Verdict]:
        """Every row, or every row of one crop, oldest first."""
        return self._rows("WHERE crop_id = ?", (crop_id,)) if crop_id else self._rows()

    def of_frame(self, frame_sha256: str) -> list[Verdict]:
        """Every row about a frame, whichever crop, oldest first."""
        return self._rows("WHERE frame_sha256 = ?", (frame_sha256,))

    def current(self) -> dict[str, Verdict]:
        """The last row of each crop, by crop id, in the order of time. `cleared` rows are among them.

        A crop of which every mark was undone is not: it is as if nothing had been said of it, so that an older word on
        the same pixels (of a crop before its mask was made anew) applies again.
        """
        rows = self._rows()
        spoken = {verdict.crop_id for verdict in _standing(rows)}
        latest: dict[str, Verdict] = {}
        for verdict in rows:
            if verdict.crop_id in spoken:
                latest.pop(verdict.crop_id, None)
                latest[verdict.crop_id] = verdict
        return latest

    def taken(self, request_ids: Iterable[str]) -> dict[str, Verdict]:
        """The rows of those requests that the log has already, by request id."""
        found = {}
        for request_id in request_ids:
            for verdict in self._rows("WHERE request_id = ?", (request_id,)):
                found[request_id] = verdict
        return found

    def since(self, number: int) -> tuple[int, list[Verdict]]:
        """The rows that were taken after row `number` (0: all), oldest row first, and the number of the last row."""
        rows = self.numbered_since(number)
        return (rows[-1][0] if rows else number), [verdict for _, verdict in rows]

    def numbered_since(self, number: int) -> list[tuple[int, Verdict]]:
        """The rows that were taken after row `number` (0: all) with their numbers, oldest row first."""
        with self._lock, self._reading():
            rows = list(self._db.execute(f"SELECT seq, {_ALL} FROM verdict WHERE seq > ? ORDER BY seq", (number,)))
        return [(row[0], _verdict(row[1:])) for row in rows]

    def standing_marks(self) -> list[Verdict]:
        """The current verdicts that say something: good, bad or exclude, in the order of time."""
        return [verdict for verdict in self.current().values() if verdict.value != CLEARED]


def request_of(verdict: Verdict) -> str:
    """The request that a verdict came with: several marks of one request are named REQUEST:CROP."""
    return verdict.mark.request_id.rpartition(":")[0] or verdict.mark.request_id


def _standing(rows: list[Verdict]) -> list[Verdict]:
    """Those of the rows that are neither undone nor an undo, in their order."""
    undone = {row.mark.undoes for row in rows if row.mark.undoes}
    return [row for row in rows if row.mark.undoes is None and row.mark.request_id not in undone]

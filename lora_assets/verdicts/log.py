"""The append-only log of verdicts: one SQLite file, `data/verdicts/verdicts.sqlite`.

A verdict is acknowledged (returned) only after SQLite has synced it to the disk: write-ahead log with
`synchronous=FULL`. SQLite comes inside apsw, because the one inside many Pythons may corrupt a file when two processes
write at once (https://www.sqlite.org/wal.html, "The WAL-Reset Bug": 3.7.0 to 3.51.2). Rows are never changed or
deleted; triggers refuse it. What a verdict is belongs to record, which crops it applies to belongs to matching.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw

from lora_assets.verdicts.local_disk import share_type
from lora_assets.verdicts.record import CLEARED, Mark, Verdict, VerdictError, from_line, to_line, utc_text

_FORMAT = 1
_BUSY_MS = 30_000
_KEPT_BACKUPS = 14
# Clocks of two machines differ, also by a wrongly set time zone, but by no more.
_LATEST_AHEAD = timedelta(days=1)
_COLUMNS = (
    "request_id", "at", "tracker", "dataset", "frame_sha256", "x1", "y1", "x2", "y2", "crop_id", "value", "stars",
    "note", "previous", "undoes",
)  # fmt: skip
_ALL = ", ".join(_COLUMNS)
_INSERT = f"INSERT INTO verdict ({_ALL}) VALUES ({', '.join('?' * len(_COLUMNS))})"
# A clock may be set back and another machine's log may be imported: time orders, the row number breaks ties.
_ORDER = "at, seq"
_SCHEMA = f"""
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
PRAGMA user_version = {_FORMAT};
"""
# Not part of the format: a log of an earlier version gets them when it is opened.
_INDEXES = "CREATE INDEX IF NOT EXISTS verdict_in_time ON verdict (at, seq)"


class NothingToUndo(VerdictError):
    """No mark is left that could be taken back."""


class LogUnusable(VerdictError):
    """The log cannot be read or written at the moment; `disk_full` when that is why. The same may work later."""

    def __init__(self, text: str, *, disk_full: bool = False) -> None:
        super().__init__(text)
        self.disk_full = disk_full


@dataclass(frozen=True, slots=True)
class ImportCount:
    """What an import did: rows taken, and rows that the log had already."""

    added: int
    known: int


def log_path(data: Path) -> Path:
    """Where the log of a project lies."""
    return data / "verdicts" / "verdicts.sqlite"


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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class VerdictLog:
    """The log in one file. May be used by several threads, and by several processes of one machine, at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if share := share_type(path.parent):
            raise VerdictError(
                f"{path.parent} lies on a share ({share}), where SQLite cannot keep verdicts safe: move the project to "
                "a disk of this machine, or make data/verdicts a link to a folder on one"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(_BUSY_MS)
            self._prepare()
            if fresh:
                _sync_folder(path.parent)
        except (OSError, apsw.Error) as error:
            raise _unusable(f"cannot use the verdicts in {path}", error) from error

    def _prepare(self) -> None:
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", "full")
        if self._db.pragma("user_version") == 0:
            with self._transaction():
                if self._db.pragma("user_version") == 0:
                    self._db.execute(_SCHEMA)
        if (found := self._db.pragma("user_version")) != _FORMAT:
            raise VerdictError(f"{self.path} has format {found}, this version reads {_FORMAT}: use the newer version")
        self._db.execute(_INDEXES)

    def __enter__(self) -> VerdictLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was acknowledged is on disk already."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One writer at a time; on disk when the body is left, or nothing of it."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except apsw.Error as error:
                raise _unusable(f"nothing was saved in {self.path}", error) from error

    def _rows(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Verdict]:
        with self._lock:
            return self._read(where, values)

    def _read(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Verdict]:
        try:
            found = self._db.execute(f"SELECT {_ALL} FROM verdict {where} ORDER BY {_ORDER}", values)
            return [_verdict(row) for row in found]
        except apsw.Error as error:
            raise _unusable(f"cannot read the verdicts in {self.path}", error) from error

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
        self._db.execute(_INSERT, _row(taken))
        return taken

    def _next_time(self) -> str:
        """Now, and always later than every row: an undo must not sort before what it takes back."""
        last = self._db.execute("SELECT max(at) FROM verdict").fetchone()
        now = datetime.now(UTC)
        if last is not None and last[0] is not None:
            now = max(now, datetime.fromisoformat(last[0]) + timedelta(microseconds=1))
        return utc_text(now)

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
        try:
            row = self._db.execute(
                f"SELECT {_ALL} FROM verdict AS one WHERE {where} ORDER BY at DESC, seq DESC LIMIT 1", (tracker,)
            ).fetchone()
        except apsw.Error as error:
            raise _unusable(f"cannot read the verdicts in {self.path}", error) from error
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
        """The last row of each crop, by crop id, in the order of time. `cleared` rows are among them."""
        latest: dict[str, Verdict] = {}
        for verdict in self._rows():
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

    def last_row(self) -> int:
        """The number of the last row; 0 for an empty log."""
        with self._lock:
            try:
                found = self._db.execute("SELECT max(seq) FROM verdict").fetchone()
            except apsw.Error as error:
                raise _unusable(f"cannot read the verdicts in {self.path}", error) from error
        return int(found[0] or 0) if found else 0

    def since(self, number: int) -> tuple[int, list[Verdict]]:
        """The rows that were taken after row `number` (0: all), oldest row first, and the number of the last row."""
        rows = self.numbered_since(number)
        return (rows[-1][0] if rows else number), [verdict for _, verdict in rows]

    def numbered_since(self, number: int) -> list[tuple[int, Verdict]]:
        """The rows that were taken after row `number` (0: all) with their numbers, oldest row first."""
        with self._lock:
            try:
                rows = list(self._db.execute(f"SELECT seq, {_ALL} FROM verdict WHERE seq > ? ORDER BY seq", (number,)))
            except apsw.Error as error:
                raise _unusable(f"cannot read the verdicts in {self.path}", error) from error
        return [(row[0], _verdict(row[1:])) for row in rows]

    def standing_marks(self) -> list[Verdict]:
        """The current verdicts that say something: good, bad or exclude, in the order of time."""
        return [verdict for verdict in self.current().values() if verdict.value != CLEARED]

    # --- carrying away and back --------------------------------------------------------------------------------------

    def export_lines(self) -> Iterator[str]:
        """Every row as a line of JSON, oldest first."""
        return (to_line(verdict) for verdict in self._rows())

    def import_lines(self, lines: Iterable[str]) -> ImportCount:
        """Take exported rows with their times; rows that are there already are left as they are. All or none.

        Raises VerdictError naming the line that does not fit, lies in the future, or contradicts a row of the same
        request.
        """
        added = known = 0
        latest = utc_text(datetime.now(UTC) + _LATEST_AHEAD)
        with self._transaction():
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    if self._take_as_it_is(from_line(line), latest):
                        added += 1
                    else:
                        known += 1
                except VerdictError as error:
                    raise VerdictError(f"line {number}: {error}; nothing was imported") from error
        return ImportCount(added, known)

    def _take_as_it_is(self, verdict: Verdict, latest: str) -> bool:
        there = self._read("WHERE request_id = ?", (verdict.mark.request_id,))
        if not there:
            # Every later row must be later still, so one row of the far future would end the log.
            if verdict.at > latest:
                raise VerdictError(
                    f"time {verdict.at} lies more than a day in the future: set this machine's clock, or the time of "
                    "the line"
                )
            self._db.execute(_INSERT, _row(verdict))
        elif _row(there[0]) != _row(verdict):
            raise VerdictError(f"request {verdict.mark.request_id} is in the log with other content")
        return not there

    def check(self) -> list[str]:
        """What is wrong with the file, in words; empty when SQLite finds it whole. Reads all of it."""
        with self._lock:
            try:
                told = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check")]
            except apsw.Error as error:
                return [str(error)]
        return [] if told == ["ok"] else told

    def into_one_file(self) -> None:
        """Take the write-ahead log into the file itself, so that the file alone is all of it; for one that is moved."""
        with self._lock:
            try:
                self._db.pragma("journal_mode", "delete")
            except apsw.Error as error:
                raise _unusable(f"cannot close {self.path}", error) from error

    def backup(self, target: Path) -> Path:
        """Write a whole, checked copy of the log to `target`, which must not be there yet; on disk on return.

        Raises VerdictError when the copy cannot be written or does not pass the check; then nothing is left of it.
        """
        if target.exists():
            raise VerdictError(f"{target} is there already: choose another name")
        temporary = target.with_name(f".tmp-{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._db.execute("VACUUM INTO ?", (str(temporary),))
            copy = apsw.Connection(str(temporary), flags=apsw.SQLITE_OPEN_READONLY)
            told = [str(row[0]) for row in copy.execute("PRAGMA integrity_check")]
            copy.close()
            if told != ["ok"]:
                raise VerdictError(f"the copy of {self.path} is damaged ({'; '.join(told[:3])}): check the log itself")
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.rename(target)
            _sync_folder(target.parent)
        except (OSError, apsw.Error) as error:
            raise VerdictError(f"cannot back up {self.path} to {target}: {error}; {_way_out(error)}") from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return target


def keep_backup(log: VerdictLog, kept: int = _KEPT_BACKUPS) -> Path:
    """A backup of today (UTC) beside the log in `backups/`, made when it is not there yet; the newest `kept` stay."""
    folder = log.path.parent / "backups"
    today = folder / f"verdicts-{datetime.now(UTC):%Y-%m-%d}.sqlite"
    if not today.exists():
        log.backup(today)
        for old in sorted(folder.glob("verdicts-????-??-??.sqlite"))[:-kept]:
            old.unlink()
    return today


def try_daily_backup(log: VerdictLog) -> str:
    """A backup of today when there is none yet; why it could not be made, else "". It never stops a mark."""
    try:
        keep_backup(log)
    except VerdictError as error:
        return str(error)
    return ""


def request_of(verdict: Verdict) -> str:
    """The request that a verdict came with: several marks of one request are named REQUEST:CROP."""
    return verdict.mark.request_id.rpartition(":")[0] or verdict.mark.request_id


def _standing(rows: list[Verdict]) -> list[Verdict]:
    """The rows of a crop that are neither undone nor an undo, oldest first."""
    undone = {row.mark.undoes for row in rows if row.mark.undoes}
    return [row for row in rows if row.mark.undoes is None and row.mark.request_id not in undone]


def _is_disk_full(error: Exception) -> bool:
    return isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def _unusable(what: str, error: Exception) -> LogUnusable:
    return LogUnusable(f"{what}: {error}; {_way_out(error)}", disk_full=_is_disk_full(error))


def _way_out(error: Exception) -> str:
    if _is_disk_full(error):
        return "the disk is full: free space, then mark again"
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return "another process has held it for half a minute: end that one, then try again"
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return (
            "the file is damaged: end every process that uses it, move it away together with its -wal and -shm files, "
            "then put the newest backup of data/verdicts/backups in its place"
        )
    return "see that the folder can be written and the disk is well, then try again"

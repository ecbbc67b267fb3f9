"""An append-only log in one SQLite file: what the log of verdicts and the log of corrections have in common.

A row is acknowledged only after SQLite has synced it to the disk: write-ahead log with `synchronous=FULL`. SQLite comes
inside apsw, because the one inside many Pythons may corrupt a file when two processes write at once
(https://www.sqlite.org/wal.html, "The WAL-Reset Bug": 3.7.0 to 3.51.2). Rows are never changed or deleted; triggers of
the schemas refuse it. What a row says belongs to the logs (log, corrections), putting a backup back to restoring.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import apsw

from lora_assets.atomic import TEMPORARY, put_in_place, sync_folder
from lora_assets.store import StoreError
from lora_assets.verdicts.local_disk import share_type
from lora_assets.verdicts.record import VerdictError, utc_text

_BUSY_MS = 30_000
_KEPT_BACKUPS = 14
# Clocks of two machines differ, also by a wrongly set time zone, but by no more.
_LATEST_AHEAD = timedelta(days=1)
_log = logging.getLogger(__name__)


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


class AppendOnlyLog(ABC):
    """A log in one file. May be used by several threads, and by several processes of one machine, at once."""

    things: ClassVar[str]
    """what its rows are called; its folder under data/, its file and its backups have this name"""
    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    """every column but `seq`, the number of the row; `at` is the time, later in each row that is not imported"""
    schema: ClassVar[str]
    """makes the table, and triggers that refuse to change or delete a row"""
    indexes: ClassVar[str] = ""
    """not part of the format: a log of an earlier version gets them when it is opened"""
    format: ClassVar[int] = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if share := share_type(path.parent):
            raise VerdictError(
                f"{path.parent} lies on a share ({share}), where SQLite cannot keep {self.things} safe: move the "
                f"project to a disk of this machine, or make data/{self.things} a link to a folder on one"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            self._db = apsw.Connection(str(path))
            try:
                self._db.set_busy_timeout(_BUSY_MS)
                self._prepare()
            except BaseException:
                self._db.close()
                raise
            if fresh:
                sync_folder(path.parent)
        except (OSError, apsw.Error) as error:
            raise self._unusable(f"cannot use the {self.things} in {path}", error) from error

    @classmethod
    def path_in(cls, data: Path) -> Path:
        """Where the log of a project lies."""
        return data / cls.things / f"{cls.things}.sqlite"

    def _prepare(self) -> None:
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", "full")
        if self._db.pragma("user_version") == 0:
            with self._transaction():
                if self._db.pragma("user_version") == 0:
                    self._db.execute(f"{self.schema}\nPRAGMA user_version = {self.format};")
        if (found := self._db.pragma("user_version")) != self.format:
            raise VerdictError(
                f"{self.path} has format {found}, this version reads {self.format}: use the newer version"
            )
        self._db.execute(self.indexes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was acknowledged is on disk already."""
        with self._lock:
            self._db.close()

    # --- for the logs ------------------------------------------------------------------------------------------------

    @abstractmethod
    def _line(self, row: tuple[Any, ...]) -> str:
        """A row's columns as a line of JSON. Raises VerdictError for a row that does not fit."""

    @abstractmethod
    def _take_line(self, line: str) -> bool:
        """Take an exported row with its time; False when it is there already. Within a transaction.

        Raises VerdictError for a line that does not fit or contradicts a row.
        """

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
                raise self._unusable(f"nothing was saved in {self.path}", error) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Where SQLite fails, the log says so."""
        try:
            yield
        except apsw.Error as error:
            raise self._unusable(f"cannot read the {self.things} in {self.path}", error) from error

    def _insert(self, row: tuple[Any, ...]) -> None:
        places = ", ".join("?" * len(self.columns))
        self._db.execute(f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES ({places})", row)

    def _next_time(self) -> str:
        """Now, and always later than every row: an undo must not sort before what it takes back."""
        last = self._db.execute(f"SELECT max(at) FROM {self.table}").fetchone()
        now = datetime.now(UTC)
        if last is not None and last[0] is not None:
            now = max(now, datetime.fromisoformat(last[0]) + timedelta(microseconds=1))
        return utc_text(now)

    @staticmethod
    def _check_time(at: str) -> None:
        # Every later row must be later still, so one row of the far future would end the log.
        if at > utc_text(datetime.now(UTC) + _LATEST_AHEAD):
            raise VerdictError(
                f"time {at} lies more than a day in the future: set this machine's clock, or the time of the line"
            )

    def _unusable(self, what: str, error: Exception) -> LogUnusable:
        return LogUnusable(f"{what}: {error}; {self._way_out(error)}", disk_full=_is_disk_full(error))

    def _way_out(self, error: Exception) -> str:
        if _is_disk_full(error):
            return "the disk is full: free space, then do it again"
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return "another process has held it for half a minute: end that one, then try again"
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            return (
                f"the file is damaged: stop the servers, then lora-assets {self.things} restore; by hand: move it away "
                "together with its -wal and -shm files, then put the newest backup of "
                f"data/{self.things}/backups in its place"
            )
        return "see that the folder can be written and the disk is well, then try again"

    # --- reading -----------------------------------------------------------------------------------------------------

    def last_row(self) -> int:
        """The number of the last row; 0 for an empty log. Raises LogUnusable."""
        with self._lock, self._reading():
            found = self._db.execute(f"SELECT max(seq) FROM {self.table}").fetchone()
        return int(found[0] or 0) if found else 0

    def row_count(self) -> int:
        """How many rows there are. Raises LogUnusable."""
        with self._lock, self._reading():
            found = self._db.execute(f"SELECT count(*) FROM {self.table}").fetchone()
        return int(found[0]) if found else 0

    def check(self) -> list[str]:
        """What is wrong with the file, in words; empty when SQLite finds it whole and every row fits. Reads all."""
        with self._lock:
            try:
                told = _integrity(self._db)
            except apsw.Error as error:
                return [str(error)]
        return told + [problem for problem in self.readable_lines()[1] if problem not in told]

    # --- carrying away and back --------------------------------------------------------------------------------------

    def export_lines(self) -> Iterator[str]:
        """Every row as a line of JSON, oldest first. Raises VerdictError where one cannot be read."""
        with self._lock, self._reading():
            rows = list(self._db.execute(f"SELECT {', '.join(self.columns)} FROM {self.table} ORDER BY at, seq"))
        return (self._line(tuple(row)) for row in rows)

    def readable_lines(self) -> tuple[list[str], list[str]]:
        """Every row that can still be read, as lines in the order of numbers, and in words what could not.

        A damaged log is read from its beginning up to the damage, and from its end back to it.
        """
        found: dict[int, str] = {}
        unfit: dict[int, str] = {}
        refused: list[str] = []
        asked = f"SELECT seq, {', '.join(self.columns)} FROM {self.table} ORDER BY seq"
        with self._lock:
            for order in ("ASC", "DESC"):
                try:
                    for seq, *row in self._db.execute(f"{asked} {order}"):
                        if seq in found:
                            break
                        try:
                            found[seq] = self._line(tuple(row))
                        except (VerdictError, ValueError, TypeError) as error:
                            unfit[seq] = f"row {seq}: {error}"
                except (apsw.Error, ValueError) as error:  # ValueError: a text is no UTF-8 any more
                    refused.append(str(error))
                    continue
                break
        return [found[seq] for seq in sorted(found)], [*dict.fromkeys(refused), *unfit.values()]

    def import_lines(self, lines: Iterable[str]) -> ImportCount:
        """Take exported rows with their times; rows that are there already are left as they are. All or none.

        Raises VerdictError naming the line that does not fit, lies in the future, or contradicts a row of the same
        name.
        """
        with self._transaction():
            count, refused = self._take_lines(lines, most_refused=1)
            if refused:
                raise VerdictError(f"{refused[0]}; nothing was imported")
        return count

    def take_over(self, lines: Iterable[str]) -> tuple[ImportCount, list[str]]:
        """Take those exported rows that fit, for a log that was damaged; and in words why the others do not."""
        with self._transaction():
            return self._take_lines(lines)

    def _take_lines(self, lines: Iterable[str], most_refused: int | None = None) -> tuple[ImportCount, list[str]]:
        added = known = 0
        refused: list[str] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                if self._take_line(line):
                    added += 1
                else:
                    known += 1
            except LogUnusable:
                raise
            except VerdictError as error:
                refused.append(f"line {number}: {error}")
                if len(refused) == most_refused:
                    break
        return ImportCount(added, known), refused

    def into_one_file(self) -> None:
        """Take the write-ahead log into the file itself, so that the file alone is all of it; for one that is moved."""
        with self._lock:
            try:
                self._db.pragma("journal_mode", "delete")
            except apsw.Error as error:
                raise self._unusable(f"cannot close {self.path}", error) from error

    def backup(self, target: Path) -> Path:
        """Write a whole, checked copy of the log to `target`, which must not be there yet; on disk on return.

        Raises VerdictError when the copy cannot be written or does not pass the check; then nothing is left of it.
        """
        if target.exists():
            raise VerdictError(f"{target} is there already: choose another name")
        temporary = temporary_beside(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._db.execute("VACUUM INTO ?", (str(temporary),))
            if told := file_problems(temporary, self.table):
                raise VerdictError(f"the copy of {self.path} is damaged ({'; '.join(told[:3])}): check the log itself")
            sync_file(temporary)
            put_in_place(temporary, target)
        except VerdictError:
            raise
        except (OSError, apsw.Error, StoreError) as error:
            raise VerdictError(f"cannot back up {self.path} to {target}: {error}; {self._way_out(error)}") from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return target


def temporary_beside(path: Path) -> Path:
    """A name beside `path` for a file that is not whole yet; what a kill leaves of it is swept as all such files."""
    return path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")


def sync_file(path: Path) -> None:
    """Wait until what a closed file holds is on disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _integrity(db: apsw.Connection) -> list[str]:
    told = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
    return [] if told == ["ok"] else told


def file_problems(path: Path, table: str) -> list[str]:
    """What is wrong with a file that nobody writes, read without changing it; empty for a whole log with `table`.

    Raises apsw.Error for a file that is none.
    """
    found = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found.execute(f"SELECT count(*) FROM {table}").fetchone()
        return _integrity(found)
    finally:
        found.close()


def backups_of(kind: type[AppendOnlyLog], path: Path) -> list[Path]:
    """The daily backups beside a log, the newest last. One of a day to come was made by a clock that was wrong, and
    counts as the oldest."""
    today = f"{kind.things}-{datetime.now(UTC):%Y-%m-%d}.sqlite"
    found = (path.parent / "backups").glob(f"{kind.things}-????-??-??.sqlite")
    return sorted(found, key=lambda backup: (backup.name <= today, backup.name))


def keep_backup(log: AppendOnlyLog, kept: int = _KEPT_BACKUPS) -> Path:
    """A backup of today (UTC) beside the log in `backups/`, made when it is not there yet; the newest `kept` stay."""
    today = log.path.parent / "backups" / f"{log.things}-{datetime.now(UTC):%Y-%m-%d}.sqlite"
    if not today.exists():
        log.backup(today)
        for old in backups_of(type(log), log.path)[:-kept]:
            old.unlink()
    return today


def try_daily_backup(log: AppendOnlyLog) -> str:
    """A backup of today when there is none yet; why it could not be made, else "". It never stops a person's row."""
    try:
        keep_backup(log)
    except (VerdictError, OSError) as error:
        return str(error)
    return ""


def backed_up_daily(log: AppendOnlyLog) -> None:
    """`try_daily_backup` for a server: why it could not be made is logged as a warning."""
    if problem := try_daily_backup(log):
        _log.warning("no backup of the %s today: %s", log.things, problem)


def _is_disk_full(error: Exception) -> bool:
    return isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)

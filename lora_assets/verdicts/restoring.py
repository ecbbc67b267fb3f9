"""Putting a backup of the verdicts back, so that nothing that can still be read is lost on the way.

What lay there is moved aside, never deleted, and rows that it has beyond the backup are taken over when it can be read.
Making backups is in log.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from lora_assets.verdicts.log import VerdictLog, log_path
from lora_assets.verdicts.record import VerdictError, to_line

_BESIDE = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: rows of the backup, rows taken over from the log that lay there, where that one is now (None:
    there was none), and why its rows could not be read (empty when they could)."""

    rows: int
    taken_over: int
    aside: Path | None
    unread: str


def backups(data: Path) -> list[Path]:
    """The backups beside the log, the newest last."""
    return sorted((log_path(data).parent / "backups").glob("verdicts-????-??-??.sqlite"))


def restore(data: Path, backup: Path | None = None) -> Restored:
    """Make `backup` (the newest one by default) the log again. Nobody else may have the log open.

    Raises VerdictError when there is no backup, or it is damaged; then nothing was changed.
    """
    if backup is None:
        known = backups(data)
        if not known:
            raise VerdictError(f"there is no backup in {log_path(data).parent / 'backups'}: name one of your own")
        backup = known[-1]
    path = log_path(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".tmp-restored-{os.getpid()}.sqlite")
    try:
        shutil.copyfile(_whole(backup), fresh)
        lines, unread = _rows_there(path)
        with VerdictLog(fresh) as log:
            rows = len(log.history())
            taken_over = log.import_lines(lines).added
            problems = log.check()
            if problems:
                raise VerdictError(f"{backup} is damaged: {'; '.join(problems[:3])}; choose an older backup")
            log.into_one_file()
        _sync(fresh)
        aside = _set_aside(path)
        fresh.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise VerdictError(f"cannot restore {path}: {error.strerror or error}; nothing was deleted") from error
    finally:
        for ending in _BESIDE:
            Path(f"{fresh}{ending}").unlink(missing_ok=True)
    return Restored(rows, taken_over, aside, unread)


def _whole(backup: Path) -> Path:
    """The backup itself, when SQLite finds it whole and it is a log. Raises VerdictError."""
    if not backup.is_file():
        raise VerdictError(f"{backup} is not there: name a backup, see lora-assets verdicts backup")
    try:
        found = apsw.Connection(str(backup), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            told = [str(row[0]) for row in found.execute("PRAGMA integrity_check")]
            found.execute("SELECT count(*) FROM verdict").fetchone()
        finally:
            found.close()
    except apsw.Error as error:
        raise VerdictError(f"{backup} is no whole backup of verdicts ({error}): choose another") from error
    if told != ["ok"]:
        raise VerdictError(f"{backup} is damaged ({'; '.join(told[:3])}): choose an older backup")
    return backup


def _rows_there(path: Path) -> tuple[list[str], str]:
    """The rows of the log that lies there, as lines, and why they cannot be read."""
    if not path.exists():
        return [], ""
    try:
        with VerdictLog(path) as log:
            return [to_line(verdict) for verdict in log.history()], "; ".join(log.check()[:3])
    except VerdictError as error:
        return [], str(error)


def _set_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    folder = path.with_name(f"replaced-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}")
    folder.mkdir()
    for ending in _BESIDE:
        part = Path(f"{path}{ending}")
        if part.exists():
            part.rename(folder / part.name)
    return folder


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

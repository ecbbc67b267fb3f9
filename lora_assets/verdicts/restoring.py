"""Putting a backup of a log back, so that nothing that can still be read is lost on the way.

What lay there is kept aside, never deleted, and rows that it has beyond the backup are taken over where they can be
read. At every moment a log lies in its place, so that a restore that is cut short can be done again. Making backups is
in append_only.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from lora_assets.atomic import put_in_place, sync_folder
from lora_assets.store import StoreError
from lora_assets.verdicts.append_only import AppendOnlyLog, backups_of, file_problems, sync_file, temporary_beside
from lora_assets.verdicts.log import VerdictLog
from lora_assets.verdicts.record import VerdictError

_BESIDE = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: rows of the backup, rows taken over from the log that lay there, where that one is now (None:
    there was none), and what of it could not be read or taken (empty when all was)."""

    rows: int
    taken_over: int
    aside: Path | None
    unread: str


def backups(data: Path, kind: type[AppendOnlyLog] = VerdictLog) -> list[Path]:
    """The backups beside the log, the newest last."""
    return backups_of(kind, kind.path_in(data))


def restore(data: Path, backup: Path | None = None, kind: type[AppendOnlyLog] = VerdictLog) -> Restored:
    """Make `backup` (the newest one by default) the log again. Nobody else may have the log open.

    Raises VerdictError when there is no backup, or it is damaged; then nothing was changed.
    """
    path = kind.path_in(data)
    if backup is None:
        known = backups(data, kind)
        if not known:
            raise VerdictError(f"there is no backup in {path.parent / 'backups'}: name one of your own")
        backup = known[-1]
    fresh = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_whole(backup, kind), fresh)
        lines, problems = _rows_there(path, kind)
        with kind(fresh) as log:
            if damage := log.check():
                raise VerdictError(f"{backup} is damaged: {'; '.join(damage[:3])}; choose an older backup")
            rows = log.row_count()
            count, refused = log.take_over(lines)
            log.into_one_file()
        sync_file(fresh)
        aside = _kept_aside(path)
        put_in_place(fresh, path)
    except VerdictError:
        raise
    except (OSError, StoreError) as error:
        raise VerdictError(f"cannot restore {path}: {error}; nothing was deleted") from error
    finally:
        for ending in ("", *_BESIDE):
            Path(f"{fresh}{ending}").unlink(missing_ok=True)
    return Restored(rows, count.added, aside, "; ".join([*problems, *refused][:5]))


def _whole(backup: Path, kind: type[AppendOnlyLog]) -> Path:
    """The backup itself, when SQLite finds it whole and it is a log. Raises VerdictError."""
    if not backup.is_file():
        raise VerdictError(f"{backup} is not there: name a backup, see lora-assets {kind.things} backup")
    try:
        told = file_problems(backup, kind.table)
    except apsw.Error as error:
        raise VerdictError(f"{backup} is no whole backup of {kind.things} ({error}): choose another") from error
    if told:
        raise VerdictError(f"{backup} is damaged ({'; '.join(told[:3])}): choose an older backup")
    return backup


def _rows_there(path: Path, kind: type[AppendOnlyLog]) -> tuple[list[str], list[str]]:
    """The rows of the log that lies there, as lines, and why others cannot be read.

    A log that opens is left without a write-ahead log where that is possible: it is then all of it in one file.
    """
    if not path.exists():
        return [], []
    try:
        with kind(path) as log:
            lines, unread = log.readable_lines()
            problems = [problem for problem in log.check() if problem not in unread]
            if not problems and not unread:
                log.into_one_file()
            return lines, [*unread, *problems]
    except VerdictError as error:
        return [], [str(error)]


def _kept_aside(path: Path) -> Path | None:
    """Keep what lies there in a folder of its own: a copy of the file, which stays in its place until the new one takes
    it, and the files beside it themselves, since an old write-ahead log must never meet a new file."""
    if not path.exists():
        return None
    folder = path.with_name(f"replaced-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}")
    folder.mkdir()
    copy = folder / path.name
    shutil.copyfile(path, copy)
    sync_file(copy)
    for ending in _BESIDE:
        part = Path(f"{path}{ending}")
        if part.exists():
            part.rename(folder / part.name)
    sync_folder(folder)
    sync_folder(path.parent)
    return folder

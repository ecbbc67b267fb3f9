"""The one way a file of the project comes to be: written beside its place, synced, checked, renamed, synced again.

A temporary file is locked by its writer until it is in place, and the system releases the lock however the writer ends.
So `sweep_folder` takes what a killed process left, also a second later, and never what a living one is still writing.
Temporary folders are held in the same way, by `held_folder`.
What belongs elsewhere: where files lie (store), their remembered hashes (sums).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lora_assets.sums import file_sha256, note_sum

TEMPORARY = ".tmp-"
_LOCKED = ".tmp-held-"
# What held folders are called: whose makers lock them (training.converting, exports.place).
_LOCKED_FOLDERS = (_LOCKED, ".tmp-convert-", ".tmp-export-")
# An old folder that was put aside while a new one takes its place: it may be the only whole one (exports.place).
ASIDE = ".old"
# Files of earlier versions and on disks without locks are told from living ones by their age only.
_STALE_TEMPORARY_S = 24 * 3600.0


class StoreError(RuntimeError):
    """A file of the store is missing, damaged or cannot be written; the text names it and the way out."""


def atomic_write(
    path: Path,
    write: Callable[[BinaryIO], object],
    *,
    durable: bool = True,
    recorded: bool = False,
    sha256: str | None = None,
) -> None:
    """Replace `path` with what `write` puts into the handle: whole or not at all, and on disk when this returns.

    The helper owns the handle, so that a full disk raises here and not in a garbage collector. `durable=False` leaves
    out the wait for the disk: for pictures, which a power cut may cost and which can be drawn again from the tables.
    With `recorded` the hash of what is on disk is remembered beside the file, for `lora-assets verify`. Size, and
    `sha256` where it is given and the file is recorded, are compared with what lies there before the file takes its
    place. Raises StoreError when the file cannot be written; what lies there is then the old file, or the new one
    whole where only the last wait for the disk failed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, handle, lock = _open_locked(path)
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        try:
            with os.fdopen(handle, "wb") as stream:
                write(stream)
                stream.flush()
                size = os.fstat(stream.fileno()).st_size
                if durable:
                    os.fsync(stream.fileno())
            _check(path, temporary, size)
            if recorded:
                found = file_sha256(temporary)
                if sha256 is not None and found != sha256:
                    raise StoreError(f"cannot write {path}: the disk gives back other bytes than it was given")
                note_sum(path, found, durable=durable)
            os.replace(temporary, path)  # noqa: PTH105 (one module's calls, so that tests can make each of them fail)
            _check(path, path, size)
            if durable:
                sync_folder(path.parent)
        except OSError as error:
            raise _refusal(path, error) from error
        finally:
            _remove(temporary)
    finally:
        try:
            os.close(lock)
        except OSError:
            pass  # what was written was closed and checked before


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        pass  # swept when the servers start


def _refusal(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror or error}; free space or rights, then run again")


def _check(path: Path, written: Path, size: int) -> None:
    found = written.stat().st_size
    if found != size:
        raise StoreError(f"cannot write {path}: {found} bytes are on disk, {size} were written; check the disk")


def _open_locked(path: Path) -> tuple[Path, int, int]:
    """A new file beside `path`, a handle to write it, and a second one that holds its lock until both are closed."""
    while True:
        temporary = path.with_name(f"{_LOCKED}{secrets.token_hex(8)}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            _lock(handle)
            if os.fstat(handle).st_nlink:
                return temporary, handle, os.dup(handle)
        except BaseException:
            os.close(handle)
            _remove(temporary)
            raise
        os.close(handle)  # swept away before it was locked


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        pass  # a disk without locks: its leftovers are swept by age


def atomic_write_bytes(path: Path, content: bytes, *, durable: bool = True, recorded: bool = False) -> None:
    """Replace `path` with `content`, as `atomic_write`."""
    sha256 = hashlib.sha256(content).hexdigest() if recorded else None
    atomic_write(path, lambda handle: handle.write(content), durable=durable, recorded=recorded, sha256=sha256)


def atomic_write_json(path: Path, value: Any, *, recorded: bool = False) -> None:
    """Replace `path` with `value` as readable JSON, as `atomic_write`."""
    content = (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    atomic_write_bytes(path, content, recorded=recorded)


def put_in_place(candidate: Path, path: Path) -> None:
    """Rename a file that was written whole and synced to `path` on the same disk; on disk when this returns.

    Raises StoreError when that is not possible; both files are then as they were.
    """
    try:
        size = candidate.stat().st_size
        os.replace(candidate, path)  # noqa: PTH105
        _check(path, path, size)
        sync_folder(path.parent)
    except OSError as error:
        raise _refusal(path, error) from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep_file(path: Path) -> bool:
    """Remove a file that no process writes any more, and say so. Its lock is held until it is gone: a process that has
    just made it then has the lock, and sees that it must make another."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # just put in its place by another process, or not ours to judge
    try:
        let_go = _is_let_go(handle) if path.name.startswith(_LOCKED) else None
        left = time.time() - os.fstat(handle).st_mtime > _STALE_TEMPORARY_S if let_go is None else let_go
        if left:
            path.unlink(missing_ok=True)
        return left
    finally:
        os.close(handle)


def _is_let_go(handle: int) -> bool | None:
    """Whether no process holds the lock of an open file or folder; None where the system tells nothing of locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sweep_subfolder(path: Path) -> bool:
    """Remove a folder in which no process works any more (where that cannot be told, in which nothing is young), and
    say so. Its lock is held until it is gone, as in `_sweep_file`."""
    if path.name.endswith(ASIDE):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        let_go = _is_let_go(handle) if path.name.startswith(_LOCKED_FOLDERS) else None
        left = _is_old(path) if let_go is None else let_go
        if left:
            shutil.rmtree(path, ignore_errors=True)
        return left
    finally:
        os.close(handle)


def _is_old(folder: Path) -> bool:
    try:
        youngest = max(each.lstat().st_mtime for each in (folder, *folder.rglob("*")))
    except OSError:
        return False
    return time.time() - youngest > _STALE_TEMPORARY_S


@contextmanager
def held_folder(place: Path) -> Iterator[Path]:
    """The new empty folder `place`, which no sweep takes while the body runs; gone afterwards, if it is still there.

    Raises OSError, FileExistsError among them, when it cannot be made.
    """
    while True:
        place.mkdir(parents=True)
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        _lock(handle)
        if place.exists():
            break
        os.close(handle)  # swept away before it was locked
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


def sweep_folder(folder: Path, *, deep: bool = True) -> int:
    """Remove the temporary files and folders in `folder`, and below it if `deep`, that nobody writes any more; returns
    how many."""
    count = 0
    for path in list((folder.rglob if deep else folder.glob)(f"{TEMPORARY}*")):
        if path.is_symlink():
            continue
        if path.is_file():
            count += _sweep_file(path)
        elif path.is_dir():
            count += _sweep_subfolder(path)
    return count

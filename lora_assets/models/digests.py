"""SHA-256 of weight files, remembered while a file does not change, so that opening one costs nothing on a re-run.

A remembered hash holds for (path, size, mtime_ns, inode, ctime_ns): the last of them no program can set back, so that a
file that was changed and given its old time is read again. The memory is a cache: deleting it only costs time. What
belongs elsewhere: which hash a file ought to have (registry, records).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from lora_assets.models.registry import ModelError
from lora_assets.store import StoreError, atomic_write_json

# A file written twice within one tick of the clock keeps its time: hashes of files this fresh are not remembered. Times
# in the future, of an archive or another machine, tell of no fresh file: it would be read again at every plan.
_FRESH_S = 2.0


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of `path`, hex. Raises ModelError when the file cannot be read."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}; check the file and its rights") from error


def combined_sha256(parts: Iterable[str]) -> str:
    """One SHA-256 for a model of several files, from theirs in a fixed order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _memory_path(data: Path) -> Path:
    return data / "models" / ".digests.json"


def _read_memory(data: Path) -> dict[str, list[object]]:
    try:
        told = json.loads(_memory_path(data).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _identity(stat: os.stat_result) -> list[object]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]


def remembered_sha256(path: Path, data: Path) -> str:
    """SHA-256 of `path`, from `data/models/.digests.json` while size, times and inode are what they were.

    Raises ModelError when the file cannot be read, or changes while it is read.
    """
    path = path.absolute()
    try:
        before = path.stat()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}; check the file and its rights") from error
    known = _read_memory(data).get(str(path))
    if isinstance(known, list) and known[:-1] == _identity(before):
        return str(known[-1])
    sha256 = file_sha256(path)
    if _identity(path.stat()) != _identity(before):
        raise ModelError(f"{path} changed while it was read: wait until it is written completely, then run again")
    if not 0 <= time.time() - before.st_mtime <= _FRESH_S:
        _remember(path, data, [*_identity(before), sha256])
    return sha256


def _remember(path: Path, data: Path, record: list[object]) -> None:
    try:
        atomic_write_json(_memory_path(data), {**_read_memory(data), str(path): record})
    except StoreError:
        # A read-only data folder is no reason to refuse the weights: the hash is then computed each time.
        return

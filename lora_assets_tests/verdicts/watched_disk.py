"""The system's files with a list of writes and syncs, on any system: is a row on disk when it is acknowledged?

SQLite comes to the disk through this only, so that a sync that is not in the list was not asked for. It needs no tool
beside Python. It tests nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw

from lora_assets.verdicts.append_only import AppendOnlyLog


class _WatchedFile(apsw.VFSFile):
    def __init__(self, name, flags, events):
        super().__init__("unix", name, flags)
        self._name, self._events = name.filename() if isinstance(name, apsw.URIFilename) else str(name), events

    def xWrite(self, data, offset):
        self._events.append(("write", self._name))
        super().xWrite(data, offset)

    def xSync(self, flags):
        super().xSync(flags)
        self._events.append(("sync", self._name))


class WatchedDisk(apsw.VFS):
    """The system's files, with a list of writes and syncs, for every log that is opened while it is there."""

    def __init__(self):
        self.events: list[tuple[str, str]] = []
        super().__init__("watched", "unix", makedefault=True)

    def xOpen(self, name, flags):
        return _WatchedFile(name, flags, self.events)

    def is_synced(self) -> bool:
        """Whether something was written to a write-ahead log, and the last such write was synced after."""
        logged = [kind for kind, name in self.events if name.endswith("-wal")]
        return "write" in logged and logged[-1] == "sync"


@contextmanager
def watched_disk() -> Iterator[WatchedDisk]:
    """A watched disk for the time of the body."""
    disk = WatchedDisk()
    try:
        yield disk
    finally:
        disk.unregister()


def synced_when_taken(log: AppendOnlyLog, disk: WatchedDisk, take: Callable[[int], object], rows: int) -> int:
    """Of so many rows that `take` adds to a log on the disk: how many were synced when it returned."""
    synced = 0
    for number in range(rows):
        disk.events.clear()
        take(number)
        synced += disk.is_synced()
    assert log.row_count() >= rows, "every row is another one"
    return synced


def leave_out_syncs(log: AppendOnlyLog) -> None:
    """The fault that must be seen: SQLite's usual setting for a write-ahead log does not sync a commit."""
    log._db.pragma("synchronous", "normal")

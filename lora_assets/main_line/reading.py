"""Files read in processes of their own: a crash, a hang or a memory blow-up of a decoder becomes a reason in words.

Each process reads one file at a time, so it is always known which file it died of. A file that kills its reader is
given to a fresh one once more (the kill may have come from outside), and is then told as the cause. What is read
belongs to vision.images, the program of the process to vision.reading_child, how it is asked to vision.line_process.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from lora_assets.store import StoreError
from lora_assets.vision.images import FrameFacts, ReadSettings
from lora_assets.vision.line_process import LineProcess, ProcessDied

READING_CHILD = "lora_assets.vision.reading_child"
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class FileRead:
    """What became of one file: facts and thumbnail (WebP), or the reason why it is not used; `sha256` is None where not
    even the bytes could be read."""

    sha256: str | None
    facts: FrameFacts | None = None
    thumb: bytes = b""
    reason: str = ""


class Reader:
    """One reading process, started when it is first needed and again after it died. Not for two threads at once."""

    def __init__(self, settings: ReadSettings, program: str = READING_CHILD) -> None:
        self.settings = settings
        self.program = program
        self._process: LineProcess | None = None
        self._ended = False

    def read(self, path: Path) -> FileRead:
        """Read one file. Raises StoreError when no reading process can be started, or after `end`."""
        sha256: str | None = None
        how = ""
        for _ in range(2):
            process, sha256 = self._running(), None
            until = time.monotonic() + self.settings.max_seconds
            try:
                process.send({"path": str(path)})
                first = process.line(until)
                if "sha256" not in first:
                    return FileRead(None, reason=str(first["reason"]))
                sha256 = str(first["sha256"])
                told = process.line(until)
                if "reason" in told:
                    return FileRead(sha256, reason=str(told["reason"]))
                thumb = process.content(int(told["thumb"]), until)
                return FileRead(sha256, FrameFacts(**told["facts"]), thumb)
            except ProcessDied as died:
                self.close()
                if died.hung:
                    how = f"hangs the decoder: not read after {self.settings.max_seconds:g} seconds"
                    break
                how = f"the decoder {died} reading it, twice"
        return FileRead(sha256, reason=f"{how}; convert it with another program")

    def _running(self) -> LineProcess:
        if self._process is not None:
            return self._process
        if self._ended:
            raise StoreError("reading was stopped: run again, it goes on where it was")
        try:
            self._process = process = LineProcess(self.program, dataclasses.asdict(self.settings))
            process.line(time.monotonic() + _START_SECONDS)
        except (OSError, ProcessDied) as error:
            self.close()
            raise StoreError(
                f"no process could be started to read pictures ({error}); free memory, then run again"
            ) from error
        return process

    def end(self) -> None:
        """End the process for good: a thread that still waits for it starts no other."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing; the next file starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.close()


_kept: list[Reader] | None = None
_kept_lock = threading.Lock()


@contextmanager
def kept_readers() -> Iterator[None]:
    """While the body runs, reading processes are kept for the next folder: each takes half a second to start."""
    global _kept
    with _kept_lock:
        before, _kept = _kept, [] if _kept is None else _kept
    try:
        yield
    finally:
        with _kept_lock:
            kept, _kept = _kept, before
        for reader in kept if before is None and kept else ():
            reader.end()


def _take(settings: ReadSettings, program: str) -> Reader:
    with _kept_lock:
        for reader in _kept or ():
            if reader.settings == settings and reader.program == program:
                (_kept or []).remove(reader)
                return reader
    return Reader(settings, program)


def _give_back(reader: Reader) -> None:
    with _kept_lock:
        if _kept is not None:
            _kept.append(reader)
            return
    reader.end()


class Readers:
    """Some reading processes, handed to whichever thread asks; ended (or kept) when the `with` block is left."""

    def __init__(self, settings: ReadSettings, count: int, program: str = READING_CHILD) -> None:
        self._readers = [_take(settings, program) for _ in range(max(1, count))]
        self._free: SimpleQueue[Reader] = SimpleQueue()
        for reader in self._readers:
            self._free.put(reader)

    def read(self, path: Path) -> FileRead:
        """Read one file in the next free process, as `Reader.read`."""
        reader = self._free.get()
        try:
            return reader.read(path)
        finally:
            self._free.put(reader)

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for reader in self._readers:
            # After an error a thread may still be reading with it.
            if error is None:
                _give_back(reader)
            else:
                reader.end()

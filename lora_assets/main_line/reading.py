"""Files read in processes of their own: a crash, a hang or a memory blow-up of a decoder becomes a reason in words.

Each process reads one file at a time, so it is always known which file it died of. A file that kills its reader is
given to a fresh one once more (the kill may have come from outside), and is then told as the cause. What is read
belongs to vision.images, the program of the process to vision.reading_child.
"""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from lora_assets.store import StoreError
from lora_assets.vision.images import FrameFacts, ReadSettings

READING_CHILD = "lora_assets.vision.reading_child"
_START_SECONDS = 120.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRead:
    """What became of one file: facts and thumbnail (WebP), or the reason why it is not used; `sha256` is None where not
    even the bytes could be read."""

    sha256: str | None
    facts: FrameFacts | None = None
    thumb: bytes = b""
    reason: str = ""


class _ReaderDied(RuntimeError):
    """The process ended or had to be killed; the text says how, `sha256` what it was reading."""

    def __init__(self, how: str, sha256: str | None = None, *, hung: bool = False) -> None:
        super().__init__(how)
        self.sha256 = sha256
        self.hung = hung


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"crashed ({signal.Signals(-code).name})"
        except ValueError:
            return f"crashed (signal {-code})"
    return f"ended by itself (code {code})"


class Reader:
    """One reading process, started when it is first needed and again after it died. Not for two threads at once."""

    def __init__(self, settings: ReadSettings, program: str = READING_CHILD) -> None:
        self.settings = settings
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""
        self._ended = False

    def read(self, path: Path) -> FileRead:
        """Read one file. Raises StoreError when no reading process can be started, or after `end`."""
        for attempt in (1, 2):
            try:
                return self._read(path)
            except _ReaderDied as died:
                self.close()
                if died.hung:
                    seconds = f"{self.settings.max_seconds:g} seconds"
                    return FileRead(
                        died.sha256,
                        reason=f"hangs the decoder: not read after {seconds}; convert it with another program",
                    )
                if attempt == 2:
                    return FileRead(
                        died.sha256, reason=f"the decoder {died} reading it, twice; convert it with another program"
                    )
        raise AssertionError("unreachable")

    def _read(self, path: Path) -> FileRead:
        process = self._running()
        until = time.monotonic() + self.settings.max_seconds
        self._ask(process, path)
        first = self._line(until)
        if "sha256" not in first:
            return FileRead(None, reason=str(first["reason"]))
        sha256 = str(first["sha256"])
        try:
            told = self._line(until)
            if "reason" in told:
                return FileRead(sha256, reason=str(told["reason"]))
            thumb = self._bytes(int(told["thumb"]), until)
        except _ReaderDied as died:
            raise _ReaderDied(str(died), sha256, hung=died.hung) from None
        return FileRead(sha256, FrameFacts(**told["facts"]), thumb)

    def _ask(self, process: subprocess.Popen[bytes], path: Path) -> None:
        stdin = process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"path": str(path)}).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise _ReaderDied(_how_it_ended(process.wait())) from error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        if self._ended:
            raise StoreError("reading was stopped: run again, it goes on where it was")
        command = [
            sys.executable,
            "-m",
            self.program,
            json.dumps(dataclasses.asdict(self.settings)),
            str(os.getpid()),
        ]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._pending = b""
            self._line(time.monotonic() + _START_SECONDS)
        except (OSError, _ReaderDied) as error:
            self.close()
            raise StoreError(
                f"no process could be started to read pictures ({error}); free memory, then run again"
            ) from error
        return self._process

    def _line(self, until: float) -> dict[str, Any]:
        while b"\n" not in self._pending:
            self._pending += self._more(until)
        line, self._pending = self._pending.split(b"\n", 1)
        return json.loads(line)

    def _bytes(self, count: int, until: float) -> bytes:
        while len(self._pending) < count:
            self._pending += self._more(until)
        content, self._pending = self._pending[:count], self._pending[count:]
        return content

    def _more(self, until: float) -> bytes:
        process = self._process
        assert process is not None and process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, until - time.monotonic())):
                raise _ReaderDied("hung", hung=True)
        content = os.read(process.stdout.fileno(), _CHUNK)
        if not content:
            raise _ReaderDied(_how_it_ended(process.wait()))
        return content

    def end(self) -> None:
        """End the process for good: a thread that still waits for it starts no other."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing; the next file starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass  # what was left to write went to a process that is gone


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

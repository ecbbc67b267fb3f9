"""A program beside this one that is asked by JSON lines: started, waited for with a deadline, and ended for certain.

A decoder or a model that crashes, hangs or prints what nobody asked for must cost one request and never the caller.
What is asked, how often it is tried, and how a death is told to a person belongs to main_line.reading (files) and
tracker.clicking (clicks); the programs themselves are vision.reading_child and vision.click_child. Nothing is imported
here that the page server must not load.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

_CHUNK = 1 << 20
_LONGEST_LINE = 64 << 20
"""Bytes; three masks of a frame of 8K take a tenth of it."""
_LEAVE_SECONDS = 5.0
"""How long a process may take to end after it closed its answers, and a killed one until its parent goes on."""


class ProcessDied(RuntimeError):
    """The process is of no use any more and is to be closed; the text says how it ended ("crashed (SIGSEGV)").

    hung: no answer by the deadline. code: what it ended with, negative for a signal; None where it still ran.
    """

    def __init__(self, how: str, *, hung: bool = False, code: int | None = None) -> None:
        super().__init__(how)
        self.hung = hung
        self.code = code


class LineProcess:
    """One running program. One thread asks; `kill` and `close` may come from any other."""

    def __init__(self, program: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        """Start `python -m PROGRAM SETTINGS PARENT`: the settings as JSON, the parent's number for parent_watch.

        The program answers with one line when it is ready. Raises OSError when no process can be had.
        """
        command = [sys.executable, "-m", program, json.dumps(dict(settings)), str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._pending = b""
        self._using = threading.Lock()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, request: Mapping[str, Any]) -> None:
        """Write a request. Raises ProcessDied."""
        stdin = self._process.stdin
        assert stdin is not None
        with self._using:
            try:
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()
            except (OSError, ValueError) as error:
                raise self._death() from error

    def line(self, until: float) -> dict[str, Any]:
        """The next answer, read before `until` (on the clock of time.monotonic). Raises ProcessDied."""
        with self._using:
            while b"\n" not in self._pending:
                if len(self._pending) > _LONGEST_LINE:
                    raise ProcessDied("answered nonsense (a line without end)")
                self._pending += self._more(until)
            line, self._pending = self._pending.split(b"\n", 1)
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProcessDied(f"answered nonsense ({_shown(line)})") from error
        if not isinstance(told, dict):
            raise ProcessDied(f"answered nonsense ({_shown(line)})")
        return told

    def content(self, count: int, until: float) -> bytes:
        """The `count` bytes that follow an answer, read before `until`. Raises ProcessDied."""
        with self._using:
            while len(self._pending) < count:
                self._pending += self._more(until)
            content, self._pending = self._pending[:count], self._pending[count:]
        return content

    def _more(self, until: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise ProcessDied("hung", hung=True)
            content = os.read(stdout.fileno(), _CHUNK)
        except (OSError, ValueError) as error:
            # Another thread has closed the process.
            raise self._death() from error
        if not content:
            raise self._death()
        return content

    def _death(self) -> ProcessDied:
        """How the process ended, which has closed its pipes; one that lives on without them is not waited for."""
        try:
            code = self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            return ProcessDied("closed its answers without an end")
        if code >= 0:
            return ProcessDied(f"ended by itself (code {code})", code=code)
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ProcessDied(f"crashed ({name})", code=code)

    def kill(self) -> None:
        """End the process without waiting: whoever waits for its answer learns of it."""
        self._process.kill()

    def close(self) -> None:
        """End the process, whatever it is doing, and give its pipes back."""
        self._process.kill()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # the kernel holds it in a call to a dead disk or driver; it ends when that does
        # A pipe that is closed under a thread that reads it could be read as another file of the same number.
        if not self._using.acquire(timeout=_LEAVE_SECONDS):
            return
        try:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass  # what was left to write went to a process that is gone
        finally:
            self._using.release()


def _shown(line: bytes) -> str:
    """The beginning of a line, fit for a message."""
    return ascii(line[:40].decode(errors="replace"))

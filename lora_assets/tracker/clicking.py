"""The process that answers clicks, as the pages see it: started when somebody clicks, ended when nobody does any more.

The page server must not import torch; the model lives in a process of its own (vision.click_child), which may crash or
hang at the cost of one click. One request at a time: further ones wait, and beyond a few are refused. What is asked and
how it is answered over HTTP is in routes_segment.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.store import StoreError

CLICK_CHILD = "lora_assets.vision.click_child"
_CHUNK = 1 << 16
_WATCH_SECONDS = 5.0
_MOST_THREADS = 4
_LEAST_MEMORY = 6 << 30
_MEMORY_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class ClickLimits:
    """start, embed, click: seconds after which a step counts as hung (to open a model and to embed a picture with a
    large one takes long on a CPU; a click on a picture that is ready does not). idle: seconds without a click after
    which the process ends and its memory is free again. waiting: requests that may wait for one another. embeddings:
    pictures kept ready."""

    start: float = 120.0
    embed: float = 300.0
    click: float = 60.0
    idle: float = 300.0
    waiting: int = 6
    embeddings: int = 4


class ClickingFailed(StoreError):
    """The process died or hung, or cannot be had now; the text says how and what to do. The same may work later."""


class ClickRefused(ValueError):
    """The process cannot answer this request; the text says why. `prompt` when the clicks themselves do not fit."""

    def __init__(self, text: str, *, prompt: bool) -> None:
        super().__init__(text)
        self.prompt = prompt


class Clicker:
    """The clicking process of one server; may be asked by several threads."""

    def __init__(self, data: Path, limits: ClickLimits = ClickLimits(), program: str = CLICK_CHILD) -> None:
        self._data = data
        self._limits = limits
        self._program = program
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""
        self._used = 0.0
        self._ready: list[tuple[str, str]] = []
        self._watcher: threading.Thread | None = None

    @property
    def process_id(self) -> int | None:
        """The number of the running process; None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    def open(self, tracker: str, frame: str, path: Path) -> dict[str, Any]:
        """Embed a frame (its hash and its file): model, width, height, milliseconds. Raises as `ask`."""
        return self._asked({"do": "open", "tracker": tracker, "frame": frame, "path": str(path)})

    def ask(self, tracker: str, frame: str, path: Path, prompt: dict[str, Any]) -> dict[str, Any]:
        """The candidates of a prompt: `points`, `labels`, `box`, and `after` (answer and candidate to go on from).

        A picture that is no longer kept ready is embedded again. Raises ClickingFailed and ClickRefused.
        """
        names = ("points", "labels", "box", "after")
        told = {"do": "ask", "tracker": tracker, "frame": frame, "path": str(path)}
        return self._asked({**told, **{name: prompt[name] for name in names if name in prompt}})

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._count:
            if self._waiting >= self._limits.waiting:
                raise ClickingFailed("the model is busy with other clicks: wait a moment, then click again")
            self._waiting += 1
        try:
            with self._turn:
                return self._answer(request)
        finally:
            with self._count:
                self._waiting -= 1

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        picture = (request["tracker"], request["frame"])
        try:
            process = self._running()
            self._used = time.monotonic()
            assert process.stdin is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            told = self._line(process, self._limits.click if picture in self._ready else self._limits.embed)
        except (OSError, ValueError, _Died) as error:
            how = str(error) if isinstance(error, _Died) else _how_it_ended(self._process)
            self._end()
            raise ClickingFailed(
                f"the model's process {how}. It is started again at the next click; if that fails too, choose another "
                "segmenter for this tracker"
            ) from error
        self._used = time.monotonic()
        self._ready = [*(one for one in self._ready if one != picture), picture][-self._limits.embeddings :]
        if "error" in told:
            raise ClickRefused(str(told["error"]), prompt=told.get("kind") == "prompt")
        return told

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        settings = {
            "data": str(self._data.resolve()),
            "most_embeddings": self._limits.embeddings,
            "memory_bytes": _memory_limit(),
        }
        command = [sys.executable, "-m", self._program, json.dumps(settings), str(os.getpid())]
        # Several threads make a click faster while cores are free; one core is left for the pages.
        threads = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0)) - 1))
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._pending = b""
        atexit.register(self.close)
        self._line(self._process, self._limits.start)
        self._watch()
        return self._process

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._pending:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise _Died(f"hung: no answer after {seconds:g} seconds")
            content = os.read(process.stdout.fileno(), _CHUNK)
            if not content:
                raise _Died(_how_it_ended(process))
            self._pending += content
        line, self._pending = self._pending.split(b"\n", 1)
        return json.loads(line)

    def _watch(self) -> None:
        """End the process when nobody has clicked for a while."""

        def watch() -> None:
            while True:
                time.sleep(min(_WATCH_SECONDS, self._limits.idle))
                with self._turn:
                    if self._process is None:
                        self._watcher = None
                        return
                    if time.monotonic() - self._used >= self._limits.idle:
                        self._end()

        if self._watcher is None:
            self._watcher = threading.Thread(target=watch, daemon=True, name="idle-clicker")
            self._watcher.start()

    def close(self) -> None:
        """End the process, whatever it is doing; the next click starts another."""
        process = self._process
        if process is not None:
            process.kill()
        with self._turn:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        self._ready = []
        if process is None:
            return
        atexit.unregister(self.close)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass  # what was left to write went to a process that is gone


class _Died(RuntimeError):
    """The process ended or hung; the text says how."""


def _how_it_ended(process: subprocess.Popen[bytes] | None) -> str:
    if process is None:
        return "could not be started: free memory"
    code = process.wait()
    if code < 0:
        try:
            return f"was ended ({signal.Signals(-code).name}; too little memory?)"
        except ValueError:
            return f"was ended (signal {-code})"
    return f"ended by itself (code {code}); the server's log says why"


def _memory_limit() -> int:
    """Bytes of address space that the process may take: most of the machine, and never so little that torch does not
    start."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(_LEAST_MEMORY, int(total * _MEMORY_SHARE))

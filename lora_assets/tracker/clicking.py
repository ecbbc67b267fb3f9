"""The process that answers clicks, as the pages see it: started when somebody clicks, ended when nobody does any more.

The page server must not import torch; the model lives in a process of its own (vision.click_child), which may crash or
hang at the cost of one click. One request at a time: further ones wait, and beyond a few are refused. What is asked and
how it is answered over HTTP is in routes_segment; how any such process is asked and ended in vision.line_process.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.store import StoreError
from lora_assets.vision.line_process import LineProcess, ProcessDied

CLICK_CHILD = "lora_assets.vision.click_child"
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
        self._process: LineProcess | None = None
        self._used = 0.0
        self._ready: frozenset[tuple[str, str]] = frozenset()
        self._watcher: threading.Thread | None = None

    @property
    def process_id(self) -> int | None:
        """The number of the running process; None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    @property
    def ready(self) -> frozenset[tuple[str, str]]:
        """The pictures (tracker and hash of the frame) that the process said it holds, with its last answer; only of
        these a click is expected to be quick."""
        return self._ready

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
        seconds = self._limits.start
        try:
            process = self._running()
            self._used = time.monotonic()
            is_ready = (request["tracker"], request["frame"]) in self._ready
            seconds = self._limits.click if is_ready else self._limits.embed
            process.send(request)
            told = process.line(time.monotonic() + seconds)
            if "held" not in told:
                raise ProcessDied("answered nonsense (it does not say which pictures it holds)")
        except (OSError, ProcessDied) as error:
            self._end()
            raise ClickingFailed(
                f"the model's process {_told(error, seconds)}. It is started again at the next click; if that fails "
                "too, choose another segmenter for this tracker"
            ) from error
        self._used = time.monotonic()
        self._ready = frozenset((tracker, frame) for tracker, frame in told.pop("held"))
        if "error" in told:
            raise ClickRefused(str(told["error"]), prompt=told.get("kind") == "prompt")
        return told

    def _running(self) -> LineProcess:
        if self._process is not None:
            return self._process
        settings = {
            "data": str(self._data.resolve()),
            "most_embeddings": self._limits.embeddings,
            "memory_bytes": _memory_limit(),
        }
        # While a click is answered the pages and the browser wait for it, so that it may have all cores. Threads that
        # wait for one another sleep: on a busy machine they would take the time that they wait for.
        threads = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0))))
        environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        self._process = process = LineProcess(self._program, settings, environment)
        atexit.register(self.close)
        process.line(time.monotonic() + self._limits.start)
        self._watch()
        return process

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
        self._ready = frozenset()
        if process is not None:
            atexit.unregister(self.close)
            process.close()


def _told(died: OSError | ProcessDied, seconds: float) -> str:
    """How the process ended, with what it suggests."""
    if isinstance(died, OSError):
        return "could not be started: free memory"
    if died.hung:
        return f"hung: no answer after {seconds:g} seconds"
    if died.code is None:
        return str(died)
    return f"{died}, perhaps for want of memory" if died.code < 0 else f"{died}, the server's log says why"


def _memory_limit() -> int:
    """Bytes of address space that the process may take: most of the machine, and never so little that torch does not
    start."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(_LEAST_MEMORY, int(total * _MEMORY_SHARE))

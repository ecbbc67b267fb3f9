"""The servers that the kits of the web ask, by name: the real one, bare ones to compare with, and ones with a fault.

A fault is planted here and nowhere else, by replacing one function in a process of its own. What is asked of them is in
the kits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lora_assets.tracker.connections import DeadlineProtocol
from lora_assets.tracker.serve import open_socket, serve_pages
from lora_assets.verdicts import Mark, Verdict
from lora_assets.verdicts.log import VerdictLog
from lora_assets.verdicts.record import utc_text


def _real(data: Path, port: int) -> None:
    serve_pages(data, port=port)


def _acknowledging_first(data: Path, port: int) -> None:
    """The pages, but a mark is answered before it is saved: a thread saves it a little later."""
    from datetime import UTC, datetime

    save = VerdictLog.append
    waiting: SimpleQueue[tuple[VerdictLog, tuple[Mark, ...]]] = SimpleQueue()

    def saving() -> None:
        while True:
            log, marks = waiting.get()
            time.sleep(0.02)
            save(log, *marks)

    def append(self: VerdictLog, *marks: Mark) -> list[Verdict]:
        waiting.put((self, marks))
        return [Verdict(mark, utc_text(datetime.now(UTC)), None) for mark in marks]

    VerdictLog.append = append
    threading.Thread(target=saving, daemon=True).start()
    serve_pages(data, port=port)


def _saving_twice(data: Path, port: int) -> None:
    """The pages, but a request that is sent again is taken for a new one. Each answer waits a little behind its mark,
    so that a kill finds marks that are saved and not answered on every machine."""
    from dataclasses import replace
    from secrets import token_hex

    save = VerdictLog.append

    def append(self: VerdictLog, *marks: Mark) -> list[Verdict]:
        saved = save(self, *(replace(mark, request_id=f"{mark.request_id}-{token_hex(4)}") for mark in marks))
        time.sleep(0.05)
        return saved

    VerdictLog.append = append
    VerdictLog.taken = lambda self, request_ids: {}
    serve_pages(data, port=port)


def _unsynced(data: Path, port: int) -> None:
    """The pages, with SQLite's usual setting for a write-ahead log: a commit is not synced."""
    prepare = VerdictLog._prepare

    def without_sync(self: VerdictLog) -> None:
        prepare(self)
        self._db.pragma("synchronous", "normal")

    VerdictLog._prepare = without_sync
    serve_pages(data, port=port)


def _bare(data: Path, port: int) -> None:
    """The least that Starlette and uvicorn can do: the files of a folder out of memory, no guard, no deadlines."""
    contents = {path.name: path.read_bytes() for path in data.iterdir()}

    async def give(request: Request) -> Response:
        name = request.path_params["name"]
        kind = "image/webp" if name.endswith(".webp") else "text/html; charset=utf-8"
        return Response(contents[name], media_type=kind)

    app = Starlette(routes=[Route("/{name}", give)])
    with open_socket("127.0.0.1", port) as listening:
        config = uvicorn.Config(app, ws="none", access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])


def _hasty(data: Path, port: int) -> None:
    """The pages with deadlines that a quick test can wait for."""
    DeadlineProtocol.headers_within_s = 0.5
    serve_pages(data, port=port)


def naive_files(root: Path) -> ASGIApp:
    """A server of files as it is often written: the address is joined to a folder."""

    async def give(request: Request) -> Response:
        try:
            return Response((root / unquote(request.path_params["rest"])).read_bytes())
        except (OSError, ValueError):
            return PlainTextResponse("not found", 404)

    return Starlette(routes=[Route("/{rest:path}", give)])


SERVERS: dict[str, Callable[[Path, int], None]] = {
    "real": _real,
    "acknowledging first": _acknowledging_first,
    "saving twice": _saving_twice,
    "unsynced": _unsynced,
    "bare": _bare,
    "hasty": _hasty,
}

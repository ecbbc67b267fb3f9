"""G13: how long answers take with 16 connections, beside a bare server in the same minute; and half-open connections.

The pages with a password and a bare Starlette that gives the same bytes out of memory are asked in turns, a second or
so each, so that what else the machine does falls on both. Pages that changed a moment ago are asked before that: they
are drawn anew each time. Then hundreds of connections send half a request and stay, while one client goes on asking.
Times are judged at the full level only.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from lora_assets.benchmarks.pages import TRACKER, make_tracker
from lora_assets.store import Store
from lora_assets.tracker.kept_pages import SETTLED_NS
from lora_assets.tracker.password import set_password
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.reliability.goals import Figures, Level
from lora_assets_tests.reliability.web_asking import (
    PASSWORD,
    OverSocket,
    basic,
    free_port,
    nursery,
    until_listening,
)

_CONNECTIONS = 16
_MOST_TIMES_BARE = 2.0
_MOST_PAGE_S, _MOST_PICTURE_S, _MOST_BESIDE_HALF_OPEN_S, _CLOSED_WITHIN_S = 0.25, 0.30, 0.10, 15.0


@dataclass(frozen=True, slots=True)
class _Size:
    crops: int
    rounds: int
    pictures: int
    pages: int
    half_open: int
    closed_within_s: float


_SIZES: dict[Level, _Size] = {
    "quick": _Size(60, 1, 64, 32, 60, 5.0),
    "full": _Size(1000, 8, 400, 80, 500, _CLOSED_WITHIN_S),
}


def _percentile(seconds: Sequence[float], share: float) -> float:
    found = sorted(seconds)
    return found[min(len(found) - 1, math.ceil(share * len(found)) - 1)]


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, heads: str) -> float:
    """Seconds from a request to the last byte of its answer on a connection that stays open."""
    began = time.perf_counter()
    writer.write(f"GET {path} HTTP/1.1\r\n{heads}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path} was answered {head.partition(chr(13).encode())[0].decode()}")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return time.perf_counter() - began


async def _ask_many(port: int, paths: Sequence[str], connections: int) -> list[float]:
    """Seconds of every answer, asked as fast as answers come over so many connections."""
    heads = f"Host: 127.0.0.1:{port}\r\nAuthorization: {basic(PASSWORD)}\r\n"
    waiting, taken = list(paths), []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            taken.append(await _one(reader, writer, waiting.pop(), heads))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return taken


async def _half_open(port: int, count: int, within_s: float, path: str) -> tuple[list[float], list[float]]:
    """Connections that send half a request: after how many seconds each was ended (inf: never within `within_s`), and
    the times of a client that asks all the while."""
    heads = f"Host: 127.0.0.1:{port}\r\nAuthorization: {basic(PASSWORD)}\r\n"
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for number, (_, writer) in enumerate(opened):
        writer.write((b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: ")[number % 3])
    began = time.perf_counter()

    async def ended(reader: asyncio.StreamReader) -> float:
        try:
            while await asyncio.wait_for(reader.read(4096), began + within_s - time.perf_counter()):
                pass
        except TimeoutError:
            return math.inf
        except OSError:
            pass
        return time.perf_counter() - began

    waits = asyncio.gather(*(ended(reader) for reader, _ in opened))
    times: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not waits.done():
        times.append(await _one(reader, writer, path, heads))
        await asyncio.sleep(0.02)
    found = await waits
    for _, each in [*opened, (reader, writer)]:
        each.close()
    return found, times


def _mark_all(data: Path, crops: Sequence[str]) -> None:
    """One mark on every crop, as a person leaves them."""
    rows = {}
    for dataset in ("episode-01", "episode-02", "episode-03"):
        table = Store(data).cell_table("scored_crops", dataset, TRACKER)
        assert table is not None
        rows |= {row["crop_id"]: (dataset, row["frame_sha256"]) for row in table.read().to_pylist()}
    marks = [
        Mark(
            tracker=TRACKER, dataset=rows[crop][0], frame_sha256=rows[crop][1], box=(100.0, 40.0, 420.0, 680.0),
            crop_id=crop, value="good", request_id=f"load-{number:06}",
        )
        for number, crop in enumerate(crops)
    ]  # fmt: skip
    with open_log(data) as log:
        log.append(*marks)


def _crops(data: Path) -> list[str]:
    found = []
    for dataset in ("episode-01", "episode-02", "episode-03"):
        table = Store(data).cell_table("scored_crops", dataset, TRACKER)
        assert table is not None
        found += table.read(["crop_id"]).column("crop_id").to_pylist()
    return found


def run(level: Level) -> Figures:
    """Load in turns with a bare server, then half-open connections; the bare server is also the planted fault."""
    began, size, failures, notes = time.monotonic(), _SIZES[level], [], []
    with tempfile.TemporaryDirectory() as name, nursery() as nest:
        data, still = Path(name) / "data", Path(name) / "still"
        still.mkdir()
        make_tracker(data, size.crops)
        crops = _crops(data)
        _mark_all(data, crops)
        set_password(data, PASSWORD, PasswordHasher() if level == "full" else PasswordHasher(1, 8, 1))
        real, bare = free_port(), free_port()
        pid = nest.start("real", data, real)
        until_listening(real)
        opened = OverSocket(real, {"Authorization": basic(PASSWORD)}, 60.0)
        page, picture = f"/tracker/{TRACKER}", f"/tracker/{TRACKER}/thumb/{crops[0]}.webp"
        (still / "page.html").write_bytes(opened.ask("GET", page).body)
        (still / "picture.webp").write_bytes(opened.ask("GET", picture).body)
        nest.start("bare", still, bare)
        until_listening(bare)
        taken: dict[str, list[float]] = {"page": [], "bare page": [], "picture": [], "bare picture": []}
        pictures = [f"/tracker/{TRACKER}/thumb/{crops[n % len(crops)]}.webp" for n in range(size.pictures)]
        if level == "full":
            # Everything was written a moment ago: until it has settled, each answer is found out and drawn anew.
            taken["page right after a change"] = asyncio.run(_ask_many(real, [page] * size.pages, _CONNECTIONS))
            time.sleep(1.25e-9 * SETTLED_NS)
            # Whoever opens it first then waits for it to be drawn once more; that is told by the line above.
            opened.ask("GET", page)
        for _ in range(size.rounds):
            taken["bare picture"] += asyncio.run(_ask_many(bare, ["/picture.webp"] * size.pictures, _CONNECTIONS))
            taken["picture"] += asyncio.run(_ask_many(real, pictures, _CONNECTIONS))
            taken["bare page"] += asyncio.run(_ask_many(bare, ["/page.html"] * size.pages, _CONNECTIONS))
            taken["page"] += asyncio.run(_ask_many(real, [page] * size.pages, _CONNECTIONS))
        at = {kind: (_percentile(seconds, 0.5), _percentile(seconds, 0.99)) for kind, seconds in taken.items()}
        notes += [f"{kind}: p50 {1e3 * p50:.1f} ms, p99 {1e3 * p99:.1f} ms over {_CONNECTIONS} connections, "
                  f"{len(taken[kind])} requests" for kind, (p50, p99) in at.items()]  # fmt: skip
        tried = sum(map(len, taken.values()))
        if level == "full":
            for kind, most in (("page", _MOST_PAGE_S), ("picture", _MOST_PICTURE_S)):
                times = at[kind][1] / at[f"bare {kind}"][1]
                notes.append(f"p99 of a {kind} is {times:.1f} times that of the bare server")
                if times > _MOST_TIMES_BARE:
                    failures.append(
                        f"p99 of a {kind} is {times:.1f} times that of the bare server, not {_MOST_TIMES_BARE:g}"
                    )
                if max(at[name][1] for name in at if name.startswith(kind)) > most:
                    failures.append(f"p99 of a {kind} is over {1e3 * most:.0f} ms")
        if level == "quick":
            nest.kill(pid)
            nest.start("hasty", data, real := free_port())
            until_listening(real)
        closed, beside = asyncio.run(_half_open(real, size.half_open, size.closed_within_s, picture))
        tried += size.half_open + len(beside)
        late = sum(math.isinf(seconds) for seconds in closed)
        if late:
            failures.append(
                f"{late} of {size.half_open} half-open connections are open after {size.closed_within_s:g} s"
            )
        slow = _percentile(beside, 0.99)
        notes.append(
            f"{size.half_open} half-open connections: all ended within {max(closed):.1f} s; beside them one client is "
            f"answered at p50 {1e3 * _percentile(beside, 0.5):.1f} ms, p99 {1e3 * slow:.1f} ms, longest "
            f"{1e3 * max(beside):.1f} ms ({len(beside)} requests)"
        )
        if level == "full" and slow > _MOST_BESIDE_HALF_OPEN_S:
            failures.append(f"a client beside half-open connections waits {1e3 * slow:.0f} ms at p99, not 100")
        left, _ = asyncio.run(_half_open(bare, 20, 1.0 if level == "quick" else _CLOSED_WITHIN_S, "/picture.webp"))
        stay = sum(math.isinf(seconds) for seconds in left)
        notes.append(f"uvicorn alone: {stay} of 20 half-open connections stay open")
    return Figures(
        "G13",
        f"pages with {size.crops} marked crops and a password, and a bare Starlette, in turns over {_CONNECTIONS} "
        f"connections; then {size.half_open} half-open connections beside one client",
        tried,
        len(failures),
        stay == 20,
        time.monotonic() - began,
        f"uvicorn without deadlines: {stay} of 20 half-open connections stay open",
        tuple(notes),
        failures=tuple(failures),
    )

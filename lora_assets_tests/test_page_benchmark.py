"""The synthetic tracker of the benchmark of pages is one that the pages can show, and every request is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lora_assets.benchmarks.pages import TRACKER, Requests, _ask_all, make_tracker
from lora_assets.store import Store
from lora_assets.tracker.site import Site


def test_the_synthetic_tracker_has_its_crops_boxes_and_pictures(tmp_path: Path):
    make_tracker(tmp_path, 60)
    view = Site(tmp_path, "http://127.0.0.1:3000").view(TRACKER)
    assert len(view.rows_of) == len(view.tiers) == 60
    assert len(view.cells) == 3
    store = Store(tmp_path)
    assert all(store.picture("thumbs", crop, ".webp").read_bytes().startswith(b"RIFF") for crop in view.rows_of)
    assert {flag for row in view.rows(range(60)) for flag in row["flags"]} == set(view.flag_names) != set()


def test_every_request_is_asked_once_over_open_connections():
    seen: list[bytes] = []

    async def run() -> Requests:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    seen.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except asyncio.IncompleteReadError:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        measured = await _ask_all(f"http://127.0.0.1:{port}", [f"/{number}" for number in range(40)], rate=1000.0)
        server.close()
        return measured

    measured = asyncio.run(run())
    assert sorted(seen) == sorted(f"GET /{number} HTTP/1.1".encode() for number in range(40))
    assert len(measured.seconds) == 40
    assert measured.at(0.5) <= measured.at(0.99) <= measured.at(1.0) == measured.seconds[-1]

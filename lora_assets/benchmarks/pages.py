"""How fast the pages are with many crops: thumbnails per second behind a password, and one evening in Chromium.

A tracker of synthetic crops with a few distinct pictures, in a folder of its own, served by a process of its own. The
browser part needs playwright (a development dependency) and Chromium; without them only requests are measured.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageDraw

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.tracker.password import set_password
from lora_assets.vision.crops import crop_id
from lora_assets.vision.images import thumbnail_webp

TRACKER = "PAGES"
_PASSWORD = "only for this measurement"
_DATASETS = ("episode-01", "episode-02", "episode-03")
_PICTURES = 24
_BOX = (100.0, 40.0, 420.0, 680.0)
_WINDOW = (100, 40, 320, 640)
_FLAGS = ("", "blurred", "cut_body", "several_characters", "")
_CONNECTIONS = 8
_MARKS = 100
_CHROMIUM = Path("/usr/bin/chromium")
_BROWSER_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


# --- a tracker of many crops -----------------------------------------------------------------------------------------


def _picture(seed: int) -> bytes:
    """A round-headed figure on a clear ground, 256 pixels high, as a thumbnail."""
    rng = np.random.default_rng(seed)
    colour = tuple(int(v) for v in rng.integers(20, 235, 3))
    picture = Image.new("RGBA", (200, 256))
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((40, 90, 160, 250), 24, fill=(*colour, 255))
    pen.ellipse((60, 8, 140, 108), fill=(*colour, 255))
    pen.ellipse((72, 26, 128, 100), fill=(250, 222, 200, 255))
    noise = rng.integers(-12, 12, (256, 200, 4))
    noise[..., 3] = 0
    return thumbnail_webp(np.clip(np.asarray(picture).astype(int) + noise, 0, 255).astype(np.uint8))


def _crop(frame: str, detection: str, rle: bytes, score: float, flag: str) -> ScoredCrop:
    vetoed = flag == "several_characters"
    score = min(score, 0.45) if vetoed else score
    tier = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
    return ScoredCrop(
        frame, detection, crop_id(frame, _WINDOW, rle), *_WINDOW, not vetoed, tier, score, score, score, score, score,
        score, score, not vetoed, 90_000, 0.02, 1 + vetoed, 0.9, 0.0, tier == "high", [],
        [flag] if flag else [], [0.7] if flag else [], [0.5] if flag else [],
    )  # fmt: skip


def make_tracker(data: Path, crops: int) -> None:
    """Write a tracker with so many crops in three datasets; originals are not there, thumbnails are."""
    store, rng = Store(data), np.random.default_rng(0)
    pictures = [_picture(seed) for seed in range(_PICTURES)]
    write_tracker(data, TrackerSpec(TRACKER, _DATASETS, note="synthetic crops for a measurement"))
    for place, dataset in enumerate(_DATASETS):
        rows: tuple[list[Any], ...] = ([], [], [], [])
        for number in range(place, crops, len(_DATASETS)):
            frame = digest(number, "frame") * 4
            found, rle = digest(number), number.to_bytes(4, "big")
            path = f"scene {number // 60:03}/{number:05}.png"
            rows[0].append(RawFrame(path, frame, 1, 1, 1, 1280, 720, "PNG", 0.5, 0.1, 90.0, "0" * 16, None))
            rows[1].append(Detection(frame, found, "person", 0.8, *_BOX, "starter-yolo", True))
            rows[2].append(Mask(frame, found, *_WINDOW, rle, 90_000, 0.1, 0.9, 0.9))
            rows[3].append(_crop(frame, found, rle, float(rng.beta(5, 2)), _FLAGS[number % len(_FLAGS)]))
            thumb = store.picture("thumbs", rows[3][-1].crop_id, ".webp")
            atomic_write_bytes(thumb, pictures[number % _PICTURES], durable=False)
        stages = (("frames", RawFrame), ("detections", Detection), ("masks", Mask), ("scored_crops", ScoredCrop))
        for (stage, row_type), made in zip(stages, rows, strict=True):
            path = store.table_path(stage, dataset, TRACKER)
            store.publish(path, row_type, [to_table(made, row_type)], digest(stage, crops), {"stage": stage})


@dataclass(frozen=True, slots=True)
class Server:
    """The pages in a process of their own."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time that it has taken so far, by Linux' account; NaN elsewhere."""
        try:
            told = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return math.nan
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(data: Path) -> Iterator[Server]:
    """The pages over `data` as `lora-assets serve` runs them."""
    code = (
        "import sys; from pathlib import Path; from lora_assets.tracker.serve import serve_pages; "
        "serve_pages(Path(sys.argv[1]), port=0, ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(data)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip().rstrip("/"), process.pid)
        finally:
            process.terminate()


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requests:
    """Answers per second, and seconds per answer in ascending order."""

    rate: float
    seconds: tuple[float, ...]

    def at(self, share: float) -> float:
        """The time within which this share of the answers came, seconds."""
        return self.seconds[min(len(self.seconds) - 1, math.ceil(share * len(self.seconds)) - 1)]


async def _ask_all(url: str, paths: Sequence[str], rate: float | None) -> Requests:
    """Ask over a few open connections: as fast as answers come, or `rate` a second whatever the answers do."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port
    credentials = base64.b64encode(f"me:{_PASSWORD}".encode()).decode()
    heads = f"Host: {host}:{port}\r\nAuthorization: Basic {credentials}\r\n\r\n"
    waiting: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
    taken: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while (asked := await waiting.get()) is not None:
            due, path = asked
            begun = due or time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\n{heads}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                status = head.partition(b"\r\n")[0].decode()
                raise RuntimeError(f"{path} was answered {status}")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append(time.perf_counter() - begun)
        writer.close()
        await writer.wait_closed()

    async def feed() -> None:
        first = time.perf_counter()
        for number, path in enumerate(paths):
            due = first + number / rate if rate else 0.0
            # Time is counted from when a request was due, so that a stall is not hidden by waiting for it.
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            waiting.put_nowait((due, path))
        for _ in range(_CONNECTIONS):
            waiting.put_nowait(None)

    begun = time.perf_counter()
    await asyncio.gather(feed(), *(connection() for _ in range(_CONNECTIONS)))
    return Requests(len(taken) / (time.perf_counter() - begun), tuple(sorted(taken)))


def measure_requests(server: Server, crops: Sequence[str], requests: int) -> list[str]:
    """Thumbnails per second with the password on, and their times at half that rate."""
    paths = [f"/tracker/{TRACKER}/thumb/{crops[number % len(crops)]}.webp" for number in range(requests)]
    asyncio.run(_ask_all(server.url, paths[:100], None))
    begun = server.cpu_seconds()
    full = asyncio.run(_ask_all(server.url, paths, None))
    spent = server.cpu_seconds() - begun
    half = asyncio.run(_ask_all(server.url, paths, full.rate / 2))
    return [
        f"thumbnails with a password: {full.rate:.0f} per second over {_CONNECTIONS} connections "
        f"(p50 {1e3 * full.at(0.5):.1f} ms, p99 {1e3 * full.at(0.99):.1f} ms); {1e3 * spent / requests:.2f} ms of the "
        "server's processor time each",
        f"at half that rate ({full.rate / 2:.0f} per second): p50 {1e3 * half.at(0.5):.1f} ms, "
        f"p99 {1e3 * half.at(0.99):.1f} ms, longest {1e3 * half.at(1.0):.1f} ms",
    ]


# --- the browser -----------------------------------------------------------------------------------------------------

_IN_SIGHT_AND_DRAWN = """() => {
  const tiles = [...document.querySelectorAll(".tile img")].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  return tiles.length > 6 && tiles.every((image) => image.complete && image.naturalWidth > 0);
}"""
# From the key to the moment when the server has answered that the mark is on disk.
_ROUND_TRIP = """() => new Promise((done) => {
  const begun = performance.now();
  const look = new PerformanceObserver((list) => {
    if (!list.getEntries().some((entry) => entry.name.endsWith("/verdicts") && entry.startTime >= begun)) return;
    look.disconnect();
    done(performance.now() - begun);
  });
  look.observe({ type: "resource" });
  const key = { key: "g", bubbles: true };
  (document.querySelector(".tile.current") ?? document.body).dispatchEvent(new KeyboardEvent("keydown", key));
})"""


def _wait_until_drawn(page: Any) -> None:
    page.wait_for_function(_IN_SIGHT_AND_DRAWN, polling=10, timeout=60_000)


def _tab_megabytes(session: Any) -> float:
    """Heap of the tab's scripts after a collection, MiB."""
    session.send("HeapProfiler.collectGarbage")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return told["JSHeapUsedSize"] / 2**20


def measure_browser(url: str, repeats: int) -> list[str]:
    """First screen, jump to the middle, marks by key and memory, in Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ["browser: not measured, playwright is not installed"]
    if not _CHROMIUM.exists():
        return [f"browser: not measured, {_CHROMIUM} is not installed"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(_CHROMIUM), args=list(_BROWSER_ARGUMENTS))
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, http_credentials={"username": "me", "password": _PASSWORD},
            bypass_csp=True,  # playwright's own waiting evaluates text, which the pages forbid
        )  # fmt: skip
        page = context.new_page()
        empty, shown, ready, jumped = [], [], [], []
        for _ in range(repeats):
            begun = time.perf_counter()
            page.goto(f"{url}/static/0/icon.svg")
            empty.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            page.goto(f"{url}/tracker/{TRACKER}", wait_until="commit")
            _wait_until_drawn(page)
            shown.append(time.perf_counter() - begun)
            page.wait_for_selector("[role=grid] .tile")
            ready.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            _wait_until_drawn(page)
            jumped.append(time.perf_counter() - begun)
        page.keyboard.press("j")
        marks = sorted(page.evaluate(_ROUND_TRIP) for _ in range(_MARKS))
        elements = page.evaluate("document.querySelectorAll('*').length")
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        before = _tab_megabytes(session)
        page.evaluate(
            """async () => {
              for (let top = 0; top < document.body.scrollHeight; top += 2 * innerHeight) {
                scrollTo(0, top);
                await new Promise((done) => requestAnimationFrame(done));
              }
            }"""
        )
        _wait_until_drawn(page)
        after = _tab_megabytes(session)
        browser.close()
    return [
        f"first screen: {_middle(shown):.2f} s, grid ready {_middle(ready):.2f} s (middle of {repeats}; a picture "
        f"alone takes {_middle(empty):.2f} s on this machine now)",
        f"jump to the middle: {_middle(jumped):.2f} s (middle of {repeats})",
        f"mark by key until it is on disk and answered: p50 {marks[len(marks) // 2]:.0f} ms, "
        f"p95 {marks[math.ceil(0.95 * len(marks)) - 1]:.0f} ms ({len(marks)} marks)",
        f"memory of the tab's scripts: {before:.1f} MiB, after scrolling through all {after:.1f} MiB; "
        f"{elements} elements in the document",
    ]


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def measure_pages(crops: int, requests: int, repeats: int) -> list[str]:
    """All of it, over a synthetic tracker that is thrown away afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        make_tracker(data, crops)
        names = Store(data).cell_table("scored_crops", _DATASETS[0], TRACKER)
        assert names is not None
        set_password(data, _PASSWORD)
        with served(data) as server:
            lines = measure_requests(server, names.read(["crop_id"]).column("crop_id").to_pylist(), requests)
            return [f"{crops} crops", *lines, *measure_browser(server.url, repeats)]

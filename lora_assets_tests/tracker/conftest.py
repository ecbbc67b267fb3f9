"""The drawn data folder, made once; a client that speaks to an app without a socket; and one Chromium for all."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from lora_assets.tracker.app import create_app
from lora_assets_tests.tracker.browsing import ARGUMENTS, CHROMIUM, PATIENCE_MS, Server, pages_of
from lora_assets_tests.tracker.drawn_data import make_data

HOST = "http://127.0.0.1:8088"


@dataclass(frozen=True, slots=True)
class Client:
    """Asks an ASGI app as a browser would that opened the page by hand."""

    app: ASGIApp
    headers: tuple[tuple[str, str], ...] = ()

    def ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=HOST, trust_env=False) as client:
                told = {**dict(self.headers), **(headers or {})}
                return await client.request(method, url, headers=told, content=content)

        return asyncio.run(asking())

    def get(self, url: str, **headers: str) -> httpx.Response:
        return self.ask("GET", url, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, url: str, told: object) -> httpx.Response:
        """As a script of a page does."""
        headers = {"Sec-Fetch-Site": "same-origin", "X-Lora-Assets": "1", "Content-Type": "application/json"}
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        return self.ask("POST", url, headers, content)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("pages") / "data")


@pytest.fixture
def own(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(drawn, tmp_path / "data")


@pytest.fixture(scope="session")
def client(drawn: Path) -> Client:
    return Client(create_app(drawn, password_hash=None))


@pytest.fixture
def client_of() -> Callable[[Path], Client]:
    return lambda data: Client(create_app(data, password_hash=None))


@pytest.fixture(scope="session")
def _chromium() -> Iterator[tuple[Any, asyncio.AbstractEventLoop]]:
    """One browser for all tests: starting it takes longer than a test."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS, timeout=PATIENCE_MS)
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield opened, loop
        asyncio._set_running_loop(loop)
        opened.close()


@pytest.fixture
def browser(_chromium: tuple[Any, asyncio.AbstractEventLoop]) -> Iterator[Any]:
    """The browser. While a test has it, Playwright's loop is this thread's, and others of that test cannot run."""
    opened, loop = _chromium
    asyncio._set_running_loop(loop)
    yield opened
    asyncio._set_running_loop(None)


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a context of its own: `new_page(where, **options of the context)` with addresses relative to
    `where`, a data folder whose pages are served while the test runs or the address of a server.

    A page may not complain: in no error of a script, no dialog, and, but for the `expected` kinds of messages, nothing
    on the console and no answer of 400 and above.
    """
    faults: list[str] = []
    contexts: list[Any] = []
    servers: list[Server] = []

    def opening(where: Path | str, *, expected: tuple[str, ...] = (), **options: Any) -> Any:
        if isinstance(where, Path):
            servers.append(pages_of(where))
            where = servers[-1].url
        contexts.append(browser.new_context(base_url=where, **options))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        fine = ("log", *expected)
        page.on("console", lambda message: faults.append(message.text) if message.type not in fine else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        if "error" not in expected:
            page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 400 else None)
        return page

    yield opening
    # Pages look for news: one that outlives its server complains.
    for context in contexts:
        context.close()
    for server in servers:
        server.stop()
    assert faults == []

"""The drawn data folder, made once, and a client that speaks to an app without a socket."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from lora_assets.tracker.app import create_app
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

"""Pages in Chromium: how it is started, and a server under them. It tests nothing itself; fixtures are in conftest."""

from __future__ import annotations

import asyncio
import html
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import uvicorn
from starlette.types import ASGIApp

from lora_assets.tracker.app import create_app
from lora_assets.tracker.serve import open_socket

CHROMIUM = Path("/usr/bin/chromium")
# The last list counts: Playwright's own, and the two pages under the address bar, which each window would open.
_WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    # Else a processor pretends to be a GPU, which is a third of all the work.
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    f"--disable-features={_WITHOUT}",
    # Else the window, which nobody sees, draws a turning wheel 60 times a second while a page loads.
    "--force-prefers-reduced-motion",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What takes milliseconds takes a minute on a machine that others use: how long something took is no finding here.
PATIENCE_MS = 90_000


class Server:
    """The app that `make` makes, on one port of this machine, in a thread; it may go away and come back."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._listening = open_socket("127.0.0.1", 0)
        self._address: tuple[str, int] = self._listening.getsockname()
        self._start()

    def _start(self) -> None:
        config = uvicorn.Config(self._make(), log_level="critical", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing any more, without waiting for pages that are still open."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._listening.close()

    def go_away(self) -> None:
        """Refuse connections, and hold the port: another program may take one that is free."""
        self.stop()
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(self._address)

    def come_back(self) -> None:
        """Answer again on the same port, as a new process does."""
        self._listening.listen()
        self._start()

    @property
    def url(self) -> str:
        """Its address without a slash at the end."""
        return "http://{}:{}".format(*self._address)


def pages_of(data: Path) -> Server:
    """The pages of a data folder on a free port; a browser that comes before they are ready waits for them."""
    return Server(lambda: create_app(data, password_hash=None))


def first_crop(data: Path, listed: str) -> str:
    """Address of the page of the first crop that the page `listed` shows, asked without a browser."""

    async def asking() -> str:
        transport = httpx.ASGITransport(create_app(data, password_hash=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", trust_env=False) as client:
            return (await client.get(listed)).text

    found = re.search(r'href="([^"]*/crop/[^"]*)"', asyncio.run(asking()))
    assert found, f"{listed} shows no crop"
    return html.unescape(found[1])

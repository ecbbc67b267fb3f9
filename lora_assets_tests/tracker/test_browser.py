"""One evening in a browser: list, tracker, filter, large crop, toggles and keys, without a console error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from lora_assets.tracker.app import create_app
from lora_assets.tracker.serve import open_socket
from lora_assets_tests.tracker.drawn_data import TRACKER

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The pages of a data folder on a free port, while the body runs."""
    listening = open_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(data, password_hash=None), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture
def served(drawn: Path) -> Iterator[str]:
    with serving(drawn) as address:
        yield address


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
def test_an_evening_with_a_tracker(served: str):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    faults: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page(locale="ja", viewport={"width": 1280, "height": 800})
        page.on("console", lambda message: faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 400 else None)

        page.goto(served)
        page.click(f"text={TRACKER}")
        assert page.locator(".tile").count() == 12
        page.click(".tier-tile.low")
        low = page.locator(".tile").count()
        assert 0 < low < 12
        assert page.locator(".tile .tier").all_inner_texts() == ["低"] * low
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_selector(".overlay")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("[...document.images].every(i => i.hidden || (i.complete && i.naturalWidth > 0))")
        mask, box = page.locator("[data-layer=mask]"), page.locator("rect.box-own")
        assert mask.is_visible()
        page.click("[data-show=mask]")
        assert mask.is_hidden()
        assert box.is_visible()
        page.keyboard.press("o")
        assert box.is_hidden()
        first = page.url
        page.keyboard.press("ArrowRight")
        page.wait_for_url(lambda url: url != first)
        assert mask.is_hidden()
        page.keyboard.press("m")
        assert mask.is_visible()
        page.keyboard.press("Escape")
        page.wait_for_url("**tier=low**#crop-**")
        page.click("text=English")
        assert page.locator(".tier-tile.low .tier-name").inner_text() == "low"
        browser.close()
    assert faults == []

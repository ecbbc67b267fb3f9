"""The map of objects: page, data, pictures, and an evening with it in a browser."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from lora_assets.mining.making import make_tracker_mining
from lora_assets.specs import dataset_slug, tracker_path
from lora_assets.tracker.app import create_app
from lora_assets.tracker.serve import open_socket
from lora_assets_tests.tracker.drawn_data import EVIL, HALF_MADE, TRACKER
from lora_assets_tests.tracker.test_browser import ARGUMENTS, CHROMIUM


@pytest.fixture(scope="session")
def mined(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn data with its objects mined; those of the second dataset are no crops of the tracker."""
    data = tmp_path_factory.mktemp("mined") / "data"
    shutil.copytree(drawn, data)
    path = tracker_path(data, TRACKER)
    path.write_text(path.read_text() + "\n[mining]\nrare_least = 3\ncommon_share = 1.0\nrare_keywords = ['person']\n")
    (data / "tables" / "scored_crops" / TRACKER / f"{dataset_slug(EVIL)}.parquet").unlink()
    make_tracker_mining(data, TRACKER)
    return data


@pytest.fixture
def client(mined, client_of):
    return client_of(mined)


@pytest.mark.parametrize(("language", "words"), [("en", "Map of objects"), ("ja", "物体マップ"), ("zh-TW", "物件地圖")])
def test_the_page_shows_what_was_kept_and_what_is_new(client, language, words):
    answer = client.get(f"/tracker/{TRACKER}/map?lang={language}")
    assert answer.status_code == 200
    assert words in answer.text
    assert answer.text.count('data-object="') >= 12
    assert EVIL not in answer.text
    assert "<img src=x" not in answer.text
    assert "style=" not in answer.text
    picture = client.get(f"/tracker/{TRACKER}/map.png?lang={language}")
    assert picture.content[:4] == b"\x89PNG"
    assert picture.headers["cache-control"] == "private, no-store"


def test_the_data_names_crops_and_is_asked_for_once(client):
    answer = client.get(f"/api/tracker/{TRACKER}/map")
    told = json.loads(answer.content)
    count = len(told["id"])
    assert count >= 12
    columns = [
        name
        for name, value in told.items()
        if isinstance(value, list) and name not in ("labels", "datasets", "reason_names")
    ]
    assert {len(told[name]) for name in columns} == {count}
    crop = next(crop for crop in told["crop"] if crop)
    assert client.get(f"/tracker/{TRACKER}/crop/{crop}").status_code == 200
    assert client.get(f"/api/tracker/{TRACKER}/map", if_none_match=answer.headers["etag"]).status_code == 304
    thumb = client.get(f"/tracker/{TRACKER}/object/{told['id'][0]}.webp")
    assert thumb.headers["content-type"] == "image/webp"
    assert thumb.content[:4] == b"RIFF"


def test_what_is_not_there_is_told(client):
    page = client.get(f"/tracker/{HALF_MADE}/map")
    assert page.status_code == 200
    assert f"lora-assets mine --tracker {HALF_MADE}" in page.text
    assert client.get(f"/api/tracker/{HALF_MADE}/map").status_code == 404
    assert client.get(f"/tracker/{HALF_MADE}/map.png").status_code == 404
    assert client.get("/tracker/NOBODY/map").status_code == 404
    assert client.get(f"/tracker/{TRACKER}/object/{'0' * 16}.webp").status_code == 404
    assert client.get(f"/tracker/{TRACKER}/object/..%2f..%2fx.webp").status_code == 404


@pytest.fixture
def served(mined: Path) -> Iterator[str]:
    listening = open_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(mined, password_hash=None), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
def test_the_map_by_keyboard_and_by_mouse(served: str):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    faults: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page(locale="ja", viewport={"width": 1280, "height": 900}, color_scheme="dark")
        page.on("console", lambda message: faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"{served}/tracker/{TRACKER}/map")
        box = page.locator("[data-map-object]")
        page.wait_for_selector("[data-map-object] p")
        painted = (
            "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 900, 500).data.some((v) => v > 0)"
        )
        assert page.evaluate(painted)
        page.focus("canvas")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("[data-map-object] img")
        first = box.inner_text()
        page.keyboard.press("n")
        assert box.inner_text() != first
        page.select_option("[data-map-show]", "target")
        page.fill("[data-map-search]", "no such thing")
        assert page.locator("[data-map-count]").inner_text().endswith("0 件")
        page.fill("[data-map-search]", "")
        page.select_option("[data-map-show]", "all")
        page.select_option("[data-map-colour]", "forest")
        page.click("[data-map-zoom=in]")
        page.focus("canvas")
        page.keyboard.press("n")
        while "切り抜きを開く" not in box.inner_text():
            page.keyboard.press("n")
        page.keyboard.press("Enter")
        page.wait_for_url("**/crop/**")
        page.go_back()
        page.wait_for_selector("[data-map-object] p")
        page.click(".objects a[href*='/crop/'] >> nth=0")
        page.wait_for_url("**/crop/**")
        page.go_back()
        page.wait_for_selector("[data-map-object] p")
        page.click(".objects a[href*='/frame/'] >> nth=0")
        page.wait_for_selector("dialog[open] svg[viewBox='0 0 320 180']")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        browser.close()
    assert faults == []

"""The map of objects: page, data, pictures, and an evening with it in a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_assets.mining.making import make_tracker_mining
from lora_assets.specs import dataset_slug, tracker_path
from lora_assets_tests.tracker.drawn_data import EVIL, HALF_MADE, TRACKER


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


@pytest.mark.browser
def test_the_map_by_keyboard_and_by_mouse(mined: Path, new_page: Callable[..., Any]):
    page = new_page(mined, locale="ja", viewport={"width": 1280, "height": 900}, color_scheme="dark")
    box = page.locator("[data-map-object]")
    another = "old => document.querySelector('[data-map-object] img').getAttribute('src') !== old"
    page.goto(f"/tracker/{TRACKER}/map")
    page.wait_for_selector("[data-map-object] p")
    page.wait_for_function(
        "() => document.querySelector('canvas').getContext('2d').getImageData(0, 0, 900, 500).data.some((v) => v > 0)"
    )
    page.focus("canvas")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-map-object] img")
    first = box.locator("img").get_attribute("src")
    page.keyboard.press("n")
    page.wait_for_function(another, arg=first)
    page.select_option("[data-map-show]", "target")
    page.fill("[data-map-search]", "no such thing")
    page.wait_for_selector("[data-map-count] >> text=/(^|\\s)0 件$/")
    page.fill("[data-map-search]", "")
    page.select_option("[data-map-show]", "all")
    page.select_option("[data-map-colour]", "forest")
    page.click("[data-map-zoom=in]")
    page.focus("canvas")
    page.keyboard.press("n")
    page.wait_for_selector("[data-map-object] img")
    for _ in range(100):
        if "切り抜きを開く" in box.inner_text():
            break
        shown = box.locator("img").get_attribute("src")
        page.keyboard.press("n")
        page.wait_for_function(another, arg=shown)
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
    page.locator("dialog[open]").wait_for(state="detached")

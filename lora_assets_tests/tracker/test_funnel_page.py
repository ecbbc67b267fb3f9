"""The page of a tracker's dataset."""

from __future__ import annotations

import re

import pytest

from lora_assets.curation.groups import make_groups
from lora_assets.curation.making import make_curated
from lora_assets.curation.reasons import FUNNEL
from lora_assets.curation.settings import CurateSettings
from lora_assets.identity.making import make_characters
from lora_assets.identity.registry import rename_character
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store
from lora_assets.tracker.funnel_page import dataset_page, funnel_bars
from lora_assets_tests.curation.dolls import TRACKER, little_film, write_dolls


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    data = tmp_path_factory.mktemp("dataset") / "data"
    write_dolls(data, little_film())
    write_tracker(data, TrackerSpec(TRACKER, ("film",)))
    store = Store(data)
    make_groups(store, TRACKER)
    make_characters(store, TRACKER)
    rename_character(data, "ch-0001", "<b>ハル</b>")
    make_characters(store, TRACKER)
    make_curated(store, TRACKER, CurateSettings(target=10, framing_shares=(0.5, 0.5, 0.0, 0.0)))
    return data


@pytest.mark.parametrize("language", ["en", "ja", "zh-TW"])
def test_it_shows_funnel_coverage_and_reasons(chosen, client_of, language):
    answer = client_of(chosen).get(f"/tracker/{TRACKER}/dataset?lang={language}")
    assert answer.status_code == 200
    assert answer.text.count('<rect class="bar-') == len(FUNNEL)
    assert answer.text.count('class="dataset-tile"') == 10
    assert "&lt;b&gt;ハル&lt;/b&gt;" in answer.text
    assert "<b>ハル" not in answer.text
    assert not re.findall(r">(?:reason|ready|funnel|framing)\.[a-z_]+<", answer.text)
    assert "style=" not in answer.text


def test_a_reason_shows_its_crops(chosen, client_of):
    client = client_of(chosen)
    answer = client.get(f"/tracker/{TRACKER}/dataset?reason=nothing_new")
    assert 'aria-current="true"' in answer.text
    (thumb, *_) = re.findall(r'src="(/tracker/[^"]+\.webp)"', answer.text)
    assert client.get(thumb).headers["content-type"] == "image/webp"
    assert client.get(f"/tracker/{TRACKER}/dataset?reason=<script>").text.count('class="dataset-tile"') == 10


def test_the_report_as_data(chosen, client_of):
    told = client_of(chosen).get(f"/api/tracker/{TRACKER}/dataset").json()
    assert told["report"]["funnel"]["chosen"] == 10
    assert client_of(chosen).get("/api/tracker/NOBODY/dataset").status_code == 404


def test_before_a_dataset_is_chosen_it_says_how(tmp_path, client_of):
    write_tracker(tmp_path, TrackerSpec("EMPTY", ("film",)))
    answer = client_of(tmp_path).get("/tracker/EMPTY/dataset")
    assert answer.status_code == 200
    assert "lora-assets curate EMPTY" in answer.text
    assert client_of(tmp_path).get("/api/tracker/EMPTY/dataset").json()["report"] is None
    assert dataset_page(Store(tmp_path), TrackerSpec("EMPTY"), {}).report is None


def test_bars_are_never_wider_than_the_picture():
    for counts in ((0,) * len(FUNNEL), (1, 10**6, 500, 3, 2, 1)):
        funnel: dict[str, int] = dict(zip(FUNNEL, counts, strict=True))
        bars = funnel_bars(funnel)
        assert all(1 <= bar.length <= 440 for bar in bars)
        assert bars[0].share is None
        assert bars[-1].outline == ""


@pytest.mark.browser
def test_no_name_of_the_funnel_is_cut(chosen, new_page):
    page = new_page(chosen, viewport={"width": 1280, "height": 900})
    for language in ("en", "ja", "zh-TW"):
        page.goto(f"/tracker/{TRACKER}/dataset?lang={language}")
        room = page.locator(".funnel").bounding_box()
        assert room is not None
        for box in (text.bounding_box() for text in page.locator(".funnel text").all()):
            assert box is not None
            assert room["x"] < box["x"]
            assert box["x"] + box["width"] < room["x"] + room["width"]

"""The page of two trackers side by side: what it shows, filters, paging, faults, and its keys in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lora_assets.comparing import compare_trackers
from lora_assets.comparing.causes import HOWS
from lora_assets.comparing.changes import KINDS, STAGES
from lora_assets.comparing.tracing import CHANGES
from lora_assets.store import Store
from lora_assets.tracker import compare_page as pages
from lora_assets.tracker.app import create_app
from lora_assets.tracker.compare_page import ChoosePage, ComparePage, compare_page
from lora_assets.tracker.language import LANGUAGES, read_labels
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.comparing.cells import Crop, publish, sha
from lora_assets_tests.tracker.compared_data import AFTER, ALONE, BEFORE, make_compared
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.test_pages import names_of_page

URL = f"/compare/{BEFORE}/{AFTER}"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_compared(tmp_path_factory.mktemp("compared") / "data")


@pytest.fixture(scope="module")
def client(compared: Path) -> Client:
    return Client(create_app(compared, password_hash=None))


@pytest.mark.parametrize(
    ("record", "templates"), [(ComparePage, ("compare.html",)), (ChoosePage, ("compare_choose.html",))]
)
def test_a_page_shows_every_field_of_its_record_and_no_other(record: type, templates: tuple[str, ...]):
    assert names_of_page(*templates) == {field.name for field in fields(record)}


def test_every_value_has_a_word_in_every_language():
    for code in LANGUAGES:
        words = read_labels(code).words
        for group, names in (
            ("compare_change", CHANGES), ("compare_what", CHANGES), ("compare_stage", STAGES),
            ("compare_how", [how for how in HOWS if how]),
            ("compare_kind", [kind for kind in KINDS if kind not in ("setting", "content")]),
            ("compare_content", ("bytes", "removed", "added", "quarantined", "unreadable")),
            ("compare_skipped", ("absent", "not_made", "nothing")),
        ):  # fmt: skip
            assert [name for name in names if f"{group}.{name}" not in words] == [], (code, group)


def test_the_page_shows_counts_causes_and_pairs(client: Client):
    page = client.get(URL)
    assert page.status_code == 200
    text = page.text
    assert re.findall(r'change-name">(\w+)</span>\s*<b>(\d+)</b>', text) == [
        ("worse", "6"), ("gone", "3"), ("new", "0"), ("better", "0"), ("same", "3"),
    ]  # fmt: skip
    assert text.count('class="pair-tile') == 9
    assert "2 changes together" in text
    assert "<code>conf</code>" in text
    assert "body cut off" in text
    for tracker in (BEFORE, AFTER):
        assert f'href="/tracker/{tracker}/crop/' in text
        assert f'src="/tracker/{tracker}/thumb/' in text
    assert f"partition={AFTER}&amp;view=checks&amp;checkDetail=not_worse_than_baseline" in text


def test_a_tracker_whose_file_is_damaged_is_told_as_that(data: Path):
    for tracker in ("A", "B"):
        publish(data, tracker, [Crop(1)])
    (data / "trackers" / "B.toml").write_text("note = [")
    client = Client(create_app(data, password_hash=None))
    for url in ("/compare/A/B", "/api/compare/B/A"):
        answer = client.get(url)
        assert (answer.status_code, "B.toml cannot be read as TOML" in answer.text) == (500, True)
        assert "There is no such tracker" not in answer.text
    assert client.get("/compare/A/NOPE").status_code == 404
    chooser = client.get("/compare?after=B")
    assert (chooser.status_code, "<option selected>B</option>" in chooser.text) == (200, True)


def test_every_picture_and_crop_page_that_it_names_is_there(client: Client):
    text = client.get(URL).text
    named = set(re.findall(r'src="(/tracker/[^"]+)"', text)) | set(re.findall(r'class="half" href="([^"]+)"', text))
    assert len(named) > 9
    for url in sorted(named)[::4]:
        assert client.get(url.replace("&amp;", "&")).status_code == 200, url


@pytest.mark.parametrize(("language", "word"), [("ja", "悪化"), ("zh-TW", "變差"), ("en", "worse")])
def test_it_speaks_the_visitors_language(client: Client, language: str, word: str):
    assert f'change-name">{word}</span>' in client.get(URL, accept_language=language).text


def test_filters_are_in_the_address(client: Client, compared: Path):
    found = compare_trackers(Store(compared), BEFORE, AFTER)
    page = compare_page(found, {}, "http://dagster")
    assert page.matching == 9
    for link in page.changes:
        shown = client.get(link.url).text
        assert shown.count('class="pair-tile') == link.count
    for line in page.causes:
        shown = client.get(line.url)
        assert shown.text.count('class="pair-tile') == sum(count for _, count in line.counts)
        assert 'aria-current="true"' in shown.text
    strange = client.get(f"{URL}?change=x&cause=%22%3E&page=99999999999&dataset=..")
    assert strange.status_code == 200
    assert strange.text.count('class="pair-tile') == 9


def test_pages_hold_a_part_each(compared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pages, "PAGE_SIZE", 4)
    monkeypatch.setattr(pages, "page_count", lambda items: max(1, -(-items // 4)))
    found = compare_trackers(Store(compared), BEFORE, AFTER)
    seen = [pair.key for number in ("1", "2", "3") for pair in compare_page(found, {"page": number}, "").pairs]
    assert len(set(seen)) == 9
    last = compare_page(found, {"page": "77", "change": "worse"}, "")
    assert (last.page, last.pages, last.first, last.last, last.next_url) == (2, 2, 5, 6, "")
    assert last.previous_url == f"{URL}?change=worse"


def test_the_json_is_that_of_the_command_with_an_etag(client: Client):
    answer = client.get(f"/api{URL}?limit=2&change=gone")
    told = json.loads(answer.text)
    assert (told["matching"], len(told["crops"])) == (3, 2)
    assert told["causes"][0]["text"].startswith("2 changes of detection: conf 0.25 -> 0.4")
    assert "no-store" in answer.headers["cache-control"]
    again = client.get(f"/api{URL}?limit=2&change=gone", if_none_match=answer.headers["etag"])
    assert again.status_code == 304
    assert client.get(f"/api{URL}?limit=-1").status_code == 422


def test_a_verdict_is_seen_at_once(compared: Path, client_of):
    client = client_of(compared)
    crop = json.loads(client.get(f"/api{URL}?limit=1").text)["crops"][0]
    assert crop["before"]["verdict"] == ""
    with open_log(compared) as log:
        told = crop["before"]
        box = tuple(told["box"])
        log.append(Mark(BEFORE, "film", told["frame_sha256"], box, told["crop_id"], "bad", "one"))
    crops = json.loads(client.get(f"/api{URL}?change=better").text)["crops"]
    assert [one["after"]["verdict"] for one in crops] == ["bad"]
    assert "verdict-bad" in client.get(f"{URL}?change=better").text
    with open_log(compared) as log:
        log.undo(crop["before"]["crop_id"], "two")


def test_trackers_that_share_nothing_say_so(client: Client):
    page = client.get(f"/compare/{BEFORE}/{ALONE}")
    assert page.status_code == 200
    assert "share no dataset" in page.text
    assert f"{ALONE} does not have this dataset" in page.text


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/compare/NO/QI-002", 404),
        ("/compare/QI-001/NO", 404),
        ("/compare/..%2F..%2Fx/QI-001", 404),
        ("/api/compare/QI-001/NO", 404),
        ("/compare/QI-001", 404),
    ],
)
def test_what_is_not_there_is_told(client: Client, url: str, status: int):
    assert client.get(url).status_code == status


def test_a_damaged_table_is_told(tmp_path: Path, client_of):
    data = tmp_path / "data"
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1)])
    store.table_path("masks", "film", "B").write_bytes(b"PAR1 nothing")
    page = client_of(data).get("/compare/A/B")
    assert page.status_code == 500
    assert "masks/B/film.parquet is damaged" in page.text


def test_names_are_shown_as_text(tmp_path: Path, client_of):
    data, evil = tmp_path / "data", '"><script>alert(1)</script>'
    publish(data, "A", [Crop(1)], [(evil, 1)])
    publish(data, "B", [Crop(1, score=0.1, flags=((evil, 0.2, 0.3),))], [(evil, 1)])
    text = client_of(data).get("/compare/A/B").text
    assert sha(1)
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_the_choice_of_trackers(client: Client):
    page = client.get(f"/compare?after={AFTER}").text
    assert f"<option selected>{BEFORE}</option>" in page
    assert f"<option selected>{AFTER}</option>" in page
    sent = client.get(f"/compare?before={BEFORE}&after={AFTER}&go=1")
    assert (sent.status_code, sent.headers["location"]) == (303, URL)
    assert client.get("/compare?before=..%2F&after=%3Cb%3E&go=1").status_code == 200


def test_a_tracker_page_leads_to_its_comparisons(client: Client):
    text = client.get(f"/tracker/{AFTER}").text
    assert f'href="{URL}"' in text
    assert f'href="/compare?after={AFTER}"' in text


@pytest.mark.browser
def test_an_evening_of_comparing(compared: Path, new_page: Callable[..., Any]):
    page = new_page(compared, locale="ja", viewport={"width": 1280, "height": 800})
    focused = "() => document.activeElement === document.querySelector('.pair-tile')"
    page.goto(URL)
    page.wait_for_selector("[data-key-help]:not([hidden])")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.wait_for_function(focused)
    page.click(".change-tile.change-gone")
    page.wait_for_url("**change=gone**")
    page.wait_for_selector("[data-key-help]:not([hidden])")
    assert page.locator(".pair-tile").count() == 3
    page.keyboard.press("?")
    page.locator("#key-help").wait_for(state="visible")
    page.keyboard.press("?")
    page.locator("#key-help").wait_for(state="hidden")
    page.keyboard.press("j")
    page.wait_for_function(focused)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tracker/{BEFORE}/crop/**")
    page.go_back()
    page.wait_for_url("**change=gone**")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("() => innerWidth === 390 && document.documentElement.scrollWidth === 390")

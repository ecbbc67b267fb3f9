"""Judging in a browser: keys, steps without reloading, what is shown, notes, and a tab beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_assets.verdicts import open_log
from lora_assets.verdicts.record import NOTE_LIMIT
from lora_assets_tests.tracker.browsing import first_crop
from lora_assets_tests.tracker.drawn_data import TRACKER

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def worst(drawn: Path) -> str:
    """Address of the worst crop; asked before the browser's loop is this thread's."""
    return first_crop(drawn, f"/tracker/{TRACKER}?sort=worst")


@pytest.fixture
def page(worst: str, new_page: Callable[..., Any], own: Path) -> Any:
    """The page of the worst crop of a data folder of its own, in a context that may not complain."""
    page = new_page(own, locale="en", viewport={"width": 1280, "height": 800})
    page.goto(worst)
    ready(page)
    return page


def ready(page: Any) -> None:
    """Wait until the page's script has begun."""
    page.wait_for_selector("[data-judging]:not([hidden])")


def crop_of(page: Any) -> str:
    return page.get_attribute("#crop", "data-crop")


def went_from(page: Any, crop: str) -> str:
    page.wait_for_function("old => document.querySelector('#crop').dataset.crop !== old", arg=crop)
    return crop_of(page)


def words_of(data: Path) -> dict[str, str]:
    with open_log(data) as log:
        return {crop: verdict.value for crop, verdict in log.current().items()}


def saved(page: Any) -> None:
    """Wait until nothing is left to be saved."""
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('lora_assets.waiting'))")


def test_judging_goes_on_by_itself_and_back_again(page: Any, own: Path):
    page.evaluate("window.opened = true")
    seen = [crop_of(page)]
    for key in ("g", "b", "x"):
        page.keyboard.press(key)
        seen.append(went_from(page, seen[-1]))
    saved(page)
    said = words_of(own)
    assert [said[crop] for crop in seen[:3]] == ["good", "bad", "exclude"]
    assert seen[3] not in said
    assert page.evaluate("window.opened"), "stepping does not load a page"
    page.keyboard.press("u")
    assert went_from(page, seen[3]) == seen[2], "an undo leads to what it takes back"
    saved(page)
    assert seen[2] not in words_of(own)
    page.keyboard.press("k")
    assert went_from(page, seen[2]) == seen[1]
    assert page.get_attribute(".mark-bad", "aria-pressed") == "true"
    page.keyboard.press("n")
    assert went_from(page, seen[1]) == seen[2]
    page.keyboard.press("j")
    went_from(page, seen[2])
    page.go_back()
    assert went_from(page, seen[3]) == seen[2]
    assert page.url.split("/crop/")[1].startswith(seen[2])
    page.reload()
    ready(page)
    assert crop_of(page) == seen[2]


def test_stars_and_a_note_are_kept_and_typing_is_no_judging(page: Any, own: Path):
    first = crop_of(page)
    page.keyboard.press("4")
    page.wait_for_selector("[data-star='4'][aria-pressed=true]")
    assert page.locator("[data-star][aria-pressed=true]").count() == 4
    page.keyboard.press("t")
    page.keyboard.type("gbx jk <b>手</b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#history .said-note")
    assert crop_of(page) == first
    saved(page)
    with open_log(own) as log:
        last = log.history(first)[-1]
    assert (last.value, last.mark.stars, last.mark.note) == ("cleared", 4, "gbx jk <b>手</b>")
    assert page.inner_text("#history .said-note") == "gbx jk <b>手</b>"
    page.keyboard.press("t")
    page.keyboard.type(" more")
    page.keyboard.press("Escape")
    assert page.input_value("[data-note]") == "gbx jk <b>手</b>"
    assert "/crop/" in page.url, "Escape leaves the field, not the page"


def test_what_is_shown_stays_over_steps(page: Any):
    assert page.locator("[data-layer=mask]").is_visible()
    page.keyboard.press("m")
    page.keyboard.press("o")
    page.keyboard.press("v")
    assert page.locator("[data-layer=mask]").is_hidden()
    assert page.locator("[data-layer=box]").is_hidden()
    assert page.get_attribute("#viewer", "data-ground") == "white"
    first = crop_of(page)
    page.keyboard.press("j")
    went_from(page, first)
    assert page.get_attribute("#viewer", "data-ground") == "white"
    assert page.locator("[data-layer=mask]").is_hidden()
    page.click("[data-show=mask]")
    assert page.locator("[data-layer=mask]").is_visible()
    page.keyboard.down("\\")
    page.wait_for_selector(".showing-before [data-before-picture]:not([hidden])")
    assert page.locator("[data-picture]").is_hidden()
    page.keyboard.up("\\")
    assert page.locator("[data-picture]").is_visible()
    page.keyboard.press("z")
    shown = page.evaluate("(({width}) => [width, document.querySelector('[data-picture]').getAttribute('width')])"
                          "(document.querySelector('[data-picture]').getBoundingClientRect())")  # fmt: skip
    assert round(shown[0]) == int(shown[1])
    page.keyboard.press("z")
    page.keyboard.press("?")
    assert page.locator("#key-help[open] kbd").count() > 15
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"sort=worst.*#crop-"))


def test_the_next_pictures_are_there_before_one_steps(page: Any):
    following = page.get_attribute("#crop", "data-next")
    # The network is idle before the script has begun as well: what counts is that the next picture came.
    part = f"/cutout/{following.split('/crop/')[1].split('?')[0]}"
    loads = "(part) => performance.getEntriesByType('resource').filter((one) => one.name.includes(part) && %s).length"
    page.wait_for_function(loads % "one.responseEnd", arg=part)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url.endswith(following))
    page.wait_for_function("() => document.querySelector('[data-picture]').complete")
    assert [url for url in asked if f"/crop/{crop_of(page)}" in url] == []
    # A browser short of memory may take it from its disk, which it calls a request too: nothing came over the wire.
    assert page.evaluate(loads % "one.transferSize > 0", part) == 1


def test_two_tabs_agree(page: Any):
    other = page.context.new_page()
    other.goto(page.url)
    ready(other)
    page.keyboard.press("a")
    page.keyboard.press("b")
    other.wait_for_selector(".mark-bad[aria-pressed=true]")
    assert crop_of(page) == crop_of(other), "going on was switched off"


def test_a_second_key_clears_the_word_and_keeps_stars_and_note(page: Any, own: Path):
    crop = crop_of(page)
    page.keyboard.press("a")
    page.keyboard.press("4")
    page.fill("[data-note]", "seam at the left sleeve")
    page.press("[data-note]", "Enter")
    page.keyboard.press("g")
    page.wait_for_selector(".mark-good[aria-pressed=true]")
    page.keyboard.press("g")
    page.wait_for_selector(".mark-good[aria-pressed=false]")
    saved(page)
    with open_log(own) as log:
        last = log.history(crop)[-1]
    assert (last.value, last.mark.stars, last.mark.note) == ("cleared", 4, "seam at the left sleeve")
    page.keyboard.press("0")
    saved(page)
    with open_log(own) as log:
        last = log.history(crop)[-1]
    assert (last.value, last.mark.stars, last.mark.note) == ("cleared", None, "")


def test_a_zoomed_picture_is_moved_by_arrows(page: Any):
    first = crop_of(page)
    stage = page.locator("[data-stage=frame]")
    assert stage.get_attribute("tabindex") == "-1"
    page.keyboard.press("z")
    assert stage.get_attribute("tabindex") == "0"
    stage.focus()
    # The drawn frames are smaller than a stage.
    stage.evaluate("stage => { stage.style.width = stage.style.height = '60px'; stage.scrollTo(0, 0); }")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "() => { const s = document.querySelector('[data-stage=frame]'); return s.scrollLeft + s.scrollTop > 0; }"
    )
    assert crop_of(page) == first
    page.keyboard.press("z")
    page.keyboard.press("ArrowRight")
    went_from(page, first)


def test_no_word_of_a_note_is_lost(page: Any, own: Path):
    first = crop_of(page)
    note = page.locator("[data-note]")
    assert note.get_attribute("data-limit") == str(NOTE_LIMIT)
    page.keyboard.press("t")
    note.fill("手" * (NOTE_LIMIT + 1))
    page.wait_for_selector("[data-note-count] >> text=4,001 of at most 4,000")
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    second = went_from(page, first)
    assert words_of(own) == {}
    page.keyboard.press("t")
    page.keyboard.type("half a th")
    page.go_back()
    assert went_from(page, second) == first
    assert len(note.input_value()) == NOTE_LIMIT + 1
    page.go_forward()
    went_from(page, first)
    assert note.input_value() == "half a th"
    page.keyboard.press("t")
    page.keyboard.press("Enter")
    saved(page)
    with open_log(own) as log:
        assert [verdict.mark.note for verdict in log.history(second)] == ["half a th"]
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('lora_assets.note')).length") == 1

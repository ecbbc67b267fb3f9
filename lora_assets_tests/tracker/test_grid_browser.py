"""The grid in a browser: keys, selection, folding, two tabs, a server that goes away, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lora_assets.store import Store
from lora_assets.tables import CropGroup, to_table
from lora_assets.verdicts import open_log
from lora_assets.verdicts.log import log_path
from lora_assets_tests.tracker.browsing import PATIENCE_MS, Server, pages_of
from lora_assets_tests.tracker.drawn_data import TRACKER

pytestmark = pytest.mark.browser
PAGE = f"/tracker/{TRACKER}"


@pytest.fixture
def server(own: Path) -> Iterator[Server]:
    made = pages_of(own)
    yield made
    made.stop()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens pages as tabs of one browser, which share what they keep."""
    context = browser.new_context(base_url=server.url, locale="en", viewport={"width": 1100, "height": 700})
    context.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))

    def opening(path: str = PAGE) -> Any:
        page = context.new_page()
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.goto(path)
        page.wait_for_selector("[role=grid] .tile")
        return page

    yield opening
    for page in context.pages:
        page.unroute_all(behavior="ignoreErrors")  # a request may be under way
    context.unroute_all(behavior="ignoreErrors")
    context.close()
    assert faults == []


def said(page: Any) -> list[str]:
    """The verdicts on the tiles, in order."""
    return page.eval_on_selector_all("[role=grid] .tile", "tiles => tiles.map(tile => tile.dataset.verdict)")


def rows_of(own: Path) -> list[str]:
    if not log_path(own).exists():
        return []
    with open_log(own) as log:
        return [verdict.value for verdict in log.history()]


def saved(page: Any, own: Path, count: int) -> None:
    """Wait until the log has so many rows and the page knows it."""
    playwright = pytest.importorskip("playwright.sync_api")
    for _ in range(1200):
        if len(rows_of(own)) == count and not page.evaluate(
            "Object.keys(localStorage).filter(k => /waiting/.test(k)).length"
        ):
            return
        page.wait_for_timeout(50)
    raise playwright.TimeoutError(f"{len(rows_of(own))} rows instead of {count}")


def try_now(page: Any) -> None:
    """Press the button of the message, unless the page was faster and has tried, and saved, by itself."""
    page.evaluate("() => document.querySelector('.message.warn button')?.click()")


def test_an_evening_by_keys_alone(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    for key in "jgbx3":
        page.keyboard.press(key)
    saved(page, own, 4)
    page.keyboard.press("u")
    page.wait_for_selector(".message.toast >> text=Taken back.")
    saved(page, own, 5)
    assert said(page)[:4] == ["good", "bad", "exclude", ""]
    assert page.locator(".tile.current").get_attribute("data-place") == "3"
    assert page.locator("[data-verdict-count=none]").inner_text() == "9"
    page.keyboard.press("k")
    page.keyboard.press("0")
    saved(page, own, 6)
    assert said(page)[2] == ""
    page.keyboard.press("Home")
    page.keyboard.press("n")
    assert page.locator(".tile.current").get_attribute("data-place") == "2"
    page.uncheck("[data-advance]")
    page.keyboard.press("g")
    assert page.locator(".tile.current").get_attribute("data-place") == "2"
    saved(page, own, 7)
    page.keyboard.press("?")
    page.locator("#key-help").wait_for(state="visible")
    page.keyboard.press("b")
    page.keyboard.press("Escape")
    page.locator("#key-help").wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.wait_for_url("**/crop/**")
    page.go_back()
    page.wait_for_selector("[role=grid] .tile.current")
    assert page.evaluate("document.activeElement.dataset.place") == "2"
    assert rows_of(own) == ["good", "bad", "exclude", "cleared", "cleared", "cleared", "good"]


def test_many_are_selected_marked_at_once_and_undone_after_a_reload(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    page.keyboard.press("a")
    assert page.locator("[aria-selected=true]").count() == 12
    page.keyboard.press("Escape")
    page.locator(".tile a").nth(1).click(modifiers=["Control"])
    page.locator(".tile a").nth(4).click(modifiers=["Shift"])
    assert page.locator("[data-told]").inner_text() == "4 selected"
    page.click(".actions .mark-bad")
    saved(page, own, 4)
    assert said(page)[:6] == ["", "bad", "bad", "bad", "bad", ""]
    assert page.locator("[aria-selected=true]").count() == 0
    page.reload()
    page.wait_for_selector("[role=grid] .tile[data-verdict=bad]")
    page.keyboard.press("u")
    saved(page, own, 8)
    page.wait_for_function("() => !document.querySelector('[data-verdict=bad]')")
    page.keyboard.press("u")
    page.wait_for_selector("text=Nothing is left to undo")


def test_typing_and_input_methods_mark_nothing(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    page.keyboard.press("j")
    page.evaluate("""() => {
        const tile = document.activeElement;
        for (const extra of [{isComposing: true}, {keyCode: 229}, {ctrlKey: true}, {altKey: true}, {metaKey: true}])
            tile.dispatchEvent(new KeyboardEvent("keydown", {key: "g", bubbles: true, ...extra}));
        const note = document.body.appendChild(document.createElement("textarea"));
        note.focus();
    }""")
    page.keyboard.type("good bad 123 u")
    page.keyboard.press("Tab")
    page.wait_for_timeout(100)
    assert rows_of(own) == []
    assert set(said(page)) == {""}


def test_two_tabs_agree(own: Path, open_page: Callable[..., Any]):
    first, second = open_page(), open_page(PAGE + "?sort=worst")
    first.bring_to_front()
    first.keyboard.press("j")
    crop = first.locator(".tile.current").get_attribute("data-crop")
    first.keyboard.press("b")
    saved(first, own, 1)
    second.wait_for_selector(f".tile[data-crop='{crop}'][data-verdict=bad]")
    second.bring_to_front()
    second.locator(f".tile[data-crop='{crop}']").focus()
    second.keyboard.press("g")
    first.wait_for_selector(f".tile[data-crop='{crop}'][data-verdict=good]")
    saved(second, own, 2)


def test_a_server_that_goes_away_costs_no_mark(own: Path, server: Server, open_page: Callable[..., Any]):
    page = open_page()
    server.go_away()
    page.keyboard.press("j")
    for key in "ggb":
        page.keyboard.press(key)
    page.wait_for_selector(".message.warn >> text=not saved yet")
    assert said(page)[:3] == ["good", "good", "bad"]
    assert len(page.evaluate("Object.keys(localStorage).filter(k => /waiting/.test(k))")) == 3
    page.keyboard.press("u")
    assert said(page)[2] == ""
    assert rows_of(own) == []
    server.come_back()
    try_now(page)
    saved(page, own, 2)
    page.wait_for_selector(".message.warn", state="detached")
    assert said(page)[:3] == ["good", "good", ""]


def test_what_waits_is_sent_after_the_page_was_closed(own: Path, server: Server, open_page: Callable[..., Any]):
    page = open_page()
    page.route("**/verdicts", lambda route: route.fulfill(status=507, body=json.dumps({"error": "the disk is full"})))
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.wait_for_selector(".message.warn >> text=the disk is full")
    page.close()
    assert rows_of(own) == []
    again = open_page()
    saved(again, own, 1)
    assert said(again)[0] == "exclude"


def parked(page: Any) -> list[dict[str, Any]]:
    """The marks that the server refused, as the browser keeps them."""
    return page.evaluate("""() => Object.keys(localStorage).filter(key => key.startsWith("lora_assets.refused"))
        .flatMap(key => JSON.parse(localStorage.getItem(key)).marks)""")


def test_a_refused_mark_is_told_taken_off_the_tile_and_kept(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    page.route("**/verdicts", lambda route: route.fulfill(status=422, body=json.dumps({"error": "too <b>long</b>"})))
    page.keyboard.press("j")
    page.keyboard.press("g")
    page.wait_for_selector(".message.warn >> text=too <b>long</b>")
    page.wait_for_function("() => !document.querySelector('[data-verdict=good]')")
    assert not page.evaluate("Object.keys(localStorage).filter(k => /waiting/.test(k)).length")
    page.unroute("**/verdicts")
    page.keyboard.press("b")
    saved(page, own, 1)
    page.reload()
    page.wait_for_selector(".message.warn >> text=1 not taken: too <b>long</b>")
    page.click("text=Send again")
    saved(page, own, 2)
    page.wait_for_selector(".message.warn", state="detached")
    assert parked(page) == []
    assert said(page)[:2] == ["good", "bad"]


def test_one_vanished_crop_costs_the_others_nothing(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    gone = page.locator(".tile").nth(2).get_attribute("data-crop")

    def without_the_gone(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        told = route.request.post_data_json
        kept = [mark for mark in told["marks"] if mark["crop"] != gone]
        answer = route.fetch(post_data=json.dumps({**told, "marks": kept}))
        refused = {gone: "this tracker has no such crop"} if len(kept) < len(told["marks"]) else {}
        return route.fulfill(response=answer, json={**answer.json(), "refused": refused})

    page.route("**/verdicts*", without_the_gone)
    page.keyboard.press("a")
    page.keyboard.press("g")
    saved(page, own, 11)
    page.wait_for_selector(".message.warn >> text=this tracker has no such crop")
    assert said(page) == ["good", "good", "", *["good"] * 9]
    assert parked(page) == [{"crop": gone, "value": "good"}]
    page.click("text=Drop")
    page.wait_for_selector(".message.warn", state="detached")
    assert parked(page) == []


def test_what_is_too_large_is_sent_in_halves_and_undone_as_one(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    sizes: list[int] = []

    def small_ones_only(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        sizes.append(len(route.request.post_data_json["marks"]))
        return route.fulfill(status=413, json={"error": "too large"}) if sizes[-1] > 3 else route.continue_()

    page.route("**/verdicts", small_ones_only)
    page.keyboard.press("a")
    page.keyboard.press("x")
    saved(page, own, 12)
    assert sizes == [12, 6, 3, 3, 6, 3, 3]
    assert parked(page) == []
    page.keyboard.press("u")
    saved(page, own, 24)
    page.wait_for_function("() => !document.querySelector('[data-verdict=exclude]')")


def test_what_is_not_saved_yet_looks_so(own: Path, open_page: Callable[..., Any]):
    playwright = pytest.importorskip("playwright.sync_api")
    page = open_page()
    held: list[Any] = []
    page.route("**/verdicts", lambda route: held.append(route))
    page.keyboard.press("j")
    page.keyboard.press("g")
    page.wait_for_selector(".verdict.pending[title='not saved yet']")
    page.wait_for_selector(".message.warn >> text=the server has not answered yet")
    page.unroute("**/verdicts")
    with suppress(playwright.Error):  # the page does not wait for ever: it may have asked again, and asks once more
        held[-1].continue_()
    saved(page, own, 1)
    page.wait_for_selector(".verdict.pending", state="detached")
    page.wait_for_selector(".message.warn", state="detached")
    assert said(page)[0] == "good"


def test_what_one_tab_takes_back_another_does_not_send(own: Path, server: Server, open_page: Callable[..., Any]):
    first = open_page()
    server_away = lambda route: route.abort()  # noqa: E731
    first.context.route("**/verdicts", server_away)
    first.keyboard.press("j")
    for key in "gb":
        first.keyboard.press(key)
    first.wait_for_selector(".message.warn >> text=not saved yet")
    second = open_page()
    second.wait_for_selector(".tile[data-verdict=bad]")
    first.bring_to_front()
    first.keyboard.press("u")
    first.wait_for_function("() => Object.keys(localStorage).filter(k => /waiting/.test(k)).length === 1")
    first.context.unroute("**/verdicts", server_away)
    second.bring_to_front()
    try_now(second)
    saved(second, own, 1)
    second.wait_for_function("() => !document.querySelector('.tile[data-verdict=bad]')")
    assert rows_of(own) == ["good"]


def test_the_grid_takes_new_results_in_and_keeps_the_place(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    for key in ("j", "j", "j"):
        page.keyboard.press(key)
    crop = page.evaluate("document.activeElement.dataset.crop")
    lists: list[int] = []

    def changed_list(route: Any) -> None:
        lists.append(1)
        if len(lists) == 1:
            return route.abort()
        answer = route.fetch(headers={})
        columns = answer.json()
        rows = len(columns["crop"])
        for name, column in columns.items():
            if isinstance(column, list) and len(column) == rows and name not in ("datasets", "tiers", "flag_names"):
                columns[name] = column[1:]
        fault = {"tag": "new", "judge_coming": False, "judge_fault": "its file is torn"}
        return route.fulfill(response=answer, json={**columns, **fault})

    page.route("**/api/tracker/*/crops*", changed_list)
    taken = page.evaluate("!document.dispatchEvent(new CustomEvent('tracker:changed', {cancelable: true}))")
    assert taken
    page.wait_for_function("() => document.querySelectorAll('[role=grid] .tile').length === 11")
    assert len(lists) == 2, "a list that could not be read is read again"
    assert page.evaluate("document.activeElement.dataset.crop") == crop
    assert page.locator(".tile.current").get_attribute("data-place") == "1"
    page.wait_for_selector(".message.warn >> text=its file is torn")


def test_new_crops_of_a_run_are_announced_to_the_grid(own: Path, open_page: Callable[..., Any]):
    page = open_page()
    told: list[str] = []

    def further(route: Any) -> None:
        answer = route.fetch()
        told.append(f"state {len(told)}")
        route.fulfill(response=answer, json={**answer.json(), "state": told[-1], "under_way": len(told) < 3})

    page.add_init_script("document.addEventListener('tracker:changed', () => (window.announced = true))")
    page.route("**/progress", further)
    page.reload()
    page.wait_for_selector("[role=grid] .tile")
    page.wait_for_function("() => window.announced")
    page.wait_for_function("() => document.querySelector('.notice.fresh').dataset.state.startsWith('state')")
    assert page.locator(".notice.fresh").is_hidden()


def test_alike_crops_unfold_and_only_what_is_seen_is_marked(own: Path, server: Server, open_page: Callable[..., Any]):
    page = open_page()
    crops = page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.dataset.crop)")
    rows = [CropGroup(crop, "a" * 64, "d", "d/0", "g0", "near", 0.1) for crop in crops[2:6]]
    store = Store(own)
    store.publish(store.table_path("crop_groups", TRACKER), CropGroup, [to_table(rows, CropGroup)], "1", {})
    page.reload()
    page.wait_for_selector("[role=grid] .alike")
    assert page.locator("[role=grid] .tile").count() == 9
    for key in ("Home", "j", "j", "j", "g"):
        page.keyboard.press(key)
    saved(page, own, 1)
    page.keyboard.press("k")
    page.keyboard.press("v")
    assert page.locator("[role=grid] .tile").count() == 12
    assert said(page)[2:6] == ["good", "", "", ""]
    page.keyboard.press("v")
    assert page.locator("[role=grid] .tile").count() == 9


def test_without_scripts_the_pages_still_show_everything(own: Path, new_page: Callable[..., Any]):
    page = new_page(own, java_script_enabled=False, locale="en")
    page.goto(PAGE)
    assert page.locator("a.tile").count() == 12
    assert page.locator("[data-actions]").is_hidden()
    page.click("text=not marked")
    page.wait_for_url("**verdict=none**")

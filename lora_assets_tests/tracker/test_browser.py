"""One evening in a browser: list, tracker, filter, large crop, toggles and keys, without a console error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_assets_tests.tracker.drawn_data import TRACKER

GRID = "[role=grid] .tile"


@pytest.mark.browser
def test_an_evening_with_a_tracker(drawn: Path, new_page: Callable[..., Any]):
    page = new_page(drawn, locale="ja", viewport={"width": 1280, "height": 800})
    page.goto("/")
    page.click(f"text={TRACKER}")
    page.wait_for_selector(GRID)
    assert page.locator(".tile").count() == 12
    page.click(".tier-tile.low")
    page.wait_for_url("**tier=low**")
    page.wait_for_selector(GRID)
    low = page.locator(".tile").count()
    assert 0 < low < 12
    assert page.locator(".tile .tier").all_inner_texts() == ["低"] * low
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".overlay")
    page.wait_for_selector("[data-judging]:not([hidden])")
    page.wait_for_function("() => [...document.images].every((i) => i.hidden || (i.complete && i.naturalWidth > 0))")
    mask, box = page.locator("[data-layer=mask]"), page.locator("rect.box-own")
    assert mask.is_visible()
    page.click("[data-show=mask]")
    mask.wait_for(state="hidden")
    assert box.is_visible()
    page.keyboard.press("o")
    box.wait_for(state="hidden")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: url != first)
    mask.wait_for(state="hidden")
    page.keyboard.press("m")
    mask.wait_for(state="visible")
    page.keyboard.press("Escape")
    page.wait_for_url("**tier=low**#crop-**")
    page.click("text=English")
    page.wait_for_selector(".tier-tile.low .tier-name >> text=low")

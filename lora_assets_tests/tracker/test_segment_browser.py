"""Clicking a mask in a browser: points, candidates, undo, accepting, a model that dies, and a phone's fingers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_assets.tracker.app import create_app
from lora_assets.tracker.clicking import Clicker
from lora_assets.verdicts.corrections import read_corrections
from lora_assets_tests.tracker.browsing import Server, first_crop
from lora_assets_tests.tracker.drawn_data import TRACKER
from lora_assets_tests.tracker.fake_clicks import PROGRAM

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """Pages whose clicks cost nothing: their address, their data folder, and the address of their best crop."""
    data = shutil.copytree(drawn, tmp_path_factory.mktemp("clicked") / "data")
    app = create_app(data, password_hash=None)
    app.state.clicker = Clicker(data, program=PROGRAM)
    server = Server(lambda: app)
    yield server.url, data, first_crop(data, f"/tracker/{TRACKER}?sort=best")
    app.state.clicker.close()
    server.stop()


@pytest.fixture
def page(served: tuple[str, Path, str], new_page: Callable[..., Any]) -> Any:
    """The page of a frame, reached from one of its crops; its scripts may not fail."""
    page = new_page(
        served[0], expected=("error", "warning"), locale="en", viewport={"width": 1280, "height": 800}, has_touch=True
    )
    page.goto(served[2])
    page.click(".toggle-link")
    page.wait_for_selector("#segment[data-opened=true]")
    return page


def _at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the frame is on the screen."""
    box = page.locator("[data-frame]").bounding_box()
    size = page.evaluate("[...['width', 'height'].map(n => Number(document.querySelector('#segment').dataset[n]))]")
    return box["x"] + x * box["width"] / size[0], box["y"] + y * box["height"] / size[1]


def _answered(page: Any, points: int) -> None:
    page.wait_for_function(
        "n => document.querySelectorAll('.point').length === n && !document.querySelector('.segment-stage.waiting')"
        " && !document.querySelector('[data-candidate=\"0\"]').disabled",
        arg=points,
    )


def _painted(page: Any) -> int:
    return page.evaluate(
        "() => { const c = document.querySelector('[data-mask]');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"
    )


def test_a_mask_is_clicked_chosen_accepted_and_in_the_log(page: Any, served):
    page.evaluate(
        "() => { window.draws = 0; const pen = CanvasRenderingContext2D.prototype, draw = pen.drawImage;"
        " pen.drawImage = function (...all) { window.draws += 1; draw.apply(this, all); }; }"
    )
    x, y, wide, high = (float(page.get_attribute("rect.chosen", name)) for name in ("x", "y", "width", "height"))
    page.mouse.click(*_at(page, x + wide / 2, y + 0.65 * high))
    _answered(page, 1)
    assert page.evaluate("draws") == 1, "once for each candidate that is shown"
    first = _painted(page)
    page.keyboard.press("2")
    assert page.get_attribute('[data-candidate="1"]', "aria-checked") == "true"
    assert _painted(page) > first
    page.keyboard.down("Shift")
    page.mouse.click(*_at(page, x + wide / 2 + 5, y + 0.65 * high + 5))
    page.keyboard.up("Shift")
    _answered(page, 2)
    assert page.locator(".point.unwanted").count() == 1
    page.keyboard.press("u")
    _answered(page, 1)
    assert page.get_attribute('[data-candidate="1"]', "aria-checked") == "true", "the step before, as it was"
    page.keyboard.down("Enter")
    for _ in range(3):
        page.keyboard.down("Enter")  # held: the key repeats
    page.keyboard.up("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#corrections li")
    page.wait_for_function("() => !document.querySelector('[data-accept=correction]').disabled")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('[data-accept=correction]').disabled")
    kept = read_corrections(served[1])[0]
    assert len(kept) == 1 and kept[0].correction.model == "discs"
    chosen = page.locator("rect.chosen")
    box = [float(chosen.get_attribute(name)) for name in ("x", "y")]
    assert list(kept[0].correction.box[:2]) == box
    page.click("[data-withdraw]")
    page.wait_for_selector("#corrections li.withdrawn")
    assert read_corrections(served[1])[0][0].withdrawn_at
    page.keyboard.press("Enter")
    page.wait_for_selector("#corrections li:not(.withdrawn)")
    kept = read_corrections(served[1])[0]
    assert [bool(one.withdrawn_at) for one in kept] == [True, False], "wanted again after its withdrawal"


def test_a_mask_beside_its_crop_is_asked_about_once(page: Any, served):
    before = len(read_corrections(served[1])[0])
    x, wide = (float(page.get_attribute("rect.chosen", name)) for name in ("x", "width"))
    page.mouse.click(*_at(page, 30 if x + wide / 2 > 160 else 290, 30))
    _answered(page, 1)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-unlike-sheet][open]")
    assert "of the mask lies in the crop's box" in page.inner_text("[data-unlike-told]")
    page.keyboard.press("Enter")  # the way back has the focus, so that a held key keeps nothing
    page.wait_for_selector("[data-unlike-sheet]", state="hidden")
    assert len(read_corrections(served[1])[0]) == before
    page.keyboard.press("Enter")
    page.click("[data-unlike-sheet] [value=sure]")
    page.wait_for_function("() => !document.querySelector('[data-accept=correction]').disabled")
    assert len(read_corrections(served[1])[0]) == before + 1
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('[data-accept=correction]').disabled")
    assert page.is_hidden("[data-unlike-sheet]")
    assert len(read_corrections(served[1])[0]) == before + 1, "sent twice, it counts once"


def test_a_box_is_dragged_and_the_frame_zoomed_and_moved(page: Any):
    start, end = _at(page, 40, 20), _at(page, 120, 140)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    _answered(page, 0)
    assert abs(_painted(page) - 80 * 120) < 300
    before = page.locator("[data-frame]").bounding_box()
    page.mouse.move(*end)
    page.mouse.wheel(0, -600)
    page.wait_for_function(
        "least => document.querySelector('[data-frame]').getBoundingClientRect().width > least",
        arg=1.5 * before["width"],
    )
    page.keyboard.press("r")
    page.mouse.down()
    page.mouse.move(end[0] + 60, end[1] + 10, steps=3)
    page.mouse.up()
    after = page.locator("[data-frame]").bounding_box()
    assert after["width"] > 1.5 * before["width"]
    page.keyboard.press("z")
    assert abs(page.locator("[data-frame]").bounding_box()["width"] - before["width"]) < 1
    page.keyboard.press("Delete")
    assert _painted(page) == 0 and page.is_disabled("[data-accept=correction]")


def test_a_dead_model_is_told_and_the_next_click_is_answered(page: Any):
    page.mouse.click(*_at(page, 1, 90))
    page.wait_for_selector(".segment-told.warn-text")
    assert "started again at the next click" in page.inner_text("[data-told]")
    page.keyboard.press("u")
    page.mouse.click(*_at(page, 160, 90))
    _answered(page, 1)


def test_fingers_click_and_the_toggle_makes_a_click_negative(page: Any, served):
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => innerWidth === 390")
    page.keyboard.press("z")
    page.touchscreen.tap(*_at(page, 160, 90))
    _answered(page, 1)
    page.tap("[data-mode=unwanted]")
    page.touchscreen.tap(*_at(page, 168, 96))
    _answered(page, 2)
    assert page.locator(".point.unwanted").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.fill("[data-set]", "mine")
    page.tap("[data-accept=annotation]")
    page.wait_for_function("() => document.querySelector('#messages')?.innerText.includes('mine')")
    assert (served[1] / "annotations" / "mine" / "annotations.json").exists()

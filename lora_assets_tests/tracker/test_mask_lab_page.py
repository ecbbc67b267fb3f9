"""The mask lab: page, pictures, adopting a preset by request and in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lora_assets.mask_lab.layers import make_layers
from lora_assets.mask_lab.making import make_sweep
from lora_assets.specs import TrackerSpec, read_tracker, set_sealed, write_tracker
from lora_assets.tracker.routes_mask_lab import _winners
from lora_assets_tests.mask_lab.cells import TRACKER, make_cell

PRESETS = ["baseline", "aggressive", "fine"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracker with a sweep and layers, and one without."""
    data = tmp_path_factory.mktemp("lab") / "data"
    told = {"presets": PRESETS, "repeats": 1, "sample": 4, "grid_base": "aggressive", "grid": {"dilate": [3]}}
    make_cell(data, mask_lab=told, layers={"frames": 2})
    make_sweep(data, TRACKER)
    make_layers(data, TRACKER)
    write_tracker(data, TrackerSpec("NOTHING-1", ("film",)))
    return data


@pytest.fixture
def own_lab(lab: Path, tmp_path: Path) -> Path:
    return shutil.copytree(lab, tmp_path / "data")


@pytest.fixture
def client(lab, client_of):
    return client_of(lab)


@pytest.mark.parametrize(("language", "words"), [("en", "Mask lab"), ("ja", "マスクラボ"), ("zh-TW", "遮罩實驗室")])
def test_the_page_shows_presets_pictures_and_layers(client, language, words):
    answer = client.get(f"/tracker/{TRACKER}/lab?lang={language}")
    assert answer.status_code == 200
    assert words in answer.text
    assert answer.text.count("data-adopt=") == 3  # the one in use has none
    assert answer.text.count('class="lab-row"') == 4
    assert answer.text.count("/close.jpg") == 2 * 4 * 4
    assert answer.text.count("/background.webp") == 2
    assert "style=" not in answer.text
    plot = client.get(f"/tracker/{TRACKER}/lab.png?lang={language}")
    assert plot.content[:4] == b"\x89PNG" and plot.headers["cache-control"] == "private, no-store"


def _addresses(text: str, name: str) -> list[str]:
    return sorted({part.split('"')[0] for part in text.split('src="') if name in part.split('"')[0]})


@pytest.mark.parametrize(
    ("show", "name"),
    [
        ("overlay", "overlay.jpg"), ("character", "character.png"), ("mask", "mask.png"), ("edges", "edges.png"),
        ("nonsense", "close.jpg"),
    ],
)  # fmt: skip
def test_every_picture_of_the_page_is_served(client, show, name):
    text = client.get(f"/tracker/{TRACKER}/lab?show={show}").text
    addresses = _addresses(text, name)
    assert len(addresses) == 16
    for address in addresses[:5]:
        answer = client.get(address)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    layer = _addresses(text, "/character.webp")[0]
    assert client.get(layer).content[:4] == b"RIFF"
    assert client.get(layer.replace(".webp", ".png")).content[:4] == b"\x89PNG"


def test_addresses_that_no_table_names_are_not_served(client):
    address = _addresses(client.get(f"/tracker/{TRACKER}/lab").text, "/baseline/close.jpg")[0]
    made = address.split("/")[4]
    for wrong in (
        address.replace("image_1", "image_99"), address.replace("image_1", ".."),
        address.replace("baseline", "extended"),
        address.replace("close.jpg", "optimization_report.json"), address.replace("close.jpg", "..%2f..%2fx.png"),
        address.replace(made, "0" * 16), address.replace(made, "..%2f" + made),
        address.replace(TRACKER, "NOBODY"), f"/tracker/{TRACKER}/layers/{'0' * 64}/character.png",
        f"/tracker/{TRACKER}/layers/{'0' * 64}/..%2fcharacter.png",
    ):  # fmt: skip
        assert client.get(wrong).status_code == 404, wrong


def test_a_tracker_without_a_sweep_says_how_to_make_one(client):
    page = client.get("/tracker/NOTHING-1/lab")
    assert page.status_code == 200
    assert "lora-assets sweep --tracker NOTHING-1" in page.text and "lora-assets layers NOTHING-1" in page.text
    assert client.get("/tracker/NOTHING-1/lab.png").status_code == 404
    assert client.get("/tracker/NOBODY/lab").status_code == 404


def test_a_preset_is_adopted_by_a_page_only(own_lab, client_of):
    client = client_of(own_lab)
    url = f"/api/tracker/{TRACKER}/preset"
    assert client.ask("POST", url, {"Content-Type": "application/json"}, b'{"preset": "fine"}').status_code == 403
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "X-Lora-Assets": "1"}
    assert client.ask("POST", url, foreign, b'{"preset": "fine"}').status_code == 403
    assert client.get(url).status_code in (404, 405)
    assert read_tracker(own_lab, TRACKER).settings.get("refine") is None
    answer = client.post(url, {"preset": "fine"})
    assert answer.json() == {
        "tracker": TRACKER, "preset": "fine", "before": "aggressive", "is_new": False, "url": f"/tracker/{TRACKER}",
    }  # fmt: skip
    assert read_tracker(own_lab, TRACKER).settings["refine"] == {"preset": "fine"}
    answer = client.post(url, {"preset": "aggressive:dilate=3", "as": "LAB-3"})
    assert answer.json()["is_new"] is True
    assert read_tracker(own_lab, "LAB-3").baseline == TRACKER


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({"preset": "smoth"}, 422, "did you mean smooth"),
        ({"preset": "aggressive:dilate=4"}, 422, "a kernel has a middle pixel"),
        ({"preset": "fine", "as": "NOTHING-1"}, 409, "exists already"),
        ({"preset": "fine", "as": "../x"}, 422, "does not fit"),
        ({"preset": 3}, 422, "must be texts"),
        ({"preset": "fine", "more": 1}, 422, "send"),
        ([], 422, "send"),
        (b"{", 422, "this is not JSON"),
        (b'{"preset": "' + b"x" * 5000 + b'"}', 413, "more than 4 kB in one request"),
    ],
)
def test_what_cannot_be_adopted_is_told(client, told, status, words):
    answer = client.post(f"/api/tracker/{TRACKER}/preset", told)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_sealed_tracker_and_nobody_are_told(own_lab, client_of):
    client = client_of(own_lab)
    set_sealed(own_lab, TRACKER, True)
    answer = client.post(f"/api/tracker/{TRACKER}/preset", {"preset": "fine"})
    assert answer.status_code == 409 and "is sealed" in answer.json()["error"]
    assert client.post("/api/tracker/NOBODY/preset", {"preset": "fine"}).status_code == 404
    page = client.get(f"/tracker/{TRACKER}/lab").text
    assert "data-sealed" in page and f'data-copy="{TRACKER}-fine"' in page


def test_a_best_that_nobody_can_tell_from_others_is_a_tie():
    found: list[Any] = [
        SimpleNamespace(preset=name, objective=value)
        for name, value in (("fine", 0.9123), ("smooth", 0.9121), ("baseline", 0.911), ("new", None))
    ]
    assert _winners(found, "fine") == {"fine", "smooth"}
    assert _winners(found, "baseline") == {"baseline"}
    assert _winners(found, "new") == _winners(found, None) == set()


@pytest.mark.browser
def test_presets_are_compared_and_adopted_in_a_browser(own_lab: Path, new_page: Callable[..., Any]):
    # An error on the console: a name that is taken is answered 409.
    page = new_page(
        own_lab, expected=("error",), locale="en", viewport={"width": 1280, "height": 900}, color_scheme="dark"
    )
    page.goto(f"/tracker/{TRACKER}/lab")
    page.keyboard.press("5")
    page.wait_for_url("**show=edges**")
    page.wait_for_function("() => document.images[0].complete && document.images[0].naturalWidth > 0")
    assert page.evaluate("[...document.images].every(i => !i.complete || i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    wide = "() => [...document.querySelectorAll('.scroll, .lab-row')].filter((e) => e.scrollWidth > e.clientWidth)"
    assert page.evaluate(f"({wide})().length") == 0
    page.evaluate(
        "() => { const row = document.querySelector('.lab-row'), one = row.children[0];"
        " while (row.children.length < 8) row.append(one.cloneNode(true)); }"
    )
    assert page.evaluate(f"({wide})().length") == 0, "eight presets stand side by side"
    page.click("[data-adopt=fine]")
    page.fill("[data-adopt-form] input", "NOTHING-1")
    page.click("[data-adopt-form] button")
    page.wait_for_selector("[data-adopt-fault] >> text=exists already")
    page.wait_for_selector("[data-adopt-form] button:enabled")
    page.fill("[data-adopt-form] input", "")
    page.click("[data-adopt-form] button")
    page.wait_for_selector(".messages .message >> text=refines with fine from now on (before: aggressive)")
    page.reload()
    page.wait_for_selector(".heading .aside >> text=fine")
    assert read_tracker(own_lab, TRACKER).settings["refine"] == {"preset": "fine"}

"""What pages say: filters, order, paging, and that templates and their records belong together."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, Template, nodes

import lora_assets.tracker
from lora_assets.specs import TrackerSpec, dataset_slug
from lora_assets.store import Store
from lora_assets.tables import Mask, RawFrame, ScoredCrop, to_table
from lora_assets.tracker import pages
from lora_assets.tracker.cells import Cells, Memory
from lora_assets.tracker.crop_page import CropMissing, CropPage, crop_page
from lora_assets.tracker.pages import TrackerList, TrackerPage, read_choice, tracker_page
from lora_assets.tracker.reviewed import ReviewedView, Reviews
from lora_assets.tracker.view import SORTS, Choice, read_view
from lora_assets_tests.tracker.drawn_data import FLAGS, JAPANESE, TRACKER, scored

TEMPLATES = Path(lora_assets.tracker.__file__).parent / "templates"
DAGSTER = "http://127.0.0.1:3000"


def names_of_page(*templates: str) -> set[str]:
    """The fields of `page` that templates read."""
    found = set()
    for template in templates:
        tree = Environment().parse((TEMPLATES / template).read_text(encoding="utf-8"))
        for node in tree.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "page":
                found.add(node.attr)
    return found


@pytest.mark.parametrize(
    ("record", "templates"),
    [
        (TrackerList, ("trackers.html",)),
        (TrackerPage, ("tracker.html", "crops.html", "nothing.html", "quarantined.html", "settings.html")),
        (CropPage, ("crop.html",)),
    ],
)
def test_a_page_shows_every_field_of_its_record_and_no_other(record: type, templates: tuple[str, ...]):
    assert names_of_page(*templates) == {field.name for field in fields(record)}


@pytest.fixture(scope="module")
def cells(drawn: Path) -> Cells:
    return Cells(drawn)


def reviewed(cells: Cells, spec: TrackerSpec) -> ReviewedView:
    return Reviews(cells).of(read_view(cells, spec, Memory(1)))


@pytest.fixture(scope="module")
def view(cells: Cells) -> ReviewedView:
    return reviewed(cells, cells.spec(TRACKER))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """450 crops in one dataset, made without pictures; files are numbered without zeros in front."""
    data = tmp_path_factory.mktemp("many")
    store = Store(data)
    frames, crops = [], []
    for number in range(450):
        sha256 = f"{number:064x}"
        frames.append(RawFrame(f"{number}.png", sha256, 1, 1, 1, 90, 90, "PNG", 0.5, 0.1, 9.0, "0" * 16, None))
        row = Mask(sha256, f"{number:016x}", 1, 2, 30, 40, number.to_bytes(4, "big"), 100, 0.1, 0.9, 0.9)
        flags = [FLAGS[number % 5]] if number % 3 == 0 else []
        crops.append(scored(row, (1, 2, 30, 40), (number * 37 % 450) / 450, flags))
    store.publish(store.table_path("frames", "ep", "MANY"), RawFrame, [to_table(frames, RawFrame)], "1", {})
    store.publish(store.table_path("scored_crops", "ep", "MANY"), ScoredCrop, [to_table(crops, ScoredCrop)], "1", {})
    return Cells(data)


@settings(deadline=None, max_examples=40)
@given(
    tier=st.sampled_from(["", "high", "medium", "low"]),
    flag=st.sampled_from(["", *FLAGS]),
    sort=st.sampled_from(SORTS),
)
def test_a_choice_takes_what_it_says_in_its_order(many: Cells, tier: str, flag: str, sort: str):
    view = reviewed(many, TrackerSpec("MANY"))
    rows = view.rows(view.order(Choice(tier=tier, flag=flag, sort=sort)))
    every = view.rows(range(450))
    wanted = [r for r in every if (not tier or r["tier"] == tier) and (not flag or flag in r["flags"])]
    assert {row["crop_id"] for row in rows} == {row["crop_id"] for row in wanted}
    assert len(rows) == len(wanted)
    if sort == "path":
        assert [row["frame_sha256"] for row in rows] == sorted(row["frame_sha256"] for row in rows)
    else:
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=sort == "best")


def test_the_counts_beside_filters_say_what_a_click_gives(many: Cells):
    view = reviewed(many, TrackerSpec("MANY"))
    page = tracker_page(many, view, {"tier": "low"}, DAGSTER)
    assert page.matching == next(tier.count for tier in page.tiers if tier.name == "low")
    for flag in page.flags:
        clicked = tracker_page(many, view, {"tier": "low", "flag": flag.name}, DAGSTER)
        assert clicked.matching == flag.count
    assert sum(tier.count or 0 for tier in page.tiers) == 450
    assert page.clear_url == "/tracker/MANY"


def test_pages_hold_200_and_lead_through_all(many: Cells):
    view = reviewed(many, TrackerSpec("MANY"))
    seen: list[str] = []
    for number in (1, 2, 3):
        page = tracker_page(many, view, {"page": str(number)}, DAGSTER)
        seen += [crop.key for crop in page.crops]
        assert (page.first, page.last) == (200 * number - 199, min(450, 200 * number))
        assert bool(page.previous_url) is (number > 1)
        assert bool(page.next_url) is (number < 3)
        assert [link.text for link in page.page_links] == ["1", "2", "3"]
    assert len(set(seen)) == 450


@pytest.mark.parametrize("text", ["0", "-1", "x", "9" * 30, "１", "", "99"])
def test_a_strange_page_number_gives_a_page(many: Cells, text: str):
    view = reviewed(many, TrackerSpec("MANY"))
    assert tracker_page(many, view, {"page": text}, DAGSTER).crops


def test_long_lists_of_pages_have_gaps():
    links = pages._page_links("T", Choice(), "crops", 40, 75)
    assert [link.text for link in links] == ["1", "2", "…", "38", "39", "40", "41", "42", "…", "74", "75"]
    assert [link.url for link in links if link.text == "…"] == ["", ""]


def test_unknown_filters_are_left_out(view: ReviewedView):
    assert read_choice({"tier": "best", "flag": "x", "dataset": "../x", "sort": "; drop"}, view) == Choice()


def test_neighbours_stay_inside_the_filter_and_the_way_back_holds_it(many: Cells):
    view = reviewed(many, TrackerSpec("MANY"))
    order = view.order(Choice(tier="low", sort="worst"))
    row = view.rows([order[210]])[0]
    page = crop_page(many, view, row["crop_id"], {"tier": "low", "sort": "worst"}, DAGSTER, view.marks.book)
    before, after = view.rows([order[209], order[211]])
    assert before["crop_id"] in page.places.previous_url
    assert after["crop_id"] in page.places.next_url
    assert (page.places.position, page.places.matching) == (211, len(order))
    assert page.places.back_url.startswith("/tracker/MANY?tier=low&sort=worst&page=2#crop-ep-")
    elsewhere = crop_page(many, view, row["crop_id"], {"tier": "high"}, DAGSTER, view.marks.book)
    assert elsewhere.places.matching == 450


def test_a_crop_without_original_mask_or_detection_still_has_a_page(many: Cells):
    view = reviewed(many, TrackerSpec("MANY"))
    page = crop_page(many, view, view.rows([0])[0]["crop_id"], {}, DAGSTER, view.marks.book)
    assert page.mask is None
    assert page.detection is None
    assert page.frame_fault == "missing.gone"
    with pytest.raises(CropMissing):
        crop_page(many, view, "0" * 32, {}, DAGSTER, view.marks.book)


def test_the_same_pixels_in_two_boxes_are_two_crops(tmp_path: Path):
    row = Mask("a" * 64, "1" * 16, 0, 0, 9, 9, b"x", 9, 0.1, 0.9, 0.9)
    twin = Mask("a" * 64, "2" * 16, 0, 0, 9, 9, b"x", 9, 0.1, 0.9, 0.9)
    store = Store(tmp_path)
    rows = [scored(row, (0, 0, 9, 9), 0.9, []), scored(twin, (0, 0, 9, 9), 0.7, [])]
    store.publish(store.table_path("scored_crops", "d", "T"), ScoredCrop, [to_table(rows, ScoredCrop)], "1", {})
    cells = Cells(tmp_path)
    view = reviewed(cells, TrackerSpec("T"))
    name = rows[0].crop_id
    first = crop_page(cells, view, name, {"in": "d", "box": "1" * 16}, DAGSTER, view.marks.book)
    second = crop_page(cells, view, name, {"in": "d", "box": "2" * 16}, DAGSTER, view.marks.book)
    assert (first.places.position, second.places.position) == (1, 2)
    assert first.places.next_url.endswith("box=" + "2" * 16)
    assert second.places.next_url == ""


def test_the_view_is_made_again_only_when_a_table_is_new(cells: Cells):
    memory = Memory(2)
    spec = cells.spec(TRACKER)
    first = read_view(cells, spec, memory)
    assert read_view(cells, spec, memory) is first
    assert len(first.nothing_found) == 1
    assert first.nothing_found[0].path == "夜空.png"
    assert {frame.reason for frame in first.quarantined} >= {"the file ends too early: copy it again"}
    assert first.slugs[0] == dataset_slug(JAPANESE)
    assert np.array_equal(np.sort(first.path_ranks), np.arange(len(first.tiers)))


def test_a_page_is_drawn_again_only_when_something_on_it_changed(own, client_of, monkeypatch):
    client = client_of(own)
    drawn = []
    render = Template.render
    monkeypatch.setattr(Template, "render", lambda self, **told: drawn.append(self.name) or render(self, **told))
    first = client.get(f"/tracker/{TRACKER}").text
    assert client.get(f"/tracker/{TRACKER}").text == first
    assert drawn == ["tracker.html"]
    assert client.get(f"/tracker/{TRACKER}?lang=ja").text != first
    assert client.get(f"/tracker/{TRACKER}?tier=low").text != first
    assert len(drawn) == 3
    crop = client.get(f"/api/tracker/{TRACKER}/crops").json()["crop"][0]
    told = {"request_id": "request-1", "marks": [{"crop": crop, "value": "good"}]}
    assert client.post(f"/api/tracker/{TRACKER}/verdicts", told).status_code == 200
    marked = client.get(f"/tracker/{TRACKER}").text
    assert marked != first and "verdict-good" in marked

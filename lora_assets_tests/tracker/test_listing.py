"""The list that the grid is drawn from, alike crops as one tile, the judge's and the baseline's orders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store
from lora_assets.tables import CropGroup, Detection, Mask, RawFrame, ScoredCrop, from_table, to_table
from lora_assets.tracker.listing import crop_list, list_tag
from lora_assets.tracker.marking import Change
from lora_assets.tracker.pages import read_choice, tracker_page
from lora_assets.tracker.reviewed import ReviewedView
from lora_assets.tracker.site import Site
from lora_assets.tracker.view import Choice
from lora_assets_tests.tracker.drawn_data import FLAGS, scored

DAGSTER = "http://127.0.0.1:3000"


def publish(store: Store, tracker: str, scores: list[float]) -> list[ScoredCrop]:
    frames, boxes, crops = [], [], []
    for number, score in enumerate(scores):
        sha256 = f"{number:064x}"
        frames.append(RawFrame(f"{number:03}.png", sha256, 1, 1, 1, 90, 90, "PNG", 0.5, 0.1, 9.0, "0" * 16, None))
        row = Mask(sha256, f"{number:016x}", 1, 2, 30, 40, f"{tracker}{number}".encode(), 100, 0.1, 0.9, 0.9)
        boxes.append(Detection(sha256, row.detection_id, "person", 0.8, 1.0, 2.0, 31.0, 42.0, "d", True))
        crops.append(scored(row, (1, 2, 30, 40), score, [FLAGS[number % 5]] if number % 4 == 0 else []))
    for stage, kind, rows in (
        ("frames", RawFrame, frames), ("detections", Detection, boxes), ("scored_crops", ScoredCrop, crops)
    ):  # fmt: skip
        store.publish(store.table_path(stage, "ep", tracker), kind, [to_table(rows, kind)], "1", {})
    return crops


@pytest.fixture
def site(tmp_path: Path) -> Site:
    store = Store(tmp_path)
    rng = np.random.default_rng(3)
    write_tracker(tmp_path, TrackerSpec("T", ("ep",), baseline="BEFORE"))
    write_tracker(tmp_path, TrackerSpec("BEFORE", ("ep",)))
    publish(store, "BEFORE", [0.7] * 40)
    publish(store, "T", rng.uniform(0.5, 1.0, 40).tolist())
    return Site(tmp_path, DAGSTER)


def group(site: Site, sizes: list[int]) -> None:
    """Groups of the first crops of T, of these sizes."""
    table = site.cells.store.cell_table("scored_crops", "ep", "T")
    assert table is not None
    crops = from_table(table.read(), ScoredCrop)
    rows, start = [], 0
    for number, size in enumerate(sizes):
        rows += [
            CropGroup(crop.crop_id, crop.frame_sha256, "ep", "ep/0", f"g{number}", "near", 0.1)
            for crop in crops[start : start + size]
        ]
        start += size
    path = site.cells.store.table_path("crop_groups", "T")
    site.cells.store.publish(path, CropGroup, [to_table(rows, CropGroup)], str(sizes), {})


def told(view: ReviewedView, choice: Choice) -> dict:
    return json.loads(crop_list(view, choice))


def test_the_list_says_of_every_crop_what_the_page_says(site: Site):
    view = site.view("T")
    found = told(view, Choice(sort="worst"))
    page = tracker_page(site.cells, view, {"sort": "worst"}, DAGSTER)
    assert len(page.crops) == 40
    for place, tile in enumerate(page.crops):
        assert tile.thumb_url.endswith(f"/{found['crop'][place]}.webp")
        assert tile.key == f"{found['datasets'][found['dataset'][place]]}-{found['box'][place]}"
        assert tile.tier == found["tiers"][found["tier"][place]]
        assert 0 <= tile.score - found["score"][place] / 1000 < 0.001
        assert tile.flags == tuple(found["flag_names"][flag] for flag in found["flags"][place])
        assert tile.path == found["path"][place]
    assert found["group"] is found["p_good"] is found["abstained"] is None


def test_a_mark_leaves_the_tag_of_the_list_and_changes_that_of_a_list_by_verdict(site: Site):
    before = {verdict: list_tag(site.view("T"), Choice(verdict=verdict)) for verdict in ("", "none", "good")}
    crop = told(site.view("T"), Choice())["crop"][7]
    site.view("T").marks.mark("request-1", [Change(crop, "good")])
    view = site.view("T")
    after = {verdict: list_tag(view, Choice(verdict=verdict)) for verdict in before}
    assert [verdict for verdict in before if before[verdict] == after[verdict]] == [""]
    assert told(view, Choice(verdict="good"))["crop"] == [crop]
    assert crop not in told(view, Choice(verdict="none"))["crop"]
    assert len(told(view, Choice())["crop"]) == 40


def test_counts_by_verdict_say_what_a_click_gives(site: Site):
    crops = told(site.view("T"), Choice(tier="medium"))["crop"]
    changes = [Change(crop, ("good", "bad", "exclude")[place % 3]) for place, crop in enumerate(crops[:7])]
    site.view("T").marks.mark("request-1", changes)
    page = tracker_page(site.cells, site.view("T"), {"tier": "medium"}, DAGSTER)
    for link in page.verdicts:
        query = {"tier": "medium", "verdict": link.name}
        assert tracker_page(site.cells, site.view("T"), query, DAGSTER).matching == link.count
    assert {link.name: link.count for link in page.verdicts} == {
        "none": len(crops) - 7, "good": 3, "bad": 2, "exclude": 2
    }  # fmt: skip


@pytest.mark.parametrize("sort", ["best", "worst", "path"])
def test_alike_crops_are_one_tile_and_unfold(site: Site, sort: str):
    assert tracker_page(site.cells, site.view("T"), {}, DAGSTER).fold is None
    group(site, [1, 3, 5, 1])
    view = site.view("T")
    page = tracker_page(site.cells, view, {"sort": sort}, DAGSTER)
    assert (page.matching, page.items, len(page.crops), page.last) == (40, 34, 34, 34)
    assert sorted(tile.alike for tile in page.crops)[-3:] == [1, 3, 5]
    order = [row["crop_id"] for row in view.rows(view.order(Choice(sort=sort)))]
    groups = view.groups[view.order(Choice(sort=sort))]
    first = {code: order[int(np.argmax(groups == code))] for code in set(groups.tolist()) - {-1}}
    shown = {tile.thumb_url.rpartition("/")[2].removesuffix(".webp"): tile.alike for tile in page.crops}
    assert all(shown[crop] == int((groups == code).sum()) for code, crop in first.items())
    assert page.fold is not None
    assert page.fold.url.endswith("alike=open")
    opened = tracker_page(site.cells, view, {"sort": sort, "alike": "open"}, DAGSTER)
    assert len(opened.crops) == 40
    assert {tile.alike for tile in opened.crops} == {1}


def test_groups_made_anew_are_shown_at_once(site: Site):
    group(site, [2])
    tag = list_tag(site.view("T"), Choice())
    group(site, [4])
    assert list_tag(site.view("T"), Choice()) != tag
    assert len(tracker_page(site.cells, site.view("T"), {}, DAGSTER).crops) == 37


def test_the_most_changed_are_those_that_moved_most_from_the_baseline(site: Site):
    view = site.view("T")
    assert view.sorts == ("best", "worst", "path", "changed")
    rows = view.order(Choice(sort="changed"))
    moved = np.abs(view.scores[rows] - 0.7)
    valid = np.array([not row["flags"] or row["score"] > 0.45 for row in view.rows(rows)])
    assert (np.diff(moved[valid]) <= 1e-12).all()
    assert site.view("BEFORE").sorts == ("best", "worst", "path")
    assert read_choice({"sort": "changed"}, site.view("BEFORE")).sort == "best"


def test_the_judges_word_is_shown_and_sorts(data):
    from lora_assets.judge.making import judge_tracker, make_judge
    from lora_assets.tracker.reviewed import JUDGE_SORTS
    from lora_assets.verdicts import open_log
    from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops

    reviewed = make_cell(data)
    site = Site(data, DAGSTER)
    assert not site.view(TRACKER).has_judge
    with open_log(data) as log:
        mark_crops(log, reviewed[:80])
        make_judge(Store(data), log, TRACKER)
    view = site.view(TRACKER)
    assert view.sorts[-2:] == JUDGE_SORTS
    words = judge_tracker(Store(data), TRACKER)
    tag = list_tag(view, Choice())
    first = told(view, Choice())  # a page does not wait for the judge
    assert first["judge_coming"] is (first["p_good"] is None)
    view.judge()
    assert (list_tag(view, Choice()) != tag) is first["judge_coming"]
    assert not told(view, Choice())["judge_coming"]
    found = told(view, Choice(sort="p_good"))
    assert found["p_good"] == sorted(found["p_good"], reverse=True)
    assert all(
        abs(p / 1000 - words[crop].p_good) < 0.001 for crop, p in zip(found["crop"], found["p_good"], strict=True)
    )
    queue = [words[crop] for crop in told(view, Choice(sort="queue"))["crop"]]
    sure = [abs(word.p_good - 0.5) for word in queue if word.abstained != "unlike any judged crop"]
    assert sure == sorted(sure)
    assert site.view(TRACKER) is view
    tile = tracker_page(site.cells, view, {}, DAGSTER).crops[0]
    assert tile.p_good == words[tile.thumb_url.rpartition("/")[2].removesuffix(".webp")].p_good


def test_a_judge_that_fails_is_asked_once_and_told(data, monkeypatch, caplog):
    from lora_assets.judge import making
    from lora_assets.verdicts import open_log
    from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops

    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:80])
        making.make_judge(Store(data), log, TRACKER)
    asked = []

    def fails(*_: object) -> None:
        asked.append(1)
        raise ValueError("no such feature")

    monkeypatch.setattr(making, "judge_tracker", fails)
    site = Site(data, DAGSTER)
    view = site.view(TRACKER)
    tag = list_tag(view, Choice())
    assert told(view, Choice(sort="p_good"))["crop"] == told(view, Choice(sort="best"))["crop"]
    for _ in range(3):
        found = told(site.view(TRACKER), Choice())
        assert (found["judge_coming"], found["judge_fault"], found["p_good"]) == (False, "no such feature", None)
    assert (len(asked), len(caplog.records)) == (1, 1)
    assert list_tag(view, Choice()) != tag
    assert "p_good" not in view.sorts
    assert view.judged(told(view, Choice())["crop"][0]) is None
    assert tracker_page(site.cells, view, {}, DAGSTER).judge_fault == "no such feature"


def test_a_state_of_the_tables_takes_the_place_of_the_one_before(site: Site):
    held = set()
    for number in range(4):
        publish(site.cells.store, "T", [0.5 + number / 10] * 40)
        site.view("T").marks.try_follow()
        site.view("BEFORE")
        held.add(len(site.cells._columns))
    assert len(held) == 1
    reviews = site.reviews
    assert (len(reviews._marks), len(reviews._views), len(site._views)) == (2, 2, 2)
    assert site.view("T").marks is reviews.marks(site.cells.spec("T"))


def test_a_damaged_judge_is_told_and_the_page_stays(data):
    from lora_assets.judge.making import judge_path
    from lora_assets_tests.judge.cells import TRACKER, make_cell

    make_cell(data)
    path = judge_path(Store(data), TRACKER)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    view = Site(data, DAGSTER).view(TRACKER)
    assert "is damaged" in view.judge_fault
    assert "p_good" not in view.sorts

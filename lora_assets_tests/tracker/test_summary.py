"""The counts, the dashboard and the check of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lora_assets.specs import SpecError, TrackerSpec, dataset_slug, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import Detection
from lora_assets.tracker import picture_check
from lora_assets.tracker.cells import Cells, Memory
from lora_assets.tracker.summary import (
    build_dashboard,
    dashboard_path,
    distinct_frames,
    read_dashboard,
    run_ids,
    stage_facts,
    starter_weights,
    summarise,
)
from lora_assets.tracker.view import read_view
from lora_assets_tests.tracker.drawn_data import EVIL, HALF_MADE, JAPANESE, RUN_ID, TRACKER
from lora_assets_tests.tracker.test_app import crops_of


def test_the_counts_are_those_of_the_tables(drawn: Path):
    cells = Cells(drawn)
    total, datasets = summarise(cells, cells.spec(TRACKER))
    japanese, evil = datasets
    assert (japanese.name, evil.dataset) == (JAPANESE, dataset_slug(EVIL.replace("/", "")))
    crops = crops_of(drawn)
    counts = japanese.counts
    assert (counts.frames, counts.quarantined, counts.nothing_found) == (9, 1, 1)
    assert counts.crops == counts.detections == counts.masks == len(crops) == 9
    assert counts.tiers == {tier: sum(crop.tier == tier for crop in crops) for tier in ("high", "medium", "low")}
    assert counts.vetoed == sum(not crop.is_valid_content for crop in crops) > 0
    assert counts.suitable == sum(crop.lora_suitable for crop in crops)
    assert counts.mean_score == pytest.approx(sum(crop.score for crop in crops) / 9)
    flags = [flag for crop in crops for flag in crop.flags]
    assert counts.flags == {flag: flags.count(flag) for flag in flags}
    assert list(counts.flags.values()) == sorted(counts.flags.values(), reverse=True)
    assert total.frames == 12
    assert total.quarantined == 2
    assert sum(total.tiers.values()) == total.crops == 12
    assert starter_weights(datasets) == ("starter-yolo",)
    assert run_ids(datasets) == (RUN_ID,)


def test_a_frame_that_could_not_be_looked_at_is_not_one_without_a_character(own: Path):
    store, slug = Store(own), dataset_slug(JAPANESE)
    cells = Cells(own)
    (empty,) = read_view(cells, cells.spec(TRACKER), Memory(1)).nothing_found
    made = store.cell_table("detections", slug, TRACKER)
    assert made is not None
    told = {**made.facts, "dropped": 1, "dropped_frames": {empty.sha256: "changed after it was listed"}}
    store.publish(made.path, Detection, [made.read()], "dropped", told)
    _, (japanese, _) = summarise(cells, cells.spec(TRACKER))
    assert (japanese.counts.frames, japanese.counts.nothing_found, japanese.stages[1].dropped) == (9, 0, 1)
    assert read_view(cells, cells.spec(TRACKER), Memory(1)).nothing_found == ()


def test_what_is_not_made_is_unknown_and_not_zero(drawn: Path):
    cells = Cells(drawn)
    total, datasets = summarise(cells, cells.spec(HALF_MADE))
    assert (total.frames, total.quarantined) == (9, 1)
    assert (total.nothing_found, total.detections, total.crops, total.mean_score) == (None, None, None, None)
    assert [dataset.complete for dataset in datasets] == [False, False]
    assert [stage.made for stage in datasets[0].stages] == [True, False, False, False]


def test_the_dashboard_is_saved_and_read_back(own: Path):
    built = build_dashboard(own, TRACKER, run_url="http://127.0.0.1:3000/runs/1")
    assert read_dashboard(own, TRACKER) == built
    assert built.problems == ()
    assert built.problem_count == 0
    assert built.pictures_checked > 30
    assert built.ticket == "QI-118"
    assert built.datasets[0].stages[0].settings == {"conf": 0.25, "weights": ["starter-yolo"]}
    assert built.seconds == pytest.approx(8 * 83.4)
    again = build_dashboard(own, TRACKER, run_url="another run")
    assert again.version == built.version
    assert again.built_at > built.built_at


def test_the_version_follows_the_content(own: Path):
    built = build_dashboard(own, TRACKER)
    crop = crops_of(own)[0]
    Store(own).picture("thumbs", crop.crop_id, ".webp").unlink()
    assert build_dashboard(own, TRACKER).version != built.version


@pytest.mark.parametrize("damage", ["missing", "truncated", "other", "empty"])
@pytest.mark.parametrize("kind", ["thumbs", "crops", "frame_thumbs"])
def test_pictures_that_cannot_be_decoded_are_listed(own: Path, kind: str, damage: str):
    build_dashboard(own, TRACKER)
    crop = next(crop for crop in crops_of(own) if crop.has_picture)
    name = crop.frame_sha256 if kind == "frame_thumbs" else crop.crop_id
    path = Store(own).picture(kind, name, ".png" if kind == "crops" else ".webp")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[: len(content) // 2], "other": b"<svg/>", "empty": b""}[damage])
    built = build_dashboard(own, TRACKER)
    assert [(p.kind, p.name, p.dataset) for p in built.problems] == [(kind, name, dataset_slug(JAPANESE))]
    assert built.problems[0].reason == "the file is missing" if damage == "missing" else "cannot be decoded"
    path.write_bytes(content)
    assert build_dashboard(own, TRACKER).problem_count == 0


def test_pictures_are_decoded_once_and_again_when_they_changed(own: Path, monkeypatch: pytest.MonkeyPatch):
    decoded: list[Path] = []
    fault = picture_check.picture_fault
    monkeypatch.setattr(picture_check, "picture_fault", lambda path: decoded.append(path) or fault(path))
    first = build_dashboard(own, TRACKER)
    assert len(decoded) == first.pictures_checked
    build_dashboard(own, TRACKER)
    assert len(decoded) == first.pictures_checked
    path = Store(own).picture("thumbs", crops_of(own)[0].crop_id, ".webp")
    os.utime(path, ns=(1, 1))
    build_dashboard(own, TRACKER)
    assert decoded[first.pictures_checked :] == [path]


def test_facts_that_were_not_told_are_empty(own: Path):
    store = Store(own)
    table = store.cell_table("masks", dataset_slug(JAPANESE), TRACKER)
    assert table is not None
    assert stage_facts("masks", None).made is False
    for told in (
        {},
        {"seconds": None, "weights": None, "settings": None, "run_id": None},
        {"weights": [{"name": "a", "sha256": "b", "starter": False}, "odd", {}], "computed": "7"},
    ):
        table.facts.clear()
        table.facts.update(told)
        facts = stage_facts("masks", table)
        assert facts.made
        assert (facts.run_id, facts.seconds, facts.settings, facts.computed) == ("", 0.0, {}, 0)
        assert [w.name for w in facts.weights] == (["a"] if told.get("weights") else [])


def test_an_unknown_tracker_and_a_damaged_dashboard_are_named(own: Path):
    with pytest.raises(SpecError, match="NO-SUCH"):
        build_dashboard(own, "NO-SUCH")
    with pytest.raises(SpecError):
        read_dashboard(own, "../x")
    assert read_dashboard(own, TRACKER) is None
    build_dashboard(own, TRACKER)
    dashboard_path(own, TRACKER).write_text("{}")
    with pytest.raises(StoreError, match="tracker_dashboard"):
        read_dashboard(own, TRACKER)


def test_a_damaged_table_is_an_error_and_not_a_zero(own: Path):
    cells = Cells(own)
    spec = cells.spec(TRACKER)
    path = cells.store.table_path("scored_crops", dataset_slug(JAPANESE), TRACKER)
    content = path.read_bytes()
    footer = 8 + int.from_bytes(content[-8:-4], "little")
    path.write_bytes(b"PAR1" + b"\0" * (len(content) - footer - 4) + content[-footer:])
    with pytest.raises(StoreError, match="scored_crops"):
        summarise(cells, spec)


def test_a_tracker_without_datasets_follows_every_folder(own: Path):
    write_tracker(own, TrackerSpec("ALL"))
    cells = Cells(own)
    assert {cell.name for cell in cells.of(cells.spec("ALL"))} == {JAPANESE, EVIL.replace("/", "")}
    assert cells.tracker_folders() >= {TRACKER, HALF_MADE}
    (own / "trackers" / f"{TRACKER}.toml").unlink()
    assert len(cells.of(cells.spec(TRACKER))) == 2


def test_a_picture_that_lies_there_twice_is_one_frame():
    import pyarrow as pa

    frames = pa.table(
        {
            "path": ["b.png", "a.png", "twin of b.png", "bad.png"],
            "sha256": ["b", "a", "b", None],
            "quarantine_reason": pa.array([None, None, None, "truncated"], pa.string()),
        }
    )
    assert distinct_frames(frames).column("path").to_pylist() == ["b.png", "a.png"]
    assert len(distinct_frames(frames.slice(3))) == 0

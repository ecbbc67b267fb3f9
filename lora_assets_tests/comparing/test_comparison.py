"""Trackers that are half made, damaged, older, gone or the same; verdicts; settings; words and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lora_assets.comparing import CompareSettings, Selection, compare_trackers, comparison_state
from lora_assets.comparing.baseline import against_baseline
from lora_assets.comparing.causes import HOWS
from lora_assets.comparing.changes import KINDS, Change
from lora_assets.comparing.comparison import Skipped, compare_settings
from lora_assets.comparing.details import crop_changes
from lora_assets.comparing.report import HOW_WORDS, change_text, comparison_json, skipped_text, summary_text
from lora_assets.specs import LIVE, SpecError, set_sealed, tracker_path
from lora_assets.store import Store, StoreError
from lora_assets.tables import Detection, Mask
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.comparing.cells import DATASET, TYPES, Crop, Recipes, publish, sha

BOX = (10.0, 10.0, 110.0, 210.0)


def test_a_tracker_against_itself_is_the_same(data):
    store = publish(data, "A", [Crop(1), Crop(2, score=0.3)])
    assert compare_trackers(store, "A", "A").counts["same"] == 2


def test_a_sealed_tracker_and_live_are_compared_like_any_other(data):
    publish(data, "A", [Crop(1)])
    set_sealed(data, "A", True)
    store = publish(data, LIVE, [Crop(1), Crop(2)])
    assert compare_trackers(store, "A", LIVE).counts["new"] == 1


def test_datasets_that_only_one_has_are_told(data):
    publish(data, "A", [Crop(1)], datasets=("film", "left"))
    publish(data, "A", [Crop(2)], dataset="left")
    store = publish(data, "B", [Crop(3)], dataset="right", datasets=("right",))
    found = compare_trackers(store, "A", "B")
    assert found.datasets == ()
    assert found.counts == {"worse": 0, "gone": 0, "new": 0, "better": 0, "same": 0}
    assert found.skipped == (
        Skipped("absent", "film", "film", "B"),
        Skipped("absent", "left", "left", "B"),
        Skipped("absent", "right", "right", "A"),
    )
    assert (found.worse_share, found.lost_share, len(found.select(Selection()))) == (0.0, 0.0, 0)


def test_causes_are_joined_over_datasets(data):
    names = ("film", "other")
    for name in names:
        publish(data, "A", [Crop(name, BOX)], dataset=name, datasets=names)
        publish(data, "B", [Crop(name, BOX, 0.3)], recipes=Recipes(score={"high": 0.9}), dataset=name, datasets=names)
    found = compare_trackers(Store(data), "A", "B")
    assert [cause.counts for cause in found.causes] == [{"worse": 2}]
    listed = crop_changes(found, found.select(Selection(dataset="other")))
    assert [crop.dataset for crop in listed] == ["other"]
    assert len(found.select(Selection(dataset="unknown"))) == 0


@pytest.mark.parametrize("missing", [("scored_crops",), ("masks", "scored_crops")])
def test_a_tracker_whose_crops_are_not_made_yet_loses_nothing(data, missing):
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1)], leave_out=missing)
    found = compare_trackers(store, "A", "B")
    assert found.skipped == (Skipped("not_made", DATASET, DATASET, "B"),)
    assert found.counts["gone"] == 0


@pytest.mark.parametrize(
    ("missing", "stage"), [(("detections",), "detection"), (("masks",), "mask"), (("frames",), "scoring")]
)
def test_an_earlier_table_that_is_gone_makes_the_cause_unknown(data, missing, stage):
    """Boxes are then the windows of the crops."""
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1, score=0.3)], leave_out=missing)
    found = compare_trackers(store, "A", "B")
    [cause] = found.causes
    assert cause.key.stage == stage
    assert [change.kind for change in cause.key.changes] == ["nothing" if stage == "scoring" else "unknown"]


def test_without_a_list_of_frames_nobody_says_that_a_frame_was_removed(data):
    publish(data, "A", [Crop(1, confidence=0.3), Crop(2)])
    store = publish(data, "B", [Crop(2)], recipes=Recipes(detect={"conf": 0.5}), leave_out=("frames",))
    [cause] = compare_trackers(store, "A", "B").causes
    assert cause.hows == {"below_conf": 1}


def test_rows_of_a_detection_that_was_made_anew_are_unknown(data):
    """The detections of B were published again, its crops are still the ones before."""
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1, score=0.3)])
    path = store.table_path("detections", DATASET, "B")
    facts = store.published(path).facts
    store.publish(path, Detection, [pq.read_table(path).slice(0, 0).replace_schema_metadata(None)], "2", facts)
    [cause] = compare_trackers(store, "A", "B").causes
    assert cause.key.changes == (Change("detection", "unknown"),)


def test_tables_of_an_earlier_version_are_compared_by_the_columns_that_both_have(data):
    publish(data, "A", [Crop(1), Crop(2, mask=b"a")])
    recipes = Recipes(refine={"preset": "fine"})
    store = publish(data, "B", [Crop(1), Crop(2, score=0.3, mask=b"b")], recipes=recipes)
    for stage, dropped in (
        ("detections", ["agreement", "detectors", "detector_confidences", "prepared"]),
        ("masks", ["holes", "matting"]),
        ("scored_crops", ["extracted_again", "second_rle", "bar_share"]),
    ):
        path = store.table_path(stage, DATASET, "A")
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(dropped), path)
    found = compare_trackers(store, "A", "B")
    assert found.counts["same"] == 1
    [crop] = crop_changes(found, found.select(Selection()))
    assert (crop.change, crop.stage) == ("worse", "mask")


@pytest.mark.parametrize(("stage", "cut"), [(stage, 4) for stage in TYPES] + [("masks", -6)])
def test_a_damaged_table_is_named(data, stage, cut):
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1)])
    path = store.table_path(stage, DATASET, "B")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match=rf"{stage}/B/{DATASET}\.parquet is damaged.* again"):
        compare_trackers(store, "A", "B")


@pytest.mark.parametrize(
    "facts",
    [
        {"settings": None, "weights": "x", "parent": 7, "recipe": None, "dropped_frames": [1], "runtime": {}},
        {"settings": [1], "weights": [None, {"name": 3}], "parent": "../../../etc/x", "segments_recipe": "../x"},
        {"parent": "0" * 16, "code_version": None},
    ],
)
def test_facts_of_another_hand_break_nothing(data, facts):
    publish(data, "A", [Crop(1), Crop(2, mask=b"a"), Crop(3, BOX)])
    after = [Crop(1, score=0.2), Crop(2, score=0.2, mask=b"b"), Crop(3, (12.0, 10.0, 110.0, 210.0), 0.2), Crop(4)]
    store = publish(data, "B", after, [(f"{n}.png", n) for n in range(1, 5)], facts=facts)
    for names in (("A", "B"), ("B", "A")):
        found = compare_trackers(store, *names)
        assert len(json.dumps(comparison_json(found))) > 100
        assert sum(cause.total for cause in found.causes) == 4


def test_a_tracker_that_is_not_there(data):
    store = publish(data, "A", [Crop(1)])
    for names in (("A", "NO"), ("NO", "A")):
        with pytest.raises(SpecError, match="there is no tracker NO"):
            compare_trackers(store, *names)
    with pytest.raises(SpecError, match="does not fit"):
        comparison_state(store, "../A", "A")


def test_a_tracker_whose_file_is_gone_is_compared_by_its_tables(data):
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1)])
    tracker_path(data, "B").unlink()
    assert compare_trackers(store, "A", "B").counts["same"] == 1


def test_trackers_without_any_table(data):
    store = publish(data, "A", [], leave_out=tuple(TYPES))
    [skipped] = compare_trackers(store, "A", "A").skipped
    assert skipped_text(skipped) == "neither tracker has made anything yet"


# --- verdicts --------------------------------------------------------------------------------------------------------


def said(data: Path, value: str, crop: Crop) -> None:
    with open_log(data) as log:
        log.append(Mark("A", DATASET, sha(crop.frame), crop.box, crop.crop_id, value, f"r-{value}-{crop.crop_id}"))


@pytest.mark.parametrize(
    ("value", "before", "after", "change"),
    [
        ("good", 0.9, 0.3, "worse"),
        ("good", 0.3, 0.9, "better"),
        ("bad", 0.9, 0.3, "better"),
        ("bad", 0.3, 0.9, "worse"),
        ("exclude", 0.9, 0.3, "same"),
        ("cleared", 0.9, 0.3, "worse"),
    ],
)
def test_a_verdict_counts_in_both_trackers(data, value, before, after, change):
    publish(data, "A", [Crop(1, score=before)])
    store = publish(data, "B", [Crop(1, score=after)], recipes=Recipes(score={"high": 0.9}))
    said(data, value, Crop(1))
    found = compare_trackers(store, "A", "B")
    assert found.counts[change] == 1
    [crop] = crop_changes(found, found.select(Selection(change=change)))
    expected = "" if value == "cleared" else value
    assert crop.before is not None
    assert crop.after is not None
    assert (crop.before.verdict, crop.after.verdict) == (expected, expected)


def test_boxes_with_the_same_pixels_share_their_crops_verdict(data):
    again = {"crop_id": Crop(1).crop_id}
    crops = [Crop(1), Crop(1, (12.0, 10.0, 112.0, 210.0), more=again)]
    store = publish(data, "A", crops)
    said(data, "good", Crop(1))
    found = compare_trackers(store, "A", "A")
    told = crop_changes(found, found.select(Selection(change="same")))
    assert [crop.after.verdict for crop in told if crop.after] == ["good", "good"]


def test_a_verdict_that_the_moved_box_lost_is_the_cause(data):
    """The rules say the same of both; the person's word fits the box before (IoU 0.83), not the one after (0.76)."""
    publish(data, "A", [Crop(1, (20.0, 10.0, 110.0, 210.0), 0.3)])
    moved = Crop(1, (28.0, 10.0, 110.0, 210.0), 0.3)
    store = publish(data, "B", [moved], recipes=Recipes(detect={"iou": 0.6}))
    said(data, "good", Crop(1, (2.0, 10.0, 110.0, 210.0)))
    found = compare_trackers(store, "A", "B")
    [crop] = crop_changes(found, found.select(Selection()))
    assert (crop.change, crop.stage, crop.how) == ("worse", "verdict", "verdict")
    [cause] = found.causes
    assert cause.key.changes == (
        Change("verdict", "verdict"),
        Change("detection", "setting", "iou", "0.45", "0.6"),
    )


def test_nothing_is_made_where_nobody_said_a_word(data):
    store = publish(data, "A", [Crop(1)])
    compare_trackers(store, "A", "A")
    assert not (data / "verdicts").exists()


def test_the_state_changes_with_tables_and_verdicts(data):
    publish(data, "A", [Crop(1)])
    store = publish(data, "B", [Crop(1)])
    states = [comparison_state(store, "A", "B"), comparison_state(store, "A", "B")]
    assert states[0] == states[1]
    said(data, "good", Crop(1))
    states.append(comparison_state(store, "A", "B"))
    publish(data, "B", [Crop(1, score=0.1)])
    states.append(comparison_state(store, "A", "B"))
    (data / "datasets").mkdir()
    (data / "datasets" / "film.toml").write_text(f'name = "第03話"\nfolder = "{data}"\n')
    states.append(comparison_state(store, "A", "B"))
    assert compare_trackers(store, "A", "B").datasets[0].name == "第03話"
    assert len(set(states)) == 4


# --- settings, baseline, words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{"least_difference": -0.1}, {"same_box": 0}, {"warn_worse": "a"}, {"warn_lost": 0.5, "block_lost": 0.2},
     {"block_worse": float("nan")}, {"warn_worse": True}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        CompareSettings(**given)


def test_the_section_of_the_later_tracker_counts(data):
    publish(data, "A", [Crop(1, score=0.9)])
    store = publish(data, "B", [Crop(1, score=0.85)], settings={"compare": {"least_difference": 0.1}})
    assert compare_settings(data, "B").least_difference == 0.1
    assert compare_trackers(store, "A", "B").counts["same"] == 1
    assert compare_trackers(store, "B", "A").counts["better"] == 1


@pytest.mark.parametrize(
    ("worse", "gone", "warns", "blocks", "text"),
    [
        (0, 0, False, False, "B against A: 0 worse, 0 gone"),
        (1, 0, True, False, "5.0% worse is more than warn_worse 2.0%"),
        (8, 0, True, True, "40.0% worse is more than block_worse 10.0%"),
        (0, 2, True, False, "10.0% lost is more than warn_lost 5.0%"),
        (0, 9, True, True, "45.0% lost is more than block_lost 20.0%"),
    ],
)
def test_a_baseline_warns_and_blocks_by_shares(data, worse, gone, warns, blocks, text):
    publish(data, "A", [Crop(n) for n in range(20)])
    after = [Crop(n, score=0.3 if n < worse else 0.9) for n in range(20 - gone)]
    store = publish(data, "B", after, baseline="A", recipes=Recipes(code={"scored_crops": "2"}))
    found = against_baseline(store, "B")
    assert (found.warns, found.blocks, found.baseline) == (warns, blocks, "A")
    assert text in found.text
    assert found.numbers["worse"] == worse
    assert found.numbers["gone"] == gone
    assert ("code 1 -> 2" in found.causes) == bool(worse)


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        ("", "names no baseline"),
        ("B", "names itself"),
        ("LOST", "the baseline of B is gone"),
        ("EMPTY", "nothing can be compared with EMPTY"),
    ],
)
def test_without_a_baseline_the_finding_says_so(data, baseline, text):
    publish(data, "EMPTY", [], leave_out=tuple(TYPES))
    store = publish(data, "B", [Crop(1)], baseline=baseline)
    found = against_baseline(store, "B")
    assert (found.warns, found.blocks, found.baseline, found.numbers) == (False, False, "", {})
    assert text in found.text


def test_the_json_is_complete_and_stable(data):
    frames = [(f"{number}.png", number) for number in (1, 2, 3)]
    publish(data, "A", [Crop(1), Crop(2), Crop(3, confidence=0.3)], frames)
    after = [Crop(1, score=0.4, flags=(("blurred", 0.1, 0.3),)), Crop(2)]
    store = publish(data, "B", after, frames, Recipes(detect={"conf": 0.4}, score={"high": 0.85}))
    told = comparison_json(compare_trackers(store, "A", "B"))
    assert json.loads(json.dumps(told)) == json.loads(json.dumps(comparison_json(compare_trackers(store, "A", "B"))))
    assert told["counts"] == {"worse": 1, "gone": 1, "new": 0, "better": 0, "same": 1}
    assert [crop["change"] for crop in told["crops"]] == ["worse", "gone"]
    worse, gone = told["crops"]
    assert worse["before"]["path"] == "1.png"
    assert worse["flags"] == [{"name": "blurred", "appeared": True, "value": 0.1, "limit": 0.3}]
    assert worse["score_change"] == pytest.approx(-0.5)
    assert (gone["after"], gone["how"], gone["differences"][0]["before"]) == (None, "below_conf", 0.3)
    assert [cause["text"] for cause in told["causes"]] == [
        "detection conf 0.25 -> 0.4 (recipe of scoring differs too)",
        "scoring high 0.8 -> 0.85",
    ]
    assert told["causes"][gone["cause"]]["ways"] == {"below_conf": 1}
    assert len(comparison_json(compare_trackers(store, "A", "B"), limit=1)["crops"]) == 1
    only = comparison_json(compare_trackers(store, "A", "B"), Selection(change="same"))["crops"]
    assert [crop["cause"] for crop in only] == [-1]


def test_every_kind_and_way_has_words():
    contents = ("bytes", "removed", "added", "quarantined", "unreadable")
    for kind in KINDS:
        for name in contents if kind == "content" else ("x",):
            assert change_text(Change("mask", kind, name, "1", "2"))
    assert set(HOW_WORDS) == set(HOWS) - {""}


def test_the_summary_counts_everything(data):
    store = publish(data, "A", [Crop(n) for n in range(3)])
    assert summary_text(compare_trackers(store, "A", "A")) == "A against A: 0 worse, 0 gone, 0 new, 0 better, 3 same"


def test_masks_of_a_crop_are_told_by_their_numbers(data):
    publish(data, "A", [Crop(1, mask=b"a")])
    store = publish(data, "B", [Crop(1, mask=b"b", score=0.2)])
    path = store.table_path("masks", DATASET, "B")
    table = pq.read_table(path)
    changed = table.set_column(table.column_names.index("area"), table.schema.field("area"), [[700]])
    store.publish(path, Mask, [changed.replace_schema_metadata(None)], "2", store.published(path).facts)
    found = compare_trackers(store, "A", "B")
    [crop] = crop_changes(found, found.select(Selection()))
    assert [(one.name, one.before, one.after) for one in crop.differences if one.stage == "mask"] == [
        ("area", 1000, 700)
    ]

"""When a judge is due: by what the log holds beyond the last judge's row, and by nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.judge.making import make_judge
from lora_assets.judge.renewal import (
    CURATED,
    JUDGE,
    JudgeDue,
    ReviewSettings,
    followers,
    judge_due,
    judges_due,
    note_row,
    noted_row,
    read_review_settings,
    renewal_state,
)
from lora_assets.specs import SpecError, TrackerSpec, set_sealed, write_tracker
from lora_assets.store import Store
from lora_assets.verdicts import Verdict, VerdictLog, open_log
from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops
from lora_assets_tests.verdicts.marks import a_mark

FRAMES = ["a" * 64, "b" * 64]


def due_of(store: Store, log: VerdictLog, trackers: list[str], chosen: ReviewSettings, *assets: str) -> list[JudgeDue]:
    return judges_due(store, log, followers(store, log.last_row(), trackers, assets or (JUDGE,)), chosen)


@settings(deadline=None, max_examples=60)
@given(
    said=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["good", "bad", "cleared"]), st.integers(0, 1))),
    after=st.integers(1, 6),
)
def test_so_many_crops_of_its_frames_make_it_due_and_one_state_has_one_key(said, after):
    rows = [
        Verdict(a_mark(value, f"c{frame}{crop}", frame_sha256=FRAMES[frame]), "", None) for crop, value, frame in said
    ]
    here = {crop for crop, _, frame in said if frame == 0}
    due = judge_due("T1", 7, rows, {FRAMES[0]}, after)
    assert (due is not None) is (len(here) >= after)
    if due is None:
        return
    assert due.marked == len(here)
    assert due == judge_due("T1", 7, [*rows, *rows], {FRAMES[0]}, after)
    assert due.key != judge_due("T1", 8, rows, {FRAMES[0]}, after).key  # pyright: ignore
    more = [dataclasses.replace(row, mark=dataclasses.replace(row.mark, crop_id=f"{row.crop_id}x")) for row in rows]
    assert due.key != judge_due("T1", 7, [*rows, *more], {FRAMES[0]}, after).key  # pyright: ignore


def test_a_judge_is_due_until_it_is_made_and_again_after_so_many_more(data):
    reviewed = make_cell(data)
    store, chosen = Store(data), ReviewSettings(rerun_after=10)
    with open_log(data) as log:
        assert due_of(store, log, [TRACKER], chosen) == []
        mark_crops(log, reviewed[:9])
        assert due_of(store, log, [TRACKER], chosen) == []
        mark_crops(log, reviewed[9:12])
        (due,) = due_of(store, log, [TRACKER, "NO-CROPS"], chosen)
        assert (due.tracker, due.marked) == (TRACKER, 12)
        assert due_of(store, log, [TRACKER], chosen) == [due]
        make_judge(store, log, TRACKER)
        assert noted_row(store, TRACKER) == log.last_row() == 12
        assert due_of(store, log, [TRACKER], chosen) == []
        mark_crops(log, reviewed[12:22])
        (again,) = due_of(store, log, [TRACKER], chosen)
        assert again.key != due.key


def test_marks_on_frames_of_other_trackers_do_not_count(data):
    make_cell(data)
    with open_log(data) as log:
        log.append(*(a_mark("good", f"c{number}") for number in range(30)))
        assert due_of(Store(data), log, [TRACKER], ReviewSettings(rerun_after=1)) == []


def test_curation_that_failed_stays_due_under_the_same_key_until_it_is_noted(data):
    reviewed = make_cell(data)
    store, chosen = Store(data), ReviewSettings(rerun_after=10)
    with open_log(data) as log:
        mark_crops(log, reviewed[:12])
        (due,) = due_of(store, log, [TRACKER], chosen, JUDGE, CURATED)
        make_judge(store, log, TRACKER)
        assert due_of(store, log, [TRACKER], chosen, JUDGE, CURATED) == [due]
        assert due_of(store, log, [TRACKER], chosen, JUDGE) == []
        note_row(store, TRACKER, 12, CURATED)
        assert due_of(store, log, [TRACKER], chosen, JUDGE, CURATED) == []
        assert noted_row(store, TRACKER) == 12


def test_a_note_beyond_a_restored_log_counts_as_none_and_asks_under_a_new_key(data):
    reviewed = make_cell(data)
    store, chosen = Store(data), ReviewSettings(rerun_after=10)
    with open_log(data) as log:
        mark_crops(log, reviewed[:12])
        (first,) = due_of(store, log, [TRACKER], chosen)
        note_row(store, TRACKER, 100)
        (due,) = due_of(store, log, [TRACKER], chosen)
        assert (due.marked, due.key != first.key) == (12, True)


def test_a_sealed_tracker_follows_the_marks_of_its_own_pages_only(data):
    reviewed = make_cell(data)
    write_tracker(data, TrackerSpec("T2", ("film",)))
    store, chosen = Store(data), ReviewSettings(rerun_after=10)
    for stage in ("frames", "detections", "masks", "scored_crops"):
        folder = store.table_path(stage, "film", TRACKER).parent
        folder.with_name("T2").symlink_to(folder)
    with open_log(data) as log:
        mark_crops(log, reviewed[:12])
        assert [due.tracker for due in due_of(store, log, [TRACKER, "T2"], chosen)] == [TRACKER, "T2"]
        set_sealed(data, "T2", True)
        set_sealed(data, TRACKER, True)
        assert [due.tracker for due in due_of(store, log, [TRACKER, "T2"], chosen)] == [TRACKER]


def test_the_state_changes_with_log_notes_tables_seal_and_setting(data):
    make_cell(data)
    store, chosen = Store(data), ReviewSettings()

    def state(last_row: int = 5, settings: ReviewSettings = chosen) -> str:
        return renewal_state(store, last_row, followers(store, last_row, [TRACKER], (JUDGE,)), settings)

    seen = [state()]
    assert state() == seen[0]
    seen += [state(6), state(settings=ReviewSettings(rerun_after=3))]
    note_row(store, TRACKER, 2)
    seen.append(state())
    set_sealed(data, TRACKER, True)
    seen.append(state())
    make_cell(data, seed=1)
    seen.append(state())
    assert len(set(seen)) == len(seen)


def test_the_number_is_a_setting(data):
    assert read_review_settings(data).rerun_after == 20
    path = data / "settings.toml"
    path.write_text("[verdicts]\nrerun_after = 5\n")
    assert read_review_settings(data).rerun_after == 5
    for text, words in (
        ("[verdicts]\nrerun_after = 0", "whole number from 1"), ("[verdicts]\nrerun_after = true", "whole number"),
        ("[verdicts]\nafter = 3", "after"), ("[verdicts", "verdicts"), ("verdicts = 3", "verdicts"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(SpecError, match=words):
            read_review_settings(data)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"row": "x"}', '{"row": null}'])
def test_a_damaged_note_of_the_row_makes_the_judge_anew(data, content):
    make_cell(data)
    path = data / "tables" / "judge" / TRACKER / "log_row.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert noted_row(Store(data), TRACKER) == 0

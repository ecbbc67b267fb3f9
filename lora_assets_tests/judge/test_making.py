from __future__ import annotations

import pytest

from lora_assets.judge.learning import JudgeSettings
from lora_assets.judge.making import crop_rows, judge_path, judge_tracker, make_judge, picture_path, read_judge
from lora_assets.specs import SpecError
from lora_assets.store import Store, StoreError
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.judge.cells import DATASET, TRACKER, make_cell, mark_crops, sha

QUICK = JudgeSettings(resamples=60, folds=3)


@pytest.fixture
def log(data):
    with open_log(data) as opened:
        yield opened


def test_a_judge_is_learned_from_the_log_and_kept(data, log):
    reviewed = make_cell(data)
    mark_crops(log, reviewed)
    store = Store(data)
    made = make_judge(store, log, TRACKER, QUICK)
    assert made.judge.active, made.judge.report.reason
    assert made.judge.report.effects[0].name == "mask.stability"
    assert made.judge.report.groups == 60  # two crops of a frame are one group
    assert read_judge(store, TRACKER) == made.judge
    assert picture_path(store, TRACKER).read_bytes().startswith(b"\x89PNG")
    assert make_judge(store, log, TRACKER, QUICK).digest == made.digest
    assert made.numbers()["active"] == 1.0
    assert made.numbers()["gain_low"] > 0


def test_it_says_of_every_crop_what_it_thinks(data, log):
    reviewed = make_cell(data)
    store = Store(data)
    assert judge_tracker(store, TRACKER) == {}
    mark_crops(log, reviewed[:80])
    make_judge(store, log, TRACKER, QUICK)
    said = judge_tracker(store, TRACKER)
    assert list(said) == [crop for crop, _ in reviewed]
    sure = [(said[crop].p_good > 0.5) == good for crop, good in reviewed[80:] if not said[crop].abstained]
    assert sum(sure) / len(sure) > 0.8


def test_exclude_and_cleared_teach_nothing_and_lost_verdicts_are_told(data, log):
    reviewed = make_cell(data)
    store = Store(data)
    mark_crops(log, reviewed[:30])
    before = make_judge(store, log, TRACKER, QUICK)
    box = (0.0, 0.0, 5.0, 5.0)
    log.append(
        Mark(TRACKER, DATASET, sha(40), (10.0, 5.0, 110.0, 170.0), "crop00400", "exclude", "e1"),
        Mark(TRACKER, DATASET, sha(41), (10.0, 5.0, 110.0, 170.0), "crop00410", "cleared", "e2"),
        Mark("OTHER", DATASET, sha(41), box, "small", "good", "e3"),
        Mark("OTHER", DATASET, "f" * 64, box, "gone", "bad", "e4"),
    )
    after = make_judge(store, log, TRACKER, QUICK)
    assert after.judge.report.verdicts == before.judge.report.verdicts == 30
    assert after.judge.model == before.judge.model
    assert {lost["crop"] for lost in after.unmatched()} == {"small", "gone"}
    assert after.numbers()["unmatched"] == 2.0


def test_a_cleared_crop_does_not_get_back_what_was_said_of_it_before_it_was_cut_anew(data, log):
    make_cell(data)
    box = (10.0, 5.0, 110.0, 170.0)
    log.append(
        Mark(TRACKER, DATASET, sha(3), box, "before", "good", "b1"),
        Mark(TRACKER, DATASET, sha(3), box, "crop00030", "cleared", "b2"),
    )
    made = make_judge(Store(data), log, TRACKER, QUICK)
    assert made.judge.report.verdicts == 0
    assert made.matching.matched == ()
    assert [lost["crop"] for lost in made.unmatched()] == ["before"]


def test_what_is_no_tracker_id_names_no_folder(data, log):
    with pytest.raises(SpecError, match="does not fit"):
        make_judge(Store(data), log, "../../elsewhere", QUICK)
    assert not (data.parent / "elsewhere").exists()


def test_verdicts_of_another_tracker_on_the_same_pixels_count(data, log):
    make_cell(data)
    log.append(Mark("OTHER", DATASET, sha(3), (12.0, 5.0, 111.0, 170.0), "anothername", "good", "o1"))
    made = make_judge(Store(data), log, TRACKER, QUICK)
    assert made.judge.report.verdicts == 1
    assert made.matching.matched[0].place.crop_id == "crop00030"


def test_a_tracker_without_crops_has_a_judge_that_says_so(data, log):
    made = make_judge(Store(data), log, TRACKER, QUICK)
    assert "0 verdicts" in made.judge.report.reason


def test_rows_carry_the_figures_of_mask_and_frame_where_they_are(data):
    make_cell(data)
    store = Store(data)
    row = crop_rows(store, DATASET, TRACKER)[0]
    assert {"mask.stability", "mask.coverage", "frame.sharpness", "score"} <= set(row)
    store.table_path("masks", DATASET, TRACKER).unlink()
    assert "mask.stability" not in crop_rows(store, DATASET, TRACKER)[0]
    assert crop_rows(store, "nothing", TRACKER) == []


def test_a_damaged_judge_is_told_with_the_way_out(data, log):
    make_cell(data)
    store = Store(data)
    make_judge(store, log, TRACKER, QUICK)
    assert read_judge(store, "OTHER") is None
    judge_path(store, TRACKER).write_text("{")
    with pytest.raises(StoreError, match="lora-assets judge --tracker T1"):
        read_judge(store, TRACKER)

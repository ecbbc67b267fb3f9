"""Learning as a whole: what it finds, when it speaks, what it does with little and with bad input."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from lora_assets.judge import report
from lora_assets.judge.drawing import draw_report
from lora_assets.judge.judging import OUTSIDE, UNSURE, CropJudgement, judge_probabilities, least_sure_order
from lora_assets.judge.kept import judge_digest, judge_from_json, judge_to_json
from lora_assets.judge.learning import JudgeSettings, learning_curve
from lora_assets.judge.report import learn
from lora_assets_tests.judge.cells import drawn_rows

QUICK = JudgeSettings(resamples=100, folds=3)


def _learn_with_whole_curve(rows, labels, groups):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "learning_curve", learning_curve)
        return learn(rows, labels, groups, QUICK)


@pytest.fixture(scope="module")
def judged():
    rows, labels, groups = drawn_rows(120)
    return rows, labels, groups, _learn_with_whole_curve(rows, labels, groups)


def test_it_finds_what_the_reviewer_looks_at(judged):
    *_, judge = judged
    assert judge.active, judge.report.reason
    assert judge.report.comparison.judge > judge.report.comparison.rules + 0.1
    assert judge.report.effects[0].name == "sharpness_of_outline"
    assert "speaks for good" in judge.report.effects[0].words
    assert "x" not in {effect.name for effect in judge.report.effects}


def test_it_is_right_on_crops_that_it_has_not_seen(judged):
    *_, judge = judged
    rows, labels, _ = drawn_rows(400, seed=9)
    said = judge_probabilities(judge.model, rows)
    sure = [(one.p_good > 0.5) == bool(label) for one, label in zip(said, labels, strict=True) if not one.abstained]
    assert np.mean(sure) > 0.85
    p_good = np.array([one.p_good for one in said])
    assert abs(p_good.mean() - np.mean(labels)) < 0.1


def test_equal_inputs_give_an_equal_judge_and_others_another_digest(judged):
    rows, labels, groups, judge = judged
    again = _learn_with_whole_curve(rows, labels, groups)
    assert judge_to_json(again) == judge_to_json(judge)
    assert judge_digest(again) == judge_digest(judge)
    turned = _learn_with_whole_curve(rows, [1 - labels[0], *labels[1:]], groups)
    assert judge_digest(turned) != judge_digest(judge)


def test_it_is_kept_as_plain_numbers(judged):
    *_, judge = judged
    text = json.dumps(judge_to_json(judge), allow_nan=False)
    assert judge_from_json(json.loads(text)) == judge


@pytest.mark.parametrize("change", [{"format": 99}, {"model": {}}, {"report": {}}, {"settings": {"colour": 1}}])
def test_json_of_another_format_is_refused(judged, change):
    told = judge_to_json(judged[3]) | change
    with pytest.raises(ValueError, match=r"format|missing"):
        judge_from_json(told)


@pytest.mark.parametrize(
    ("count", "label", "reason"),
    [
        (0, None, "0 verdicts; 10 are needed"),
        (9, None, "9 verdicts; 10 are needed"),
        (40, 1, "all 40 verdicts say good: mark some bad crops as well"),
        (40, 0, "all 40 verdicts say bad: mark some good crops as well"),
    ],
)
def test_too_little_to_learn_from_is_told(count, label, reason):
    rows, labels, groups = drawn_rows(count)
    judge = learn(rows, [label] * count if label is not None else labels, groups, QUICK)
    assert judge.model is None
    assert not judge.active
    assert reason in judge.report.reason
    assert judge_from_json(json.loads(json.dumps(judge_to_json(judge)))) == judge


def test_verdicts_of_one_shot_teach_nothing_that_could_be_tried():
    rows, labels, _ = drawn_rows(60)
    judge = learn(rows, labels, ["shot"] * 60, QUICK)
    assert judge.model is None
    assert "come from 1 shots" in judge.report.reason


def test_a_few_verdicts_give_a_model_that_does_not_take_part():
    rows, labels, groups = drawn_rows(24)
    judge = learn(rows, labels, groups, QUICK)
    assert judge.model is not None
    assert not judge.active
    assert "15 of each are needed" in judge.report.reason


@pytest.mark.slow
def test_a_reviewer_who_throws_dice_makes_no_active_judge():
    rows, _, groups = drawn_rows(150)
    active = []
    for seed in range(4):
        labels = np.random.default_rng(seed).integers(0, 2, 150).tolist()
        active.append(learn(rows, labels, groups, QUICK).active)
    assert sum(active) == 0


def test_a_reviewer_who_follows_the_rules_makes_no_active_judge():
    rows, _, groups = drawn_rows(150)
    judge = learn(rows, [int(row["score"] > 0.6) for row in rows], groups, QUICK)
    assert not judge.active
    assert judge.report.comparison.judge > 0.9  # it learned them all the same


def test_gaps_and_nans_do_not_stop_it():
    rows, labels, groups = drawn_rows(100)
    for number, row in enumerate(rows):
        if number % 3 == 0:
            row["sharpness_of_outline"] = (None, math.nan, math.inf)[number % 9 // 3]
        if number % 4 == 0:
            del row["width"]
    judge = learn(rows, labels, groups, QUICK)
    json.dumps(judge_to_json(judge), allow_nan=False)
    said = judge_probabilities(judge.model, [*rows, {}])
    assert all(0.0 <= one.p_good <= 1.0 for one in said)


def test_columns_that_a_row_does_not_have_make_it_abstain(judged):
    rows, *_, judge = judged
    (whole,) = judge_probabilities(judge.model, rows[:1])
    (gone,) = judge_probabilities(judge.model, [{k: v for k, v in rows[0].items() if k != "sharpness_of_outline"}])
    assert whole.abstained != OUTSIDE
    assert gone.abstained == OUTSIDE
    assert gone.tier == rows[0]["tier"]


@pytest.mark.parametrize(
    "change",
    [
        {"character_count": 4},
        {"flags": ["flat"], "flag_values": [1.0], "flag_limits": [3.0]},
        {"body_completeness": 0.4},
    ],
)
def test_what_nobody_judged_makes_it_abstain(judged, change):
    rows, *_, judge = judged
    assert judge_probabilities(judge.model, [rows[0] | change])[0].abstained == OUTSIDE


def test_a_judge_that_may_move_no_crop_is_not_better_than_the_rules():
    rows, labels, groups = drawn_rows(120)
    judge = learn([row | {"is_valid_content": False} for row in rows], labels, groups, QUICK)
    assert judge.model is not None
    assert not judge.active
    assert judge.report.comparison.difference == 0.0
    assert judge.report.curve[0][1] == judge.report.comparison.rules


def test_a_veto_of_the_rules_stands(judged):
    rows, *_, judge = judged
    best = max(rows, key=lambda row: row["sharpness_of_outline"])
    free, vetoed = judge_probabilities(judge.model, [best, best | {"is_valid_content": False, "tier": "low"}])
    assert (free.tier, vetoed.tier) == ("high", "low")


def test_near_a_half_it_abstains(judged):
    rows, *_, judge = judged
    for one in judge_probabilities(judge.model, rows, JudgeSettings(unsure_band=0.2)):
        assert one.abstained in (None, UNSURE, OUTSIDE)
        assert (one.abstained is None) == (abs(one.p_good - 0.5) >= 0.2) or one.abstained == OUTSIDE


def test_the_queue_begins_where_the_judge_knows_least():
    said = [
        CropJudgement(0.9, None, "high"), CropJudgement(0.52, UNSURE, "low"), CropJudgement(0.99, OUTSIDE, "low"),
        CropJudgement(0.3, None, "low"),
    ]  # fmt: skip
    assert least_sure_order(said) == [2, 1, 3, 0]
    assert least_sure_order([]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"folds": 1},
        {"unsure_band": 0.5},
        {"interval": 1.0},
        {"least_verdicts": 1},
        {"outside_limit": 0.0},
        {"seed": -1},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="do not fit"):
        JudgeSettings(**wrong)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="one of each"):
        learn([{}], [1, 0], ["a"])


@pytest.mark.parametrize("count", [0, 24, 120])
def test_the_report_is_a_picture(count, judged):
    judge = judged[3] if count == 120 else learn(*drawn_rows(count), QUICK)
    png = draw_report(judge, "第03話-" + "x" * 80)
    assert png == draw_report(judge, "第03話-" + "x" * 80)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width == 1120
        assert len(picture.getcolors(100_000) or []) > 10

"""Tests of the scripts that fit the numbers inside the checks, on few scenes and on made-up signs."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.benchmarks import tier_critic, tier_heads, tier_lettering, tier_pieces, tier_regression
from lora_assets.benchmarks.tier_rules import Label, LabelledCrop
from lora_assets.benchmarks.tiers import drawn_crops
from lora_assets.vision.body_checks import CUT_HEAD, cut_probability
from lora_assets.vision.lettering import LINE_SIGNS, LINES, WORD_SIGNS, WORDS
from lora_assets.vision.piece_evidence import GROUND, GROUND_SIGNS, LOST, LOST_SIGNS, Evidence


@pytest.fixture(scope="module")
def crops() -> list[LabelledCrop]:
    return list(drawn_crops(12, 71))


def test_the_figure_of_a_crop_is_what_shows_the_character(crops: list[LabelledCrop]):
    for crop in crops:
        assert crop.figure.shape == crop.image.shape[:2]
        assert crop.figure.any() == (crop.kind != "thing")


def test_pieces_of_drawn_crops_come_with_their_truth(crops: list[LabelledCrop]):
    found = tier_pieces.collect(crops)
    for name, signs in (("LOST", LOST_SIGNS), ("GROUND", GROUND_SIGNS)):
        assert found[name]
        for _, (told, true) in found[name]:
            assert told.shape == (len(true), len(signs)) and np.isfinite(told).all()
    assert any(true.any() for _, (_, true) in found["GROUND"])


def test_signs_of_a_masks_defects_are_shares_of_the_crops_that_can_be_judged(crops: list[LabelledCrop]):
    found = tier_critic.collect(crops)
    for name, task in tier_critic.TASKS.items():
        assert 0 < len(found[name]) <= sum(not crop.label.hides_all for crop in crops)
        for known in found[name]:
            assert len(known.signs) == len(task.held.weights) and all(0.0 <= sign <= 1.0 for sign in known.signs)


def test_things_held_out_of_trainings_are_nobody(crops: list[LabelledCrop]):
    things = list(tier_critic.held_out_things(71, 4))
    assert things and all(crop.kind == "thing" and crop.label.hides_all and not crop.figure.any() for crop in things)
    line = tier_critic.thing_line(things, tier_critic.collect(crops)["BACKGROUND"])
    assert f"{len(things)} unknown things" in line and "clean characters" in line


def test_a_blend_follows_the_sign_that_tells_and_its_limits_lie_between_good_and_bad():
    rng = np.random.default_rng(5)
    task = tier_critic.TASKS["HOLES"]
    made = []
    for seed in range(300):
        hole = (0.0, 0.02, 0.3)[seed % 3]
        told = np.clip((hole + rng.normal(0.0, 0.01), rng.uniform(0.0, 0.1)), 0.0, 1.0)
        strengths = {"holes": hole} if hole else {}
        made.append(tier_critic.Known(Label(seed, "made", strengths), tuple(float(sign) for sign in told)))
    blend, told = tier_critic.learn(made, task)
    assert blend.weights[0] > 0.8 and sum(blend.weights) == pytest.approx(1.0, abs=1e-3)
    assert 0.0 < blend.limit < 0.3 and told["own"] > 0.9 > told["critic"] and told["both"] > 0.9
    lines = tier_critic.lines("HOLES", made, task)
    assert lines[0].startswith("HOLES = Blend((") and "holds others" in lines[1] and "300 crops" in lines[2]


def test_what_is_learned_of_pieces_is_calibrated_on_other_scenes():
    rng = np.random.default_rng(3)
    found = []
    for seed in range(200):
        signs = rng.normal(size=(4, 2))
        true = rng.random(4) < 1.0 / (1.0 + np.exp(-(2.0 * signs[:, 0] - 1.0)))
        found.append((seed, (signs, true)))
    learned = tier_pieces.learn(found)
    assert learned.evidence.weights[0] == pytest.approx(2.0, abs=0.5) and abs(learned.evidence.weights[1]) < 0.4
    assert learned.pieces == 800 and all(abs(told - true) < 0.2 for told, true, n in learned.calibration if n > 40)
    lines = tier_pieces.learned_lines("LOST", learned, LOST)
    assert lines[0].startswith("LOST = Evidence((") and "holds others" in lines[1]
    # What a script prints, put into the module, is what it finds there the next time.
    held = eval(lines[0].removeprefix("LOST = "), {"Evidence": Evidence})
    assert "holds these numbers" in tier_pieces.learned_lines("LOST", learned, held)[1]


@pytest.mark.parametrize(
    "evidence", [LOST, GROUND, Evidence(CUT_HEAD[:2], CUT_HEAD[2]), Evidence(*WORDS), Evidence(*LINES)]
)
def test_the_modules_hold_numbers_as_the_scripts_print_them(evidence: Evidence):
    line = tier_regression.evidence_line("X", evidence)
    assert eval(line.removeprefix("X = "), {"Evidence": Evidence}) == evidence


def test_a_regression_is_tried_on_scenes_that_it_was_not_fitted_on():
    rng = np.random.default_rng(11)
    signs, seeds = rng.normal(size=(300, 2)), np.repeat(np.arange(100), 3)
    true = signs[:, 0] > 0
    assert np.mean((tier_regression.on_other_scenes(signs, true, seeds) > 0) == true) > 0.95
    # The truth of a fold has no part in what is said of it.
    turned = np.where(seeds % 5 == 2, ~true, true)
    first, second = (tier_regression.on_other_scenes(signs, told, seeds)[seeds % 5 == 2] for told in (true, turned))
    assert np.array_equal(first, second)
    sure = np.abs(signs[:, 0]) > 0.1
    doubtful = np.where(sure, true, ~true)
    assert np.mean((tier_regression.on_other_scenes(signs, doubtful, seeds, sure) > 0) == true) > 0.95


def test_heads_are_cut_at_known_shares_and_told_by_the_edge_and_the_box():
    found = list(tier_heads.signs(41, 2))
    assert {share for _, share, _, _ in found} >= {0.2, 0.4}
    rng = np.random.default_rng(5)
    made = [
        (seed, share, float(np.clip(rng.normal(0.3 + 1.5 * share, 0.1), 0, 1)), float(rng.normal(1.1 - share, 0.05)))
        for seed in range(60) for share in tier_heads.SHARES
    ]  # fmt: skip
    lines = tier_heads.fit_lines(made, CUT_HEAD)
    chord, aspect, constant = eval(lines[0].removeprefix("CUT_HEAD = "))
    assert chord > 0 > aspect and "holds others" in lines[1] and "480 heads" in lines[2]
    assert "holds these numbers" in tier_heads.fit_lines(made, (chord, aspect, constant))[1]
    assert cut_probability(0.0, 0.5) == 0.0
    assert cut_probability(0.9, 0.85) > 0.5 > cut_probability(0.9, 1.3) and cut_probability(0.3, 1.1) < 0.01


def test_lettering_is_drawn_with_and_without_and_its_evidence_is_fitted():
    found = list(tier_lettering.candidates(41, 2))
    for kind, signs in (("lines", LINE_SIGNS), ("words", WORD_SIGNS)):
        some = [each for name, each in found if name == kind]
        assert {each.written for each in some} == {True, False}
        assert all(len(each.signs) == len(signs) for each in some)
    rng = np.random.default_rng(7)
    size = len(WORD_SIGNS)
    made = [
        tier_lettering.Candidate(seed, bool(seed % 2), rng.normal(3.0 * (seed % 2), 1.0, size)) for seed in range(120)
    ]
    lines = tier_lettering.fit_lines("WORDS", made, WORDS, 0.1, WORD_SIGNS)
    assert lines[0].startswith("WORDS = ((") and "holds others" in lines[1]
    assert all(sign in line for sign, line in zip(WORD_SIGNS, lines[2:], strict=False))
    weights, constant = eval(lines[0].removeprefix("WORDS = "))
    assert "holds these numbers" in tier_lettering.fit_lines("WORDS", made, (weights, constant), 0.1, WORD_SIGNS)[1]
    called = [int(line.split("): ")[1].split()[0]) for line in lines[3 + len(WORD_SIGNS) :]]
    assert called == sorted(called) and all("of 60 with lettering" in line for line in lines[-len(called) :])


def test_the_rarer_words_are_the_more_the_constant_is_lowered():
    made = [tier_lettering.Candidate(seed, seed % 4 == 0, np.zeros(1)) for seed in range(100)]
    assert tier_lettering.lowered(made, 0.25) == pytest.approx(0.0)
    assert tier_lettering.lowered(made, 0.05) == pytest.approx(np.log(19 / 3))

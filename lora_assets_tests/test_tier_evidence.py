"""Tests of the scripts that fit the numbers inside the checks, on few scenes and on made-up signs."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.benchmarks import tier_heads, tier_lettering, tier_pieces, tier_regression
from lora_assets.benchmarks.tier_rules import LabelledCrop
from lora_assets.benchmarks.tiers import drawn_crops
from lora_assets.vision import faint_words, outlined_lines
from lora_assets.vision.body_checks import CUT_HEAD, cut_probability
from lora_assets.vision.lettering import FAINT_WORD, OUTLINED_LINE
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
    "evidence", [LOST, GROUND, Evidence(CUT_HEAD[:2], CUT_HEAD[2]), Evidence(*FAINT_WORD), Evidence(*OUTLINED_LINE)]
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
    for kind, signs in (("line", outlined_lines.SIGNS), ("word", faint_words.SIGNS)):
        some = [each for name, each in found if name == kind]
        assert {each.written for each in some} == {True, False}
        assert all(each.signs is None or len(each.signs) == len(signs) for each in some)
    rng = np.random.default_rng(7)
    made = [
        tier_lettering.Candidate(seed, bool(seed % 2), rng.normal(3.0 * (seed % 2), 1.0, 12)) for seed in range(120)
    ]
    made.append(tier_lettering.Candidate(1, True, None))
    lines = tier_lettering.fit_lines("FAINT_WORD", made, FAINT_WORD, 0.1, faint_words.SIGNS)
    assert lines[0].startswith("FAINT_WORD = ((") and "holds others" in lines[1]
    assert all(sign in line for sign, line in zip(faint_words.SIGNS, lines[2:], strict=False))
    weights, constant = eval(lines[0].removeprefix("FAINT_WORD = "))
    assert "holds these numbers" in tier_lettering.fit_lines("FAINT_WORD", made, (weights, constant), 0.1)[1]
    called = [int(line.split("): ")[1].split()[0]) for line in lines[3 + len(faint_words.SIGNS) :]]
    assert called == sorted(called) and all("of 61 with lettering" in line for line in lines[-len(called) :])


def test_the_rarer_words_are_the_more_the_constant_is_lowered():
    made = [tier_lettering.Candidate(seed, seed % 4 == 0, None) for seed in range(100)]
    assert tier_lettering.lowered(made, 0.25) == pytest.approx(0.0)
    assert tier_lettering.lowered(made, 0.05) == pytest.approx(np.log(19 / 3))

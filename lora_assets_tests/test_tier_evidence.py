"""Tests of the scripts that fit the numbers inside the checks, on few scenes and on made-up signs."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.benchmarks import tier_heads, tier_lettering, tier_pieces
from lora_assets.benchmarks.tier_rules import LabelledCrop
from lora_assets.benchmarks.tiers import drawn_crops
from lora_assets.vision.body_checks import cut_probability
from lora_assets.vision.lettering import FAINT_WORD
from lora_assets.vision.piece_evidence import GROUND_SIGNS, LOST_SIGNS


@pytest.fixture(scope="module")
def crops() -> list[LabelledCrop]:
    return list(drawn_crops(30, 71))


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
    assert tier_pieces.learned_lines("LOST", learned)[0].startswith("LOST = Evidence((")


def test_heads_are_cut_at_known_shares_and_told_by_the_edge_and_the_box():
    found = list(tier_heads.signs(41, 4))
    assert {share for _, share, _, _ in found} >= {0.2, 0.4}
    rng = np.random.default_rng(5)
    made = [
        (seed, share, float(np.clip(rng.normal(0.3 + 1.5 * share, 0.1), 0, 1)), float(rng.normal(1.1 - share, 0.05)))
        for seed in range(60) for share in tier_heads.SHARES
    ]  # fmt: skip
    chord, aspect, _ = tier_heads.fit(made)
    assert chord > 0 > aspect and len(tier_heads.fit_lines(made)) == 2
    assert cut_probability(0.0, 0.5) == 0.0
    assert cut_probability(0.9, 0.85) > 0.5 > cut_probability(0.9, 1.3) and cut_probability(0.3, 1.1) < 0.01


def test_words_are_drawn_with_and_without_and_their_evidence_is_fitted():
    found = list(tier_lettering.words(41, 4))
    assert {written for _, written, _ in found} == {True, False}
    assert all(signs is None or len(signs) == len(FAINT_WORD[0]) for _, _, signs in found)
    rng = np.random.default_rng(7)
    made = [(seed, bool(seed % 2), rng.normal(3.0 * (seed % 2), 1.0, 7)) for seed in range(120)] + [(1, True, None)]
    lines = tier_lettering.fit_lines(made)
    assert lines[0].startswith("weights ") and "of 61 with a word" in lines[1]

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.judge.comparing import (
    calibration_error,
    compare,
    mean_precision,
    precision_at_recall,
    reliability,
    tier_figures,
)


def test_precision_at_recall_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    labels = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    assert precision_at_recall(scores, labels, (0.25, 0.5, 0.75, 1.0)) == pytest.approx([1.0, 2 / 3, 3 / 4, 4 / 6])


def test_a_score_that_knows_nothing_gives_the_share_of_good():
    labels = np.array([1.0] * 3 + [0.0] * 7)
    assert precision_at_recall(np.ones(10), labels) == pytest.approx([0.3] * 5)


def test_without_a_good_row_there_is_no_precision():
    assert np.isnan(precision_at_recall(np.ones(3), np.zeros(3))).all()
    assert np.isnan(precision_at_recall(np.zeros(0), np.zeros(0))).all()


ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40)


@given(ROWS)
def test_a_weight_is_how_often_a_row_counts(rows):
    scores, labels, times = (np.array(part, np.float64) for part in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(rows)), times.astype(int))
    one = precision_at_recall(scores, labels, weights=times)
    other = precision_at_recall(scores[repeated], labels[repeated])
    assert one == pytest.approx(other, nan_ok=True)


@given(ROWS)
def test_precision_lies_between_0_and_1_and_truth_is_perfect(rows):
    scores, labels, _ = (np.array(part, np.float64) for part in zip(*rows, strict=True))
    if labels.sum():
        found = precision_at_recall(scores, labels)
        assert ((found > 0) & (found <= 1 + 1e-12)).all()
        assert mean_precision(labels, labels) == pytest.approx(1.0)


def test_the_interval_tells_a_real_difference_from_none():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=400) < 0.5).astype(float)
    blind, seeing = rng.uniform(size=400), labels + rng.normal(0, 0.5, 400)
    groups = [number // 2 for number in range(400)]
    found = compare(blind, seeing, labels, groups, resamples=200)
    assert found.better
    assert found.low <= found.difference <= found.high
    assert found == compare(blind, seeing, labels, groups, resamples=200)
    same = compare(blind, blind, labels, groups, resamples=200)
    assert (same.low, same.difference, same.high) == (0.0, 0.0, 0.0)
    assert not same.better


def test_few_groups_make_the_interval_wide():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=200) < 0.5).astype(float)
    blind, seeing = rng.uniform(size=200), labels + rng.normal(0, 1.0, 200)
    many = compare(blind, seeing, labels, list(range(200)), resamples=200)
    # Every row ten times over tells no more than once.
    copies = np.repeat(np.arange(200), 10)
    tenfold = compare(blind[copies], seeing[copies], labels[copies], copies.tolist(), resamples=200)
    assert tenfold.high - tenfold.low == pytest.approx(many.high - many.low, abs=0.02)


def test_nothing_to_compare_is_never_better():
    found = compare(np.ones(3), np.ones(3), np.zeros(3), [1, 2, 3], resamples=20)
    assert not found.better


def test_tiers_by_hand():
    found = tier_figures(["high", "high", "low", "low"], np.array([1.0, 0.0, 1.0, 1.0]), ("high", "medium", "low"))
    assert [(part.crops, part.good, part.precision) for part in found] == [(2, 1, 0.5), (0, 0, None), (2, 2, 1.0)]
    assert found[0].recall == pytest.approx(1 / 3)
    assert tier_figures(["low"], np.zeros(1), ("low",))[0].recall is None


def test_reliability_by_hand():
    bins = reliability(np.array([0.05, 0.15, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert [(part.low, part.crops, part.good_share) for part in bins] == [(0.0, 1, 0.0), (0.1, 1, 1.0), (0.9, 2, 0.5)]
    assert calibration_error(bins) == pytest.approx((0.05 + 0.85 + 2 * 0.475) / 4)
    assert calibration_error([]) == 0.0

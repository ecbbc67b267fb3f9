from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.judge.additive import (
    Additive,
    Step,
    boost_steps,
    fit_platt,
    fit_weights,
    log_loss,
    merged,
    sigmoid,
)


def _drawn(count=4000, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(count, 3))
    truth = np.array([1.5, -0.7, 0.0])
    labels = (rng.uniform(size=count) < sigmoid(matrix @ truth + 0.4)).astype(float)
    return matrix, labels, truth


def test_the_weights_that_drew_the_labels_are_found():
    matrix, labels, truth = _drawn()
    found = fit_weights(matrix, labels, np.full(3, 1e-3))
    assert found.weights == pytest.approx(truth, abs=0.12)
    assert found.bias == pytest.approx(0.4, abs=0.1)


def test_the_found_weights_are_the_optimum():
    matrix, labels, _ = _drawn(60)
    penalty = np.array([0.5, 3.0, 10.0])
    found = fit_weights(matrix, labels, penalty)
    residual = sigmoid(found.logits(matrix)) - labels
    assert matrix.T @ residual + penalty * np.array(found.weights) == pytest.approx(np.zeros(3), abs=1e-3)
    assert residual.sum() == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_of_one_class_give_finite_odds_of_it(label):
    found = fit_weights(np.ones((8, 2)), np.full(8, label), np.ones(2))
    assert sigmoid(found.logits(np.ones((1, 2))))[0] == pytest.approx(label, abs=0.06)


def test_perfectly_parted_labels_stay_finite():
    matrix = np.linspace(-1, 1, 20)[:, None]
    found = fit_weights(matrix, (matrix[:, 0] > 0).astype(float), np.array([1e-3]))
    assert np.isfinite(found.weights).all()
    assert log_loss(sigmoid(found.logits(matrix)), matrix[:, 0] > 0) < 0.1


def test_steps_learn_what_no_straight_line_can():
    rng = np.random.default_rng(0)
    matrix = rng.uniform(-1, 1, (600, 2))
    labels = (np.abs(matrix[:, 0]) < 0.5).astype(float)
    line = fit_weights(matrix, labels, np.ones(2))
    boosted = boost_steps(matrix, labels, line, 120)
    assert log_loss(sigmoid(line.logits(matrix)), labels) > 0.65
    assert log_loss(sigmoid(boosted[-1].logits(matrix)), labels) < 0.35
    losses = [log_loss(sigmoid(model.logits(matrix)), labels) for model in boosted]
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(losses))


def test_merged_steps_say_the_same():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 3))
    model = boost_steps(matrix, (matrix[:, 1] > 0.3).astype(float), Additive(0.1, (0.0, 0.2, 0.0)), 80)[-1]
    short = merged(model)
    assert len(short.steps) < len(model.steps)
    assert short.logits(matrix) == pytest.approx(model.logits(matrix))


def test_no_step_from_constant_columns_or_few_rows():
    start = Additive(0.0, (0.0,))
    assert boost_steps(np.ones((50, 1)), np.ones(50), start, 5) == []
    assert boost_steps(np.arange(6.0)[:, None], np.ones(6), start, 5) == []


def test_the_parts_of_the_columns_add_up_to_the_whole():
    model = Additive(0.3, (1.0, -2.0), (Step(0, 0.5, -1.0, 1.0), Step(1, 0.0, 0.25, -0.25)))
    matrix = np.array([[0.2, 0.4], [0.9, -1.0]])
    total = model.bias + sum(model.part(column, matrix[:, column]) for column in (0, 1))
    assert total == pytest.approx(model.logits(matrix))


def test_calibration_makes_overconfident_odds_true():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5000)
    labels = (rng.uniform(size=5000) < sigmoid(truth)).astype(float)
    platt = fit_platt(4.0 * truth + 1.0, labels)
    assert platt.slope == pytest.approx(0.25, abs=0.03)
    assert platt.probabilities(4.0 * truth + 1.0).mean() == pytest.approx(labels.mean(), abs=0.01)


def test_odds_that_are_worse_than_chance_are_flattened_not_turned():
    logits = np.linspace(-2, 2, 40)
    platt = fit_platt(logits, (logits < 0).astype(float))
    assert platt.probabilities(logits) == pytest.approx(np.full(40, 0.5))


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1)), min_size=1, max_size=30),
)
def test_calibration_is_never_nan_and_never_falls(pairs):
    logits = np.array([pair[0] for pair in pairs])
    found = fit_platt(logits, np.array([float(pair[1]) for pair in pairs])).probabilities(np.sort(logits))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()

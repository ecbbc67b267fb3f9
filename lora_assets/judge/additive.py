"""An additive model of log odds: a weight per standardised column, and steps at thresholds, all plain numbers.

Weights: ridge logistic regression by Newton's method (IRLS; Hastie, Tibshirani, Friedman, The Elements of Statistical
Learning, 2nd ed., 4.4.1). Steps: gradient boosting of one-split trees with Newton leaf values (Friedman 2001; Chen and
Guestrin 2016, eq. 5 and 7), which lets the answer bend where a straight line is wrong. Which of the two, and how
strongly held back, is chosen elsewhere (learning).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

CODE_VERSION = "1"

_STEPS = 60
_TOLERANCE = 1e-9
_BINS = 16
_RATE = 0.1
_LEAF_RIDGE = 3.0


def sigmoid(logits: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)) without overflow, 0..1."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


@dataclass(frozen=True, slots=True)
class Step:
    """Adds `below` to the log odds where a standardised column is at most `threshold`, `above` where it is more."""

    column: int
    threshold: float
    below: float
    above: float


@dataclass(frozen=True, slots=True)
class Additive:
    """Log odds = bias + weights . row + steps, of a standardised row."""

    bias: float
    weights: tuple[float, ...]
    steps: tuple[Step, ...] = ()

    def logits(self, matrix: FloatArray) -> FloatArray:
        """The log odds (rows,) of a standardised matrix (rows, columns)."""
        found = self.bias + matrix @ np.array(self.weights)
        for step in self.steps:
            found = found + np.where(matrix[:, step.column] <= step.threshold, step.below, step.above)
        return found

    def part(self, column: int, values: FloatArray) -> FloatArray:
        """What one column alone adds to the log odds at standardised `values` (any shape)."""
        found = self.weights[column] * values
        for step in self.steps:
            if step.column == column:
                found = found + np.where(values <= step.threshold, step.below, step.above)
        return found


def _loss(logits: FloatArray, labels: FloatArray, weights: FloatArray, penalty: FloatArray) -> float:
    return float(np.sum(np.logaddexp(0.0, logits) - labels * logits) + 0.5 * np.sum(penalty * weights * weights))


def fit_weights(matrix: FloatArray, labels: FloatArray, penalty: FloatArray) -> Additive:
    """The weights that minimise log loss + 1/2 sum(penalty x weight^2); the bias is not held back.

    `matrix` (rows, columns), `labels` (rows,) of 0 and 1 or shares, `penalty` (columns,) above 0. Labels of one class
    give that class's odds, kept finite by half a row of the other.
    """
    count, size = matrix.shape
    goods = float(labels.sum())
    start = np.log((goods + 0.5) / (count - goods + 0.5))
    if goods in (0.0, float(count)):
        return Additive(float(start), (0.0,) * size)
    full = np.hstack([np.ones((count, 1)), matrix])
    held = np.concatenate([[1e-6], penalty])
    weights = np.zeros(size + 1)
    weights[0] = start
    loss = _loss(full @ weights, labels, weights, held)
    for _ in range(_STEPS):
        shares = sigmoid(full @ weights)
        gradient = full.T @ (shares - labels) + held * weights
        curvature = np.maximum(shares * (1.0 - shares), 1e-9)
        step = np.linalg.solve((full * curvature[:, None]).T @ full + np.diag(held), gradient)
        size_of_step = 1.0
        while True:
            tried = weights - size_of_step * step
            tried_loss = _loss(full @ tried, labels, tried, held)
            if tried_loss <= loss or size_of_step < 1e-6:
                break
            size_of_step /= 2.0
        done = loss - tried_loss <= _TOLERANCE * max(1.0, abs(loss))
        weights, loss = tried, min(loss, tried_loss)
        if done:
            break
    return Additive(float(weights[0]), tuple(float(weight) for weight in weights[1:]))


def _thresholds(matrix: FloatArray) -> list[FloatArray]:
    """Up to 15 thresholds per column, at equal shares of its different values' rows."""
    marks = np.linspace(0, 1, _BINS + 1)[1:-1]
    found = []
    for column in matrix.T:
        cuts = np.unique(np.quantile(column, marks, method="lower"))
        found.append(cuts[cuts < column.max(initial=-np.inf)])
    return found


def boost_steps(matrix: FloatArray, labels: FloatArray, start: Additive, rounds: int) -> list[Additive]:
    """`start` with 1, 2, ... `rounds` steps more: each the one that helps most given those before.

    A step needs a twentieth of the rows, at least 5, on either side. Fewer models come back when none helps any more.
    """
    least = max(5, matrix.shape[0] // 20)
    cuts = _thresholds(matrix)
    column_of = np.repeat(np.arange(len(cuts)), [len(cut) for cut in cuts])
    threshold_of = np.concatenate(cuts) if cuts else np.zeros(0)
    if not threshold_of.size:
        return []
    below = (matrix[:, column_of] <= threshold_of).astype(np.float64)
    count = below.sum(axis=0)
    allowed = (count >= least) & (matrix.shape[0] - count >= least)
    if not allowed.any():
        return []
    logits, model, found = start.logits(matrix), start, []
    for _ in range(rounds):
        shares = sigmoid(logits)
        gradient, curvature = labels - shares, shares * (1.0 - shares)
        low_g, low_h = gradient @ below, curvature @ below
        high_g, high_h = gradient.sum() - low_g, curvature.sum() - low_h
        gain = low_g**2 / (low_h + _LEAF_RIDGE) + high_g**2 / (high_h + _LEAF_RIDGE)
        best = int(np.argmax(np.where(allowed, gain, -1.0)))
        step = Step(
            int(column_of[best]),
            float(threshold_of[best]),
            float(_RATE * low_g[best] / (low_h[best] + _LEAF_RIDGE)),
            float(_RATE * high_g[best] / (high_h[best] + _LEAF_RIDGE)),
        )
        logits = logits + np.where(below[:, best] > 0, step.below, step.above)
        model = Additive(model.bias, model.weights, (*model.steps, step))
        found.append(model)
    return found


def merged(model: Additive) -> Additive:
    """The same model with one step per column and threshold, in order: shorter to store and to read."""
    sums: dict[tuple[int, float], list[float]] = {}
    for step in model.steps:
        pair = sums.setdefault((step.column, step.threshold), [0.0, 0.0])
        pair[0] += step.below
        pair[1] += step.above
    steps = (Step(column, threshold, low, high) for (column, threshold), (low, high) in sorted(sums.items()))
    return Additive(model.bias, model.weights, tuple(steps))


@dataclass(frozen=True, slots=True)
class Platt:
    """Calibrated log odds = slope x log odds + shift."""

    slope: float
    shift: float

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Calibrated P(good) of log odds, 0..1."""
        return sigmoid(self.slope * logits + self.shift)


def fit_platt(logits: FloatArray, labels: FloatArray) -> Platt:
    """Platt's calibration (Platt 1999, with his smoothed targets) of log odds that were predicted out of fold.

    The slope is never negative: an answer that is worse than chance is flattened, not turned round.
    """
    goods = float(labels.sum())
    bads = float(len(labels) - goods)
    targets = np.where(labels > 0.5, (goods + 1.0) / (goods + 2.0), 1.0 / (bads + 2.0))
    spread = float(logits.std()) or 1.0
    fitted = fit_weights((logits / spread)[:, None], targets, np.array([1e-3]))
    if fitted.weights[0] <= 0.0:
        return Platt(0.0, float(np.log((goods + 1.0) / (bads + 1.0))))
    return Platt(fitted.weights[0] / spread, fitted.bias)


def log_loss(probabilities: FloatArray, labels: Sequence[float] | FloatArray) -> float:
    """Mean log loss of P(good) against labels of 0 and 1, in nats."""
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    truth = np.asarray(labels, np.float64)
    return float(-np.mean(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped))) if len(truth) else 0.0

"""Logistic regressions on the signs of drawn crops: fitted, tried on other scenes, and held against a module's numbers.

Which signs, and of what, does not belong here (tier_pieces, tier_heads, tier_lettering).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lora_assets.vision.piece_evidence import Evidence

Signs = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def fit(signs: Signs, true: Truth) -> Evidence:
    """The regression of `true` (N) on `signs` (N x signs), to convergence: the same signs give the same numbers."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = signs.mean(axis=0), np.maximum(signs.std(axis=0), 1e-6)
    model = LogisticRegression(max_iter=5000, tol=1e-8).fit((signs - mean) / spread, true)
    weights = model.coef_[0] / spread
    return Evidence(tuple(float(weight) for weight in weights), float(model.intercept_[0] - weights @ mean))


def on_other_scenes(
    signs: Signs, true: Truth, seeds: npt.NDArray[np.int64], sure: Truth | None = None, folds: int = 5
) -> npt.NDArray[np.float64]:
    """The evidence (N, above 0: more likely than not) of each row by the regression on the scenes of the other folds. A
    scene lies in one fold; only rows that are `sure` (default: all) are learned from."""
    given = np.zeros(len(true))
    for each in range(folds):
        inside = seeds % folds == each
        if inside.any():
            known = ~inside if sure is None else ~inside & sure
            found = fit(signs[known], true[known])
            given[inside] = signs[inside] @ np.array(found.weights) + found.constant
    return given


def numbers(values: Sequence[float]) -> str:
    """Numbers as they stand in a module: four digits."""
    return ", ".join(f"{value:.4g}" for value in values)


def probability(evidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """P(0..1) of evidence."""
    return 1.0 / (1.0 + np.exp(-np.clip(evidence, -40.0, 40.0)))


def evidence_line(name: str, evidence: Evidence) -> str:
    """A regression as it stands in a module."""
    return f"{name} = Evidence(({numbers(evidence.weights)}), {numbers([evidence.constant])})"


def held_line(fitted: str, held: str, module: str) -> str:
    """Whether a module holds what was fitted, both as lines of it."""
    return f"  {module} holds these numbers" if fitted == held else f"  {module} holds others: {held}"

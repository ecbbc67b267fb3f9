"""Learning P(good): how strongly the model is held back is chosen inside the training rows, then it is calibrated.

`out_of_fold` tries the whole of it (choice and calibration included) on groups that it has not seen, so that what it
reports is what a person will meet. How it compares with the rules does not belong here (comparing).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from lora_assets.judge.additive import (
    Additive,
    FloatArray,
    Platt,
    boost_steps,
    fit_platt,
    fit_weights,
    log_loss,
    merged,
)
from lora_assets.judge.features import RULES_SCORE, SeenColumn, outside_seen, see_columns, standardised
from lora_assets.judge.groups import IndexArray, grouped_folds

CODE_VERSION = "1"

# The rules' own score is held back less: with few verdicts the judge leans on the rules and departs as it learns.
_TRUST_IN_RULES = 20.0
_RIDGES = (3.0, 30.0, 300.0)
_STEP_RIDGE = 30.0
_STEP_COUNTS = (20, 60, 150)
_ROWS_FOR_STEPS = 80


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How the judge learns and when it may speak.

    Under `least_verdicts` verdicts (good and bad together) nothing is learned; it is active from `least_of_each` of
    both kinds on. It abstains where P(good) is nearer to 0.5 than `unsure_band`, and where measurements outside the
    judged crops could move the log odds by more than `outside_limit`. `interval` is the share that the bootstrap
    interval of `resamples` draws of groups holds. Raises ValueError for numbers that do not fit.
    """

    seed: int = 0
    folds: int = 5
    least_verdicts: int = 10
    least_of_each: int = 15
    unsure_band: float = 0.1
    outside_limit: float = 1.0
    interval: float = 0.95
    resamples: int = 1000

    def __post_init__(self) -> None:
        least = {"seed": 0, "folds": 2, "resamples": 20, "least_verdicts": 4, "least_of_each": 2}
        if any(getattr(self, name) < limit for name, limit in least.items()):
            raise ValueError(
                f"seed {self.seed} (0 or more), folds {self.folds} (2 or more), resamples {self.resamples} "
                "(20 or more), "
                f"least_verdicts {self.least_verdicts} (4 or more) and least_of_each {self.least_of_each} (2 or more) "
                "do not fit"
            )
        if not 0.0 <= self.unsure_band < 0.5 or not 0.5 < self.interval < 1.0 or not self.outside_limit > 0.0:
            raise ValueError(
                f"unsure_band {self.unsure_band} (0 to below 0.5), interval {self.interval} (0.5 to 1) and "
                f"outside_limit {self.outside_limit} (above 0) do not fit"
            )


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """P(good) as plain numbers: what was seen of each column, the additive model on them, and the calibration.

    The additive model's columns are the seen ones, then their absences. `choice` says in words what was chosen.
    """

    columns: tuple[SeenColumn, ...]
    additive: Additive
    platt: Platt
    choice: str

    @property
    def names(self) -> list[str]:
        """The measured columns, in order."""
        return [column.name for column in self.columns]

    def probabilities(self, values: FloatArray) -> FloatArray:
        """P(good) (rows,) of measurements (rows, columns), 0..1, never NaN."""
        return self.platt.probabilities(self.additive.logits(standardised(self.columns, values)))

    def outside(self, values: FloatArray) -> FloatArray:
        """How far the log odds could be off because the row lies outside what was judged, (rows,), may be infinite."""
        return outside_seen(self.columns, values, self.platt.slope * np.array(self.additive.weights))


@dataclass(frozen=True, slots=True)
class _Candidate:
    ridge: float
    steps: int

    @property
    def words(self) -> str:
        line = f"a weight per measurement (ridge {self.ridge:g})"
        return f"{line} and {self.steps} steps" if self.steps else line


def _candidates(rows: int) -> list[_Candidate]:
    lines = [_Candidate(ridge, 0) for ridge in _RIDGES]
    bends = [_Candidate(_STEP_RIDGE, count) for count in _STEP_COUNTS] if rows >= _ROWS_FOR_STEPS else []
    return lines + bends


def _penalty(names: Sequence[str], ridge: float) -> FloatArray:
    held = np.full(2 * len(names), ridge)
    for index, name in enumerate(names):
        if name == RULES_SCORE:
            held[index] = ridge / _TRUST_IN_RULES
    return held


def _fit_all(
    names: Sequence[str], matrix: FloatArray, labels: FloatArray, candidates: Sequence[_Candidate]
) -> list[Additive]:
    """One model per candidate; those with steps share their rounds."""
    lines = {
        ridge: fit_weights(matrix, labels, _penalty(names, ridge))
        for ridge in {candidate.ridge for candidate in candidates}
    }
    most = max(candidate.steps for candidate in candidates)
    boosted = boost_steps(matrix, labels, lines[_STEP_RIDGE], most) if most else []
    found = []
    for candidate in candidates:
        rounds = min(candidate.steps, len(boosted))
        found.append(boosted[rounds - 1] if rounds else lines[candidate.ridge])
    return found


# Its matrices are so small that threads of the linear algebra cost more than they give, on a busy machine many times.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    names: Sequence[str],
    values: FloatArray,
    labels: FloatArray,
    groups: Sequence[Hashable],
    settings: JudgeSettings = JudgeSettings(),
) -> JudgeModel:
    """A calibrated model from measurements (rows, columns) and labels (rows,) of 1 good and 0 bad.

    The candidate with the least out-of-fold log loss after calibration is taken; its calibration is the one that was
    fitted on those predictions. Equal inputs give equal models.
    """
    candidates = _candidates(len(labels))
    fold_of = grouped_folds(groups, labels, settings.folds, settings.seed)
    logits = np.zeros((len(labels), len(candidates)))
    for fold in range(int(fold_of.max(initial=0)) + 1):
        inside, outside = _split(fold_of, fold)
        columns = see_columns(names, values[inside])
        seen, unseen = standardised(columns, values[inside]), standardised(columns, values[outside])
        for index, model in enumerate(_fit_all(names, seen, labels[inside], candidates)):
            logits[outside, index] = model.logits(unseen)
    platts = [fit_platt(logits[:, index], labels) for index in range(len(candidates))]
    losses = [log_loss(platt.probabilities(logits[:, i]), labels) for i, platt in enumerate(platts)]
    best = int(np.argmin(np.round(losses, 9)))
    columns = see_columns(names, values)
    model = _fit_all(names, standardised(columns, values), labels, [candidates[best]])[0]
    return JudgeModel(columns, merged(model), platts[best], candidates[best].words)


def _split(fold_of: IndexArray, fold: int) -> tuple[IndexArray, IndexArray]:
    """Rows to train on and rows to try; with a single fold (one group) both are all rows."""
    outside = np.flatnonzero(fold_of == fold)
    inside = np.flatnonzero(fold_of != fold)
    return (inside if inside.size else outside), outside


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """For every row what a judge said that had not seen its group: P(good), and how far outside the row lay."""

    p_good: FloatArray
    outside: FloatArray
    fold_of: IndexArray


def out_of_fold(
    names: Sequence[str],
    values: FloatArray,
    labels: FloatArray,
    groups: Sequence[Hashable],
    settings: JudgeSettings = JudgeSettings(),
) -> OutOfFold:
    """Train and calibrate once per fold of groups, and ask each model for the fold left out."""
    # Another seed than inside `train`, so that the inner folds are not the outer ones with one left out.
    fold_of = grouped_folds(groups, labels, settings.folds, settings.seed + 1)
    p_good, outside = np.zeros(len(labels)), np.zeros(len(labels))
    for fold in range(int(fold_of.max(initial=0)) + 1):
        inside, left_out = _split(fold_of, fold)
        model = train(names, values[inside], labels[inside], [groups[i] for i in inside], settings)
        p_good[left_out] = model.probabilities(values[left_out])
        outside[left_out] = model.outside(values[left_out])
    return OutOfFold(p_good, outside, fold_of)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How good a judge was that learned from a share of the judged groups: rows used, its out-of-fold P(good), and how
    far outside each row lay."""

    verdicts: int
    p_good: FloatArray
    outside: FloatArray


def learning_curve(
    names: Sequence[str],
    values: FloatArray,
    labels: FloatArray,
    groups: Sequence[Hashable],
    settings: JudgeSettings = JudgeSettings(),
    shares: Sequence[float] = (0.25, 0.5, 0.75),
) -> list[CurvePoint]:
    """Out-of-fold answers of judges that saw only a share of the groups, smallest share first.

    Shares that would leave fewer than `least_verdicts` rows are left out.
    """
    fold_of = grouped_folds(groups, labels, settings.folds, settings.seed + 1)
    names_of_groups = sorted(set(groups), key=str)
    drawn = np.random.default_rng(settings.seed + 2).permutation(len(names_of_groups))
    rank = {names_of_groups[group]: place for place, group in enumerate(drawn)}
    ranks = np.array([rank[group] for group in groups])
    points = []
    for share in shares:
        kept = ranks < share * len(names_of_groups)
        p_good, outside, used = np.zeros(len(labels)), np.zeros(len(labels)), []
        for fold in range(int(fold_of.max(initial=0)) + 1):
            inside, left_out = _split(fold_of, fold)
            inside = inside[kept[inside]]
            used.append(inside.size)
            if inside.size:
                model = train(names, values[inside], labels[inside], [groups[i] for i in inside], settings)
                p_good[left_out] = model.probabilities(values[left_out])
                outside[left_out] = model.outside(values[left_out])
        if min(used) >= settings.least_verdicts:
            points.append(CurvePoint(round(float(np.mean(used))), p_good, outside))
    return points

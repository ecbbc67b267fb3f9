"""Is the judge better than the rules? Precision at equal recall on the same crops, with an interval by groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.judge.additive import FloatArray

CODE_VERSION = "1"

# The share of the good crops that is to be found: from a strict choice to a generous one.
RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9)


def precision_at_recall(
    scores: FloatArray, labels: FloatArray, recalls: Sequence[float] = RECALLS, weights: FloatArray | None = None
) -> FloatArray:
    """Share of good crops among the best-scored ones that hold each share of all good ones, (recalls,), 0..1.

    Rows with equal scores come in as one block, of which the needed part counts (the mean over all orders); so a score
    that is the same for all gives the share of good crops. `weights` (rows,) are how often each row counts. NaN
    without a good row.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(scores) else np.zeros(0, int)
    taken = np.concatenate([[0.0], np.cumsum(weights[order])[ends]])
    found = np.concatenate([[0.0], np.cumsum((weights * labels)[order])[ends]])
    if found[-1] <= 0:
        return np.full(len(recalls), np.nan)
    wanted = np.asarray(recalls) * found[-1]
    block = np.maximum(np.searchsorted(found, wanted, side="left"), 1)
    gained = found[block] - found[block - 1]
    share = np.divide(wanted - found[block - 1], gained, out=np.ones_like(wanted), where=gained > 0)
    needed = taken[block - 1] + share * (taken[block] - taken[block - 1])
    return np.divide(wanted, needed, out=np.zeros_like(wanted), where=needed > 0)


def mean_precision(scores: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """`precision_at_recall`, mean over RECALLS: the one number that judge and rules are compared by."""
    return float(np.mean(precision_at_recall(scores, labels, RECALLS, weights)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean precision at equal recall of rules and judge, and their difference with its interval by groups."""

    rules: float
    judge: float
    difference: float
    low: float
    high: float
    groups: int

    @property
    def better(self) -> bool:
        """True when even the lower end of the interval is above 0."""
        return self.low > 0.0


def compare(
    rules: FloatArray,
    judge: FloatArray,
    labels: FloatArray,
    groups: Sequence[Hashable],
    *,
    interval: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two scores of the same rows. The interval is the percentile bootstrap (Efron 1979) that draws whole
    groups, because crops of one shot do not tell anything independently of each other."""
    names: dict[Hashable, int] = {}
    index = np.array([names.setdefault(group, len(names)) for group in groups], np.int64)
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names)).astype(np.float64)
        weights = counts[index]
        drawn = mean_precision(judge, labels, weights) - mean_precision(rules, labels, weights)
        if np.isfinite(drawn):
            differences.append(drawn)
    before, after = mean_precision(rules, labels), mean_precision(judge, labels)
    if not differences:
        return Comparison(before, after, after - before, -1.0, 1.0, len(names))
    low, high = np.quantile(differences, [(1 - interval) / 2, (1 + interval) / 2])
    return Comparison(before, after, after - before, float(low), float(high), len(names))


@dataclass(frozen=True, slots=True)
class TierFigures:
    """Of the crops in one tier: how many, how many of them good, and their share of all good ones."""

    tier: str
    crops: int
    good: int
    precision: float | None
    recall: float | None


def tier_figures(tiers: Sequence[str], labels: FloatArray, order: Sequence[str]) -> list[TierFigures]:
    """Precision and recall of each tier of `order`; None where nothing is in the tier or no crop is good."""
    total = int(labels.sum())
    found = []
    for tier in order:
        inside = np.array([other == tier for other in tiers], bool)
        crops, good = int(inside.sum()), int(labels[inside].sum())
        found.append(TierFigures(tier, crops, good, good / crops if crops else None, good / total if total else None))
    return found


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Crops whose P(good) lies in one bin: how many, their mean P(good), the share that is good."""

    low: float
    high: float
    crops: int
    mean_p: float
    good_share: float


def reliability(p_good: FloatArray, labels: FloatArray, bins: int = 10) -> list[ReliabilityBin]:
    """The bins, of equal width over 0..1, that hold any crop."""
    index = np.clip((p_good * bins).astype(int), 0, bins - 1)
    found = []
    for number in range(bins):
        inside = index == number
        if inside.any():
            mean, share = float(p_good[inside].mean()), float(labels[inside].mean())
            found.append(ReliabilityBin(number / bins, (number + 1) / bins, int(inside.sum()), mean, share))
    return found


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error (Naeini et al. 2015): mean of |mean P - share of good| weighted by crops, 0..1."""
    total = sum(part.crops for part in bins)
    return sum(part.crops * abs(part.mean_p - part.good_share) for part in bins) / total if total else 0.0

"""From metrics to one score per crop: which metric stands for a signal, weights over what is there, bands, rank.

Nothing here measures anything and nothing is filled in: a signal that a crop lacks is absent, and the weights of the
others are renormalised. Metrics that are not proven on drawings are ranked inside the tracker first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.quality.metrics import METRIC, SIGNALS, FloatArray

CODE_VERSION = "1"

WEIGHT_SETS: dict[str, dict[str, float]] = {
    "start": {
        "aesthetics": 0.30, "face": 0.20, "brisque": 0.15, "sharpness": 0.10, "lighting": 0.10, "contrast": 0.05,
        "pose": 0.05, "character": 0.05,
    },
    # Aesthetics like portraits: full figures lose by it. The other four already add up to what is left.
    "less_portrait": {
        "aesthetics": 0.20, "face": 0.15, "brisque": 0.25, "sharpness": 0.15, "lighting": 0.10, "contrast": 0.05,
        "pose": 0.05, "character": 0.05,
    },
}  # fmt: skip
PROFILES: dict[str, tuple[str, ...]] = {"basic": ("aesthetics", "brisque", "face"), "full": SIGNALS}
BANDS: tuple[tuple[str, float], ...] = (
    ("must take", 9.0), ("prefer", 7.0), ("consider", 5.0), ("careful", 3.0), ("leave out", 0.0),
)  # fmt: skip
BAND_NAMES = tuple(name for name, _ in BANDS)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The ensemble over n crops. `score` 0..10, `rank` and `disagreement` are (n,) with NaN where there is no signal;
    `signals` holds each signal's normalised values (n,), `taken` the metric that it was taken from, `weights` its
    weight in the set; signals without any value or weight are not in them."""

    score: FloatArray
    rank: FloatArray
    disagreement: FloatArray
    signals: dict[str, FloatArray]
    taken: dict[str, str]
    weights: dict[str, float]


def ranks(values: FloatArray) -> FloatArray:
    """Place of each value among all, 0..1, higher is higher: (values below + half of the equal ones) / values.

    A single value stands in the middle. NaN stays NaN and counts for nobody.
    """
    placed = np.full(values.shape, np.nan)
    there = np.isfinite(values)
    if not there.any():
        return placed
    _, which, counts = np.unique(values[there], return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    placed[there] = ((below + 0.5 * counts) / counts.sum())[which]
    return placed


def combine(
    values: Mapping[str, FloatArray],
    signal_metrics: Mapping[str, Sequence[str]],
    weights: Mapping[str, float],
    rank_unproven: bool = True,
    crops: int = 0,
) -> Ensemble:
    """The ensemble of metrics (each (n,), NaN where absent) under the weights of the signals; `crops` is n where no
    metric could be measured.

    The disagreement is the standard deviation of a crop's weighed signals (0..0.5), NaN under two of them.
    """
    length = len(next(iter(values.values()), np.zeros(crops)))
    signals: dict[str, FloatArray] = {}
    taken: dict[str, str] = {}
    for signal, names in signal_metrics.items():
        name = next((one for one in names if one in values and np.isfinite(values[one]).any()), None)
        if name is None or weights.get(signal, 0.0) <= 0:
            continue
        metric = METRIC[name]
        scale = metric.normalised(values[name])
        signals[signal] = scale if metric.absolute or not rank_unproven else ranks(_directed(name, values[name]))
        taken[signal] = name
    used = {signal: float(weights[signal]) for signal in signals}
    if not signals:
        nothing = np.full(length, np.nan)
        return Ensemble(nothing, nothing.copy(), nothing.copy(), {}, {}, {})
    table = np.stack([signals[signal] for signal in signals])
    there = np.isfinite(table)
    filled = np.where(there, table, 0.0)
    weight = np.array([used[signal] for signal in signals])[:, None] * there
    total = weight.sum(axis=0)
    known = total > 0
    score = np.full(length, np.nan)
    score[known] = 10.0 * (filled * weight).sum(axis=0)[known] / total[known]
    count = there.sum(axis=0)
    spread = np.full(length, np.nan)
    several = count >= 2
    mean = filled.sum(axis=0)[several] / count[several]
    square = (np.where(there, table, 0.0)[:, several] - mean) ** 2 * there[:, several]
    spread[several] = np.sqrt(square.sum(axis=0) / count[several])
    return Ensemble(score, ranks(score), spread, signals, taken, used)


def _directed(name: str, values: FloatArray) -> FloatArray:
    """Values of which more is better, uncut: ranks need no scale."""
    return values if METRIC[name].better == "higher" else -values


def signal_weights(weight_set: str, changed: Mapping[str, float], profile: str = "full") -> dict[str, float]:
    """The weights of a set with single ones changed, for the signals of a profile."""
    told = {**WEIGHT_SETS[weight_set], **changed}
    return {signal: told.get(signal, 0.0) for signal in PROFILES[profile]}


def band_of(score: float, limits: Sequence[float] = tuple(limit for _, limit in BANDS[:-1])) -> str:
    """The band of a score 0..10; a limit belongs to the better band."""
    return next((name for name, limit in zip(BAND_NAMES, limits, strict=False) if score >= limit), BAND_NAMES[-1])

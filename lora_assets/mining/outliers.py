"""Odd objects by their vectors: IsolationForest, LOF, and novelty against earlier datasets.

IsolationForest: Liu, Ting and Zhou, ICDM 2008. LOF: Breunig, Kriegel, Ng and Sander, SIGMOD 2000. Both by scikit-learn.
Novelty is the rank of a conformal anomaly (Laxhammar and Falkman, 2010) by the distance to the nearest earlier one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CODE_VERSION = "1"
LEAST_DIFFERENT = 3
"""Fewer different vectors than this have no outlier."""

FloatArray = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# Measured on drawn streets (benchmarks.mining): on raw vectors, or on fewer components, the forest finds hardly more
# than chance.
_COMPONENTS = 64
_LEAST_OF_CLASS = 20
# Rows of similarities that are held at once: with 50,000 objects some 100 MB.
_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """For each vector (n,): IsolationForest's score, whether it is odd by it, the local outlier factor, whether it is
    odd by that; scores are None, and `said` tells why, where no model is possible."""

    isolation: Scores | None
    is_isolated: Flags
    lof: Scores | None
    is_local: Flags
    said: str = ""


def find_outliers(
    vectors: FloatArray,
    contamination: float,
    trees: int,
    neighbours: int,
    seed: int,
    labels: Sequence[str] | None = None,
) -> Outliers:
    """The outliers among vectors (n, width): those above the `1 - contamination` quantile of each model's score.

    LOF sees the vectors as they are. IsolationForest, which cuts along single axes, sees their 64 first principal
    components; with `labels` each less the mean of its class, so that it finds what is odd for its class. Equal
    vectors are one point for LOF, whose densities would be infinite else. Fewer than three different vectors give no
    model.
    """
    none = np.zeros(len(vectors), bool)
    different, place = _different(vectors)
    if len(different) < LEAST_DIFFERENT:
        told = f"{len(vectors)} objects with {len(different)} different vectors: no outlier model is possible"
        return Outliers(None, none, None, none, f"{told} (it needs {LEAST_DIFFERENT} different ones)")
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor

    with warnings.catch_warnings():
        # "n_neighbors larger than samples", "duplicate values": both are taken care of here.
        warnings.simplefilter("ignore", UserWarning)
        forest = IsolationForest(n_estimators=trees, contamination="auto", random_state=seed)
        cut = _components(vectors if labels is None else within_classes(vectors, labels), seed)
        isolation = np.clip(-forest.fit(cut).score_samples(cut), 0.0, 1.0).astype(np.float64)
        local = LocalOutlierFactor(n_neighbors=min(neighbours, len(different) - 1), contamination="auto")
        local.fit(different)
    factors = np.maximum(-np.asarray(local.negative_outlier_factor_, np.float64), 0.0)[place]
    return Outliers(isolation, _oddest(isolation, contamination), factors, _oddest(factors, contamination))


def within_classes(vectors: FloatArray, labels: Sequence[str]) -> FloatArray:
    """Each vector less the mean of its class; of a class of fewer than 20, whose mean says little, less the mean of
    all."""
    codes = np.unique(np.asarray(labels, object).astype(str), return_inverse=True)[1]
    found = vectors - vectors.mean(axis=0)
    for code, count in enumerate(np.bincount(codes)):
        if count >= _LEAST_OF_CLASS:
            found[codes == code] = vectors[codes == code] - vectors[codes == code].mean(axis=0)
    return found


def _components(vectors: FloatArray, seed: int) -> FloatArray:
    from sklearn.decomposition import PCA

    return PCA(min(_COMPONENTS, *vectors.shape), random_state=seed).fit_transform(vectors)


def _different(vectors: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The different rows in order of appearance, and for each row the number of its like."""
    if not len(vectors):
        return vectors, np.zeros(0, np.int64)
    numbers: dict[bytes, int] = {}
    place = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in vectors], np.int64)
    first = np.unique(place, return_index=True)[1]
    return vectors[first], place


def _oddest(scores: Scores, contamination: float) -> Flags:
    return scores > np.quantile(scores, 1.0 - contamination)


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """For each vector: its novelty 0..1 (NaN: nothing earlier to compare with) and the row of the nearest earlier
    vector (-1: none)."""

    novelty: Scores
    nearest: npt.NDArray[np.int64]


def novelty_over_time(vectors: FloatArray, group_of: Sequence[int], groups: int) -> Novelty:
    """How new each vector (n, width, of length 1) is against the groups before its own, of 0 .. groups - 1.

    Novelty is the share of earlier vectors whose own nearest earlier neighbour is closer than this one's: 0.99 is as
    alone as one in a hundred of them. The first group, and one after fewer than two vectors, has none.
    """
    group = np.asarray(group_of, np.int64)
    novelty, nearest = np.full(len(vectors), np.nan), np.full(len(vectors), -1, np.int64)
    alike = np.full(len(vectors), -np.inf)  # similarity to the nearest other vector of the same or an earlier group
    earlier = np.zeros(0, np.int64)
    for number in range(groups):
        here = np.flatnonzero(group == number)
        found = np.full(len(here), -np.inf)
        for start in range(0, len(here) if len(earlier) else 0, _ROWS):
            rows = here[start : start + _ROWS]
            similar = vectors[rows] @ vectors[earlier].T
            best = similar.argmax(axis=1)
            found[start : start + _ROWS] = similar[np.arange(len(rows)), best]
            nearest[rows] = earlier[best]
            # The earlier vectors' own neighbours are counted among the earlier ones only, so that this comes after.
        if len(earlier) >= 2:
            known = np.sort(1.0 - alike[earlier])
            novelty[here] = np.searchsorted(known, 1.0 - found - 1e-6, side="left") / len(known)
        _note_neighbours(vectors, earlier, here, alike)
        earlier = np.concatenate([earlier, here])
    return Novelty(novelty, nearest)


def _note_neighbours(
    vectors: FloatArray, earlier: npt.NDArray[np.int64], here: npt.NDArray[np.int64], alike: Scores
) -> None:
    """Bring `alike` up to date with the vectors of one more group."""
    for start in range(0, len(here), _ROWS):
        rows = here[start : start + _ROWS]
        if len(earlier):
            similar = vectors[rows] @ vectors[earlier].T
            alike[earlier] = np.maximum(alike[earlier], similar.max(axis=0))
            alike[rows] = np.maximum(alike[rows], similar.max(axis=1))
        own = vectors[rows] @ vectors[here].T
        own[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        if len(here) > 1:
            alike[rows] = np.maximum(alike[rows], own.max(axis=1))

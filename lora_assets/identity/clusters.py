"""Tracks become characters: HDBSCAN finds the sure cores, constrained average linkage joins them and what is left over.

A track is what is clustered, so that crops of one figure in one shot can never part (must-link); two tracks seen in one
frame can never meet (cannot-link). What belongs elsewhere: likenesses (descriptor, ccip, arcface), lasting ids
(registry).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]
LabelArray = npt.NDArray[np.int64]

NOISE = -1
MOST_TRACKS = 3000
"""Above this many tracks the largest are clustered, the rest joins the characters that it is like, and what is left is
clustered in turn: memory grows with the square (3000 tracks: half a gigabyte)."""
_BARRED = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """From which likeness on tracks are one character: `core` surely (single tracks, HDBSCAN), `join` on average
    (groups of tracks). Both 0 to 1, core >= join."""

    core: float
    join: float

    def __post_init__(self) -> None:
        if not 0.0 < self.join <= self.core <= 1.0:
            raise ValueError(f"limits of {self.join} and {self.core} do not fit: 0 < join <= core <= 1")


def cluster_tracks(
    likeness: FloatArray,
    evidence: FloatArray,
    barred: npt.NDArray[np.bool_],
    together: Sequence[Sequence[int]],
    limits: Limits,
    least_evidence: float = 0.12,
) -> LabelArray:
    """The character of each of N tracks, numbered from 0 in the order of the first track of each.

    `likeness` (N,N) 0..1; `evidence` (N,N) 0..1 how much a likeness rests on, under `least_evidence` it says nothing;
    `barred` (N,N) True for two tracks that are seen in one frame; `together`: tracks that are known to be one character
    (pictures of one reference). Every track gets a number; a track like no other is alone in its own.
    """
    count = len(likeness)
    if count == 0:
        return np.zeros(0, np.int64)
    distance = 1.0 - np.clip(likeness, 0.0, 1.0).astype(np.float64)
    # Sums of floats differ by their order; HDBSCAN takes symmetric distances only.
    distance = np.maximum(distance, distance.T)
    known = np.minimum(evidence, evidence.T) >= least_evidence
    distance[~known] = 1.0
    for group in together:
        for place in group:
            distance[place, list(group)] = 0.0
    distance[barred] = _BARRED
    np.fill_diagonal(distance, 0.0)
    labels = _parted(_cores(distance, limits), distance, barred)
    return _renumbered(_joined(labels, distance, known, barred, limits))


def _cores(distance: FloatArray, limits: Limits) -> LabelArray:
    """Labels of dense groups, NOISE elsewhere: HDBSCAN (Campello, Moulavi, Sander 2013) down to the core distance."""
    if len(distance) < 3:
        return np.full(len(distance), NOISE, np.int64)
    from sklearn.cluster import HDBSCAN

    # The stubs of scikit-learn 1.9 call the parameter a text.
    found = HDBSCAN(
        min_cluster_size=2, min_samples=1, metric="precomputed", cluster_selection_method="leaf",
        allow_single_cluster=False, copy=True,  # pyright: ignore[reportArgumentType]
    ).fit(distance)  # fmt: skip
    labels = np.asarray(found.labels_, np.int64)
    # HDBSCAN's clusters are relative: one of far tracks is none.
    for label in set(labels.tolist()) - {NOISE}:
        inside = np.flatnonzero(labels == label)
        near = np.sort(distance[np.ix_(inside, inside)], axis=1)[:, 1]
        labels[inside[near > 1.0 - limits.core]] = NOISE
    return labels


def _parted(labels: LabelArray, distance: FloatArray, barred: npt.NDArray[np.bool_]) -> LabelArray:
    """The same labels, where a group holds two tracks that can never meet parted: each track goes to the nearest of
    the two; NOISE tracks become groups of their own."""
    labels = labels.copy()
    free = int(labels.max(initial=NOISE)) + 1
    queue = sorted(set(labels.tolist()) - {NOISE})
    while queue:
        label = queue.pop()
        inside = np.flatnonzero(labels == label)
        clashes = np.argwhere(barred[np.ix_(inside, inside)])
        if not len(clashes):
            continue
        one, other = (int(inside[place]) for place in clashes[0])
        away = inside[distance[other, inside] < distance[one, inside]]
        labels[away] = free
        labels[other] = free
        queue += [label, free]
        free += 1
    for place in np.flatnonzero(labels == NOISE):
        labels[place] = free
        free += 1
    return labels


def _joined(
    labels: LabelArray,
    distance: FloatArray,
    known: npt.NDArray[np.bool_],
    barred: npt.NDArray[np.bool_],
    limits: Limits,
) -> LabelArray:
    """Groups joined by average linkage over the pairs that say something, nearest first, never against `barred`."""
    names = sorted(set(labels.tolist()))
    place_of = {name: place for place, name in enumerate(names)}
    member = np.array([place_of[label] for label in labels.tolist()], np.int64)
    spread = np.zeros((len(names), len(labels)))
    spread[member, np.arange(len(labels))] = 1.0
    told = (known & ~barred).astype(np.float64)
    sums = spread @ (distance * told) @ spread.T
    counts = spread @ told @ spread.T
    clash = (spread @ barred.astype(np.float64) @ spread.T) > 0
    alive = np.ones(len(names), np.bool_)
    version = np.zeros(len(names), np.int64)
    heap: list[tuple[float, int, int, int, int]] = []

    def offer(a: int, others: npt.NDArray[np.integer]) -> None:
        others = others[(others != a) & alive[others] & ~clash[a, others] & (counts[a, others] > 0)]
        means = sums[a, others] / counts[a, others]
        near = means <= 1.0 - limits.join
        for b, mean in zip(others[near].tolist(), means[near].tolist(), strict=True):
            low, high = min(a, b), max(a, b)
            heapq.heappush(heap, (mean, low, high, int(version[low]), int(version[high])))

    for a in range(len(names)):
        offer(a, np.arange(a + 1, len(names)))
    while heap:
        _, a, b, seen_a, seen_b = heapq.heappop(heap)
        if not (alive[a] and alive[b]) or version[a] != seen_a or version[b] != seen_b:
            continue
        alive[b] = False
        member[member == b] = a
        for matrix in (sums, counts):
            matrix[a] += matrix[b]
            matrix[:, a] += matrix[:, b]
        clash[a] |= clash[b]
        clash[:, a] |= clash[:, b]
        version[a] += 1
        offer(a, np.flatnonzero(alive))
    return member


def _renumbered(labels: LabelArray) -> LabelArray:
    seen: dict[int, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels.tolist()], np.int64)


def memberships(likeness: FloatArray, labels: LabelArray) -> FloatArray:
    """(N,) from 0 to 1: the mean likeness of each track to the others of its character; 1 for one that is alone."""
    found = np.ones(len(labels))
    for label in set(labels.tolist()):
        inside = np.flatnonzero(labels == label)
        if len(inside) > 1:
            part = likeness[np.ix_(inside, inside)]
            found[inside] = (part.sum(axis=1) - np.diag(part)) / (len(inside) - 1)
    return np.clip(found, 0.0, 1.0)

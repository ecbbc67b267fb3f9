"""Which judged crops belong together, and folds that never part them.

Frames of one shot show the same drawing: a judge that is trained on one and tried on the next is tried on what it
knows. Frames are one group when they stand in one shot (a column `shot`, or runs of consecutive frames with near
perceptual hashes), and when they are near-duplicates wherever they stand. Consecutive is meant as a person numbers
frames: 9 before 10.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.film_order import film_order

CODE_VERSION = "2"

IndexArray = npt.NDArray[np.int64]

# Of 64 bits of imagehash.phash. Unrelated frames differ by about 32 (standard deviation 4).
RUN_DISTANCE = 12
DUPLICATE_DISTANCE = 6
_CHUNK = 512


class _Sets:
    """Disjoint sets (union-find) of frame hashes."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        self._parent.setdefault(name, name)
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, a: str, b: str) -> None:
        a, b = sorted((self.root(a), self.root(b)))
        self._parent[b] = a


def _bits(phash: Any) -> int | None:
    try:
        return int(phash, 16)
    except (TypeError, ValueError):
        return None


def _join_runs(sets: _Sets, frames: Sequence[Mapping[str, Any]]) -> None:
    """Join consecutive frames: of one shot where the shots are known, else of near hashes."""
    for before, after in itertools.pairwise(frames):
        if before.get("shot") is not None and after.get("shot") is not None:
            near = before["shot"] == after["shot"]
        else:
            one, other = _bits(before.get("phash")), _bits(after.get("phash"))
            near = one is not None and other is not None and (one ^ other).bit_count() <= RUN_DISTANCE
        if near:
            sets.join(before["sha256"], after["sha256"])


def _join_duplicates(sets: _Sets, hashes: Mapping[str, int]) -> None:
    names = sorted(hashes)
    bits = np.array([hashes[name] for name in names], np.uint64)
    for start in range(0, len(names), _CHUNK):
        distance = np.bitwise_count(bits[start : start + _CHUNK, None] ^ bits[None, :])
        for row, column in zip(*np.nonzero(distance <= DUPLICATE_DISTANCE), strict=True):
            if start + row < column:
                sets.join(names[start + row], names[column])


def frame_groups(datasets: Mapping[str, Sequence[Mapping[str, Any]]], judged: set[str]) -> dict[str, str]:
    """The group of every judged frame, by its hash: a name that all frames of the group share.

    `datasets` holds the frames of each dataset as rows of raw_frames (path, sha256, phash, and shot where there is
    one). Rows without a hash (quarantined files) are left out.
    """
    sets = _Sets()
    hashes: dict[str, int] = {}
    for rows in datasets.values():
        frames = sorted((row for row in rows if row.get("sha256")), key=lambda row: film_order(row["path"]))
        _join_runs(sets, frames)
        for row in frames:
            bits = _bits(row.get("phash"))
            if row["sha256"] in judged and bits is not None:
                hashes[row["sha256"]] = bits
    _join_duplicates(sets, hashes)
    return {frame: sets.root(frame) for frame in sorted(judged)}


def grouped_folds(groups: Sequence[Hashable], labels: npt.NDArray[np.floating], folds: int, seed: int) -> IndexArray:
    """A fold 0..folds-1 for every row; rows of one group share it, and goods and bads are spread evenly.

    Greedy: groups in the order of their size (shuffled by `seed` among equals), each into the fold that is then least
    uneven. Fewer folds are used when there are fewer groups.
    """
    names: dict[Hashable, int] = {}
    index = np.array([names.setdefault(group, len(names)) for group in groups], np.int64)
    folds = max(1, min(folds, len(names)))
    goods = np.bincount(index, weights=labels, minlength=len(names))
    bads = np.bincount(index, weights=1.0 - labels, minlength=len(names))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-(goods + bads)[shuffled], kind="stable")]
    share = np.array([max(goods.sum(), 1.0), max(bads.sum(), 1.0)])
    held = np.zeros((folds, 2))
    fold_of = np.zeros(len(names), np.int64)
    for group in order:
        added = (held + np.array([goods[group], bads[group]])) / share
        # The fold whose fuller class stays lowest; then the emptier one.
        fold = min(range(folds), key=lambda f: (added[f].max(), added[f].sum(), f))
        fold_of[group] = fold
        held[fold] += (goods[group], bads[group])
    return fold_of[index]

"""Groups of alike crops: exact twins, held frames, near-duplicates and variants of one drawing, across all datasets.

Crops are near when their tiny pictures, their outlines and their perceptual hashes agree with the *leader* of a
drawing, so that a slow camera move cannot chain a whole shot together. Drawings of one figure that differ a little
(another mouth, a moved hand) form one group as variants. What belongs elsewhere: how a crop looks (identity), how many
of a group are taken (choosing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.identity.likeness import tiny_distances

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]

LEADER, EXACT, HELD, NEAR, VARIANT = "leader", "exact", "held", "near", "variant"
KINDS = (LEADER, EXACT, HELD, NEAR, VARIANT)

DRAWING_DISTANCE = 0.03
"""Distance of tiny pictures up to which two crops show the very same drawing."""
DRAWING_BITS = 10
"""Bits of 64 in which the perceptual hashes of one drawing may differ."""
VARIANT_DISTANCE = 0.075
VARIANT_BITS = 16
ASPECT = 0.06
"""Difference of the logarithms of height over width up to which two crops may show one drawing."""
_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """N crops: tiny pictures (N, D), perceptual hashes (N,) uint64, digests of their pixels ("": no picture), height
    over width (N,), the shot and the score of each."""

    tiny: FloatArray
    phashes: npt.NDArray[np.uint64]
    pixels: Sequence[str]
    aspect: FloatArray
    shots: Sequence[str]
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crop stands: the places of its group's and of its drawing's leader, how it is alike, and its distance to
    the group's leader."""

    group: int
    drawing: int
    kind: str
    distance: float


def group_crops(looks: Looks) -> list[Place]:
    """The place of each crop. The best crop of a group by score leads it; of equals the first.

    Crops without a picture are alone.
    """
    order = np.lexsort((np.arange(len(looks.scores)), -np.asarray(looks.scores)))
    seen = [int(place) for place in order if looks.pixels[place]]
    drawing = _led(looks, seen, DRAWING_DISTANCE, DRAWING_BITS)
    leaders = [place for place in seen if drawing[place] == place]
    group = _led(looks, leaders, VARIANT_DISTANCE, VARIANT_BITS)
    found = []
    for place in range(len(looks.pixels)):
        own = drawing.get(place, place)
        leader = group.get(own, own)
        apart = tiny_distances(looks.tiny[[place]], looks.tiny[[leader]])[0, 0] if place != leader else 0.0
        found.append(Place(leader, own, _kind(looks, place, own, leader), float(apart)))
    return found


def _led(looks: Looks, order: Sequence[int], reach: float, bits: int) -> dict[int, int]:
    """The leader of each crop in `order`: the nearest earlier leader in reach, else itself."""
    leader: dict[int, int] = {}
    leaders: list[int] = []
    by_pixels: dict[str, int] = {}
    for start in range(0, len(order), _BLOCK):
        block = list(order[start : start + _BLOCK])
        before = list(leaders)
        far = _apart(looks, block, before, bits) if before else np.zeros((len(block), 0))
        within = _apart(looks, block, block, bits)
        for row, place in enumerate(block):
            twin = by_pixels.get(looks.pixels[place])
            if twin is not None:
                leader[place] = twin
                continue
            new = [column for column in range(row) if leader[block[column]] == block[column]]
            choices = [(float(far[row, c]), before[c]) for c in np.flatnonzero(far[row] <= reach)]
            choices += [(float(within[row, c]), block[c]) for c in new if within[row, c] <= reach]
            leader[place] = min(choices)[1] if choices else place
            by_pixels.setdefault(looks.pixels[place], leader[place])
            if leader[place] == place:
                leaders.append(place)
    return leader


def _apart(looks: Looks, one: Sequence[int], other: Sequence[int], bits: int) -> FloatArray:
    """Distances of tiny pictures; infinite where outlines or hashes say that they are others."""
    distance = tiny_distances(looks.tiny[list(one)], looks.tiny[list(other)])
    aspect = np.abs(np.log(looks.aspect[list(one)])[:, None] - np.log(looks.aspect[list(other)])[None])
    hamming = np.bitwise_count(looks.phashes[list(one)][:, None] ^ looks.phashes[list(other)][None])
    return np.where((aspect <= ASPECT) & (hamming <= bits), distance, np.inf)


def _kind(looks: Looks, place: int, drawing: int, leader: int) -> str:
    if place == leader:
        return LEADER
    if drawing != leader:
        return VARIANT
    if looks.pixels[place] and looks.pixels[place] == looks.pixels[leader]:
        return EXACT
    return HELD if looks.shots[place] == looks.shots[leader] else NEAR

"""The starter descriptor: how the colours of a figure lie on it, by zones of the body, without any weights.

Drawn characters keep hair and clothes through a film; where each colour sits tells them apart. A zone that a crop does
not show is absent and is left out of a comparison, so that a face and a whole figure can still be compared. What
belongs elsewhere: descriptors by networks (ccip, arcface), what follows from likeness (clusters, duplicates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]
Xyxy = tuple[float, float, float, float]

ZONES = ("hair", "head", "torso", "legs", "all")
ZONE_WEIGHTS = (0.26, 0.11, 0.48, 0.15, 0.0)
"""Parts of the zones in a likeness; `all`, the whole figure, counts only where two figures share no other zone."""
LEVELS, CHROMA = 6, 13
ZONE_SIZE = LEVELS * CHROMA * CHROMA
SIDE = 160
_LEAST_PIXELS = 40
_LEAST_HEAD = 10.0
_CHROMA_REACH = 80.0
_DARKEST_WHITE = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class Descriptors:
    """N figures: `vectors` (N, zones, bins) float32 or float16, each zone of length 1 or all 0 where it is absent;
    `weights` (N, zones) 0..1, how much of each zone is seen."""

    vectors: FloatArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, places: Sequence[int] | npt.NDArray[np.integer]) -> Descriptors:
        """Those at `places`, in that order, as float32."""
        return Descriptors(self.vectors[places].astype(np.float32), self.weights[places])


def describe_figure(rgba: npt.NDArray[np.uint8], head: Xyxy | None) -> tuple[FloatArray, FloatArray]:
    """The descriptor (zones, bins) and the zone weights (zones,) of a cut-out HxWx4, whose alpha is the mask; `head` is
    its head's box in pixels of the cut-out, None where none was found (then only the zone `all` is seen).

    Luminance is stretched to the figure's own white, so that a dark frame changes little.
    """
    scale = min(1.0, SIDE / max(rgba.shape[:2]))
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    small = np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA))
    inside = small[..., 3] >= 128
    inside = _inner(inside)
    vectors, weights = np.zeros((len(ZONES), ZONE_SIZE), np.float32), np.zeros(len(ZONES), np.float32)
    if not inside.any():
        return vectors, weights
    bins, shares = _colour_bins(np.asarray(small[..., :3][inside], np.uint8))
    rows, columns = np.nonzero(inside)
    for place, (held, weight) in enumerate(_zones(rows, columns, head, scale)):
        if np.count_nonzero(held) < _LEAST_PIXELS:
            continue
        counts = np.bincount(bins[:, held].ravel(), shares[:, held].ravel(), ZONE_SIZE)
        vectors[place], weights[place] = np.sqrt(counts / counts.sum()), weight
    return vectors, weights


def _inner(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without its rim of 3 pixels, where shrinking mixes colours and grown masks hold the background; a
    thinner rim, or none, where that would leave less than half of it."""
    for rim in (7, 3):
        kept = cv2.erode(mask.astype(np.uint8), np.ones((rim, rim), np.uint8)) > 0
        if 2 * np.count_nonzero(kept) >= max(_LEAST_PIXELS, np.count_nonzero(mask)):
            return kept
    return mask


def _colour_bins(colours: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """For pixels (n,3): the bins of CIELAB colours that each falls into and its share in each, both (8, n)."""
    pixels = colours.astype(np.float32) / np.float32(255.0)
    white = max(_DARKEST_WHITE, float(np.percentile(pixels.max(axis=1), 98)))
    lab = np.asarray(cv2.cvtColor(np.clip(pixels / white, 0, 1).astype(np.float32)[None], cv2.COLOR_RGB2LAB))[0]
    bounds = ((0.0, 100.0, LEVELS), (-_CHROMA_REACH, _CHROMA_REACH, CHROMA), (-_CHROMA_REACH, _CHROMA_REACH, CHROMA))
    lows, parts = [], []
    for channel, (least, most, count) in enumerate(bounds):
        place = np.clip((lab[:, channel] - least) / (most - least), 0.0, 1.0) * (count - 1)
        low = np.minimum(place.astype(np.int64), count - 2)
        lows.append(low)
        parts.append(place - low)
    bins, shares = [], []
    for corner in range(8):
        steps = [corner >> 2 & 1, corner >> 1 & 1, corner & 1]
        level, a, b = (low + step for low, step in zip(lows, steps, strict=True))
        bins.append((level * CHROMA + a) * CHROMA + b)
        shares.append(np.prod([p if step else 1 - p for p, step in zip(parts, steps, strict=True)], axis=0))
    return np.stack(bins), np.stack(shares)


def _zones(
    rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer], head: Xyxy | None, scale: float
) -> list[tuple[npt.NDArray[np.bool_], float]]:
    """Which pixels lie in each of ZONES, and the zone's weight by how much of it is seen."""
    everything = np.ones(len(rows), np.bool_)
    nothing = [(np.zeros(len(rows), np.bool_), 0.0)] * (len(ZONES) - 1)
    if head is None:
        return [*nothing, (everything, 1.0)]
    x1, y1, x2, y2 = (side * scale for side in head)
    unit = max(y2 - y1, 0.8 * (x2 - x1))
    if unit < _LEAST_HEAD:
        return [*nothing, (everything, 1.0)]
    middle, wide = (x1 + x2) / 2, np.abs(columns - (x1 + x2) / 2)
    near = wide <= 0.75 * max(x2 - x1, unit)
    hair = near & (rows >= y1 - 0.3 * unit) & (rows <= y1 + 0.45 * unit)
    whole = near & (rows >= y1 - 0.1 * unit) & (rows <= y2)
    torso = (rows >= y2 + 0.1 * unit) & (rows <= y2 + 1.6 * unit) & (np.abs(columns - middle) <= 1.4 * unit)
    legs = rows >= y2 + 2.0 * unit
    shown = ((hair, 0.5), (whole, 0.5), (torso, 0.9), (legs, 0.7))
    area = unit * unit
    return [
        (held, float(np.clip(np.count_nonzero(held) / (expected * area), 0.0, 1.0))) for held, expected in shown
    ] + [(everything, 1.0)]


def likenesses(one: Descriptors, other: Descriptors) -> FloatArray:
    """(len(one), len(other)) from 0 to 1: the mean Bhattacharyya coefficient of the zones that both show, each weighted
    by its part in ZONE_WEIGHTS and by how much of it the one that shows less of it shows."""
    total = np.zeros((len(one), len(other)), np.float32)
    weight = np.zeros_like(total)
    for place, part in enumerate(ZONE_WEIGHTS[:-1]):
        both = part * np.minimum(one.weights[:, place, None], other.weights[None, :, place])
        total += both * (one.vectors[:, place] @ other.vectors[:, place].T)
        weight += both
    whole = one.vectors[:, -1] @ other.vectors[:, -1].T
    return np.clip(np.where(weight > 0.02, total / np.maximum(weight, 1e-6), whole), 0.0, 1.0)


def shared_weight(one: Descriptors, other: Descriptors) -> FloatArray:
    """(len(one), len(other)) from 0 to 1: how much of the figure a likeness of the two rests on."""
    weight = np.zeros((len(one), len(other)), np.float32)
    for place, part in enumerate(ZONE_WEIGHTS):
        weight += part * np.minimum(one.weights[:, place, None], other.weights[None, :, place])
    return weight


def mean_descriptor(found: Descriptors) -> tuple[FloatArray, FloatArray]:
    """One descriptor for figures of one track: each zone the mean of those that show it, by how much they show and by
    how like the rest they are, so that the mixed frames of a dissolve count little."""
    shares = found.weights[..., None]
    middle = _unit((found.vectors * shares).sum(axis=0))
    agreement = (found.vectors * middle).sum(axis=-1, keepdims=True) ** 4
    return _unit((found.vectors * shares * agreement).sum(axis=0)), found.weights.max(axis=0)


def _unit(vectors: FloatArray) -> FloatArray:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)).astype(np.float32)

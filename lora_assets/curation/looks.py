"""Looks of a character: outfits by the colours of torso and legs, poses by the outline. What a dataset should vary in.

What belongs elsewhere: who the character is (identity), how looks are balanced (choosing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lora_assets.identity.descriptor import ZONES, Descriptors
from lora_assets.identity.likeness import TINY, TINY_SIZE

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]

Alike = Callable[[int, list[int]], tuple[npt.NDArray[np.bool_], FloatArray]]
"""A place and the leaders in; which of them fit and how alike they are out."""

OUTFIT_LIKENESS = 0.6
POSE_DISTANCE = 0.28
_CLOTHES = tuple(ZONES.index(name) for name in ("torso", "legs"))
_LEAST_SEEN = 0.15


def looks_of(characters: Sequence[str], figures: Descriptors, tiny: FloatArray) -> list[str]:
    """The look of each of N crops, "o1 p2" (first outfit, second pose of its character); an outfit that is not shown is
    o0. Numbered in the order of the crops."""
    found = [""] * len(characters)
    outlines = tiny.reshape(len(tiny), TINY_SIZE // 4, 4)[..., 3] if len(tiny) else np.zeros((0, TINY * TINY))
    for character in dict.fromkeys(characters):
        inside = [place for place, name in enumerate(characters) if name == character]
        own = figures.take(inside)
        outfits = _led(len(inside), lambda place, leaders, own=own: _clothes(own, place, leaders))
        shapes = outlines[inside]
        poses = _led(
            len(inside),
            lambda place, leaders, shapes=shapes: (
                np.abs(shapes[leaders] - shapes[place]).mean(axis=1) <= POSE_DISTANCE,
                -np.abs(shapes[leaders] - shapes[place]).mean(axis=1),
            ),
        )
        shown = own.weights[:, list(_CLOTHES)].max(axis=1) >= _LEAST_SEEN
        for row, place in enumerate(inside):
            found[place] = f"o{outfits[row] + 1 if shown[row] else 0} p{poses[row] + 1}"
    return found


def _clothes(own: Descriptors, place: int, leaders: list[int]) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Which leaders wear the same as a crop, and how alike: over the zones that both show."""
    total, weight = np.zeros(len(leaders)), np.zeros(len(leaders))
    for zone in _CLOTHES:
        both = np.minimum(own.weights[leaders, zone], own.weights[place, zone])
        total += both * (own.vectors[leaders, zone] @ own.vectors[place, zone])
        weight += both
    likeness = total / np.maximum(weight, 1e-6)
    return (weight >= _LEAST_SEEN) & (likeness >= OUTFIT_LIKENESS), likeness


def _led(count: int, alike: Alike) -> list[int]:
    """Groups by leaders: each joins the most alike leader that fits, or leads the next group."""
    leaders: list[int] = []
    group: list[int] = []
    for place in range(count):
        fits, likeness = alike(place, leaders) if leaders else (np.zeros(0, np.bool_), np.zeros(0))
        if fits.any():
            group.append(int(np.argmax(np.where(fits, likeness, -np.inf))))
        else:
            group.append(len(leaders))
            leaders.append(place)
    return group

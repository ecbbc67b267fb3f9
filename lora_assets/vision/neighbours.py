"""Pixels that two masks of a frame both claim, given to one of them.

A mask may hold what lies in front of a character, or the character beside it; a crop of it then shows two. What belongs
elsewhere: how masks are found (segment), growing that spares a neighbour (refine).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.masks import BoolMask, mask_bounds

CODE_VERSION = "1"

DUPLICATE_IOU = 0.7
"""Masks that are this alike show one character twice: which box to keep is the detector's question, and dividing them
would tear the character apart."""


class Sureness(Protocol):
    """An array (HxW), or what makes any part of one when it is asked for: those of a whole frame may fill gigabytes."""

    def __getitem__(self, part: tuple[slice, slice], /) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A mask with its corner (x, y) in the frame, and how sure each of its pixels is.

    `sureness` has the mask's shape; only its order between the claims of one frame matters (logits, for example).
    """

    x: int
    y: int
    mask: BoolMask
    sureness: Sureness


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What is left of a claim: its mask (same window), and the share of its pixels that went to a neighbour, 0 to 1."""

    mask: BoolMask
    taken: float


def depth(mask: BoolMask) -> npt.NDArray[np.float32]:
    """Distance in pixels of each pixel of a mask to its outline; 0 outside. The sureness of a mask without logits."""
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.distanceTransform(framed, cv2.DIST_L2, 3), np.float32)[1:-1, 1:-1]


def divide(claims: Sequence[Claim]) -> list[Share]:
    """Each pixel of a frame to the claim that is surest of it; of equals to the first. In the order of the claims.

    Claims that show one character twice (IoU of DUPLICATE_IOU or more) are not divided between each other.
    """
    lost = [np.zeros_like(claim.mask) for claim in claims]
    areas = [int(np.count_nonzero(claim.mask)) for claim in claims]
    for first, second in combinations(range(len(claims)), 2):
        one, two = claims[first], claims[second]
        left, top = max(one.x, two.x), max(one.y, two.y)
        right = min(one.x + one.mask.shape[1], two.x + two.mask.shape[1])
        bottom = min(one.y + one.mask.shape[0], two.y + two.mask.shape[0])
        if left >= right or top >= bottom:
            continue
        both = one.mask[_part(one, left, top, right, bottom)] & two.mask[_part(two, left, top, right, bottom)]
        shared = int(np.count_nonzero(both))
        bounds = mask_bounds(both)
        if bounds is None or shared >= DUPLICATE_IOU * (areas[first] + areas[second] - shared):
            continue
        x, y, width, height = bounds
        both = both[y : y + height, x : x + width]
        here, there = (_part(each, left + x, top + y, left + x + width, top + y + height) for each in (one, two))
        goes_to_first = one.sureness[here] >= two.sureness[there]
        lost[first][here] |= both & ~goes_to_first
        lost[second][there] |= both & goes_to_first
    return [
        Share(claim.mask & ~gone, float(np.count_nonzero(gone)) / area if area else 0.0)
        for claim, gone, area in zip(claims, lost, areas, strict=True)
    ]


def _part(claim: Claim, left: int, top: int, right: int, bottom: int) -> tuple[slice, slice]:
    """Where a part of the frame lies in the claim's mask."""
    return slice(top - claim.y, bottom - claim.y), slice(left - claim.x, right - claim.x)

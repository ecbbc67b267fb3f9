"""Which crops of a shot show one figure: boxes of successive frames that overlap and look alike.

Crops of one track must be one character, and two crops of one frame cannot be. What belongs elsewhere: where shots
begin (shots), which tracks are one character (clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.vision.boxes import box_iou

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]
Alike = Callable[[Sequence[int], Sequence[int]], FloatArray]
"""Likeness 0..1 of two lists of figures by their places, (len, len); NaN where it is not known."""

LEAST_IOU = 0.35
LEAST_LIKENESS = 0.45
MOST_GAP = 2
"""Frames that a figure may be missing from (not found, vetoed) before its track ends."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One crop for tracking: its shot, the number of its frame in the film, its detection's box (xyxy pixels)."""

    shot: str
    frame: int
    box: tuple[float, float, float, float]


def link_tracks(figures: Sequence[Figure], alike: Alike | None = None) -> npt.NDArray[np.int64]:
    """The track of each figure, counted from 0 in the order of shots and frames.

    Boxes of successive frames of a shot are paired so that the sum of their IoU is largest (Hungarian method), at
    LEAST_IOU or more. With `alike`, pairs under LEAST_LIKENESS are none.
    """
    tracks = np.full(len(figures), -1, np.int64)
    shots: dict[str, dict[int, list[int]]] = {}
    for place, figure in enumerate(figures):
        shots.setdefault(figure.shot, {}).setdefault(figure.frame, []).append(place)
    free = 0
    for shot in sorted(shots):
        ends: list[tuple[int, int]] = []  # the last figure of each open track, and its frame
        for number in sorted(shots[shot]):
            here = shots[shot][number]
            ends = [(last, seen) for last, seen in ends if number - seen <= MOST_GAP + 1]
            pairs = _pairs([last for last, _ in ends], here, figures, alike)
            for last, place in pairs:
                tracks[place] = tracks[last]
            for place in here:
                if tracks[place] < 0:
                    tracks[place] = free
                    free += 1
            continued = {last for last, _ in pairs}
            ends = [(last, seen) for last, seen in ends if last not in continued] + [(place, number) for place in here]
    return tracks


def _pairs(
    before: Sequence[int], after: Sequence[int], figures: Sequence[Figure], alike: Alike | None
) -> list[tuple[int, int]]:
    if not before or not after:
        return []
    iou = box_iou(np.array([figures[i].box for i in before]), np.array([figures[i].box for i in after]))
    if alike is not None:
        likeness = alike(before, after)
        iou = np.where(np.isnan(likeness) | (likeness >= LEAST_LIKENESS), iou, 0.0)
    from scipy.optimize import linear_sum_assignment  # half of what loading the definitions would cost

    rows, columns = linear_sum_assignment(-iou)
    return [(before[r], after[c]) for r, c in zip(rows, columns, strict=True) if iou[r, c] >= LEAST_IOU]

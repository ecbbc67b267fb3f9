"""Which crop a verdict applies to after detection has run anew: same frame bytes, IoU of the boxes 0.8 or more.

One verdict per crop and one crop per verdict. Verdicts that fit no crop are told with the reason, never dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.verdicts.places import CropPlace
from lora_assets.verdicts.record import CLEARED, Verdict
from lora_assets.vision.boxes import box_iou

IOU_LIMIT = 0.8


@dataclass(frozen=True, slots=True)
class Matched:
    """A verdict and the crop that it applies to; `iou` of the two boxes, 0..1."""

    verdict: Verdict
    place: CropPlace
    iou: float


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A verdict that applies to no crop of the tracker, and why, in words."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Matching:
    """Every verdict once: with its crop, or with the reason why it has none."""

    matched: tuple[Matched, ...]
    unmatched: tuple[Unmatched, ...]

    def standing(self) -> Matching:
        """The same without `cleared` verdicts.

        They take part in the matching itself, so that an older word on the same pixels does not come back.
        """
        return Matching(
            tuple(match for match in self.matched if match.verdict.value != CLEARED),
            tuple(lost for lost in self.unmatched if lost.verdict.value != CLEARED),
        )

    def by_crop(self) -> dict[str, Verdict]:
        """The verdict of each crop that has one, by crop id."""
        return {match.place.crop_id: match.verdict for match in self.matched}


def match_verdicts(verdicts: Sequence[Verdict], places: Iterable[CropPlace], iou_limit: float = IOU_LIMIT) -> Matching:
    """Give verdicts (in the order of time) to crops, greedily: the very crop that was judged first, then by IoU, and
    of equal ones the later verdict. Raises ValueError for a limit outside 0 to 1."""
    if not 0.0 < iou_limit <= 1.0:
        raise ValueError(f"an IoU limit of {iou_limit} does not fit: give a number above 0 and up to 1")
    by_frame: dict[str, list[CropPlace]] = defaultdict(list)
    for place in places:
        by_frame[place.frame_sha256].append(place)
    of_frame: dict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        of_frame[verdict.mark.frame_sha256].append(index)
    matched: dict[int, Matched] = {}
    reasons: dict[int, str] = {}
    for frame, indices in of_frame.items():
        if not by_frame[frame]:
            reasons.update(dict.fromkeys(indices, "the tracker has no crop of this frame"))
            continue
        _match_frame(verdicts, indices, by_frame[frame], iou_limit, matched, reasons)
    return Matching(
        tuple(matched[index] for index in sorted(matched)),
        tuple(Unmatched(verdicts[index], reasons[index]) for index in sorted(reasons)),
    )


def _match_frame(
    verdicts: Sequence[Verdict],
    indices: Sequence[int],
    places: Sequence[CropPlace],
    iou_limit: float,
    matched: dict[int, Matched],
    reasons: dict[int, str],
) -> None:
    iou = box_iou(
        np.array([verdicts[index].mark.box for index in indices], np.float64),
        np.array([place.box for place in places], np.float64),
    )
    same = np.array([[verdicts[index].crop_id == place.crop_id for place in places] for index in indices])
    pairs = [(row, column) for row, column in zip(*np.nonzero(same | (iou >= iou_limit)), strict=True)]
    pairs.sort(key=lambda pair: (not same[pair], -iou[pair], -pair[0], pair[1]))
    taken: dict[int, int] = {}
    for row, column in pairs:
        if indices[row] not in matched and column not in taken:
            matched[indices[row]] = Matched(verdicts[indices[row]], places[column], float(iou[row, column]))
            taken[column] = row
    for row, index in enumerate(indices):
        if index not in matched:
            best = int(np.argmax(iou[row]))
            reasons[index] = (
                f"another verdict fits its crop {places[best].crop_id} better or later (IoU {iou[row, best]:.2f})"
                if iou[row, best] >= iou_limit
                else f"no box of the frame overlaps it by {iou_limit:g} (best IoU {iou[row, best]:.2f})"
            )

"""One second try for a crop whose shape failed or whose body was cut although visible: a wider box, a new mask, and
whichever of the two scores better, if it has no new grave defect.

Costs model time for those crops only. What belongs elsewhere: the segmenter (segment), what is a flaw (checks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lora_assets.tables import Detection, Mask, ScoredCrop
from lora_assets.vision.checks import CHECKS, GRAVE
from lora_assets.vision.cutout import Xyxy, box_of
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import encode_mask, mask_bounds, mask_pixels, window_pixels
from lora_assets.vision.neighbours import DUPLICATE_IOU
from lora_assets.vision.refine import RefineSettings, refine_row
from lora_assets.vision.score import ScoreSettings, score_frame, score_one

WIDER = 0.25
# Flags that a better box can mend. A black, flat or double crop stays what it is.
MENDED_BY_A_WIDER_BOX = frozenset(
    {"cut_body", "box_gap", "missing_head", "incomplete_body", "outside_box", "box_shaped", "bad_shape"}
)
_SAME_BODY = 0.9

SegmentAgain = Callable[[RgbImage, list[Detection]], list[Mask]]
"""A frame and detections with wider boxes in, one mask row each out, before refinement."""


@dataclass(frozen=True, slots=True)
class ScoredMask:
    """A judged crop with the mask that it was cut with."""

    crop: ScoredCrop
    mask: Mask


def wider_box(detection: Detection, detections: Sequence[Detection], width: int, height: int) -> Xyxy:
    """The box grown by 25 % of its sides on each side, and to the largest body box that holds nine tenths of it,
    clipped to the frame."""
    x1, y1, x2, y2 = box_of(detection)
    dx, dy = WIDER * (x2 - x1), WIDER * (y2 - y1)
    grown = [x1 - dx, y1 - dy, x2 + dx, y2 + dy]
    for other in detections:
        if other.body_from is None or other.detection_id == detection.detection_id:
            continue
        left, top, right, bottom = max(x1, other.x1), max(y1, other.y1), min(x2, other.x2), min(y2, other.y2)
        shared = max(0.0, right - left) * max(0.0, bottom - top)
        if shared >= _SAME_BODY * (x2 - x1) * (y2 - y1):
            grown = [min(grown[0], other.x1), min(grown[1], other.y1), max(grown[2], other.x2), max(grown[3], other.y2)]
    return max(0.0, grown[0]), max(0.0, grown[1]), min(float(width), grown[2]), min(float(height), grown[3])


def score_with_second_try(
    image: RgbImage,
    detections: Sequence[Detection],
    masks: Sequence[Mask],
    settings: ScoreSettings,
    refine: RefineSettings,
    segment: SegmentAgain | None,
) -> list[ScoredMask]:
    """The judged crops of a frame, in order; those with a flag of MENDED_BY_A_WIDER_BOX after one second extraction.

    A second mask is refined like the first and, where growing spares the neighbours, gives up what other subjects have
    (in their second masks, where those were kept before it; a second box of the same body is no other subject). It is
    kept when it scores better and has no grave defect that the first has not: a filled box is no mending of a cut body.
    The row says that it was tried (`extracted_again`) and carries the mask that was kept.
    Without `segment`, or with `settings.extract_again` off, nothing is tried. Raises ValueError as `score_frame` does.
    """
    rows = score_frame(image, detections, masks, settings)
    first = [ScoredMask(row, mask) for row, mask in zip(rows, masks, strict=True)]
    again = [
        place
        for place, (row, mask) in enumerate(zip(rows, masks, strict=True))
        # A mask that a person made is final.
        if row.is_valid_content and MENDED_BY_A_WIDER_BOX & set(row.flags) and mask.corrected is None
    ]
    height, width = image.shape[:2]
    by_id = {detection.detection_id: detection for detection in detections}
    wide: dict[int, Detection] = {}
    for index in again:
        found = by_id[masks[index].detection_id]
        x1, y1, x2, y2 = wider_box(found, detections, width, height)
        if x2 - x1 >= 1 and y2 - y1 >= 1:
            wide[index] = replace(found, x1=x1, y1=y1, x2=x2, y2=y2)
    if segment is None or not settings.extract_again or not wide:
        return first
    found_masks = segment(image, list(wide.values()))
    newest = list(masks)
    for (index, box), mask in zip(wide.items(), found_masks, strict=True):
        others = [other for place, other in enumerate(newest) if place != index]
        spared = [
            newest[place]
            for place, other in enumerate(masks)
            if place != index and not _is_same_body(masks[index], other)
        ]
        second = _second_mask(mask, spared if refine.spare_neighbours else [], width, height, refine)
        if second is None:
            continue
        told = [_box_around(by_id[d.detection_id], second, box) if d.detection_id == mask.detection_id else d
                for d in detections]  # fmt: skip
        scored = score_one(image, told, second, others, settings)
        kept = first[index]
        if scored.score > kept.crop.score and _grave_defects(scored) <= _grave_defects(kept.crop):
            first[index] = ScoredMask(_with_mask(scored, second), second)
            newest[index] = second
        else:
            first[index] = ScoredMask(replace(kept.crop, extracted_again=True), kept.mask)
    return first


def _grave_defects(crop: ScoredCrop) -> set[str]:
    """The names of the findings that veto a crop, or make it low by themselves."""
    checks = {check.name: check for check in CHECKS}
    told = ((checks[name], value) for name, value in zip(crop.flags, crop.flag_values, strict=True))
    return {check.name for check, value in told if check.veto or check.penalty_for(value) <= GRAVE}


def _is_same_body(one: Mask, other: Mask) -> bool:
    """True for masks so alike that they are two boxes of one character."""
    here = mask_pixels(one)
    shared = int(np.count_nonzero(here & window_pixels(other, (one.x, one.y, one.width, one.height))))
    return shared > 0 and shared >= DUPLICATE_IOU * (one.area + other.area - shared)


def _second_mask(mask: Mask, spared: Sequence[Mask], width: int, height: int, refine: RefineSettings) -> Mask | None:
    """The new mask refined, without the pixels of the subjects to spare; None when nothing is left."""
    own = _without(mask, spared, width, height)
    if own is None or not spared:
        return own and refine_row(own, width, height, refine)
    grown = _without(refine_row(own, width, height, refine), spared, width, height)
    # The baseline preset changes no pixel: it trims the window and measures the shape of what is left.
    return grown and refine_row(grown, width, height, replace(refine, preset="baseline"))


def _without(mask: Mask, spared: Sequence[Mask], width: int, height: int) -> Mask | None:
    window = (mask.x, mask.y, mask.width, mask.height)
    pixels = mask_pixels(mask)
    for other in spared:
        pixels &= ~window_pixels(other, window)
    if mask_bounds(pixels) is None:
        return None
    area = int(np.count_nonzero(pixels))
    return replace(mask, rle=encode_mask(pixels), area=area, coverage=area / (width * height))


def _box_around(found: Detection, mask: Mask, wide: Detection) -> Detection:
    """The detection with its box grown to the mask, as far as the wider box allows, so that no leak is invented."""
    x1, y1 = max(wide.x1, min(found.x1, float(mask.x))), max(wide.y1, min(found.y1, float(mask.y)))
    x2 = min(wide.x2, max(found.x2, float(mask.x + mask.width)))
    y2 = min(wide.y2, max(found.y2, float(mask.y + mask.height)))
    return replace(found, x1=x1, y1=y1, x2=x2, y2=y2)


def _with_mask(crop: ScoredCrop, mask: Mask) -> ScoredCrop:
    window = [float(mask.x), float(mask.y), float(mask.width), float(mask.height)]
    return replace(crop, extracted_again=True, second_window=window, second_rle=mask.rle)

"""How right tiers are on the real pictures: detectors, segmenter and checks against the table written by eye.

Run by hand, with weights: `python -m lora_assets_tests.real_tiers --detector NAME --segmenter NAME` (registry names or
paths). A crop is compared with the listed character whose box it fits best. Drawn crops are in benchmarks.tiers.

The tier that a careful person would give to a found crop, by the rules of `real_pictures`
- that of the row, when the mask's box fits the character's with an IoU of 0.7 or more; one step lower from 0.5 on;
- low, and a veto, when the faces of two listed characters or more lie in the mask, or when its box fits no listed
  character with an IoU of 0.3 in a picture without unlisted ones; low without a veto between 0.3 and 0.5.
- Rows of tier "unsure", and crops that may show somebody unlisted, count neither way.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.main_line.cells import segment_subjects
from lora_assets.models import resolve
from lora_assets.store import atomic_write_bytes
from lora_assets.tables import Mask
from lora_assets.vision.boxes import box_iou
from lora_assets.vision.crops import contact_sheet, crop_window, cut_crop, encode_png
from lora_assets.vision.detect import Detector, DetectSettings, detect_frame, load_detector
from lora_assets.vision.extract_again import score_with_second_try
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.masks import window_pixels
from lora_assets.vision.refine import RefineSettings, refine_rows
from lora_assets.vision.score import HIGH, LOW, MEDIUM, ScoreSettings
from lora_assets.vision.segment import Segmenter, SegmentSettings, load_segmenter
from lora_assets_tests.conftest import TEST_IMAGES
from lora_assets_tests.real_pictures import RealCharacter, read_real_pictures

_TIERS = (HIGH, MEDIUM, LOW)


@dataclass(frozen=True, slots=True)
class RealCrop:
    """One found crop: its file, the tier and flags given, the tier by the rules (None: not scored), and the veto."""

    file: str
    tier: str
    flags: tuple[str, ...]
    true_tier: str | None
    vetoed: bool
    thumb: npt.NDArray[np.uint8] | None = None


def label_of(mask: Mask, rows: Sequence[RealCharacter], size: tuple[int, int]) -> tuple[str | None, bool]:
    """The tier by the rules above, or None where it is not scored, and whether it must never be high."""
    people = [row for row in rows if row.box is not None]
    faces = 0
    for row in people:
        if row.face is not None:
            x1, y1, x2, y2 = row.face
            faces += bool(window_pixels(mask, (x1, y1, x2 - x1, y2 - y1)).mean() >= 0.5)
    if faces > 1:
        return LOW, True
    unlisted = any(row.unlisted for row in rows)
    x, y, width, height = crop_window(mask, *size)
    own = np.array([[x, y, x + width, y + height]], np.float64)
    fits = box_iou(own, np.array([row.box for row in people], np.float64).reshape(-1, 4))[0]
    best = float(fits.max()) if len(fits) else 0.0
    if best < 0.3:
        return (None, False) if unlisted else (LOW, True)
    row = people[int(fits.argmax())]
    if not row.scored:
        return None, False
    if best < 0.5:
        return LOW, False
    step = 0 if best >= 0.7 else 1
    return _TIERS[min(2, _TIERS.index(row.tier) + step)], False


def measure_real_tiers(
    detectors: Sequence[Detector],
    segmenter: Segmenter,
    folder: Path = TEST_IMAGES,
    limit: int | None = None,
    sheet: Path | None = None,
) -> list[str]:
    """Lines: the tiers picture by picture, the confusion of tiers, precision of high, recall of good crops, vetoed
    crops in high. `sheet`: a PNG of the crops that were called high, wrong ones first."""
    by_file: dict[str, list[RealCharacter]] = defaultdict(list)
    for row in read_real_pictures():
        by_file[row.file].append(row)
    judged: list[RealCrop] = []
    lines: list[str] = []
    for file in sorted(by_file)[:limit]:
        image = decode_image(read_file(folder / file)).pixels
        height, width = image.shape[:2]
        found = detect_frame(image, "0" * 64, detectors, DetectSettings())
        subjects = [row for row in found if row.is_subject]
        masks = refine_rows(segment_subjects(image, "0" * 64, subjects, segmenter), width, height) if subjects else []
        scored = score_with_second_try(
            image, found, masks, ScoreSettings(), RefineSettings(),
            lambda picture, boxes: segment_subjects(picture, "0" * 64, boxes, segmenter),
        ) if masks else []  # fmt: skip
        for each in scored:
            true, vetoed = label_of(each.mask, by_file[file], (width, height))
            thumb = cut_crop(image, each.mask) if sheet is not None and each.crop.tier == HIGH else None
            judged.append(RealCrop(file, each.crop.tier, tuple(each.crop.flags), true, vetoed, thumb))
        given = [crop for crop in judged if crop.file == file]
        told = ", ".join(f"{crop.tier}/{crop.true_tier or '-'}" for crop in given)
        lines.append(f"{file}: {told or 'nothing found'} (given/by the rules)")
    if sheet is not None:
        high = sorted((crop for crop in judged if crop.tier == HIGH), key=lambda crop: crop.true_tier == HIGH)
        atomic_write_bytes(sheet, encode_png(contact_sheet([each.thumb for each in high if each.thumb is not None], 8)))
    return lines + summary(judged)


def summary(judged: Sequence[RealCrop]) -> list[str]:
    """The figures over all crops."""
    sure = [crop for crop in judged if crop.true_tier is not None]
    high = [crop for crop in sure if crop.tier == HIGH]
    good = [crop for crop in sure if crop.true_tier == HIGH]
    right = sum(crop.true_tier == HIGH for crop in high)
    vetoed = sum(crop.vetoed and crop.tier == HIGH for crop in judged)
    pairs = Counter((crop.true_tier, crop.tier) for crop in sure)
    return [
        f"{len(judged)} crops, {len(judged) - len(sure)} not scored",
        *(f"by the rules {true}: " + ", ".join(f"{pairs[true, said]} {said}" for said in _TIERS) for true in _TIERS),
        f"precision of high {right}/{len(high)}, recall of good crops {sum(c.tier == HIGH for c in good)}/{len(good)}",
        f"vetoed crops in high: {vetoed} of {sum(crop.vetoed for crop in judged)}",
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", action="append", help="weights of a detector; may be given several times")
    parser.add_argument("--segmenter", default=SegmentSettings().weights)
    parser.add_argument("--images", type=Path, default=TEST_IMAGES)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--sheet", type=Path, help="write the crops called high into this PNG, wrong ones first")
    told = parser.parse_args()
    names = told.detector or list(DetectSettings().weights)
    detectors = [load_detector(resolve(name, told.data), DetectSettings()) for name in names]
    segmenter = load_segmenter(resolve(told.segmenter, told.data), SegmentSettings())
    print("\n".join(measure_real_tiers(detectors, segmenter, told.images, told.limit, told.sheet)))


if __name__ == "__main__":
    main()

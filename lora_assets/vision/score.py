"""The score of a cut-out: L1 (technical, five parts), times the penalties of L2 (checks), and L3, fit for training.

The parts and their weights are written here with their formulas. What is measured for L2 is in measures, its limits are
in checks; learning from a person's verdicts does not belong here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.tables import Detection, Mask, ScoredCrop
from lora_assets.vision.body_checks import body_completeness
from lora_assets.vision.character_counts import count_by_each
from lora_assets.vision.checks import CHECKS, Check
from lora_assets.vision.crops import crop_id_of, crop_window
from lora_assets.vision.cutout import CutOut, find_heads, make_cutout, make_subject
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, enclosed_pixels, piece_areas
from lora_assets.vision.measures import MEASURES, black_share, lost_in_holes

CODE_VERSION = "4"

HIGH, MEDIUM, LOW = "high", "medium", "low"
PARTS = ("area_ratio", "detector_confidence", "aspect_ratio", "edge_quality", "mask_completeness")
_VETO_CAP = 0.49
_SURE_IOU = 0.8
# Columns that hold a whole number, or more than the check looks at.
_TOLD_OTHERWISE = ("pixel_count", "character_count", "body_completeness")


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """Weights of the five parts (they sum to 1), limits of the tiers, limits of checks that differ from the defaults,
    by the check's name, and whether a crop of bad shape is extracted again. Raises ValueError for weights or limits
    that do not fit.
    """

    high: float = 0.8
    medium: float = 0.5
    area_ratio: float = 0.15
    detector_confidence: float = 0.20
    aspect_ratio: float = 0.15
    edge_quality: float = 0.20
    mask_completeness: float = 0.30
    limits: dict[str, float] = field(default_factory=dict)
    extract_again: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.extract_again, bool):
            raise ValueError(f"extract_again must be true or false, not {self.extract_again!r}")
        weights = [getattr(self, part) for part in PARTS]
        if min(weights) < 0 or not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
            raise ValueError(f"the weights of {', '.join(PARTS)} are {weights}: they must be at least 0 and sum to 1")
        if not _VETO_CAP < self.medium < self.high <= 1.0:
            raise ValueError(
                f"medium {self.medium} and high {self.high} must lie in this order from 0.5 to 1: "
                "a veto caps the score under 0.5 and must never reach medium"
            )
        if not isinstance(self.limits, dict):
            raise ValueError(f"limits must be a table of checks and their limits, not {self.limits!r}")
        names = [check.name for check in CHECKS]
        for name, limit in self.limits.items():
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(f"there is no check {name!r}{hint}. Checks: {', '.join(names)}")
            if not math.isfinite(limit):
                raise ValueError(f"the limit of check {name} is {limit}: give a finite number")


# --- L1: five parts --------------------------------------------------------------------------------------------------


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def area_part(cut: CutOut) -> float:
    """1 from 3 % of the frame on, sqrt(area / 3 %) below (the figure's height counts, not its area), falling to 0
    from 85 % of the frame to the whole of it (then the mask is the picture, not a figure)."""
    share = cut.area / (cut.frame_size[0] * cut.frame_size[1])
    return _clip(min(math.sqrt(share / 0.03), (1.0 - share) / 0.15))


def aspect_part(cut: CutOut) -> float:
    """1 for height / width from 0.6 (a wide bust, a lying figure) to 4.5 (standing), falling with its logarithm to 0
    at 0.2 and 9."""
    tall = math.log(cut.window[3] / cut.window[2])
    return _clip(min((tall - math.log(0.2)) / math.log(0.6 / 0.2), (math.log(9.0) - tall) / math.log(9.0 / 4.5)))


def edge_part(cut: CutOut) -> float:
    """Mean of smoothness and edge support.

    Smoothness: 1 - (pixels that a closing and opening with a 7-pixel ellipse change) / (outline length), in pixels,
    times 1 (a clean outline changes under 0.3 per outline pixel, a ragged one 1 or more). Edge support: share of the
    outline with a drawn edge (contrast of 20 or more of 255) within 11 pixels, the reach of the refinement.
    """
    levels = cut.mask.astype(np.uint8)
    if not cut.area:
        return 0.0
    rim = cut.mask & (cv2.erode(levels, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) == 0)
    outline = max(1, int(np.count_nonzero(rim)))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    padded = cv2.copyMakeBorder(levels, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    smooth = cv2.morphologyEx(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, ellipse), cv2.MORPH_OPEN, ellipse)[8:-8, 8:-8]
    changed = int(np.count_nonzero(smooth != levels))
    contrast = cv2.subtract(
        cv2.dilate(cut.grey, np.ones((11, 11), np.uint8)), cv2.erode(cut.grey, np.ones((11, 11), np.uint8))
    )
    supported = int(np.count_nonzero(rim & (contrast >= 20))) / outline
    return _clip(0.5 * _clip(1.25 - changed / outline) + 0.5 * supported)


def _reduced(mask: BoolMask) -> npt.NDArray[np.uint8]:
    """The mask as 0 and 1, at most 384 pixels high and wide: labelling pieces is the slowest step of L1."""
    levels = mask.astype(np.uint8)
    scale = 384.0 / max(mask.shape)
    if scale >= 1.0:
        return levels
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def completeness_part(cut: CutOut) -> float:
    """(share of the largest piece) x (1 - holes / 0.3 of the figure) x (filled share of the box / 0.2, at most 1) x
    (the segmenter's own estimate of its IoU / 0.8, at most 1).

    Holes are what the mask encloses and leaves out of the figure (`measures.lost_in_holes`), all that it encloses where
    that cannot be told; what is seen between raised arms is none, and 2 % are free. The box is the detection's, so that
    a mask of a scrap of it counts as incomplete. A mask that its segmenter doubts is seldom whole.
    """
    if not cut.area:
        return 0.0
    levels = _reduced(cut.mask)
    area = max(1, int(np.count_nonzero(levels)))
    largest = int(piece_areas(levels.view(np.bool_)).max(initial=0)) / area
    enclosed = max(0.0, enclosed_pixels(levels.view(np.bool_)) / area - 0.02)
    lost = lost_in_holes(cut) if enclosed else None
    holes = enclosed if lost is None else min(enclosed, lost)
    x1, y1, x2, y2 = cut.detection.x1, cut.detection.y1, cut.detection.x2, cut.detection.y2
    width, height = cut.frame_size
    box = max(0.0, min(x2, width) - max(x1, 0.0)) * max(0.0, min(y2, height) - max(y1, 0.0))
    filled = cut.area / box if box > 0 else 0.0
    sure = _clip(cut.row.predicted_iou / _SURE_IOU)
    return _clip(largest) * _clip(1.0 - holes / 0.3) * _clip(filled / 0.2) * sure


def technical_parts(cut: CutOut) -> dict[str, float]:
    """The five parts of L1 by name, each 0..1; `detector_confidence` is the detector's own."""
    return {
        "area_ratio": area_part(cut),
        "detector_confidence": _clip(cut.detection.confidence),
        "aspect_ratio": aspect_part(cut),
        "edge_quality": edge_part(cut),
        "mask_completeness": completeness_part(cut),
    }


# --- L2 and L3 -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that a cut-out did not pass: the measured value and the limit that it crossed."""

    check: Check
    value: float
    limit: float

    @property
    def penalty(self) -> float:
        """What the finding multiplies the score by."""
        return self.check.penalty_for(self.value)


def measure_all(cut: CutOut) -> dict[str, float | None]:
    """The value of every check by its name; None where it cannot be measured on this cut-out, never NaN."""
    values = {name: measure(cut) for name, measure in MEASURES.items()}
    return {name: value if value is None or math.isfinite(value) else None for name, value in values.items()}


def find_flaws(values: Mapping[str, float | None], settings: ScoreSettings) -> list[Finding]:
    """The checks that measured values do not pass, in the order of CHECKS: vetoes first."""
    found = []
    for check in CHECKS:
        value = values[check.name]
        limit = settings.limits.get(check.name, check.limit)
        if value is not None and check.crossed(value, limit):
            found.append(Finding(check, value, limit))
    return found


def penalty_of(findings: Sequence[Finding]) -> float:
    """What findings multiply a score by: the product over their groups of the strongest penalty in each."""
    strongest: dict[str, float] = {}
    for finding in findings:
        group = finding.check.group
        strongest[group] = min(strongest.get(group, 1.0), finding.penalty)
    return math.prod(strongest.values())


def tier_of(score: float, settings: ScoreSettings = ScoreSettings()) -> str:
    """high, medium or low."""
    return HIGH if score >= settings.high else MEDIUM if score >= settings.medium else LOW


def judge_values(
    technical: float, values: Mapping[str, float | None], settings: ScoreSettings
) -> tuple[float, list[Finding]]:
    """The score 0..1 and the findings of a cut-out, from its technical score and the measured values of all checks."""
    findings = find_flaws(values, settings)
    score = technical * penalty_of(findings)
    return _clip(min(score, _VETO_CAP) if any(each.check.veto for each in findings) else score), findings


def technical_score(parts: Mapping[str, float], settings: ScoreSettings) -> float:
    """The weighted sum 0..1 of the five parts."""
    return _clip(sum(getattr(settings, name) * value for name, value in parts.items()))


def _reasons(findings: Sequence[Finding], parts: dict[str, float], score: float, settings: ScoreSettings) -> list[str]:
    reasons = [finding.check.why for finding in findings]
    if score < settings.high:
        weak = [name.replace("_", " ") for name in PARTS if parts[name] < 0.6]
        told = f" (weak: {', '.join(weak)})" if weak else ""
        if weak or not findings:
            reasons.append(f"the score {score:.2f} is under {settings.high:g}{told}")
    return reasons


def score_cutout(cut: CutOut, settings: ScoreSettings) -> ScoredCrop:
    """The judged row of one cut-out."""
    counts = count_by_each(cut)
    parts = technical_parts(cut)
    technical = technical_score(parts, settings)
    values = measure_all(cut)
    score, findings = judge_values(technical, values, settings)
    veto = any(finding.check.veto for finding in findings)
    reasons = _reasons(findings, parts, score, settings)
    x, y, width, height = crop_window(cut.row, *cut.frame_size)
    measured: dict[str, Any] = {
        check.column: values[check.name] for check in CHECKS if check.column not in _TOLD_OTHERWISE
    }
    return ScoredCrop(
        frame_sha256=cut.row.frame_sha256,
        detection_id=cut.row.detection_id,
        crop_id=crop_id_of(cut.row),
        x=x,
        y=y,
        width=width,
        height=height,
        has_picture=not veto,
        tier=tier_of(score, settings),
        score=score,
        technical_score=technical,
        **parts,
        is_valid_content=not veto,
        pixel_count=cut.area,
        black_share=black_share(cut),
        character_count=counts.agreed,
        body_completeness=body_completeness(cut),
        lora_suitable=not reasons,
        reasons=reasons,
        flags=[finding.check.name for finding in findings],
        flag_values=[float(finding.value) for finding in findings],
        flag_limits=[float(finding.limit) for finding in findings],
        characters_by_detections=counts.by_detections,
        characters_by_masks=counts.by_masks,
        characters_by_faces=counts.by_faces,
        **measured,
    )


def score_one(
    image: RgbImage, detections: Sequence[Detection], mask: Mask, others: Sequence[Mask], settings: ScoreSettings
) -> ScoredCrop:
    """The judged row of one mask of a frame, among the frame's other masks. Raises ValueError as `score_frame` does."""
    return _score_masks(image, detections, [mask, *others], settings, only=1)[0]


def score_frame(
    image: RgbImage,
    detections: Sequence[Detection],
    masks: Sequence[Mask],
    settings: ScoreSettings = ScoreSettings(),
) -> list[ScoredCrop]:
    """One judged row per mask of a frame, in order, from the frame (HxWx3), all its detections and all its masks.

    `has_picture` is true where no veto stands: those crops are written. Raises ValueError when a mask has no detection
    among `detections` or lies outside the frame.
    """
    return _score_masks(image, detections, masks, settings, only=len(masks))


def _score_masks(
    image: RgbImage, detections: Sequence[Detection], masks: Sequence[Mask], settings: ScoreSettings, only: int
) -> list[ScoredCrop]:
    """The rows of the first `only` masks."""
    by_id = {detection.detection_id: detection for detection in detections}
    stray = [row.detection_id for row in masks if row.detection_id not in by_id]
    if stray:
        raise ValueError(
            f"masks {', '.join(stray)} have no detection in this frame: score masks with their own detections"
        )
    subjects = [make_subject(image, row, by_id[row.detection_id]) for row in masks]
    heads = find_heads(detections)
    return [
        score_cutout(make_cutout(image, subject, heads, subjects[:index] + subjects[index + 1 :]), settings)
        for index, subject in enumerate(subjects[:only])
    ]

"""How right tiers and flags are, on drawn crops whose defects are known (tier_rules), and what each check costs.

Two of three scenes are for tuning, every third one (by its seed) is kept unseen. Real pictures, labelled by eye, are
measured in the tests, where their table lies.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_rules import RULES, Label, LabelledCrop
from lora_assets.benchmarks.tier_scenes import labelled_crops
from lora_assets.benchmarks.tier_values import (
    MeasuredCrop,
    Verdict,
    judge_crop,
    keep_values,
    kept_values,
    measure_crop,
)
from lora_assets.store import atomic_write_bytes
from lora_assets.tables import Mask
from lora_assets.vision.crops import contact_sheet, cut_crop, encode_png
from lora_assets.vision.cutout import CutOut, find_heads, make_cutout, make_subject
from lora_assets.vision.measures import MEASURES, ground_share
from lora_assets.vision.refine import RefineSettings, find_preset, refine_rows
from lora_assets.vision.score import HIGH, LOW, MEDIUM, ScoreSettings

FIRST_SEED = 300_000
_TIERS = (HIGH, MEDIUM, LOW)
_SHEET_EACH = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled crop after it was scored: what is known of it, what the program said, and a small picture."""

    label: Label
    tier: str
    score: float
    flags: tuple[str, ...]
    thumb: npt.NDArray[np.uint8] | None = None

    @property
    def unseen(self) -> bool:
        """True for the third that no limit was chosen on."""
        return self.label.seed % 3 == 2


def cutout_of(crop: LabelledCrop, preset: str | None = None) -> CutOut:
    """The cut-out that the checks look at. With a `preset` the masks are refined by it as a tracker's are: the
    background left in them is measured before."""
    masks = list(crop.masks)
    if preset is not None:
        masks = _refined(crop, preset)
    by_id = {row.detection_id: row for row in crop.detections}
    subjects = [make_subject(crop.image, row, by_id[row.detection_id]) for row in masks]
    return make_cutout(crop.image, subjects[0], find_heads(crop.detections), subjects[1:])


def _refined(crop: LabelledCrop, preset: str) -> list[Mask]:
    height, width = crop.image.shape[:2]
    left = ground_share(cutout_of(crop))
    rows = [replace(crop.masks[0], background_left=left), *crop.masks[1:]]
    return refine_rows(rows, width, height, RefineSettings(preset=preset))


def drawn_crops(count: int, first_seed: int = FIRST_SEED) -> Iterator[LabelledCrop]:
    """`count` labelled crops, scene by scene."""
    made = 0
    seed = first_seed
    while made < count:
        for crop in labelled_crops(seed):
            if made < count:
                made += 1
                yield crop
        seed += 1


def _share(part: int, whole: int) -> str:
    return f"{part / whole:6.3f} ({part}/{whole})" if whole else "     - (0)"


def tier_lines(judged: Sequence[Judged]) -> list[str]:
    """Precision and recall per tier, vetoed crops in high, and how many crops are unsure. A crop whose tier is unsure
    counts as right in precision when it got one of the tiers that it may have, and not at all in recall."""
    sure = [each for each in judged if len(each.label.tiers) == 1]
    lines = [f"{len(judged)} crops, {len(judged) - len(sure)} of unsure tier"]
    for tier in _TIERS:
        said = [each for each in judged if each.tier == tier]
        true = [each for each in sure if each.label.tiers[0] == tier]
        right = sum(tier in each.label.tiers for each in said)
        found = sum(each.tier == tier for each in true)
        lines.append(f"{tier:7} precision {_share(right, len(said))}   recall {_share(found, len(true))}")
    clean = [each for each in judged if not each.label.defects]
    vetoed = sum(each.label.is_vetoed and each.tier == HIGH for each in judged)
    lines.append(f"crops without any defect that are high: {_share(sum(e.tier == HIGH for e in clean), len(clean))}")
    lines.append(f"black, white, flat, empty, things and several characters in high: {vetoed} "
                 f"of {sum(each.label.is_vetoed for each in judged)}")  # fmt: skip
    return lines


def defect_lines(judged: Sequence[Judged]) -> list[str]:
    """For each defect of the rules: how many of the crops that surely have it carry one of its flags. For each flag: in
    how many of the crops that carry it a defect that it names is there; crops unsure in all of these are left out."""
    lines = ["recall of defects (any of its flags)"]
    for rule in RULES:
        there = [each for each in judged if each.label.defects.get(rule.defect) in ("mild", "grave")]
        hit = sum(any(flag in each.flags for flag in rule.flags) for each in there)
        lines.append(f"  {rule.defect:12} {_share(hit, len(there))}  flags {', '.join(rule.flags)}")
    lines.append("precision of flags")
    named_by: dict[str, set[str]] = defaultdict(set)
    for rule in RULES:
        for flag in (*rule.flags, *rule.also):
            named_by[flag].add(rule.defect)
    for flag in sorted({flag for each in judged for flag in each.flags}):
        right = wrong = 0
        for each in judged:
            if flag not in each.flags:
                continue
            told = {each.label.defects.get(defect) for defect in named_by[flag]}
            right += bool(told & {"mild", "grave"})
            wrong += not told & {"mild", "grave", "unsure"} and not each.label.hides_all
        lines.append(f"  {flag:20} {_share(right, right + wrong)}")
    return lines


def wrong_lines(judged: Sequence[Judged]) -> list[str]:
    """What is wrongly high, and which flags or low scores keep good crops from being high, most frequent first."""
    false_high = Counter(each.label.kind for each in judged if each.tier == HIGH and HIGH not in each.label.tiers)
    missed = [each for each in judged if each.label.tiers == (HIGH,) and each.tier != HIGH]
    reasons = Counter(flag for each in missed for flag in (each.flags or ("no flag: low technical score",)))
    return [f"wrongly high: {dict(false_high.most_common())}", f"good and not high: {dict(reasons.most_common())}"]


def cost_lines(cuts: Sequence[CutOut]) -> list[str]:
    """Processor milliseconds per crop of each check, dearest first; what several share is the first one's."""
    # Copies: what is kept with a cut-out was measured before.
    cuts = [replace(cut) for cut in cuts]
    spent: list[tuple[float, str]] = []
    for name, measure in MEASURES.items():
        began = time.process_time()
        for cut in cuts:
            measure(cut)
        spent.append(((time.process_time() - began) * 1000 / max(1, len(cuts)), name))
    told = ", ".join(f"{name} {cost:.2f}" for cost, name in sorted(spent, reverse=True))
    return [f"ms per crop of each check ({len(cuts)} crops): {told}; all {sum(cost for cost, _ in spent):.1f}"]


def confusion_sheet(judged: Iterable[Judged]) -> npt.NDArray[np.uint8]:
    """One picture: for each true tier and each given tier that differs, and for each that agrees, a row of crops."""
    rows: list[npt.NDArray[np.uint8]] = []
    shown = [each for each in judged if each.thumb is not None and len(each.label.tiers) == 1]
    for true in _TIERS:
        for said in _TIERS:
            some = [each for each in shown if each.label.tiers[0] == true and each.tier == said][:_SHEET_EACH]
            tiles = [each.thumb for each in some if each.thumb is not None]
            row = contact_sheet(
                [*tiles, *[np.full((8, 8, 3), 238, np.uint8)] * (_SHEET_EACH - len(tiles))], _SHEET_EACH
            )
            head = np.full((22, row.shape[1], 3), 255, np.uint8)
            tone = (0, 110, 0) if true == said else (170, 0, 0)
            cv2.putText(head, f"by the rules {true}, given {said}", (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, tone, 1)
            rows += [head, row]
    return np.vstack(rows)


def measure_tiers(
    count: int,
    sheet: Path | None = None,
    first_seed: int = FIRST_SEED,
    values: Path | None = None,
    preset: str | None = None,
    settings: ScoreSettings = ScoreSettings(),
) -> list[str]:
    """The figures of `count` drawn crops as lines, for the tuning part and for the unseen third.

    `sheet` is a PNG of right and wrong tiers. `values`: a file in which what was measured is kept; when it is there,
    its crops are judged again, and nothing is drawn. `preset` refines the masks. Raises ValueError for an unknown
    preset and for a file of values that does not fit.
    """
    if values is not None and values.exists():
        kept = [Judged(crop.label, *_told(judge_crop(crop, settings))) for crop in kept_values(values)]
        return [f"{len(kept)} crops of {values}", *_part_lines(kept)]
    if preset is not None:
        find_preset(preset)
    judged: list[Judged] = []
    measured: list[MeasuredCrop] = []
    sample: list[CutOut] = []
    seen: Counter[tuple[str, str]] = Counter()
    for crop in drawn_crops(count, first_seed):
        cut = cutout_of(crop, preset)
        measured.append(measure_crop(crop.label, cut, settings))
        verdict = judge_crop(measured[-1], settings)
        pair = (crop.label.tiers[0], verdict.tier)
        seen[pair] += 1
        shows = sheet is not None and seen[pair] <= 3 * _SHEET_EACH
        judged.append(Judged(crop.label, *_told(verdict), cut_crop(crop.image, crop.masks[0]) if shows else None))
        if len(judged) % max(1, count // 60) == 0:
            sample.append(cut)
    lines = _part_lines(judged)
    if sheet is not None:
        atomic_write_bytes(sheet, encode_png(confusion_sheet(judged)))
        lines.append(f"confusion sheet: {sheet}")
    if values is not None:
        keep_values(values, measured)
        lines.append(f"measured values: {values}")
    return [*lines, *cost_lines(sample)]


def _told(verdict: Verdict) -> tuple[str, float, tuple[str, ...]]:
    return verdict.tier, verdict.score, verdict.flags


def _part_lines(judged: Sequence[Judged]) -> list[str]:
    lines = []
    for name, some in (
        ("tuning part", [e for e in judged if not e.unseen]),
        ("unseen third", [e for e in judged if e.unseen]),
    ):
        lines += [f"== {name}", *tier_lines(some), *defect_lines(some), *wrong_lines(some)]
    return lines

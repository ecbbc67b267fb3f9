"""How right tiers and flags are, on drawn crops whose defects are known (tier_rules), and what each check costs.

Two of three scenes are for tuning, every third one (by its seed) is kept unseen. Real pictures, labelled by eye, are
measured in the tests, where their table lies.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_rules import RULES, LabelledCrop
from lora_assets.benchmarks.tier_scenes import labelled_crops
from lora_assets.store import atomic_write_bytes
from lora_assets.tables import ScoredCrop
from lora_assets.vision.checks import MEASURES
from lora_assets.vision.crops import contact_sheet, cut_crop, encode_png
from lora_assets.vision.cutout import CutOut, find_heads, make_cutout, make_subject
from lora_assets.vision.score import HIGH, LOW, MEDIUM, ScoreSettings, score_cutout

_FIRST_SEED = 300_000
_TIERS = (HIGH, MEDIUM, LOW)
_SHEET_EACH = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled crop after it was scored: what is known of it, what the program said, and a small picture."""

    seed: int
    kind: str
    defects: dict[str, str]
    tiers: tuple[str, ...]
    hides_all: bool
    is_vetoed: bool
    tier: str
    score: float
    flags: tuple[str, ...]
    thumb: npt.NDArray[np.uint8] | None = None

    @property
    def unseen(self) -> bool:
        """True for the third that no limit was chosen on."""
        return self.seed % 3 == 2


def cutout_of(crop: LabelledCrop) -> CutOut:
    """The cut-out that the checks look at."""
    by_id = {row.detection_id: row for row in crop.detections}
    subjects = [make_subject(crop.image, row, by_id[row.detection_id]) for row in crop.masks]
    return make_cutout(crop.image, subjects[0], find_heads(crop.detections), subjects[1:])


def judged_of(crop: LabelledCrop, row: ScoredCrop, thumb: npt.NDArray[np.uint8] | None = None) -> Judged:
    """The labelled crop with what the program said of it."""
    return Judged(
        crop.seed, crop.kind, crop.defects, crop.tiers, crop.hides_all, crop.is_vetoed, row.tier, row.score,
        tuple(row.flags), thumb,
    )  # fmt: skip


def drawn_crops(count: int, first_seed: int = _FIRST_SEED) -> Iterator[LabelledCrop]:
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
    sure = [each for each in judged if len(each.tiers) == 1]
    lines = [f"{len(judged)} crops, {len(judged) - len(sure)} of unsure tier"]
    for tier in _TIERS:
        said = [each for each in judged if each.tier == tier]
        true = [each for each in sure if each.tiers[0] == tier]
        right = sum(tier in each.tiers for each in said)
        found = sum(each.tier == tier for each in true)
        lines.append(f"{tier:7} precision {_share(right, len(said))}   recall {_share(found, len(true))}")
    clean = [each for each in judged if not each.defects]
    vetoed = sum(each.is_vetoed and each.tier == HIGH for each in judged)
    lines.append(f"crops without any defect that are high: {_share(sum(e.tier == HIGH for e in clean), len(clean))}")
    lines.append(f"black, white, flat, empty, things and several characters in high: {vetoed} "
                 f"of {sum(each.is_vetoed for each in judged)}")  # fmt: skip
    return lines


def defect_lines(judged: Sequence[Judged]) -> list[str]:
    """For each defect of the rules: how many of the crops that surely have it carry one of its flags. For each flag: in
    how many of the crops that carry it a defect that it names is there; crops unsure in all of these are left out."""
    lines = ["recall of defects (any of its flags)"]
    for rule in RULES:
        there = [each for each in judged if each.defects.get(rule.defect) in ("mild", "grave")]
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
            told = {each.defects.get(defect) for defect in named_by[flag]}
            right += bool(told & {"mild", "grave"})
            wrong += not told & {"mild", "grave", "unsure"} and not each.hides_all
        lines.append(f"  {flag:20} {_share(right, right + wrong)}")
    return lines


def wrong_lines(judged: Sequence[Judged]) -> list[str]:
    """What is wrongly high, and which flags or low scores keep good crops from being high, most frequent first."""
    false_high = Counter(each.kind for each in judged if each.tier == HIGH and HIGH not in each.tiers)
    missed = [each for each in judged if each.tiers == (HIGH,) and each.tier != HIGH]
    reasons = Counter(flag for each in missed for flag in (each.flags or ("no flag: low technical score",)))
    return [f"wrongly high: {dict(false_high.most_common())}", f"good and not high: {dict(reasons.most_common())}"]


def cost_lines(cuts: Sequence[CutOut]) -> list[str]:
    """Processor milliseconds per crop of each check, dearest first."""
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
    shown = [each for each in judged if each.thumb is not None and len(each.tiers) == 1]
    for true in _TIERS:
        for said in _TIERS:
            some = [each for each in shown if each.tiers[0] == true and each.tier == said][:_SHEET_EACH]
            tiles = [each.thumb for each in some if each.thumb is not None]
            row = contact_sheet(
                [*tiles, *[np.full((8, 8, 3), 238, np.uint8)] * (_SHEET_EACH - len(tiles))], _SHEET_EACH
            )
            head = np.full((22, row.shape[1], 3), 255, np.uint8)
            tone = (0, 110, 0) if true == said else (170, 0, 0)
            cv2.putText(head, f"by the rules {true}, given {said}", (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, tone, 1)
            rows += [head, row]
    return np.vstack(rows)


def measure_tiers(count: int, sheet: Path | None = None, settings: ScoreSettings = ScoreSettings()) -> list[str]:
    """The figures of `count` drawn crops as lines, for the tuning part and for the unseen third; `sheet` is a PNG."""
    judged: list[Judged] = []
    sample: list[CutOut] = []
    seen: Counter[tuple[str, str]] = Counter()
    for crop in drawn_crops(count):
        cut = cutout_of(crop)
        row = score_cutout(cut, settings)
        pair = (crop.tiers[0], row.tier)
        seen[pair] += 1
        shows = sheet is not None and seen[pair] <= 3 * _SHEET_EACH
        judged.append(judged_of(crop, row, cut_crop(crop.image, crop.masks[0]) if shows else None))
        if len(judged) % max(1, count // 60) == 0:
            sample.append(cut)
    lines = []
    for name, some in (
        ("tuning part", [e for e in judged if not e.unseen]),
        ("unseen third", [e for e in judged if e.unseen]),
    ):
        lines += [f"== {name}", *tier_lines(some), *defect_lines(some), *wrong_lines(some)]
    if sheet is not None:
        atomic_write_bytes(sheet, encode_png(confusion_sheet(judged)))
        lines.append(f"confusion sheet: {sheet}")
    return [*lines, *cost_lines(sample)]

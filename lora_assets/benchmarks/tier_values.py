"""What the checks measured on labelled crops, kept in a file: limits and rules can be studied without drawing anew.

How crops are drawn does not belong here (tier_scenes), what the figures are neither (tiers).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lora_assets.benchmarks.tier_rules import Label
from lora_assets.starter import STARTER_CRITIC, STARTER_LETTERS
from lora_assets.starter.card import file_digest
from lora_assets.store import atomic_write_json
from lora_assets.vision import checks, score
from lora_assets.vision.cutout import CutOut
from lora_assets.vision.measures import MEASURES
from lora_assets.vision.score import ScoreSettings, judge_values, measure_all, technical_parts, technical_score, tier_of


def measured_by() -> str:
    """What measures here, code and networks: values measured by others are not comparable."""
    networks = (file_digest(path)[:8] for path in (STARTER_CRITIC, STARTER_LETTERS))
    return ".".join((checks.CODE_VERSION, score.CODE_VERSION, *networks))


@dataclass(frozen=True, slots=True)
class MeasuredCrop:
    """A labelled crop with its technical score (0..1) and each check's value by its name (None: not measurable)."""

    label: Label
    technical: float
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the program says of a crop: tier, score 0..1, flags."""

    tier: str
    score: float
    flags: tuple[str, ...]


def measure_crop(label: Label, cut: CutOut, settings: ScoreSettings = ScoreSettings()) -> MeasuredCrop:
    """What is measured on a cut-out."""
    return MeasuredCrop(label, technical_score(technical_parts(cut), settings), measure_all(cut))


def judge_crop(crop: MeasuredCrop, settings: ScoreSettings = ScoreSettings()) -> Verdict:
    """Tier and flags by the limits of now."""
    value, findings = judge_values(crop.technical, crop.values, settings)
    return Verdict(tier_of(value, settings), value, tuple(each.check.name for each in findings))


def keep_values(path: Path, crops: Sequence[MeasuredCrop]) -> None:
    """Write what was measured, as JSON."""
    atomic_write_json(path, {"measured_by": measured_by(), "crops": [asdict(crop) for crop in crops]})


def kept_values(path: Path) -> list[MeasuredCrop]:
    """What was measured before. Raises ValueError naming the file when it is no such file, or of other checks."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        then = told["measured_by"]
        crops = [MeasuredCrop(Label(**each["label"]), each["technical"], each["values"]) for each in told["crops"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no measured crops ({error}): name another file, or remove it") from error
    if then != (now := measured_by()) or any(set(crop.values) != set(MEASURES) for crop in crops):
        raise ValueError(
            f"{path} was measured by checks of version {then}, these are {now}: remove it, or name another file"
        )
    return crops

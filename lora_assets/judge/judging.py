"""What a judge says of crops: P(good), why it abstains, the tier it would give, and which crop to ask about next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.judge.features import Row, measurements
from lora_assets.judge.learning import JudgeModel, JudgeSettings

CODE_VERSION = "1"

HIGH_P, MEDIUM_P = 0.8, 0.5
UNSURE, OUTSIDE = "unsure", "unlike any judged crop"


@dataclass(frozen=True, slots=True)
class CropJudgement:
    """P(good) of one crop, 0..1; the reason when the judge abstains; and the tier, which is the rules' one then.

    A crop with a veto of the rules stays in their tier: only a person can overrule a veto. `moves` is False in both
    cases: the judge must not move the crop.
    """

    p_good: float
    abstained: str | None
    tier: str
    moves: bool = True


def judge_probabilities(
    model: JudgeModel, rows: Sequence[Row], settings: JudgeSettings = JudgeSettings()
) -> list[CropJudgement]:
    """The judge's word on each row (columns as `making.crop_rows` joins them; absent ones are allowed), in order."""
    values = measurements(rows, model.names)
    return [
        judgement(float(p), float(off), row, settings)
        for p, off, row in zip(model.probabilities(values), model.outside(values), rows, strict=True)
    ]


def judgement(p_good: float, outside: float, row: Row, settings: JudgeSettings) -> CropJudgement:
    """The word on one row from its P(good) and from how far outside the judged crops it lies (log odds)."""
    abstained = None
    if outside > settings.outside_limit:
        abstained = OUTSIDE
    elif abs(p_good - 0.5) < settings.unsure_band:
        abstained = UNSURE
    rules_tier = str(row.get("tier") or "low")
    vetoed = row.get("is_valid_content") is False
    moves = not vetoed and abstained is None
    tier = rules_tier if not moves else "high" if p_good >= HIGH_P else "medium" if p_good >= MEDIUM_P else "low"
    return CropJudgement(p_good, abstained, tier, moves)


def least_sure_order(judgements: Sequence[CropJudgement]) -> list[int]:
    """Positions of the crops, those first of which the judge is least sure: unlike any judged crop, then near 0.5."""
    margin = np.array([abs(said.p_good - 0.5) for said in judgements])
    known = np.array([said.abstained != OUTSIDE for said in judgements])
    return [int(place) for place in np.lexsort((margin, known))] if len(judgements) else []

"""A judge as JSON and back: numbers and words only, never a pickle."""

from __future__ import annotations

import dataclasses
from typing import Any

from lora_assets.judge.additive import Additive, Platt, Step
from lora_assets.judge.comparing import Comparison, ReliabilityBin, TierFigures
from lora_assets.judge.features import SeenColumn
from lora_assets.judge.learning import JudgeModel, JudgeSettings
from lora_assets.judge.report import Effect, Judge, JudgeReport
from lora_assets.store import digest

FORMAT = 1


def judge_digest(judge: Judge) -> str:
    """Digest of what the judge was made of (verdicts, features, settings, code) and of its numbers."""
    told = judge_to_json(judge)
    return digest(told["made_of"], told["model"])


def judge_to_json(judge: Judge) -> dict[str, Any]:
    """The judge as JSON values."""
    model = dataclasses.asdict(judge.model) if judge.model else None
    return {
        "format": FORMAT, "made_of": judge.made_of, "settings": dataclasses.asdict(judge.settings),
        "report": dataclasses.asdict(judge.report), "model": model,
    }  # fmt: skip


def judge_from_json(told: dict[str, Any]) -> Judge:
    """The judge of `judge_to_json`'s values. Raises ValueError when they are not of this format."""
    if told.get("format") != FORMAT:
        raise ValueError(f"format {told.get('format')!r} instead of {FORMAT}")
    try:
        model = _model(told["model"]) if told["model"] is not None else None
        return Judge(model, _report(told["report"]), JudgeSettings(**told["settings"]), dict(told["made_of"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"entries are missing or do not fit: {error}") from error


def _model(told: dict[str, Any]) -> JudgeModel:
    line = told["additive"]
    steps = tuple(Step(**step) for step in line["steps"])
    return JudgeModel(
        tuple(SeenColumn(**column) for column in told["columns"]),
        Additive(line["bias"], tuple(line["weights"]), steps),
        Platt(**told["platt"]),
        told["choice"],
    )


def _report(told: dict[str, Any]) -> JudgeReport:
    parts = dict(told)
    parts["comparison"] = Comparison(**told["comparison"]) if told["comparison"] else None
    kinds = {
        "rules_tiers": TierFigures, "judge_tiers": TierFigures, "reliability": ReliabilityBin, "effects": Effect,
    }  # fmt: skip
    for name, kind in kinds.items():
        parts[name] = tuple(kind(**part) for part in told[name])
    parts["curve"] = tuple((int(verdicts), float(precision)) for verdicts, precision in told["curve"])
    return JudgeReport(**parts)

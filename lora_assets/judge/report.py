"""A judge with its report: learned from rows and labels, tried against the rules on the same folds, told in words.

`learn` is the whole of it without files; which verdicts and rows go in, and where it is kept, belongs to making.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lora_assets.judge import additive, comparing, features, groups, judging, learning
from lora_assets.judge.additive import FloatArray, log_loss
from lora_assets.judge.comparing import (
    RECALLS,
    Comparison,
    ReliabilityBin,
    TierFigures,
    calibration_error,
    compare,
    mean_precision,
    precision_at_recall,
    reliability,
    tier_figures,
)
from lora_assets.judge.features import RULES_SCORE, Row, measured_names, measurements
from lora_assets.judge.judging import judgement
from lora_assets.judge.learning import (
    CurvePoint,
    JudgeModel,
    JudgeSettings,
    OutOfFold,
    learning_curve,
    out_of_fold,
    train,
)
from lora_assets.store import digest
from lora_assets.tables import ScoredCrop, columns
from lora_assets.vision.checks import CHECKS

_MODULES = (features, additive, groups, learning, comparing, judging)
CODE_VERSION = ".".join(["2", *(module.CODE_VERSION for module in _MODULES)])
TIERS = ("high", "medium", "low")
_LEAST_GROUPS_OF_EACH = 3
_TOLD = 12
_NUMBERS = ("bool", "int64", "double")


@dataclass(frozen=True, slots=True)
class Effect:
    """What the judge learned of one measurement: the change of the log odds of good from the value at which a tenth
    of the judged crops lies below to the one at which a tenth lies above, and the same in words."""

    name: str
    log_odds: float
    words: str


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge is worth. Figures are out of fold; None where too few verdicts allow none.

    `reason` says why it is active, or why not. `precision` is by RECALLS, for rules and judge; `curve` pairs verdicts
    with the mean precision of a judge that had only those.
    """

    active: bool
    reason: str
    verdicts: int
    good: int
    bad: int
    groups: int
    comparison: Comparison | None = None
    precision: dict[str, list[float]] | None = None
    rules_tiers: tuple[TierFigures, ...] = ()
    judge_tiers: tuple[TierFigures, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    calibration_error: float | None = None
    log_loss: float | None = None
    abstained_share: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Judge:
    """A model (None when there are too few verdicts), its report, and what it was made of."""

    model: JudgeModel | None
    report: JudgeReport
    settings: JudgeSettings
    made_of: dict[str, Any]

    @property
    def active(self) -> bool:
        """True when the judge may take part."""
        return self.report.active


def _why_nothing_is_learned(labels: FloatArray, row_groups: Sequence[Hashable], settings: JudgeSettings) -> str | None:
    count, good = len(labels), int(labels.sum())
    if count < settings.least_verdicts:
        return f"{count} verdicts; {settings.least_verdicts} are needed before anything is learned"
    if good == 0 or good == count:
        only, other = ("good", "bad") if good else ("bad", "good")
        return f"all {count} verdicts say {only}: mark some {other} crops as well"
    for kind, value in (("good", 1.0), ("bad", 0.0)):
        found = len({group for group, label in zip(row_groups, labels, strict=True) if label == value})
        if found < _LEAST_GROUPS_OF_EACH:
            return (
                f"{kind} verdicts come from {found} shots or groups of near-duplicates; at least "
                f"{_LEAST_GROUPS_OF_EACH} are needed to try the judge on pictures that it has not seen"
            )
    return None


def _activity(comparison: Comparison, good: int, bad: int, settings: JudgeSettings) -> tuple[bool, str]:
    told = (
        f"mean precision at equal recall {comparison.judge:.3f} against {comparison.rules:.3f} of the rules, "
        f"difference {comparison.difference:+.3f} ({settings.interval:.0%} interval {comparison.low:+.3f} to "
        f"{comparison.high:+.3f}, {comparison.groups} groups drawn)"
    )
    if min(good, bad) < settings.least_of_each:
        return False, f"not active: {good} good and {bad} bad, {settings.least_of_each} of each are needed; {told}"
    if not comparison.better:
        return False, f"not active: not surely better than the rules: {told}"
    return True, f"active: better than the rules: {told}"


def _doc(name: str) -> str:
    """The words of a measurement, for a person."""
    for prefix, words in (("flag:", "the flag {}"), ("past limit:", "how far {} lies past its limit")):
        if name.startswith(prefix):
            return words.format(name.removeprefix(prefix).replace("_", " "))
    plain = name.replace("_", " ").replace("mask.", "the mask's ").replace("frame.", "the frame's ")
    known = columns(ScoredCrop).get(name)
    return f"{plain} ({known[1].doc})" if known and known[1].doc else plain


def _as_measured(name: str, value: float) -> str:
    return f"{features.in_plain_units(name, value):.3g}"


def _speaks(change: float, span: str) -> str:
    factor = math.exp(max(-20.0, min(20.0, change)))
    return f"speaks for {'good' if change > 0 else 'bad'}: {span} the odds of good change by a factor of {factor:.3g}"


def learned_effects(model: JudgeModel) -> list[Effect]:
    """What each measurement does to the answer, strongest first; what does nothing is left out."""
    found = []
    size = len(model.columns)
    for index, column in enumerate(model.columns):
        if column.varies:
            low, high = (column.tenth, column.ninetieth)
            if high <= low:  # a rare value: nine of ten crops are alike
                low, high = column.low, column.high
            marks = (np.array([low, high]) - column.mean) / column.spread
            below, above = model.platt.slope * model.additive.part(index, marks)
            change = float(above - below)
            span = f"between {_as_measured(column.name, low)} and {_as_measured(column.name, high)}"
            found.append(Effect(column.name, change, f"more of {_doc(column.name)} {_speaks(change, span)}"))
        if column.absent_seen and column.present_seen:
            change = float(model.platt.slope * np.diff(model.additive.part(size + index, np.array([0.0, 1.0])))[0])
            words = f"that {_doc(column.name)} is missing {_speaks(change, 'then')}"
            found.append(Effect(f"{column.name} is absent", change, words))
    told = [effect for effect in found if abs(effect.log_odds) >= 0.01]
    return sorted(told, key=lambda effect: (-abs(effect.log_odds), effect.name))


def _known_names(rows: Sequence[Row]) -> list[str]:
    """The measured names of the rows, of every number of a scored crop, and of every check: what no judged crop shows
    is known as never seen, so that the judge abstains where it meets it."""
    numbers = {name: 0.0 for name, (field, _) in columns(ScoredCrop).items() if str(field.type) in _NUMBERS}
    return measured_names([*rows, {**numbers, "flags": [check.name for check in CHECKS]}])


def _rules_scores(rows: Sequence[Row]) -> FloatArray:
    scores = measurements(rows, [RULES_SCORE])[:, 0]
    return np.where(np.isfinite(scores), scores, 0.0)


def learn(
    rows: Sequence[Row],
    labels: Sequence[int],
    row_groups: Sequence[Hashable],
    settings: JudgeSettings = JudgeSettings(),
    made_of: dict[str, Any] | None = None,
    *,
    with_curve: bool = True,
) -> Judge:
    """A judge from judged rows (columns as scored_crops, more allowed, some may be absent), labels of 1 good and 0 bad,
    and the group of each row. Without enough to learn from, a judge without a model, with the reason.

    The learning curve takes more than half of the time; without it the rest is the same. Equal inputs give an equal
    judge. Raises ValueError when the three differ in length.
    """
    if not len(rows) == len(labels) == len(row_groups):
        raise ValueError(f"{len(rows)} rows, {len(labels)} labels and {len(row_groups)} groups: give one of each")
    truth = np.array(labels, np.float64)
    names = _known_names(rows)
    values = measurements(rows, names)
    told = {
        **(made_of or {}),
        "features": digest(names, hashlib.sha256(values.tobytes()).hexdigest(), [int(label) for label in labels]),
        "settings": dataclasses.asdict(settings),
        "code_version": CODE_VERSION,
    }
    good, bad = int(truth.sum()), int(len(truth) - truth.sum())
    number_of_groups = len(set(row_groups))
    if why := _why_nothing_is_learned(truth, row_groups, settings):
        report = JudgeReport(False, f"not active: {why}", len(truth), good, bad, number_of_groups)
        return Judge(None, report, settings, told)
    tried = out_of_fold(names, values, truth, row_groups, settings)
    model = train(names, values, truth, row_groups, settings)
    rules = _rules_scores(rows)
    said = _judgements(tried, rows, settings)
    ranking = _ranking(said, rules)
    comparison = compare(
        rules, ranking, truth, row_groups,
        interval=settings.interval, resamples=settings.resamples, seed=settings.seed,
    )  # fmt: skip
    active, reason = _activity(comparison, good, bad, settings)
    curve = [
        (point.verdicts, mean_precision(_ranking(_judgements(point, rows, settings), rules), truth))
        for point in (learning_curve(names, values, truth, row_groups, settings) if with_curve else ())
    ]
    curve.append((round(len(truth) * (1 - 1 / settings.folds)), comparison.judge))
    bins = reliability(tried.p_good, truth)
    report = JudgeReport(
        active=active,
        reason=reason,
        verdicts=len(truth),
        good=good,
        bad=bad,
        groups=number_of_groups,
        comparison=comparison,
        precision={
            "rules": precision_at_recall(rules, truth, RECALLS).tolist(),
            "judge": precision_at_recall(ranking, truth, RECALLS).tolist(),
        },
        rules_tiers=tuple(tier_figures([str(row.get("tier")) for row in rows], truth, TIERS)),
        judge_tiers=tuple(tier_figures([one.tier for one in said], truth, TIERS)),
        reliability=tuple(bins),
        calibration_error=calibration_error(bins),
        log_loss=log_loss(tried.p_good, truth),
        abstained_share=sum(one.abstained is not None for one in said) / len(said),
        curve=tuple(curve),
        effects=tuple(learned_effects(model)[:_TOLD]),
    )
    return Judge(model, report, settings, told)


def _ranking(said: Sequence[judging.CropJudgement], rules: FloatArray) -> FloatArray:
    """The score that each crop would be ranked by: P(good), or the rules' one where the judge must not move it."""
    return np.array([one.p_good if one.moves else score for one, score in zip(said, rules, strict=True)], np.float64)


def _judgements(
    tried: OutOfFold | CurvePoint, rows: Sequence[Row], settings: JudgeSettings
) -> list[judging.CropJudgement]:
    return [
        judgement(float(p), float(off), row, settings)
        for p, off, row in zip(tried.p_good, tried.outside, rows, strict=True)
    ]

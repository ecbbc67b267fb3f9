"""Every check of a crop with its value and its limit, and how parts and findings make the score, for its page.

The checks are data of vision.checks; nothing is measured here. Lines are drawn on one scale: the limit stands in the
middle, what is good on its left and what is bad on its right, so that 27 different units read alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lora_assets.models.registry import CHECK, WEIGHTS, ModelError, pinned_sha256
from lora_assets.tables import ScoredCrop
from lora_assets.tracker.summary import PARTS

if TYPE_CHECKING:
    from lora_assets.vision.checks import Check

_MIDDLE, _END = 50.0, 100.0
_OPEN_SPAN = 4.0
# A check that looks at less than its column tells: completeness counts only where the frame had room for more.
_COUNTS_WITH_ROOM = "incomplete_body"
# The one reason that is no check's, as vision.score writes it into the table.
_LOW_SCORE = re.compile(r"the score [\d.]+ is under ([\d.]+)(?: \(weak: (.*)\))?")


@dataclass(frozen=True, slots=True)
class PartLine:
    """One part of L1, 0 to 1, with its weight in the mean (None: not told); `percent` is the length of its bar."""

    name: str
    value: float
    percent: float
    weight: float | None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check. `value` is None where it was not measured. `place`, `grave_place`: percent of the scale, on which the
    limit stands at 50 and what is worse on its right. `factor` is what the finding multiplies the score by: 1 without
    one, and where another finding of the same group counts more."""

    name: str
    why: str
    direction: str
    value: float | None
    limit: float
    place: float
    grave_place: float | None
    crossed: bool
    grave: bool
    veto: bool
    factor: float
    uncounted: bool
    """true when the value is past the limit and is no finding"""
    decimals: int


@dataclass(frozen=True, slots=True)
class Findings:
    """How a crop came to its score."""

    parts: tuple[PartLine, ...]
    flagged: tuple[CheckLine, ...]
    """vetoes first, then by what they cost"""
    passed: tuple[CheckLine, ...]
    """those next to their limit first"""
    unmeasured: tuple[CheckLine, ...]
    factors: tuple[CheckLine, ...]
    """the findings that the technical score was multiplied by"""
    veto_caps: bool
    """true when a veto holds the score under 0.5, lower than the factors alone would"""
    under: float | None
    """the least score of the high tier, where the crop is not fit for training because its own is lower"""
    weak: tuple[str, ...]
    """names of the parts that are told to be weak with it"""
    reasons: tuple[str, ...]
    """why else it is not fit for training, beside the findings, in the words that its table keeps"""
    rules_then: str
    """version of the checks that judged the crop, where it is not today's; limits of passed checks are today's"""
    rules_now: str
    networks_then: tuple[str, ...]
    """names of the package's networks that checks ask and that judged the crop as another file than today's"""


def findings_of(crop: ScoredCrop, facts: Mapping[str, Any]) -> Findings:
    """The findings of a crop; `facts` are those of the table it lies in."""
    from lora_assets.vision import checks

    settings = facts.get("settings") or {}
    if not isinstance(settings, dict):
        settings = {}
    limits: dict[str, float] = settings.get("limits") or {}
    told = {
        name: (value, limit) for name, value, limit in zip(crop.flags, crop.flag_values, crop.flag_limits, strict=False)
    }
    strongest = _strongest(checks.CHECKS, told)
    lines = [_line(check, crop, told, limits, strongest) for check in checks.CHECKS]
    known = {line.name for line in lines}
    lines += [_retired(name, *told[name]) for name in told if name not in known]
    flagged = sorted((line for line in lines if line.crossed), key=lambda line: (not line.veto, line.factor))
    measured = [line for line in lines if not line.crossed and line.value is not None]
    others = [reason for reason in crop.reasons if reason not in {check.why for check in checks.CHECKS}]
    low = next((found for reason in others if (found := _LOW_SCORE.fullmatch(reason))), None)
    versions = str(facts.get("code_version") or "").split(".")
    then = versions[1] if len(versions) > 1 else ""
    return Findings(
        parts=tuple(
            PartLine(name, value := getattr(crop, name), round(100 * value, 1), _number(settings.get(name)))
            for name in PARTS
        ),
        flagged=tuple(flagged),
        passed=tuple(sorted(measured, key=lambda line: -line.place)),
        unmeasured=tuple(line for line in lines if line.value is None),
        factors=tuple(line for line in flagged if line.factor < 1.0),
        veto_caps=any(line.veto for line in flagged)
        and crop.technical_score * math.prod(line.factor for line in flagged) > crop.score + 1e-6,
        under=float(low[1]) if low else None,
        weak=tuple(name.replace(" ", "_") for name in (low[2] or "").split(", ") if name) if low else (),
        reasons=tuple(reason for reason in others if low is None or reason != low[0]),
        rules_then=then if then and then != checks.CODE_VERSION else "",
        rules_now=checks.CODE_VERSION,
        networks_then=_networks_changed(facts.get("weights")),
    )


def _networks_changed(used: Any) -> tuple[str, ...]:
    """Of the networks that judged a crop, by name and SHA-256 as its table tells them, those of today's package that
    are other files now. Crops of a time before there was a network are told by the version of the checks."""
    told = {str(one.get("name")): one.get("sha256") for one in used or () if isinstance(one, dict)}
    today = [weights for weights in WEIGHTS if weights.task == CHECK and weights.name in told]
    try:
        return tuple(weights.name for weights in today if told[weights.name] != pinned_sha256(weights))
    except ModelError:
        # A damaged package: the run tells of it, a crop that was made before is still shown.
        return ()


def _strongest(checks: tuple[Check, ...], told: Mapping[str, tuple[float, float]]) -> set[str]:
    """The findings that count: the first of the strongest ones of each group."""
    best: dict[str, tuple[float, str]] = {}
    for check in checks:
        if check.name in told:
            penalty = check.penalty_for(told[check.name][0])
            if check.group not in best or penalty < best[check.group][0]:
                best[check.group] = (penalty, check.name)
    return {name for _, name in best.values()}


def _line(
    check: Check,
    crop: ScoredCrop,
    told: Mapping[str, tuple[float, float]],
    limits: Mapping[str, float],
    strongest: set[str],
) -> CheckLine:
    crossed = check.name in told
    if crossed:
        value, limit = told[check.name]
    else:
        found = getattr(crop, check.column, None)
        value, limit = None if found is None else float(found), float(limits.get(check.name, check.limit))
    past = value is not None and not crossed and check.crossed(value, limit)
    return CheckLine(
        name=check.name,
        why=check.why,
        direction=check.direction,
        value=value,
        limit=limit,
        place=0.0 if value is None else place_of(value, limit, check.direction, check.low, check.high),
        grave_place=None
        if check.grave is None
        else place_of(check.grave, limit, check.direction, check.low, check.high),
        crossed=crossed,
        grave=crossed and value is not None and check.grave is not None and check.crossed(value, check.grave),
        veto=check.veto,
        factor=check.penalty_for(value) if value is not None and check.name in strongest else 1.0,
        uncounted=past and check.name == _COUNTS_WITH_ROOM,
        decimals=_decimals(check),
    )


def _retired(name: str, value: float, limit: float) -> CheckLine:
    """A finding of a check that there is no more."""
    above = "above" if value > limit else "below"
    return CheckLine(name, "", above, value, limit, 75.0, None, True, False, False, 1.0, False, 3)


def _decimals(check: Check) -> int:
    if check.high is None and float(check.limit).is_integer():
        return 1 if check.low else 0
    return 3 if check.limit < 0.1 else 2


def place_of(value: float, limit: float, direction: str, low: float, high: float | None) -> float:
    """Percent 0..100 of a check's scale: the limit at 50, worse on the right. An open end reaches to four times the
    limit."""
    top = high if high is not None else max(_OPEN_SPAN * limit, low + 1.0)
    value = min(max(value, low), top)
    if value <= limit:
        share = (value - low) / (limit - low) if limit > low else 1.0
        place = _MIDDLE * share
    else:
        place = _MIDDLE + (_END - _MIDDLE) * (value - limit) / (top - limit)
    return round(_END - place if direction == "below" else place, 1)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

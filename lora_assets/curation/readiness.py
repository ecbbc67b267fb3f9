"""Is the dataset ready to train: ready, needs attention or blocked, with reasons, coverage and the funnel.

Everything here is plain data: the CLI prints it, Dagster shows it, the page draws it. What belongs elsewhere: the
choice (choosing), its words in other languages (labels `ready.*`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lora_assets.curation.framing import UNKNOWN
from lora_assets.curation.reasons import FUNNEL, REASONS
from lora_assets.curation.settings import FRAMINGS, STRATIFIED, CurateSettings
from lora_assets.curation.splitting import VALIDATION
from lora_assets.tables import CuratedCrop

READY, ATTENTION, BLOCKED = "ready", "attention", "blocked"
NOT_MEASURED = "not measured"

NO_CROPS, NOTHING_CHOSEN, UNKNOWN_CHARACTER, SAME_NAME = "no_crops", "nothing_chosen", "unknown_character", "same_name"
TOO_FEW, UNDER_TARGET, SHORT_BAND, NO_VALIDATION = "too_few", "under_target", "short_band", "no_validation"
FRAMING_MISSING, ONE_SHOT, MIXED, RULES_ONLY, VETO_OVERRULED = (
    "framing_missing", "one_shot", "mixed_characters", "rules_only", "veto_overruled",
)  # fmt: skip
NO_GROUPS, NO_CHARACTERS, STALE_GROUPS = "no_groups", "no_characters", "stale_groups"
BLOCKING = (NO_CROPS, NOTHING_CHOSEN, UNKNOWN_CHARACTER, SAME_NAME, TOO_FEW)

_MOST_OF_ONE_SHOT = 0.5

WORDS = {
    NO_CROPS: "the tracker has no crops yet: run it first (lora-assets run)",
    NOTHING_CHOSEN: "no crop is left: most were lost at {name} ({value} of {limit})",
    UNKNOWN_CHARACTER: "no crop shows the character {name}: see lora-assets characters TRACKER for ids and names",
    SAME_NAME: "{value} characters are called {name}: merge them, rename one, or choose one by its id",
    TOO_FEW: "only {value} crops are chosen: under {limit} a LoRA learns the pictures, not the character",
    UNDER_TARGET: "{value} of the {limit} crops asked for: the pool holds no more that fit",
    SHORT_BAND: "the band from {name} gives {value} of {limit}: the shares are not kept",
    NO_VALIDATION: "no validation part: the chosen crops are too few, or come from one shot",
    FRAMING_MISSING: "no crop is of the framing {name}, of which a share of {limit} is wanted",
    ONE_SHOT: "{value} of the chosen crops come from one shot ({name}); at most {limit} is sound",
    MIXED: "{value} characters are chosen together: name one in [curate] character",
    RULES_ONLY: "{value} of the chosen crops are ranked by the rules' score only: make image_quality for the rest",
    VETO_OVERRULED: "{value} chosen crops have a veto that a person overruled",
    NO_GROUPS: "crop_groups is not made: nothing is known of duplicates and shots",
    NO_CHARACTERS: "characters is not made: nothing is known of who is shown",
    STALE_GROUPS: "crop_groups is older than the crops: make it anew, new crops have no shot and no duplicates yet",
}
"""What a finding says, with places for {name}, {value} and {limit}."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should know: a key of WORDS with its name, value and limit."""

    code: str
    name: str = ""
    value: float | None = None
    limit: float | None = None

    @property
    def blocks(self) -> bool:
        """True when the dataset should not be trained as it is."""
        return self.code in BLOCKING

    def words(self) -> str:
        """The finding in English."""
        return WORDS[self.code].format(name=self.name, value=_told(self.value), limit=_told(self.limit))


def _told(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}" if number != int(number) else str(int(number))


def funnel_of(rows: Sequence[CuratedCrop], frames: int) -> dict[str, int]:
    """How many are left at each stage of FUNNEL. A stage counts the crops that were not lost at it or before."""
    lost = Counter(REASONS[row.reason].lost_at for row in rows)
    left = len(rows)
    counts = {"frames": frames, "crops": left}
    for stage in FUNNEL[2:]:
        left -= lost[stage]
        counts[stage] = left
    return counts


def coverage_of(rows: Sequence[CuratedCrop]) -> list[dict[str, Any]]:
    """The chosen crops by framing, view and expression: one entry per combination that is there, and one with 0 for a
    wanted framing that is not. What was not measured is called so."""
    counts: Counter[tuple[str, str, str]] = Counter(
        (row.framing, row.view or NOT_MEASURED, row.expression or NOT_MEASURED) for row in rows if row.chosen
    )
    for framing in FRAMINGS:
        if not any(key[0] == framing for key in counts):
            counts[framing, NOT_MEASURED, NOT_MEASURED] = 0
    order = {name: place for place, name in enumerate((*FRAMINGS, UNKNOWN))}
    return [
        {"framing": framing, "view": view, "expression": expression, "crops": counts[framing, view, expression]}
        for framing, view, expression in sorted(counts, key=lambda key: (order.get(key[0], 9), key))
    ]


def report_of(
    rows: Sequence[CuratedCrop],
    frames: int,
    settings: CurateSettings,
    vetoed: Sequence[str],
    given: Sequence[Finding] = (),
    quotas: Sequence[int] = (),
) -> dict[str, Any]:
    """The readiness report as JSON values: state, findings (code, name, value, limit, words), funnel, coverage,
    counts by reason, part, character, framing, and the repeats. `vetoed`: ids of crops with a veto."""
    chosen = [row for row in rows if row.chosen]
    funnel = funnel_of(rows, frames)
    findings = [*given, *_findings(rows, chosen, funnel, settings, set(vetoed), quotas)]
    state = BLOCKED if any(one.blocks for one in findings) else ATTENTION if findings else READY
    return {
        "state": state,
        "findings": [
            {"code": one.code, "blocks": one.blocks, "name": one.name, "value": one.value, "limit": one.limit,
             "words": one.words()}
            for one in findings
        ],
        "funnel": funnel,
        "coverage": coverage_of(rows),
        "reasons": dict(Counter(row.reason for row in rows).most_common()),
        "parts": dict(Counter(row.part for row in chosen)),
        "framings": {name: sum(row.framing == name for row in chosen) for name in (*FRAMINGS, UNKNOWN)},
        "characters": _characters(rows),
        "repeats": _repeats(chosen),
        "pictures_an_epoch": sum(row.repeats for row in chosen if row.part != VALIDATION),
        "mean_score": sum(row.score for row in chosen) / len(chosen) if chosen else None,
    }  # fmt: skip


def _characters(rows: Sequence[CuratedCrop]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = found.setdefault(
            row.character_id, {"id": row.character_id, "name": row.character_name, "crops": 0, "chosen": 0}
        )
        entry["crops"] += 1
        entry["chosen"] += row.chosen
    return sorted(found.values(), key=lambda entry: (-entry["crops"], entry["id"]))


def _repeats(chosen: Sequence[CuratedCrop]) -> dict[str, float]:
    """The mean repeats of each framing of the training part."""
    by_framing: dict[str, list[float]] = defaultdict(list)
    for row in chosen:
        if row.part != VALIDATION:
            by_framing[row.framing].append(row.repeats)
    return {name: sum(values) / len(values) for name, values in sorted(by_framing.items())}


def _findings(
    rows: Sequence[CuratedCrop],
    chosen: Sequence[CuratedCrop],
    funnel: Mapping[str, int],
    settings: CurateSettings,
    vetoed: set[str],
    quotas: Sequence[int],
) -> list[Finding]:
    if not rows:
        return [Finding(NO_CROPS)]
    if not chosen:
        losses = [(funnel[had] - funnel[left], left, funnel[had]) for had, left in pairwise(FUNNEL[1:])]
        most, stage, of = max(losses)
        return [Finding(NOTHING_CHOSEN, stage, float(most), float(of))]
    found: list[Finding] = []
    if len(chosen) < settings.least_pictures:
        found.append(Finding(TOO_FEW, "", float(len(chosen)), float(settings.least_pictures)))
    if len(chosen) < settings.target and settings.method != "threshold":
        found.append(Finding(UNDER_TARGET, "", float(len(chosen)), float(settings.target)))
    if settings.method == STRATIFIED:
        found += _short_bands(chosen, settings, quotas)
    if settings.validation > 0 and not any(row.part == VALIDATION for row in chosen):
        found.append(Finding(NO_VALIDATION))
    if any(row.framing != UNKNOWN for row in chosen):
        wanted: dict[str, float] = dict(zip(FRAMINGS, settings.framing_shares, strict=True))
        missing = [name for name in FRAMINGS if wanted[name] > 0 and all(row.framing != name for row in chosen)]
        found += [Finding(FRAMING_MISSING, name, 0.0, wanted[name]) for name in missing]
    shot, most = Counter(row.shot for row in chosen).most_common(1)[0]
    if most > _MOST_OF_ONE_SHOT * len(chosen) and len(chosen) > 1:
        found.append(Finding(ONE_SHOT, shot, most / len(chosen), _MOST_OF_ONE_SHOT))
    shown = {row.character_id for row in chosen if row.character_id}
    if len(shown) > 1:
        found.append(Finding(MIXED, "", float(len(shown)), 1.0))
    by_rules = sum(row.score_source == "rules" for row in chosen)
    if by_rules and settings.source != "rules":
        found.append(Finding(RULES_ONLY, "", float(by_rules), 0.0))
    overruled = sum(row.crop_id in vetoed for row in chosen)
    if overruled:
        found.append(Finding(VETO_OVERRULED, "", float(overruled), 0.0))
    return found


def _short_bands(chosen: Sequence[CuratedCrop], settings: CurateSettings, quotas: Sequence[int]) -> list[Finding]:
    found, top = [], float("inf")
    for start, quota in zip(settings.bands, quotas, strict=True):
        have = sum(start <= row.score < top for row in chosen)
        if have < quota:
            found.append(Finding(SHORT_BAND, f"{start:g}", float(have), float(quota)))
        top = start
    return found

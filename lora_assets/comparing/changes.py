"""What differs between the recipes of two cells, stage by stage: weights, settings, code versions, runtime.

The chain of recipes is followed from the scored crops upwards (each names its parent), so that it tells what made the
crops that are compared, also where an earlier stage has been published anew since. Which crops a difference explains
does not belong here (tracing).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lora_assets.store import PublishedTable, Store

FRAME, DETECTION, MASK, SCORING, VERDICT = "frame", "detection", "mask", "scoring", "verdict"
STAGES = (FRAME, DETECTION, MASK, SCORING, VERDICT)
"""The stages of a crop, in the order in which they are made."""

WEIGHTS, SETTING, CODE, RUNTIME, READING = "weights", "setting", "code", "runtime", "reading"
CONTENT, VERDICT_REACH, NOT_MADE, NOTHING, UNKNOWN = "content", "verdict", "not_made", "nothing", "unknown"
KINDS = (WEIGHTS, SETTING, CODE, RUNTIME, READING, CONTENT, VERDICT_REACH, NOT_MADE, NOTHING, UNKNOWN)
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_HASH_DIGITS = 8
_ABSENT = "–"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One thing that differs in a stage: `kind` is one of KINDS, `before` and `after` are its values as text.

    `reading` is another version or other limits of the code that reads frames, by digest. `content` is a change of the
    input: the name says which (bytes, removed, added, quarantined, unreadable). `verdict`: a person's word reaches the
    crop of one side only. `not_made`: the other side has not made the rows of this stage (yet). `nothing`: the results
    of the stage differ although nothing of its recipe does. `unknown`: the recipe of a side was not kept.
    """

    stage: str
    kind: str
    name: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What is known of the making of one stage of a cell: `code`, `runtime` and `digests` by the parts of the stage,
    with an empty text for what was not kept. `weights` are name and SHA-256 of each."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[tuple[str, str], ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    reading: str = ""
    known: bool = True


def _facts(store: Store, stage: str, recipe: str, table: PublishedTable | None) -> Mapping[str, Any]:
    """The recipe of that digest: as kept beside its results, or as the published table tells it; empty when neither."""
    told = None
    if _DIGEST.fullmatch(recipe):
        try:
            told = json.loads((store.data / "store" / stage / recipe / "recipe.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = None
    if isinstance(told, dict):
        return told
    if table is not None and (not recipe or table.facts.get("recipe", recipe) == recipe):
        return table.facts
    return {}


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def _settings(*sources: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for source in sources:
        told = source.get("settings")
        found.update(_flat(told) if isinstance(told, dict) else {})
    return found


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _weights(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    told = facts.get("weights")
    entries = [told] if isinstance(told, dict) else told if isinstance(told, list | tuple) else []
    return tuple((str(one.get("name", "")), str(one.get("sha256", ""))) for one in entries if isinstance(one, dict))


def _record(reading: str = "", **parts: Mapping[str, Any]) -> StageRecord:
    """One record of the facts of a stage's parts, by the parts' names."""
    made = [facts for facts in parts.values() if facts]
    if not made:
        return StageRecord(known=False)
    return StageRecord(
        settings=_settings(*made),
        weights=tuple(dict.fromkeys(used for facts in made for used in _weights(facts))),
        code={name: _text(facts, "code_version") for name, facts in parts.items()},
        runtime={name: _text(facts, "runtime") for name, facts in parts.items()},
        digests={name: _text(facts, "recipe") for name, facts in parts.items()},
        reading=reading,
    )


def cell_records(store: Store, dataset: str, tracker: str) -> dict[str, StageRecord]:
    """The records of DETECTION, MASK and SCORING of a cell, as the chain from its scored crops names them.

    A published table of masks tells the segmenter's settings and weights as well, so that a difference in those is
    named even where the shelf has been emptied since.
    """
    scored = store.cell_table("scored_crops", dataset, tracker)
    masks = store.cell_table("masks", dataset, tracker)
    boxes = store.cell_table("detections", dataset, tracker)
    crop_facts = scored.facts if scored else {}
    refined = _facts(store, "masks", _text(crop_facts, "parent"), masks)
    segments_digest = _text(refined, "segments_recipe") or _text(refined, "parent")
    segments = _facts(store, "segments", segments_digest, None) if segments_digest else {}
    if not segments and masks is not None and masks.facts.get("segments_recipe") == segments_digest:
        segments = {name: masks.facts[name] for name in ("settings", "weights") if name in masks.facts}
        segments = {**segments, "recipe": segments_digest} if segments_digest else segments
    found = _facts(store, "detections", _text(segments, "parent"), boxes)
    return {
        DETECTION: _record(_text(found, "parent"), detections=found),
        MASK: _record(segments=segments, masks=refined),
        SCORING: _record(scored_crops=crop_facts),
    }


# --- differences -----------------------------------------------------------------------------------------------------


def value_text(value: Any) -> str:
    """A setting's value as a person writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_text(one) for one in value) + "]"
    return str(value)


def stage_changes(stage: str, before: StageRecord, after: StageRecord) -> tuple[Change, ...]:
    """What differs in the recipes of one stage itself, not of the stages before it; empty when nothing does."""
    if before.digests == after.digests and before.digests and all(before.digests.values()):
        return ()
    if not before.known or not after.known:
        return (Change(stage, UNKNOWN),)
    found = [*_weight_changes(stage, before, after), *_setting_changes(stage, before, after)]
    found += _part_changes(stage, CODE, before.code, after.code)
    found += _part_changes(stage, RUNTIME, before.runtime, after.runtime)
    if before.reading and after.reading and before.reading != after.reading:
        found.append(Change(FRAME, READING, "", before.reading, after.reading))
    if not found and any(_is_untold(part, before, after) for part in before.code):
        return (Change(stage, UNKNOWN),)
    return tuple(found)


def _weight_changes(stage: str, before: StageRecord, after: StageRecord) -> list[Change]:
    hashes = [sha256 for _, sha256 in before.weights], [sha256 for _, sha256 in after.weights]
    if hashes[0] == hashes[1]:
        return []
    # Of several weights only the other ones are named; where but their order differs, all are.
    old = tuple(used for used in before.weights if used[1] not in hashes[1])
    new = tuple(used for used in after.weights if used[1] not in hashes[0])
    if not old and not new:
        old, new = before.weights, after.weights
    return [Change(stage, WEIGHTS, "", _weights_text(old), _weights_text(new))]


def _weights_text(weights: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} ({sha256[:_HASH_DIGITS]})" for name, sha256 in weights) or _ABSENT


def _setting_changes(stage: str, before: StageRecord, after: StageRecord) -> list[Change]:
    names = sorted({*before.settings, *after.settings})
    if before.settings.get("preset") != after.settings.get("preset"):
        # A preset's numbers follow from its name, which some recipes keep alone. The pages start without cv2.
        from lora_assets.vision.refine_presets import PARAMETERS

        names = [name for name in names if name == "matting" or name not in PARAMETERS]

    def told(record: StageRecord, name: str) -> str:
        return value_text(record.settings[name]) if name in record.settings else _ABSENT

    pairs = ((name, told(before, name), told(after, name)) for name in names)
    return [Change(stage, SETTING, name, old, new) for name, old, new in pairs if old != new]


def _part_changes(stage: str, kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    # With one part the stage's name says enough.
    return [
        Change(stage, kind, part if len(before) > 1 else "", before[part], after[part])
        for part in before
        if before[part] and after[part] and before[part] != after[part]
    ]


def _is_untold(part: str, before: StageRecord, after: StageRecord) -> bool:
    """A part whose recipes differ, or may, and of which one side does not tell the version: it may be what differs."""
    is_same = before.digests[part] and before.digests[part] == after.digests[part]
    return not is_same and not (before.code[part] and after.code[part])

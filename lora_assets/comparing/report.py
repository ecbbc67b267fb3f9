"""A comparison as words, JSON, Markdown and numbers, for the terminal, scripts and Dagster.

The form of the JSON is kept: fields may be added, `format` counts up when one is taken away or changes its meaning.
The pages have words of their own, in three languages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from lora_assets.comparing.causes import CauseKey
from lora_assets.comparing.changes import (
    CODE,
    CONTENT,
    FRAME,
    NOT_MADE,
    NOTHING,
    READING,
    RUNTIME,
    UNKNOWN,
    VERDICT,
    VERDICT_REACH,
    WEIGHTS,
    Change,
)
from lora_assets.comparing.comparison import Cause, Comparison, Selection, Skipped
from lora_assets.comparing.details import CropChange, crop_changes
from lora_assets.comparing.tracing import CHANGES, SAME

FORMAT = 1
_CONTENTS = {
    "bytes": "the frame's bytes differ",
    "removed": "frame removed",
    "added": "frame added",
    "quarantined": "frame quarantined",
    "unreadable": "frame could not be read",
}
_SENTENCES = {
    NOTHING: "nothing of its recipe differs, but the results do (not deterministic, or not made by this program)",
    UNKNOWN: "not known: a table or recipe of one side was not kept",
    NOT_MADE: "not made on the other side (yet)",
    VERDICT_REACH: "a verdict applies to the crop of one side only",
}
HOW_WORDS = {
    "bytes": "its frame's bytes differ",
    "box": "its own box",
    "evidence": "what speaks for its box",
    "mask": "its own mask",
    "other_boxes": "other boxes of its frame",
    "other_masks": "other masks of its frame",
    "extracted_again": "its second mask",
    "score": "its score",
    "verdict": "its verdict",
    "rows_gone": "its rows are gone",
    "frame_removed": "its frame was removed",
    "frame_added": "its frame was added",
    "quarantined": "its frame is quarantined",
    "unreadable": "its frame could not be read",
    "below_conf": "its box is below the least confidence",
    "not_subject": "its box is no subject",
    "joined": "its box is one with another",
    "moved": "its box lies elsewhere",
    "no_box": "no box was found",
    "no_mask": "it has no mask",
    "not_made": "it is not made",
}


def _pair(change: Change) -> str:
    return f"{change.before} -> {change.after}"


def change_text(change: Change) -> str:
    """One difference in words, without its stage."""
    if change.kind == CONTENT:
        return _CONTENTS[change.name]
    if change.kind in _SENTENCES:
        return _SENTENCES[change.kind]
    if change.kind in (CODE, RUNTIME):
        return f"{change.kind}{f' of {change.name}' if change.name else ''} {_pair(change)}"
    if change.kind == READING:
        return f"reading of frames (code or limits) {_pair(change)}"
    if change.kind == WEIGHTS:
        return f"weights {_pair(change)}"
    return f"{change.name} {_pair(change)}"


def changes_text(changes: Sequence[Change]) -> str:
    """Differences in words, stage by stage; several of one stage are told as one joint cause."""
    parts = []
    for stage, group in groupby(changes, key=lambda change: change.stage):
        here = list(group)
        told = [change_text(change) for change in here]
        if len(told) > 1:
            parts.append(f"{len(told)} changes of {stage}: {', '.join(told)}")
        elif stage in (FRAME, VERDICT):
            parts.append(told[0])
        else:
            parts.append(f"{stage}: {told[0]}" if here[0].kind in _SENTENCES else f"{stage} {told[0]}")
    return "; ".join(parts)


def cause_text(key: CauseKey) -> str:
    """A cause in words. Stages after the first that differ as well are named at the end."""
    text = changes_text(key.changes)
    if key.stage not in {change.stage for change in key.changes}:
        text = f"{key.stage}, by {text}"
    stages = list(dict.fromkeys(change.stage for change in key.later))
    return f"{text} (recipe of {' and '.join(stages)} differs too)" if stages else text


def skipped_text(skipped: Skipped) -> str:
    """Why a dataset is not compared."""
    if skipped.reason == "absent":
        return f"{skipped.name}: {skipped.tracker} does not have this dataset"
    if skipped.reason == "not_made":
        return f"{skipped.name}: the scored crops of {skipped.tracker} are not made yet"
    return "neither tracker has made anything yet"


def flags_text(cause: Cause, most: int = 4) -> str:
    """The flags that came and went most often: "+cut_body 6, -small 2"."""
    return ", ".join(f"{'+' if flag.appeared else '-'}{flag.name} {flag.count:,}" for flag in cause.flags[:most])


def numbers(comparison: Comparison) -> dict[str, float]:
    """The numbers that are plotted over time, by name."""
    counts = {name: float(count) for name, count in comparison.counts.items()}
    shares = {"worse_share": comparison.worse_share, "lost_share": comparison.lost_share}
    return {**counts, "matched": float(comparison.matched), **shares, "causes": float(len(comparison.causes))}


def summary_text(comparison: Comparison) -> str:
    """One line: what became of the crops."""
    counts = comparison.counts
    told = ", ".join(f"{counts[name]:,} {name}" for name in CHANGES)
    return f"{comparison.after} against {comparison.before}: {told}"


def _escaped(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def causes_markdown(comparison: Comparison, most: int = 30) -> str:
    """The causes as a Markdown table, the largest first."""
    if not comparison.causes:
        return "No crop differs."
    head = [name for name in CHANGES if name != SAME]
    lines = [f"| {' | '.join(head)} | first stage | cause | flags |", f"|{'---:|' * len(head)}---|---|---|"]
    for cause in comparison.causes[:most]:
        figures = " | ".join(f"{cause.counts.get(name, 0):,}" for name in head)
        text, flags = _escaped(cause_text(cause.key)), _escaped(flags_text(cause))
        lines.append(f"| {figures} | {cause.key.stage} | {text} | {flags} |")
    if len(comparison.causes) > most:
        lines.append(f"\n{len(comparison.causes) - most} smaller causes are left out.")
    return "\n".join(lines)


# --- JSON ------------------------------------------------------------------------------------------------------------


def _cause_json(number: int, cause: Cause) -> dict[str, Any]:
    return {
        "number": number,
        "id": cause.id,
        "text": cause_text(cause.key),
        "stage": cause.key.stage,
        "changes": [dataclasses.asdict(change) for change in cause.key.changes],
        "later": [dataclasses.asdict(change) for change in cause.key.later],
        "counts": cause.counts,
        "total": cause.total,
        "ways": cause.hows,
        "flags": [_fields(flag, ("group",)) for flag in cause.flags],
    }


def _fields(record: Any, but: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a flat record; dataclasses.asdict copies every value and takes four times as long."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record) if field.name not in but}


def crop_json(crop: CropChange) -> dict[str, Any]:
    """One crop as JSON values."""
    return {
        **_fields(crop, ("number",)),
        "before": _fields(crop.before) if crop.before else None,
        "after": _fields(crop.after) if crop.after else None,
        "score_change": crop.score_change,
        "differences": [_fields(difference) for difference in crop.differences],
        "flags": [_fields(flag) for flag in crop.flags],
    }


def comparison_json(
    comparison: Comparison, wanted: Selection | None = None, limit: int | None = None
) -> dict[str, Any]:
    """The whole comparison as JSON values; of the crops those of a selection, all or the first `limit`."""
    chosen = comparison.select(wanted or Selection())
    listed = chosen if limit is None else chosen[:limit]
    return {
        "format": FORMAT,
        "before": comparison.before,
        "after": comparison.after,
        "settings": dataclasses.asdict(comparison.settings),
        "datasets": [_dataset_json(comparison, place) for place in range(len(comparison.datasets))],
        "skipped": [{**_fields(one), "text": skipped_text(one)} for one in comparison.skipped],
        "counts": comparison.counts,
        "matched": comparison.matched,
        "worse_share": comparison.worse_share,
        "lost_share": comparison.lost_share,
        "causes": [_cause_json(number, cause) for number, cause in enumerate(comparison.causes)],
        "matching": len(chosen),
        "crops": [crop_json(crop) for crop in crop_changes(comparison, listed)],
    }


def _dataset_json(comparison: Comparison, place: int) -> dict[str, Any]:
    dataset = comparison.datasets[place]
    found = comparison.change[comparison.dataset == place].tolist()
    counts = {name: found.count(code) for code, name in enumerate(CHANGES)}
    return {"dataset": dataset.slug, "name": dataset.name, "counts": counts}

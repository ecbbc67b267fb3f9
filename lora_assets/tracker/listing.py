"""All crops of a choice in their order as compact JSON: what the grid of 15,000 crops is drawn from.

Columns instead of rows, numbers instead of names. Verdicts are not in it, so that a mark leaves the list as it is: they
are asked for by number (routes_verdicts). Folding alike crops is left to the script, which can unfold one group.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from lora_assets.store import digest
from lora_assets.tracker.reviewed import ReviewedView
from lora_assets.tracker.summary import TIERS
from lora_assets.tracker.view import Choice

_NO_WORD = -1


def list_tag(view: ReviewedView, choice: Choice) -> str:
    """A text that changes whenever the list of a choice does."""
    judged = view.has_judge and (view.judge.ready, view.judge_problem)
    seen = view.marks.seq if choice.verdict else 0
    return digest(view.review_state, repr(replace(choice, unfolded=False)), seen, judged)


def crop_list(view: ReviewedView, choice: Choice) -> bytes:
    """The list. Per crop, in order: `crop` and `box` (ids), `dataset` (place in `datasets`), `tier` (place in `tiers`),
    `score` and `p_good` in thousandths (-1: none), `abstained` (1: the judge does), `flags` (places in `flag_names`),
    `group` (a number that alike crops share, -1: alone), `path` of the frame. `judge_coming`: the judge's words are not
    there yet, ask again in a moment; `judge_fault`: why there will be none (empty otherwise)."""
    rows = view.order(choice)
    names = view.crops.take(rows)
    judged = view.judge_for(choice.sort)
    told: dict[str, Any] = {
        "epoch": view.state,
        "tag": list_tag(view, choice),
        "tiers": TIERS,
        "flag_names": view.flag_names,
        "datasets": view.slugs,
        "crop": names.column("crop_id").to_pylist(),
        "box": names.column("detection_id").to_pylist(),
        "dataset": view.datasets[rows].tolist(),
        "tier": view.tiers[rows].tolist(),
        "score": _thousandths(view.scores[rows]),
        "flags": [np.flatnonzero(row).tolist() for row in view.flags[rows]],
        "path": [view.path_of(frame) for frame in names.column("frame_sha256").to_pylist()],
        "group": view.groups[rows].tolist() if view.has_groups else None,
        "p_good": _thousandths(judged.p_good[rows]) if judged else None,
        "judge_coming": view.has_judge and judged is None and not view.judge_problem,
        "judge_fault": view.judge_problem,
        "abstained": judged.abstained[rows].tolist() if judged else None,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _thousandths(values: Any) -> list[int]:
    # Cut off, so that a score just under the limit of a tier does not seem to reach it.
    return np.nan_to_num(np.floor(1000 * values + 1e-6), nan=_NO_WORD).astype(int).tolist()

"""A tracker's judge from its published tables and the log of verdicts, and where it is kept.

`data/tables/judge/<tracker>/` holds judge.json (model, report, what it was made of) and report.png. A judge changes no
result of a tracker, so that of a sealed one may be made anew. Learning itself belongs to report and learning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.judge.drawing import draw_report
from lora_assets.judge.groups import frame_groups
from lora_assets.judge.judging import CropJudgement, judge_probabilities
from lora_assets.judge.kept import judge_digest, judge_from_json, judge_to_json
from lora_assets.judge.learning import JudgeSettings
from lora_assets.judge.renewal import note_row
from lora_assets.judge.report import Judge, learn
from lora_assets.specs import check_tracker_id
from lora_assets.store import PublishedTable, Store, StoreError, atomic_write_bytes, atomic_write_json, digest
from lora_assets.tables import RawFrame, columns
from lora_assets.verdicts import Matching, VerdictLog, match_verdicts, tracker_places
from lora_assets.verdicts.places import cell_datasets
from lora_assets.verdicts.record import BAD, GOOD

_MASK_FACTS = ("coverage", "predicted_iou", "stability")
_FRAME_FACTS = ("mean_luminance", "black_share", "sharpness")
_GROUP_FACTS = ("path", "sha256", "phash", "shot")


@dataclass(frozen=True, slots=True)
class MadeJudge:
    """A judge as it was kept: its digest, its files, and what became of the verdicts."""

    judge: Judge
    digest: str
    path: Path
    picture: Path
    matching: Matching

    def numbers(self) -> dict[str, float]:
        """What is plotted of a judge over trackers, by name; figures that too few verdicts allow are left out."""
        report = self.judge.report
        told: dict[str, float | None] = {
            "active": report.active,
            "verdicts": report.verdicts,
            "good": report.good,
            "bad": report.bad,
            "groups": report.groups,
            "unmatched": len(self.matching.unmatched),
            "calibration_error": report.calibration_error,
            "log_loss": report.log_loss,
            "abstained_share": report.abstained_share,
        }
        if compared := report.comparison:
            told |= {
                "precision_of_rules": compared.rules, "precision_of_judge": compared.judge,
                "gain": compared.difference, "gain_low": compared.low, "gain_high": compared.high,
            }  # fmt: skip
        for who, tiers in (("rules", report.rules_tiers), ("judge", report.judge_tiers)):
            for figures in tiers:
                told[f"{who}_{figures.tier}_precision"] = figures.precision
                told[f"{who}_{figures.tier}_recall"] = figures.recall
        return {name: float(value) for name, value in told.items() if value is not None}

    def unmatched(self, limit: int = 100) -> list[dict[str, str]]:
        """The verdicts that apply to no crop of the tracker, and why; the first `limit` of them."""
        return [
            {
                "crop": lost.verdict.crop_id, "tracker": lost.verdict.mark.tracker, "value": lost.verdict.value,
                "dataset": lost.verdict.mark.dataset, "frame": lost.verdict.mark.frame_sha256, "reason": lost.reason,
            }
            for lost in self.matching.unmatched[:limit]
        ]  # fmt: skip


def judge_path(store: Store, tracker: str) -> Path:
    """Where a tracker's judge is kept. Raises SpecError for what is no tracker ID."""
    return store.data / "tables" / "judge" / check_tracker_id(tracker) / "judge.json"


def picture_path(store: Store, tracker: str) -> Path:
    """Where the picture of its report is kept."""
    return judge_path(store, tracker).with_name("report.png")


def _facts(table: PublishedTable | None, keys: tuple[str, ...], facts: tuple[str, ...], kind: str) -> dict[Any, Any]:
    """The facts of each row by its key columns, named `kind`.fact."""
    if table is None:
        return {}
    return {
        tuple(row[key] for key in keys): {f"{kind}.{fact}": row[fact] for fact in facts}
        for row in table.read([*keys, *facts]).to_pylist()
    }


def crop_rows(store: Store, dataset: str, tracker: str) -> list[dict[str, Any]]:
    """The scored crops of one cell with the figures of their masks (mask.*) and frames (frame.*), as the judge reads
    them, in the table's order; figures that are not there are left out. Empty before the cell is made."""
    crops = store.cell_table("scored_crops", dataset, tracker)
    if crops is None:
        return []
    masks = _facts(store.cell_table("masks", dataset, tracker), ("frame_sha256", "detection_id"), _MASK_FACTS, "mask")
    frames = _facts(store.frames_of(dataset, tracker), ("sha256",), _FRAME_FACTS, "frame")
    return [
        row
        | {"dataset": dataset}
        | masks.get((row["frame_sha256"], row["detection_id"]), {})
        | frames.get((row["frame_sha256"],), {})
        for row in crops.read().to_pylist()
    ]


def _frames(store: Store, dataset: str, tracker: str) -> list[dict[str, Any]]:
    frames = store.frames_of(dataset, tracker)
    known = [name for name in _GROUP_FACTS if name in columns(RawFrame)]
    return frames.read(known).to_pylist() if frames else []


def make_judge(store: Store, log: VerdictLog, tracker: str, settings: JudgeSettings = JudgeSettings()) -> MadeJudge:
    """Learn the tracker's judge from every verdict that applies to its crops (good and bad; `exclude` says that a crop
    is not to be used, not that it is bad) and keep it. Equal verdicts, tables and settings give an equal judge.

    Raises SpecError for what is no tracker ID.
    """
    path, picture = judge_path(store, tracker), picture_path(store, tracker)
    row = log.last_row()
    datasets = cell_datasets(store, tracker)
    matching = match_verdicts(list(log.current().values()), tracker_places(store, tracker)).standing()
    rows = {row["crop_id"]: row for dataset in datasets for row in crop_rows(store, dataset, tracker)}
    told = [
        (match.place.crop_id, match.verdict)
        for match in matching.matched
        if match.verdict.value in (GOOD, BAD) and match.place.crop_id in rows
    ]
    told.sort(key=lambda pair: pair[0])
    judged = [rows[crop] for crop, _ in told]
    frames = {dataset: _frames(store, dataset, tracker) for dataset in datasets}
    group_of = frame_groups(frames, {row["frame_sha256"] for row in judged})
    made_of = {
        "tracker": tracker,
        "verdicts": digest([[crop, verdict.mark.request_id, verdict.value] for crop, verdict in told]),
        "unmatched": len(matching.unmatched),
    }
    judge = learn(
        judged,
        [int(verdict.value == GOOD) for _, verdict in told],
        [group_of[row["frame_sha256"]] for row in judged],
        settings,
        made_of,
    )
    with store.lock(f"judge-{tracker}"):
        atomic_write_bytes(picture, draw_report(judge, tracker), recorded=True)
        atomic_write_json(path, judge_to_json(judge), recorded=True)
        note_row(store, tracker, row)
    return MadeJudge(judge, judge_digest(judge), path, picture, matching)


def read_judge(store: Store, tracker: str) -> Judge | None:
    """The tracker's judge as it was kept last; None when none was made. Raises StoreError for a damaged file."""
    path = judge_path(store, tracker)
    try:
        return judge_from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): make it anew with lora-assets judge --tracker {tracker}"
        ) from error


def judge_tracker(store: Store, tracker: str) -> dict[str, CropJudgement]:
    """What the tracker's judge says of each of its crops, by crop id, in the tables' order; empty without a model."""
    judge = read_judge(store, tracker)
    if judge is None or judge.model is None:
        return {}
    rows = [row for dataset in cell_datasets(store, tracker) for row in crop_rows(store, dataset, tracker)]
    said = judge_probabilities(judge.model, rows, judge.settings)
    return {row["crop_id"]: one for row, one in zip(rows, said, strict=True)}

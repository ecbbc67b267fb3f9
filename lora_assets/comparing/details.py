"""What differs of single crops: both sides with tier, score and verdict, the numbers that differ, flags that came or
went. Made for the crops that are shown, not for all. Words and JSON of it are in report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.causes import HOWS
from lora_assets.comparing.cell_rows import PARTS, CellRows, Rows
from lora_assets.comparing.changes import DETECTION, MASK, SCORING, STAGES
from lora_assets.comparing.comparison import ComparedDataset, Comparison
from lora_assets.comparing.tracing import CHANGES
from lora_assets.comparing.verdicts_of_crops import VERDICTS

_CROP_COLUMNS = (
    "frame_sha256", "detection_id", "crop_id", "tier", "score", "technical_score", *PARTS, "lora_suitable",
    "character_count", "flags", "flag_values", "flag_limits",
)  # fmt: skip
_BOX_COLUMNS = ("label", "confidence", "detector", "body_from", "prepared", "agreement", "reference_similarity")
_MASK_COLUMNS = ("area", "coverage", "predicted_iou", "stability", "holes", "specks", "disagreement")
_SCORE_COLUMNS = ("technical_score", *PARTS, "lora_suitable")


@dataclass(frozen=True, slots=True)
class CropSide:
    """A crop as one tracker has it. `box` is xyxy pixels of the frame, `verdict` empty when nobody said a word."""

    crop_id: str
    detection_id: str
    frame_sha256: str
    path: str
    tier: str
    score: float
    verdict: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """A number or name of a stage that differs; None on a side that does not have it."""

    stage: str
    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A flag that came (`appeared`) or went, with the value and the limit that it crossed on the side that has it."""

    name: str
    appeared: bool
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class CropChange:
    """What became of one crop. `stage` is the first that differs, `how` by which way (see tracing.HOWS), `cause` a
    place in the comparison's causes; `iou` is of the two boxes, None where a side has no crop."""

    number: int
    dataset: str
    dataset_name: str
    change: str
    stage: str
    how: str
    cause: int
    iou: float | None
    before: CropSide | None
    after: CropSide | None
    differences: tuple[Difference, ...]
    flags: tuple[FlagChange, ...]

    @property
    def score_change(self) -> float | None:
        """Score after less score before; None where a side has no crop."""
        return self.after.score - self.before.score if self.before and self.after else None


def crop_changes(comparison: Comparison, numbers: Sequence[int] | Rows) -> list[CropChange]:
    """The crops of these numbers, in their order."""
    wanted = np.asarray(numbers, np.int64)
    found: dict[int, CropChange] = {}
    for place, dataset in enumerate(comparison.datasets):
        here = wanted[comparison.dataset[wanted] == place]
        if len(here):
            found.update(_of_dataset(comparison, dataset, here))
    return [found[number] for number in wanted.tolist()]


def _of_dataset(comparison: Comparison, dataset: ComparedDataset, numbers: Rows) -> dict[int, CropChange]:
    crops = dataset.crops
    rows = comparison.row[numbers]
    sides = [
        _Taken(cell, of_rows[rows], [VERDICTS[code] for code in words[rows]])
        for cell, of_rows, words in (
            (dataset.before, crops.before, crops.verdict_before), (dataset.after, crops.after, crops.verdict_after)
        )
    ]  # fmt: skip
    found = {}
    for at, (number, row) in enumerate(zip(numbers.tolist(), rows.tolist(), strict=True)):
        before, after = sides[0].sides[at], sides[1].sides[at]
        stage = int(crops.stage[row])
        found[number] = CropChange(
            number=number,
            dataset=dataset.slug,
            dataset_name=dataset.name,
            change=CHANGES[crops.change[row]],
            stage=STAGES[stage] if stage >= 0 else "",
            how=HOWS[crops.how[row]],
            cause=int(comparison.cause[number]),
            iou=None if np.isnan(crops.iou[row]) else float(crops.iou[row]),
            before=before,
            after=after,
            differences=_differences(sides, at) if before and after else _confidence(sides, at),
            flags=_flags(sides[0].crops[at], sides[1].crops[at]) if before and after else (),
        )
    return found


class _Taken:
    """Some crops of one side, with the rows of their boxes and masks; None for a crop that the side does not have."""

    def __init__(self, cell: CellRows, rows: Rows, verdicts: Sequence[str]) -> None:
        self.crops = _take(cell.crops, _CROP_COLUMNS, rows)
        self.detections = _take(cell.detections, _BOX_COLUMNS, _through(cell.detection_of, rows))
        self.masks = _take(cell.masks, _MASK_COLUMNS, _through(cell.mask_of, rows))
        paths = _paths(cell, self.crops)
        boxes = np.round(cell.boxes[rows], 2).tolist() if len(cell.boxes) else [[0.0] * 4] * len(rows)
        self.sides = [
            CropSide(
                crop["crop_id"], crop["detection_id"], crop["frame_sha256"], paths.get(crop["frame_sha256"], ""),
                crop["tier"], crop["score"], verdict, (box[0], box[1], box[2], box[3]),
            )
            if row >= 0
            else None
            for row, crop, verdict, box in zip(rows.tolist(), self.crops, verdicts, boxes, strict=True)
        ]  # fmt: skip


def _through(of_crop: Rows, rows: Rows) -> Rows:
    return np.where(rows >= 0, of_crop[rows], -1) if len(of_crop) else np.full(len(rows), -1, np.int64)


def _take(table: pa.Table, names: Sequence[str], rows: Rows) -> list[dict[str, Any]]:
    there = [name for name in names if name in table.column_names]
    return table.select(there).take(pa.array(rows, mask=rows < 0)).to_pylist()


def _paths(cell: CellRows, crops: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The first path of each frame of some crops."""
    wanted = pa.array({row["frame_sha256"] for row in crops if row["frame_sha256"]}, pa.string())
    rows = cell.frames.filter(pc.is_in(cell.frames.column("sha256"), value_set=wanted))  # pyright: ignore
    found: dict[str, str] = {}
    for path, sha256 in zip(rows.column("path").to_pylist(), rows.column("sha256").to_pylist(), strict=True):
        found.setdefault(sha256, path)
    return found


def _differences(sides: Sequence[_Taken], at: int) -> tuple[Difference, ...]:
    found: list[Difference] = []
    first, second = (side.sides[at] for side in sides)
    if first and second and first.box != second.box:
        found.append(Difference(DETECTION, "box", list(first.box), list(second.box)))
    for stage, table, names in (
        (DETECTION, "detections", _BOX_COLUMNS), (MASK, "masks", _MASK_COLUMNS), (SCORING, "crops", _SCORE_COLUMNS)
    ):  # fmt: skip
        before, after = (getattr(side, table)[at] for side in sides)
        shared = [name for name in names if name in before and name in after]
        found.extend(
            Difference(stage, name, before[name], after[name]) for name in shared if before[name] != after[name]
        )
    return tuple(found)


def _confidence(sides: Sequence[_Taken], at: int) -> tuple[Difference, ...]:
    """How sure the detector was of a crop that one side does not have."""
    before, after = (side.detections[at].get("confidence") for side in sides)
    return () if before is None and after is None else (Difference(DETECTION, "confidence", before, after),)


def _flags(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FlagChange, ...]:
    old, new = (
        {
            name: (value, limit)
            for name, value, limit in zip(row["flags"], row["flag_values"], row["flag_limits"], strict=False)
        }
        for row in (before, after)
    )
    came = [FlagChange(name, True, *new[name]) for name in new if name not in old]
    return (*came, *(FlagChange(name, False, *old[name]) for name in old if name not in new))

"""What the page of one large crop says: its picture beside its frame, every part of its score, and its lineage.

Templates read these fields and compute nothing. The list of crops is in pages; the bytes of pictures are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_assets.specs import TrackerSpec
from lora_assets.store import StoreError
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.pages import RunLink, crop_url, list_url, picture_url, read_choice, run_link
from lora_assets.tracker.pictures import original_fault
from lora_assets.tracker.summary import PARTS, StageFacts, stage_facts
from lora_assets.tracker.view import Choice, TrackerView


class CropMissing(LookupError):
    """The tracker has no such crop (any more)."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of the score, 0 to 1; `percent` is the length of its bar."""

    name: str
    value: float
    percent: float


@dataclass(frozen=True, slots=True)
class FlagLine:
    """A defect with the value that was measured and the limit that it crossed."""

    name: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage in the lineage of the crop, with the run that made its table (None when it was not told)."""

    facts: StageFacts
    run: RunLink | None


@dataclass(frozen=True, slots=True)
class CropPage:
    """The page `/tracker/<ID>/crop/<crop_id>`."""

    spec: TrackerSpec
    crop: ScoredCrop
    dataset_name: str
    frame: RawFrame | None
    frame_folder: str
    """the dataset's folder; empty when it is no longer known"""
    detection: Detection | None
    mask: Mask | None
    cutout_url: str
    """empty when the crop has no stored picture and cannot be drawn"""
    thumb_url: str
    frame_url: str
    """the whole frame, or its thumbnail when the original cannot be shown"""
    mask_url: str
    frame_fault: str
    """label key that says why the original cannot be shown; empty when it can"""
    parts: tuple[Bar, ...]
    """L1, in the order of PARTS"""
    content: tuple[Bar, ...]
    """shares that L2 measured"""
    flags: tuple[FlagLine, ...]
    stages: tuple[StageLine, ...]
    position: int
    """place among the chosen crops, from 1"""
    matching: int
    back_url: str
    previous_url: str
    next_url: str
    line_width: float
    """width of the drawn box in pixels of the frame"""


def crop_page(cells: Cells, view: TrackerView, crop_id: str, query: Mapping[str, str], dagster_url: str) -> CropPage:
    """The page of one crop. Raises CropMissing when the tracker does not have it, StoreError for a damaged table."""
    number = _row_number(view, crop_id, query)
    row = view.rows([number])[0]
    cell = next(cell for cell in view.cells if cell.dataset == row["dataset"])
    crop = _full_row(cells, cell, row)
    sha256 = crop.frame_sha256
    choice, order, position = _place(view, number, read_choice(query, view))
    frame = _first(cells.rows(cell.frames, RawFrame, sha256, "sha256")) if cell.frames else None
    detections = cells.rows(cell.detections, Detection, sha256) if cell.detections else []
    masks = cells.rows(cell.masks, Mask, sha256) if cell.masks else []
    file = view.frames.get(sha256)
    fault = original_fault(file, sha256) if file else "missing.gone"
    tracker = view.spec.id
    neighbours = {
        step: crop_url(tracker, view.rows([order[position + step]])[0], choice)
        for step in (-1, 1)
        if 0 <= position + step < len(order)
    }
    return CropPage(
        spec=view.spec,
        crop=crop,
        dataset_name=cell.name,
        frame=frame,
        frame_folder=str(cell.folder) if cell.folder else "",
        detection=_first([d for d in detections if d.detection_id == crop.detection_id]),
        mask=_first([m for m in masks if m.detection_id == crop.detection_id]),
        cutout_url="" if fault and not crop.has_picture else picture_url(tracker, "cutout", crop_id, ".png"),
        thumb_url=picture_url(tracker, "thumb", crop_id, ".webp"),
        frame_url=_frame_url(tracker, sha256, fault),
        mask_url=picture_url(tracker, "mask", crop_id, ".png"),
        frame_fault=fault,
        parts=tuple(_bar(name, getattr(crop, name)) for name in PARTS),
        content=tuple(_bar(name, getattr(crop, name)) for name in ("body_completeness", "visible_cut", "black_share")),
        flags=tuple(
            FlagLine(name, value, limit)
            for name, value, limit in zip(crop.flags, crop.flag_values, crop.flag_limits, strict=False)
        ),
        stages=tuple(_stage_line(facts, dagster_url) for facts in (stage_facts(*told) for told in cell.tables())),
        position=position + 1,
        matching=len(order),
        back_url=list_url(tracker, choice, position, f"{row['dataset']}-{row['detection_id']}"),
        previous_url=neighbours.get(-1, ""),
        next_url=neighbours.get(1, ""),
        line_width=max(frame.width or 1, frame.height or 1) / 400 if frame else 1.0,
    )


def _row_number(view: TrackerView, crop_id: str, query: Mapping[str, str]) -> int:
    """The row that the address means: the named box of the named dataset, else the first with these pixels."""
    numbers = view.rows_of.get(crop_id)
    if not numbers:
        raise CropMissing(crop_id)
    for number, row in zip(numbers, view.rows(numbers), strict=True):
        if row["dataset"] == query.get("in") and row["detection_id"] == query.get("box"):
            return number
    return numbers[0]


def _full_row(cells: Cells, cell: Cell, row: Mapping[str, Any]) -> ScoredCrop:
    if cell.scored_crops is not None:
        for crop in cells.rows(cell.scored_crops, ScoredCrop, row["frame_sha256"]):
            if crop.detection_id == row["detection_id"]:
                return crop
    raise CropMissing(row["crop_id"])


def _place(view: TrackerView, number: int, choice: Choice) -> tuple[Choice, list[int], int]:
    """The choice, its order and the crop's place in it; all crops when the choice does not hold the crop."""
    for tried in (choice, Choice(sort=choice.sort)):
        order = view.order(tried)
        found = (order == number).nonzero()[0]
        if len(found):
            return tried, order.tolist(), int(found[0])
    raise StoreError(f"row {number} of tracker {view.spec.id} is in no order: reload the page")


def _first(rows: list[Any]) -> Any:
    return rows[0] if rows else None


def _bar(name: str, value: float) -> Bar:
    return Bar(name, value, round(100 * value, 1))


def _frame_url(tracker: str, sha256: str, fault: str) -> str:
    kind, suffix = ("frame-thumb", ".webp") if fault else ("frame", ".jpg")
    return picture_url(tracker, kind, sha256, suffix)


def _stage_line(facts: StageFacts, dagster_url: str) -> StageLine:
    return StageLine(facts, run_link(dagster_url, facts.run_id) if facts.run_id else None)

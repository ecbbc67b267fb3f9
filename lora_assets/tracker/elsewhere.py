"""What else is known of the pixels of one crop: the same crop in other trackers, what was ever said of it, its caption.

The same crop: same frame bytes, boxes with an IoU of 0.8 or more, as for verdicts. Where a crop comes from is in
lineage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lora_assets.specs import SpecError, known_tracker_ids
from lora_assets.store import StoreError
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.marking import SAID_NOTHING, Said, VerdictBook
from lora_assets.tracker.pages import crop_url, tracker_url
from lora_assets.tracker.view import Choice
from lora_assets.verdicts import CropPlace, Verdict, match_verdicts
from lora_assets.verdicts.matching import IOU_LIMIT
from lora_assets.verdicts.record import CLEARED, Box, VerdictError
from lora_assets.vision.boxes import box_iou

_SIDES = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same crop in another tracker; `iou` of the two boxes, 0..1."""

    tracker: str
    url: str
    tracker_url: str
    dataset_name: str
    tier: str
    score: float
    flags: tuple[str, ...]
    iou: float
    said: Said
    same_mask: bool
    """true when the crops are the same pixels"""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One row of the log about a crop: when (seconds since 1970), what, and what was said before (None: nothing)."""

    at: float
    value: str
    previous: str | None
    stars: int | None
    note: str
    tracker: str
    undone: bool
    """true when a later row took it back"""
    undoes: bool


def crop_elsewhere(
    cells: Cells, book: VerdictBook, tracker: str, crop_id: str, frame_sha256: str, box: Box
) -> tuple[Elsewhere, ...]:
    """The same crop in every other tracker, sorted by tracker. One that cannot be read is left out."""
    found: list[Elsewhere] = []
    for other in sorted({*known_tracker_ids(cells.data), *cells.tracker_folders()} - {tracker}):
        try:
            found += _in_tracker(cells, book, other, crop_id, frame_sha256, box)
        except (SpecError, StoreError):
            continue
    return tuple(found)


def _in_tracker(
    cells: Cells, book: VerdictBook, tracker: str, crop_id: str, frame_sha256: str, box: Box
) -> list[Elsewhere]:
    found = []
    for cell in cells.of(cells.spec(tracker)):
        rows = _crops_of_frame(cells, cell, frame_sha256)
        if not rows:
            continue
        overlaps = box_iou(np.array([box], np.float64), np.array([row["box"] for row in rows], np.float64))[0]
        best = int(np.argmax(overlaps))
        if overlaps[best] < IOU_LIMIT:
            continue
        row = rows[best]
        places = [CropPlace(cell.dataset, frame_sha256, r["detection_id"], r["crop_id"], r["box"]) for r in rows]
        verdict = match_verdicts(book.of_frame(frame_sha256), places).by_crop().get(row["crop_id"])
        found.append(
            Elsewhere(
                tracker=tracker,
                url=crop_url(tracker, {**row, "dataset": cell.dataset}, Choice()),
                tracker_url=tracker_url(tracker),
                dataset_name=cell.name,
                tier=row["tier"],
                score=row["score"],
                flags=tuple(row["flags"]),
                iou=float(overlaps[best]),
                said=_said(verdict, row["is_valid_content"]),
                same_mask=row["crop_id"] == crop_id,
            )
        )
    return found


def _crops_of_frame(cells: Cells, cell: Cell, frame_sha256: str) -> list[dict[str, Any]]:
    """The crops of a frame with the boxes that they were made from. Columns are kept in memory by `cells`."""
    if cell.scored_crops is None or cell.detections is None:
        return []
    names = ("frame_sha256", "detection_id", "crop_id", "tier", "score", "flags", "is_valid_content")
    crops = cells.columns(cell.scored_crops, names)
    crops = crops.filter(pc.equal(crops.column("frame_sha256"), frame_sha256)).to_pylist()  # pyright: ignore
    if not crops:
        return []
    boxes = cells.columns(cell.detections, ("frame_sha256", "detection_id", *_SIDES))
    boxes = boxes.filter(pc.equal(boxes.column("frame_sha256"), frame_sha256)).to_pylist()  # pyright: ignore
    known = {row["detection_id"]: tuple(row[side] for side in _SIDES) for row in boxes}
    return [{**crop, "box": known[crop["detection_id"]]} for crop in crops if crop["detection_id"] in known]


def _said(verdict: Verdict | None, valid: bool) -> Said:
    if verdict is None:
        return SAID_NOTHING
    value = "" if verdict.value == CLEARED else verdict.value
    return Said(value, verdict.mark.stars, verdict.mark.note, value == "good" and not valid, verdict.at)


def crop_history(book: VerdictBook, crop_id: str, frame_sha256: str, box: Box | None) -> tuple[Spoken, ...]:
    """Every row of the log about these pixels, whichever tracker it was said in, the newest first.

    Raises VerdictError when the log cannot be read.
    """
    rows = [row for row in book.rows_of_frame(frame_sha256) if row.crop_id == crop_id or _overlaps(row, box)]
    taken_back = {row.mark.undoes for row in rows if row.mark.undoes}
    return tuple(
        Spoken(
            at=datetime.fromisoformat(row.at).timestamp(),
            value=row.value,
            previous=row.previous,
            stars=row.mark.stars,
            note=row.mark.note,
            tracker=row.mark.tracker,
            undone=row.mark.request_id in taken_back,
            undoes=row.mark.undoes is not None,
        )
        for row in reversed(rows)
    )


def _overlaps(row: Verdict, box: Box | None) -> bool:
    if box is None:
        return False
    return float(box_iou(np.array([row.mark.box], np.float64), np.array([box], np.float64))[0, 0]) >= IOU_LIMIT


def history_or_fault(
    book: VerdictBook, crop_id: str, frame_sha256: str, box: Box | None
) -> tuple[tuple[Spoken, ...], str]:
    """`crop_history`, and why it cannot be read."""
    try:
        return crop_history(book, crop_id, frame_sha256, box), ""
    except VerdictError as error:
        return (), str(error)


def caption_of(cells: Cells, tracker: str, crop_id: str) -> str:
    """The caption that the tracker's table `captions` has for a crop; empty when there is none."""
    table = cells.published(cells.store.table_path("captions", tracker))
    if table is None:
        return ""
    try:
        found = pq.read_table(table.path, columns=["caption"], filters=[("crop_id", "==", crop_id)], partitioning=None)  # pyright: ignore
    except (OSError, pa.ArrowException):
        return ""
    told: Sequence[Any] = found.column("caption").to_pylist()
    return str(told[0]) if told and told[0] else ""

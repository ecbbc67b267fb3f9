"""Why a crop of one tracker has no partner in the other: its frame, its box, its mask, or a crop that was not made.

The same for gone crops and for new ones, with the sides turned. Crops that have a partner are in tracing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.causes import CauseKey, Traced, cause_of
from lora_assets.comparing.cell_rows import CellRows, Rows, box_array
from lora_assets.comparing.changes import CONTENT, DETECTION, FRAME, MASK, NOT_MADE, SCORING, Change, StageRecord
from lora_assets.comparing.matching import FrameCodes, overlaps_within_frames
from lora_assets.comparing.settings import CompareSettings

_MOVED_IOU = 0.3
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A cell, its crops that have no partner, and how its boxes were made."""

    cell: CellRows
    alone: Rows
    record: StageRecord


def trace_alone(
    traced: Traced,
    places: Rows,
    present: Side,
    other: Side,
    frames: FrameCodes,
    recipes: Mapping[str, tuple[Change, ...]],
    settings: CompareSettings,
    *,
    turned: bool,
) -> None:
    """Find why the crops `present.alone` (at `places` among all) have no partner on the other side."""
    if not len(places):
        return
    codes = frames.numbers(present.cell.crops.column("frame_sha256"))[present.alone]
    listed = (frames.listed_before if turned else frames.listed_after)[codes] | (not other.cell.frames_made)

    def put(wanted: Bools, stage: str, change: Change | None, how: str) -> None:
        """Without a change of its own the recipe of the stage is the cause."""
        key = CauseKey(stage, (change,)) if change else cause_of((stage,), recipes)
        traced.put(places[wanted], key, how)

    put(_quarantined(present.cell, other.cell, frames)[codes] & ~listed, FRAME,
        Change(FRAME, CONTENT, "quarantined"), "quarantined")  # fmt: skip
    way = "added" if turned else "removed"
    put(~listed, FRAME, Change(FRAME, CONTENT, way), f"frame_{way}")
    put(frames.changed[codes], FRAME, Change(FRAME, CONTENT, "bytes"), "bytes")
    put(_unreadable(other.cell, frames)[codes], FRAME, Change(FRAME, CONTENT, "unreadable"), "unreadable")
    found = _best_overlaps(present, other, frames, codes, turned)
    near = found.subject >= settings.same_box
    put(near & found.has_crop, DETECTION, None, "joined")
    put(near & ~found.has_mask & other.cell.masks_made, MASK, None, "no_mask")
    put(near, SCORING, Change(SCORING, NOT_MADE), "not_made")
    put(found.any_box >= settings.same_box, DETECTION, None, "not_subject")
    put(_below_limit(present, other), DETECTION, None, "below_conf")
    put(found.alone >= _MOVED_IOU, DETECTION, None, "moved")
    put(np.ones(len(places), bool), DETECTION, None, "no_box")


def _quarantined(present: CellRows, other: CellRows, frames: FrameCodes) -> Bools:
    """For each frame whether the other side has quarantined a file that the present side has of it."""
    refused = other.frames.filter(pc.is_valid(other.frames.column("quarantine_reason")))  # pyright: ignore
    marks = np.zeros(len(frames.names), bool)
    if len(refused):
        paths = refused.column("path").combine_chunks()
        held = present.frames.filter(
            pc.and_(  # pyright: ignore
                pc.is_in(present.frames.column("path"), value_set=paths),  # pyright: ignore
                pc.is_null(present.frames.column("quarantine_reason")),  # pyright: ignore
            )
        )
        marks[frames.numbers(held.column("sha256"))] = True
    return marks


def _unreadable(other: CellRows, frames: FrameCodes) -> Bools:
    marks = np.zeros(len(frames.names), bool)
    hashes = pa.array(list(other.unreadable), pa.string())
    known = hashes.filter(pc.is_in(hashes, value_set=frames.names))  # pyright: ignore
    marks[frames.numbers(known)] = True
    return marks


@dataclass(frozen=True, slots=True, eq=False)
class _Overlaps:
    """Of crops without a partner: the best IoU with any box of the other side, with a subject, and with a crop that
    has no partner either; and whether the box of the best subject has a mask and a crop."""

    any_box: npt.NDArray[np.float64]
    subject: npt.NDArray[np.float64]
    alone: npt.NDArray[np.float64]
    has_mask: Bools
    has_crop: Bools


def _best_overlaps(present: Side, other: Side, frames: FrameCodes, codes: Rows, turned: bool) -> _Overlaps:
    count = len(codes)
    any_box, of_subject, of_alone = np.zeros(count), np.zeros(count), np.zeros(count)
    best_row = np.full(count, -1, np.int64)
    boxes = present.cell.boxes[present.alone]
    table = other.cell.detections
    subject = table.column("is_subject").to_numpy() if "is_subject" in table.column_names else np.ones(len(table), bool)
    detection_codes = frames.numbers(table.column("frame_sha256"))
    for a, b, iou in overlaps_within_frames(boxes, codes, box_array(table), detection_codes, frames, turned):
        np.maximum.at(any_box, a, iou)
        chosen = subject[b]
        np.maximum.at(of_subject, a[chosen], iou[chosen])
        hit = chosen & (iou > 0) & (iou == of_subject[a])
        best_row[a[hit]] = b[hit]
    crop_codes = frames.numbers(other.cell.crops.column("frame_sha256"))[other.alone]
    for a, _, iou in overlaps_within_frames(
        boxes, codes, other.cell.boxes[other.alone], crop_codes, frames, turned
    ):  # fmt: skip
        np.maximum.at(of_alone, a, iou)
    has_mask = np.zeros(len(table) + 1, bool)
    has_crop = has_mask.copy()
    has_crop[other.cell.detection_of[other.cell.detection_of >= 0]] = True
    masked = pc.is_in(  # pyright: ignore
        table.column("detection_id"), value_set=other.cell.masks.column("detection_id").combine_chunks()
    )
    has_mask[: len(table)] = masked.to_numpy()
    return _Overlaps(any_box, of_subject, of_alone, has_mask[best_row], has_crop[best_row])


def _below_limit(present: Side, other: Side) -> Bools:
    """Crops whose detectors were all less sure than the other side asks for, where it asks for more."""
    rows = present.cell.detection_of[present.alone]
    table = present.cell.detections
    below = np.zeros(len(rows), bool)
    known = rows >= 0
    if not known.any():
        return below
    sure = table.column("confidence").to_numpy().copy()
    if "detector_confidences" in table.column_names:
        lists = table.column("detector_confidences").combine_chunks()
        own = pc.list_flatten(lists).to_numpy(zero_copy_only=False)  # pyright: ignore
        parents = pc.list_parent_indices(lists).to_numpy()  # pyright: ignore
        surest = np.full(len(table), -np.inf)
        np.maximum.at(surest, parents, own)
        sure = np.where(np.isfinite(surest), surest, sure)
    prepared = table.column("prepared").to_numpy() if "prepared" in table.column_names else np.zeros(len(table), bool)
    for name, second in (("conf", False), ("second_pass_conf", True)):
        limits = [side.record.settings.get(name) for side in (present, other)]
        if all(isinstance(limit, int | float) for limit in limits) and limits[1] > limits[0]:  # pyright: ignore
            below[known] |= (sure[rows[known]] < limits[1]) & (prepared[rows[known]] == second)
    return below

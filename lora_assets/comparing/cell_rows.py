"""The published rows of one cell, as a comparison reads them: crops with their boxes, and digests of whole rows.

A digest of a row covers the columns that both tables have, so that a table of an earlier version can be compared. What
rows mean and which of them belong together is not here (matching, tracing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.store import PublishedTable, Store, StoreError

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
SIDES = ("x1", "y1", "x2", "y2")
PARTS = ("area_ratio", "detector_confidence", "aspect_ratio", "edge_quality", "mask_completeness")
_CROP_COLUMNS = (
    "frame_sha256", "detection_id", "crop_id", "x", "y", "width", "height", "tier", "score", "technical_score", *PARTS,
    "is_valid_content", "lora_suitable", "flags", "flag_values", "flag_limits", "extracted_again",
)  # fmt: skip
_FRAME_COLUMNS = ("path", "sha256", "width", "height", "quarantine_reason")
# Of a box: names and the frame's own numbers are not what was found.
_NOT_OF_THE_BOX = ("frame_sha256", "detection_id", "dropped_boxes")
_NOT_OF_THE_MASK = ("frame_sha256", "detection_id")
_NULL = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, eq=False)
class CellRows:
    """One dataset of one tracker. `boxes` (crops, 4) are xyxy pixels of the frame.

    `detection_of` and `mask_of` (crops,) are row numbers of those tables, -1 where the table has no such row: then the
    box is the crop's own window.
    """

    tracker: str
    frames: pa.Table
    detections: pa.Table
    masks: pa.Table
    crops: pa.Table
    boxes: npt.NDArray[np.float64]
    detection_of: Rows
    mask_of: Rows
    unreadable: dict[str, str]
    """why frames have no answer, by hash, as far as the table tells"""
    frames_made: bool
    """false when the frames list is gone, so that nobody knows which frames there were"""
    masks_made: bool
    """false when there is no table of masks, so that masks cannot be compared"""

    def without_pixels(self) -> CellRows:
        """The same rows without run lengths and lists, which are most of their memory and are not shown."""
        return replace(self, detections=_plain_columns(self.detections), masks=_plain_columns(self.masks))


def published_or_damaged(store: Store, stage: str, dataset: str, tracker: str) -> PublishedTable | None:
    """The table of a cell, None when it was not made. Raises StoreError when it is there and cannot be read."""
    path = store.table_path(stage, dataset, tracker)
    table = store.published(path)
    if table is None and path.exists():
        raise StoreError(f"{path} is damaged: delete it and materialize {stage} of {dataset}|{tracker} again")
    return table


def read_cell(store: Store, dataset: str, tracker: str) -> CellRows | None:
    """The rows of a cell, None while it has no scored crops. Raises StoreError naming a damaged table."""
    scored = published_or_damaged(store, "scored_crops", dataset, tracker)
    frames = published_or_damaged(store, "frames", dataset, tracker)
    detections = published_or_damaged(store, "detections", dataset, tracker)
    masks = published_or_damaged(store, "masks", dataset, tracker)
    if scored is None:
        return None
    crops = _columns(scored, _CROP_COLUMNS)
    return cell_rows(
        tracker,
        _columns(frames, _FRAME_COLUMNS) if frames else None,
        detections.read() if detections else None,
        masks.read() if masks else None,
        crops,
        _unreadable(scored),
    )


def cell_rows(
    tracker: str,
    frames: pa.Table | None,
    detections: pa.Table | None,
    masks: pa.Table | None,
    crops: pa.Table,
    unreadable: dict[str, str] | None = None,
) -> CellRows:
    """The rows of a cell from its tables; None for one that was not made."""
    found = detections if detections is not None else _no_rows((*SIDES, "confidence"))
    cut = masks if masks is not None else _no_rows(())
    detection_of = _row_of(crops, found)
    return CellRows(
        tracker=tracker,
        frames=frames if frames is not None else _frames_of(crops),
        detections=found,
        masks=cut,
        crops=crops,
        boxes=_boxes(crops, found, detection_of),
        detection_of=detection_of,
        mask_of=_row_of(crops, cut),
        unreadable=unreadable or {},
        frames_made=frames is not None,
        masks_made=masks is not None,
    )


def _columns(table: PublishedTable, names: Sequence[str]) -> pa.Table:
    there = set(table.columns)
    return table.read([name for name in names if name in there]).combine_chunks()


def _plain_columns(table: pa.Table) -> pa.Table:
    plain = [
        field.name for field in table.schema if not (pa.types.is_list(field.type) or pa.types.is_binary(field.type))
    ]
    return table.select(plain)


def _no_rows(numbers: Sequence[str]) -> pa.Table:
    texts: dict[str, Any] = {name: pa.array([], pa.string()) for name in ("frame_sha256", "detection_id")}
    return pa.table({**texts, **{name: pa.array([], pa.float64()) for name in numbers}})


def _frames_of(crops: pa.Table) -> pa.Table:
    """A list of the frames of which there are crops, for a tracker whose own list is gone; paths are not known."""
    seen = crops.column("frame_sha256").unique()
    nulls = {name: pa.nulls(len(seen), pa.int64()) for name in ("width", "height")}
    reason = pa.nulls(len(seen), pa.string())
    return pa.table({"path": pa.array([""] * len(seen)), "sha256": seen, **nulls, "quarantine_reason": reason})


def _unreadable(scored: PublishedTable) -> dict[str, str]:
    told = scored.facts.get("dropped_frames")
    return {str(frame): str(reason) for frame, reason in told.items()} if isinstance(told, dict) else {}


def _keys(table: pa.Table) -> pa.ChunkedArray:
    joined = pc.binary_join_element_wise(  # pyright: ignore
        table.column("frame_sha256"), table.column("detection_id"), "/"
    )
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def _row_of(crops: pa.Table, table: pa.Table) -> Rows:
    """For each crop the row of its box in another table, -1 where there is none."""
    if not len(table):
        return np.full(len(crops), -1, np.int64)
    found = pc.index_in(_keys(crops), value_set=_keys(table).combine_chunks())  # pyright: ignore
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)  # pyright: ignore


def box_array(table: pa.Table) -> npt.NDArray[np.float64]:
    """The boxes of a table of detections, (rows, 4)."""
    return np.stack([table.column(side).to_numpy() for side in SIDES], axis=1).reshape(-1, 4)


def _boxes(crops: pa.Table, detections: pa.Table, detection_of: Rows) -> npt.NDArray[np.float64]:
    x, y, width, height = (crops.column(name).to_numpy().astype(np.float64) for name in ("x", "y", "width", "height"))
    boxes = np.stack([x, y, x + width, y + height], axis=1).reshape(-1, 4)
    known = detection_of >= 0
    boxes[known] = box_array(detections)[detection_of[known]]
    return boxes


# --- digests of rows -------------------------------------------------------------------------------------------------


def _mixed(values: Hashes) -> Hashes:
    """splitmix64 (Steele, Lea, Flood 2014), which spreads close numbers over all 64 bits."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(_NULL)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _text_hash(value: str | bytes | None) -> int:
    if value is None:
        return 0
    content = value.encode() if isinstance(value, str) else value
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _column_hashes(column: pa.Array) -> Hashes:
    if pa.types.is_list(column.type):
        return _list_hashes(column)
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        coded = column.dictionary_encode()
        of_value = np.array([_text_hash(value) for value in coded.dictionary.to_pylist()] or [0], np.uint64)
        hashes = of_value[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    elif pa.types.is_floating(column.type):
        # Adding 0.0 makes of a negative zero a zero.
        plain = column.fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
        hashes = _mixed(plain.view(np.uint64))
    else:
        whole = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        hashes = _mixed(np.ascontiguousarray(whole, np.int64).view(np.uint64))
    if column.null_count:
        hashes = np.where(column.is_null().to_numpy(zero_copy_only=False), np.uint64(_NULL), hashes)
    return hashes


def _list_hashes(column: pa.Array) -> Hashes:
    """Of lists: the sum of the items' hashes, each mixed with its place, by differences of a running sum."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)  # pyright: ignore
    ends = np.cumsum(lengths)
    items = _column_hashes(column.flatten())
    places = np.arange(len(items)) - np.repeat(ends - lengths, lengths)
    with np.errstate(over="ignore"):
        spread = _mixed(items ^ _mixed(places.astype(np.uint64)))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(spread, dtype=np.uint64)])
        hashes = sums[ends] - sums[ends - lengths] + _mixed(lengths.astype(np.uint64))
    if column.null_count:
        hashes = np.where(column.is_null().to_numpy(zero_copy_only=False), np.uint64(_NULL), hashes)
    return hashes


def row_hashes(table: pa.Table, names: Sequence[str]) -> Hashes:
    """One digest a row over the named columns, (rows,): equal rows have equal digests, other rows other ones."""
    hashes = np.zeros(len(table), np.uint64)
    for name in names:
        column = table.column(name).combine_chunks()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        with np.errstate(over="ignore"):
            hashes = _mixed(hashes * np.uint64(0x100000001B3) ^ _column_hashes(column))
    return hashes


def place_columns(before: CellRows, after: CellRows) -> list[str]:
    """Those of `detection_columns` that say where a box lies and of what it is: all that masks depend on."""
    return [name for name in detection_columns(before, after) if name in (*SIDES, "label")]


def detection_columns(before: CellRows, after: CellRows) -> list[str]:
    """The columns of a box that both tables have."""
    return _shared(before.detections, after.detections, _NOT_OF_THE_BOX)


def mask_columns(before: CellRows, after: CellRows) -> list[str]:
    """The columns of a mask that both tables have."""
    return _shared(before.masks, after.masks, _NOT_OF_THE_MASK)


def _shared(before: pa.Table, after: pa.Table, left_out: Sequence[str]) -> list[str]:
    there = set(after.column_names)
    return sorted(name for name in before.column_names if name in there and name not in left_out)

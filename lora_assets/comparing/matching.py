"""Which crops of two trackers are one: same frame, boxes that overlap by at least 0.8, one to one, the best first.

Frames are the same by the hash of their bytes; a file whose bytes changed under its path is the same frame, told as
such. Turning the two trackers round gives the same pairs, ties too. What happened to a pair is not here (tracing).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.cell_rows import CellRows, Rows
from lora_assets.verdicts.matching import IOU_LIMIT
from lora_assets.vision.boxes import paired_iou

FloatArray = npt.NDArray[np.float64]
# Of pairs that are looked at in one go; 15,000 crops need one go.
_BLOCK_PAIRS = 2_000_000

__all__ = ["IOU_LIMIT", "FrameCodes", "Matches", "code_frames", "match_crops", "overlaps_within_frames"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameCodes:
    """Frames of both cells by number: equal hashes have one number, and so have two hashes of one changed file.

    `of` gives the number of a hash (as for `numbers`), `changed` (codes,) is true where the bytes of a file changed,
    `sizes_*` (codes, 2) are width and height in pixels, 1 where they are not known.
    """

    names: pa.Array
    code_of_name: Rows
    changed: npt.NDArray[np.bool_]
    sizes_before: FloatArray
    sizes_after: FloatArray
    listed_before: npt.NDArray[np.bool_]
    listed_after: npt.NDArray[np.bool_]

    def numbers(self, hashes: pa.ChunkedArray | pa.Array) -> Rows:
        """The numbers of some hashes of frames."""
        found = pc.index_in(hashes, value_set=self.names).to_numpy(zero_copy_only=False)  # pyright: ignore
        return self.code_of_name[found.astype(np.int64)]


def _usable(frames: pa.Table) -> pa.Table:
    mask = pc.and_(  # pyright: ignore
        pc.is_null(frames.column("quarantine_reason")),  # pyright: ignore
        pc.is_valid(frames.column("sha256")),  # pyright: ignore
    )
    return frames.filter(mask)


def _changed_files(before: pa.Table, after: pa.Table) -> list[tuple[str, str]]:
    """Hashes before and after of files whose bytes changed in place; each hash once, the first path decides."""
    old_hashes, new_hashes = (table.column("sha256").combine_chunks() for table in (before, after))
    gone = before.filter(pc.invert(pc.is_in(before.column("sha256"), value_set=new_hashes)))  # pyright: ignore
    come = after.filter(pc.invert(pc.is_in(after.column("sha256"), value_set=old_hashes)))  # pyright: ignore
    new_of = dict(zip(come.column("path").to_pylist(), come.column("sha256").to_pylist(), strict=True))
    old_of = dict(zip(gone.column("path").to_pylist(), gone.column("sha256").to_pylist(), strict=True))
    pairs: list[tuple[str, str]] = []
    taken: set[str] = set()
    for path in sorted(path for path in set(old_of) & set(new_of) if path):
        pair = (old_of[path], new_of[path])
        if taken.isdisjoint(pair):
            pairs.append(pair)
            taken.update(pair)
    return pairs


def code_frames(before: CellRows, after: CellRows) -> FrameCodes:
    """The frames of two cells, numbered together."""
    old, new = _usable(before.frames), _usable(after.frames)
    columns = [old.column("sha256"), new.column("sha256"), before.crops.column("frame_sha256")]
    columns += [after.crops.column("frame_sha256")]
    columns += [cell.detections.column("frame_sha256") for cell in (before, after)]
    columns += [cell.masks.column("frame_sha256") for cell in (before, after)]
    names = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()).unique()
    code_of_name = np.arange(len(names), dtype=np.int64)
    changed = np.zeros(len(names), bool)
    pairs = _changed_files(old, new)
    if pairs:
        index = {name: number for number, name in enumerate(names.to_pylist())}
        for first, second in pairs:
            code_of_name[index[second]] = index[first]
            changed[index[first]] = True
    count = len(names)
    codes = FrameCodes(
        names,
        code_of_name,
        changed,
        sizes_before=np.ones((count, 2)),
        sizes_after=np.ones((count, 2)),
        listed_before=np.zeros(count, bool),
        listed_after=np.zeros(count, bool),
    )
    for table, sizes, listed in (
        (old, codes.sizes_before, codes.listed_before), (new, codes.sizes_after, codes.listed_after)
    ):  # fmt: skip
        numbers = codes.numbers(table.column("sha256"))
        listed[numbers] = True
        for place, side in enumerate(("width", "height")):
            sizes[numbers, place] = pc.fill_null(table.column(side), 1).to_numpy()  # pyright: ignore
    return codes


def _pairs_of_frames(before: Rows, after: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Row numbers of all pairs with one frame, some frames at a time."""
    order = np.argsort(after, kind="stable")
    starts = np.searchsorted(after[order], before, side="left")
    counts = np.searchsorted(after[order], before, side="right") - starts
    block = np.cumsum(counts) // _BLOCK_PAIRS
    for number in np.unique(block):
        rows = np.flatnonzero(block == number)
        each = counts[rows]
        ends = np.cumsum(each)
        offsets = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - each, each)
        yield np.repeat(rows, each), order[np.repeat(starts[rows], each) + offsets]


def overlaps_within_frames(
    boxes_before: FloatArray, codes_before: Rows, boxes_after: FloatArray, codes_after: Rows, frames: FrameCodes,
    turned: bool = False,
) -> Iterator[tuple[Rows, Rows, FloatArray]]:  # fmt: skip
    """Rows of both sides that lie in one frame, with the IoU of their boxes. `turned`: "before" is the later tracker.

    Boxes of a frame whose bytes changed are compared as shares of its sides: it may have another size now.
    """
    sizes = (frames.sizes_after, frames.sizes_before) if turned else (frames.sizes_before, frames.sizes_after)
    for a, b in _pairs_of_frames(codes_before, codes_after):
        first, second = boxes_before[a], boxes_after[b]
        changed = frames.changed[codes_before[a]]
        if changed.any():
            first, second = first.copy(), second.copy()
            code = codes_before[a][changed]
            first[changed] /= np.tile(sizes[0][code], 2)
            second[changed] /= np.tile(sizes[1][code], 2)
        yield a, b, paired_iou(first, second)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pairs of crops by row number, with the IoU of their boxes, and the rows of each side that have no partner."""

    before: Rows
    after: Rows
    iou: FloatArray
    alone_before: Rows
    alone_after: Rows


def match_crops(before: CellRows, after: CellRows, frames: FrameCodes, least_iou: float = IOU_LIMIT) -> Matches:
    """Pair the crops of two cells. Of several partners the one with the highest IoU is taken, of equal ones the one
    with the same id of detection, then by the ids of the two detections, whichever tracker is named first."""
    codes = [frames.numbers(cell.crops.column("frame_sha256")) for cell in (before, after)]
    found: list[tuple[Rows, Rows, FloatArray]] = []
    for a, b, iou in overlaps_within_frames(before.boxes, codes[0], after.boxes, codes[1], frames):
        near = iou >= least_iou
        found.append((a[near], b[near], iou[near]))
    a = np.concatenate([np.empty(0, np.int64), *(part[0] for part in found)])
    b = np.concatenate([np.empty(0, np.int64), *(part[1] for part in found)])
    iou = np.concatenate([np.empty(0), *(part[2] for part in found)])
    first, second = _id_ranks(before.crops, after.crops)
    low, high = np.minimum(first[a], second[b]), np.maximum(first[a], second[b])
    order = np.lexsort((high, low, low != high, -iou))
    free_a, free_b = np.ones(len(before.crops), bool), np.ones(len(after.crops), bool)
    kept = []
    for pair, row_a, row_b in zip(order.tolist(), a[order].tolist(), b[order].tolist(), strict=True):
        if free_a[row_a] and free_b[row_b]:
            free_a[row_a] = free_b[row_b] = False
            kept.append(pair)
    pairs = np.sort(np.array(kept, np.int64))
    return Matches(a[pairs], b[pairs], iou[pairs], np.flatnonzero(free_a), np.flatnonzero(free_b))


def _id_ranks(before: pa.Table, after: pa.Table) -> tuple[Rows, Rows]:
    """Rank of each crop's detection id among all of both tables; equal ids have equal ranks."""
    old, new = (table.column("detection_id").combine_chunks() for table in (before, after))
    ids = pa.concat_arrays([old, new])
    ranks = pc.rank(ids, tiebreaker="dense").to_numpy().astype(np.int64)  # pyright: ignore
    return ranks[: len(old)], ranks[len(old) :]

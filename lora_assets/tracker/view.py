"""A tracker's crops and frames in memory, made to be filtered, counted and sorted in milliseconds.

Arrays stand beside the Arrow table of the same rows: tier, dataset and flags as codes, paths as ranks. What a page
writes of a row is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.film_order import film_order
from lora_assets.specs import TrackerSpec
from lora_assets.tables import ScoredCrop, arrow_schema
from lora_assets.tracker.cells import Cell, Cells, Memory, state_of
from lora_assets.tracker.summary import TIERS, frames_without_subject

_CROP_COLUMNS = ("crop_id", "frame_sha256", "detection_id", "x", "y", "tier", "score", "flags", "is_valid_content")
_FRAME_COLUMNS = ("path", "sha256", "quarantine_reason")
SORTS = ("best", "worst", "path")
VERDICTS = ("", "good", "bad", "exclude")
"""What a person may have said of a crop; empty: nothing."""
UNMARKED = "none"
"""How an address names the crops without a verdict."""


@dataclass(frozen=True, slots=True)
class FrameFile:
    """Where a frame came from: its dataset, its path in there, and the dataset's folder when it is still known."""

    dataset: str
    dataset_name: str
    path: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class ListedFrame:
    """A frame without a crop, or (with a reason) a file that is not used."""

    dataset: str
    dataset_name: str
    path: str
    sha256: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which crops a page shows: empty strings choose all. `verdict` may be UNMARKED; `unfolded` shows every crop of a
    group of alike ones."""

    tier: str = ""
    flag: str = ""
    dataset: str = ""
    verdict: str = ""
    sort: str = "best"
    unfolded: bool = False


@dataclass(frozen=True, slots=True)
class TrackerView:
    """All crops of a tracker as columns of equal length, and its frames by hash. What is said of them on top of the
    tables (verdicts, the judge, groups) is in reviewed."""

    state: str
    """changes with every table of the tracker"""
    spec: TrackerSpec
    cells: tuple[Cell, ...]
    crops: pa.Table
    tiers: npt.NDArray[np.int8]
    datasets: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    path_ranks: npt.NDArray[np.int64]
    flag_names: tuple[str, ...]
    flags: npt.NDArray[np.bool_]
    rows_of: dict[str, list[int]]
    frames: dict[str, FrameFile]
    nothing_found: tuple[ListedFrame, ...]
    quarantined: tuple[ListedFrame, ...]
    orders: Memory = field(default_factory=lambda: Memory(32))

    def matching(self, choice: Choice, without: str = "") -> npt.NDArray[np.bool_]:
        """Which crops a choice takes; `without` names one of tier, flag and dataset that is not looked at."""
        found = np.ones(len(self.tiers), dtype=bool)
        if choice.tier and without != "tier":
            found &= self.tiers == TIERS.index(choice.tier)
        if choice.dataset and without != "dataset":
            found &= self.datasets == self.slugs.index(choice.dataset)
        if choice.flag and without != "flag":
            found &= self.flags[:, self.flag_names.index(choice.flag)]
        return found

    @property
    def sorts(self) -> tuple[str, ...]:
        """The orders that this tracker's crops can be shown in."""
        return SORTS

    def order(self, choice: Choice) -> npt.NDArray[np.int64]:
        """Row numbers of the chosen crops in their order: best or worst score first, ties by path, or by path."""
        return self.orders.get(choice, lambda: self._order(choice))

    def _order(self, choice: Choice) -> npt.NDArray[np.int64]:
        rows = np.flatnonzero(self.matching(choice))
        return rows[np.lexsort((self.path_ranks[rows], self.sort_keys(choice.sort)[rows]))]

    def sort_keys(self, sort: str) -> npt.NDArray[np.float64]:
        """A number of each crop, small first, for one of `sorts`; ties stand by path."""
        if sort == "path":
            return np.zeros(len(self.scores))
        return self.scores if sort == "worst" else -self.scores

    def path_of(self, frame_sha256: str) -> str:
        """The path of a frame in its dataset; empty when it is not known."""
        found = self.frames.get(frame_sha256)
        return found.path if found else ""

    @property
    def slugs(self) -> tuple[str, ...]:
        """Keys of the datasets, in the order of their codes."""
        return tuple(cell.dataset for cell in self.cells)

    def rows(self, numbers: Sequence[int] | npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """The crops of some row numbers, for a page."""
        taken = self.crops.take(pa.array(numbers, type=pa.int64())).to_pylist()
        return [{**row, "dataset": self.cells[self.datasets[n]].dataset} for n, row in zip(numbers, taken, strict=True)]


def read_view(cells: Cells, spec: TrackerSpec, memory: Memory) -> TrackerView:
    """The view of a tracker as its tables are now, from `memory` when nothing changed. Raises StoreError."""
    found = cells.of(spec)
    key = (spec.id, repr(spec), tuple((cell.versions, str(cell.folder), cell.name) for cell in found))
    return memory.get(key, lambda: _make_view(cells, spec, found), spec.id)


def _make_view(cells: Cells, spec: TrackerSpec, found: tuple[Cell, ...]) -> TrackerView:
    frames, quarantined = _frames(cells, found)
    crops, codes = _crops(cells, found)
    flag_names, flags = _flag_matrix(crops.column("flags"))
    tier_codes = pc.index_in(crops.column("tier"), value_set=pa.array(TIERS))  # pyright: ignore
    rows_of: dict[str, list[int]] = {}
    for row, crop in enumerate(crops.column("crop_id").to_pylist()):
        rows_of.setdefault(crop, []).append(row)
    return TrackerView(
        state=state_of(found),
        spec=spec,
        cells=found,
        crops=crops,
        tiers=pc.fill_null(tier_codes, -1).to_numpy().astype(np.int8),  # pyright: ignore
        datasets=codes,
        scores=crops.column("score").to_numpy(),
        path_ranks=_path_ranks(crops, codes, frames),
        flag_names=flag_names,
        flags=flags,
        rows_of=rows_of,
        frames=frames,
        nothing_found=_nothing_found(cells, found),
        quarantined=quarantined,
    )


def _frames(cells: Cells, found: Sequence[Cell]) -> tuple[dict[str, FrameFile], tuple[ListedFrame, ...]]:
    frames: dict[str, FrameFile] = {}
    quarantined: list[ListedFrame] = []
    for cell in found:
        if cell.frames is None:
            continue
        table = cells.columns(cell.frames, _FRAME_COLUMNS)
        for path, sha256, reason in zip(*(table.column(name).to_pylist() for name in _FRAME_COLUMNS), strict=True):
            if reason is not None:
                quarantined.append(ListedFrame(cell.dataset, cell.name, path, sha256 or "", reason))
            elif sha256 and sha256 not in frames:
                frames[sha256] = FrameFile(cell.dataset, cell.name, path, cell.folder)
    return frames, tuple(quarantined)


def _crops(cells: Cells, found: Sequence[Cell]) -> tuple[pa.Table, npt.NDArray[np.int32]]:
    schema = arrow_schema(ScoredCrop)
    tables = [pa.schema([schema.field(name) for name in _CROP_COLUMNS]).empty_table()]
    codes: list[npt.NDArray[np.int32]] = [np.empty(0, dtype=np.int32)]
    for code, cell in enumerate(found):
        if cell.scored_crops is not None:
            tables.append(cells.columns(cell.scored_crops, _CROP_COLUMNS))
            codes.append(np.full(len(tables[-1]), code, dtype=np.int32))
    return pa.concat_tables(tables).combine_chunks(), np.concatenate(codes)


def _flag_matrix(flags: pa.ChunkedArray) -> tuple[tuple[str, ...], npt.NDArray[np.bool_]]:
    names = tuple(sorted(set(pc.list_flatten(flags).to_pylist())))  # pyright: ignore
    matrix = np.zeros((len(flags), len(names)), dtype=bool)
    rows = pc.list_parent_indices(flags).to_numpy()  # pyright: ignore
    columns = pc.index_in(pc.list_flatten(flags), value_set=pa.array(names, pa.string()))  # pyright: ignore
    matrix[rows, columns.to_numpy()] = True
    return names, matrix


def _path_ranks(crops: pa.Table, codes: npt.NDArray[np.int32], frames: dict[str, FrameFile]) -> npt.NDArray[np.int64]:
    unknown = FrameFile("", "", "", None)
    paths = [frames.get(sha256, unknown).path for sha256 in crops.column("frame_sha256").to_pylist()]
    places = {path: place for place, path in enumerate(sorted(set(paths), key=film_order))}
    path = [places[path] for path in paths]
    keys = pa.table({"code": codes, "path": path, "y": crops.column("y"), "x": crops.column("x")})
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]).to_numpy()  # pyright: ignore
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _nothing_found(cells: Cells, found: Sequence[Cell]) -> tuple[ListedFrame, ...]:
    listed: list[ListedFrame] = []
    for cell in found:
        rows = frames_without_subject(cells, cell)
        listed.extend(
            ListedFrame(cell.dataset, cell.name, row["path"], row["sha256"] or "")
            for row in sorted(rows.to_pylist() if rows is not None else [], key=lambda row: film_order(row["path"]))
        )
    return tuple(listed)

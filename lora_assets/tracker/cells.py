"""The published tables of a tracker as its pages read them: which cells there are, their columns, kept in memory.

A file is read once and again only when it has been replaced, so that a page of 200 out of 15,000 crops costs a filter.
What a page shows of it is not here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lora_assets.specs import TrackerSpec, list_datasets, read_tracker, tracker_path
from lora_assets.store import PublishedTable, Store, StoreError, digest
from lora_assets.tables import from_table
from lora_assets.tracker.unfinished import CROPS, UnfinishedTable, crops_so_far
from lora_assets.under_way import DONE, read_state

STAGES = ("frames", "detections", "masks", "scored_crops")
Kept = TypeVar("Kept")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cell:
    """One dataset in one tracker. `folder` is None when the dataset is no longer known; a table is None until made."""

    dataset: str
    name: str
    folder: Path | None
    frames: PublishedTable | None
    detections: PublishedTable | None
    masks: PublishedTable | None
    scored_crops: PublishedTable | None

    def tables(self) -> list[tuple[str, PublishedTable | None]]:
        """Stage name and table, in the order of the stages."""
        return [(stage, getattr(self, stage)) for stage in STAGES]

    @property
    def versions(self) -> tuple[str, ...]:
        """What tells this state of the cell from any other."""
        return (self.dataset, *(table.version if table else "" for _, table in self.tables()))


def state_of(cells: Sequence[Cell]) -> str:
    """A text that changes with every table of a tracker's cells."""
    return digest([cell.versions for cell in cells])


class Memory:
    """Keeps the last results by key, for the threads of a server. The oldest falls out when there are too many, and
    the one before of the same `place` when another key takes it: a file in another state, say."""

    def __init__(self, most: int) -> None:
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._key_at: dict[Hashable, Hashable] = {}
        self._place_of: dict[Hashable, Hashable] = {}
        self._lock = threading.Lock()
        self._most = most

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Kept], place: Hashable = None) -> Kept:
        """The kept value of `key`, or the one that `make` gives now. Two threads may both make it; the first one to be
        through is what both get."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            if place is not None:
                self._drop(self._key_at.get(place))
                self._key_at[place], self._place_of[key] = key, place
            self._kept[key] = value
            while len(self._kept) > self._most:
                self._drop(next(iter(self._kept)))
        return value

    def _drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)
        if (place := self._place_of.pop(key, None)) is not None:
            del self._key_at[place]


def file_mark(path: Path) -> tuple[str, int, int, int]:
    """Tells a file from the one that replaced it: path, inode, size and time. Raises OSError when there is none."""
    told = path.stat()
    return (str(path), told.st_ino, told.st_size, told.st_mtime_ns)


class Cells:
    """Reads trackers and their cells below `data`; safe to share among threads.

    With `live`, crops of finished chunks stand in for those of a stage that is still under way (unfinished).
    """

    def __init__(self, data: Path, *, live: bool = False) -> None:
        self.data = data
        self._live = live
        self._so_far = Memory(64)
        self._shelves = Memory(16)
        self.store = Store(data)
        self._facts = Memory(4096)
        self._columns = Memory(256)
        self.counts = Memory(8192)

    def published(self, path: Path) -> PublishedTable | None:
        """The table at `path`, or None when it is not there or cannot be read."""
        try:
            mark = file_mark(path)
        except OSError:
            return None
        return self._facts.get(mark, lambda: self.store.published(path))

    def columns(self, table: PublishedTable, names: Sequence[str]) -> pa.Table:
        """The named columns. Raises StoreError for a damaged file."""
        key = (str(table.path), table.version, table.facts.get("published_at"), tuple(names), type(table))
        # The shelf of a stage that is under way is one folder for all cells; their facts tell whose rows these are.
        whose = (table.facts.get("tracker"), table.facts.get("dataset")) if isinstance(table, UnfinishedTable) else ()
        return self._columns.get(key, lambda: table.read(names), (str(table.path), *whose, tuple(names)))

    def rows(self, table: PublishedTable, row_type: type[Row], sha256: str, column: str = "frame_sha256") -> list[Row]:
        """The rows of one frame, whose hash stands in `column`. Raises StoreError for a damaged file."""
        if isinstance(table, UnfinishedTable):
            return from_table(table.rows_of(sha256), row_type)
        try:
            found = pq.read_table(table.path, filters=[(column, "==", sha256)], partitioning=None)  # pyright: ignore
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{table.path} is damaged or gone ({error}): delete it and run again") from error
        return from_table(found, row_type)

    def shelf_rows(self, stage: str, recipe: str, row_type: type[Row], sha256: str) -> list[Row]:
        """The rows of one frame on a shelf; none when it was cleared away. Raises StoreError for a damaged chunk."""
        shelf = self._shelves.get((stage, recipe), lambda: self.store.shelf(stage, recipe, row_type))
        return [row for _, table in shelf.read([sha256]) for row in from_table(table, row_type)]

    def dataset_slugs(self, spec: TrackerSpec) -> list[str]:
        """The datasets of a tracker: those it names, or every known one and every one that has a table."""
        if spec.datasets is not None:
            return list(spec.datasets)
        made = {
            path.stem
            for stage in STAGES
            for path in (self.data / "tables" / stage / spec.id).glob("*.parquet")
            if not path.name.startswith(".")
        }
        return sorted(made | set(list_datasets(self.data)))

    def cell(self, dataset: str, tracker: str, name: str = "", folder: Path | None = None) -> Cell:
        """One cell, made or not. Until a tracker has its own frames list, the dataset's own stands in."""
        frames, *later = [self.published(self.store.table_path(stage, dataset, tracker)) for stage in STAGES]
        if self._live and frames is not None:
            later[-1] = self._crops_so_far(dataset, tracker, frames, later[-1])
        frames = frames or self.published(self.store.table_path("raw_frames", dataset))
        return Cell(dataset, name or dataset, folder, frames, *later)

    def _crops_so_far(
        self, dataset: str, tracker: str, frames: PublishedTable, made: PublishedTable | None
    ) -> PublishedTable | None:
        """Looked at again when the state or the folder of chunks changes."""
        state = read_state(self.data, tracker, dataset, CROPS)
        if state is None or state.status == DONE:
            return made
        try:
            chunks = file_mark(self.data / "store" / CROPS / state.recipe)
        except OSError:
            return made
        key = (dataset, tracker, frames.version, made and made.version, state.recipe, chunks)

        def make() -> PublishedTable | None:
            told = self.columns(frames, ("sha256", "quarantine_reason"))
            usable = told.filter(pc.is_null(told.column("quarantine_reason")))  # pyright: ignore
            return crops_so_far(self.store, state, usable.column("sha256").to_pylist(), made)

        return self._so_far.get(key, make, (dataset, tracker))

    def of(self, spec: TrackerSpec) -> tuple[Cell, ...]:
        """All cells of a tracker, also those without any table yet."""
        known = list_datasets(self.data)
        found = []
        for slug in self.dataset_slugs(spec):
            told = known.get(slug)
            found.append(self.cell(slug, spec.id, told.name if told else "", told.folder if told else None))
        return tuple(found)

    def spec(self, tracker: str) -> TrackerSpec:
        """The tracker's spec. A tracker whose file is gone but whose tables are there is still shown.

        Raises SpecError when neither is there, or when the file does not say what it must.
        """
        if tracker_path(self.data, tracker).exists() or tracker not in self.tracker_folders():
            return read_tracker(self.data, tracker)
        return TrackerSpec(tracker)

    def tracker_folders(self) -> set[str]:
        """The IDs under which tables are published."""
        return {path.name for stage in STAGES for path in (self.data / "tables" / stage).glob("*/") if path.is_dir()}

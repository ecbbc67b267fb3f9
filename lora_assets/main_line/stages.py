"""One stage over the frames that have no result yet, and the published table of a cell.

Results go to the stage's shelf in chunks, every few seconds, so that a run killed at any moment resumes where it was.
What belongs elsewhere: what a stage does with a frame (cells), the algorithms (vision).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import cv2
import pyarrow as pa

from lora_assets.main_line.stream import side_by_side
from lora_assets.progress import Listener, Progress
from lora_assets.recipes import Recipe
from lora_assets.store import PublishedTable, Shelf, Store, digest
from lora_assets.tables import RawFrame, TableError, from_table, to_table
from lora_assets.vision import images
from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage

# The bytes passed the limits of their dataset when they were listed.
_LISTED = ReadSettings(min_side=1, max_megapixels=1000)
_CHUNK_FRAMES = 256
_CHUNK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A frame by content, the files of its folder that hold it, and its upright size in pixels.

    Names, not paths: a path object costs more memory than all the rest of a frame.
    """

    sha256: str
    folder: Path
    names: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StageUpdate:
    """What a stage did for a cell. `dropped` are frames without a result and why, by frame hash."""

    table: PublishedTable
    frames: int
    rows: int
    computed: int
    reused: int
    dropped: dict[str, str]
    seconds: float


class ReadShelf(Protocol):
    """Results by frame that can be read: one shelf, or several as one."""

    row_type: type

    def read(self, frames: Iterable[str]) -> Iterator[tuple[list[str], pa.Table]]:
        """As `Shelf.read`."""
        ...


@dataclass(slots=True)
class Filled:
    """How many frames were computed, and which were dropped and why."""

    computed: int = 0
    dropped: dict[str, str] = field(default_factory=dict)


def frame_refs(frames: PublishedTable, folder: Path) -> dict[str, FrameRef]:
    """The usable frames of a frames table by hash; a picture that lies there twice is one frame with two paths."""
    found: dict[str, FrameRef] = {}
    columns = ["path", "sha256", "width", "height", "quarantine_reason"]
    for row in (row for batch in frames.batches(columns) for row in batch.to_pylist()):
        if row["quarantine_reason"] is not None:
            continue
        known = found.get(row["sha256"])
        names = (*(known.names if known else ()), row["path"])
        found[row["sha256"]] = FrameRef(row["sha256"], folder, names, row["width"], row["height"])
    return found


def load_pixels(frame: FrameRef) -> RgbImage:
    """The frame's pixels, only if a file still holds the very bytes of its hash. ImageRefused says what changed."""
    reason = "no file"
    for name in frame.names:
        try:
            content = images.read_file(frame.folder / name)
        except ImageRefused as refused:
            reason = f"{name}: {refused}"
            continue
        if hashlib.sha256(content).hexdigest() == frame.sha256:
            return images.decode_image(content, _LISTED).pixels
        reason = f"{name}: the file changed after it was listed; the next run takes its new content"
    raise ImageRefused(reason)


def is_written(picture: Path) -> bool:
    """False also for an empty file, which a power cut can leave."""
    return picture.exists() and picture.stat().st_size > 0


class _Chunk:
    """Rows on their way to a shelf; written when large or old enough."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._rows: list[Any] = []
        self._frames: list[str] = []
        self._since = time.monotonic()

    def add(self, frame: str, rows: Sequence[Any]) -> None:
        self._frames.append(frame)
        self._rows.extend(rows)
        if len(self._frames) >= _CHUNK_FRAMES or time.monotonic() - self._since > _CHUNK_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._frames:
            self._shelf.append(to_table(self._rows, self._shelf.row_type), self._frames)
        self._rows, self._frames, self._since = [], [], time.monotonic()


def fill_shelf(
    shelf: Shelf,
    inputs: Iterable[tuple[FrameRef, Any]],
    work: Callable[[FrameRef, Any], list[Any]],
    *,
    total: int,
    name: str,
    workers: int,
    listen: Listener,
) -> Filled:
    """Work on frames that have no result and put the rows on the shelf. A refused frame is dropped and named."""
    filled = Filled()
    chunk = _Chunk(shelf)

    def one(item: tuple[FrameRef, Any]) -> tuple[FrameRef, list[Any] | None, str]:
        try:
            rows = work(*item)
            to_table(rows, shelf.row_type)  # checks them: a broken row must not cost its chunk
        except ImageRefused as refused:
            return item[0], None, str(refused)
        except (TableError, ValueError, ArithmeticError, cv2.error) as error:
            # The quarantine boundary: whatever one odd frame does to an algorithm, the others go on.
            return item[0], None, f"{item[0].names[0]}: {type(error).__name__}: {error}"
        return item[0], rows, ""

    if total:
        listen(Progress(name, 0, total))
    try:
        for done, (frame, rows, reason) in enumerate(side_by_side(one, inputs, workers), start=1):
            if rows is None:
                filled.dropped[frame.sha256] = reason
            else:
                chunk.add(frame.sha256, rows)
                filled.computed += 1
            listen(Progress(name, done, total))
    finally:
        # Also when interrupted: what is done is kept.
        chunk.flush()
    return filled


def grouped(table: Any, row_type: type) -> dict[str, list[Any]]:
    """The rows of a chunk by frame hash."""
    found: dict[str, list[Any]] = {}
    for row in from_table(table, row_type):
        found.setdefault(row.frame_sha256, []).append(row)
    return found


def publish_stage(
    store: Store,
    path: Path,
    shelf: ReadShelf,
    frames: Sequence[str],
    recipe: Recipe,
    version: str,
    filled: Filled,
    started: float,
    facts: dict[str, Any],
) -> StageUpdate:
    """Publish a cell's table from the shelf. Dropped frames change the version and are told in the facts."""
    wanted = version
    if filled.dropped:
        version = digest(version, "dropped", sorted(filled.dropped))
    reused = len(frames) - filled.computed - len(filled.dropped)
    seconds = time.monotonic() - started
    told = {
        **recipe.facts(), **facts, "frames": len(frames), "computed": filled.computed, "reused": reused,
        "dropped": len(filled.dropped), "dropped_frames": dict(list(filled.dropped.items())[:100]), "seconds": seconds,
        "wanted": wanted,
    }  # fmt: skip
    tables = (rows for _, rows in shelf.read(frames))
    table = store.publish(path, shelf.row_type, tables, version, told)
    return StageUpdate(table, len(frames), table.rows, filled.computed, reused, filled.dropped, seconds)


def is_complete(table: PublishedTable | None, version: str) -> TypeGuard[PublishedTable]:
    """True when the published table is of that version, which it is only without dropped frames."""
    return table is not None and table.version == version


def reused_stage(table: PublishedTable) -> StageUpdate:
    """The update of a stage whose published table is what is wanted already."""
    frames = int(table.facts["frames"])
    return StageUpdate(table, frames, table.rows, 0, frames, {}, 0.0)


def snapshot_frames(store: Store, dataset: str, tracker: str, frames: PublishedTable) -> PublishedTable:
    """The tracker's own kept copy of the dataset's frames list, which later changes of the folder do not touch."""
    path = store.table_path("frames", dataset, tracker)
    kept = store.published(path)
    if kept is not None and kept.version == frames.version:
        return kept
    told = {name: value for name, value in frames.facts.items() if name not in ("version", "published_at")}
    return store.publish(path, RawFrame, [frames.read()], frames.version, told)

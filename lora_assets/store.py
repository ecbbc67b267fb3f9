"""Files under `data/`: the content-addressed shelves of stage results, and published tables.

A stage's result for a frame is known by (frame hash, recipe). Results are appended in chunks: one Parquet file holds
the rows of a few hundred frames and, in its footer, the hashes of the frames that it answers, so that a frame without
any row is known to be done as well. A chunk appears whole or not at all, thus a run killed at any moment resumes where
it was. Published tables are what a tracker shows for a dataset; they name the version that they hold. What belongs
elsewhere: what the rows mean (tables), what is to be computed (planning), how a file
is written (atomic; its names are given on here).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lora_assets.atomic import StoreError as StoreError
from lora_assets.atomic import atomic_write as atomic_write
from lora_assets.atomic import atomic_write_bytes as atomic_write_bytes
from lora_assets.atomic import atomic_write_json as atomic_write_json
from lora_assets.atomic import put_in_place as put_in_place
from lora_assets.atomic import sweep_folder
from lora_assets.sums import SUMS
from lora_assets.tables import arrow_schema, check_table

_FRAMES_KEY = b"lora_assets.frames"
_FACTS_KEY = b"lora_assets.facts"
# Dagster's own files, and the originals.
_NOT_SWEPT = ("dagster", "input")
_BATCH_ROWS = 4096


def digest(*parts: Any) -> str:
    """A 16-digit hex digest of JSON values; equal values give equal digests whatever the order of their keys."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def exclusive(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while the body runs, with `shared` beside others that share it. With `wait=False`
    raises StoreError when another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{path.stem} is being made by another process: wait for it, then run again") from error
        yield


def rewrite_sums(folder: Path, held: Mapping[str, set[str]]) -> None:
    """Replace the remembered hashes of `folder` by those of `held` by name: names that are gone and versions that are
    over fall away. Only while nobody writes into the folder."""
    lines = "".join(f"{sha256}  {name}\n" for name in sorted(held) for sha256 in sorted(held[name]))
    atomic_write_bytes(folder / SUMS, lines.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """Where a published table lies and what it says of itself: `version`, counts, seconds, the run that made it."""

    path: Path
    version: str
    facts: dict[str, Any]

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return pq.read_metadata(self.path).num_rows

    @property
    def columns(self) -> list[str]:
        """The names of its columns; a table of an earlier version lacks some. Raises StoreError for a damaged file."""
        try:
            return pq.read_schema(self.path).names
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{self.path} is damaged or gone ({error}): delete it and run again") from error

    def batches(self, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows, or the named columns only, a few thousand at a time. Raises StoreError for a damaged file."""
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=list(names) if names else None):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata(None)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{self.path} is damaged or gone ({error}): delete it and run again") from error

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """The rows, or the named columns only. Raises StoreError for a damaged file."""
        try:
            return pq.read_table(self.path, columns=list(names) if names else None).replace_schema_metadata(None)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{self.path} is damaged or gone ({error}): delete it and run again") from error


class Shelf:
    """The results of one stage under one recipe, by frame hash, in append-only chunks.

    `key` names the column by which rows are asked for: another than the frame's hash is a digest of what the rows are
    about (a crop), and "frame" below then means that.
    """

    def __init__(self, folder: Path, row_type: type, key: str = "frame_sha256") -> None:
        self.folder = folder
        self.row_type = row_type
        self.key = key
        self._index: dict[Path, list[str]] = {}  # chunks never change, so a footer is read once

    def chunk_frames(self) -> dict[Path, list[str]]:
        """The frames that each chunk answers. A chunk that cannot be read is left out: its frames count as missing."""
        found: dict[Path, list[str]] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            if path not in self._index:
                try:
                    metadata = pq.read_schema(path).metadata or {}
                except (OSError, pa.ArrowException):
                    continue
                text = metadata.get(_FRAMES_KEY, b"").decode()
                # Interned: the same hashes stand on the shelf of every stage.
                self._index[path] = [sys.intern(frame) for frame in text.split("\n")] if text else []
            found[path] = self._index[path]
        return found

    def done(self) -> set[str]:
        """The hashes of all frames that have a result."""
        return {frame for frames in self.chunk_frames().values() for frame in frames}

    def append(self, table: pa.Table, frames: Sequence[str]) -> Path:
        """Add the rows of `frames` (each frame answered whole, also those without rows) as one chunk."""
        check_table(table, self.row_type)
        stray = set(table.column(self.key).to_pylist()) - set(frames)
        if stray:
            raise StoreError(f"rows of {len(stray)} frames that the chunk does not claim to answer")
        chunk = table.replace_schema_metadata({_FRAMES_KEY: "\n".join(frames).encode()})
        path = self.folder / f"{digest(sorted(frames))}.parquet"
        atomic_write(path, lambda handle: pq.write_table(chunk, handle, compression="zstd"), recorded=True)
        return path

    def read(self, frames: Iterable[str]) -> Iterator[tuple[list[str], pa.Table]]:
        """The results of `frames`, chunk by chunk: the frames that a chunk answers, and their rows.

        A frame without rows is among the frames of its chunk; a frame answered by two chunks is given once. Frames
        without a result are left out.
        """
        wanted = set(frames)
        for path, answered in self.chunk_frames().items():
            here = [frame for frame in answered if frame in wanted]
            if not here:
                continue
            wanted.difference_update(here)
            table = _read_chunk(path)
            if len(here) < len(answered):
                table = table.filter(pc.is_in(table.column(self.key), pa.array(here)))  # pyright: ignore
            yield here, table


def _read_chunk(path: Path) -> pa.Table:
    try:
        return pq.read_table(path).replace_schema_metadata(None)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged ({error}): delete it and run again, its frames are made anew") from error


class Store:
    """The computed part of `data/`: shelves, pictures and published tables. Holds a path and nothing else."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def shelf(self, stage: str, recipe: str, row_type: type, key: str = "frame_sha256") -> Shelf:
        """The shelf of one stage under one recipe digest, by frame hash or by the digest in the column `key`."""
        return Shelf(self.data / "store" / stage / recipe, row_type, key)

    def picture(self, kind: str, name: str, suffix: str) -> Path:
        """Path of a picture known by a digest: kind is crops, thumbs or frame_thumbs."""
        return self.data / "store" / kind / name[:2] / f"{name}{suffix}"

    def table_path(self, table: str, dataset: str, tracker: str | None = None) -> Path:
        """Path of a published table: of a dataset (raw_frames) or of one cell of a tracker."""
        folder = self.data / "tables" / table
        return (folder / tracker if tracker else folder) / f"{dataset}.parquet"

    def publish(
        self, path: Path, row_type: type, tables: Iterable[pa.Table], version: str, facts: dict[str, Any]
    ) -> PublishedTable:
        """Write a published table from a stream of tables, keeping memory flat, and replace the one before."""
        told = {**facts, "version": version, "published_at": time.time()}
        schema = arrow_schema(row_type).with_metadata({_FACTS_KEY: json.dumps(told).encode()})

        def write(handle: BinaryIO) -> None:
            with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(check_table(table, row_type).replace_schema_metadata(schema.metadata))

        atomic_write(path, write, recorded=True)
        return PublishedTable(path, version, told)

    def published(self, path: Path) -> PublishedTable | None:
        """The table at `path`, or None when there is none or it cannot be read (it is then made again)."""
        try:
            metadata = pq.read_schema(path).metadata or {}
            facts = json.loads(metadata[_FACTS_KEY])
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None
        return PublishedTable(path, str(facts["version"]), facts)

    def frames_of(self, dataset: str, tracker: str | None = None) -> PublishedTable | None:
        """The frames of a dataset as they are now, or as a tracker has them (its own kept list)."""
        name = "frames" if tracker else "raw_frames"
        return self.published(self.table_path(name, dataset, tracker))

    def cell_table(self, table: str, dataset: str, tracker: str) -> PublishedTable | None:
        """The published `detections`, `masks` or `scored_crops` of one cell."""
        return self.published(self.table_path(table, dataset, tracker))

    def lock(self, name: str, *, wait: bool = True, shared: bool = False) -> Any:
        """A lock among processes, by name (a dataset, a cell, a tracker); `shared` ones are held side by side."""
        return exclusive(self.data / "store" / "locks" / f"{name}.lock", wait=wait, shared=shared)

    def sweep(self) -> int:
        """Remove the temporary files that killed processes left, however young; returns how many."""
        own = [path for path in self.data.glob("*") if path.name not in _NOT_SWEPT and path.is_dir()]
        deep = [*own, self.data / "dagster" / "home"]
        return sweep_folder(self.data, deep=False) + sum(sweep_folder(folder) for folder in deep)

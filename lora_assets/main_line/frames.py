"""A dataset's folder becomes the published table `raw_frames`: one row per file, quarantined files with their reason.

A file is opened only when its size, time or inode changed. Rows of a first run are kept in a journal while it goes on,
so that a killed run of 100,000 files does not begin again. What belongs elsewhere: decoding (vision.images), listing a
folder (input_folders).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lora_assets.input_folders import FileStat, FolderGone, FolderScan, is_settled, scan_folder
from lora_assets.main_line.progress import Listener, Progress, nobody
from lora_assets.main_line.reading import Readers
from lora_assets.main_line.stream import side_by_side
from lora_assets.recipes import read_settings
from lora_assets.specs import DatasetSpec
from lora_assets.store import PublishedTable, Store, atomic_write, atomic_write_bytes, digest
from lora_assets.tables import RawFrame, from_table, to_table
from lora_assets.under_way import FRAMES_STAGE, telling
from lora_assets.vision import images
from lora_assets.vision.images import ReadSettings

_JOURNAL_FRAMES = 256
_JOURNAL_SECONDS = 15.0
_PUBLISH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class FramesUpdate:
    """What an update of a dataset did: counts are files."""

    table: PublishedTable
    computed: int
    reused: int
    unsettled: int
    frames: int
    quarantined: int
    seconds: float


def _row_without_picture(file: FileStat, reason: str, sha256: str | None = None) -> RawFrame:
    return RawFrame(
        file.path, sha256, file.size, file.mtime_ns, file.inode, *([None] * 7), quarantine_reason=reason
    )  # fmt: skip


def read_frame(folder: Path, file: FileStat, readers: Readers, store: Store) -> RawFrame:
    """Open, hash and decode one file in another process. Bytes are read once: what is hashed is what is decoded."""
    if file.problem:
        return _row_without_picture(file, file.problem)
    read = readers.read(folder / file.path)
    facts = read.facts
    if read.sha256 is None or facts is None:
        return _row_without_picture(file, read.reason, read.sha256)
    thumb = store.picture("frame_thumbs", read.sha256, ".webp")
    if not thumb.exists():
        atomic_write_bytes(thumb, read.thumb, durable=False, recorded=True)
    return RawFrame(
        path=file.path,
        sha256=read.sha256,
        bytes=file.size,
        mtime_ns=file.mtime_ns,
        inode=file.inode,
        width=facts.width,
        height=facts.height,
        format=facts.format,
        mean_luminance=facts.mean_luminance,
        black_share=facts.black_share,
        sharpness=facts.sharpness,
        phash=facts.phash,
        quarantine_reason=None,
    )


class _Journal:
    """Rows of a run that has not been published yet, in chunks under the dataset's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[RawFrame] = []
        self._written = time.monotonic()

    def rows(self) -> Iterator[RawFrame]:
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                yield from from_table(pq.read_table(path), RawFrame)
            except (OSError, pa.ArrowException):
                continue

    def add(self, row: RawFrame) -> None:
        self._rows.append(row)
        if len(self._rows) >= _JOURNAL_FRAMES or time.monotonic() - self._written > _JOURNAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            table = to_table(self._rows, RawFrame)
            path = self.folder / f"{digest([row.path for row in self._rows], time.time_ns())}.parquet"
            atomic_write(path, lambda handle: pq.write_table(table, handle))
        self._rows, self._written = [], time.monotonic()

    def clear(self) -> None:
        for path in self.folder.glob("*.parquet"):
            path.unlink(missing_ok=True)


def _known_rows(table: PublishedTable | None, journal: _Journal) -> dict[str, RawFrame]:
    """Rows of earlier reads by path; the journal is newer than the published table."""
    known = {row.path: row for row in from_table(table.read(), RawFrame)} if table else {}
    known.update((row.path, row) for row in journal.rows())
    return known


def _is_same(row: RawFrame, file: FileStat) -> bool:
    """A file that could not be opened is tried again: its rights may have been mended, which no time stamp tells."""
    was_opened = row.sha256 is not None or file.problem is not None
    return was_opened and (row.bytes, row.mtime_ns, row.inode) == (file.size, file.mtime_ns, file.inode)


def _rows_version(rows: Iterable[RawFrame]) -> str:
    told = hashlib.sha256(images.CODE_VERSION.encode())
    for row in rows:
        told.update(f"\0{row.path}\0{row.sha256}\0{row.quarantine_reason}".encode())
    return told.hexdigest()[:16]


def _in_slices(rows: list[RawFrame]) -> Iterator[pa.Table]:
    for start in range(0, len(rows), _PUBLISH_ROWS):
        yield to_table(rows[start : start + _PUBLISH_ROWS], RawFrame)


def _reader(settings: ReadSettings) -> str:
    """What reads the files: rows made by another reader, or under other limits, are made again."""
    return digest(images.CODE_VERSION, settings.min_side, settings.max_megapixels)


def _scan(dataset: DatasetSpec, before: PublishedTable | None) -> FolderScan:
    scan = scan_folder(dataset.folder)
    if not scan.files and before is not None and before.facts.get("frames"):
        raise FolderGone(
            f"the folder {dataset.folder} is empty, but held {before.facts['frames']} frames: was it moved or not "
            "mounted? Its results are kept; put the frames back, or make another dataset"
        )
    return scan


def _needs_publishing(before: PublishedTable | None, computed: int, facts: dict[str, Any], version: str) -> bool:
    if computed or before is None or before.version != version:
        return True
    return any(before.facts.get(name) != facts[name] for name in ("fingerprint", "unsettled", "reader"))


def update_raw_frames(
    store: Store,
    dataset: DatasetSpec,
    *,
    rehash: bool = False,
    settle_s: float = 0.0,
    workers: int = 2,
    run_id: str = "",
    listen: Listener = nobody,
) -> FramesUpdate:
    """Bring `raw_frames` of a dataset up to date with its folder; the originals are only read.

    Files that changed within `settle_s` seconds are left for the next run. `rehash` opens every file again (the nightly
    check). Raises FolderGone when the folder is not there, or is empty although it held frames: the results are kept.
    """
    started = time.monotonic()
    state = telling(store.data, dataset.slug, FRAMES_STAGE, run_id=run_id)
    with state as told, store.lock(f"dataset-{dataset.slug}"):
        settings = read_settings(store.data)
        reader = _reader(settings)
        before = store.frames_of(dataset.slug)
        journal = _Journal(store.data / "store" / "raw_frames" / f"{dataset.slug}-{reader}")
        reads_as_before = before is not None and before.facts.get("reader") == reader
        known = {} if rehash else _known_rows(before if reads_as_before else None, journal)
        scan = _scan(dataset, before)
        now = time.time_ns()
        settled = [file for file in scan.files if is_settled(file, now, settle_s)]
        rows = {f.path: known[f.path] for f in settled if f.path in known and _is_same(known[f.path], f)}
        fresh = [file for file in settled if file.path not in rows]
        reused = len(rows)
        told.begin(len(settled), reused)

        def hear(progress: Progress) -> None:
            told.count(progress.done)
            listen(progress)

        _read_fresh(store, dataset, settings, fresh, rows, journal, workers, hear)
        ordered = [rows[path] for path in sorted(rows)]
        frames = len({row.sha256 for row in ordered if row.quarantine_reason is None})
        quarantined = sum(row.quarantine_reason is not None for row in ordered)
        seconds, unsettled = time.monotonic() - started, len(scan.files) - len(settled)
        version = _rows_version(ordered)
        facts: dict[str, Any] = {
            "stage": "raw_frames", "reader": reader, "dataset": dataset.slug, "name": dataset.name,
            "folder": str(dataset.folder), "fingerprint": scan.fingerprint, "files": len(ordered), "frames": frames,
            "quarantined": quarantined, "computed": len(fresh), "reused": reused, "unsettled": unsettled,
            "seconds": seconds, "run_id": run_id,
        }  # fmt: skip
        if _needs_publishing(before, len(fresh), facts, version):
            path = store.table_path("raw_frames", dataset.slug)
            table = store.publish(path, RawFrame, _in_slices(ordered), version, facts)
        else:
            table = replace(before, facts={**before.facts, "computed": 0, "reused": reused})  # pyright: ignore
        journal.clear()
    return FramesUpdate(table, len(fresh), reused, unsettled, frames, quarantined, seconds)


def _read_fresh(
    store: Store,
    dataset: DatasetSpec,
    settings: ReadSettings,
    fresh: list[FileStat],
    rows: dict[str, RawFrame],
    journal: _Journal,
    workers: int,
    listen: Listener,
) -> None:
    """Open the files that are new or changed; their rows join `rows` and, meanwhile, the journal."""
    name = f"{dataset.name}: raw_frames"
    if fresh:
        listen(Progress(name, 0, len(fresh)))

    with Readers(settings, min(workers, len(fresh))) as readers:

        def read(file: FileStat) -> RawFrame:
            return read_frame(dataset.folder, file, readers, store)

        for done, row in enumerate(side_by_side(read, fresh, workers), start=1):
            rows[row.path] = row
            journal.add(row)
            listen(Progress(name, done, len(fresh)))

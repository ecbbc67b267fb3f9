"""A dataset's folder becomes the published table `raw_frames`: one row per file, quarantined files with their reason.

A file is opened only when its size, times or inode changed. Rows of a first run are kept in a journal while it goes on,
so that a killed run of 100,000 files does not begin again. While folders are watched, a file is taken in when two looks
at it, some time apart, find the same bytes; one that cannot be used waits for a minute, since its copy may be under
way, and is then quarantined. What belongs elsewhere: decoding (vision.images), listing a folder (input_folders), what
counts as deleted (deleted, folder_marks).
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

from lora_assets.folder_marks import (
    FolderProof,
    hidden_mounts,
    known_mounts,
    known_proof,
    marked,
    may_be_marked,
    proof_of,
)
from lora_assets.input_folders import FileStat, FolderGone, FolderScan, is_settled, is_unchanged, scan_folder
from lora_assets.main_line.deleted import hold_many, judge_absent, note_deleted, read_deleted, restored_rows
from lora_assets.main_line.reading import Readers
from lora_assets.main_line.sampling import sample_settings
from lora_assets.main_line.stages import is_written
from lora_assets.main_line.stream import side_by_side
from lora_assets.main_line.videos import is_own_folder, videos_among
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.recipes import read_settings
from lora_assets.specs import DatasetSpec
from lora_assets.store import PublishedTable, Store, StoreError, atomic_write, atomic_write_bytes, digest
from lora_assets.sums import file_sha256, read_sums
from lora_assets.tables import RawFrame, from_table, to_table
from lora_assets.under_way import FRAMES_STAGE, telling
from lora_assets.vision import images
from lora_assets.vision.images import ReadSettings
from lora_assets.vision.sniff import is_video_reason

_TOLD = ("fingerprint", "unsettled", "reader", "root", "mounts", "absent", "held", "deleted", "videos", "sample")
_JOURNAL_FRAMES = 256
_JOURNAL_SECONDS = 15.0
_PUBLISH_ROWS = 4096
# How long a file that cannot be used waits for the rest of its copy, by its last change.
WAIT_SECONDS = 60.0
# Between the two looks at a file. Its times stood still before; this is for copiers that do not move them.
_SECOND_LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class FramesUpdate:
    """What an update of a dataset did: counts are files. `absent` are listed although their files are not there now,
    because the folder (or a disk below it) does not prove to be the one that was listed, or because too many are gone
    at once (`held`); `deleted` are remembered as deleted."""

    table: PublishedTable
    computed: int
    reused: int
    unsettled: int
    frames: int
    quarantined: int
    seconds: float
    absent: int = 0
    deleted: int = 0
    held: int = 0


def _row_without_picture(file: FileStat, reason: str, sha256: str | None = None) -> RawFrame:
    return RawFrame(
        file.path, sha256, file.size, file.mtime_ns, file.inode, *([None] * 7), quarantine_reason=reason,
        ctime_ns=file.ctime_ns,
    )  # fmt: skip


def read_frame(folder: Path, file: FileStat, readers: Readers, store: Store) -> RawFrame:
    """Open, hash and decode one file in another process. Bytes are read once: what is hashed is what is decoded."""
    if file.problem:
        return _row_without_picture(file, file.problem)
    read = readers.read(folder / file.path)
    facts = read.facts
    if read.sha256 is None or facts is None:
        told = "; its frames are a dataset, NAME (video)" if is_video_reason(read.reason) else ""
        return _row_without_picture(file, read.reason + told, read.sha256)
    thumb = store.picture("frame_thumbs", read.sha256, ".webp")
    if not is_written(thumb):
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
        ctime_ns=file.ctime_ns,
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


def _known_rows(listed: list[RawFrame], journal: _Journal) -> dict[str, RawFrame]:
    """Rows of earlier reads by path; the journal is newer than the published table."""
    known = {row.path: row for row in listed}
    known.update((row.path, row) for row in journal.rows())
    return known


def _is_same(row: RawFrame, file: FileStat) -> bool:
    """A file that could not be opened is tried again: its rights may have been mended, which no time stamp tells. Rows
    of earlier versions have no change time."""
    was_opened = row.sha256 is not None or file.problem is not None
    then = (row.bytes, row.mtime_ns, row.inode, file.ctime_ns if row.ctime_ns is None else row.ctime_ns)
    return was_opened and then == (file.size, file.mtime_ns, file.inode, file.ctime_ns)


def _was_listed(row: RawFrame, before: RawFrame | None) -> bool:
    """True when a listing has this very row; a change time alone (chmod, a link) needs no second look."""
    return before is not None and row == replace(before, ctime_ns=row.ctime_ns)


def is_whole(table: PublishedTable) -> bool:
    """False when the table's file is not what was written: then every file is read again, and it is written anew."""
    sums = read_sums(table.path.parent).get(table.path.name)
    return sums is None or file_sha256(table.path) in sums


def _rows_of(table: PublishedTable, whole: bool) -> list[RawFrame]:
    try:
        return from_table(table.read(), RawFrame)
    except StoreError:
        if whole:
            raise
        return []  # damaged: what it told of files that are gone is lost


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
    return digest(images.CODE_VERSION, images.CHECK_VERSION, settings.min_side, settings.max_megapixels)


def _scan(
    store: Store, dataset: DatasetSpec, before: PublishedTable | None, listed_before: list[RawFrame]
) -> FolderScan:
    """The folder as it is now. Raises FolderGone when it is empty and held frames that nobody knows to be deleted."""
    scan = scan_folder(dataset.folder, dataset.only)
    held = int(before.facts.get("frames", 0)) if before is not None and not scan.files else 0
    if held and listed_before:  # else it is damaged
        gone = {row.path for row in read_deleted(store, dataset.slug)}
        held = len({row.sha256 for row in listed_before if row.quarantine_reason is None and row.path not in gone})
    if held:
        raise FolderGone(
            f"the folder {dataset.folder} is empty, but held {held} frames: was it moved or not "
            "mounted? Its results are kept; put the frames back, or if they were deleted on purpose: "
            f"lora-assets deleted accept {dataset.slug}"
        )
    return scan


def _needs_publishing(before: PublishedTable | None, computed: int, facts: dict[str, Any], version: str) -> bool:
    if computed or before is None or before.version != version:
        return True
    # Listings of earlier versions do not tell of videos and samples.
    return any(before.facts.get(name, {} if name in ("videos", "sample") else None) != facts[name] for name in _TOLD)


def update_raw_frames(
    store: Store,
    dataset: DatasetSpec,
    *,
    rehash: bool = False,
    settle_s: float = 0.0,
    accept: bool = False,
    workers: int = 2,
    run_id: str = "",
    listen: Listener = nobody,
) -> FramesUpdate:
    """Bring `raw_frames` of a dataset up to date with its folder; the originals are only read.

    Files that changed within `settle_s` seconds, or between two looks, are left for the next run, and those that cannot
    be used for a minute; 0 takes all as they are now. Section [sample] of the settings leaves pictures out (sampling).
    `rehash` opens every file again (the nightly check). Frames whose files are gone stay listed unless the folder
    proves to be the one that was listed, or `accept` says that it is, or it is the project's own, of frames of videos.
    Raises FolderGone when the folder is not there, or is empty although it held frames: the results are kept.
    """
    started = time.monotonic()
    state = telling(store.data, dataset.slug, FRAMES_STAGE, run_id=run_id)
    with state as told, store.lock(f"dataset-{dataset.slug}"):
        settings = read_settings(store.data)
        reader = _reader(settings)
        before = store.frames_of(dataset.slug)
        accept = accept or is_own_folder(dataset)
        journal = _Journal(store.data / "store" / "raw_frames" / f"{dataset.slug}-{reader}")
        whole = before is None or is_whole(before)
        reads_as_before = before is not None and whole and before.facts.get("reader") == reader
        listed_before = _rows_of(before, whole) if before else []
        known = {} if rehash else _known_rows(listed_before if reads_as_before else [], journal)
        proof = proof_of(dataset.folder)
        scan = scan_folder(dataset.folder, dataset.only) if accept else _scan(store, dataset, before, listed_before)
        now = time.time_ns()
        sample = sample_settings(store.data, dataset)
        files = sample.files(scan.files)
        settled = [file for file in files if is_settled(file, now, settle_s)]
        rows = {
            f.path: replace(known[f.path], ctime_ns=f.ctime_ns)
            for f in settled
            if f.path in known and _is_same(known[f.path], f)
        }
        fresh = [file for file in settled if file.path not in rows]
        reused = len(rows)
        told.begin(len(settled), reused)

        def hear(progress: Progress) -> None:
            told.count(progress.done)
            listen(progress)

        _read_fresh(store, dataset, settings, fresh, rows, journal, workers, hear)
        looked_twice = {row.path: row for row in listed_before} if reads_as_before else {}
        unproven = [file for file in settled if not _was_listed(rows[file.path], looked_twice.get(file.path))]
        waiting = _not_ready(dataset.folder, unproven, rows, settle_s, workers)
        for path in waiting:
            del rows[path]
        root = _keep_absent(store, dataset, scan, proof, before, listed_before, rows, accept=accept)
        ordered = [rows[path] for path in sorted(rows)]
        frames = len({row.sha256 for row in ordered if row.quarantine_reason is None})
        quarantined = sum(row.quarantine_reason is not None for row in ordered)
        seconds, unsettled = time.monotonic() - started, len(files) - len(settled) + len(waiting)
        version = _rows_version(ordered)
        facts: dict[str, Any] = {
            "stage": "raw_frames", "reader": reader, "dataset": dataset.slug, "name": dataset.name,
            "folder": str(dataset.folder), "fingerprint": scan.fingerprint, "files": len(ordered), "frames": frames,
            "quarantined": quarantined, "computed": len(fresh), "reused": reused, "unsettled": unsettled,
            "absent": root.absent, "held": root.held, "deleted": root.deleted, "root": root.proof.facts,
            "mounts": root.mounts, "videos": videos_among(ordered), "sample": sample.facts, "seconds": seconds,
            "run_id": run_id,
        }  # fmt: skip
        if not whole or _needs_publishing(before, len(fresh), facts, version):
            path = store.table_path("raw_frames", dataset.slug)
            table = store.publish(path, RawFrame, _in_slices(ordered), version, facts)
        else:
            table = replace(before, facts={**before.facts, "computed": 0, "reused": reused})  # pyright: ignore
        journal.clear()
    return FramesUpdate(
        table, len(fresh), reused, unsettled, frames, quarantined, seconds, root.absent, root.deleted, len(root.held)
    )


def _not_ready(
    folder: Path, files: list[FileStat], rows: dict[str, RawFrame], settle_s: float, workers: int
) -> set[str]:
    """The paths of files just read that are to be looked at again later: they changed meanwhile, or cannot be used yet.

    With `settle_s` 0 only a file that changed while it was read is left out.
    """
    now = time.time_ns()
    waiting = {
        file.path
        for file in files
        if settle_s > 0
        and not file.problem
        and rows[file.path].quarantine_reason is not None
        and not is_settled(file, now, max(WAIT_SECONDS, settle_s))
    }
    usable = [file for file in files if not file.problem and file.path not in waiting]
    if usable and settle_s > 0:
        time.sleep(min(settle_s, _SECOND_LOOK_S))

    def changed(file: FileStat) -> bool:
        row = rows[file.path]
        if row.sha256 is None:
            return False  # it could not be opened, and is tried again at every listing
        try:
            same = is_unchanged(folder, file) and (settle_s <= 0 or file_sha256(folder / file.path) == row.sha256)
        except OSError:
            same = False
        return not same

    moved = side_by_side(changed, usable, workers)
    return waiting | {file.path for file, has in zip(usable, moved, strict=True) if has}


@dataclass(frozen=True, slots=True)
class _Root:
    proof: FolderProof
    mounts: dict[str, str]
    absent: int
    held: list[str]
    deleted: int


def _keep_absent(
    store: Store,
    dataset: DatasetSpec,
    scan: FolderScan,
    proof: FolderProof,
    before: PublishedTable | None,
    listed_before: list[RawFrame],
    rows: dict[str, RawFrame],
    *,
    accept: bool,
) -> _Root:
    """Put the rows of files that are not there now, but do not count as deleted, among `rows`; remember the others.

    The folder must prove itself before the scan (`proof`) and after it: a disk may be mounted in between. So must the
    disks below it. They are known by what they prove now as soon as nothing is kept for the want of a proof.
    """
    facts = before.facts if before else {}
    known, mounts = known_proof(facts.get("root")), known_mounts(facts.get("mounts"))
    now = proof_of(dataset.folder)
    present = {file.path for file in scan.files}
    remembered = read_deleted(store, dataset.slug)
    restored = {path: row for path, row in restored_rows(remembered).items() if path not in present}
    gone = [row for row in listed_before if row.path not in restored]
    proven = accept or (proof.proves(known) and now.proves(known))
    # A disk must be there during the scan and after it, too.
    away = {path for path in mounts if scan.mounts.get(path) != mounts[path]} | hidden_mounts(dataset.folder, mounts)
    absent = judge_absent(gone, present, (*scan.unreadable, *(() if accept else away)), proven=proven)
    there = dict(rows)
    if not accept:
        contents = {row.sha256 for row in rows.values()}
        absent = hold_many(absent, gone, contents, frozenset(facts.get("held", ())))
    rows.update(absent.kept)
    rows.update(restored)
    deleted = note_deleted(store, dataset.slug, absent.deleted, there | absent.kept)
    if absent.kept:
        return _Root(known or FolderProof(), scan.mounts | mounts, len(absent.kept), sorted(absent.held), deleted)
    # An empty folder is never marked: it may be the place where a disk is mounted.
    if scan.files and may_be_marked(store.data, dataset.folder):
        now = marked(dataset.folder)
    return _Root(now, scan.mounts, 0, [], deleted)


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

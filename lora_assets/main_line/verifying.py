"""Every file that stages wrote, against the hash that was remembered when it was written; and mending what is damaged.

A result can always be made again: pictures are drawn anew from the tables, chunks and tables by the next run. What
hashes are and where they lie belongs to sums.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.compute as pc

from lora_assets.main_line.cells import write_pictures
from lora_assets.main_line.stages import FrameRef, frame_refs, load_pixels
from lora_assets.specs import SpecError, list_datasets, read_tracker
from lora_assets.store import PublishedTable, Store, atomic_write_bytes, rewrite_sums
from lora_assets.sums import file_sha256, read_sums
from lora_assets.tables import Mask, ScoredCrop, from_table
from lora_assets.vision.crops import kept_mask
from lora_assets.vision.images import ImageRefused, thumbnail_webp

DAMAGED, MISSING = "damaged", "missing"
_PLACES = ("store", "tables", "pages")
_PASSING = ("locks", "raw_frames")
_PICTURES = ("crops", "thumbs", "frame_thumbs")
_NOT_DRAWN = "its original is gone or has changed, or no table names it: put the frame back, or let it be"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file (relative to data/) that is damaged or missing, and what makes it right again."""

    path: str
    kind: str
    way_out: str
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at: files with a remembered hash, their bytes, files without one, and what is wrong."""

    files: int
    bytes: int
    unknown: int
    problems: tuple[FileProblem, ...]


def _folders(data: Path) -> Iterator[Path]:
    """The folders that hold results; passing files (locks, journals of listings) are none."""
    for place in _PLACES:
        for folder, inside, _ in os.walk(data / place):
            if place == "store" and Path(folder) == data / place:
                inside[:] = [name for name in inside if name not in _PASSING]
            yield Path(folder)


def _way_out(data: Path, path: Path, kind: str) -> str:
    place, *rest = path.relative_to(data).parts
    if place == "store" and rest[0] in _PICTURES:
        return "lora-assets verify --repair draws it again"
    if place == "store":
        return (
            "lora-assets verify --repair removes it; its frames are made again when a run needs them"
            if kind == DAMAGED
            else "its frames are made again when a run needs them"
        )
    if place == "pages":
        return "materialize tracker_dashboard of this tracker"
    if rest[0] == "deleted_frames":
        return "restore it from a backup, or delete it: which frames were deleted is then no longer known"
    if rest[0] == "raw_frames":
        return "list its folder again: lora-assets run"
    tracker = rest[1] if len(rest) > 2 else Path(rest[-1]).stem
    try:
        sealed = read_tracker(data, tracker).sealed
    except SpecError:
        return "its tracker has no file any more: restore both from a backup, or delete the table"
    if sealed:
        return f"tracker {tracker} is sealed: restore the file from a backup, or lora-assets tracker reopen {tracker}"
    return f"delete it and run lora-assets run --tracker {tracker}: it is made again from what is stored"


def _look_at(data: Path, folder: Path) -> tuple[int, int, int, list[FileProblem], dict[str, str]]:
    sums = read_sums(folder)
    problems: list[FileProblem] = []
    held: dict[str, str] = {}
    count = size = unknown = 0
    here = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    for name in sorted(here | set(sums)):
        path = folder / name
        if name not in sums:
            unknown += 1
            continue
        try:
            found = file_sha256(path)
        except FileNotFoundError:
            problems.append(FileProblem(str(path.relative_to(data)), MISSING, _way_out(data, path, MISSING)))
            continue
        count, size = count + 1, size + path.stat().st_size
        if found in sums[name]:
            held[name] = found
        else:
            problems.append(FileProblem(str(path.relative_to(data)), DAMAGED, _way_out(data, path, DAMAGED)))
    return count, size, unknown, problems, held


def verify_files(data: Path, workers: int = 2, listen: Callable[[int], None] = lambda _: None) -> Verified:
    """Read every file that stages wrote and compare it with its remembered hash. Raises OSError for a disk that fails.

    `listen` hears how many folders are done.
    """
    files = size = unknown = 0
    problems: list[FileProblem] = []
    with ThreadPoolExecutor(workers) as pool:
        looked = pool.map(lambda folder: _look_at(data, folder), _folders(data))
        for number, (count, some, strange, found, _) in enumerate(looked, start=1):
            files, size, unknown = files + count, size + some, unknown + strange
            problems += found
            listen(number)
    return Verified(files, size, unknown, tuple(problems))


def repair_files(store: Store, problems: tuple[FileProblem, ...]) -> tuple[FileProblem, ...]:
    """Mend what can be mended now: damaged chunks are removed, and damaged and lost pictures are drawn again.

    A damaged picture that cannot be drawn stays: it may still be of use. Published tables are left: a run makes them
    again, and that of a sealed tracker belongs to a person. Returns the problems with what became of them.
    """
    data = store.data
    mendable = [problem for problem in problems if problem.path.split("/")[0] == "store"]
    for problem in mendable:
        if problem.kind == DAMAGED:
            (data / problem.path).rename(_aside(data / problem.path))
    draw_missing_pictures(store)
    told = {problem.path: problem for problem in problems}
    for problem in mendable:
        path = data / problem.path
        mended = problem.path.split("/")[1] not in _PICTURES or path.exists()
        if problem.kind == DAMAGED and mended:
            _aside(path).unlink()
        elif problem.kind == DAMAGED:
            _aside(path).rename(path)
        told[problem.path] = replace(problem, mended=mended, way_out=problem.way_out if mended else _NOT_DRAWN)
    for folder in {(data / problem.path).parent for problem in told.values() if problem.mended}:
        _forget_mended(data, folder, {problem.path for problem in told.values() if problem.mended})
    return tuple(told.values())


def _aside(path: Path) -> Path:
    return path.with_name(f".damaged-{path.name}")


def _forget_mended(data: Path, folder: Path, mended: set[str]) -> None:
    """Leave only lines that hold, and those of files that are still damaged or missing: they are to be told again."""
    before, held = read_sums(folder), _look_at(data, folder)[4]
    unmended = {name for name in before if name not in held and str((folder / name).relative_to(data)) not in mended}
    rewrite_sums(folder, {name: {sha256} for name, sha256 in held.items()} | {name: before[name] for name in unmended})


def draw_missing_pictures(store: Store) -> Counter[str]:
    """Draw the crops, thumbnails and frame thumbnails that published tables name and that are not there.

    Counts by kind: frames drawn from, and frames whose original is gone or has changed, from which nothing is drawn.
    """
    counted: Counter[str] = Counter()
    folders = {slug: spec.folder for slug, spec in list_datasets(store.data).items()}
    for path in sorted((store.data / "tables" / "scored_crops").glob("*/*.parquet")):
        tracker, dataset = path.parent.name, path.stem
        frames, crops = store.frames_of(dataset, tracker), store.cell_table("scored_crops", dataset, tracker)
        masks = store.cell_table("masks", dataset, tracker)
        if frames is None or crops is None or masks is None:
            continue
        if folder := _folder_of(frames, folders.get(dataset)):
            counted += _draw_crops(store, frame_refs(frames, folder), crops, masks)
    for path in sorted((store.data / "tables" / "raw_frames").glob("*.parquet")):
        frames = store.frames_of(path.stem)
        if frames is not None and (folder := _folder_of(frames, folders.get(path.stem))):
            counted += _draw_frame_thumbs(store, frame_refs(frames, folder))
    return counted


def _folder_of(frames: PublishedTable, known: Path | None) -> Path | None:
    """Where a dataset's originals lie: as it is known now, else as it was when it was listed."""
    told = frames.facts.get("folder")
    return known or (Path(told) if isinstance(told, str) else None)


def _is_missing(store: Store, row: ScoredCrop) -> bool:
    png, thumb = store.picture("crops", row.crop_id, ".png"), store.picture("thumbs", row.crop_id, ".webp")
    return (row.has_picture and not png.exists()) or not thumb.exists()


def _draw_crops(store: Store, refs: dict[str, FrameRef], crops: PublishedTable, masks: PublishedTable) -> Counter[str]:
    counted: Counter[str] = Counter()
    missing: dict[str, list[ScoredCrop]] = {}
    for batch in crops.batches():
        for row in from_table(batch, ScoredCrop):
            if _is_missing(store, row):
                missing.setdefault(row.frame_sha256, []).append(row)
    if not missing:
        return counted
    table = masks.read()
    wanted = table.filter(pc.is_in(table.column("frame_sha256"), pc.cast(list(missing), "string")))  # pyright: ignore
    mask_of = {(mask.frame_sha256, mask.detection_id): mask for mask in from_table(wanted, Mask)}
    for sha256, rows in missing.items():
        try:
            image = load_pixels(refs[sha256])
        except (ImageRefused, KeyError, OSError):
            counted["frames_gone"] += 1
            continue
        counted["frames"] += 1
        for row in rows:
            mask = mask_of.get((sha256, row.detection_id))
            if mask is not None:
                write_pictures(store, image, kept_mask(mask, row.second_window, row.second_rle), row)
    return counted


def _draw_frame_thumbs(store: Store, refs: dict[str, FrameRef]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for sha256, frame in refs.items():
        thumb = store.picture("frame_thumbs", sha256, ".webp")
        if thumb.exists():
            continue
        try:
            content = thumbnail_webp(load_pixels(frame))
        except (ImageRefused, OSError):
            counted["frames_gone"] += 1
            continue
        counted["frames"] += 1
        atomic_write_bytes(thumb, content, durable=False, recorded=True)
    return counted

"""G10: input folders that vanish, are emptied, replaced, unmounted or locked: nothing may count as deleted, and one
look after the folder is back everything is as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from lora_assets import input_folders
from lora_assets.folder_marks import MARK
from lora_assets.input_folders import FolderGone, scan_folder
from lora_assets.main_line.deleted import read_deleted
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.reading import kept_readers
from lora_assets.specs import DatasetSpec
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table
from lora_assets_tests.reliability.files_syscall_faults import tiny_disk
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, drawn_picture

_FRAMES = 6


@contextmanager
def renamed_away(folder: Path) -> Iterator[None]:
    """The folder is not there."""
    away = folder.with_name(f"{folder.name} away")
    folder.rename(away)
    try:
        yield
    finally:
        if folder.exists():
            shutil.rmtree(folder)
        away.rename(folder)


@contextmanager
def replaced_by_empty(folder: Path) -> Iterator[None]:
    """An empty folder lies in its place, as a mount point without its disk."""
    with renamed_away(folder):
        folder.mkdir()
        yield


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """All that lay in it is elsewhere; the mark stays where it was written."""
    away = folder.with_name(f"{folder.name} content")
    away.mkdir()
    for path in sorted(folder.iterdir()):
        if path.name != MARK:
            path.rename(away / path.name)
    try:
        yield
    finally:
        for path in sorted(away.iterdir()):
            path.rename(folder / path.name)
        away.rmdir()


@contextmanager
def replaced_by_another(folder: Path) -> Iterator[None]:
    """A folder with other pictures lies in its place."""
    with renamed_away(folder):
        folder.mkdir()
        (folder / "stranger.png").write_bytes(ENCODINGS[2].encode(drawn_picture(80, 60, 77)))
        yield


@contextmanager
def half_back(folder: Path) -> Iterator[None]:
    """It is being copied back from a backup that holds no hidden files: half of the pictures are there."""
    with renamed_away(folder):
        folder.mkdir()
        for path in sorted(folder.with_name(f"{folder.name} away").glob("*.png"))[: _FRAMES // 2]:
            shutil.copy2(path, folder / path.name)
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder may not be read. (Told by the calls themselves: an administrator may read every folder.)"""
    scandir = os.scandir

    def refuse(path: str) -> os.PathLike[str]:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # pyright: ignore[reportReturnType]

    with mock.patch.object(input_folders.os, "scandir", refuse):
        yield


@contextmanager
def subfolder_locked(folder: Path) -> Iterator[None]:
    """A subfolder may not be read: its files are not known to be gone."""
    scandir = os.scandir

    def refuse(path: str) -> os.PathLike[str]:
        if Path(path) == folder / "part 2":
            raise OSError(5, "Input/output error", str(path))
        return scandir(path)  # pyright: ignore[reportReturnType]

    with mock.patch.object(input_folders.os, "scandir", refuse):
        yield


EVENTS: tuple[Callable[[Path], object], ...] = (
    renamed_away, replaced_by_empty, emptied, replaced_by_another, half_back, locked, subfolder_locked,
)  # fmt: skip


def _fill(folder: Path) -> None:
    (folder / "part 2").mkdir(parents=True)
    for number in range(_FRAMES):
        place = folder / "part 2" if number == _FRAMES - 1 else folder
        (place / f"{number}.png").write_bytes(ENCODINGS[2].encode(drawn_picture(80, 60, number)))


def _rows(store: Store, slug: str) -> dict[str, RawFrame]:
    table = store.frames_of(slug)
    return {row.path: row for row in from_table(table.read(), RawFrame)} if table else {}


def _contents(rows: dict[str, RawFrame]) -> dict[str, str | None]:
    return {path: row.sha256 for path, row in rows.items()}


def _lost(store: Store, slug: str, names: Iterable[str]) -> set[str]:
    """Those of the names that count as deleted."""
    return {row.path for row in read_deleted(store, slug)} & set(names)


def _careless(folder: Path, known: set[str]) -> int:
    """The planted fault: what is listed and not there counts as deleted; how many that makes."""
    try:
        there = {file.path for file in scan_folder(folder).files}
    except FolderGone:
        there = set()
    return len(known - there)


def _one(store: Store, dataset: DatasetSpec, event: Callable[[Path], object], trials: Trials) -> int:
    """One folder through one event and back; how many frames careless code would have called deleted."""
    before = _rows(store, dataset.slug)
    with event(dataset.folder):  # pyright: ignore[reportGeneralTypeIssues]
        careless = _careless(dataset.folder, set(before))
        try:
            update_raw_frames(store, dataset)
        except FolderGone:
            pass  # told as gone, and left
        name = event.__name__
        kept = _contents(_rows(store, dataset.slug))
        trials.check(_contents(before).items() <= kept.items(), f"{name}: rows were lost or changed")
        trials.check(not _lost(store, dataset.slug, before), f"{name}: frames counted as deleted")
    back = update_raw_frames(store, dataset)
    same = _contents(_rows(store, dataset.slug)) == _contents(before)
    trials.check(same and back.absent == 0, f"{name}: one look after its return the listing was another one")
    trials.check(not _lost(store, dataset.slug, before), f"{name}: deleted after its return")
    return careless


def _unmounted(made: Path, store: Store, trials: Trials) -> str:
    """A disk that is unmounted and mounted again, where one may be mounted."""
    place = made / "mounted"
    place.mkdir()
    with tiny_disk(place, "size=1m") as disk:
        if disk is None:
            return "no disk may be mounted here: unmounting was not tried"
        _fill(disk)
        dataset = DatasetSpec("mounted", "mounted", disk)
        update_raw_frames(store, dataset)
        before = _rows(store, "mounted")
    try:
        update_raw_frames(store, dataset)
    except FolderGone:
        pass
    trials.check(_rows(store, "mounted") == before and not read_deleted(store, "mounted"), "unmounted")
    return "a disk unmounted under a registered folder"


def _true_deletion(store: Store, dataset: DatasetSpec, trials: Trials) -> None:
    """A file that is deleted from a folder that proves itself is remembered, restored at a word, and back by itself."""
    from lora_assets.main_line.deleted import restore

    path = sorted(dataset.folder.glob("*.png"))[0]
    content = path.read_bytes()
    before = _rows(store, dataset.slug)
    path.unlink()
    update_raw_frames(store, dataset)
    gone = {row.path for row in read_deleted(store, dataset.slug)}
    trials.check(path.name in gone and path.name not in _rows(store, dataset.slug), "a deletion was not remembered")
    restore(store, dataset.slug, [path.name])
    update_raw_frames(store, dataset)
    trials.check(_rows(store, dataset.slug)[path.name] == before[path.name], "a deleted frame was not restored")
    path.write_bytes(content)
    update_raw_frames(store, dataset)
    trials.check(
        path.name not in {row.path for row in read_deleted(store, dataset.slug)}, "a file that is back is told gone"
    )


def run(level: Level) -> Figures:
    """Measure G10."""
    rounds = 20 if level == "full" else 1
    trials = Trials("G10", f"{rounds} x {len(EVENTS)} events, on a folder with a mark and on one that is only read",
                    "what is listed and not there counts as deleted")  # fmt: skip
    careless = 0
    with tempfile.TemporaryDirectory(prefix="lora_assets-roots-") as made, kept_readers():
        root = Path(made)
        data = root / "data"
        store = Store(data)
        datasets = [
            DatasetSpec("film", "film", data / "input" / "film"),
            DatasetSpec("away", "away", root / "elsewhere"),
        ]
        for dataset in datasets:
            _fill(dataset.folder)
            update_raw_frames(store, dataset)
        trials.check((datasets[0].folder / MARK).exists(), "the folder under data/input has no mark")
        trials.check(not (datasets[1].folder / MARK).exists(), "a folder that is only read got a mark")
        for number in range(rounds):
            for event in EVENTS:
                careless += _one(store, datasets[number % 2] if rounds > 1 else datasets[0], event, trials)
        trials.notes.append(_unmounted(root, store, trials))
        _true_deletion(store, datasets[0], trials)
    trials.caught = careless > 0
    trials.notes.append(f"careless code would have called {careless} frames deleted")
    return trials.figures()

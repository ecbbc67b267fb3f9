"""G10: input folders that vanish, are emptied, replaced, unmounted or locked: nothing may count as deleted, and one
look after the folder is back everything is as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from lora_assets import folder_marks, input_folders
from lora_assets.folder_marks import MARK, FolderProof
from lora_assets.input_folders import FolderGone
from lora_assets.main_line import deleted, frames
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


@contextmanager
def most_are_gone(folder: Path) -> Iterator[None]:
    """Of the folder itself, with its mark, more than half is gone at once, while other pictures came."""
    away = folder.with_name(f"{folder.name} away")
    away.mkdir()
    (folder / "new.png").write_bytes(ENCODINGS[2].encode(drawn_picture(80, 60, 78)))
    taken = sorted(folder.glob("[0-9].png"))[: _FRAMES // 2 + 1]
    for path in taken:
        path.rename(away / path.name)
    try:
        yield
    finally:
        for path in taken:
            (away / path.name).rename(path)
        away.rmdir()
        (folder / "new.png").unlink()


@contextmanager
def disk_below_it_away(folder: Path) -> Iterator[None]:
    """A disk that is mounted on a subfolder is away: an empty folder of the disk around it lies there. (Told by the
    calls themselves, since not everybody may mount; a real one is tried by `_unmounted`.)"""
    with renamed_away(folder / "part 2"):
        (folder / "part 2").mkdir()
        yield


EVENTS: tuple[Callable[[Path], object], ...] = (
    renamed_away, replaced_by_empty, emptied, replaced_by_another, half_back, locked, subfolder_locked,
    most_are_gone, disk_below_it_away,
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


@contextmanager
def _a_disk_below(folder: Path) -> Iterator[None]:
    """The subfolder "part 2" is told as a disk of its own while a picture lies in it."""
    device, filesystem = input_folders._device_of, input_folders.filesystem_of

    def is_disk(path: str | Path) -> bool:
        return Path(path) == folder / "part 2" and any(Path(path).glob("*.png"))

    def device_of(path: str | Path) -> int:
        return device(path) + is_disk(path)

    def filesystem_of(path: str | Path) -> str:
        return "id of the disk below" if is_disk(path) else filesystem(path)

    with (
        mock.patch.object(input_folders, "_device_of", device_of),
        mock.patch.object(input_folders, "filesystem_of", filesystem_of),
        mock.patch.object(folder_marks, "filesystem_of", filesystem_of),
    ):
        yield


def _one(store: Store, dataset: DatasetSpec, event: Callable[[Path], object], trials: Trials) -> None:
    """One folder through one event and back."""
    update_raw_frames(store, dataset)
    before = _rows(store, dataset.slug)
    with event(dataset.folder):  # pyright: ignore[reportGeneralTypeIssues]
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


def _unmounted(made: Path, store: Store, trials: Trials) -> str:
    """Disks that are unmounted, where one may be mounted: a registered folder, and a subfolder of one that stays."""
    place, around = made / "mounted", made / "around"
    for folder in (place, around):
        folder.mkdir()
    with tiny_disk(place, "size=1m") as disk, tiny_disk(around, "size=1m") as below:
        if disk is None or below is None:
            return "no disk may be mounted here: unmounting was not tried"
        datasets = [DatasetSpec("mounted", "mounted", disk), DatasetSpec("around", "around", around)]
        _fill(disk)
        _fill(around)
        (below / "on the disk.png").write_bytes(ENCODINGS[2].encode(drawn_picture(80, 60, 79)))
        for dataset in datasets:
            update_raw_frames(store, dataset)
        before = {dataset.slug: _rows(store, dataset.slug) for dataset in datasets}
    for dataset in datasets:
        try:
            update_raw_frames(store, dataset)
        except FolderGone:
            pass
        slug = dataset.slug
        trials.check(_rows(store, slug) == before[slug] and not read_deleted(store, slug), f"unmounted: {slug}")
    return "a disk unmounted under a registered folder, and one below a folder that stays"


_PLANTS: tuple[tuple[str, Any, str, Any, Callable[[Path], object]], ...] = (
    ("every folder proves itself", FolderProof, "proves", lambda *_: True, half_back),
    ("no loss is too large", deleted, "is_too_many", lambda *_: False, most_are_gone),
    ("disks below a folder are not looked at", frames, "known_mounts", lambda _: {}, disk_below_it_away),
)  # fmt: skip


def _planted(made: Path, trials: Trials) -> bool:
    """True when each guard's own absence fails the very trial that it is there for."""
    caught = []
    for number, (name, owner, attribute, careless, event) in enumerate(_PLANTS):
        data = made / f"planted {number}"
        dataset = DatasetSpec("film", "film", data / "input" / "film")
        _fill(dataset.folder)
        planted = Trials(trials.goal, trials.how, name)
        with _a_disk_below(dataset.folder), mock.patch.object(owner, attribute, careless):
            _one(Store(data), dataset, event, planted)
        caught.append(planted.failed > 0)
        trials.notes.append(f"planted: {name}: {planted.failed} of {planted.tried} trials fail")
    return all(caught)


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
                    "; ".join(plant[0] for plant in _PLANTS))  # fmt: skip
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
                dataset = datasets[number % 2]
                with _a_disk_below(dataset.folder):
                    _one(store, dataset, event, trials)
        trials.notes.append(_unmounted(root, store, trials))
        _true_deletion(store, datasets[0], trials)
        trials.caught = _planted(root, trials)
    return trials.figures()

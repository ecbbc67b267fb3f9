"""What lies in a dataset's folder right now: names, sizes, times; nothing is opened.

A folder is compared with itself by a fingerprint over its files, so that a tick over 100,000 files costs about a
second. What belongs elsewhere: reading and judging a file (vision.images), deciding what to run (planning).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Files that lie beside frames by custom and are no pictures: captions, notes, tables, subtitles, system files.
_BESIDE_FRAMES = frozenset(
    [
        ".txt",
        ".caption",
        ".json",
        ".jsonl",
        ".md",
        ".csv",
        ".tsv",
        ".xml",
        ".toml",
        ".yaml",
        ".yml",
        ".ini",
        ".log",
        ".db",
        ".srt",
        ".ass",
        ".npz",
        ".npy",
        ".safetensors",
    ]
)


LEFT_OUT = ".lora-assets-left-out"
"""A subfolder that holds a file of this name is no part of the dataset around it."""

# Tables hold signed 64-bit numbers; some file systems give inodes and times beyond them.
_LARGEST = (1 << 63) - 1


class FolderGone(FileNotFoundError):
    """The dataset's folder is not there or cannot be read (deleted, renamed, not mounted), or lost all its files."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file: `path` inside the folder with / as separator, size in bytes, times in ns; `problem` if not regular."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FolderScan:
    """All files of a folder in order of their names, the digest that changes when any of them does, the subfolders
    whose files are not known because they cannot be read, and the file system (see `filesystem_of`) of each subfolder
    that lies on another one than the folder around it: a disk that is mounted there."""

    files: tuple[FileStat, ...]
    fingerprint: str
    unreadable: tuple[str, ...] = ()
    mounts: dict[str, str] = field(default_factory=dict)


def _entry_problem(name: str, mode: int) -> str | None:
    if stat.S_ISLNK(mode):
        return "symbolic link: links are not followed; put the file itself here, or name its folder as a dataset"
    if not stat.S_ISREG(mode):
        return "not a regular file (a pipe, socket or device): remove it from the folder"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "the file's name is not valid UTF-8: rename the file"
    return None


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def _time(ns: int) -> int:
    return max(-_LARGEST, min(ns, _LARGEST))


def _unreadable(path: str, kind: str, error: OSError) -> FileStat:
    return FileStat(_shown(path), 0, 0, 0, 0, f"the {kind} cannot be read ({error.strerror}): give read rights")


def _file(entry: os.DirEntry[str] | Path, path: str) -> FileStat | None:
    """The facts of one file; None when it went away while the folder was listed."""
    try:
        told = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unreadable(path, "file", error)
    problem = _entry_problem(path, told.st_mode)
    shown = path if problem is None else _shown(path)
    inode = told.st_ino & _LARGEST
    return FileStat(shown, told.st_size, _time(told.st_mtime_ns), _time(told.st_ctime_ns), inode, problem)


def filesystem_of(folder: str | Path) -> str:
    """What tells the file system of a folder from others. Raises OSError.

    The device number of a disk may differ after each start of the machine; its own id does not, where it has one.
    """
    disk = os.statvfs(folder)
    return f"id {disk.f_fsid:x}" if disk.f_fsid else f"device {_device_of(folder):x}"


def _device_of(folder: str | Path) -> int:
    return os.stat(folder).st_dev  # noqa: PTH116 (strings: see below)


@dataclass(slots=True)
class _Seen:
    unreadable: list[str]
    mounts: dict[str, str]


def _note_mount(root: str, inside: str, around: int, seen: _Seen) -> int:
    """The device of a subfolder; a mount is noted when it is another one than that of the folder around it."""
    place = os.path.join(root, inside)  # noqa: PTH118
    try:
        device = _device_of(place)
        if device != around:
            seen.mounts[inside] = filesystem_of(place)
    except OSError:
        return around  # it went away, or is told as unreadable
    return device


def _walk(root: str, inside: str, device: int, seen: _Seen) -> Iterator[FileStat]:
    try:
        with os.scandir(os.path.join(root, inside)) as entries:  # noqa: PTH118 (strings: a Path per file costs 4x)
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if not inside:
            raise
        if not isinstance(error, FileNotFoundError):
            seen.unreadable.append(inside)
            yield _unreadable(inside, "folder", error)
        return
    if inside and any(entry.name == LEFT_OUT for entry in listed):
        return
    for entry in listed:
        if entry.name.startswith("."):
            continue
        path = f"{inside}/{entry.name}" if inside else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, _note_mount(root, path, device, seen), seen)
        elif os.path.splitext(entry.name)[1].lower() not in _BESIDE_FRAMES:  # noqa: PTH122
            file = _file(entry, path)
            if file is not None:
                yield file


def scan_folder(folder: Path, only: str = "") -> FolderScan:
    """List a folder and its subfolders, or `only` the file of that name in it. Hidden files, files that lie beside
    frames by custom, and subfolders with a file LEFT_OUT are left out.

    A subfolder that cannot be read is one file with a problem. Raises FolderGone when the folder itself, or the only
    file, is not there or cannot be read.
    """
    seen = _Seen([], {})
    if only:
        files = _only(folder, only)
        return FolderScan(files, _fingerprint(files))
    try:
        files = tuple(_walk(str(folder), "", _device_of(folder), seen))
        folder.stat()  # a folder that went away while it was listed is gone, and not one with fewer files
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FolderGone(
            f"the folder {folder} is gone: bring it back (or mount it) and run again; results are kept"
        ) from error
    except OSError as error:
        raise FolderGone(
            f"the folder {folder} cannot be read ({error.strerror}): give read rights or mend it, and run again; "
            "results are kept"
        ) from error
    return FolderScan(files, _fingerprint(files), tuple(seen.unreadable), seen.mounts)


def _fingerprint(files: tuple[FileStat, ...]) -> str:
    print_of = hashlib.sha256()
    for file in files:
        # The change time alone tells bytes that were replaced in place under the same size and modification time.
        told = f"{file.path}\0{file.size}\0{file.mtime_ns}\0{file.ctime_ns}\0{file.inode}\n"
        print_of.update(told.encode())
    return print_of.hexdigest()[:16]


def _only(folder: Path, name: str) -> tuple[FileStat, ...]:
    place = folder / name
    try:
        place.lstat()
        file = _file(place, name)
    except (FileNotFoundError, NotADirectoryError):
        file = None
    except OSError as error:
        raise FolderGone(
            f"the file {place} cannot be read ({error.strerror}): give read rights or mend its disk, and run again; "
            "results are kept"
        ) from error
    if file is None:
        raise FolderGone(f"the file {place} is gone: bring it back and run again; results are kept")
    return (file,)


def is_unchanged(folder: Path, file: FileStat) -> bool:
    """True when the file is, by size and times, as it was when it was listed. Some network disks give another inode at
    every look."""
    try:
        told = os.stat(folder / file.path, follow_symlinks=False)  # noqa: PTH116
    except OSError:
        return False
    now = (told.st_size, _time(told.st_mtime_ns), _time(told.st_ctime_ns))
    return now == (file.size, file.mtime_ns, file.ctime_ns)


def is_settled(file: FileStat, now_ns: int, settle_s: float) -> bool:
    """True when the file's last change by this machine's clock is `settle_s` or more away from now.

    The change time is used, not the modification time, which copying tools carry over from the source. A change time in
    the future (a clock that was set back) counts as settled, so that no file waits for years.
    """
    return settle_s <= 0 or not 0 <= now_ns - file.ctime_ns < settle_s * 1e9

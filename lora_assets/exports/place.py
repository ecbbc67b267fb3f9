"""Where exports lie: a folder appears whole or not at all, and one that holds other things is never touched.

An export is made in a temporary folder beside its place. Where one lies already, the two are exchanged in one step
(Linux renameat2 with RENAME_EXCHANGE); on a system without it, by two renames. A kill at any moment leaves the old or
the new one; what it left half-made beside is swept away by the next export to that place. The disk is not waited for:
a power cut may cost files, which the hashes of the manifest tell, and the next export makes it anew.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_assets.atomic import ASIDE, held_folder
from lora_assets.exports.records import ExportRefused
from lora_assets.store import StoreError

MANIFEST = "manifest.json"
_TEMPORARY = ".tmp-export-"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

# What trainers write beside the pictures that they read; it belongs to the export that it was made of.
_CACHE_FILES = (".npz", ".aitk_size.json", ".cache")
_CACHE_FOLDERS = ("cache", "_latent_cache", "_t_e_cache", "_clip_vision_cache", "__pycache__")

# What file managers leave in every folder that somebody looks at, in small letters; no trainer reads it.
_SYSTEM_FILES = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized")


def is_trainer_cache(path: Path) -> bool:
    """True for a file, by its path inside an export, that a trainer made for itself."""
    return path.name.endswith(_CACHE_FILES) or any(part in _CACHE_FOLDERS for part in path.parts[:-1])


def is_system_file(path: Path) -> bool:
    """True for a file that a file manager made for itself, such as .DS_Store."""
    return path.name.lower() in _SYSTEM_FILES


def files_in(folder: Path) -> list[Path]:
    """All files of a folder as paths inside it, sorted, without trainers' caches and file managers' own files. Links
    count as files."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(path for path in found if not is_trainer_cache(path) and not is_system_file(path))


def check_place(folder: Path, known: set[str] | None) -> None:
    """Raise ExportRefused when `folder` may not be replaced: it is no folder, or holds what no export wrote.

    `known` are the files that the manifest there names, None when there is none.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ExportRefused(f"{folder} is no folder: name another place, or move it away")
    if not folder.exists():
        return
    foreign = [path for path in files_in(folder) if known is None or str(path) not in {MANIFEST, *known}]
    if foreign:
        told = ", ".join(str(path) for path in foreign[:3])
        raise ExportRefused(
            f"{folder} holds {len(foreign)} files that no export wrote ({told}): an export replaces its folder whole, "
            "so name an empty one, or move them away"
        )


@contextmanager
def replaced_whole(folder: Path) -> Iterator[Path]:
    """A new empty folder; when the body ends well it takes the place of `folder`, else it vanishes.

    Raises StoreError when the disk does not take it; the old folder is then still there.
    """
    made = folder.with_name(f"{_TEMPORARY}{folder.name}-{secrets.token_hex(6)}")
    try:
        sweep_beside(folder)
        with held_folder(made):
            yield made
            _put_in_place(made, folder)
    except OSError as error:
        raise StoreError(
            f"cannot write the export {folder}: {error.strerror or error}; free space or rights, then export again "
            "(what was there before still is)"
        ) from error


@contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """An empty folder on the same disk, gone afterwards. Raises StoreError when the disk does not take it."""
    made = folder.with_name(f"{_TEMPORARY}{folder.name}-{secrets.token_hex(6)}")
    try:
        sweep_beside(folder)
        with held_folder(made):
            yield made
    except OSError as error:
        raise StoreError(
            f"cannot write beside {folder}: {error.strerror or error}; free space or rights, then export again"
        ) from error


def sweep_beside(folder: Path) -> None:
    """Remove what a killed export to this place left; the caller holds the lock of the place."""
    if not folder.parent.is_dir():
        return
    prefix = f"{_TEMPORARY}{folder.name}-"
    for path in sorted(folder.parent.glob(f"{prefix}*")):
        if "-" in path.name.removeprefix(prefix):
            continue  # of a place whose name begins like this one's
        if not folder.exists() and (path / MANIFEST).exists() and path.name.endswith(ASIDE):
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _put_in_place(made: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        made.rename(folder)
        return
    if _exchange(made, folder):
        return  # the old one now has the temporary name and vanishes with it
    aside = made.with_name(f"{made.name}{ASIDE}")
    folder.rename(aside)
    made.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0

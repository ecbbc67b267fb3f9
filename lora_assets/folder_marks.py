"""How an input folder proves that it is the one that was listed, so that an absent disk never reads as deleted files.

A folder under `data/input/` gets one hidden file, `.lora-assets-folder`, when it is first listed: the only thing that
is ever written among originals. Folders elsewhere, which are only read, and folders that may not be written are known
again by their file system and inode instead; these change when a disk is mounted anew, and are then learnt again as
soon as nothing is missing. A disk that is mounted on a subfolder is known by its file system. What follows from a
missing proof is decided in main_line.frames.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lora_assets.atomic import StoreError, atomic_write_bytes, sweep_folder
from lora_assets.input_folders import filesystem_of

MARK = ".lora-assets-folder"
_SAID = "This folder of pictures was listed by lora_assets; while this file is here, files that are gone were deleted."
_ID = re.compile(r"[0-9a-f]{32}")
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FolderProof:
    """What a folder is known by: the id in its mark ("" without one), its file system and its inode."""

    mark: str = ""
    filesystem: str = ""
    inode: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """The proof as it is kept among the facts of a listing."""
        return asdict(self)

    def proves(self, known: FolderProof | None) -> bool:
        """True when this is the folder that was `known`: by its mark where that had one, else by its place on disk."""
        if known is None:
            return False
        if known.mark:
            return self.mark == known.mark
        return bool(known.inode) and (self.filesystem, self.inode) == (known.filesystem, known.inode)


def known_proof(facts: Any) -> FolderProof | None:
    """The proof that was kept among facts; None for a listing that has none."""
    if not isinstance(facts, dict) or not {"mark", "filesystem", "inode"} <= set(facts):
        return None
    return FolderProof(str(facts["mark"]), str(facts["filesystem"]), str(facts["inode"]))


def _read_mark(folder: Path) -> str:
    try:
        handle = os.open(folder / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            told = json.loads(stream.read(_MOST_BYTES))
    except (OSError, ValueError):
        return ""
    mark = told.get("id") if isinstance(told, dict) else None
    return mark if isinstance(mark, str) and _ID.fullmatch(mark) else ""


def proof_of(folder: Path) -> FolderProof:
    """What the folder proves now; nothing at all when it is not there or cannot be read."""
    try:
        told, filesystem = folder.stat(), filesystem_of(folder)
    except OSError:
        return FolderProof()
    return FolderProof(_read_mark(folder), filesystem, str(told.st_ino))


def known_mounts(facts: Any) -> dict[str, str]:
    """The subfolders of a listing that were disks of their own, with their file systems, as kept among its facts."""
    return {str(path): str(disk) for path, disk in facts.items()} if isinstance(facts, dict) else {}


def hidden_mounts(folder: Path, known: Mapping[str, str]) -> set[str]:
    """Those of the `known` mounts below the folder whose disk is not there now: nothing is known of their files."""
    return {path for path, disk in known.items() if not _is_on(folder / path, disk)}


def _is_on(folder: Path, disk: str) -> bool:
    try:
        return filesystem_of(folder) == disk
    except OSError:
        return False


def may_be_marked(data: Path, folder: Path) -> bool:
    """True for a folder that lies under `data/input/` itself; others are only read, also those linked from there."""
    return (data / "input").resolve() in folder.resolve().parents


def marked(folder: Path) -> FolderProof:
    """The proof of a folder that has a mark from now on; without one where none can be written."""
    if not _read_mark(folder):
        told = json.dumps({"id": secrets.token_hex(16), "about": _SAID}, indent=1)
        try:
            sweep_folder(folder, deep=False)
            atomic_write_bytes(folder / MARK, told.encode() + b"\n")
        except StoreError:
            pass  # a read-only disk: its place is the proof
    return proof_of(folder)

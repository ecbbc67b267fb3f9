"""manifest.json of an export: what it is made of, what each picture was meant to be, and the hash of every file.

Nothing in it depends on the time or the machine, except the place under which the trainer sees the export.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.exports.place import MANIFEST, files_in
from lora_assets.exports.records import ExportRecord, LeftOut
from lora_assets.exports.settings import ExportSettings
from lora_assets.store import StoreError

KIND = "lora_assets export"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class MeantPicture:
    """What one picture of an export was meant to be. Units as in records.ExportRecord."""

    name: str
    crop_id: str
    dataset: str
    frame_sha256: str
    frame_file: str
    window: tuple[int, ...]
    width: int
    height: int
    caption: str
    part: str
    repeats: int
    head: tuple[float, ...] | None
    bounds: tuple[int, ...]
    figure_area: int
    mask_area: int
    thin_lost: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export says of itself. `inputs` is the digest of all that it was made of; `files` are SHA-256 by path."""

    format: str
    tracker: str
    trigger: str
    place: str
    inputs: str
    source: str
    tables: dict[str, str]
    recipes: dict[str, list[str]]
    settings: dict[str, Any]
    captions: dict[str, Any]
    counts: dict[str, int]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    pictures: tuple[MeantPicture, ...]
    files: dict[str, str]

    def export_settings(self) -> ExportSettings:
        """The settings that it was made with."""
        told = _with_tuples(self.settings)
        return ExportSettings(**told)


def meant(record: ExportRecord) -> MeantPicture:
    """What a record was meant to be, without its pixels."""
    names = [field.name for field in dataclasses.fields(MeantPicture)]
    return MeantPicture(**{name: getattr(record, name) for name in names})


def meant_all(records: Sequence[ExportRecord]) -> tuple[MeantPicture, ...]:
    """`meant` of every record, in order."""
    return tuple(meant(record) for record in records)


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an export but its manifest, by path inside it; trainers' caches are left out.

    A link counts as changed: its digest is that of nothing.
    """
    found: dict[str, str] = {}
    for path in files_in(folder):
        if path == Path(MANIFEST):
            continue
        whole = folder / path
        found[str(path)] = "" if whole.is_symlink() else hashlib.sha256(whole.read_bytes()).hexdigest()
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json into a folder that is still being made."""
    told = {"kind": KIND, "version": _VERSION, **dataclasses.asdict(manifest)}
    text = json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an export; None where there is none. Raises StoreError when it cannot be understood."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.pop("kind", None) != KIND or told.pop("version", None) != _VERSION:
            raise ValueError("it is of another program or another version")
        told["left_out"] = tuple(LeftOut(**one) for one in told["left_out"])
        told["notes"] = tuple(told["notes"])
        told["pictures"] = tuple(MeantPicture(**_with_tuples(one)) for one in told["pictures"])
        return Manifest(**told)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} cannot be understood ({error}): move the folder away and export again, or name another place"
        ) from error


def _with_tuples(told: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}

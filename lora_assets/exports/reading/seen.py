"""What a trainer sees of an export: pictures with captions, repeats and masks; and files found by its own rules.

A reader tells what its trainer would do, be it a refusal or a silent choice; whether that is a loss is said in judging.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lora_assets.exports.buckets import Size
from lora_assets.exports.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Export:
    """An export on this machine: its folder, and the manifest that it carries."""

    folder: Path
    manifest: Manifest

    def local(self, named: str) -> Path | None:
        """The file or folder here that a path in a trainer's configuration means; None when it leads elsewhere."""
        place = self.manifest.place.rstrip("/")
        if named == place:
            return self.folder
        if not named.startswith(f"{place}/"):
            return None
        inside = Path(named[len(place) + 1 :])
        return None if ".." in inside.parts else self.folder / inside


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """One picture as a trainer takes it. `caption` is None when it finds none; `mask` is the file of its mask, or the
    picture itself where its alpha is the mask, None without one; `bucket` where the trainer brings it to a size."""

    path: Path
    part: str
    repeats: float
    caption: str | None
    mask: Path | None = None
    bucket: Size | None = None

    @property
    def name(self) -> str:
        """The stem of the file."""
        return self.path.stem


@dataclass(slots=True)
class Seen:
    """All that a trainer sees. `faults` are refusals and misreadings in words, each with file, reason and way out;
    `remarks` what is worth knowing. `extra_masks` belong to no picture. `drops_partial_batches`: samples that fill no
    batch are left out; `same_order`: in every epoch the same ones. `has_captions`, `has_masks`: the format knows them.
    """

    pictures: list[SeenPicture] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    extra_masks: list[Path] = field(default_factory=list)
    batch_size: int = 1
    drops_partial_batches: bool = False
    same_order: bool = False
    has_captions: bool = True
    has_masks: bool = True
    has_repeats: bool = True


def pictures_in(folder: Path, endings: Iterable[str]) -> list[Path]:
    """The files that lie directly in a folder and end like pictures, sorted; none when the folder is not there."""
    known = {ending.lower() for ending in endings}
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in known)


def caption_text(path: Path) -> str | None:
    """The content of a caption file; None when there is none or it is no UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

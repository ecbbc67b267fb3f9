"""Where a layout is written, the place under which the trainer will see it, and what several layouts share."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.records import ExportRecord
from lora_assets.exports.settings import ExportSettings

PARTS = (TRAIN, VALIDATION)


@dataclass(frozen=True, slots=True)
class Target:
    """`folder` is written now; `place` is its path as the trainer's configuration will name it."""

    folder: Path
    place: str
    tracker: str
    trigger: str
    settings: ExportSettings

    def seen_as(self, inside: str) -> str:
        """The path of something inside the export as the trainer will see it."""
        return f"{self.place}/{inside}"


def of_part(records: Iterable[ExportRecord], part: str) -> list[ExportRecord]:
    """The records of the train or the validation part, in order."""
    return [record for record in records if record.part == part]


def by_repeats(records: Iterable[ExportRecord]) -> dict[int, list[ExportRecord]]:
    """Records by their repeats, fewest first."""
    found: dict[int, list[ExportRecord]] = defaultdict(list)
    for record in records:
        found[record.repeats].append(record)
    return {repeats: found[repeats] for repeats in sorted(found)}


def write_pictures(folder: Path, records: Iterable[ExportRecord]) -> None:
    """The pictures as NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        shutil.copyfile(record.picture, folder / f"{record.name}.png")


def write_captions(folder: Path, records: Iterable[ExportRecord]) -> None:
    """The captions as NAME.txt: UTF-8, one line, no line break at its end."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        (folder / f"{record.name}.txt").write_text(record.caption, encoding="utf-8", newline="")


def write_masks(folder: Path, records: Iterable[ExportRecord], ending: str = "") -> None:
    """The masks as NAME<ending>.png: 8-bit L, 255 = learn, as large as the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        shutil.copyfile(record.mask, folder / f"{record.name}{ending}.png")


def write_text(path: Path, text: str) -> None:
    """A text file: UTF-8, \\n at the end of each line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def bucket_facts(settings: ExportSettings) -> dict[str, int | bool]:
    """How sd-scripts is told of buckets, in its own words."""
    return {
        "enable_bucket": True,
        "min_bucket_reso": settings.shortest_bucket,
        "max_bucket_reso": settings.longest_bucket,
        "bucket_reso_steps": settings.bucket_step,
        "bucket_no_upscale": False,
    }


def parts_present(records: Sequence[ExportRecord]) -> list[str]:
    """Which of train and validation have records."""
    return [part for part in PARTS if of_part(records, part)]

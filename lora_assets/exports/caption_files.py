"""Captions of one's own in files: one per dataset (JSONL or CSV), or a .txt beside a frame. They win over templates.

    {"crop_id": "...", "caption": "..."}     of one crop
    {"frame": "a/b.png", "caption": "..."}   of every crop of a frame, by its path inside the dataset's folder

Where several datasets have a frame of that path, "dataset" says which. A CSV has the columns crop_id or frame, caption,
and dataset where it is needed. A row of a crop wins over one of its frame, and that over the .txt.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lora_assets.exports.caption_text import CaptionError, fault_of_line
from lora_assets.exports.pool import ExportCrop

_TOLD = 5
_MOST_BYTES = 64_000

# Labels of a detector (YOLO) lie beside pictures under the same name as captions do.
_NUMBERS = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?(?:\s+[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)+")
_NO_CAPTIONS_BESIDE = "set [caption] beside = false if the .txt files beside the frames are no captions"


@dataclass(frozen=True, slots=True)
class OwnCaptions:
    """The captions of one file, by crop id, and by dataset ("": the row names none) and the frame's path."""

    file: Path
    by_crop: dict[str, str] = field(default_factory=dict)
    by_frame: dict[tuple[str, str], str] = field(default_factory=dict)

    def check_frames(self, frames: Mapping[str, Container[str]]) -> None:
        """Raise CaptionError when a row names a frame that several datasets have, and not which. frames: paths by
        dataset."""
        clashes = []
        for dataset, path in self.by_frame:
            having = [] if dataset else sorted(name for name, paths in frames.items() if path in paths)
            if len(having) > 1:
                clashes.append(f"{path} (in {', '.join(having)})")
        if clashes:
            raise CaptionError(
                f"{self.file} names {len(clashes)} frames that several datasets have ({'; '.join(clashes[:3])}): add "
                '"dataset" to these rows (in a CSV: a column dataset)'
            )


def own_file(data: Path, dataset: str, named: str) -> Path | None:
    """The person's file for a dataset: the named one, else data/captions/DATASET.jsonl or .csv where there is one.

    Raises CaptionError when the named one is not there.
    """
    if named:
        path = Path(named).expanduser()
        path = path if path.is_absolute() else data / "captions" / path
        if not path.is_file():
            raise CaptionError(f"{path} is not there: [caption] own must name a .jsonl or .csv file")
        return path
    found = [data / "captions" / f"{dataset}{ending}" for ending in (".jsonl", ".csv")]
    return next((path for path in found if path.is_file()), None)


def read_own(path: Path) -> OwnCaptions:
    """The captions of a .jsonl or .csv file. Raises CaptionError naming the lines that cannot be used."""
    own = OwnCaptions(path)
    faults: list[str] = []
    for number, row in _rows(path):
        told = {name: row.get(name) or "" for name in ("crop_id", "frame", "caption", "dataset")}
        crop, frame, text, dataset = (str(value).strip() for value in told.values())
        odd = [name for name, value in told.items() if not isinstance(value, str)]
        fault = fault_of_line(text) if crop or frame else "it names neither crop_id nor frame"
        fault = f"its {odd[0]} is no text in quotes" if odd else fault
        if fault:
            faults.append(f"line {number}: {fault}")
        elif crop:
            own.by_crop[crop] = text
        else:
            own.by_frame[dataset, str(PurePosixPath(frame.replace("\\", "/")))] = text
    if faults:
        more = f" and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        raise CaptionError(f"{path}: {'; '.join(faults[:_TOLD])}{more}: mend them")
    return own


def _rows(path: Path) -> Iterable[tuple[int, dict[str, object]]]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as handle:
                reader = csv.DictReader(handle)
                if not {"caption"} <= set(reader.fieldnames or ()):
                    raise CaptionError(f"{path}: a CSV of captions has a first line with caption and crop_id or frame")
                return [(number, dict(row)) for number, row in enumerate(reader, start=2)]
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaptionError(f"{path} cannot be read as UTF-8 text ({error}): save it as UTF-8") from error
    found: list[tuple[int, dict[str, object]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CaptionError(f"{path}, line {number} is no JSON ({error}): one object per line") from error
        if not isinstance(row, dict):
            raise CaptionError(f'{path}, line {number} is no object such as {{"crop_id": ..., "caption": ...}}')
        found.append((number, row))
    return found


def beside_frame(crop: ExportCrop) -> tuple[str, Path] | None:
    """The .txt beside a crop's frame (the picture's name with .txt for its ending), and its path; None without one.

    Lines of numbers are a detector's labels and no caption. Raises CaptionError when it holds more than one line or is
    no UTF-8 text.
    """
    for name in crop.files:
        path = (crop.folder / name).with_suffix(".txt")
        # Path.is_file raises where a disk fails, and for a name that becomes too long by the ending.
        if not os.path.isfile(path) or path.stat().st_size > _MOST_BYTES:  # noqa: PTH113
            continue
        try:
            text = path.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CaptionError(
                f"{path} cannot be read as UTF-8 text ({error}): save it as UTF-8, or {_NO_CAPTIONS_BESIDE}"
            ) from error
        if not text or all(_NUMBERS.fullmatch(line.strip()) for line in text.splitlines() if line.strip()):
            continue
        if fault := fault_of_line(text):
            raise CaptionError(f"{path}: {fault}, or {_NO_CAPTIONS_BESIDE}")
        return text, path
    return None


def own_caption(crop: ExportCrop, own: OwnCaptions | None, *, beside: bool) -> tuple[str, str] | None:
    """A crop's caption from a file of one's own, and the file's name; None when there is none."""
    if own is not None:
        if crop.crop_id in own.by_crop:
            return own.by_crop[crop.crop_id], own.file.name
        for name in crop.files:
            for dataset in (crop.dataset, ""):
                if (dataset, name) in own.by_frame:
                    return own.by_frame[dataset, name], own.file.name
    if beside:
        found = beside_frame(crop)
        if found is not None:
            return found[0], found[1].name
    return None


def unknown_crops(own: Sequence[OwnCaptions], crops: Iterable[ExportCrop]) -> list[str]:
    """Crop ids that files name and that are not among the crops."""
    known = {crop.crop_id for crop in crops}
    return sorted({crop for one in own for crop in one.by_crop if crop not in known})

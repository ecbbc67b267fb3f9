"""A preset that won becomes a tracker's: written into its file, or, where it is sealed, into that of a new tracker.

The file keeps the person's comments and everything else. Reads no model and no picture, so that pages can use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit import TOMLDocument

from lora_assets.specs import (
    LIVE,
    SpecError,
    TrackerSpec,
    check_tracker_id,
    known_tracker_ids,
    read_tracker,
    tracker_file_lock,
    tracker_path,
)
from lora_assets.store import atomic_write_bytes


class TrackerSealed(SpecError):
    """The tracker is sealed, so that its preset stays; the text names the way out."""


class NameTaken(SpecError):
    """A new tracker was asked for under a name that is in use."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was done: the tracker whose file has the preset now, the preset by its full name, and the one before."""

    tracker: str
    preset: str
    before: str
    path: Path
    is_new: bool


def suggested_id(data: Path, tracker: str, preset: str) -> str:
    """An ID for a copy of a tracker with another preset that no tracker has yet."""
    part = "".join(letter if letter.isalnum() else "-" for letter in preset.split(":")[0])
    part += "-own" if ":" in preset else ""
    base = f"{tracker[: 60 - len(part)]}-{part}"
    taken = set(known_tracker_ids(data))
    names = (base, *(f"{base[:60]}-{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken)


def preset_of(spec: TrackerSpec) -> str:
    """The preset that a tracker's file names, or the default."""
    # Loads OpenCV, which the page server should not at its start.
    from lora_assets.vision.refine import RefineSettings

    return str(spec.settings.get("refine", {}).get("preset", RefineSettings().preset))


def adopt_preset(data: Path, tracker: str, preset: str, as_tracker: str = "") -> Adopted:
    """Write a preset into the file of a tracker, or, with `as_tracker`, into that of a new one that is its copy.

    The copy is open, has the tracker as its baseline, and says in its note where it comes from. Raises SpecError for a
    tracker or preset that is unknown, TrackerSealed for a sealed tracker without a new name, NameTaken for a name that
    is in use.
    """
    from lora_assets.vision.refine_presets import find_preset

    spec = read_tracker(data, tracker)
    try:
        name = find_preset(preset).name
    except ValueError as error:
        raise SpecError(str(error)) from error
    if not as_tracker:
        path = tracker_path(data, tracker)
        with tracker_file_lock(data, tracker):
            # Read anew: it may have been sealed while we waited.
            spec = read_tracker(data, tracker)
            if spec.sealed:
                raise TrackerSealed(
                    f"tracker {tracker} is sealed and keeps its masks: adopt {name} for a new tracker, for example "
                    f"with lora-assets adopt {tracker} {preset} --as {suggested_id(data, tracker, name)}"
                )
            document = _document(path)
            _set_preset(document, name)
            atomic_write_bytes(path, tomlkit.dumps(document).encode())
        return Adopted(tracker, name, preset_of(spec), path, False)
    if as_tracker == LIVE:
        raise NameTaken("LIVE follows every folder and is no copy: choose another ID")
    path = tracker_path(data, check_tracker_id(as_tracker))
    with tracker_file_lock(data, as_tracker):
        if path.exists():
            raise NameTaken(f"tracker {as_tracker} exists already ({path}): choose another ID")
        document = _document(tracker_path(data, tracker))
        _set_preset(document, name)
        document["sealed"] = False
        document["baseline"] = tracker
        document["note"] = f"{tracker} with refinement preset {name}" + (f"; {spec.note}" if spec.note else "")
        atomic_write_bytes(path, tomlkit.dumps(document).encode())
    return Adopted(as_tracker, name, preset_of(spec), path, True)


def _document(path: Path) -> TOMLDocument:
    return tomlkit.parse(path.read_text(encoding="utf-8"))


def _set_preset(document: TOMLDocument, name: str) -> None:
    if "refine" not in document:
        document.add("refine", tomlkit.table())
    document["refine"]["preset"] = name  # pyright: ignore[reportIndexIssue]

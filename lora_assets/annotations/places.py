"""Where annotated sets and segmenters' settings files lie under `data/`, and which set a settings file names.

What else a settings file says belongs to finetuning.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from lora_assets.annotations.records import AnnotationError

_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)


def check_name(name: str, what: str = "the name") -> str:
    """The name itself; names are folders and partition keys. Raises AnnotationError when it does not fit."""
    if not _NAME.fullmatch(name):
        raise AnnotationError(f"{what} {name!r} does not fit: use 1 to 64 letters, digits, '_' or '-'")
    if _DEVICES.fullmatch(name):
        raise AnnotationError(f"{what} {name!r} is a device and no folder on Windows: choose another name")
    return name


def annotations_folder(data: Path, named: str) -> Path:
    """The folder of an annotated set: an absolute path as it is, a name in `data/annotations`. Raises AnnotationError
    for a name that does not fit and the home of nobody."""
    try:
        path = Path(named).expanduser()
    except RuntimeError as error:
        raise AnnotationError(f"the annotated set {named!r}: there is no such home folder; name all of it") from error
    return path if path.is_absolute() else data / "annotations" / check_name(named, "the annotated set")


def segmenter_path(data: Path, segmenter: str) -> Path:
    """The settings file of a segmenter; the name is checked, so that no user text becomes a path."""
    return data / "segmenters" / f"{check_name(segmenter, 'the segmenter')}.toml"


def known_segmenters(data: Path) -> list[str]:
    """The names of all settings files."""
    return sorted(path.stem for path in (data / "segmenters").glob("*.toml") if _NAME.fullmatch(path.stem))


def annotations_of(data: Path, segmenter: str) -> Path:
    """The folder of the set that a segmenter's settings file names. Raises AnnotationError when it names none."""
    path = segmenter_path(data, segmenter)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(known_segmenters(data)) or "none yet"
        raise AnnotationError(f"{path}: there is no such settings file; known segmenters: {known}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AnnotationError(f"{path} cannot be read as TOML: {error}. Mend the file") from error
    named = told.get("annotations")
    if not isinstance(named, str) or not named.strip():
        raise AnnotationError(f'{path}: needs an entry annotations = "NAME" or an absolute path')
    return annotations_folder(data, named)

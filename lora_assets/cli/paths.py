"""Paths as a person writes them on a command line. What must lie there is told by the commands (folders)."""

from __future__ import annotations

from pathlib import Path

from lora_assets.specs import SpecError


def expanded(path: Path) -> Path:
    """The path with `~` replaced. Raises SpecError for the home of nobody."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SpecError(f"{path}: there is no such user's home; write the whole path") from error


def resolved(path: Path) -> Path:
    """The absolute path with `~` and links replaced. Raises SpecError for the home of nobody and links in a circle."""
    place = expanded(path)
    try:
        return place.resolve()
    except RuntimeError as error:
        raise SpecError(f"{place.absolute()}: its links lead in a circle; mend them, or write another path") from error

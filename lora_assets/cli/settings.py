"""Settings of a tracker as they are given on a command line. What they mean is beside each algorithm in vision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lora_assets.cli.paths import expanded
from lora_assets.specs import SECTIONS, SpecError


def given_settings(
    detectors: list[str], segmenter: str | None, preset: str | None, assignments: list[str]
) -> dict[str, dict[str, Any]]:
    """The settings that a person gave, by section. Weights may be files relative to where the person stands.

    Call it before the project's folder becomes the current one. Raises SpecError for an entry that cannot be read.
    """
    settings: dict[str, dict[str, Any]] = {}
    if detectors:
        settings.setdefault("detect", {})["weights"] = [weights_from_here(name) for name in detectors]
    if segmenter:
        settings.setdefault("segment", {})["weights"] = weights_from_here(segmenter)
    if preset:
        settings.setdefault("refine", {})["preset"] = preset
    for text in assignments:
        section, name, value = _assignment(text)
        settings.setdefault(section, {})[name] = value
    return settings


def weights_from_here(name: str) -> str:
    """The absolute path of a weights file or a SAM 2 folder, or the name as it is."""
    path = expanded(Path(name))
    return str(path.absolute()) if path.is_file() or (path / "config.json").is_file() else name


def _assignment(text: str) -> tuple[str, str, Any]:
    place, equals, value = text.partition("=")
    section, dot, name = place.strip().partition(".")
    if not equals or not dot or section not in SECTIONS:
        raise SpecError(
            f"setting {text!r} does not fit: write SECTION.NAME=VALUE with a section of {', '.join(SECTIONS)}"
        )
    try:
        return section, name, tomlkit.parse(f"v = {value}").unwrap()["v"]
    except TOMLKitError:
        return section, name, value.strip()

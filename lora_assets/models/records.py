"""What a person said about weights: files taken in (`data/models/added.toml`) and hashes accepted (`pins.toml`).

What belongs elsewhere: the weights that the package knows by itself (registry).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lora_assets.models.registry import ModelError
from lora_assets.store import atomic_write_bytes


@dataclass(frozen=True, slots=True)
class AddedWeights:
    """A person's own weights: name, file under `data/models/`, SHA-256 at the time of adding, family and task."""

    name: str
    file: str
    sha256: str
    family: str
    task: str


def _added_path(data: Path) -> Path:
    return data / "models" / "added.toml"


def _pins_path(data: Path) -> Path:
    return data / "models" / "pins.toml"


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ModelError(f"{path} cannot be read as TOML: {error}. Mend the file or delete it") from error


def read_added(data: Path) -> dict[str, AddedWeights]:
    """The added weights by name. Raises ModelError when the file is damaged."""
    found: dict[str, AddedWeights] = {}
    for name, told in _read(_added_path(data)).items():
        fields = [told.get(key) if isinstance(told, dict) else None for key in ("file", "sha256", "family", "task")]
        if not all(isinstance(value, str) and value for value in fields):
            raise ModelError(
                f"{_added_path(data)}: [{name}] must hold file, sha256, family and task; "
                "mend the entry or delete it and add the file again"
            )
        found[name] = AddedWeights(name, *fields)  # pyright: ignore[reportArgumentType]
    return found


def record_added(data: Path, weights: AddedWeights) -> None:
    """Write or replace the entry of one added file; other entries and comments stay."""
    read_added(data)
    path = _added_path(data)
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    entry = {"file": weights.file, "sha256": weights.sha256, "family": weights.family, "task": weights.task}
    document[weights.name] = tomlkit.item(entry)
    atomic_write_bytes(path, tomlkit.dumps(document).encode())


def read_pins(data: Path) -> dict[str, str]:
    """SHA-256 by weights name, of known weights without a published hash that a person accepted."""
    return {name: str(value) for name, value in _read(_pins_path(data)).items()}


def record_pin(data: Path, name: str, sha256: str) -> None:
    """Remember the hash of weights that came without one: from now on the file must keep it."""
    document = tomlkit.document()
    for known, value in {**read_pins(data), name: sha256}.items():
        document[known] = value
    atomic_write_bytes(_pins_path(data), tomlkit.dumps(document).encode())

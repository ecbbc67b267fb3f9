"""Where the project lies: the folder with `dagster.yaml`, and its `data/`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lora_assets.specs import SpecError


@dataclass(frozen=True, slots=True)
class Project:
    """The project's folder. Commands run in it, because Dagster's storage paths are relative to it."""

    root: Path

    @property
    def data(self) -> Path:
        """The folder of everything that the project reads and makes."""
        return self.root / "data"


def find_project() -> Project:
    """The nearest folder with a dagster.yaml, from the current one upwards; LORA_ASSETS_HOME overrides.

    Raises SpecError when there is none.
    """
    told = os.environ.get("LORA_ASSETS_HOME")
    start = Path(told).resolve() if told else Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "dagster.yaml").exists():
            return Project(folder)
    raise SpecError(
        f"{start} is not a lora_assets project: no dagster.yaml here or above. Start in the project's folder"
    )


def enter_project() -> Project:
    """Find the project and make its folder the current one. A data folder in which nothing was made yet is closed to
    other users of the machine: the pictures are private. One that a person opened later stays as it is."""
    project = find_project()
    os.chdir(project.root)
    _close_new_data(project.data)
    return project


def _close_new_data(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, exist_ok=True)
        made = {entry.name for entry in data.iterdir()} - {"README.md", "input"}
        if not made and data.stat().st_uid == os.getuid() and data.stat().st_mode & 0o077:
            data.chmod(0o700)
    except OSError:
        # A read-only or foreign folder: what a command needs of it, it tells itself.
        return

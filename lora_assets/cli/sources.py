"""The dataset, or the folder anywhere, that a command works on without a tracker (mine, sweep)."""

from __future__ import annotations

from pathlib import Path

from lora_assets.cli.folders import check_has_pictures, given_folder
from lora_assets.cli.paths import expanded
from lora_assets.specs import DatasetSpec, SpecError, list_datasets, register_dataset


def folder_from_here(source: str) -> Path | None:
    """The folder that the person means from where they stand, before the project's folder becomes the current one."""
    path = expanded(Path(source)) if source else None
    return given_folder(path) if path is not None and path.is_dir() else None


def named_dataset(data: Path, source: str, folder: Path | None) -> DatasetSpec:
    """The dataset of this key or name, else the `folder`, which is registered. Raises SpecError for neither."""
    known = list_datasets(data)
    by_name = {spec.name: spec for spec in known.values()}
    if source in known or source in by_name:
        return known.get(source) or by_name[source]
    if folder is None:
        raise SpecError(f"{source} is neither a dataset nor a folder. Known datasets: {', '.join(known) or 'none'}")
    check_has_pictures(folder)
    return register_dataset(data, folder)

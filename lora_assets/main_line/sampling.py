"""A share of a folder's pictures instead of all of them: section [sample] of `data/settings.toml`.

A picture is in or out by its path and the seed alone, so that a larger share holds the smaller one, new files change
nothing for the others, and what is left out is never opened. What belongs elsewhere: listing (frames), the samples of
mining and of the mask lab, which look at frames that are listed.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.input_folders import FileStat
from lora_assets.specs import DatasetSpec, SpecError, list_datasets

_PICTURES = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif", ".mpo")
)


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """`sampling_rate`: the share of a folder's pictures that are frames, above 0 and up to 1, drawn with `seed`.
    `datasets`: the slugs or names of those that are sampled, with the frames of their videos; empty for all."""

    sampling_rate: float = 1.0
    seed: int = 0
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for what is no share, no seed or no list of names."""
        rate = self.sampling_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise ValueError(f"sampling_rate must lie above 0 and up to 1, not {rate!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"seed must be a whole number, not {self.seed!r}")
        if not all(isinstance(name, str) for name in self.datasets):
            raise ValueError("datasets must be a list of names")

    @property
    def facts(self) -> dict[str, Any]:
        """The share as it is kept among the facts of a listing; empty for all files."""
        return {} if self.sampling_rate == 1 else {"sampling_rate": self.sampling_rate, "seed": self.seed}

    def files(self, files: Iterable[FileStat]) -> list[FileStat]:
        """The files that belong to the share. What is not named like a picture is always taken: a video, or a file that
        is to be told of."""
        return [file for file in files if self._takes(file.path)]

    def _takes(self, path: str) -> bool:
        if self.sampling_rate == 1 or Path(path).suffix.lower() not in _PICTURES:
            return True
        drawn = hashlib.sha256(f"{self.seed}\0{path}".encode()).digest()
        return math.ldexp(int.from_bytes(drawn[:8], "big"), -64) < self.sampling_rate


def sample_settings(data: Path, dataset: DatasetSpec) -> SampleSettings:
    """The share of a dataset's pictures that are frames: all of one that is a single file. Raises SpecError naming the
    entry that does not fit."""
    path = data / "settings.toml"
    if not path.exists():
        return SampleSettings()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8")).get("sample", {})
        names = told.get("datasets", [])
        if not isinstance(names, list):
            raise ValueError("datasets must be a list of names")
        settings = SampleSettings(**{**told, "datasets": tuple(names)})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(f"{path}, section [sample]: {error}; it may hold sampling_rate, seed and datasets") from error
    if dataset.only or (settings.datasets and not _names(data, dataset) & set(settings.datasets)):
        return SampleSettings()
    return settings


def _names(data: Path, dataset: DatasetSpec) -> set[str]:
    """What a person may call a dataset; the frames of videos also by what the folder with the videos is called."""
    of = list_datasets(data).get(dataset.videos_of) if dataset.videos_of else None
    return {dataset.slug, dataset.name, dataset.videos_of, of.name if of else ""} - {""}


def is_of_sample(data: Path, dataset: DatasetSpec, facts: dict[str, Any]) -> bool:
    """True when a listing, by its facts, holds the share of pictures that the settings ask for."""
    return (facts.get("sample") or {}) == sample_settings(data, dataset).facts

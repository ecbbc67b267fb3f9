"""What a person writes down: which folders are datasets, and what each tracker is made of (`data/trackers/<ID>.toml`).

A tracker's file is the truth about it: datasets, baseline, note, settings that differ from the defaults, sealed or not.
Edits keep the person's comments. What belongs elsewhere: the meaning and the defaults of a setting (beside its
algorithm in vision), what has been computed (store).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lora_assets.store import Store, atomic_write_bytes

LIVE = "LIVE"
MAIN_SECTIONS = ("detect", "segment", "refine", "score")
"""Sections that make a tracker's results. The later ones only look at results, so that a sealed tracker may change
them."""
LATER_SECTIONS = ("quality", "identity", "curate", "caption", "export", "compare", "mining", "mask_lab", "layers")
SECTIONS = (*MAIN_SECTIONS, *LATER_SECTIONS)
Settings = TypeVar("Settings")
_TRACKER_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_SLUG = re.compile(r"[A-Za-z0-9._-]+")
_MARKED_SLUG = re.compile(r"[A-Za-z0-9._-]+-[0-9a-f]{8}")


class SpecError(ValueError):
    """A tracker or dataset that a person named does not fit; the text says which, why and the way out."""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A folder of frames: `slug` is its key everywhere, `name` what people see, `folder` where the originals lie.
    `videos_of` is the slug of the dataset whose videos these frames are of; empty for a person's own folder. `only` is
    the one file of the folder that is the dataset; empty for all of them."""

    slug: str
    name: str
    folder: Path
    videos_of: str = ""
    only: str = ""

    @property
    def place(self) -> Path:
        """What a person named: the folder, or the one file."""
        return self.folder / self.only


@dataclass(frozen=True, slots=True)
class TrackerSpec:
    """One named evaluation. `datasets` is None for a tracker that follows every folder."""

    id: str
    datasets: tuple[str, ...] | None = None
    note: str = ""
    ticket: str = ""
    baseline: str = ""
    sealed: bool = False
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def covers(self, dataset: str) -> bool:
        """True when the dataset belongs to the tracker."""
        return self.datasets is None or dataset in self.datasets


def check_tracker_id(text: str) -> str:
    """The ID itself, or SpecError. IDs are file names and parts of addresses: letters, digits, _ and -, up to 64."""
    if not _TRACKER_ID.fullmatch(text):
        raise SpecError(
            f"tracker ID {text!r} does not fit: use 1 to 64 letters, digits, '_' or '-' (for example INTEGRATE-3-6-05)"
        )
    return text


def _shown(name: str) -> str:
    """A file's name as text that can be printed and stored: bytes that are no UTF-8 are told by their numbers."""
    return name.encode("utf-8", "backslashreplace").decode()


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def dataset_slug(name: str) -> str:
    """A key of `[A-Za-z0-9._-]` for a folder's name; a short hash is added when anything fell away, so that two
    Japanese names never collide."""
    name = unicodedata.normalize("NFC", name)
    kept = _UNFIT.sub("-", name).strip("-.")[:60]
    if kept == name:
        return kept
    return f"{kept}-{_mark(name)}" if kept else f"dataset-{_mark(name)}"


# --- datasets --------------------------------------------------------------------------------------------------------


def _registered_path(data: Path, slug: str) -> Path:
    return data / "datasets" / f"{slug}.toml"


def _input_folders(data: Path) -> list[Path]:
    root = data / "input"
    if not root.is_dir():
        return []
    # Path.is_dir raises for a link to a disk that fails or may not be read, which must not cost all other folders.
    return sorted(p for p in root.iterdir() if os.path.isdir(p) and not p.name.startswith("."))  # noqa: PTH112


def _registered(data: Path) -> tuple[dict[str, DatasetSpec], list[str]]:
    """The datasets that a person named, by slug, and in words which of their files cannot be used."""
    found: dict[str, DatasetSpec] = {}
    problems: list[str] = []
    for path in sorted(p for p in (data / "datasets").glob("*.toml") if not p.name.startswith(".")):
        try:
            told = _parse(path)
        except SpecError as error:
            problems.append(str(error))
            continue
        folder, only = told.get("folder"), told.get("file", "")
        if not _SLUG.fullmatch(path.stem):
            problems.append(f"{path}: a dataset's file is named with letters, digits, '.', '_' and '-': rename it")
        elif not isinstance(folder, str) or not Path(folder).is_absolute() or "\0" in folder:
            problems.append(
                f'{path}: needs an entry folder = "/path/to/frames" with an absolute path: mend or delete it'
            )
        elif not isinstance(only, str) or "\0" in only or (only and Path(only).name != only):
            problems.append(f'{path}: the entry file = "NAME" names one file of that folder: mend or delete it')
        else:
            name = str(told.get("name") or only or Path(folder).name)
            found[path.stem] = DatasetSpec(path.stem, name, Path(folder), only=only)
    return found, problems


def video_frames_folder(data: Path, dataset: str) -> Path:
    """Where the frames of a dataset's videos lie."""
    return data / "video_frames" / dataset


def _of_videos(data: Path, found: dict[str, DatasetSpec]) -> Iterator[DatasetSpec]:
    root = data / "video_frames"
    for folder in sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else ():
        if not _SLUG.fullmatch(folder.name) or folder.name.startswith("."):
            continue
        name = found[folder.name].name if folder.name in found else folder.name
        slug = f"{folder.name}.video"
        if slug in found:
            slug = f"{slug}-{_mark(str(folder.resolve()))}"
        yield DatasetSpec(slug, f"{name} (video)", folder, folder.name)


def list_datasets(data: Path) -> dict[str, DatasetSpec]:
    """All datasets by slug: the folders under `data/input/`, the folders elsewhere that a person named, and the frames
    of the videos in these.

    Of two folders with one slug the one named elsewhere keeps it; the one under `data/input/` gets a mark of its path.
    Files in `data/datasets/` that cannot be used are left out; `dataset_problems` tells them.
    """
    found, _ = _registered(data)
    for folder in _input_folders(data):
        slug = dataset_slug(folder.name)
        if slug in found:
            if found[slug].place.resolve() == folder.resolve():
                continue
            slug = f"{slug}-{_mark(str(folder.resolve()))}"
        found[slug] = DatasetSpec(slug, _shown(folder.name), folder)
    found.update({spec.slug: spec for spec in list(_of_videos(data, found))})
    return found


def of_videos(data: Path, dataset: DatasetSpec) -> DatasetSpec:
    """The dataset of the frames of a dataset's videos; its folder is made when there is none yet."""
    video_frames_folder(data, dataset.slug).mkdir(parents=True, exist_ok=True)
    return next(spec for spec in list_datasets(data).values() if spec.videos_of == dataset.slug)


def dataset_problems(data: Path) -> list[str]:
    """In words, which files in `data/datasets/` cannot be used and why."""
    return _registered(data)[1]


def dataset_at(data: Path, place: Path) -> DatasetSpec:
    """The dataset of a folder or of one file, as it is known or as `register_dataset` would write it down.

    Raises SpecError when there is no such folder or file.
    """
    place = place.expanduser().resolve()
    if not place.is_dir() and not place.is_file():
        raise SpecError(f"{place} is not there: name an existing folder of pictures, a picture or a video")
    known = list_datasets(data)
    for spec in known.values():
        if spec.place.resolve() == place:
            return spec
    slug = dataset_slug(place.name or "root")
    if slug in known:
        slug = f"{slug}-{_mark(str(place))}"
    if place.is_dir():
        return DatasetSpec(slug, place.name, place)
    return DatasetSpec(slug, place.name, place.parent, only=place.name)


def register_dataset(data: Path, place: Path) -> DatasetSpec:
    """The dataset of any folder or one file, read in place; outside `data/input/` it is remembered in `data/datasets/`.

    Raises SpecError when there is no such folder or file.
    """
    spec = dataset_at(data, place)
    if spec.slug in list_datasets(data):
        return spec
    document = tomlkit.document()
    document.add("name", tomlkit.item(spec.name))
    document.add("folder", tomlkit.item(str(spec.folder)))
    if spec.only:
        document.add("file", tomlkit.item(spec.only))
    atomic_write_bytes(_registered_path(data, spec.slug), tomlkit.dumps(document).encode())
    return spec


# --- trackers --------------------------------------------------------------------------------------------------------


def tracker_path(data: Path, tracker: str) -> Path:
    """The file of a tracker; the ID is checked first, so that no user text becomes a path."""
    return data / "trackers" / f"{check_tracker_id(tracker)}.toml"


def tracker_file_lock(data: Path, tracker: str) -> AbstractContextManager[None]:
    """Held by whoever reads a tracker's file to write it anew, so that no seal and no setting is lost between. Held by
    this process already, it never comes free."""
    return Store(data).lock(f"tracker-file-{check_tracker_id(tracker)}")


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SpecError(f"{path} cannot be read as TOML: {error}. Mend the file or delete it") from error


def _slugs_of(data: Path, names: list[str]) -> tuple[str, ...]:
    """The slugs of datasets that a person gave by slug or by the folder's name, each once, in the person's order."""
    known = list_datasets(data)
    by_name = {spec.name: slug for slug, spec in known.items()}

    def slug_of(text: str) -> str:
        if text in known or text in by_name:
            return text if text in known else by_name[text]
        # A dataset that is gone: a marked slug has no other slug, a name has one.
        return text if _MARKED_SLUG.fullmatch(text) else dataset_slug(text)

    return tuple(dict.fromkeys(slug_of(text) for text in names))


def read_tracker(data: Path, tracker: str) -> TrackerSpec:
    """The tracker's spec; datasets given by their folder's name are told by slug.

    Raises SpecError when there is none, or when its file does not say what it must.
    """
    path = tracker_path(data, tracker)
    if not path.exists():
        names = ", ".join(known_tracker_ids(data)) or "none yet"
        raise SpecError(
            f"there is no tracker {tracker}. Known: {names}. Make one with: lora-assets tracker new {tracker}"
        )
    told = _parse(path)
    unknown = set(told) - {"datasets", "note", "ticket", "baseline", "sealed", *SECTIONS}
    if unknown:
        raise SpecError(f"{path}: unknown entries {', '.join(sorted(unknown))}; known sections: {', '.join(SECTIONS)}")
    datasets = told.get("datasets")
    if datasets is not None and not (isinstance(datasets, list) and all(isinstance(d, str) for d in datasets)):
        raise SpecError(f"{path}: datasets must be a list of names, or left out to follow every folder")
    if not isinstance(told.get("sealed", False), bool):
        raise SpecError(f"{path}: sealed must be true or false, without quotes")
    for section in SECTIONS:
        if not isinstance(told.get(section, {}), dict):
            raise SpecError(f"{path}: {section} must be a table of settings, written as [{section}]")
    return TrackerSpec(
        id=tracker,
        datasets=None if datasets is None else _slugs_of(data, datasets),
        note=str(told.get("note", "")),
        ticket=str(told.get("ticket", "")),
        baseline=str(told.get("baseline", "")),
        sealed=told.get("sealed", False),
        settings={section: dict(told[section]) for section in SECTIONS if told.get(section)},
    )


def section_settings(settings_type: type[Settings], spec: TrackerSpec, section: str) -> Settings:
    """One section of a tracker's file as the dataclass `settings_type`, whose defaults fill what the file leaves out.

    Raises SpecError naming the tracker, the section and the entry that does not fit.
    """
    values = spec.settings.get(section, {})
    known = {field.name: field for field in dataclasses.fields(settings_type)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SpecError(
            f"tracker {spec.id}, section [{section}]: unknown setting {', '.join(unknown)}; known: {', '.join(known)}"
        )
    # TOML has lists only; settings hold tuples, so that they can be hashed and compared.
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return settings_type(**given)
    except (TypeError, ValueError) as error:
        raise SpecError(f"tracker {spec.id}, section [{section}]: {error}") from error


def known_tracker_ids(data: Path) -> list[str]:
    """The IDs of all trackers that have a file, sorted."""
    return sorted(p.stem for p in (data / "trackers").glob("*.toml") if _TRACKER_ID.fullmatch(p.stem))


def write_tracker(data: Path, spec: TrackerSpec) -> Path:
    """Write a new tracker's file. Raises SpecError when the ID is taken: trackers are never overwritten, and for a
    LIVE that would not follow every folder."""
    path = tracker_path(data, spec.id)
    if spec.id == LIVE and spec.datasets is not None:
        raise SpecError("LIVE follows every folder and names none: choose another ID for a tracker of some datasets")
    document = tomlkit.document()
    for name in ("note", "ticket", "baseline"):
        if getattr(spec, name):
            document.add(name, tomlkit.item(getattr(spec, name)))
    if spec.datasets is not None:
        document.add("datasets", tomlkit.item(list(spec.datasets)))
    document.add("sealed", tomlkit.item(spec.sealed))
    for section, values in spec.settings.items():
        document.add(section, tomlkit.item(values))
    with tracker_file_lock(data, spec.id):
        if path.exists():
            raise SpecError(f"tracker {spec.id} exists already ({path}): choose another ID, or edit the file")
        atomic_write_bytes(path, tomlkit.dumps(document).encode())
    return path


def set_sealed(data: Path, tracker: str, sealed: bool) -> None:
    """Seal or reopen a tracker, keeping everything else of its file. LIVE follows the folders and is never sealed."""
    if tracker == LIVE and sealed:
        raise SpecError("LIVE follows every folder and is never sealed: make a named tracker to keep a state")
    read_tracker(data, tracker)
    path = tracker_path(data, tracker)
    with tracker_file_lock(data, tracker):
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        document["sealed"] = sealed
        atomic_write_bytes(path, tomlkit.dumps(document).encode())


def ensure_live(data: Path) -> TrackerSpec:
    """The tracker LIVE, made with the defaults when it has no file yet."""
    if not tracker_path(data, LIVE).exists():
        write_tracker(data, TrackerSpec(LIVE, note="follows every folder under data/input"))
    return read_tracker(data, LIVE)

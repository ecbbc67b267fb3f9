"""Which crops of a tracker go into an export, with the part (train, validation) and the repeats of each.

The curated dataset decides where there is one. Without it, the crops of the high tier are taken, less those that a
person called bad or exclude, and with those called good; the table of characters then tells whom they show, and the
validation part is split by groups of alike crops.
What belongs elsewhere: choosing well (curation), what is written of a crop (records).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lora_assets.curation.splitting import TRAIN, VALIDATION, split_parts
from lora_assets.exports.settings import ExportSettings
from lora_assets.identity.registry import same_name
from lora_assets.specs import SpecError, list_datasets
from lora_assets.store import PublishedTable, Store, StoreError, digest
from lora_assets.tables import CharacterCrop, CropGroup, CuratedCrop, Detection, Mask, ScoredCrop, from_table
from lora_assets.verdicts import match_verdicts, open_log, tracker_places
from lora_assets.verdicts.log import log_path
from lora_assets.verdicts.places import cell_datasets
from lora_assets.verdicts.record import BAD, EXCLUDE, GOOD
from lora_assets.vision.crops import kept_mask

ShownCrop = TypeVar("ShownCrop", CuratedCrop, CharacterCrop)

UNCURATED_REPEATS = 10.0
CURATED, HIGH_TIER = "curated_dataset", "high tier"


@dataclass(frozen=True, slots=True)
class ExportCrop:
    """One crop to export: its tables' rows, its part and repeats, and where its frame lies.

    `mask` is the one that the crop was cut with; `detections` are all of its frame; `files` the frame's paths, of which
    any may be read whose bytes have the frame's hash.
    """

    crop_id: str
    dataset: str
    frame_sha256: str
    frame_size: tuple[int, int]
    folder: Path
    files: tuple[str, ...]
    row: ScoredCrop
    mask: Mask
    detections: tuple[Detection, ...]
    part: str = TRAIN
    repeats: float = 1.0
    framing: str = ""
    view: str = ""
    expression: str = ""
    character: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The crops of an export in a fixed order, which table decided, the versions of all tables read, and in words what
    a person should know. `why_empty` says why there is no crop."""

    crops: tuple[ExportCrop, ...]
    source: str
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    why_empty: str = ""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What is known of a chosen crop before its rows are read."""

    part: str = TRAIN
    repeats: float = 1.0
    framing: str = ""
    view: str = ""
    expression: str = ""
    character: str = ""


def export_pool(store: Store, tracker: str, settings: ExportSettings) -> Pool:
    """The crops to export, by dataset, file of the frame and place in the frame. Raises StoreError for damaged tables.

    Raises SpecError when one character's name stands for two, or when several named characters would share a trigger.
    """
    versions: dict[str, str] = {}
    datasets = cell_datasets(store, tracker)
    curated = store.published(store.table_path(CURATED, tracker))
    if curated is not None:
        versions[CURATED] = curated.version
        chosen, notes = _curated_choice(curated, settings)
        source = CURATED
    else:
        chosen, notes = _high_tier_choice(store, tracker, datasets, settings, versions)
        source = HIGH_TIER
    crops: list[ExportCrop] = []
    found: set[str] = set()
    for dataset in datasets:
        for crop in _crops_of(store, tracker, dataset, chosen, versions):
            if crop.crop_id not in found:
                found.add(crop.crop_id)
                crops.append(crop)
    lost = sorted(set(chosen) - found)
    if lost:
        notes.append(
            f"{len(lost)} chosen crops are no longer in the tracker's tables ({', '.join(lost[:3])}): choose anew"
        )
    crops.sort(key=lambda crop: (crop.dataset, crop.files[0], crop.row.x, crop.row.y, crop.crop_id))
    why = "" if crops else _why_empty(source, datasets, curated, settings)
    return Pool(tuple(crops), source, versions, tuple(notes), why)


def _why_empty(source: str, datasets: list[str], curated: PublishedTable | None, settings: ExportSettings) -> str:
    if not datasets:
        return "the tracker has no scored crops yet: run it first (lora-assets run)"
    if settings.character:
        return f"no chosen crop shows the character {settings.character!r} ([export] character): name another, or none"
    if source == CURATED and curated is not None:
        return (
            f"none of the {curated.rows} crops of the curated dataset is chosen: its reasons say why, loosen [curate]"
        )
    return "no crop is in the high tier and none was called good: look at the tracker's page, or curate the dataset"


def _curated_choice(table: PublishedTable, settings: ExportSettings) -> tuple[dict[str, _Choice], list[str]]:
    rows, notes = _of_one([row for row in from_table(table.read(), CuratedCrop) if row.chosen], settings)
    choice = {
        row.crop_id: _Choice(
            row.part or TRAIN, row.repeats or 1.0, row.framing, row.view, row.expression, row.character_name
        )
        for row in rows
    }
    return choice, notes


def _of_one(rows: list[ShownCrop], settings: ExportSettings) -> tuple[list[ShownCrop], list[str]]:
    """The rows of the character that is asked for, or all of them, and what a person should know. Raises SpecError when
    that name stands for two, or when nobody is asked for and several named ones are shown."""
    if settings.character:
        rows = _of_character(rows, settings.character)
    else:
        _refuse_mixed(rows)
    unnamed = {row.character_id for row in rows if row.character_id and not row.character_name}
    if len(unnamed) < 2:
        return rows, []
    return rows, [
        f"the chosen crops show {len(unnamed)} characters without a name under one trigger: name them, or choose one "
        "with [export] character"
    ]


def _of_character(rows: list[ShownCrop], wanted: str) -> list[ShownCrop]:
    """The rows of a character by its id, else by its name as a person reads it. Raises SpecError for a name of two."""
    by_id = [row for row in rows if row.character_id == wanted]
    if by_id:
        return by_id
    found = [row for row in rows if same_name(row.character_name, wanted)]
    ids = sorted({row.character_id for row in found if row.character_id})
    if len(ids) > 1:
        raise SpecError(_two_of_a_name(wanted, ids))
    return found


def _two_of_a_name(name: str, ids: list[str]) -> str:
    return (
        f"two characters are called {name!r} ({', '.join(ids)}): give one another name, join them, or name one by its "
        "id with [export] character"
    )


def _refuse_mixed(rows: Sequence[CuratedCrop | CharacterCrop]) -> None:
    names = sorted({row.character_name for row in rows if row.character_name})
    if len(names) > 1:
        raise SpecError(
            f"the chosen crops show {len(names)} characters ({', '.join(names[:4])}), and one trigger would stand for "
            "all of them: choose one with [export] character"
        )
    ids = sorted({row.character_id for row in rows if row.character_name and row.character_id})
    if len(ids) > 1:
        raise SpecError(_two_of_a_name(names[0], ids))


def _high_tier_choice(
    store: Store, tracker: str, datasets: list[str], settings: ExportSettings, versions: dict[str, str]
) -> tuple[dict[str, _Choice], list[str]]:
    said: dict[str, str] = {}
    if log_path(store.data).exists():
        with open_log(store.data) as log:
            verdicts = list(log.current().values())
        matching = match_verdicts(verdicts, tracker_places(store, tracker)).standing()
        said = {crop: verdict.value for crop, verdict in matching.by_crop().items()}
        versions["verdicts"] = digest(sorted(said.items()))
    taken: dict[str, str] = {}
    for dataset in datasets:
        table = store.cell_table("scored_crops", dataset, tracker)
        for row in table.read(["crop_id", "frame_sha256", "tier"]).to_pylist() if table else []:
            word = said.get(row["crop_id"], "")
            if word == GOOD or (row["tier"] == "high" and word not in (BAD, EXCLUDE)):
                taken[row["crop_id"]] = row["frame_sha256"]
    notes = ["there is no curated dataset: all crops of the high tier are taken, without bad and excluded ones"]
    shown, told = _shown(store, tracker, taken, settings, versions)
    if settings.character:
        taken = {crop: frame for crop, frame in taken.items() if crop in shown}
    notes += told
    validation, told = _validation_part(store, tracker, taken, settings.validation_share, versions)
    parts = {crop: VALIDATION if crop in validation else TRAIN for crop in taken}
    choice = {
        crop: _Choice(part, UNCURATED_REPEATS, character=shown[crop].character_name if crop in shown else "")
        for crop, part in parts.items()
    }
    return choice, [*notes, *told]


def _shown(
    store: Store, tracker: str, crops: Collection[str], settings: ExportSettings, versions: dict[str, str]
) -> tuple[dict[str, CharacterCrop], list[str]]:
    """Whom crops show, by crop id: of the character that is asked for its own alone. Raises SpecError when one is asked
    for and nothing is known of any, and as `_of_one`."""
    table = store.published(store.table_path("characters", tracker))
    if table is None and settings.character and crops:
        raise SpecError(
            f"who is shown is not known yet, so that no crop can be told to show {settings.character!r} ([export] "
            f"character): lora-assets curate {tracker}, or leave character out"
        )
    if table is None:
        return {}, []
    versions["characters"] = table.version
    rows, notes = _of_one([row for row in from_table(table.read(), CharacterCrop) if row.crop_id in crops], settings)
    return {row.crop_id: row for row in rows}, notes


def _validation_part(
    store: Store, tracker: str, crops: dict[str, str], share: float, versions: dict[str, str]
) -> tuple[set[str], list[str]]:
    """Whole shots, whole groups of alike crops and whole frames (by crop in `crops`), until the share is reached; never
    more than it."""
    table = store.published(store.table_path("crop_groups", tracker))
    if table is None:
        return set(), (["there are no groups of alike crops: nothing is held back for validation"] if share else [])
    versions["crop_groups"] = table.version
    group_of = {row.crop_id: row for row in from_table(table.read(), CropGroup)}
    # A crop that came after the groups were made stands alone.
    shots = [group_of[crop].shot if crop in group_of else f"crop {crop}" for crop in crops]
    groups = [group_of[crop].group if crop in group_of else f"crop {crop}" for crop in crops]
    parts = split_parts(shots, groups, share, seed=0, frames=[*crops.values()])
    return {crop for crop, part in zip(crops, parts, strict=True) if part == VALIDATION}, []


def _crops_of(
    store: Store, tracker: str, dataset: str, chosen: dict[str, _Choice], versions: dict[str, str]
) -> list[ExportCrop]:
    """The chosen crops of one cell with all their rows."""
    tables = {name: store.cell_table(name, dataset, tracker) for name in ("scored_crops", "masks", "detections")}
    frames = store.frames_of(dataset, tracker)
    if frames is None or any(table is None for table in tables.values()):
        missing = [name for name, table in tables.items() if table is None] + ([] if frames else ["frames"])
        raise StoreError(f"{dataset}|{tracker}: {', '.join(missing)} missing or damaged: materialize the cell again")
    rows = [row for row in _rows(tables["scored_crops"], ScoredCrop) if row.crop_id in chosen]
    versions.update({f"{name} {dataset}": table.version for name, table in tables.items() if table and rows})
    wanted = {row.frame_sha256 for row in rows}
    masks = {(row.frame_sha256, row.detection_id): row for row in _rows(tables["masks"], Mask, wanted)}
    detections: dict[str, list[Detection]] = defaultdict(list)
    for row in _rows(tables["detections"], Detection, wanted):
        detections[row.frame_sha256].append(row)
    files: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, tuple[int, int]] = {}
    for batch in frames.batches(["path", "sha256", "width", "height", "quarantine_reason"]):
        for row in batch.to_pylist():
            if row["sha256"] in wanted and row["quarantine_reason"] is None:
                files[row["sha256"]].append(row["path"])
                sizes[row["sha256"]] = (row["width"], row["height"])
    folder = _folder_of(store, dataset, frames)
    found = []
    for row in rows:
        mask = masks.get((row.frame_sha256, row.detection_id))
        if mask is None or row.frame_sha256 not in sizes:
            continue
        choice = chosen[row.crop_id]
        found.append(
            ExportCrop(
                row.crop_id, dataset, row.frame_sha256, sizes[row.frame_sha256], folder,
                tuple(sorted(files[row.frame_sha256])), row, kept_mask(mask, row.second_window, row.second_rle),
                tuple(detections[row.frame_sha256]), choice.part, choice.repeats, choice.framing, choice.view,
                choice.expression, choice.character,
            )
        )  # fmt: skip
    return found


def _folder_of(store: Store, dataset: str, frames: PublishedTable) -> Path:
    """Where the frames of a dataset lie now; where they were listed, when the dataset is not known any more."""
    known = list_datasets(store.data).get(dataset)
    if known is not None and os.path.isdir(known.folder):  # noqa: PTH112 (Path.is_dir raises where a disk fails)
        return known.folder
    return Path(str(frames.facts.get("folder", "")))


def _rows(table: PublishedTable | None, row_type: type, frames: set[str] | None = None) -> list[Any]:
    found: list[Any] = []
    for batch in table.batches() if table else ():
        rows = from_table(batch, row_type)
        found += rows if frames is None else [row for row in rows if row.frame_sha256 in frames]
    return found

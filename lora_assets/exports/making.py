"""A tracker's exports: crops become records, records become folders, each of which its trainer's rules read back.

An export whose inputs have not changed and whose files are whole is left as it is. The table `exports` holds one row
per format that lies in the tracker's own folder, also when nothing could be exported: the reason is then in its
problems.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.curation.splitting import TRAIN
from lora_assets.exports import captioning, pixels
from lora_assets.exports.captioning import captions_for
from lora_assets.exports.manifest import Manifest, file_hashes, meant_all, read_manifest, write_manifest
from lora_assets.exports.place import MANIFEST, check_place, replaced_whole, scratch_beside
from lora_assets.exports.pool import Pool, export_pool
from lora_assets.exports.reading import READERS, read_back
from lora_assets.exports.records import ExportRecord, ExportRefused, LeftOut, check_captions, make_records
from lora_assets.exports.settings import FORMATS, CaptionSettings, ExportSettings
from lora_assets.exports.writing import WRITERS, Target
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import ExportReading, from_table, to_table

CODE_VERSION = "3"
_SCRATCH = "pictures"


@dataclass(frozen=True, slots=True)
class MadeExports:
    """What an export did: one reading per format, which were left as they were, and the published table (None for an
    export to another folder than the tracker's own)."""

    readings: tuple[ExportReading, ...]
    reused: tuple[str, ...]
    table: PublishedTable | None
    source: str
    notes: tuple[str, ...]

    @property
    def losses(self) -> int:
        """All losses of all formats."""
        return sum(reading.losses for reading in self.readings)

    def numbers(self) -> dict[str, float]:
        """What is plotted of exports over trackers, by name."""
        first = self.readings[0]
        return {
            "formats": float(len(self.readings)),
            "images": float(first.images),
            "validation_images": float(first.validation_images),
            "samples": float(first.samples),
            "losses": float(self.losses),
            "reused": float(len(self.reused)),
            "masks_missing": float(sum(one.masks_missing for one in self.readings)),
            "dropped_samples": float(max(one.dropped_samples for one in self.readings)),
            "worst_head_cut": max(one.worst_head_cut for one in self.readings),
            "worst_mask_cut": max(one.worst_mask_cut for one in self.readings),
            "least_latent_mask": min(one.least_latent_mask for one in self.readings),
        }


def default_place(data: Path, tracker: str) -> Path:
    """Where a tracker's exports lie when nobody names another folder; each format has one inside it."""
    return data / "exports" / tracker


def make_exports(
    store: Store,
    tracker: str,
    settings: ExportSettings,
    captions: CaptionSettings,
    out: Path | None = None,
) -> MadeExports:
    """Write every format of the settings and read each back.

    Without any crop nothing is written, what lies there stays, and the readings say why. Raises ExportRefused
    for what a person has to decide, StoreError for a disk that does not take it: then nothing is half written.
    """
    root = (out or default_place(store.data, tracker)).expanduser().absolute()
    with ExitStack() as locks:
        # The pictures of all formats are drawn once, in one scratch folder of the root.
        locks.enter_context(store.lock(f"export-{digest(str(root))}"))
        for name in sorted(set(settings.formats)):  # in one order, so that two exports never wait for each other
            locks.enter_context(store.lock(f"export-{digest(str(root / name))}"))
        pool = export_pool(store, tracker, settings)
        if not pool.crops:
            return _nothing(store, tracker, settings, root, pool)
        captioned = captions_for(store, tracker, pool.crops, captions, settings)
        texts = captioned.texts
        check_captions(pool.crops, texts)
        if all(crop.part != TRAIN for crop in pool.crops):
            raise ExportRefused("every chosen crop is in the validation part, none is left to train with: curate anew")
        for name in settings.formats:
            check_place(root / name, _known_files(root / name))
        notes = [*pool.notes, *captioned.notes]
        versions = {**pool.versions, **({"captions": captioned.version} if captioned.version else {})}
        inputs = _inputs(tracker, pool, texts, settings, notes)
        wanted = {name: _of_format(inputs, name, root, settings) for name in settings.formats}
        fresh = [name for name in wanted if not _is_whole(root / name, wanted[name])]
        if fresh:
            told = _Told(store, tracker, pool, settings, captions, versions, inputs, tuple(notes))
            _write(told, texts, root, fresh)
        readings = tuple(read_back(root / name, name, READERS[name]) for name in settings.formats)
        reused = tuple(name for name in settings.formats if name not in fresh)
        # Other trackers' exports are told of, but are none of what this one is made of.
        notes += _shared_trigger(store, tracker, settings)
        return MadeExports(readings, reused, _publish(store, tracker, readings, root), pool.source, tuple(notes))


def read_exports(store: Store, tracker: str) -> list[ExportReading]:
    """The readings of a tracker's last exports, one per format; empty before the first."""
    table = store.published(store.table_path("exports", tracker))
    return from_table(table.read(), ExportReading) if table else []


def read_now(store: Store, tracker: str, name: str) -> ExportReading | None:
    """A tracker's export of one format as it lies there now; the last reading when that made nothing and said why; None
    when there is neither. Raises StoreError when what lies there is no export of this format."""
    last = next((reading for reading in read_exports(store, tracker) if reading.format == name), None)
    if last is not None and not last.version:
        return last
    folder = default_place(store.data, tracker) / name
    return read_back(folder, name, READERS[name]) if read_manifest(folder) else None


def read_again(folder: Path) -> ExportReading:
    """Read an export that lies there once more. Raises StoreError when there is none."""
    manifest = read_manifest(folder)
    name = manifest.format if manifest else ""
    return read_back(folder, name, READERS.get(name, READERS["kohya"]))


@dataclass(frozen=True, slots=True)
class _Told:
    """What the manifests of all formats have in common."""

    store: Store
    tracker: str
    pool: Pool
    settings: ExportSettings
    captions: CaptionSettings
    versions: dict[str, str]
    inputs: str
    notes: tuple[str, ...]


def _known_files(folder: Path) -> set[str] | None:
    manifest = read_manifest(folder) if folder.is_dir() else None
    return set(manifest.files) if manifest else None


def _inputs(tracker: str, pool: Pool, texts: dict[str, str], settings: ExportSettings, notes: Sequence[str]) -> str:
    """The digest of everything that can change an export, less its place."""
    told = dataclasses.asdict(settings)
    told.pop("formats")
    crops = [
        [crop.crop_id, crop.frame_sha256, crop.files[0], crop.dataset, crop.part, crop.repeats, texts[crop.crop_id],
         [[d.label, d.x1, d.y1, d.x2, d.y2, d.confidence] for d in crop.detections]]
        for crop in pool.crops
    ]  # fmt: skip
    return digest(CODE_VERSION, pixels.CODE_VERSION, captioning.CODE_VERSION, tracker, told, crops, list(notes))


def _place(root: Path, name: str, settings: ExportSettings) -> str:
    return f"{settings.trainer_root.rstrip('/')}/{name}" if settings.trainer_root else str((root / name).resolve())


def _of_format(inputs: str, name: str, root: Path, settings: ExportSettings) -> str:
    return digest(inputs, name, _place(root, name, settings))


def _is_whole(folder: Path, inputs: str) -> bool:
    """True when the export there is of these inputs, complete, and every file is as it was written."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or manifest.inputs != inputs or manifest.left_out:
        return False
    return file_hashes(folder) == manifest.files


def _write(told: _Told, texts: dict[str, str], root: Path, names: Sequence[str]) -> None:
    """Draw the crops once, then write each format whole."""
    with scratch_beside(root / _SCRATCH) as scratch:
        records, left_out = make_records(told.store, told.pool.crops, texts, told.settings, scratch)
        if not any(record.part == TRAIN for record in records):
            raise ExportRefused(
                f"no picture could be made for training: {len(left_out)} crops have none "
                f"({left_out[0].reason if left_out else 'all are for validation'})"
            )
        for name in names:
            with replaced_whole(root / name) as folder:
                place = _place(root, name, told.settings)
                trigger = told.settings.trigger_for(told.tracker)
                WRITERS[name](Target(folder, place, told.tracker, trigger, told.settings), records)
                write_manifest(folder, _manifest(told, name, root, records, left_out, folder))


def _manifest(
    told: _Told, name: str, root: Path, records: Sequence[ExportRecord], left_out: Sequence[LeftOut], folder: Path
) -> Manifest:
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in _plain(told.settings).items()}
    # The other formats made beside this one are none of its business.
    settings["formats"] = [name]
    return Manifest(
        format=name,
        tracker=told.tracker,
        trigger=told.settings.trigger_for(told.tracker),
        place=_place(root, name, told.settings),
        inputs=_of_format(told.inputs, name, root, told.settings),
        source=told.pool.source,
        tables=told.versions,
        recipes=_recipes(told.store, told.tracker, told.pool),
        settings=settings,
        captions=json.loads(json.dumps(_plain(told.captions))),
        counts={
            "pictures": len(records),
            "train": sum(record.part == TRAIN for record in records),
            "validation": sum(record.part != TRAIN for record in records),
            "samples": sum(record.repeats for record in records if record.part == TRAIN),
            "left_out": len(left_out),
        },
        left_out=tuple(left_out),
        notes=told.notes,
        pictures=meant_all(records),
        files=file_hashes(folder),
    )


def _plain(settings: Any) -> dict[str, Any]:
    return dataclasses.asdict(settings)


def _recipes(store: Store, tracker: str, pool: Pool) -> dict[str, list[str]]:
    """The recipes of the stages that made the crops, by stage."""
    found: dict[str, set[str]] = {}
    for dataset in {crop.dataset for crop in pool.crops}:
        for stage in ("detections", "masks", "scored_crops"):
            table = store.cell_table(stage, dataset, tracker)
            if table is not None and table.facts.get("recipe"):
                found.setdefault(stage, set()).add(str(table.facts["recipe"]))
    return {stage: sorted(recipes) for stage, recipes in sorted(found.items())}


def _shared_trigger(store: Store, tracker: str, settings: ExportSettings) -> list[str]:
    """Other trackers whose exports use the same trigger: two characters under one name unlearn each other."""
    trigger = settings.trigger_for(tracker)
    others = []
    for path in sorted((store.data / "tables" / "exports").glob("*.parquet")):
        table = store.published(path) if path.stem != tracker else None
        if table is not None and trigger in table.facts.get("triggers", ()):
            others.append(path.stem)
    if not others:
        return []
    return [f"the trigger {trigger!r} is used by exports of {', '.join(others)} too: train them together only if both "
            "show one character"]  # fmt: skip


def _nothing(store: Store, tracker: str, settings: ExportSettings, root: Path, pool: Pool) -> MadeExports:
    """The readings of an export of no crop: all counts 0, and why."""
    readings = tuple(
        ExportReading(
            format=name, folder=str(root / name), version="", trigger=settings.trigger_for(tracker), images=0,
            validation_images=0, samples=0, dropped_samples=0, batches=0, captions=0, masks_paired=0, masks_missing=0,
            masks_extra=0, buckets=0, mean_head_cut=0.0, worst_head_cut=0.0, mean_mask_cut=0.0, worst_mask_cut=0.0,
            least_latent_mask=1.0, losses=1, problems=[f"nothing was exported: {pool.why_empty}"],
            warnings=list(pool.notes),
        )
        for name in settings.formats
    )  # fmt: skip
    return MadeExports(readings, (), _publish(store, tracker, readings, root), pool.source, pool.notes)


def _publish(store: Store, tracker: str, readings: Sequence[ExportReading], root: Path) -> PublishedTable | None:
    """Put the readings in the table in place of those of the same formats; other formats keep theirs while they lie
    there. An export to another folder is none of the table's."""
    if root.resolve() != default_place(store.data, tracker).resolve():
        return None
    with store.lock(f"exports-{tracker}"):
        made = {reading.format: reading for reading in readings}
        for reading in read_exports(store, tracker):
            if reading.format not in made and (root / reading.format / MANIFEST).is_file():
                made[reading.format] = reading
        rows = [made[name] for name in sorted(made, key=FORMATS.index)]
        version = digest([dataclasses.asdict(row) for row in rows])
        facts = {"root": str(root), "triggers": sorted({row.trigger for row in rows})}
        path = store.table_path("exports", tracker)
        return store.publish(path, ExportReading, [to_table(rows, ExportReading)], version, facts)

"""curated_dataset -> crop_captions -> exports: what trainers get of the chosen crops, read back by their own rules.

An export changes no result, so that of a sealed tracker may be made too. No `from __future__ import annotations` here
(dagster#26837).
"""

from collections.abc import Iterator

import dagster as dg

from lora_assets.assets.curation import curated_dataset
from lora_assets.assets.main_line import MODEL_POOL, OWNERS, scored_crops
from lora_assets.assets.metadata import column_schema
from lora_assets.exports import captioning, making
from lora_assets.exports.captioning import make_captions
from lora_assets.exports.making import MadeExports, default_place, make_exports, read_now
from lora_assets.exports.pool import export_pool
from lora_assets.exports.preview import export_preview
from lora_assets.exports.settings import FORMATS, caption_settings, export_settings
from lora_assets.exports.tagging import named_tagger
from lora_assets.resources import DataFolder, trackers
from lora_assets.specs import read_tracker
from lora_assets.store import StoreError
from lora_assets.tables import CropCaption, ExportReading

GROUP = "exports"


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops, curated_dataset],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "onnx"},
    code_version=captioning.CODE_VERSION,
    pool=MODEL_POOL,
    metadata={"dagster/column_schema": column_schema(CropCaption)},
    description="One caption per crop that is exported: a person's own words, else the template of [caption] with the "
    "tags of a WD tagger, the trigger first, and without the tags that say who somebody is. Crops are tagged once.",
)
def crop_captions(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    tracker = context.partition_key
    spec = read_tracker(data_folder.root, tracker)
    settings, export = caption_settings(spec), export_settings(spec)
    tagger, why_none = named_tagger(data_folder.root, settings)
    pool = export_pool(data_folder.store, tracker, export)
    made = make_captions(data_folder.store, tracker, pool, settings, export, tagger, why_none)
    for note in (*pool.notes, *made.notes):
        context.log.warning(note)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            "dagster/row_count": made.table.rows,
            "captions": float(made.table.rows),
            **{f"from_{name}": float(count) for name, count in made.sources.items()},
            "tagged": float(made.tagged),
            "tagger": tagger.name if tagger else why_none,
            "notes": dg.MetadataValue.json([*pool.notes, *made.notes]),
            "preview": dg.MetadataValue.md(_first_captions(made.table.read(["caption"]).column("caption").to_pylist())),
        },
    )


def _first_captions(captions: list[str]) -> str:
    return "\n".join(f"- {caption}" for caption in captions[:12]) or "no crop is exported yet"


@dg.asset(
    partitions_def=trackers,
    deps=[crop_captions],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "opencv"},
    code_version=making.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(ExportReading)},
    description="The chosen crops as trainers read them: pictures, masks, captions and configuration in the formats of "
    "[export], under data/exports/TRACKER. Every export is read back by its trainer's own rules; losses are told.",
)
def exports(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    tracker = context.partition_key
    spec = read_tracker(data_folder.root, tracker)
    made = make_exports(data_folder.store, tracker, export_settings(spec), caption_settings(spec))
    for reading in made.readings:
        for problem in reading.problems:
            context.log.warning(f"{reading.format}: {problem}")
    if made.table is None:
        raise StoreError(f"the exports of {tracker} were not made in the tracker's own folder: materialize again")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            "dagster/row_count": made.table.rows,
            **made.numbers(),
            "source": made.source,
            "folder": dg.MetadataValue.path(str(default_place(data_folder.root, tracker))),
            "readings": dg.MetadataValue.md(_as_markdown(made)),
            "notes": dg.MetadataValue.json(list(made.notes)),
            "preview": dg.MetadataValue.md(
                export_preview(default_place(data_folder.root, tracker) / made.readings[0].format)
            ),
        },
    )


def _as_markdown(made: MadeExports) -> str:
    lines = ["| format | pictures | samples | dropped | masks | head cut | mask cut | losses |", "|---|" + "---|" * 7]
    lines += [
        f"| {one.format} | {one.images} + {one.validation_images} | {one.samples} | {one.dropped_samples} | "
        f"{one.masks_paired} | {one.worst_head_cut:.1%} | {one.worst_mask_cut:.1%} | {one.losses} |"
        for one in made.readings
    ]
    return "\n".join(lines)


def _check_name(name: str) -> str:
    return f"read_back_{name.replace('-', '_')}"


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            _check_name(name),
            asset=exports,
            partitions_def=trackers,
            description=f"Read back by the rules of {name}, nothing is lost: pictures, captions, masks, batches.",
        )
        for name in FORMATS
    ],
    can_subset=True,
)
def exports_read_back(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> Iterator[dg.AssetCheckResult]:
    """Every format is read again as it lies there now. One that the tracker does not export passes and says so; one
    that its file asks for and that is not there fails."""
    tracker = context.partition_key
    asked = export_settings(read_tracker(data_folder.root, tracker)).formats
    wanted = {key.name for key in context.selected_asset_check_keys}
    for name in FORMATS:
        if _check_name(name) not in wanted:
            continue
        fault = "" if name not in asked else "the export is not there any more: materialize exports again"
        try:
            reading = read_now(data_folder.store, tracker, name)
        except StoreError as error:
            reading, fault = None, str(error)
        if reading is None:
            yield dg.AssetCheckResult(
                passed=not fault,
                check_name=_check_name(name),
                asset_key=exports.key,
                severity=dg.AssetCheckSeverity.ERROR,
                description=fault or "the tracker is not exported in this format",
            )
            continue
        yield dg.AssetCheckResult(
            passed=not reading.losses,
            check_name=_check_name(name),
            asset_key=exports.key,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(reading.problems[:5]) or f"{reading.images} pictures, nothing is lost",
            metadata={
                "losses": float(reading.losses),
                "images": float(reading.images),
                "worst_head_cut": float(reading.worst_head_cut),
                "problems": dg.MetadataValue.json(reading.problems),
                "warnings": dg.MetadataValue.json(reading.warnings),
            },
        )


CHECKS = [exports_read_back]

"""Asset checks of the main line: integrity blocks what follows in the same run, quality warns.

No `from __future__ import annotations` here (dagster#26837).
"""

import dagster as dg

from lora_assets.assets.main_line import detections, masks, raw_frames, scored_crops
from lora_assets.main_line.integrity import (
    Finding,
    dataset_readable,
    frames_answered,
    no_veto_in_high,
    quarantine_share,
    schema_holds,
)
from lora_assets.resources import DataFolder, cells, datasets
from lora_assets.store import PublishedTable
from lora_assets.tables import TABLES


def _result(finding: Finding, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed, severity=severity, description=finding.text, metadata=dict(finding.numbers)
    )


def _cell_table(context: dg.AssetCheckExecutionContext, data_folder: DataFolder, table: str) -> PublishedTable | None:
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        return None
    dims = key.keys_by_dimension
    return data_folder.store.cell_table(table, dims["dataset"], dims["tracker"])


def _schema_check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    table = asset.key.path[-1]

    @dg.asset_check(
        asset=asset,
        name="schema_holds",
        blocking=True,
        partitions_def=cells,
        description=f"The published table keeps every promise of {TABLES[table].__name__}: columns, ranges, no NaN.",
    )
    def check(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
        finding = schema_holds(_cell_table(context, data_folder, table), TABLES[table])
        return _result(finding, dg.AssetCheckSeverity.ERROR)

    return check


@dg.asset_check(
    asset=raw_frames,
    name="schema_holds",
    blocking=True,
    partitions_def=datasets,
    description="The published table keeps every promise of RawFrame: columns, ranges, no NaN.",
)
def raw_frames_schema_holds(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    finding = schema_holds(data_folder.store.frames_of(context.partition_key), TABLES["raw_frames"])
    return _result(finding, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=raw_frames,
    partitions_def=datasets,
    description="At least one file of the folder can be used as a frame.",
)
def dataset_is_readable(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    finding = dataset_readable(data_folder.store.frames_of(context.partition_key))
    return _result(finding, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=raw_frames,
    partitions_def=datasets,
    description="No more than a twentieth of the files had to be quarantined.",
)
def few_quarantined(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    finding = quarantine_share(data_folder.store.frames_of(context.partition_key))
    return _result(finding, dg.AssetCheckSeverity.WARN)


@dg.asset_check(
    asset=scored_crops,
    blocking=True,
    partitions_def=cells,
    description="No crop with a veto (black, empty, several characters) is in the high tier.",
)
def no_vetoed_crop_in_high(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    finding = no_veto_in_high(_cell_table(context, data_folder, "scored_crops"))
    return _result(finding, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=scored_crops,
    partitions_def=cells,
    description="Every frame has an answer; a frame that changed or went away while it was read has none.",
)
def every_frame_answered(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    finding = frames_answered(_cell_table(context, data_folder, "scored_crops"))
    return _result(finding, dg.AssetCheckSeverity.WARN)


CHECKS = [
    raw_frames_schema_holds,
    dataset_is_readable,
    few_quarantined,
    *(_schema_check(asset) for asset in (detections, masks, scored_crops)),
    no_vetoed_crop_in_high,
    every_frame_answered,
]

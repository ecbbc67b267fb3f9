"""The check of a tracker's dashboard against its baseline: better, worse, new, gone, and what caused it.

It warns or blocks by the shares in section [compare] of the tracker. No `from __future__ import annotations` here
(dagster#26837).
"""

import dagster as dg

from lora_assets.addresses import pages_url
from lora_assets.assets.main_line import tracker_dashboard
from lora_assets.comparing.baseline import against_baseline
from lora_assets.resources import DataFolder, trackers


@dg.asset_check(
    asset=tracker_dashboard,
    blocking=True,
    partitions_def=trackers,
    description="The tracker is not worse than the baseline that its file names: no more crops became worse or got "
    "lost than its section [compare] allows. The causes are told, the largest first.",
)
def not_worse_than_baseline(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    tracker = context.partition_key
    found = against_baseline(data_folder.store, tracker)
    metadata: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.float(one) for name, one in found.numbers.items()}
    if found.baseline:
        metadata["changes"] = dg.MetadataValue.md(found.causes)
        metadata["baseline"] = dg.MetadataValue.text(found.baseline)
        metadata["page"] = dg.MetadataValue.url(f"{pages_url(data_folder.root)}/compare/{found.baseline}/{tracker}")
    return dg.AssetCheckResult(
        passed=not found.warns,
        severity=dg.AssetCheckSeverity.ERROR if found.blocks else dg.AssetCheckSeverity.WARN,
        description=found.text,
        metadata=metadata,
    )

"""scored_crops -> image_quality: how good each crop's picture is. An asset is a signature and a call.

It changes no result, so that of a sealed tracker may be made too. No `from __future__ import annotations` here
(dagster#26837).
"""

import dagster as dg

from lora_assets.assets.main_line import OWNERS, scored_crops
from lora_assets.assets.metadata import LogListener, column_schema
from lora_assets.quality.ensemble import CODE_VERSION
from lora_assets.quality.making import make_quality, scored_crops_of
from lora_assets.quality.sheet import sheet_markdown
from lora_assets.resources import DataFolder, trackers
from lora_assets.tables.quality import ImageQuality

GROUP = "curation"


@dg.asset(
    partitions_def=trackers,
    # By its key: the module of that asset imports this one.
    deps=[scored_crops, dg.AssetKey("characters")],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "onnx"},
    pool="gpu",
    code_version=CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(ImageQuality)},
    description="Image quality of every crop: aesthetics, faces, BRISQUE, sharpness, light, contrast, pose and "
    "character as far as their models are here, one score from 0 to 10 over what is there, its band, its rank in the "
    "tracker, and how much the signals disagree. A signal that is absent is said to be, never made up.",
)
def image_quality(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_quality(
        data_folder.root,
        context.partition_key,
        listen=LogListener(context.log),
        run_id=context.run.run_id,
    )
    for metric, reason in made.facts["absent"].items():
        context.log.info(f"absent: {metric}: {reason}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "computed": dg.MetadataValue.json(made.facts["computed"]),
            "signals_from": dg.MetadataValue.json(made.facts["taken"]),
            "weights": dg.MetadataValue.json(made.facts["weights"]),
            "absent": dg.MetadataValue.json(made.facts["absent"]),
            "absent_signals": dg.MetadataValue.json(made.facts["absent_signals"]),
            "settings": dg.MetadataValue.json(made.facts["settings"]),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(sheet_markdown(data_folder.store, scored_crops_of(made.table))),
        },
    )

"""masks -> refinement_sweep, layers: refinement chosen by measurement, frames taken apart into layers.

They change no result, so that those of a sealed tracker may be made too. No `from __future__ import annotations` here
(dagster#26837).
"""

from typing import Any

import dagster as dg

from lora_assets.assets.main_line import MODEL_POOL, OWNERS, masks
from lora_assets.assets.metadata import LogListener, column_schema
from lora_assets.mask_lab import layers as layering
from lora_assets.mask_lab import sweeping
from lora_assets.mask_lab.layers import layers_numbers, layers_preview, make_layers
from lora_assets.mask_lab.making import make_sweep
from lora_assets.resources import DataFolder, trackers
from lora_assets.tables.mask_lab import LayeredFrame, SweptMask

GROUP = "mask_lab"


class SweepConfig(dg.Config):
    """How a sweep is started: `allow_large` also starts one of more than 200 presets."""

    allow_large: bool = False


def _metadata(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "said": dg.MetadataValue.json(facts["said"]),
        "settings": dg.MetadataValue.json(facts["settings"]),
    }


@dg.asset(
    partitions_def=trackers,
    deps=[masks],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "opencv", "matplotlib"},
    pool=MODEL_POOL,
    code_version=sweeping.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(SweptMask)},
    description="Refinement presets, and any grid of [mask_lab], on a sample of a tracker's masks with the hard cases "
    "(smallest, thin parts, touching pairs): coverage, time, and quality against truth or a second opinion; as tables, "
    "report, plots, pictures and the page /tracker/ID/lab, where one preset can be adopted.",
)
def refinement_sweep(
    context: dg.AssetExecutionContext, config: SweepConfig, data_folder: DataFolder
) -> dg.MaterializeResult:
    made = make_sweep(
        data_folder.root,
        context.partition_key,
        LogListener(context.log),
        context.run.run_id,
        allow_large=config.allow_large,
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.masks.version),
        metadata={
            **made.numbers(),
            **_metadata(made.facts),
            "dagster/row_count": made.masks.rows,
            "already_made": made.reused,
            "best": str(made.facts["best"]),
            "folder": dg.MetadataValue.path(str(made.folder)),
            "table": dg.MetadataValue.path(str(made.masks.path)),
            "preview": dg.MetadataValue.md(made.preview()),
        },
    )


@dg.asset(
    partitions_def=trackers,
    deps=[masks],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "opencv"},
    pool=MODEL_POOL,
    code_version=layering.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(LayeredFrame)},
    description="Frames taken apart: the characters as one RGBA layer, and the background with them painted out by "
    "Telea, Navier-Stokes or LaMa, as [layers] says; index.csv in data/layers/ID names the pictures of each frame. "
    "Layers that are there already are not made again.",
)
def layers(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_layers(data_folder.root, context.partition_key, LogListener(context.log), context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **layers_numbers(made),
            **_metadata(made.table.facts),
            "dagster/row_count": made.table.rows,
            "already_made": made.reused,
            "folder": dg.MetadataValue.path(str(made.folder)),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(layers_preview(data_folder.root, made)),
        },
    )

"""scored_crops -> crop_groups, characters -> curated_dataset: an asset is a signature and a call.

They look at results and change none, so that those of a sealed tracker may be made too. No
`from __future__ import annotations` here (dagster#26837).
"""

from collections.abc import Callable

import dagster as dg

from lora_assets.assets.judge import judge, verdicts
from lora_assets.assets.main_line import OWNERS, scored_crops
from lora_assets.assets.metadata import column_schema
from lora_assets.assets.quality import image_quality
from lora_assets.curation import groups, making
from lora_assets.curation.checking import Finding, dataset_ready, no_veto_chosen, parts_share_nothing
from lora_assets.curation.drawing import characters_sheet, dataset_markdown, groups_sheet
from lora_assets.curation.groups import make_groups
from lora_assets.curation.making import make_curated
from lora_assets.curation.settings import CurateSettings
from lora_assets.identity import making as identity_making
from lora_assets.identity.making import make_characters
from lora_assets.identity.settings import IdentitySettings
from lora_assets.resources import DataFolder, trackers
from lora_assets.specs import read_tracker, section_settings
from lora_assets.store import Store
from lora_assets.tables import CharacterCrop, CropGroup, CuratedCrop
from lora_assets.vision.crops import picture_markdown

GROUP = "curation"


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "opencv"},
    code_version=groups.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(CropGroup)},
    description="Which shot each crop comes from, and which crops show the same drawing: exact twins, held frames, "
    "near-duplicates and variants, also across datasets. Nothing is deleted; the best crop leads its group.",
)
def crop_groups(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    read_tracker(data_folder.root, context.partition_key)
    made = make_groups(data_folder.store, context.partition_key)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers,
            "dagster/row_count": made.table.rows,
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(
                picture_markdown("largest groups", groups_sheet(data_folder.store, made.rows))
            ),
        },
    )


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "scikitlearn", "onnx"},
    pool="gpu",
    code_version=identity_making.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(CharacterCrop)},
    description="Who each crop shows: figures are followed along shots, found again elsewhere by CCIP, ArcFace "
    "or the starter descriptor, and keeps its id and its name from run to run (data/characters). Likeness to the "
    "pictures in data/references is told for every crop.",
)
def characters(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    spec = read_tracker(data_folder.root, context.partition_key)
    settings = section_settings(IdentitySettings, spec, "identity")
    made = make_characters(data_folder.store, context.partition_key, settings)
    for note in made.notes:
        context.log.info(note)
    sheet = characters_sheet(data_folder.store, made.rows)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers,
            "dagster/row_count": made.table.rows,
            "notes": dg.MetadataValue.json(list(made.notes)),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(picture_markdown("characters", sheet)),
        },
    )


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops, crop_groups, characters, image_quality, judge, verdicts],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "numpy"},
    code_version=making.CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(CuratedCrop)},
    description="The dataset to train: the best crops that add something, in balance, split by shot and group of alike "
    "crops. Every crop of the tracker has a row that says why it is in or out; a person's verdict beats every rule.",
)
def curated_dataset(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    spec = read_tracker(data_folder.root, context.partition_key)
    made = make_curated(data_folder.store, context.partition_key, section_settings(CurateSettings, spec, "curate"))
    report = dict(made.report)
    context.log.info(f"{report['state']}: {report['funnel']}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "state": report["state"],
            "readiness": dg.MetadataValue.json(report),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(dataset_markdown(data_folder.store, made.rows, report["funnel"])),
        },
    )


def _check(
    name: str, look: Callable[[Store, str], Finding], severity: dg.AssetCheckSeverity, description: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=curated_dataset, name=name, partitions_def=trackers, description=description)
    def check(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
        found = look(data_folder.store, context.partition_key)
        return dg.AssetCheckResult(
            passed=found.passed, severity=severity, description=found.text, metadata=dict(found.numbers)
        )

    return check


CHECKS = [
    _check(
        "parts_share_nothing", parts_share_nothing, dg.AssetCheckSeverity.ERROR,
        "No shot, group of alike crops or frame lies on both sides of the split.",
    ),
    _check(
        "no_veto_chosen", no_veto_chosen, dg.AssetCheckSeverity.ERROR,
        "No crop with a veto is chosen without a person's verdict.",
    ),
    _check("dataset_ready", dataset_ready, dg.AssetCheckSeverity.WARN, "The readiness report does not say blocked."),
]  # fmt: skip

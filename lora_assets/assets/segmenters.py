"""coco_annotations -> finetuned_segmenter -> segmenter_report: a segmenter of one's own.

A training starts when a person materializes it, never by itself: it takes a machine for hours. Partitions are made
known in annotations. An asset is a signature and a call. No `from __future__
import annotations` here (dagster#26837).
"""

import dagster as dg

from lora_assets.assets.annotations import GROUP, coco_annotations
from lora_assets.assets.main_line import MODEL_POOL, OWNERS
from lora_assets.assets.metadata import LogListener, column_schema
from lora_assets.finetuning.making import REPORT_VERSION, make_report, surely_better, tune_segmenter
from lora_assets.finetuning.preflight import CODE_VERSION
from lora_assets.models.tuned import BETTER
from lora_assets.resources import DataFolder, segmenters
from lora_assets.tables.segmenters import CategoryFigure, TuningStep
from lora_assets.vision.crops import picture_markdown


@dg.asset(
    partitions_def=segmenters,
    deps=[coco_annotations],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch"},
    pool=MODEL_POOL,
    code_version=CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(TuningStep)},
    description="A Segment Anything or SAM 2 model tuned on an annotated set, as data/segmenters/NAME.toml says: "
    "prompts are simulated, the image encoder is frozen unless the file says otherwise, the best weights by the IoU on "
    "val are kept. A run that was killed goes on at its last checkpoint. Before it starts, all that can be known is "
    "checked, memory and disk too.",
)
def finetuned_segmenter(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = tune_segmenter(
        data_folder.root,
        context.partition_key,
        LogListener(context.log),
        run_id=context.run.run_id,
        say=context.log.info,
    )
    card = made.card
    return dg.MaterializeResult(
        data_version=dg.DataVersion(card.sha256[:16]),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "already_made": made.reused,
            "ended": str(made.table.facts["ended"]),
            "verdict": card.verdict,
            "lineage": dg.MetadataValue.json(dict(card.lineage)),
            "settings": dg.MetadataValue.json(dict(card.settings)),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(picture_markdown("course of the training", made.picture.read_bytes())),
        },
    )


@dg.asset(
    partitions_def=segmenters,
    deps=[finetuned_segmenter],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch"},
    pool=MODEL_POOL,
    code_version=REPORT_VERSION,
    metadata={"dagster/column_schema": column_schema(CategoryFigure)},
    description="The tuned model against its untouched base on val, by the same prompts: IoU and boundary F by "
    "category with intervals, how true the predicted IoU is, pictures of the best, worst and most changed masks. A "
    "tune that is worse than its base is marked so and cannot be named by a tracker.",
)
def segmenter_report(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_report(data_folder.root, context.partition_key, LogListener(context.log), run_id=context.run.run_id)
    context.log.info(f"{made.card.verdict}: {made.card.reason}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "already_made": made.reused,
            "verdict": made.card.verdict,
            "reason": made.card.reason,
            "offered": made.card.verdict == BETTER,
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(
                picture_markdown("report of the tuned segmenter", made.picture.read_bytes())
            ),
        },
    )


@dg.asset_check(
    asset=segmenter_report,
    partitions_def=segmenters,
    description="The tuned model is better than its untouched base; a warning where it is not, or not surely.",
)
def better_than_base(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    passed, reason = surely_better(data_folder.root, context.partition_key)
    return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"reason": reason})


segmenter_job = dg.define_asset_job(
    "segmenter",
    selection=dg.AssetSelection.assets(coco_annotations, finetuned_segmenter, segmenter_report),
    description="Check a segmenter's annotations, tune it and judge it.",
)

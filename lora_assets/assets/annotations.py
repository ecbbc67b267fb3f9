"""coco_annotations: the annotated comic pages that a segmenter is taught with, read and checked; its partitions.

An asset is a signature and a call. No `from __future__ import annotations` here (dagster#26837).
"""

import dagster as dg

from lora_assets.annotations.making import make_annotations
from lora_assets.annotations.places import known_segmenters
from lora_assets.annotations.reading import CODE_VERSION, OF_SPLITS
from lora_assets.assets.main_line import OWNERS
from lora_assets.assets.metadata import LogListener, column_schema
from lora_assets.resources import DataFolder, segmenters
from lora_assets.tables import AnnotatedThing

GROUP = "segmenters"
_SHOWN = 100


@dg.asset(
    partitions_def=segmenters,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pillow"},
    code_version=CODE_VERSION,
    metadata={"dagster/column_schema": column_schema(AnnotatedThing)},
    description="Annotated comic pages (COCO) that a segmenter's settings file names: every picture, mask and box is "
    "opened and checked, train and val come from the file or whole titles. Broken annotations are left out by name.",
)
def coco_annotations(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_annotations(
        data_folder.store,
        context.partition_key,
        LogListener(context.log),
        context.run.run_id,
    )
    for problem in made.problems[:_SHOWN]:
        context.log.warning(str(problem))
    for words in made.forbidding():
        context.log.error(f"no training may start on this set: {words}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "set": dg.MetadataValue.path(str(made.found.root)),
            "digest": made.found.digest,
            "problem_list": dg.MetadataValue.json([str(problem) for problem in made.problems[:_SHOWN]]),
            "forbids_training": dg.MetadataValue.json(made.forbidding()),
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(made.preview()),
        },
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition for every settings file in data/segmenters. It starts nothing: teaching a segmenter "
    "takes long, and is asked for by a person.",
)
def segmenter_files(context: dg.SensorEvaluationContext, data_folder: DataFolder) -> dg.SensorResult | dg.SkipReason:
    known = set(context.instance.get_dynamic_partitions("segmenter"))
    new = [name for name in known_segmenters(data_folder.root) if name not in known]
    if not new:
        return dg.SkipReason("no new settings file of a segmenter")
    return dg.SensorResult(dynamic_partitions_requests=[segmenters.build_add_request(new)])


@dg.asset_check(
    asset=coco_annotations,
    partitions_def=segmenters,
    description="Nothing in the set is broken; an error where a whole split cannot be used for a training.",
)
def annotations_sound(context: dg.AssetCheckExecutionContext, data_folder: DataFolder) -> dg.AssetCheckResult:
    table = data_folder.store.published(data_folder.store.table_path("annotation_problems", context.partition_key))
    kinds = dict(table.facts["problem_kinds"]) if table else {}
    forbidding = bool(table) and bool(set(kinds) & set(OF_SPLITS))
    return dg.AssetCheckResult(
        passed=bool(table) and not kinds,
        severity=dg.AssetCheckSeverity.ERROR if forbidding or not table else dg.AssetCheckSeverity.WARN,
        metadata={"problems": float(sum(kinds.values())), "kinds": dg.MetadataValue.json(kinds)},
    )

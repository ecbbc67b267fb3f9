"""detections -> embeddings -> rare_objects -> captions; embedding_map: the rare and odd things of a tracker's frames.

They change no result, so that those of a sealed tracker may be made too. No `from __future__ import annotations` here
(dagster#26837).
"""

from typing import Any

import dagster as dg

from lora_assets.assets.main_line import MODEL_POOL, OWNERS, detections
from lora_assets.assets.metadata import LogListener, column_schema
from lora_assets.mining.drawing import map_markdown, map_path, objects_markdown, sheet_markdown
from lora_assets.mining.making import (
    MadeTable,
    make_tracker_captions,
    make_tracker_embeddings,
    make_tracker_map,
    make_tracker_rare,
)
from lora_assets.mining.pipeline import CODE_VERSIONS
from lora_assets.resources import DataFolder, trackers
from lora_assets.tables.mining import MapPoint, MinedObject, ObjectCaption, RareObject

GROUP = "mining"


def _result(context: dg.AssetExecutionContext, made: MadeTable, preview: str, **more: Any) -> dg.MaterializeResult:
    for words in made.facts["said"]:
        context.log.info(words)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata={
            **made.numbers(),
            "dagster/row_count": made.table.rows,
            "already_made": made.reused,
            "said": dg.MetadataValue.json(made.facts["said"]),
            "settings": dg.MetadataValue.json(made.facts["settings"]),
            **more,
            "table": dg.MetadataValue.path(str(made.table.path)),
            "preview": dg.MetadataValue.md(preview),
        },
    )


@dg.asset(
    partitions_def=trackers,
    deps=[detections],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch"},
    pool=MODEL_POOL,
    code_version=CODE_VERSIONS["embeddings"],
    metadata={"dagster/column_schema": column_schema(MinedObject)},
    description="Objects of sampled frames, by the tracker's detections or a detector named in [mining], that pass the "
    "early filter (likely rare classes and a random share), each with its CLIP vector; without a checkpoint a built-in "
    "description, and the table says so. A vector is computed once.",
)
def embeddings(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_tracker_embeddings(
        data_folder.root, context.partition_key, LogListener(context.log), context.run.run_id
    )
    return _result(
        context,
        made,
        objects_markdown(data_folder.store, made.rows()),
        classes=dg.MetadataValue.json(made.facts["class_counts"]),
        embedder=made.facts["embedder"] or "none",
        built_in=bool(made.facts["builtin"]),
    )


@dg.asset(
    partitions_def=trackers,
    deps=[embeddings],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "scikitlearn"},
    code_version=CODE_VERSIONS["rare_objects"],
    metadata={"dagster/column_schema": column_schema(RareObject)},
    description="What makes an object odd or rare: IsolationForest and LOF over the vectors, the rare-class filter by "
    "frequency and keywords, their union with the reasons, and novelty against the tracker's earlier datasets.",
)
def rare_objects(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_tracker_rare(data_folder.root, context.partition_key, context.run.run_id)
    return _result(context, made, sheet_markdown(data_folder.store, made.rows()))


@dg.asset(
    partitions_def=trackers,
    deps=[embeddings, rare_objects],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python"},
    code_version=CODE_VERSIONS["captions"],
    metadata={"dagster/column_schema": column_schema(ObjectCaption)},
    description="One line about each kept object by a vision-language model behind an OpenAI-compatible service that "
    "[mining] names; the class name, and why, for all others. Without a named service no picture leaves the machine.",
)
def captions(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_tracker_captions(data_folder.root, context.partition_key, LogListener(context.log), context.run.run_id)
    spoken = [f"- {row.caption}" for row in made.rows() if row.source == "service"][:24]
    preview = "\n".join(spoken) or "no caption of a service"
    service, model = made.facts["service"] or "none", made.facts["model"] or "none"
    return _result(context, made, preview, service=service, model=model)


@dg.asset(
    partitions_def=trackers,
    deps=[embeddings, rare_objects, captions],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "scikitlearn", "matplotlib"},
    code_version=CODE_VERSIONS["embedding_map"],
    metadata={"dagster/column_schema": column_schema(MapPoint)},
    description="The objects as a map: t-SNE of their vectors, clusters with names, as a page (/tracker/ID/map) and as "
    "PNG in English, Japanese and Traditional Chinese.",
)
def embedding_map(context: dg.AssetExecutionContext, data_folder: DataFolder) -> dg.MaterializeResult:
    made = make_tracker_map(data_folder.root, context.partition_key, context.run.run_id)
    path = map_path(data_folder.root, context.partition_key, "en")
    return _result(context, made, map_markdown(path.read_bytes()))

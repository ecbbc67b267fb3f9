"""raw_frames -> detections -> masks -> scored_crops -> tracker_dashboard. Each asset is a signature and a call.

A backfill from the UI cannot redo old trackers: a sealed cell whose frames, settings, weights and code are still those
it was made with is told once more as it is. Any other sealed one, and cells that the tracker does not name, yield
nothing, and good cells stay green. No `from __future__ import annotations` here (dagster#26837).
"""

from collections.abc import Callable, Iterator

import dagster as dg

from lora_assets.assets.metadata import LogListener, column_schema, stage_metadata
from lora_assets.dashboards import kept_dashboard, make_dashboard
from lora_assets.main_line.cells import Cell, sealed_stage, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.deleted import absent_words
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.preview import crops_preview, found_preview, frames_preview, tracker_preview
from lora_assets.main_line.stages import StageUpdate
from lora_assets.main_line.videos import CODE_VERSION as VIDEO_VERSION
from lora_assets.main_line.videos import update_video_frames
from lora_assets.recipes import CODE_VERSIONS
from lora_assets.resources import DataFolder, ModelOpener, cells, datasets, trackers
from lora_assets.specs import of_videos, read_tracker, video_frames_folder
from lora_assets.store import PublishedTable, Store
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop
from lora_assets.vision.device import worker_count

GROUP = "main_line"
OWNERS = ["team:datasets"]
# One model step at a time on this machine; raw_frames and dashboards do not wait for it.
MODEL_POOL = "gpu"


class FramesConfig(dg.Config):
    """How a dataset's folder is read: `rehash` opens every file again, `settle_seconds` leaves fresh files alone."""

    rehash: bool = False
    settle_seconds: float = 0.0


@dg.asset(
    partitions_def=datasets,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pillow"},
    code_version=CODE_VERSIONS["raw_frames"],
    metadata={"dagster/column_schema": column_schema(RawFrame)},
    description="Every file of a dataset's folder: readable frames with their picture facts, and quarantined files "
    "with the reason. Originals are only read.",
)
def raw_frames(
    context: dg.AssetExecutionContext, config: FramesConfig, data_folder: DataFolder
) -> dg.MaterializeResult:
    update = update_raw_frames(
        data_folder.store,
        data_folder.dataset(context.partition_key),
        rehash=config.rehash,
        settle_s=config.settle_seconds,
        workers=worker_count(),
        run_id=context.run.run_id,
        listen=LogListener(context.log),
    )
    if words := absent_words(context.partition_key, update.table.facts):
        context.log.warning(words)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(update.table.version),
        metadata={
            "dagster/row_count": update.frames + update.quarantined,
            "frames": float(update.frames),
            "quarantined": float(update.quarantined),
            "unsettled": float(update.unsettled),
            "not_there_now": float(update.absent),
            "deleted": float(update.deleted),
            "computed": float(update.computed),
            "reused": float(update.reused),
            "seconds": float(update.seconds),
            "files_per_second": update.computed / update.seconds if update.computed else 0.0,
            "folder": dg.MetadataValue.path(str(update.table.facts["folder"])),
            "preview": dg.MetadataValue.md(frames_preview(data_folder.store, update.table)),
        },
    )


@dg.asset(
    partitions_def=datasets,
    deps=[raw_frames],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "ffmpeg"},
    code_version=VIDEO_VERSION,
    output_required=False,
    description="The videos in a dataset's folder as pictures: the sharpest frame of every second of every shot, a "
    "held drawing once. They are a dataset of their own, NAME (video). Folders without videos give nothing.",
)
def video_frames(context: dg.AssetExecutionContext, data_folder: DataFolder) -> Iterator[dg.MaterializeResult]:
    dataset = data_folder.dataset(context.partition_key)
    update = update_video_frames(data_folder.store, dataset, listen=LogListener(context.log))
    if update is None:
        return
    if not update.frames:
        # Nothing would list a folder without files: a tracker that waits for these frames must be told of none.
        update_raw_frames(data_folder.store, of_videos(data_folder.root, dataset), run_id=context.run.run_id)
    for path, reason in update.refused.items():
        context.log.warning(f"{path}: {reason}")
    yield dg.MaterializeResult(
        metadata={
            "videos": float(update.videos),
            "decoded": float(update.decoded),
            "frames": float(update.frames),
            "older_choices_kept": float(update.of_older),
            "refused": dg.MetadataValue.json(update.refused),
            "seconds": float(update.seconds),
            "folder": dg.MetadataValue.path(str(video_frames_folder(data_folder.root, dataset.slug))),
        },
    )


def _stage(
    context: dg.AssetExecutionContext,
    data_folder: DataFolder,
    stage: str,
    update: Callable[[Cell], StageUpdate],
    preview: Callable[[Store, PublishedTable], str],
) -> Iterator[dg.MaterializeResult]:
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise dg.Failure(f"partition {key} is not a dataset|tracker cell", allow_retries=False)
    cell = data_folder.cell(key, context.run.run_id, LogListener(context.log))
    if cell is None:
        context.log.info(
            f"{key}: the tracker does not name this dataset, or is sealed and its folder, weights or settings are "
            "gone; nothing is done"
        )
        return
    made = sealed_stage(cell, stage) if cell.sealed else update(cell)
    if made is None:
        context.log.info(
            f"{key}: the tracker is sealed, and its frames, settings, weights or code are others than those it was "
            "made with; nothing is done. Make a new tracker to see what they give"
        )
        return
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(made.table.version),
        metadata=stage_metadata(made, preview(cell.store, made.table)),
    )


@dg.asset(
    partitions_def=cells,
    deps=[raw_frames],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch", "yolo"},
    code_version=CODE_VERSIONS["detections"],
    pool=MODEL_POOL,
    output_required=False,
    metadata={"dagster/column_schema": column_schema(Detection)},
    description="Boxes of faces, heads and persons in every frame of the dataset, with the tracker's detectors. "
    "Only frames that no tracker has answered with the same recipe are computed.",
)
def detections(
    context: dg.AssetExecutionContext, data_folder: DataFolder, models: ModelOpener
) -> Iterator[dg.MaterializeResult]:
    def update(cell: Cell) -> StageUpdate:
        return update_detections(cell, lambda: models.detectors(cell.recipes))

    yield from _stage(context, data_folder, "detections", update, found_preview)


@dg.asset(
    partitions_def=cells,
    deps=[detections],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch", "sam"},
    code_version=CODE_VERSIONS["masks"],
    pool=MODEL_POOL,
    output_required=False,
    metadata={"dagster/column_schema": column_schema(Mask)},
    description="The pixels of every subject: Segment Anything prompted with the boxes, then the tracker's refinement "
    "preset. Masks before refinement are kept, so that another preset costs no model time.",
)
def masks(
    context: dg.AssetExecutionContext, data_folder: DataFolder, models: ModelOpener
) -> Iterator[dg.MaterializeResult]:
    def update(cell: Cell) -> StageUpdate:
        return update_masks(cell, lambda: models.segmenter(cell.recipes))

    yield from _stage(context, data_folder, "masks", update, found_preview)


@dg.asset(
    partitions_def=cells,
    deps=[masks],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "opencv"},
    code_version=CODE_VERSIONS["scored_crops"],
    pool=MODEL_POOL,
    output_required=False,
    metadata={"dagster/column_schema": column_schema(ScoredCrop)},
    description="One row per cut-out: the five technical parts, what is in it, whether it is fit for training, its "
    "flags with value and limit, score and tier. Crops without a veto are written as RGBA PNG.",
)
def scored_crops(
    context: dg.AssetExecutionContext, data_folder: DataFolder, models: ModelOpener
) -> Iterator[dg.MaterializeResult]:
    def update(cell: Cell) -> StageUpdate:
        return update_scored_crops(cell, lambda: models.segmenter(cell.recipes))

    yield from _stage(context, data_folder, "scored_crops", update, crops_preview)


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "html"},
    code_version="1",
    output_required=False,
    description="The page of a tracker, /tracker/ID: counts, settings, recipes and problems of all its cells. A "
    "named tracker that is complete is sealed. Plots of this asset show quality over trackers.",
)
def tracker_dashboard(context: dg.AssetExecutionContext, data_folder: DataFolder) -> Iterator[dg.MaterializeResult]:
    sealed = read_tracker(data_folder.root, context.partition_key).sealed
    made = (kept_dashboard if sealed else make_dashboard)(data_folder.store, context.partition_key)
    if made is None:
        context.log.info(f"tracker {context.partition_key} is sealed and was never shown; nothing is done")
        return
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(made.version),
        metadata={
            **{name: float(value) for name, value in made.numbers.items()},
            "page": dg.MetadataValue.url(made.page_url),
            "inputs": made.inputs,
            "problems": dg.MetadataValue.json(made.problems),
            "preview": dg.MetadataValue.md(tracker_preview(data_folder.store, context.partition_key)),
        },
    )

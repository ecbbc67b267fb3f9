"""Everything that Dagster loads. Which asset lives where is told in the map of `lora_assets/__init__.py`."""

import warnings

import dagster as dg

from lora_assets.models.offline import keep_offline

keep_offline()  # before a library underneath is imported, in every process that Dagster starts
# Partitioned asset checks are a preview in Dagster 1.13 and say so at import, once for each check.
warnings.filterwarnings("ignore", message=r".*partitions_def.*", category=dg.PreviewWarning)

from lora_assets.assets.annotations import annotations_sound, coco_annotations, segmenter_files  # noqa: E402
from lora_assets.assets.automation import (  # noqa: E402
    cells_job,
    dashboard_job,
    frames_job,
    input_folders,
    live_trackers,
    new_verdicts,
    nightly_recheck,
    review_job,
)
from lora_assets.assets.checks import CHECKS  # noqa: E402
from lora_assets.assets.compare import not_worse_than_baseline  # noqa: E402
from lora_assets.assets.curation import CHECKS as CURATION_CHECKS  # noqa: E402
from lora_assets.assets.curation import characters, crop_groups, curated_dataset  # noqa: E402
from lora_assets.assets.exports import CHECKS as EXPORT_CHECKS  # noqa: E402
from lora_assets.assets.exports import crop_captions, exports  # noqa: E402
from lora_assets.assets.judge import judge, verdicts  # noqa: E402
from lora_assets.assets.main_line import detections, masks, raw_frames, scored_crops, tracker_dashboard, video_frames  # noqa: E402
from lora_assets.assets.mask_lab import layers, refinement_sweep  # noqa: E402
from lora_assets.assets.mining import captions, embedding_map, embeddings, rare_objects  # noqa: E402
from lora_assets.assets.quality import image_quality  # noqa: E402
from lora_assets.assets.segmenters import (  # noqa: E402
    better_than_base,
    finetuned_segmenter,
    segmenter_job,
    segmenter_report,
)
from lora_assets.resources import DataFolder, ModelOpener  # noqa: E402

# One table from group to assets: a new branch is one line here and one file in assets/.
GROUPS: dict[str, list[dg.AssetsDefinition]] = {
    "main_line": [raw_frames, video_frames, detections, masks, scored_crops, tracker_dashboard],
    "review": [judge],
    "curation": [image_quality, crop_groups, characters, curated_dataset],
    "exports": [crop_captions, exports],
    "mining": [embeddings, rare_objects, captions, embedding_map],
    "mask_lab": [refinement_sweep, layers],
    "segmenters": [coco_annotations, finetuned_segmenter, segmenter_report],
}

defs = dg.Definitions(
    assets=[*(asset for group in GROUPS.values() for asset in group), verdicts],
    asset_checks=[
        *CHECKS,
        *CURATION_CHECKS,
        *EXPORT_CHECKS,
        not_worse_than_baseline,
        annotations_sound,
        better_than_base,
    ],
    jobs=[frames_job, cells_job, dashboard_job, review_job, segmenter_job],
    sensors=[input_folders, live_trackers, new_verdicts, segmenter_files],
    schedules=[nightly_recheck],
    resources={"data_folder": DataFolder(), "models": ModelOpener()},
    # One process per run: models are loaded once and torch is imported once, not once per step.
    executor=dg.in_process_executor,
)

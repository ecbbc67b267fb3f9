"""Everything that Dagster loads. Which asset lives where is told in the map of `lora_assets/__init__.py`."""

import warnings

import dagster as dg

# Partitioned asset checks are a preview in Dagster 1.13 and say so at import, once for each check.
warnings.filterwarnings("ignore", message=r".*partitions_def.*", category=dg.PreviewWarning)

from lora_assets.assets.automation import (  # noqa: E402
    cells_job,
    dashboard_job,
    frames_job,
    input_folders,
    live_trackers,
    nightly_recheck,
)
from lora_assets.assets.checks import CHECKS  # noqa: E402
from lora_assets.assets.judge import judge, verdicts  # noqa: E402
from lora_assets.assets.main_line import detections, masks, raw_frames, scored_crops, tracker_dashboard  # noqa: E402
from lora_assets.resources import DataFolder, ModelOpener  # noqa: E402

# One table from group to assets: a new branch is one line here and one file in assets/.
GROUPS: dict[str, list[dg.AssetsDefinition]] = {
    "main_line": [raw_frames, detections, masks, scored_crops, tracker_dashboard],
    "review": [judge],
}

defs = dg.Definitions(
    assets=[*(asset for group in GROUPS.values() for asset in group), verdicts],
    asset_checks=CHECKS,
    jobs=[frames_job, cells_job, dashboard_job],
    sensors=[input_folders, live_trackers],
    schedules=[nightly_recheck],
    resources={"data_folder": DataFolder(), "models": ModelOpener()},
    # One process per run: models are loaded once and torch is imported once, not once per step.
    executor=dg.in_process_executor,
)

"""verdicts -> judge: what a person said of crops, and what is learned from it. An asset is a signature and a call.

A judge changes no result, so that of a sealed tracker may be made too. No `from __future__ import annotations` here
(dagster#26837).
"""

import dagster as dg

from lora_assets.assets.main_line import OWNERS, scored_crops
from lora_assets.judge.learning import JudgeSettings
from lora_assets.judge.making import MadeJudge, make_judge
from lora_assets.judge.report import CODE_VERSION
from lora_assets.resources import DataFolder, trackers
from lora_assets.specs import read_tracker
from lora_assets.verdicts import open_log
from lora_assets.verdicts.log import keep_backup
from lora_assets.vision.crops import picture_markdown

GROUP = "review"

# Made by a person on the tracker pages, not by Dagster: it is shown so that the lineage is whole.
verdicts = dg.AssetSpec(
    "verdicts",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sqlite"},
    description="What a person said of crops: good, bad or exclude, with stars and a note. An append-only log under "
    "data/verdicts, bound to pixels (frame and box), so that it survives re-detection.",
)


class JudgeConfig(dg.Config):
    """From how many verdicts of each kind the judge may be active, how near 0.5 it abstains, and its seed."""

    least_of_each: int = JudgeSettings().least_of_each
    unsure_band: float = JudgeSettings().unsure_band
    seed: int = JudgeSettings().seed


@dg.asset(
    partitions_def=trackers,
    deps=[scored_crops, verdicts],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "numpy"},
    code_version=CODE_VERSION,
    description="P(good) learned from the person's verdicts, tried on shots that it has not seen and compared with the "
    "rules on the same crops. It is active only when it is surely better than the rules, and never over a veto.",
)
def judge(context: dg.AssetExecutionContext, config: JudgeConfig, data_folder: DataFolder) -> dg.MaterializeResult:
    settings = JudgeSettings(seed=config.seed, least_of_each=config.least_of_each, unsure_band=config.unsure_band)
    read_tracker(data_folder.root, context.partition_key)
    with open_log(data_folder.root) as log:
        made = make_judge(data_folder.store, log, context.partition_key, settings)
        keep_backup(log)
    context.log.info(made.judge.report.reason)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.digest),
        metadata={
            **made.numbers(),
            "reason": made.judge.report.reason,
            "learned": dg.MetadataValue.md(_learned(made)),
            "model": dg.MetadataValue.path(str(made.path)),
            "unmatched_verdicts": dg.MetadataValue.json(made.unmatched()),
            "preview": dg.MetadataValue.md(picture_markdown("report of the judge", made.picture.read_bytes())),
        },
    )


def _learned(made: MadeJudge) -> str:
    effects = made.judge.report.effects
    return "\n".join(f"- {effect.words}" for effect in effects) or "nothing yet"

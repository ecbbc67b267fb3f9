from __future__ import annotations

import dagster as dg

from lora_assets.assets.judge import judge
from lora_assets.resources import DataFolder
from lora_assets.verdicts import open_log
from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops


def test_the_asset_makes_a_judge_and_shows_it(data, instance):
    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:80])
    instance.add_dynamic_partitions("tracker", [TRACKER])
    result = dg.materialize(
        [judge], partition_key=TRACKER, instance=instance,
        resources={"data_folder": DataFolder(path=str(data))},
    )  # fmt: skip
    (made,) = result.asset_materializations_for_node("judge")
    assert made.metadata["active"].value == 1.0
    assert made.metadata["verdicts"].value == 80.0
    assert "data:image/png;base64," in made.metadata["preview"].value
    assert "mask's stability" in made.metadata["learned"].value
    assert len(list((data / "verdicts" / "backups").glob("*.sqlite"))) == 1


def test_without_verdicts_it_says_why_it_is_silent(data, instance):
    make_cell(data)
    instance.add_dynamic_partitions("tracker", [TRACKER])
    resources = {"data_folder": DataFolder(path=str(data))}
    result = dg.materialize([judge], partition_key=TRACKER, instance=instance, resources=resources)
    (made,) = result.asset_materializations_for_node("judge")
    assert made.metadata["active"].value == 0.0
    assert made.metadata["reason"].value.startswith("not active: 0 verdicts")

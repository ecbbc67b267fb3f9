from __future__ import annotations

import dagster as dg

from lora_assets.assets.curation import CHECKS, characters, crop_groups, curated_dataset
from lora_assets.resources import DataFolder
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets_tests.curation.dolls import TRACKER, little_film, write_dolls


def _run(data, instance, *assets):
    instance.add_dynamic_partitions("tracker", [TRACKER])
    return dg.materialize(
        [*assets, *CHECKS],
        partition_key=TRACKER,
        instance=instance,
        resources={"data_folder": DataFolder(path=str(data))},
    )


def test_the_branch_makes_tables_numbers_and_pictures(data, instance):
    write_dolls(data, little_film())
    write_tracker(data, TrackerSpec(TRACKER, ("film",), settings={"curate": {"target": 16, "least_pictures": 5}}))
    result = _run(data, instance, crop_groups, characters, curated_dataset)
    (groups,), (people,), (made,) = (
        result.asset_materializations_for_node(name) for name in ("crop_groups", "characters", "curated_dataset")
    )
    assert groups.metadata["kind_leader"].value == groups.metadata["groups"].value
    assert people.metadata["characters"].value == 3.0
    assert made.metadata["funnel_chosen"].value == 16.0
    assert made.metadata["readiness"].value["funnel"]["frames"] == 60
    assert made.metadata["state"].value == "attention"
    assert "data:image/png;base64," in made.metadata["preview"].value
    assert "data:image/jpeg;base64," in people.metadata["preview"].value
    passed = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert passed == {"parts_share_nothing": True, "no_veto_chosen": True, "dataset_ready": True}


def test_an_empty_tracker_is_blocked_but_made(data, instance):
    write_tracker(data, TrackerSpec(TRACKER, ("film",)))
    result = _run(data, instance, crop_groups, characters, curated_dataset)
    assert result.success
    (made,) = result.asset_materializations_for_node("curated_dataset")
    assert made.metadata["state"].value == "blocked"
    checks = {check.check_name: (check.passed, check.severity) for check in result.get_asset_check_evaluations()}
    assert checks["dataset_ready"] == (False, dg.AssetCheckSeverity.WARN)
    assert checks["parts_share_nothing"][0]

from __future__ import annotations

import dagster as dg
import pytest

from lora_assets.assets.mask_lab import layers, refinement_sweep
from lora_assets.resources import DataFolder
from lora_assets.specs import set_sealed
from lora_assets_tests.mask_lab.cells import TRACKER, make_cell


def _made(data, instance, assets, **config):
    instance.add_dynamic_partitions("tracker", [TRACKER])
    ops = {"refinement_sweep": {"config": config}} if config else {}
    return dg.materialize(
        assets, partition_key=TRACKER, instance=instance, resources={"data_folder": DataFolder(path=str(data))},
        run_config={"ops": ops}, raise_on_error=False,
    )  # fmt: skip


def _told(result, asset):
    assert result.success
    return result.asset_materializations_for_node(asset.key.to_user_string())[0].metadata


def test_the_branch_is_made_with_numbers_and_a_picture_and_once_only(data, instance):
    make_cell(data, mask_lab={"presets": ["aggressive", "baseline"], "repeats": 1, "sample": 3}, layers={"frames": 2})
    set_sealed(data, TRACKER, True)
    result = _made(data, instance, [refinement_sweep, layers])
    told = _told(result, refinement_sweep)
    assert told["presets"].value == 2.0 and told["images"].value == 3.0
    assert 0 < float(told["objective_baseline"].value) <= 1 and told["best"].value in ("aggressive", "baseline")
    assert "data:image/jpeg;base64," in str(told["preview"].value)
    assert _told(result, layers)["frames"].value == 2.0
    again = _made(data, instance, [refinement_sweep, layers])
    assert _told(again, refinement_sweep)["already_made"].value is True
    assert _told(again, layers)["already_made"].value is True


def test_a_large_sweep_fails_with_its_count_unless_it_is_asked_for(data, instance, monkeypatch):
    monkeypatch.setattr("lora_assets.mask_lab.grid.MOST_PRESETS", 3)
    make_cell(data, mask_lab={"presets": [], "grid": {"open": [0, 3], "dilate": [0, 3]}, "repeats": 1, "sample": 2})
    refused = _made(data, instance, [refinement_sweep])
    assert not refused.success
    failure = refused.events_for_node("refinement_sweep")[-1].step_failure_data
    assert "4 presets over 2 masks" in str(failure.error)
    assert _told(_made(data, instance, [refinement_sweep], allow_large=True), refinement_sweep)["presets"].value == 4.0


@pytest.fixture(autouse=True)
def _no_plots_in_three_languages(monkeypatch):
    """One language is enough here: each plot takes a third of a second."""
    monkeypatch.setattr("lora_assets.mask_lab.folders.LANGUAGES", ("en",))

from __future__ import annotations

import dagster as dg
import pytest

from lora_assets.assets.exports import crop_captions, exports, exports_read_back
from lora_assets.exports.making import default_place, make_exports
from lora_assets.exports.settings import CaptionSettings, ExportSettings
from lora_assets.resources import DataFolder, trackers
from lora_assets.store import Store
from lora_assets_tests.exports.drawn_cell import TRACKER, make_drawn_cell, publish_curated

SETTINGS = {"export": {"resolution": 512, "trigger": "mio", "formats": ["kohya", "kohya-masks"]}}


@pytest.fixture
def materialize(data, instance):
    instance.add_dynamic_partitions("tracker", [TRACKER])

    def run() -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [crop_captions, exports, exports_read_back],
            partition_key=TRACKER,
            instance=instance,
            resources={"data_folder": DataFolder(path=str(data))},
        )

    return run


def test_captions_and_exports_are_made_and_checked(data, materialize):
    ids = make_drawn_cell(data, settings=SETTINGS)
    publish_curated(data, ids, part={3: "validation"})
    result = materialize()
    (captions,) = result.asset_materializations_for_node("crop_captions")
    assert captions.metadata["captions"].value == 4.0
    assert captions.metadata["from_template"].value == 4.0
    assert "lora-assets models pull" in captions.metadata["tagger"].value
    assert "mio, character, full body" in captions.metadata["preview"].value
    (made,) = result.asset_materializations_for_node("exports")
    assert made.metadata["losses"].value == 0.0
    assert made.metadata["images"].value == 3.0
    assert made.metadata["preview"].value.startswith("![contact sheet](data:image/jpeg")
    assert "| kohya-masks | 3 + 1 | 30 |" in made.metadata["readings"].value
    found = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert all(one.passed for one in found.values())
    assert found["read_back_kohya_masks"].description == "3 pictures, nothing is lost"
    assert "not exported in this format" in (found["read_back_coco"].description or "")


def test_a_loss_fails_the_check_of_its_format(data, materialize):
    ids = make_drawn_cell(data, settings=SETTINGS)
    publish_curated(data, ids, chosen=dict.fromkeys(range(4), False))
    result = materialize()
    found = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not found["read_back_kohya"].passed
    assert "none of the 4 crops" in (found["read_back_kohya"].description or "")
    assert found["read_back_coco"].passed
    (made,) = result.asset_materializations_for_node("exports")
    assert made.metadata["images"].value == 0.0
    assert made.metadata["preview"].value == "nothing to show"


def test_the_checks_read_what_lies_there_now(data, materialize, instance):
    make_drawn_cell(data, settings=SETTINGS)
    materialize()
    settings = ExportSettings(formats=("coco",), trigger="mio", resolution=512)
    make_exports(Store(data), TRACKER, settings, CaptionSettings(tagger=""))  # as on the command line
    place = default_place(data, TRACKER)
    next((place / "kohya" / "train").rglob("*.txt")).write_text("")
    (place / "kohya-masks" / "manifest.json").unlink()

    @dg.asset(name="exports", partitions_def=trackers)
    def unchanged() -> None:
        """The checks alone, since a run of a partition needs an asset."""

    def check():
        result = dg.materialize(
            [unchanged, exports_read_back],
            partition_key=TRACKER,
            instance=instance,
            resources={"data_folder": DataFolder(path=str(data))},
        )
        return {one.check_name: one for one in result.get_asset_check_evaluations()}

    found = check()
    assert not found["read_back_kohya"].passed
    assert not found["read_back_kohya_masks"].passed
    assert "not there any more" in (found["read_back_kohya_masks"].description or "")
    assert found["read_back_coco"].description == "4 pictures, nothing is lost"
    assert "not exported in this format" in (found["read_back_yolo"].description or "")
    (place / "coco" / "manifest.json").write_text("{}")
    assert "cannot be understood" in (check()["read_back_coco"].description or "")

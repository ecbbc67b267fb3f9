from __future__ import annotations

import dagster as dg

from lora_assets.assets.quality import image_quality
from lora_assets.resources import DataFolder
from lora_assets_tests.tracker.drawn_data import TRACKER, make_data


def test_the_asset_publishes_the_table_and_shows_it(data, instance):
    make_data(data, frames_each=4)
    instance.add_dynamic_partitions("tracker", [TRACKER])
    resources = {"data_folder": DataFolder(path=str(data))}
    first, again = (
        dg.materialize([image_quality], partition_key=TRACKER, instance=instance, resources=resources) for _ in "12"
    )
    (made,) = first.asset_materializations_for_node("image_quality")
    told = {name: value.value for name, value in made.metadata.items()}
    assert told["crops"] == told["dagster/row_count"] > told["scored"] > 0
    assert 0 < told["mean_score"] <= 10 and told["mean_sharpness"] > 0 and told["absent_metrics"] >= 6
    assert told["seconds_sharpness"] > 0 and told["ms_per_crop_sharpness"] > 0
    assert sum(value for name, value in told.items() if name.startswith("band_")) == told["scored"]
    assert "models pull yunet" in told["absent"]["face_yunet"] and "aesthetics" in told["absent_signals"]
    assert "data:image/jpeg;base64," in told["preview"]
    (later,) = again.asset_materializations_for_node("image_quality")
    assert later.tags is not None and made.tags is not None
    assert later.tags["dagster/data_version"] == made.tags["dagster/data_version"]

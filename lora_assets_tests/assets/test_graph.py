from __future__ import annotations

import re
import subprocess
import sys

import dagster as dg
import pytest

import lora_assets
from lora_assets.definitions import GROUPS, defs


def _assets() -> list[dg.AssetsDefinition]:
    return [asset for group in GROUPS.values() for asset in group]


def test_the_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_map_in_the_package_is_the_graph_that_dagster_loads():
    text = lora_assets.__doc__ or ""
    drawn = set()
    for line in re.findall(r"^    (\w+(?: -> \w+)+)$", text, re.MULTILINE):
        names = line.split(" -> ")
        drawn |= set(zip(names[1:], names, strict=False))
    graph = defs.resolve_asset_graph()
    loaded = {
        (key.to_user_string(), parent.to_user_string())
        for key in graph.get_all_asset_keys()
        for parent in graph.get(key).parent_keys
    }
    assert drawn == loaded


def test_the_map_names_existing_places():
    text = (lora_assets.__doc__ or "").split("Where to change what:")[1]
    root = lora_assets.__path__[0]
    import pathlib

    for place in re.findall(r"[\w/]+(?:\.py|/)", text):
        assert (pathlib.Path(root) / place).exists(), place


@pytest.mark.parametrize("asset", _assets(), ids=lambda asset: asset.key.to_user_string())
def test_every_asset_tells_what_it_is(asset):
    spec = next(iter(asset.specs))
    assert len(spec.description or "") > 60
    assert spec.owners
    assert spec.kinds
    assert asset in GROUPS[spec.group_name or ""]
    assert spec.code_version
    if asset.key.to_user_string() not in ("tracker_dashboard", "judge", "video_frames"):  # page, model, pictures
        schema = spec.metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns)


def test_partition_mappings_are_the_built_in_ones():
    graph = defs.resolve_asset_graph()
    mapping = graph.get_partition_mapping(dg.AssetKey("tracker_dashboard"), dg.AssetKey("scored_crops"))
    assert isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping)
    mapping = graph.get_partition_mapping(dg.AssetKey("judge"), dg.AssetKey("scored_crops"))
    assert isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping)


def test_model_steps_share_one_pool():
    pools = {asset.key.to_user_string(): asset.op.pool for asset in _assets()}
    assert pools == {
        "raw_frames": None, "video_frames": None, "detections": "gpu", "masks": "gpu", "scored_crops": "gpu",
        "tracker_dashboard": None,
        "judge": None, "image_quality": "gpu", "crop_groups": None, "characters": "gpu", "curated_dataset": None,
        "crop_captions": "gpu", "exports": None,
        "embeddings": "gpu", "rare_objects": None, "captions": None, "embedding_map": None,
        "coco_annotations": None, "finetuned_segmenter": "gpu", "segmenter_report": "gpu",
        "refinement_sweep": "gpu", "layers": "gpu",
    }  # fmt: skip


def test_loading_the_definitions_imports_no_model_library():
    code = (
        "import sys, lora_assets.definitions\n"
        "heavy = ('torch', 'torchvision', 'ultralytics', 'segment_anything', 'onnxruntime', 'transformers', 'skia')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

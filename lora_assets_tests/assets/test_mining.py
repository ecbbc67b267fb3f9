from __future__ import annotations

import dagster as dg

from lora_assets.assets.mining import captions, embedding_map, embeddings, rare_objects
from lora_assets.resources import DataFolder
from lora_assets_tests.mining.chat_server import ChatService, chatting
from lora_assets_tests.mining.street import make_street

TRACKER = "STREET-1"
ASSETS = [embeddings, rare_objects, captions, embedding_map]


def _made(data, instance):
    instance.add_dynamic_partitions("tracker", [TRACKER])
    resources = {"data_folder": DataFolder(path=str(data))}
    result = dg.materialize(ASSETS, partition_key=TRACKER, instance=instance, resources=resources)
    assert result.success
    return {
        asset.key.to_user_string(): result.asset_materializations_for_node(asset.key.to_user_string())[0]
        for asset in ASSETS
    }


def test_the_branch_is_made_with_captions_and_shown(data, instance):
    with chatting(ChatService()) as chat:
        make_street(data, caption_service=chat.url, caption_model="m", rare_share=0.05, rare_least=1)
        made = _made(data, instance)
        asked = len(chat.asked)
        again = _made(data, instance)
        assert len(chat.asked) == asked
    told = {name: one.metadata for name, one in made.items()}
    assert told["embeddings"]["embedder"].value == "descriptor"
    assert told["embeddings"]["built_in"].value is True
    assert told["embeddings"]["classes"].value["excavator"] == 1
    assert told["rare_objects"]["kept"].value == asked == told["captions"]["captioned"].value
    assert told["captions"]["service"].value == chat.url
    assert "a yellow excavator" in told["captions"]["preview"].value
    assert told["embedding_map"]["points"].value == told["embeddings"]["objects"].value
    for name in ("embeddings", "rare_objects", "embedding_map"):
        assert "data:image/jpeg;base64," in told[name]["preview"].value
    assert all(one.metadata["already_made"].value is True for one in again.values())
    versions = [{name: one.tags["dagster/data_version"] for name, one in each.items()} for each in (made, again)]
    assert versions[0] == versions[1]


def test_an_empty_tracker_says_what_is_missing(data, instance):
    from lora_assets.specs import TrackerSpec, write_tracker

    write_tracker(data, TrackerSpec(TRACKER, ("never-made",)))
    made = _made(data, instance)
    assert made["embeddings"].metadata["objects"].value == 0.0
    assert any("no frames yet" in words for words in made["embeddings"].metadata["said"].value)

from __future__ import annotations

import dataclasses
import threading

import pytest

from lora_assets.mining.captioning import NOT_KEPT, caption_objects
from lora_assets.mining.embedding import embed_objects
from lora_assets.mining.objects import list_objects
from lora_assets.mining.rarity import rate_objects
from lora_assets.mining.settings import CaptionService, MiningSettings
from lora_assets.mining.sources import tracker_sources
from lora_assets.specs import read_tracker
from lora_assets.store import Store
from lora_assets_tests.mining.chat_server import ChatService, chatting, completion, failure
from lora_assets_tests.mining.street import make_street

FAST = {
    "caption_backoff_s": 0.0,
    "caption_timeout_s": 20.0,
    "skip_embeddings": True,
    "rare_least": 1,
    "rare_share": 0.1,
}


@pytest.fixture
def mined(data):
    """A street with its excavator and a few more kept, without vectors."""
    make_street(data)
    store, settings = Store(data), MiningSettings(**FAST)
    sources = tracker_sources(store, read_tracker(data, "STREET-1"))
    listed = list_objects(store, sources, settings, None)
    rows = embed_objects(store, sources, listed.kept, listed.passed, None, settings).rows
    rated = rate_objects(rows, listed.class_counts, listed.dataset_classes, settings).rows
    assert 1 < sum(each.kept for each in rated) < len(rated)
    return store, sources, rows, rated


def _caption(mined, service, **settings):
    return caption_objects(*mined, service, MiningSettings(**{**FAST, **settings}))


def _service(chat: ChatService) -> CaptionService:
    return CaptionService(chat.url, "qwen", "")


def test_kept_objects_get_a_caption_once_and_the_others_their_class_name(mined):
    kept = {each.object_id for each in mined[3] if each.kept}
    with chatting(ChatService()) as chat:
        made = _caption(mined, _service(chat))
        assert len(chat.asked) == made.calls == len(kept)
        again = _caption(mined, _service(chat))
        assert len(chat.asked) == len(kept)
        assert (again.calls, again.reused) == (0, len(kept))
        elsewhere = _caption(mined, CaptionService("http://127.0.0.1:9/v1", "qwen", ""))
        assert elsewhere.rows == again.rows == made.rows
    for row, each in zip(made.rows, mined[3], strict=True):
        if each.kept:
            assert (row.caption, row.source, row.reason) == ("a yellow excavator", "service", None)
            assert row.model == "served-model"
        else:
            assert (row.caption, row.source, row.reason) == (each.label, "class_name", NOT_KEPT)


def test_the_picture_that_is_sent_is_the_object_with_some_of_its_surroundings(mined):
    with chatting(ChatService()) as chat:
        _caption(mined, _service(chat))
        assert all(50 < chat.picture(n).width <= 68 for n in range(len(chat.asked)))


def test_another_prompt_or_model_asks_anew(mined):
    with chatting(ChatService()) as chat:
        count = _caption(mined, _service(chat)).calls
        assert _caption(mined, _service(chat), caption_prompt="日本語で説明してください。").calls == count
        assert _caption(mined, CaptionService(chat.url, "other", "")).calls == count


def test_a_failure_falls_back_is_said_and_is_tried_again(mined):
    kept = sum(each.kept for each in mined[3])
    with chatting(ChatService(script=[failure(400, "the picture is refused")])) as chat:
        made = _caption(mined, _service(chat), caption_workers=1)
        assert len(made.failed) == 1
        (row,) = [row for row in made.rows if row.reason not in (None, NOT_KEPT)]
        assert row.source == "class_name"
        assert "the picture is refused" in (row.reason or "")
        assert f"1 of the kept objects have their class name instead (1: {row.reason})" in made.said
        again = _caption(mined, _service(chat))
        assert (again.calls, again.reused, again.failed) == (1, kept - 1, {})


def test_the_budget_goes_to_the_rarest_first(mined):
    with chatting(ChatService()) as chat:
        made = _caption(mined, _service(chat), caption_calls=1, caption_workers=1)
    captioned = [each.label for each, row in zip(mined[3], made.rows, strict=True) if row.source == "service"]
    assert captioned == ["excavator"]
    assert all("budget of 1 requests" in reason for reason in made.failed.values())


def test_several_are_asked_at_once(mined):
    asked = 2 * (sum(each.kept for each in mined[3]) // 2)
    with chatting(ChatService(meeting=threading.Barrier(2, timeout=60))) as chat:
        made = _caption(mined, _service(chat), caption_workers=2, caption_calls=asked, caption_attempts=1)
        assert chat.most_at_once == 2
        assert made.calls == len(chat.asked) == asked >= 2


def test_without_a_named_service_nothing_leaves(mined, monkeypatch):
    with chatting(ChatService()) as chat:
        monkeypatch.setenv("LORA_ASSETS_CAPTION_URL", chat.url)
        made = _caption(mined, "no caption service is named")
        assert chat.asked == []
    assert {row.source for row in made.rows} == {"class_name"}
    assert made.said == ("no captions: no caption service is named; every object has its class name",)


def test_a_caption_can_make_a_target_and_the_class_rule_does_without(mined):
    rule = {each.object_id for each in mined[3] if each.is_rare_class}
    bare = _caption(mined, "skipped")
    assert {row.object_id for row in bare.rows if row.is_target} == rule
    assert {row.target_from for row in bare.rows} == {"class_rule", None}
    objects, rated = mined[2], mined[3]
    odd = [dataclasses.replace(each, is_rare_class=False) for each in rated]
    with chatting(ChatService(always=lambda _: completion("A Yellow Digger"))) as chat:
        made = caption_objects(
            *mined[:2], objects, odd, _service(chat), MiningSettings(**FAST, rare_keywords=("digger",))
        )
    assert {row.target_from for row in made.rows if row.is_target} == {"caption"}
    assert {row.object_id for row in made.rows if row.is_target} == {each.object_id for each in odd if each.kept}


def test_a_lost_frame_has_a_reason_and_asks_nothing(mined):
    for source in mined[1]:
        for path in source.folder.iterdir():
            path.unlink()
    with chatting(ChatService()) as chat:
        made = _caption(mined, _service(chat))
        assert chat.asked == []
    assert len(made.failed) == sum(each.kept for each in mined[3])

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.mining.rarity import rate_objects
from lora_assets.mining.settings import MiningSettings
from lora_assets_tests.mining.street import mined_rows


def _vectors(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=16)
    return [middle + 0.2 * rng.normal(size=16) for _ in range(count)]


def _rate(rows, counts=None, datasets=None, **settings):
    counts = counts or {label: sum(row.label == label for row in rows) for label in {row.label for row in rows}}
    return rate_objects(rows, counts, datasets or {"street": counts}, MiningSettings(**settings))


def test_the_supposed_run_of_the_specification():
    labels = ["excavator"] * 10 + ["bicycle"] * 30 + ["bus"] * 60 + ["truck"] * 300 + ["car"] * 200
    counts = {"car": 1200, "truck": 700, "bus": 60, "bicycle": 30, "excavator": 10}
    rated = _rate(mined_rows(_vectors(600), labels), counts, trees=30).rows
    assert sum(row.is_isolated for row in rated) == 60
    assert sum(row.is_local_outlier for row in rated) == 60
    assert sum(row.is_rare_class for row in rated) == 180
    assert {row.label for row in rated if row.is_rare_class} == {"excavator", "bicycle", "bus", "truck"}
    assert sum(row.is_rare_class or row.is_isolated for row in rated) <= 240
    assert all(row.kept == bool(row.reasons) for row in rated)
    assert rated[0].class_share == pytest.approx(10 / 2000)
    assert rated[0].rarity_bits == pytest.approx(np.log2(200))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_objects(count):
    rated = _rate(mined_rows(_vectors(count), ["car"] * count))
    assert [row.kept for row in rated.rows] == [False] * count
    assert any("no outlier model is possible" in words for words in rated.said)
    assert all(row.isolation_score is None for row in rated.rows)


def test_one_class_is_not_rare_and_says_so_but_a_keyword_is():
    rows = mined_rows(_vectors(40), ["road bicycle"] * 40)
    rated = _rate(rows)
    assert not any(row.is_rare_class for row in rated.rows)
    assert any("no class is rare" in words for words in rated.said)
    assert rated.rows[0].rarity_bits == 0
    named = _rate(rows, rare_keywords=("BICYCLE",))
    assert all(row.keyword == "BICYCLE" and "keyword" in row.reasons for row in named.rows)


def test_objects_without_a_vector_can_be_rare_by_their_class_only():
    vectors: list = _vectors(30)
    vectors[3] = vectors[7] = None
    labels = ["car"] * 30
    labels[3] = "excavator"
    rated = _rate(mined_rows(vectors, labels))
    assert rated.rows[3].isolation_score is None
    assert rated.rows[3].reasons == ["rare_class"]
    assert rated.rows[7].kept is False
    assert any("2 objects have no vector" in words for words in rated.said)


def test_all_vectors_lost():
    rated = _rate(mined_rows([None] * 5, ["car"] * 5))
    assert not any(row.kept for row in rated.rows)
    assert len(rated.said) >= 2


@pytest.mark.parametrize(
    ("skipped", "gone"),
    [
        ("skip_outliers", {"isolation_forest", "lof"}),
        ("skip_embeddings", {"isolation_forest", "lof"}),
        ("skip_rare_class", {"rare_class", "keyword"}),
    ],
)
def test_a_skipped_step_is_said_and_marks_nothing(skipped, gone):
    rows = mined_rows([None] * 40 if skipped == "skip_embeddings" else _vectors(40), ["bus"] * 4 + ["car"] * 36)
    rated = _rate(rows, rare_keywords=("bus",), **{skipped: True})
    assert not gone & {name for row in rated.rows for name in row.reasons}
    assert any(skipped in words for words in rated.said)
    assert any(row.kept for row in rated.rows)


def test_novelty_follows_the_order_of_the_datasets():
    vectors = [*_vectors(20), *_vectors(2), -_vectors(1)[0]]
    labels = ["car"] * 22 + ["tank"]
    datasets = ["day-1"] * 20 + ["day-2"] * 3
    rows = mined_rows(vectors, labels, datasets)
    order = {"day-1": {"car": 20}, "day-2": {"car": 2, "tank": 1}}
    rated = _rate(rows, datasets=order).rows
    assert all(row.novelty is None and row.is_new_class is None for row in rated[:20])
    assert rated[22].novelty == 1.0
    assert rated[22].is_new_class is True
    assert rated[20].novelty == 0.0
    assert rated[20].is_new_class is False
    assert rated[20].nearest_earlier == rows[0].object_id
    back = _rate(rows, datasets=dict(reversed(order.items()))).rows
    assert back[0].novelty is not None
    assert back[22].novelty is None
    assert "skip_novelty" in " ".join(_rate(rows, datasets=order, skip_novelty=True).said)
    # A dataset without objects, as one that has no detections yet, is none to compare with.
    after_nothing = _rate(rows, datasets={"day-0": {}, **order}).rows
    assert [row.is_new_class for row in after_nothing] == [row.is_new_class for row in rated]

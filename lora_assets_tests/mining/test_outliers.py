from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.mining.outliers import find_outliers, novelty_over_time


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _crowd(count: int, width: int = 24, seed: int = 0) -> np.ndarray:
    """Vectors around two middles."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(2, width))
    return _unit(middles[np.arange(count) % 2] + 0.15 * rng.normal(size=(count, width)))


def _find(vectors: np.ndarray, contamination: float = 0.1):
    return find_outliers(vectors, contamination, trees=60, neighbours=20, seed=0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_objects_have_no_outlier(count):
    found = _find(_crowd(count))
    assert found.isolation is None
    assert found.lof is None
    assert not found.is_isolated.any()
    assert len(found.is_local) == count
    assert f"{count} objects" in found.said


def test_equal_vectors_have_no_outlier():
    found = _find(np.tile(_crowd(1), (30, 1)))
    assert "30 objects with 1 different vectors" in found.said
    assert not found.is_isolated.any()


def test_three_objects_are_the_fewest():
    found = _find(_unit(np.eye(3, dtype=np.float32)))
    assert found.said == ""
    assert found.isolation is not None


def test_planted_strangers_are_the_oddest_of_both_models():
    crowd = _crowd(190)
    strangers = _unit(np.random.default_rng(5).normal(size=(10, 24)))
    found = _find(np.concatenate([crowd, strangers]))
    assert found.is_isolated[190:].mean() >= 0.9
    assert found.is_local[190:].all()
    assert found.is_isolated.sum() == found.is_local.sum() == 20


def test_doubles_do_not_make_their_neighbours_odd():
    crowd = _crowd(60)
    doubled = np.concatenate([crowd, np.tile(crowd[:1], (200, 1))])
    found = _find(doubled)
    assert found.lof is not None
    assert np.isfinite(found.lof).all()
    assert found.lof.max() < 3
    assert len(set(found.lof[60:].tolist()) | {float(found.lof[0])}) == 1


def test_a_stranger_with_a_common_name_is_odd_within_its_class():
    rng = np.random.default_rng(4)
    middles = 2 * rng.normal(size=(4, 40))
    codes = np.arange(400) % 4
    vectors = middles[codes] + 0.5 * rng.normal(size=(400, 40))
    # Eight look like another class, only a little otherwise: nothing is odd about them but their name.
    vectors[:8] = middles[(codes[:8] + 1) % 4] + 0.5 * rng.normal(size=(8, 40))
    labels = [f"class {code}" for code in codes]
    plain = find_outliers(_unit(vectors), 0.1, trees=60, neighbours=20, seed=0)
    named = find_outliers(_unit(vectors), 0.1, trees=60, neighbours=20, seed=0, labels=labels)
    assert named.is_isolated[:8].sum() >= 6 > plain.is_isolated[:8].sum()


def test_equal_input_gives_equal_scores():
    one, two = _find(_crowd(50)), _find(_crowd(50))
    assert one.isolation is not None
    assert two.isolation is not None
    np.testing.assert_array_equal(one.isolation, two.isolation)


def _plain_novelty(vectors: np.ndarray, groups: list[int]) -> list[tuple[float, float] | None]:
    """The definition, one by one; the least and the most that rounding may make of it."""
    similar = vectors @ vectors.T
    told: list[tuple[float, float] | None] = []
    for row, group in enumerate(groups):
        earlier = [other for other, at in enumerate(groups) if at < group]
        if len(earlier) < 2:
            told.append(None)
            continue
        own = 1 - max(similar[row, other] for other in earlier)
        among = [1 - max(similar[one, other] for other in earlier if other != one) for one in earlier]
        low, high = (sum(distance < own + slack for distance in among) / len(among) for slack in (-1e-5, 1e-5))
        told.append((low, high))
    return told


@given(st.lists(st.integers(0, 3), max_size=24), st.integers(0, 50))
@settings(deadline=None, max_examples=40)
def test_novelty_is_what_its_definition_says(groups, seed):
    vectors = (
        _unit(np.random.default_rng(seed).normal(size=(len(groups), 3))) if groups else np.zeros((0, 3), np.float32)
    )
    found = novelty_over_time(vectors, groups, 4)
    for row, wanted in enumerate(_plain_novelty(vectors, groups)):
        if wanted is None:
            assert np.isnan(found.novelty[row])
        else:
            assert wanted[0] <= found.novelty[row] <= wanted[1]
            earlier = [other for other, at in enumerate(groups) if at < groups[row]]
            assert found.nearest[row] in earlier


def test_what_was_never_seen_is_new_and_what_was_is_not():
    before, same = _crowd(100), _crowd(100)[:5]
    stranger = -before.mean(axis=0, keepdims=True)
    vectors = np.concatenate([before, same, _unit(stranger)])
    found = novelty_over_time(vectors, [0] * 100 + [1] * 6, 2)
    assert np.isnan(found.novelty[:100]).all()
    assert (found.novelty[100:105] == 0).all()
    assert found.novelty[105] == 1.0
    assert found.nearest[100:105].tolist() == [0, 1, 2, 3, 4]

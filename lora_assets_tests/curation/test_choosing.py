"""The choice: methods, variety, balance, duplicates, and reasons with value and limit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.curation import reasons
from lora_assets.curation.choosing import Candidates, band_quotas, choose
from lora_assets.curation.reasons import REASONS
from lora_assets.curation.settings import CurateSettings
from lora_assets.identity.likeness import TINY_SIZE


def _pool(scores, level=None, groups=None, framings=None, sure=None, p_good=None) -> Candidates:
    count = len(scores)
    level = np.arange(count) * 0.3 if level is None else np.array(level)
    return Candidates(
        np.array(scores, float), np.array(p_good if p_good is not None else [0.5] * count),
        np.repeat(np.asarray(level, np.float32)[:, None], TINY_SIZE, axis=1),
        groups or [f"g{n}" for n in range(count)], framings or [""] * count, [""] * count, [""] * count,
        np.array(sure if sure is not None else [False] * count, bool),
    )  # fmt: skip


def _taken(found) -> list[int]:
    return [place for place, one in sorted(enumerate(found), key=lambda pair: pair[1].rank) if one.taken]


def test_the_best_are_taken_and_the_rest_say_why():
    found = choose(_pool([5, 9, 7, 8]), CurateSettings(target=2))
    assert _taken(found) == [1, 3]
    assert (found[1].reason, found[1].value, found[1].limit) == (reasons.BEST, 9.0, 8.0)
    assert (found[0].reason, found[0].value, found[0].limit) == (reasons.TARGET_REACHED, 5.0, 2.0)


def test_threshold_takes_all_that_reach_it():
    found = choose(_pool([6.9, 7.0, 9.5]), CurateSettings(method="threshold", target=1))
    assert _taken(found) == [2, 1]
    assert (found[0].reason, found[0].value, found[0].limit) == (reasons.UNDER_THRESHOLD, 6.9, 7.0)


def test_stratified_gives_the_asked_shares():
    scores = np.repeat([9.5, 8.0, 6.0, 4.0], 60)
    options = CurateSettings(method="stratified", target=40, variety=0.0)
    found = choose(_pool(scores), options)
    taken = Counter(scores[_taken(found)].tolist())
    assert taken == {9.5: 20, 8.0: 14, 6.0: 6}
    assert Counter(one.reason for one in found)[reasons.UNDER_BANDS] == 60
    assert {one.limit for one in found if one.reason == reasons.BAND_FULL} == {20.0, 14.0, 6.0}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_quotas_add_up(target, parts):
    total = sum(parts)
    bands = tuple(float(9 - n) for n in range(len(parts)))
    quotas = band_quotas(CurateSettings(target=target, bands=bands, shares=tuple(part / total for part in parts)))
    assert sum(quotas) == target
    assert all(abs(quota - target * part / total) < 1 for quota, part in zip(quotas, parts, strict=True))


def test_a_group_gives_its_best_and_no_more_than_asked():
    found = choose(_pool([9, 8.9, 8.8, 5], groups=["a", "a", "a", "b"]), CurateSettings(target=10, per_group=2))
    assert _taken(found) == [0, 1, 3]
    assert (found[2].reason, found[2].value, found[2].limit) == (reasons.DUPLICATE, 2.0, 2.0)


def test_what_adds_nothing_stays_out():
    found = choose(_pool([9, 8.9, 5], level=[0.5, 0.501, 0.9]), CurateSettings(target=10))
    assert found[1].reason == reasons.NOTHING_NEW
    assert found[1].value == pytest.approx(0.001, abs=2e-4)
    assert found[1].limit == 0.04
    assert found[0].novelty is None
    assert found[2].novelty == pytest.approx(0.4, abs=1e-3)


def test_variety_may_beat_a_slightly_better_score():
    pool = _pool([9.0, 8.9, 8.5], level=[0.2, 0.26, 0.9])
    assert _taken(choose(pool, CurateSettings(target=2, variety=0.0))) == [0, 1]
    found = choose(pool, CurateSettings(target=2, variety=0.5))
    assert _taken(found) == [0, 2]
    assert found[2].reason == reasons.ADDS


def test_framings_are_balanced():
    framings = ["bust"] * 30 + ["full"] * 10
    scores = [9.0] * 30 + [8.6] * 10
    plain = choose(_pool(scores, framings=framings), CurateSettings(target=16, balance=0.0))
    even = choose(_pool(scores, framings=framings), CurateSettings(target=16, balance=0.5))
    assert Counter(framings[place] for place in _taken(plain)) == {"bust": 16}
    assert Counter(framings[place] for place in _taken(even))["full"] >= 6


def test_what_a_person_called_good_is_in_whatever_the_rest_says():
    pool = _pool([1.0, 9.0, 9.0], level=[0.5, 0.5, 0.9], groups=["a", "a", "b"], sure=[True, False, False])
    found = choose(pool, CurateSettings(target=1, per_group=1))
    assert _taken(found) == [0]
    assert found[0].reason == reasons.SAID_GOOD


def test_p_good_breaks_ties_only():
    options = CurateSettings(target=1)
    assert _taken(choose(_pool([8.0, 8.0], p_good=[0.2, 0.9]), options)) == [1]
    assert _taken(choose(_pool([8.1, 8.0], p_good=[0.2, 0.9]), options)) == [0]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(["top_k", "threshold", "stratified"]),
    st.integers(1, 30),
)  # fmt: skip
def test_every_candidate_has_an_answer(seed, count, method, target):
    rng = np.random.default_rng(seed)
    pool = _pool(
        rng.uniform(0, 10, count), rng.uniform(0, 1, count), [f"g{n}" for n in rng.integers(0, 8, count)],
        [str(name) for name in rng.choice(["face", "bust", "half", "full", "unknown"], count)],
    )  # fmt: skip
    options = CurateSettings(method=method, target=target)
    found = choose(pool, options)
    assert len(found) == count
    assert sorted(one.rank for one in found if one.taken) == list(range(1, sum(one.taken for one in found) + 1))
    assert all(REASONS[one.reason].takes_in == one.taken for one in found)
    assert max(Counter(pool.groups[place] for place in _taken(found)).values(), default=0) <= options.per_group
    if method != "threshold":
        assert sum(one.taken for one in found) <= target
    assert choose(pool, options) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "best"}, {"target": 0}, {"target": True}, {"threshold": 11}, {"tiers": ()}, {"tiers": ("top",)},
        {"shares": (0.5, 0.5, 0.5)}, {"bands": (5.0, 7.0, 9.0)}, {"framing_shares": (1.0,)}, {"validation": 0.9},
        {"character": 3}, {"source": "stars"}, {"variety": float("nan")}, {"seed": -1}, {"tiers": "high"},
        {"bands": 9.0},
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        CurateSettings(**wrong)

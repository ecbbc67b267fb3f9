"""Groups of alike crops: twins, held frames and near-duplicates are one drawing, variants stand beside it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.curation.duplicates import EXACT, HELD, LEADER, NEAR, VARIANT, Looks, group_crops
from lora_assets.curation.groups import make_groups
from lora_assets.identity.likeness import TINY_SIZE
from lora_assets.store import Store
from lora_assets_tests.curation.dolls import TRACKER, Doll, Shown, write_dolls


def _looks(tiny, scores=None, pixels=None, shots=None) -> Looks:
    count = len(tiny)
    return Looks(
        np.array(tiny, np.float32).reshape(count, TINY_SIZE), np.zeros(count, np.uint64),
        pixels or [f"p{place}" for place in range(count)], np.ones(count), shots or ["a"] * count,
        np.array(scores if scores is not None else np.linspace(1, 0.5, count)),
    )  # fmt: skip


def _flat(*levels: float):
    return [np.full(TINY_SIZE, level) for level in levels]


def test_kinds():
    looks = _looks(
        _flat(0.5, 0.5, 0.51, 0.515, 0.56, 0.9),
        pixels=["x", "x", "y", "z", "v", "w"],
        shots=["a", "a", "a", "b", "a", "a"],
    )
    found = group_crops(looks)
    assert [place.kind for place in found] == [LEADER, EXACT, HELD, NEAR, VARIANT, LEADER]
    assert [place.group for place in found] == [0, 0, 0, 0, 0, 5]
    assert [place.drawing for place in found] == [0, 0, 0, 0, 4, 5]
    assert found[0].distance == 0.0


def test_the_best_leads():
    found = group_crops(_looks(_flat(0.5, 0.505, 0.51), scores=[0.1, 0.9, 0.5]))
    assert [place.group for place in found] == [1, 1, 1]


def test_a_slow_change_does_not_chain():
    found = group_crops(_looks(_flat(*np.arange(0.2, 0.8, 0.02))))
    assert len({place.drawing for place in found}) > 8
    assert max(place.distance for place in found) < 0.12


def test_without_a_picture_a_crop_is_alone():
    found = group_crops(_looks(_flat(0.5, 0.5, 0.5), pixels=["", "", "x"]))
    assert [place.kind for place in found] == [LEADER] * 3


def test_none_and_many():
    assert group_crops(_looks(np.zeros((0, TINY_SIZE)))) == []
    found = group_crops(_looks(_flat(*[0.5] * 600)))
    assert {place.group for place in found} == {0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_every_group_has_one_leader_that_leads_itself(seed, count):
    rng = np.random.default_rng(seed)
    found = group_crops(_looks(rng.uniform(0.4, 0.6, (count, 1)) * np.ones((1, TINY_SIZE)), rng.random(count)))
    members = defaultdict(list)
    for place, told in enumerate(found):
        members[told.group].append(place)
        assert found[told.group].kind == LEADER
        assert found[told.drawing].group == told.group
    for inside in members.values():
        assert sum(found[place].kind == LEADER for place in inside) == 1


def test_groups_of_a_tracker_go_across_datasets_and_are_made_once(tmp_path):
    opening = [Shown([Doll("red", arms=step // 3 / 2)], noise=step) for step in range(6)]
    one = write_dolls(tmp_path, opening, "one")
    again = [Shown(shown.dolls, noise=50 + shown.noise) for shown in opening]
    two = write_dolls(tmp_path, [*again, Shown([Doll("green")], place=3, noise=90)], "two")
    made = make_groups(Store(tmp_path), TRACKER)
    drawing = {row.crop_id: row.drawing for row in made.rows}
    arms = {crop: doll.arms for crop, doll in {**one.dolls, **two.dolls}.items() if doll.who == "red"}
    for crop, raised in arms.items():
        assert {drawing[other] for other, there in arms.items() if there == raised} == {drawing[crop]}
    assert len({drawing[crop] for crop in arms}) == 2
    assert {row.dataset for row in made.rows if row.drawing == drawing[next(iter(arms))]} == {"one", "two"}
    assert make_groups(Store(tmp_path), TRACKER).rows == made.rows


def test_a_vetoed_crop_leads_nobody_else(tmp_path):
    write_dolls(
        tmp_path, [Shown([Doll("red", vetoed=step == 0, score=0.9 - step / 10)], noise=step) for step in range(3)]
    )
    rows = make_groups(Store(tmp_path), TRACKER).rows
    assert len({row.group for row in rows}) == 1
    assert next(row for row in rows if row.kind == LEADER).distance == 0

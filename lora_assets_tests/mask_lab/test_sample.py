from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.mask_lab.frames import tracker_sources
from lora_assets.mask_lab.sample import choose_sample, pool_of
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.sweeping import judge_sample, pareto_front
from lora_assets.specs import read_tracker
from lora_assets.store import Store
from lora_assets_tests.mask_lab.cells import ARMS, TRACKER, make_cell


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A cell that is only read."""
    data = tmp_path_factory.mktemp("sample") / "data"
    make_cell(data)
    return data


def _sample(data, **told):
    sources = tracker_sources(Store(data), read_tracker(data, TRACKER))
    return choose_sample(sources, MaskLabSettings(**told))


def test_the_hard_cases_are_chosen_and_the_reason_is_told(cell):
    sample, known = _sample(cell, sample=8)
    assert known == 7 and len(sample) == 7
    assert [each.number for each in sample] == list(range(1, 8))
    first = sample[0]
    assert first.chosen_for[0] == "smallest" and first.path == "絵1.png"
    assert first.detail == pytest.approx(first.row.coverage)
    pair = [each for each in sample if "touching" in each.chosen_for]
    assert [each.path for each in pair] == ["絵2.png", "絵2.png"]
    assert len({each.row.detection_id for each in pair}) == 2
    assert any(each.path == f"絵{ARMS}.png" and "thin_parts" in each.chosen_for for each in sample)
    assert all(each.is_hard for each in sample if each.chosen_for != ("random",))


def test_the_seed_decides_and_a_small_sample_takes_each_frame_once(cell):
    one, again, other = (_sample(cell, sample=4, seed=seed)[0] for seed in (1, 1, 2))
    told = [[(each.path, each.row.detection_id) for each in sample] for sample in (one, again, other)]
    assert told[0] == told[1]
    assert len(one) == 4
    alone = [each.frame_sha256 for each in one if "touching" not in each.chosen_for]
    assert len(set(alone)) == len(alone)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20])
def test_a_sample_is_never_larger_than_asked_nor_holds_a_mask_twice(cell, size):
    sample, _ = _sample(cell, sample=size)
    assert len(sample) == min(size, 7)
    assert len({(each.frame_sha256, each.row.detection_id) for each in sample}) == len(sample)


def test_a_pool_is_drawn_with_the_seed():
    frames = [f"{number:03}" for number in range(50)]
    assert pool_of(frames, MaskLabSettings(seed=1), 9) == pool_of(frames[::-1], MaskLabSettings(seed=1), 9)
    assert len(pool_of(frames, MaskLabSettings(), 9)) == 9 == len(set(pool_of(frames, MaskLabSettings(seed=3), 9)))


def test_the_frames_of_a_pool_are_put_in_order_once():
    compared = []

    class Name(str):
        def __lt__(self, other: str) -> bool:
            compared.append(other)
            return str.__lt__(self, other)

    frames = [Name(number * 37 % 101) for number in range(100)]
    sorted(frames)
    once = len(compared)
    pool_of(frames, MaskLabSettings(), 40)
    assert len(compared) == 2 * once


def test_masks_are_judged_by_their_truth_else_by_a_second_opinion(data):
    truths = make_cell(data)
    sample, _ = _sample(data)
    judged, said = judge_sample(sample, MaskLabSettings(), data)
    assert said == []
    for each in judged:
        assert each.judge == "truth" and each.mask is not None
        assert any(int(each.mask.sum()) == int(mask.sum()) for masks in truths for mask in masks)
    (data / "input" / "film" / "truth.json").unlink()
    judged, _ = judge_sample(sample, MaskLabSettings(), data)
    assert {each.judge for each in judged} <= {"grabcut", ""}
    assert sum(each.judge == "grabcut" for each in judged) >= 5
    judged, said = judge_sample(sample, MaskLabSettings(second_opinion="none"), data)
    assert {each.judge for each in judged} == {""}
    assert "no mask has a truth or a second opinion" in said[0]


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 1)), st.floats(0.001, 1)), max_size=12))
@settings(deadline=None)
def test_the_front_holds_what_nothing_beats(points):
    front = pareto_front(points)
    rated = [(quality, cost) for quality, cost in points if quality is not None]
    for (quality, cost), on_front in zip(points, front, strict=True):
        if quality is None:
            assert on_front is None
            continue
        beaten = any(q >= quality and c <= cost and (q, c) != (quality, cost) for q, c in rated)
        assert on_front is (not beaten)
    assert np.count_nonzero([flag is True for flag in front]) >= bool(rated)

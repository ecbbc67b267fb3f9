from __future__ import annotations

import pytest

from lora_assets.mask_lab.grid import (
    SweepRefused,
    count_presets,
    is_large,
    planned_presets,
    refusal,
    tried_presets,
)
from lora_assets.mask_lab.settings import LayerSettings, MaskLabSettings
from lora_assets.specs import SpecError, TrackerSpec, section_settings

LARGE = {"dilate": [3, 5, 7, 9, 11], "dilate_iterations": list(range(1, 21)), "threshold": list(range(50, 250, 2)),
         "gaussian": [3]}  # fmt: skip


def _settings(**told: object) -> MaskLabSettings:
    return section_settings(MaskLabSettings, TrackerSpec("T", settings={"mask_lab": told}), "mask_lab")


def test_all_eight_presets_are_swept_by_default():
    assert [preset.name for preset in planned_presets(MaskLabSettings())] == [
        "aggressive", "extended", "smooth", "strong_edge", "baseline", "alpha_matting", "conservative", "fine",
    ]  # fmt: skip


def test_a_grid_is_every_combination_that_is_a_chain_each_once():
    chosen = _settings(presets=[], grid_base="aggressive", grid={"dilate": [0, 5, 7, 7], "dilate_iterations": [1, 3]})
    assert count_presets(chosen) == 6
    # No dilation is one chain whatever the iterations; 7 x 3 is the base itself.
    assert [preset.name for preset in planned_presets(chosen)] == [
        "aggressive:dilate=0,dilate_iterations=0", "aggressive:dilate=5,dilate_iterations=1", "aggressive:dilate=5",
        "aggressive:dilate_iterations=1", "aggressive",
    ]  # fmt: skip
    chosen = _settings(presets=["baseline"], grid={"gaussian": [0, 5], "threshold": [90, 127]})
    assert [preset.name for preset in planned_presets(chosen)] == [
        "baseline", "baseline:gaussian=5,threshold=90", "baseline:gaussian=5",
    ]  # fmt: skip
    with pytest.raises(SweepRefused, match="no combination of the grid is a chain"):
        planned_presets(_settings(presets=[], grid={"threshold": [90]}))


def test_ten_thousand_combinations_are_counted_before_they_are_made():
    chosen = _settings(presets=[], grid=LARGE)
    assert count_presets(chosen) == 10_000
    assert is_large(chosen)
    told = str(refusal(10_000, 12, 4000.0))
    assert "10,000 presets over 12 masks: 120,000 refinements, about 67 min" in told
    assert "It was not started" in told and "--yes" in told and "allow_large" in told
    assert "about 3.1 hours" in str(refusal(10_000, 12, 11_000.0))
    more = {**LARGE, "close": [3], "close_iterations": list(range(50)), "open": [3], "open_iterations": list(range(50))}
    with pytest.raises(SweepRefused, match="the grid has 25,000,000 combinations, and 100,000 are the most"):
        planned_presets(_settings(presets=[], grid=more))


def test_a_few_presets_of_a_sweep_are_tried_without_those_between():
    for chosen in (
        _settings(presets=[], grid=LARGE),
        _settings(presets=["fine", "smooth"], grid={"dilate": [3, 5, 7]}),
        _settings(presets=["fine", "smooth"]),
    ):
        every = planned_presets(chosen)
        last = len(every) - 1
        assert tried_presets(chosen) == [every[0], every[last // 2], every[last]]
    # The first combination that is a chain, where the wanted one is none.
    half = _settings(presets=[], grid={"gaussian": [0, 5], "threshold": [90, 91]})
    assert [preset.name for preset in tried_presets(half)] == [
        "baseline:gaussian=5,threshold=90", "baseline:gaussian=5,threshold=90", "baseline:gaussian=5,threshold=91",
    ]  # fmt: skip
    with pytest.raises(SweepRefused, match="no combination of the grid is a chain"):
        tried_presets(_settings(presets=[], grid={"threshold": [90]}))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"grid": {"dilate": [3, 4]}}, "dilate = 4: a kernel has a middle pixel"),
        ({"grid": {"dilate": [-3]}}, "dilate = -3 is no size of a kernel"),
        ({"grid": {"dilat": [3]}}, r"no parameter 'dilat' \(did you mean dilate\?\)"),
        ({"grid": {"dilate": 3}}, "dilate must be a list of values"),
        ({"grid": {"dilate": []}}, "dilate must be a list of values"),
        ({"grid": [3]}, "grid must be a table"),
        ({"presets": ["agressive"]}, "did you mean aggressive"),
        ({"presets": "aggressive"}, "presets must be a list of names"),
        ({"presets": []}, "nothing to sweep"),
        ({"grid_base": "nothing"}, "no refinement preset 'nothing'"),
        ({"sample": 0}, "sample must be a whole number from 1 to 500"),
        ({"sample": True}, "sample must be a whole number"),
        ({"allow_large": "yes"}, "allow_large must be true or false"),
        ({"second_opinion": ""}, "second_opinion must be"),
        ({"truth": 3}, "truth must be a text"),
        ({"objective": {"iuo": 1}}, "no part iuo; parts: iou"),
        ({"objective": {"iou": 0}}, "all weights are 0"),
        ({"objective": {"iou": -1}}, "weight of iou must be a number"),
        ({"objective": {}}, "objective must be a table"),
        ({"speed": 1}, "unknown setting speed"),
    ],
)
def test_what_does_not_fit_is_told(told, words):
    with pytest.raises(SpecError, match=words):
        _settings(**told)


@pytest.mark.parametrize(
    ("told", "words"),
    [({"method": "magic"}, "one of telea, ns, lama"), ({"radius": 0}, "from 1 to 64"), ({"weights": ""}, "LaMa")],
)
def test_layer_settings_that_do_not_fit_are_told(told, words):
    with pytest.raises(SpecError, match=words):
        section_settings(LayerSettings, TrackerSpec("T", settings={"layers": told}), "layers")

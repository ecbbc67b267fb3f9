"""Tests of how several signs of a defect become one value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.vision.checks import CHECKS
from lora_assets.vision.mask_evidence import BACKGROUND, HOLES, LEFT_OUT, Blend

SHARE = st.floats(0.0, 1.0)
BLENDS = {"background_left": BACKGROUND, "left_out": LEFT_OUT, "holes": HOLES}


@given(st.lists(SHARE, min_size=1, max_size=5))
def test_a_blend_lies_between_its_signs(signs: list[float]):
    told = Blend((1.0 / len(signs),) * len(signs), 0.1, 0.3).share(*signs)
    assert told is not None
    assert min(signs) - 1e-9 <= told <= max(signs) + 1e-9


@given(st.lists(SHARE, min_size=4, max_size=4), st.integers(0, 3), SHARE)
def test_more_of_a_sign_is_never_less(signs: list[float], place: int, more: float):
    for blend in BLENDS.values():
        count = len(blend.weights)
        low, high = signs[:count], signs[:count]
        low[place % count], high[place % count] = sorted((more, signs[place % count]))
        first, second = blend.share(*low), blend.share(*high)
        assert first is not None and second is not None and first <= second + 1e-9


@pytest.mark.parametrize("signs", [(None, 0.5), (0.5, None), (None, None)])
def test_what_one_sign_cannot_tell_stays_untold(signs: tuple[float | None, float | None]):
    assert BACKGROUND.share(*signs) is None


def test_the_checks_hold_the_limits_that_were_fitted():
    limits = {check.name: (check.limit, check.grave) for check in CHECKS}
    for name, blend in BLENDS.items():
        assert sum(blend.weights) == pytest.approx(1.0, abs=1e-3)
        assert limits[name] == (blend.limit, blend.grave) and blend.limit < blend.grave

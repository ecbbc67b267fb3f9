"""Masks as plain run lengths and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.run_lengths import mask_of_runs, run_lengths


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_run_lengths_are_a_round_trip(height, width, told):
    mask = np.array(told.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)), bool)
    mask = mask.reshape(height, width)
    runs = run_lengths(mask)
    assert sum(runs) == mask.size and min(runs[1:], default=1) > 0
    np.testing.assert_array_equal(mask_of_runs(runs, height, width), mask)


def test_runs_go_down_the_columns_and_begin_with_false():
    assert run_lengths(np.array([[True, False], [True, True]])) == [0, 2, 1, 1]


@pytest.mark.parametrize("runs", [[], [3], [-1, 5], [2**62, 2**62, 2**62, 2**62 + 4]])
def test_runs_that_do_not_fill_their_window_are_refused(runs):
    with pytest.raises(ValueError, match="do not fill its window of 2 x 2"):
        mask_of_runs(runs, 2, 2)

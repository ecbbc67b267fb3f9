from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.judge.features import (
    in_plain_units,
    measured_names,
    measurements,
    outside_seen,
    see_columns,
    standardised,
)
from lora_assets.tables import ScoredCrop
from lora_assets_tests.judge.cells import a_row


def test_every_measured_column_of_a_scored_crop_is_taken_and_no_place_or_name():
    row = dataclasses.asdict(a_row(ScoredCrop, flags=["black"], flag_values=[0.97], flag_limits=[0.93]))
    names = measured_names([row | {"mask.stability": 0.9, "p_good": 0.5}])
    assert {"score", "area_ratio", "black_share", "body_completeness", "width", "is_valid_content", "mask.stability",
            "flag:black", "past limit:black", "height over width"} <= set(names)  # fmt: skip
    assert not {"x", "y", "crop_id", "tier", "p_good", "has_picture", "lora_suitable"} & set(names)


def test_a_column_that_only_a_later_release_has_is_taken_without_a_list():
    assert "subtitle_share" in measured_names([{"score": 0.5}, {"score": 0.5, "subtitle_share": 0.1}])


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "text", [1.0], 10**400])
def test_what_is_no_finite_number_is_absent(value):
    assert np.isnan(measurements([{"score": value}], ["score"]))[0, 0]


def test_flags_are_numbers_and_how_far_past_the_limit():
    rows = [
        {"flags": ["small"], "flag_values": [32.0], "flag_limits": [64.0]},
        {"flags": [], "flag_values": [], "flag_limits": []},
        {"flags": ["small"], "flag_values": [math.nan], "flag_limits": [64.0]},
        {"flags": ["small"]},  # values of another release are missing
        {},
    ]
    values = measurements(rows, ["flag:small", "past limit:small"])
    assert values[:, 0].tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    assert values[[0, 1, 4], 1].tolist() == [0.5, 0.0, 0.0]
    assert np.isnan(values[[2, 3], 1]).all()


def test_sizes_are_logarithms_and_read_as_they_are():
    value = measurements([{"width": 100}], ["width"])[0, 0]
    assert value == pytest.approx(math.log(101))
    assert in_plain_units("width", value) == pytest.approx(100)
    assert in_plain_units("score", 0.4) == 0.4


CELLS = st.none() | st.floats() | st.integers(-(2**70), 2**70) | st.booleans()


@given(seen=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), asked=st.lists(st.tuples(CELLS, CELLS)))
def test_whatever_stands_in_a_row_the_matrix_is_finite(seen, asked):
    names = ["score", "width"]
    values = measurements([dict(zip(names, row, strict=True)) for row in seen], names)
    columns = see_columns(names, values)
    new = measurements([dict(zip(names, row, strict=True)) for row in asked], names)
    matrix = standardised(columns, new)
    assert matrix.shape == (len(asked), 4)
    assert np.isfinite(matrix).all()
    assert not np.isnan(outside_seen(columns, new, np.ones(4))).any()


def test_absence_is_a_measurement_where_it_was_seen_and_unknown_where_it_was_not():
    columns = see_columns(["a", "b"], np.array([[1.0, 1.0], [np.nan, 2.0], [3.0, 3.0]]))
    new = np.array([[np.nan, 2.0], [2.0, np.nan]])
    matrix = standardised(columns, new)
    assert matrix[:, 2].tolist() == [1.0, 0.0]
    assert matrix[:, 3].tolist() == [0.0, 0.0]
    assert outside_seen(columns, new, np.ones(4)).tolist() == [0.0, math.inf]


def test_beyond_the_range_counts_by_distance_and_weight_and_a_new_flag_is_unknown():
    columns = see_columns(["a", "flag:black"], np.array([[0.0, 0.0], [2.0, 0.0]]))
    new = np.array([[1.0, 0.0], [4.0, 0.0], [-2.0, 0.0], [1.0, 1.0]])
    outside = outside_seen(columns, new, np.array([-0.5, 0.0, 0.0, 0.0]))
    assert outside.tolist() == [0.0, 1.0, 1.0, math.inf]

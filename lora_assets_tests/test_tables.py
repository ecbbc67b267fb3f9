from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.tables import (
    TABLES,
    Detection,
    RawFrame,
    TableError,
    check_table,
    columns,
    empty_table,
    from_table,
    to_table,
)

_BOX = Detection("a" * 64, "d1", "face", 0.5, 1.0, 2.0, 3.0, 4.0, "yolo", False)

_detections = st.builds(
    Detection,
    frame_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    detection_id=st.text("0123456789abcdef", min_size=1, max_size=16),
    label=st.text(st.characters(codec="utf-8"), max_size=20),
    confidence=st.floats(0, 1),
    x1=st.floats(-1e6, 1e6),
    y1=st.floats(-1e6, 1e6),
    x2=st.floats(-1e6, 1e6),
    y2=st.floats(-1e6, 1e6),
    detector=st.text(st.characters(codec="utf-8"), max_size=20),
    is_subject=st.booleans(),
)


@given(st.lists(_detections, max_size=5))
@settings(max_examples=30, deadline=None)
def test_rows_survive_the_round_trip(rows):
    assert from_table(to_table(rows, Detection), Detection) == rows


@pytest.mark.parametrize("row_type", TABLES.values(), ids=TABLES)
def test_every_column_has_words(row_type):
    for name, (_, column) in columns(row_type).items():
        assert column.doc, f"{row_type.__name__}.{name} has no description"


@pytest.mark.parametrize("row_type", TABLES.values(), ids=TABLES)
def test_an_empty_table_is_a_table(row_type):
    assert from_table(check_table(empty_table(row_type), row_type), row_type) == []


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("confidence", 1.3, "1.3 is above 1.0"),
        ("confidence", -0.1, "below"),
        ("confidence", math.nan, "NaN"),
        ("x1", math.inf, "infinite"),
        ("label", None, "missing"),
        ("x1", "left", "left"),
    ],
)
def test_a_broken_promise_names_the_column(field, value, word):
    with pytest.raises(TableError, match=word):
        to_table([dataclasses.replace(_BOX, **{field: value})], Detection)


def test_another_tables_columns_are_refused():
    with pytest.raises(TableError, match="columns are"):
        check_table(empty_table(RawFrame), Detection)


def test_a_name_that_is_no_unicode_is_refused_and_not_written():
    with pytest.raises(TableError):
        to_table([dataclasses.replace(_BOX, label="\udcff")], Detection)


def test_a_number_that_is_too_large_is_refused():
    row = RawFrame("a.png", None, 1, 2, 1 << 63, *([None] * 7), "no picture")
    with pytest.raises(TableError, match="RawFrame"):
        to_table([row], RawFrame)

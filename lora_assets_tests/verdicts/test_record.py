from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.verdicts.record import NOTE_LIMIT, VALUES, Verdict, VerdictError, from_line, to_line
from lora_assets_tests.verdicts.marks import a_mark

NOTES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=200)


@given(
    value=st.sampled_from(VALUES),
    stars=st.none() | st.integers(1, 5),
    note=NOTES,
    corner=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    size=st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)),
    previous=st.none() | st.sampled_from(VALUES),
)
def test_a_line_gives_back_the_verdict(value, stars, note, corner, size, previous):
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    verdict = Verdict(a_mark(value, stars=stars, note=note, box=box), "2026-11-21T14:00:00.000001+00:00", previous)
    line = to_line(verdict)
    assert "\n" not in line
    assert from_line(line) == verdict


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("value", "fine", "unknown"),
        ("stars", 0, "1 to 5"),
        ("stars", 6, "1 to 5"),
        ("stars", True, "1 to 5"),  # a truth value is no count
        ("note", "x" * (NOTE_LIMIT + 1), "4001 characters"),
        ("note", "\ud800", "surrogate"),
        ("note", "a\0b", "NUL"),
        ("note", None, "text"),
        ("box", (0.0, 0.0, math.nan, 1.0), "finite"),
        ("box", (5.0, 0.0, 1.0, 1.0), "x1 <= x2"),
        ("box", (0.0, 0.0, 1.0), "finite"),
        ("frame_sha256", "A" * 64, "SHA-256"),
        ("tracker", "../etc", "tracker ID"),
        ("dataset", "a/b", "dataset"),
        ("crop_id", "", "crop_id"),
        ("request_id", "x" * 201, "request_id"),
    ],
)
def test_a_mark_that_does_not_fit_says_which_part(part, value, told):
    with pytest.raises(VerdictError, match=told):
        a_mark(**{part: value})


@pytest.mark.parametrize("note", ["<script>alert(1)</script>", "\u202eright to left", "日本語のメモ", "line\nbreak"])
def test_any_other_text_is_a_note(note):
    assert a_mark(note=note).note == note


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": "red"}, "unknown entries colour"),
        ({"at": "2026-11-21T14:00:00"}, "no offset"),
        ({"at": "yesterday"}, "not ISO 8601"),
        ({"at": None}, "not ISO 8601"),
        ({"previous": "fine"}, "previous value"),
        ({"box": "none"}, "box"),
        ({"box": [1, 2, 3, "4"]}, "box"),
        ({"box": [1, 2, 10**400, 10**400]}, "too large"),
        ({"at": "9999-12-31T23:59:59-10:00"}, "years 1 to 9999"),
        ({"at": "0001-01-01T00:00:00+10:00"}, "years 1 to 9999"),
    ],
)
def test_a_line_that_does_not_fit_says_why(change, told):
    line = json.loads(to_line(Verdict(a_mark(), "2026-11-21T14:00:00.000000+00:00", None)))
    with pytest.raises(VerdictError, match=told):
        from_line(json.dumps(line | change))


@pytest.mark.parametrize("line", ["", "[]", "{", "12", '{"at": "2026-11-21T14:00:00+00:00"}'])
def test_text_that_is_no_verdict_is_refused(line):
    with pytest.raises(VerdictError):
        from_line(line)


def test_times_of_other_zones_become_utc():
    line = to_line(Verdict(a_mark(), "2026-11-21T23:00:00.000000+09:00", None))
    assert from_line(line).at == "2026-11-21T14:00:00.000000+00:00"

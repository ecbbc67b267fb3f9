from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.verdicts import CropPlace, Verdict, match_verdicts
from lora_assets_tests.verdicts.marks import a_mark

FRAME = "a" * 64
OTHER = "b" * 64


def a_place(crop: str = "n1", box=(10.0, 20.0, 110.0, 220.0), frame: str = FRAME) -> CropPlace:
    return CropPlace("film", frame, f"d-{crop}", crop, box)


def a_verdict(crop: str = "old", value: str = "good", **given_parts) -> Verdict:
    return Verdict(a_mark(value, crop, **given_parts), "2026-11-21T14:00:00.000000+00:00", None)


def moved(by: float, box=(10.0, 20.0, 110.0, 220.0)):
    return (box[0] + by, box[1], box[2] + by, box[3])


@pytest.mark.parametrize(
    ("by", "applies"),
    [
        (0.0, True),
        (11.0, True),  # 89 / 111 = 0.802
        (12.0, False),  # 88 / 112 = 0.786
        (200.0, False),
    ],
)
def test_a_verdict_applies_from_an_iou_of_080_on(by, applies):
    found = match_verdicts([a_verdict()], [a_place(box=moved(by))])
    assert bool(found.matched) is applies
    assert len(found.matched) + len(found.unmatched) == 1


def test_what_fits_no_crop_is_told_with_the_reason():
    verdicts = [a_verdict("x1", frame_sha256=OTHER), a_verdict("x2", box=(300.0, 0.0, 400.0, 50.0))]
    found = match_verdicts(verdicts, [a_place()])
    assert [lost.reason for lost in found.unmatched] == [
        "the tracker has no crop of this frame",
        "no box of the frame overlaps it by 0.8 (best IoU 0.00)",
    ]


def test_the_very_crop_comes_before_a_better_box():
    near, own = a_place("n1"), a_place("old", moved(5.0))
    found = match_verdicts([a_verdict("old")], [near, own])
    assert found.by_crop().keys() == {"old"}


def test_one_verdict_per_crop_and_of_equal_ones_the_later():
    found = match_verdicts([a_verdict("o1", "bad"), a_verdict("o2", "good")], [a_place()])
    assert found.by_crop()["n1"].value == "good"
    assert found.unmatched[0].reason.startswith("another verdict fits its crop n1 better or later")


def test_a_displaced_verdict_takes_its_next_best_crop():
    places = [a_place("n1"), a_place("n2", moved(6.0))]
    found = match_verdicts([a_verdict("o1"), a_verdict("o2", "bad", box=moved(1.0))], places)
    assert {crop: verdict.crop_id for crop, verdict in found.by_crop().items()} == {"n1": "o1", "n2": "o2"}


def test_nothing_to_match():
    assert match_verdicts([], [a_place()]).matched == ()
    assert len(match_verdicts([a_verdict()], []).unmatched) == 1
    with pytest.raises(ValueError, match="IoU limit"):
        match_verdicts([], [], 0.0)


SHIFTS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([FRAME, OTHER])), max_size=8)


@given(judged=SHIFTS, made=SHIFTS)
def test_every_verdict_is_told_once_and_no_crop_twice(judged, made):
    verdicts = [a_verdict(f"o{n}", box=moved(float(by)), frame_sha256=frame) for n, (by, frame) in enumerate(judged)]
    places = [a_place(f"n{n}", moved(float(by)), frame) for n, (by, frame) in enumerate(made)]
    found = match_verdicts(verdicts, places)
    told = [match.verdict.crop_id for match in found.matched] + [lost.verdict.crop_id for lost in found.unmatched]
    assert sorted(told) == sorted(verdict.crop_id for verdict in verdicts)
    crops = [match.place.crop_id for match in found.matched]
    assert len(set(crops)) == len(crops)
    assert all(
        match.iou >= 0.8 and match.place.frame_sha256 == match.verdict.mark.frame_sha256 for match in found.matched
    )
    # Nothing that could be given away is kept back.
    free = [place for place in places if place.crop_id not in crops]
    for lost in found.unmatched:
        assert not match_verdicts([lost.verdict], free).matched

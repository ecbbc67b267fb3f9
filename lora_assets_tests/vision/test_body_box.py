"""Bodies from heads, faces and key points, parts of bodies, and proportions measured on a dataset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.body_box import (
    FrameBoxes,
    Proportions,
    add_bodies,
    expanded_box,
    fit_proportions,
    grow_by_key_points,
    join_same_bodies,
    key_point_box,
)
from lora_assets.vision.boxes import FloatArray, FoundBox

START = Proportions()


def _box(
    *xyxy: float, confidence: float = 0.8, label: str = "person", name: str = "net", points: FloatArray | None = None
) -> FoundBox:
    x1, y1, x2, y2 = xyxy
    body_from = "detected" if label == "person" else None
    return FoundBox((x1, y1, x2, y2), confidence, label, ((name, confidence),), points, body_from)


def test_a_face_makes_a_body_of_six_and_a_half_heads() -> None:
    face = np.array([100.0, 100, 130, 130])
    assert np.allclose(expanded_box(face, "face", START), [65, 90, 165, 350])
    assert np.allclose(expanded_box(face, "head", START), [77.5, 100, 152.5, 295])


def test_a_body_is_clipped_and_knows_how_much_was_outside() -> None:
    *_, whole = add_bodies([_box(100, 100, 130, 130, label="face")], START, 2000, 2000)
    assert (whole.body_from, whole.outside_share, whole.heads_high) == ("expanded_from_face", 0.0, 6.5)
    *_, cut = add_bodies([_box(100, 100, 130, 130, label="head")], START, 2000, 200)
    assert cut.xyxy[3] == 200 and cut.outside_share == pytest.approx(95 / 195) and cut.body_from == "expanded_from_head"


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(1, 100), st.floats(1, 100)),
    st.sampled_from(["face", "head"]),
)
def test_bodies_lie_in_the_frame_and_hold_their_face(box: tuple[float, float, float, float], label: str) -> None:
    x, y, width, height = box
    face = (x, y, min(x + width, 400.0), min(y + height, 300.0))
    *_, body = add_bodies([_box(*face, label=label)], START, 400, 300)
    x1, y1, x2, y2 = body.xyxy
    assert min(body.xyxy) >= 0 and x2 <= 400 and y2 <= 300 and 0 <= body.outside_share <= 1
    assert y1 <= face[1] + 1e-6 and y2 >= face[3] - 1e-6 and x1 <= (face[0] + face[2]) / 2 <= x2


def test_only_faces_without_a_person_get_a_body() -> None:
    boxes = [
        _box(0, 0, 100, 400, confidence=0.9),
        _box(20, 20, 60, 60, label="face"),
        _box(80, 20, 130, 70, confidence=0.7, label="face"),
        _box(300, 20, 380, 100, confidence=0.6, label="head"),
        _box(320, 40, 370, 100, confidence=0.5, label="face"),
    ]
    made = add_bodies(boxes, START, 1000, 1000)[5:]
    assert [box.votes[0][0] for box in made] == ["net+face_to_body"] * 2
    assert [box.confidence for box in made] == [0.7, 0.6] and [box.label for box in made] == ["person"] * 2


# --- parts -----------------------------------------------------------------------------------------------------------


def test_the_half_body_of_another_detector_becomes_a_vote() -> None:
    whole, half = _box(0, 0, 100, 300), _box(5, 0, 95, 140, name="other", confidence=0.9)
    head = _box(30, 0, 70, 50, label="head")
    joined = join_same_bodies([half, whole, head])
    assert [(box.xyxy, box.votes) for box in joined if box.label == "person"] == [
        (whole.xyxy, (("net", 0.8), ("other", 0.9)))
    ]


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("net", [(30, 0, 70, 50)]),  # one detector means two things
        ("other", [(30, 0, 70, 50), (20, 160, 60, 200)]),  # the larger box holds two characters
    ],
)
def test_two_characters_stay_two(name: str, heads: list[tuple[float, float, float, float]]) -> None:
    boxes = [_box(0, 0, 100, 300), _box(5, 0, 95, 140, name=name), *[_box(*head, label="head") for head in heads]]
    assert len(join_same_bodies(boxes)) == len(boxes)


# --- key points ------------------------------------------------------------------------------------------------------


def _standing(x: float = 100, top: float = 20, head: float = 20) -> FloatArray:
    """Key points of a figure seen from the front: 6.5 heads high, all sure."""
    middles = [0.6, 0.5, 0.5, 0.55, 0.55, 1.4, 1.4, 2.6, 2.6, 3.6, 3.6, 3.9, 3.9, 5.0, 5.0, 6.2, 6.2]
    sides = [0, 0.2, -0.2, 0.4, -0.4, 0.9, -0.9, 1.0, -1.0, 1.0, -1.0, 0.5, -0.5, 0.5, -0.5, 0.5, -0.5]
    return np.array([[x + head * s, top + head * m, 0.9] for m, s in zip(middles, sides, strict=True)])


def test_the_box_of_key_points_has_room_for_hair_and_feet() -> None:
    box = key_point_box(_standing())
    assert box is not None and np.allclose(box, [74, 18, 126, 152], atol=4)
    points = _standing()
    points[3:, 2] = 0.1
    assert key_point_box(points) is None


def test_a_body_grows_to_hold_its_key_points() -> None:
    half = _box(70, 15, 130, 90, points=_standing())
    grown = grow_by_key_points(half, 200, 145)
    assert grown.body_from == "key_points" and grown.xyxy[3] == 145 and 0 < grown.outside_share < 0.2
    whole = _box(60, 10, 140, 160, points=_standing())
    assert grow_by_key_points(whole, 200, 200) is whole
    assert grow_by_key_points(_box(0, 0, 10, 10), 200, 200).body_from == "detected"


# --- fitting ---------------------------------------------------------------------------------------------------------


def _frame(heads: float, width: float, unit: float = 50, bottom: float | None = None) -> FrameBoxes:
    person = [500 - width * unit / 2, 100, 500 + width * unit / 2, bottom or 100 + heads * unit]
    face = [480, 100 + 0.35 * unit, 520, 100 + unit]
    return FrameBoxes(np.array([person, [475, 100, 525, 100 + unit], face]), ("person", "head", "face"), 1000, 600)


def test_the_dataset_shows_its_own_proportions() -> None:
    frames = [_frame(5 + 0.02 * i, 1.8) for i in range(25)] + [_frame(9, 4) for _ in range(4)]
    fit = fit_proportions(frames, START)
    assert fit.proportions == Proportions(5.25, 1.75, 0.65) and fit.height_pairs == fit.face_pairs == 29
    assert fit_proportions(frames[::-1], START) == fit


def test_few_pairs_leave_the_start_values_and_cut_bodies_tell_no_height() -> None:
    assert fit_proportions([_frame(5, 1.8)] * 19, START).proportions == START
    cut = fit_proportions([_frame(0, 1.8, bottom=600)] * 30, START)
    assert (cut.height_pairs, cut.width_pairs) == (0, 30)
    assert cut.proportions.body_heads == START.body_heads and cut.proportions.body_width_heads == 1.75
    empty = FrameBoxes(np.zeros((0, 4)), (), 100, 100)
    assert fit_proportions([empty], START).height_pairs == 0

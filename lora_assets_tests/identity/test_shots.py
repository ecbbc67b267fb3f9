"""Shots: cuts and dissolves are found, moves, fades and stills are no trouble."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.identity.shots import SIGNATURE_SIZE, frame_signature, mixed_frames, shot_numbers, signature_distance
from lora_assets_tests.curation.dolls import backdrop

SIZE = (320, 180)


def _numbers(frames: list[np.ndarray]) -> list[int]:
    return shot_numbers(np.stack([frame_signature(frame) for frame in frames])).tolist()


def test_cuts_between_places():
    frames = [backdrop(place) for place in (0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0)]
    assert _numbers(frames) == [0] * 4 + [1] * 5 + [2] * 4


def test_a_dissolve_begins_at_its_first_mixed_frame():
    one, other = backdrop(0), backdrop(1)
    mixed = [cv2.addWeighted(one, 1 - share, other, share, 0) for share in (0.25, 0.5, 0.75)]
    film = [one] * 6 + mixed + [other] * 6
    assert _numbers(film) == [0] * 6 + [1] * 9
    found = mixed_frames(np.stack([frame_signature(frame) for frame in film]))
    assert np.flatnonzero(found).tolist() == [6, 7, 8]


def test_a_fade_out_and_a_black_frame_belong_to_the_shot_before():
    faded = [(backdrop(0) * share).astype(np.uint8) for share in (0.75, 0.5, 0.25, 0.0)]
    assert _numbers([backdrop(0)] * 4 + faded + [backdrop(1)] * 3) == [0] * 8 + [1] * 3


def test_a_pan_is_one_shot():
    wide = cv2.resize(cv2.GaussianBlur(backdrop(3), (0, 0), 12), (640, 180))
    frames = [np.ascontiguousarray(wide[:, shift : shift + 320]) for shift in range(0, 200, 12)]
    assert set(_numbers(frames)) == {0}


def test_stills_are_shots_of_one_frame_each():
    assert _numbers([backdrop(place) for place in range(6)]) == list(range(6))


@pytest.mark.parametrize("count", [0, 1])
def test_few_frames(count):
    signatures = np.stack([frame_signature(backdrop(0))] * count) if count else np.zeros((0, SIGNATURE_SIZE))
    assert shot_numbers(signatures).tolist() == [0] * count


def test_black_frames_only():
    assert _numbers([np.zeros((180, 320, 3), np.uint8)] * 3) == [0, 0, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.3, 1.0))
def test_distance_is_symmetric_bounded_and_blind_to_fades(one, other, light):
    a, b = frame_signature(backdrop(one)), frame_signature(backdrop(other))
    distance = float(signature_distance(a, b))
    assert distance == pytest.approx(float(signature_distance(b, a)))
    assert 0.0 <= distance <= 1.0
    dark = frame_signature((backdrop(one) * light).astype(np.uint8))
    assert float(signature_distance(a, dark)) < 0.15

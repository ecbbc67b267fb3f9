"""Tests of screentone: told from drawings, and smoothed to the tones that it prints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.scenes.tone import screentone
from lora_assets.vision.screentone import screen_strength, without_screen


def tones(height: int = 180, width: int = 240) -> np.ndarray:
    """A picture of grey fields with outlines."""
    rng = np.random.default_rng(4)
    fields = np.kron(rng.integers(80, 200, (height // 30, width // 30), dtype=np.uint8), np.ones((30, 30), np.uint8))
    fields[::30], fields[:, ::30] = 20, 20
    return np.repeat(fields[:, :, None], 3, axis=2)


@pytest.mark.parametrize("height", [360, 720])
def test_dots_are_told_and_smoothed_to_their_tones(height: int):
    drawn = np.repeat(np.repeat(tones(), height // 180, axis=0), height // 180, axis=1)
    printed = screentone(drawn, np.random.default_rng(1))[:240, :240]
    assert screen_strength(printed) > 0.45
    inner = without_screen(printed)[6:24, 6:24].astype(float)
    assert printed[6:24, 6:24].std() > 60 and inner.std() < 15


def test_drawings_noise_and_stripes_are_no_screentone():
    plain = tones()
    assert screen_strength(plain) < 0.2 and without_screen(plain) is plain
    noise = np.random.default_rng(2).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    assert without_screen(noise) is noise
    stripes = np.zeros((120, 120, 3), np.uint8)
    stripes[:, ::4] = 255
    assert screen_strength(stripes) < 0.2 and without_screen(stripes) is stripes


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_any_size_has_a_strength(height: int, width: int, level: int):
    image = np.full((height, width, 3), level, np.uint8)
    assert screen_strength(image) == 0.0 and without_screen(image) is image


@pytest.mark.parametrize("length", [1029, 1079, 1179, 2158, 4098])
def test_pictures_of_any_length_are_measured(length: int):
    assert screen_strength(np.zeros((length, 24, 3), np.uint8)) == 0.0
    assert screen_strength(np.zeros((24, length, 3), np.uint8)) == 0.0

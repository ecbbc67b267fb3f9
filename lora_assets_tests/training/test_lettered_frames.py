"""Tests of the lettering that the letter finder learns from: its truth lies where a picture was changed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lora_assets.training.lettered_frames import SEEN_LEVELS, LetteredFrame, letter_frame
from lora_assets.vision.letter_map import CELL

GROUND = np.full((182, 323, 3), (70, 110, 160), np.uint8)
GROUND[90:] = (200, 150, 90)


@pytest.fixture(scope="module")
def frames() -> list[LetteredFrame]:
    return [letter_frame(GROUND, np.random.default_rng(seed)) for seed in range(60)]


def _change(frame: LetteredFrame) -> np.ndarray:
    height, width = frame.image.shape[:2]
    return cv2.absdiff(frame.image, np.ascontiguousarray(GROUND[:height, :width])).max(axis=2)


def test_frames_come_in_whole_cells_and_the_ground_stays_as_it_was(frames: list[LetteredFrame]):
    for frame in frames:
        rows, columns = (side // CELL for side in GROUND.shape[:2])
        assert frame.image.shape == (rows * CELL, columns * CELL, 3)
        assert frame.truth.shape == frame.weight.shape == (2, rows, columns)
        assert set(np.unique(frame.truth)) <= {0.0, 1.0} and set(np.unique(frame.weight)) <= {0.0, 1.0}
    assert (GROUND[:90] == (70, 110, 160)).all() and (GROUND[90:] == (200, 150, 90)).all()


def test_there_are_lines_and_faint_words_and_frames_without_either(frames: list[LetteredFrame]):
    kinds = {(bool(frame.truth[0].any()), bool(frame.truth[1].any())) for frame in frames}
    assert kinds == {(False, False), (True, False), (False, True), (True, True)}
    assert any(not _change(frame).any() for frame in frames)


def test_what_counts_as_letters_was_changed_and_what_counts_as_ground_was_not(frames: list[LetteredFrame]):
    for frame in frames:
        changed = _change(frame)
        cells = changed.reshape(len(changed) // CELL, CELL, -1, CELL).max(axis=(1, 3))
        words = (frame.truth[1] > 0) & (frame.weight[1] > 0)
        assert (cells[words] >= SEEN_LEVELS).all()
        ground = (frame.truth.max(axis=0) == 0) & (frame.weight.min(axis=0) > 0)
        # Tails of printed letters and shadows reach out of the rectangle that counts as the line.
        assert (cells[ground] >= SEEN_LEVELS).mean() < 0.03


def test_the_same_numbers_give_the_same_frame():
    one, other = (letter_frame(GROUND, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.image, other.image) and np.array_equal(one.truth, other.truth)

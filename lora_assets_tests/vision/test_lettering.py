"""Tests of lettering over a figure: outlined lines, faint words, and what only looks like them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lora_assets.vision import faint_words, outlined_lines
from lora_assets.vision.cutout import CutOut, make_cutout, make_subject
from lora_assets.vision.lettering import line_candidates, text_over, word_candidate
from lora_assets_tests.vision.drawn import detection_row, mask_row


def dressed(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A figure of several colours with dark outlines before a ground of two colours, and its mask."""
    image = np.full((height, width, 3), (150, 190, 220), np.uint8)
    image[height // 2 :] = (120, 160, 90)
    mask = np.zeros((height, width), np.uint8)
    x, unit = width // 2, height // 18
    parts = (
        ((x - 3 * unit, 6 * unit), (x + 3 * unit, 16 * unit), (60, 70, 160)),
        ((x - 2 * unit, 8 * unit), (x + 2 * unit, 12 * unit), (190, 60, 70)),
        ((x - 2 * unit, unit), (x + 2 * unit, 6 * unit), (240, 205, 180)),
    )
    for first, last, colour in parts:
        cv2.rectangle(image, first, last, colour, -1)
        cv2.rectangle(image, first, last, (25, 20, 30), max(2, unit // 8))
        cv2.rectangle(mask, first, last, 1, -1)
    return image, mask > 0


def cut_of(image: np.ndarray, mask: np.ndarray) -> CutOut:
    """The cut-out of a mask without heads."""
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    return make_cutout(image, make_subject(image, mask_row(mask), detection_row(box)), (), ())


def with_words(image: np.ndarray, opacity: float, foot: float = 0.6) -> np.ndarray:
    """White words of an opacity across the frame, their feet at a share of its height."""
    height, width = image.shape[:2]
    letters = np.zeros((height, width), np.uint8)
    place, size = (width // 12, round(foot * height)), height / 170
    cv2.putText(letters, "GOOD MORNING", place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, max(2, height // 60), cv2.LINE_AA)
    share = letters.astype(np.float32)[..., None] / 255.0 * opacity
    return np.rint(image * (1 - share) + 255 * share).astype(np.uint8)


@pytest.mark.parametrize("opacity", [0.35, 0.5, 0.65])
@pytest.mark.parametrize("height", [360, 720])
def test_faint_words_are_found_at_any_size_and_never_grave(opacity: float, height: int):
    image, mask = dressed(height, height * 16 // 9)
    assert text_over(cut_of(image, mask)) == 0.0
    assert 0.01 < (text_over(cut_of(with_words(image, opacity), mask)) or 0.0) <= 0.11


def test_words_beside_the_figure_and_words_that_nobody_sees_do_not_count():
    image, mask = dressed(360, 640)
    beside = with_words(image, 0.5)
    beside[:, 220:] = image[:, 220:]
    assert not mask[:, :220].any() and text_over(cut_of(beside, mask)) == 0.0
    assert text_over(cut_of(with_words(image, 0.05), mask)) == 0.0
    assert text_over(cut_of(with_words(np.full_like(image, 252), 0.5), mask)) == 0.0


def test_the_dots_of_a_printed_tone_are_no_letters_and_letters_among_them_are():
    image, mask = dressed(360, 640)
    toned = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    rows, columns = np.mgrid[:360, :640]
    toned[(rows % 4 < 2) & (columns % 4 < 2)] = 255
    toned[(rows % 4 >= 2) & (columns % 4 >= 2)] = 10
    assert text_over(cut_of(toned, mask)) == 0.0
    letters = np.zeros((360, 640), np.uint8)
    cv2.putText(letters, "WHERE WERE YOU NOW", (110, 220), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)
    toned[cv2.dilate(letters, np.ones((7, 7), np.uint8)) > 100] = 8
    toned[letters > 100] = 252
    assert (text_over(cut_of(toned, mask)) or 0.0) > 0.03


def with_subtitle(image: np.ndarray, text: str, size: float) -> np.ndarray:
    """White outlined letters in the middle of the frame; size 1: about 6 % of its height."""
    height, width = image.shape[:2]
    scale, outline = size * height / 360, 2 * (height // 180) + 1
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    letters = np.zeros((height, width), np.uint8)
    cv2.putText(letters, text, ((width - wide) // 2, (height + tall) // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2)
    written = image.copy()
    written[cv2.dilate(letters, np.ones((outline, outline), np.uint8)) > 100] = (16, 16, 20)
    written[letters > 100] = 255
    return written


@pytest.mark.parametrize("height", [360, 1080])
@pytest.mark.parametrize(("text", "size"), [("HEY YOU", 0.7), ("WAIT FOR ME", 1.0), ("WHERE WERE YOU NOW", 0.6)])
def test_short_and_long_lines_over_a_figure_are_found(height: int, text: str, size: float):
    image, mask = dressed(height, height * 16 // 9)
    assert 0.008 < (text_over(cut_of(with_subtitle(image, text, size), mask)) or 0.0) < 0.5


@pytest.mark.parametrize("height", [360, 720])
def test_candidates_tell_finite_signs_and_lie_where_the_letters_are(height: int):
    image, mask = dressed(height, height * 16 // 9)
    cut = cut_of(with_subtitle(image, "WAIT FOR ME", 1.0), mask)
    rows = line_candidates(cut)
    assert rows and all(len(row.signs) == len(outlined_lines.SIGNS) and np.isfinite(row.signs).all() for row in rows)
    assert all(row.under.shape == row.under[row.part].shape == image.shape[:2] for row in rows)
    ys, _ = np.nonzero(rows[0].under)
    assert abs(ys.mean() - height / 2) < height / 20
    word = word_candidate(cut_of(with_words(image, 0.5), mask))
    assert word is not None and len(word.signs) == len(faint_words.SIGNS) and np.isfinite(word.signs).all()
    assert line_candidates(cut_of(image, mask)) == []


@pytest.mark.parametrize("picture", ["grey ramp", "noise", "black", "white"])
def test_pictures_without_words_have_none(picture: str):
    _, mask = dressed(360, 640)
    image = {
        "grey ramp": np.repeat(np.tile(np.linspace(0, 255, 640).astype(np.uint8), (360, 1))[..., None], 3, axis=2),
        "noise": np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8),
        "black": np.zeros((360, 640, 3), np.uint8),
        "white": np.full((360, 640, 3), 255, np.uint8),
    }[picture]
    assert text_over(cut_of(np.ascontiguousarray(image), mask)) == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (5, 200), (200, 5), (40, 40)])
def test_frames_of_any_size_are_measured(shape: tuple[int, int]):
    mask = np.ones(shape, np.bool_)
    assert text_over(cut_of(np.full((*shape, 3), 200, np.uint8), mask)) == 0.0


def test_the_lines_of_a_strip_hold_what_they_lie_on_and_not_the_strip():
    strip = np.zeros((300, 6000, 3), np.uint8)
    for x in range(0, 6000, 300):
        for y in range(60, 300, 60):
            cv2.putText(strip, "lilI lilI lil", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    rows = outlined_lines.find_rows(strip, np.ones(strip.shape[:2], np.bool_), (), 300, 5.0)
    assert len(rows) >= 40
    assert sum(row.under.size for row in rows) <= strip[..., 0].size
    for row in rows:
        part = np.zeros(strip.shape[:2], np.bool_)[row.part]
        assert part.shape == row.under.shape and row.under.any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 300), (300, 4), (5, 5)])
def test_there_is_no_word_in_a_picture_without_room_for_a_stroke(height: int, width: int):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert faint_words.find_word(noise, np.ones((height, width), np.bool_), 360, 5.0) is None

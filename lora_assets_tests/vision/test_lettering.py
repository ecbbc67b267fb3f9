"""Tests of lettering over a figure: outlined lines, faint words, and what only looks like them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.models import ModelError
from lora_assets.vision import faint_words, letter_map
from lora_assets.vision.cutout import CutOut, make_cutout, make_subject
from lora_assets.vision.lettering import LINE_SIGNS, WORD_SIGNS, find_letters, text_over
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
def test_what_is_found_tells_finite_signs_and_which_kind_of_letters_it_is(height: int):
    image, mask = dressed(height, height * 16 // 9)
    plain, subtitle, words = (
        find_letters(cut_of(picture, mask))
        for picture in (image, with_subtitle(image, "WAIT FOR ME", 1.0), with_words(image, 0.5))
    )
    assert plain is not None and subtitle is not None and words is not None
    for found in (plain, subtitle, words):
        assert len(found.line_signs) == len(LINE_SIGNS) and np.isfinite(found.line_signs).all()
        assert 0.0 <= found.line_share <= 1.0 and 0.0 <= found.word_share <= 1.0
    assert subtitle.line_signs[0] > plain.line_signs[0] + 2.0
    assert words.word_signs is not None and len(words.word_signs) == len(WORD_SIGNS)
    assert np.isfinite(words.word_signs).all() and words.word_share > plain.word_share + 0.01


def test_letters_on_a_page_many_times_as_tall_as_wide_are_found():
    image, mask = dressed(360, 400)
    page = np.concatenate([image] * 26)
    below = np.zeros(page.shape[:2], np.bool_)
    below[-360:] = mask
    assert text_over(cut_of(page, below)) == 0.0
    page[-360:] = with_subtitle(image, "WAIT FOR ME", 1.0)
    assert (text_over(cut_of(page, below)) or 0.0) > 0.008


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


@pytest.mark.parametrize(("height", "width"), [(12, 12), (33, 70), (64, 96), (70, 13)])
def test_every_begun_cell_of_a_picture_gets_an_answer(height: int, width: int):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = letter_map.letter_map(noise)
    assert found.shape == (2, -(-height // letter_map.CELL), -(-width // letter_map.CELL))
    assert 0.0 <= found.min() <= found.max() <= 1.0


def test_a_missing_letter_finder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(letter_map, "STARTER_LETTERS", tmp_path / "starter_letters.onnx")
    with pytest.raises(ModelError, match=r"starter_letters\.onnx is not there"):
        letter_map.letter_map(np.zeros((40, 40, 3), np.uint8))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 300), (300, 4), (5, 5)])
def test_there_is_no_word_in_a_picture_without_room_for_a_stroke(height: int, width: int):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert faint_words.find_word(noise, np.ones((height, width), np.bool_), 360, 5.0) is None

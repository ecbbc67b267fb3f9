from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lora_assets.finetuning.drawing import _write
from lora_assets.vision.plot_fonts import picture_font


def _ink(words: str, font: object) -> np.ndarray:
    picture = Image.new("L", (80, 30))
    ImageDraw.Draw(picture).text((2, 2), words, fill=255, font=font)  # pyright: ignore[reportArgumentType]
    return np.asarray(picture)


def test_words_of_three_languages_are_no_boxes():
    font = picture_font(16)
    if not isinstance(font, ImageFont.FreeTypeFont) or "CJK" not in str(font.getname()[0]):
        pytest.skip("no font with Japanese and Chinese is installed: apt install fonts-noto-cjk")
    # A letter that a font does not know is drawn as the same box, whatever it is.
    box = _ink("\U0010fffd", font)
    drawn = [_ink(letter, font) for letter in "吹駒龍體コあA"]
    assert all(ink.any() and not np.array_equal(ink, box) for ink in drawn)
    assert len({ink.tobytes() for ink in drawn}) == len(drawn)


def test_a_report_is_written_in_that_font():
    picture, expected = Image.new("RGB", (200, 30), "white"), Image.new("RGB", (200, 30), "white")
    _write(ImageDraw.Draw(picture), (4, 4), "吹き出し", (0, 0, 0), 16)
    ImageDraw.Draw(expected).text((4, 4), "吹き出し", fill=(0, 0, 0), font=picture_font(16), anchor="la")
    assert np.array_equal(np.asarray(picture), np.asarray(expected)) and np.asarray(picture).min() < 128


def test_a_machine_without_such_a_font_gets_pillows_own(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", [])
    picture_font.cache_clear()
    try:
        assert _ink("text", picture_font(14)).any()
    finally:
        picture_font.cache_clear()

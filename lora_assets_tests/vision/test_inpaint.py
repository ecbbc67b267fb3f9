"""Tests of painting backgrounds: OpenCV's two methods in a window, and LaMa as a tiny ONNX file of its signature."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError, resolve
from lora_assets.vision.inpaint import Painter, grown, load_lama, paint_navier_stokes, paint_telea
from lora_assets_tests.vision.drawn import noise_mask
from lora_assets_tests.vision.tiny_models import brightness_onnx, lama_onnx


def gradient(height: int = 60, width: int = 90) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.dstack((columns * 2, rows * 3, np.full_like(rows, 120))).astype(np.uint8)


@pytest.mark.parametrize("paint", [paint_telea(3), paint_navier_stokes(3)])
@given(st.integers(0, 2**31), st.sampled_from((0.0, 0.1, 0.4, 1.0)))
@settings(deadline=None, max_examples=15)
def test_only_the_hole_changes(paint: Painter, seed: int, share: float):
    image, hole = gradient(30, 40), noise_mask(seed, 30, 40, share)
    painted = paint(image, hole)
    assert painted.shape == image.shape and painted.dtype == np.uint8
    assert np.array_equal(painted[~hole], image[~hole])


@pytest.mark.parametrize("paint", [paint_telea(3), paint_navier_stokes(3)])
def test_a_hole_goes_on_as_its_surroundings_do(paint: Painter):
    image = gradient()
    hole = np.zeros(image.shape[:2], np.bool_)
    hole[20:32, 30:44] = True
    damaged = image.copy()
    damaged[hole] = (255, 0, 0)
    assert np.abs(paint(damaged, hole)[hole].astype(int) - image[hole].astype(int)).mean() < 8
    whole = np.asarray(cv2.inpaint(damaged, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA))
    assert np.abs(paint_telea(3)(damaged, hole).astype(int) - whole.astype(int)).max() <= 1


def test_growing_is_by_a_disc():
    mask = np.zeros((21, 21), np.bool_)
    mask[10, 10] = True
    assert grown(mask, 0) is mask
    assert grown(mask, 4)[10, 6:15].all() and not grown(mask, 4)[6, 6]


def test_lama_gets_picture_and_hole_and_fills_the_hole_only(tmp_path: Path):
    """The tiny network answers the picture, 0 to 255, black where the hole is."""
    paint = load_lama(lama_onnx(tmp_path / "lama.onnx"))
    image = gradient(300, 400)
    hole = np.zeros(image.shape[:2], np.bool_)
    hole[100:130, 40:70] = hole[200:240, 320:380] = True
    painted = paint(image, hole)
    assert np.array_equal(painted[~hole], image[~hole])
    assert painted[hole].max() <= 10  # it was told the hole, and the answer came back in its place
    assert np.array_equal(paint(image, np.zeros_like(hole)), image)
    assert paint(image[:20, :20], np.ones((20, 20), np.bool_)).shape == (20, 20, 3)


def test_another_file_is_no_lama(tmp_path: Path):
    path = lama_onnx(tmp_path / "lama.onnx")
    assert (resolve(str(path), tmp_path).family, resolve(str(path), tmp_path).task) == ("lama-onnx", "inpaint")
    with pytest.raises(ModelError, match="is no LaMa"):
        load_lama(brightness_onnx(tmp_path / "net.onnx"))
    with pytest.raises(ModelError, match="is not there"):
        load_lama(tmp_path / "nothing.onnx")

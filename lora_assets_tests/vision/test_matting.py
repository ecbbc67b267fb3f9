"""Tests of soft edges: against the true coverage of pixels, which a drawing four times as large shows."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.crops import crop_id_of, cut_crop
from lora_assets.vision.masks import BoolMask, window_pixels
from lora_assets.vision.matting import CLOSED_FORM, GUIDED, METHODS, NONE, figure_colour, guided_filter, soft_alpha
from lora_assets.vision.refine import RefineSettings, refine_row
from lora_assets_tests.vision.drawn import mask_row, noise_mask

HAVE_PYMATTING = importlib.util.find_spec("pymatting") is not None
WALL, COAT = (60, 150, 80), (200, 60, 50)


def drawing() -> tuple[np.ndarray, np.ndarray, BoolMask]:
    """A picture 160 x 240 with its true alpha, and a hard mask that was grown by 6 pixels."""
    image = np.full((960, 640, 3), WALL, np.uint8)
    cover = np.zeros((960, 640), np.float32)
    for canvas, colour in ((image, COAT), (cover, 1.0)):
        cv2.ellipse(canvas, (320, 480), (180, 340), 0, 0, 360, colour, -1)
        for x in range(160, 500, 60):
            cv2.line(canvas, (x, 500), (x + 20, 60), colour, 7)
    small = np.asarray(cv2.resize(image, (160, 240), interpolation=cv2.INTER_AREA), np.uint8)
    alpha = np.asarray(cv2.resize(cover, (160, 240), interpolation=cv2.INTER_AREA))
    grown = cv2.dilate((alpha > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=6) > 0
    return small, alpha, grown


def test_the_guided_edge_is_nearer_the_truth_than_the_hard_one():
    image, true, mask = drawing()
    hard = np.abs(mask - true).mean()
    assert np.abs(soft_alpha(image, mask, GUIDED) - true).mean() < 0.5 * hard
    assert np.array_equal(soft_alpha(image, mask, NONE), mask.astype(np.float32))


@pytest.mark.skipif(not HAVE_PYMATTING, reason="the package pymatting is not installed")
def test_the_closed_form_edge_is_nearer_the_truth_than_the_hard_one():
    image, true, mask = drawing()
    assert np.abs(soft_alpha(image, mask, CLOSED_FORM) - true).mean() < 0.5 * np.abs(mask - true).mean()


@pytest.mark.skipif(HAVE_PYMATTING, reason="the package pymatting is installed")
def test_the_missing_package_is_named_with_the_way_out():
    with pytest.raises(ValueError, match=r"pymatting.*lora_assets\[matting\].*guided"):
        RefineSettings(matting=CLOSED_FORM)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match=f"one of {', '.join(METHODS)}, not 'magic'"):
        RefineSettings(matting="magic")


def test_the_old_background_does_not_shine_in_the_edge():
    image, true, _ = drawing()
    colour = figure_colour(image, true).astype(float)
    edge = (true > 0.3) & (true < 0.9)
    before = np.abs(image[edge].astype(float) - COAT).mean()
    assert np.abs(colour[edge] - COAT).mean() < 0.4 * before
    assert np.array_equal(colour[true >= 1.0], image[true >= 1.0])
    assert not colour[true <= 0.0].any()


def test_a_guide_without_edges_only_smooths():
    step = np.zeros((40, 40), np.float32)
    step[:, 20:] = 1.0
    smooth = guided_filter(np.full((40, 40, 3), 0.5, np.float32), step, np.ones_like(step), 3)
    assert smooth[20, 5] == pytest.approx(0.0, abs=1e-3) and smooth[20, 35] == pytest.approx(1.0, abs=1e-3)
    assert 0.2 < smooth[20, 20] < 0.8


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.sampled_from((0.0, 0.05, 0.5, 1.0)))
@settings(deadline=None, max_examples=25)
def test_every_mask_gets_an_alpha(seed: int, height: int, width: int, share: float):
    mask = noise_mask(seed, height, width, share)
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = soft_alpha(image, mask, GUIDED)
    assert alpha.shape == mask.shape and alpha.dtype == np.float32
    assert np.isfinite(alpha).all() and alpha.min() >= 0.0 and alpha.max() <= 1.0


def test_the_soft_edge_is_the_pictures_alone():
    image, _, mask = drawing()
    rows = {
        name: refine_row(mask_row(mask), 160, 240, RefineSettings("baseline", matting=name)) for name in (NONE, GUIDED)
    }
    assert rows[NONE].rle == rows[GUIDED].rle and crop_id_of(rows[NONE]) != crop_id_of(rows[GUIDED])
    soft, hard = cut_crop(image, rows[GUIDED]), cut_crop(image, rows[NONE])
    assert soft.shape == hard.shape and set(np.unique(hard[..., 3])) == {0, 255}
    assert len(np.unique(soft[..., 3])) > 20 and not soft[soft[..., 3] == 0].any()
    assert np.array_equal(window_pixels(rows[GUIDED], (0, 0, 160, 240)), mask)

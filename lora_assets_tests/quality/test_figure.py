"""Sharpness, lighting, contrast and noise: right direction, blind to what is outside the mask, silent on nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lora_assets.quality.figure import contrast, lighting, noise, sharpness
from lora_assets_tests.conftest import TEST_IMAGES
from lora_assets_tests.quality.tiny import drawn_figure

MEASURES = {"sharpness": sharpness, "lighting": lighting, "contrast": contrast, "noise": noise}
REAL = ("anime/aniseg_015_0075.jpg", "anime/toon_74906_1462_frame1.png", "photos/zidane.jpg", "photos/bus.jpg")


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _figures() -> list:
    found = [pytest.param(*drawn_figure(seed), id=f"drawn-{seed}") for seed in (1, 2, 3)]
    for name in REAL:
        path = TEST_IMAGES / name
        if path.is_file():
            picture = np.asarray(Image.open(path).convert("RGB").resize((480, 320)))
            mask = cv2.ellipse(np.zeros((320, 480), np.uint8), (240, 160), (150, 140), 0, 0, 360, 1, -1) > 0
            found.append(pytest.param(picture, mask, id=name))
    return found


FIGURES = _figures()


@pytest.mark.parametrize(("picture", "mask"), FIGURES)
def test_what_harms_a_picture_makes_the_measure_for_it_worse(picture: np.ndarray, mask: np.ndarray) -> None:
    grey = _grey(picture)
    sharp = [sharpness(cv2.GaussianBlur(grey, (0, 0), s) if s else grey, mask)[0] for s in (0, 1.5, 3, 6)]
    assert sharp == sorted(sharp, reverse=True)  # pyright: ignore
    assert sharp[0] - sharp[2] > 0.15  # pyright: ignore
    lit = [lighting((grey * share).astype(np.uint8), mask)[0] for share in (0.45, 0.3, 0.15, 0.05)]
    assert lit == sorted(lit, reverse=True) and lit[0] > lit[-1]  # pyright: ignore
    spread = [contrast((128 + (grey - 128.0) * share).astype(np.uint8), mask)[0] for share in (1.0, 0.5, 0.25, 0.1)]
    assert spread == sorted(spread, reverse=True) and spread[0] > spread[-1]  # pyright: ignore
    rng = np.random.default_rng(5)
    grain = rng.normal(0, 1, grey.shape)
    noisy = [noise(np.clip(grey + grain * s, 0, 255).astype(np.uint8), mask)[0] for s in (0, 5, 10, 20)]
    assert noisy == sorted(noisy)  # pyright: ignore
    assert noisy[-1] > noisy[0] + 8  # pyright: ignore


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(0.0, 1.0))
def test_pixels_outside_the_mask_change_nothing_and_answers_are_in_range(
    seed: int, height: int, width: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, (height, width)).astype(np.uint8)
    mask = rng.random((height, width)) < share
    other = np.where(mask, grey, rng.integers(0, 256, (height, width))).astype(np.uint8)
    for name, measure in MEASURES.items():
        value, reason = measure(grey, mask)
        assert (value is None) == bool(reason), name
        if value is not None:
            assert 0.0 <= value <= (1.0 if name != "noise" else 255.0), name
        assert measure(other, mask) == (value, reason), name


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_figure_has_no_sharpness_and_a_single_pixel_is_not_judged(level: int) -> None:
    flat, whole = np.full((60, 50), level, np.uint8), np.ones((60, 50), np.bool_)
    value, reason = sharpness(flat, whole)
    assert value is None and "flat" in reason
    assert contrast(flat, whole) == (0.0, "")
    one = np.zeros((60, 50), np.bool_)
    one[30, 20] = True
    assert all(measure(flat, one)[0] is None for measure in (sharpness, contrast, noise))


def test_black_and_burnt_out_figures_are_badly_lit() -> None:
    whole = np.ones((40, 40), np.bool_)
    assert lighting(np.zeros((40, 40), np.uint8), whole)[0] == 0.0
    assert lighting(np.full((40, 40), 255, np.uint8), whole)[0] == 0.0
    assert lighting(np.full((40, 40), 200, np.uint8), whole)[0] == 1.0


def test_sharpness_is_the_published_formula() -> None:
    """Crete et al. step by step with plain loops, on a small picture whose mask is all of it but the frame."""
    rng = np.random.default_rng(1)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (24, 20)).astype(np.uint8), (3, 3), 0)
    mask = np.ones(grey.shape, np.bool_)
    level = grey.astype(float)

    def blurred(along: int) -> np.ndarray:
        out = np.zeros_like(level)
        for y in range(level.shape[0]):
            for x in range(level.shape[1]):
                total = 0.0
                for step in range(-4, 5):
                    yy = min(max(y + (step if along == 0 else 0), 0), level.shape[0] - 1)
                    xx = min(max(x + (step if along == 1 else 0), 0), level.shape[1] - 1)
                    total += level[yy, xx]
                out[y, x] = total / 9
        return out

    found = []
    for along in (0, 1):
        soft = blurred(along)
        kept = changed = 0.0
        for y in range(level.shape[0] - (along == 0)):
            for x in range(level.shape[1] - (along == 1)):
                yy, xx = y + (along == 0), x + (along == 1)
                before, after = abs(level[yy, xx] - level[y, x]), abs(soft[yy, xx] - soft[y, x])
                kept += max(0.0, before - after)
                changed += before
        found.append((changed - kept) / changed)
    assert sharpness(grey, mask)[0] == pytest.approx(1.0 - max(found), abs=1e-5)


def test_noise_is_told_in_levels() -> None:
    rng = np.random.default_rng(2)
    grey = np.clip(128 + rng.normal(0, 10, (200, 200)), 0, 255).round().astype(np.uint8)
    assert noise(grey, np.ones(grey.shape, np.bool_))[0] == pytest.approx(10.0, rel=0.05)

"""BRISQUE against a second computation written from the paper with plain loops, and where it must stay silent.

The second computation shares nothing with the first: an explicit window, scipy's correlation, a brute-force fit over
the grid, and a parser of the files of its own.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate, maximum_filter, minimum_filter
from scipy.special import gamma

from lora_assets.models import ModelError
from lora_assets.quality.brisque import (
    brisque_features,
    brisque_score,
    fit_asymmetric_gaussian,
    load_scorer,
    normalised_luminance,
)
from lora_assets_tests.conftest import TEST_IMAGES, TEST_MODELS
from lora_assets_tests.quality.tiny import drawn_figure

MODEL, RANGE = TEST_MODELS / "brisque_model_live.yml", TEST_MODELS / "brisque_range_live.yml"
needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="no real weights of BRISQUE (LORA_ASSETS_TEST_MODELS)")
SHAPES = np.arange(0.2, 10.0, 0.001)
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


def _plain_fit(values: np.ndarray) -> tuple[float, float, float]:
    flat = [float(v) for v in values.ravel()]
    left = math.sqrt(math.fsum(v * v for v in flat if v < 0) / sum(v < 0 for v in flat))
    right = math.sqrt(math.fsum(v * v for v in flat if v > 0) / sum(v > 0 for v in flat))
    skew = left / right
    ratio = (math.fsum(abs(v) for v in flat) / len(flat)) ** 2 / (math.fsum(v * v for v in flat) / len(flat))
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return float(SHAPES[np.argmin(np.abs(RATIOS - wanted))]), left, right


def _plain_features(grey: np.ndarray) -> np.ndarray:
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    level = grey.astype(np.float64) / 255
    found: list[float] = []
    for scale in (0, 1):
        if scale:
            size = (grey.shape[1] // 2, grey.shape[0] // 2)
            level = cv2.resize(level, size, interpolation=cv2.INTER_CUBIC)
        mean = correlate(level, window, mode="nearest")
        deviation = np.sqrt(np.maximum(correlate(level * level, window, mode="nearest") - mean * mean, 0))
        flat = maximum_filter(level, 7, mode="nearest") - minimum_filter(level, 7, mode="nearest") < 1e-6
        field = np.where(flat, 0.0, (level - mean) / (deviation + 1 / 255))
        shape, left, right = _plain_fit(field)
        found += [shape, (left**2 + right**2) / 2]
        height, width = field.shape
        for down, across in ((0, 1), (1, 0), (1, 1), (-1, 1)):
            paired = np.zeros_like(field)
            for y in range(height):
                if 0 <= y + down < height:
                    paired[y, : width - across] = field[y, : width - across] * field[y + down, across:]
            shape, left, right = _plain_fit(paired)
            middle = (right - left) * gamma(2 / shape) / gamma(1 / shape)
            found += [shape, middle * math.sqrt(gamma(1 / shape) / gamma(3 / shape)), left**2, right**2]
    return np.array(found)


def _numbers(text: str) -> np.ndarray:
    return np.array([float(each) for each in re.findall(r"-?\d+\.\d*(?:e[+-]\d+)?", text)])


def _plain_score(features: np.ndarray) -> float:
    told, limits = MODEL.read_text(), _numbers(RANGE.read_text().partition("data:")[2])
    vectors = _numbers(told.partition("support_vectors:")[2].partition("decision_functions:")[0]).reshape(-1, 36)
    (rho,) = _numbers(told.partition("rho:")[2].partition("alpha:")[0])
    (width,) = _numbers(told.partition("gamma:")[2].partition("C:")[0])
    low, high = limits[:36], limits[36:]
    scaled = [-1 + 2 * (f - a) / (b - a) for f, a, b in zip(features, low, high, strict=True)]
    total = -rho
    for alpha, vector in zip(_numbers(told.partition("alpha:")[2]), vectors, strict=True):
        total += alpha * math.exp(-width * math.fsum((v - s) ** 2 for v, s in zip(vector, scaled, strict=True)))
    return min(100.0, max(0.0, total))


def _photo(name: str, side: int = 160) -> np.ndarray:
    picture = Image.open(TEST_IMAGES / name).convert("RGB")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def test_the_features_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(4)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (60, 74)).astype(np.uint8), (5, 5), 0)
    found, flat = brisque_features(grey)
    assert flat == 0.0
    np.testing.assert_allclose(found, _plain_features(grey), rtol=2e-4, atol=2e-4)


@needs_model
@pytest.mark.skipif(not (TEST_IMAGES / "photos").is_dir(), reason="no real pictures (LORA_ASSETS_TEST_IMAGES)")
@pytest.mark.parametrize("name", ["photos/bus.jpg", "photos/rembg_cloth-1.jpg", "film/sintel_market_0001.png"])
def test_scores_of_real_pictures_agree_with_the_second_computation(name: str) -> None:
    picture = _photo(name)
    features, _ = brisque_features(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    plain = _plain_score(_plain_features(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)))
    scorer = load_scorer(MODEL, RANGE)
    assert scorer.score(features) == pytest.approx(_plain_score(features), abs=1e-4)
    assert brisque_score(picture, scorer)[0] == pytest.approx(plain, abs=0.2)


@needs_model
@pytest.mark.skipif(not (TEST_IMAGES / "photos").is_dir(), reason="no real pictures (LORA_ASSETS_TEST_IMAGES)")
@pytest.mark.parametrize("name", ["photos/bus.jpg", "photos/zidane.jpg", "anime/aniseg_046_0002.jpg"])
def test_blur_and_noise_make_real_pictures_worse(name: str) -> None:
    scorer, picture = load_scorer(MODEL, RANGE), _photo(name, 320)
    grain = np.random.default_rng(1).normal(0, 25, picture.shape)
    clean = brisque_score(picture, scorer)[0]
    for harmed in (cv2.GaussianBlur(picture, (0, 0), 2), np.clip(picture + grain, 0, 255).astype(np.uint8)):
        worse = brisque_score(np.asarray(harmed, np.uint8), scorer)[0]
        assert clean is not None and worse is not None and worse > clean


@needs_model
@pytest.mark.parametrize("seed", [1, 2])
def test_blur_makes_drawn_figures_worse(seed: int) -> None:
    scorer, (picture, _) = load_scorer(MODEL, RANGE), drawn_figure(seed)
    scores = [
        brisque_score(np.asarray(cv2.GaussianBlur(picture, (0, 0), s), np.uint8), scorer)[0] for s in (0.01, 2, 4)
    ]
    assert scores == sorted(scores)  # pyright: ignore


@needs_model
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_gets_no_score(level: int) -> None:
    value, reason = brisque_score(np.full((80, 60, 3), level, np.uint8), load_scorer(MODEL, RANGE))
    assert value is None and "flat" in reason
    framed = np.full((200, 200, 3), level, np.uint8)
    framed[90:104, 90:104] = np.random.default_rng(0).integers(0, 256, (14, 14, 3))
    assert brisque_score(framed, load_scorer(MODEL, RANGE))[0] is None


@needs_model
def test_a_sliver_gets_no_score() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (15, 400, 3)).astype(np.uint8)
    assert brisque_score(picture, load_scorer(MODEL, RANGE)) == (None, "smaller than 16 pixels")


def test_flat_neighbourhoods_are_exactly_nothing() -> None:
    """Rounding must not become texture: half of a picture without any change leaves no trace of sign."""
    grey = np.full((64, 64), 77, np.uint8)
    grey[:, 40:] = np.random.default_rng(0).integers(0, 256, (64, 24))
    field, flat = normalised_luminance(grey / 255.0)
    assert 0.5 < flat < 0.65
    assert not field[:, :36].any()


def test_values_of_one_sign_cannot_be_fitted() -> None:
    assert all(math.isnan(value) for value in fit_asymmetric_gaussian(np.ones((4, 4), np.float32)))


@needs_model
def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    other = tmp_path / "brisque_model_live.yml"
    other.write_text("%YAML:1.0\n---\nsomething: 1\n")
    with pytest.raises(ModelError, match=r"brisque_model_live.yml holds no entry opencv_ml_svm"):
        load_scorer(other, RANGE)
    with pytest.raises(ModelError, match=r"brisque_model_live.yml holds no entry range"):
        load_scorer(MODEL, other)
    other.write_bytes(b"\x00\x01not yaml at all")
    with pytest.raises(ModelError, match=str(other)):
        load_scorer(other, RANGE)
    other.write_text(MODEL.read_text().replace("EPS_SVR", "C_SVC"))
    with pytest.raises(ModelError, match="no BRISQUE scorer"):
        load_scorer(other, RANGE)

"""The dense random field: patches of colour answer as one, what is outside the frame has no say, and nothing is odd."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.dense_crf import agreed

SIDE = 64


def _figure() -> tuple[np.ndarray, np.ndarray]:
    """A picture of a figure with two colours on a third, and where the figure is."""
    pixels = np.full((SIDE, SIDE, 3), (90, 160, 90), np.uint8)
    pixels[12:30, 20:44] = (230, 190, 160)
    pixels[30:58, 14:50] = (60, 60, 140)
    return pixels, (pixels != (90, 160, 90)).any(axis=-1)


def _half_sure(figure: np.ndarray, seed: int = 0) -> np.ndarray:
    """Logits that are wrong for one pixel in seven."""
    wrong = np.random.default_rng(seed).random(figure.shape) < 0.15
    return np.where(figure ^ wrong, 1.5, -1.5).astype(np.float32)


def test_patches_of_one_colour_answer_as_one() -> None:
    pixels, figure = _figure()
    covered = np.ones(figure.shape, np.float32)
    found = agreed(pixels, covered, _half_sure(figure)) > 0
    assert (found == figure).mean() > 0.99
    assert np.array_equal(found, agreed(pixels, covered, _half_sure(figure)) > 0)


def test_dots_are_seen_as_the_tone_that_they_make() -> None:
    figure = np.zeros((4 * SIDE, 4 * SIDE), np.bool_)
    figure[60:200, 70:180] = True
    rows, columns = np.mgrid[: 4 * SIDE, : 4 * SIDE]
    period = np.where(figure, 3, 5)
    dots = (rows % period == 0) & (columns % period == 0)
    pixels = np.where(dots ^ figure, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    found = agreed(pixels, np.ones(figure.shape, np.float32), _half_sure(figure)) > 0
    assert (found == figure).mean() > 0.97


def test_like_colours_far_from_each_other_do_not_agree() -> None:
    pixels, _ = _figure()
    pixels[:] = (90, 160, 90)
    pixels[2:14, 2:14] = pixels[50:62, 50:62] = (200, 40, 40)
    logits = np.full((SIDE, SIDE), -4, np.float32)
    logits[2:14, 2:14] = 4
    found = agreed(pixels, np.ones_like(logits), logits) > 0
    assert found[2:14, 2:14].all() and not found[50:62, 50:62].any()


def test_what_is_outside_the_frame_has_no_say() -> None:
    pixels, figure = _figure()
    covered, logits = np.ones(figure.shape, np.float32), _half_sure(figure)
    covered[:, 40:] = 0
    inside = agreed(pixels, covered, logits)[:, :40]
    pixels[:, 40:], logits[:, 40:] = (60, 60, 140), -9
    assert np.abs(agreed(pixels, covered, logits)[:, :40] - inside).max() < 0.2
    nowhere = agreed(pixels, np.zeros_like(covered), logits)
    assert np.isfinite(nowhere).all()


def test_the_mirror_gives_the_mirrored_answer() -> None:
    pixels, figure = _figure()
    covered, logits = np.ones(figure.shape, np.float32), _half_sure(figure)
    plain, mirrored = agreed(pixels, covered, logits), agreed(pixels[:, ::-1].copy(), covered, logits[:, ::-1].copy())
    assert ((plain > 0) == (mirrored[:, ::-1] > 0)).mean() > 0.99


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([16, 33, 64]), st.sampled_from(["noise", "flat", "grey"]))
def test_any_picture_gives_numbers(seed: int, side: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
    if kind == "flat":
        pixels[:] = pixels[0, 0]
    if kind == "grey":
        pixels[:] = pixels[..., :1]
    covered = (rng.random((side, side)) < 0.8).astype(np.float32)
    logits = rng.normal(0, 10, (side, side)).astype(np.float32)
    found = agreed(pixels, covered, logits)
    assert found.shape == logits.shape and found.dtype == np.float32 and np.isfinite(found).all()
    assert np.array_equal(found, agreed(pixels, covered, logits))


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_all_pixels_say_stays(sign: int) -> None:
    pixels, figure = _figure()
    logits = np.full(figure.shape, 3.0 * sign, np.float32)
    assert (agreed(pixels, np.ones_like(logits), logits) * sign > 0).all()

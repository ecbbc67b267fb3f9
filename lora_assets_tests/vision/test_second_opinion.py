"""Tests of second opinions: GrabCut, and networks of the U2Net family as tiny ONNX files of the true signature."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.starter import STARTER_CRITIC, STARTER_LETTERS
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.saliency_onnx import load_saliency
from lora_assets.vision.second_opinion import disagreement, grabcut, salient
from lora_assets.vision.segment import SegmentSettings, load_segmenter
from lora_assets_tests.vision.drawn import noise_mask
from lora_assets_tests.vision.tiny_models import brightness_onnx, constant_onnx

BOX = np.array([45.0, 35, 155, 265])


def figure() -> tuple[np.ndarray, BoolMask]:
    """A red figure on a green wall, and its mask, 200 x 300."""
    image = np.full((300, 200, 3), (60, 150, 80), np.uint8)
    mask = np.zeros((300, 200), np.uint8)
    cv2.ellipse(image, (100, 150), (50, 110), 0, 0, 360, (200, 60, 50), -1)
    cv2.ellipse(mask, (100, 150), (50, 110), 0, 0, 360, 1, -1)
    return image, mask > 0


def asked(image: np.ndarray, mask: BoolMask, others: BoolMask | None = None) -> float:
    found = grabcut(image, mask, np.zeros_like(mask) if others is None else others, BOX)
    assert found is not None and found.shape == mask.shape
    return disagreement(mask, found, BOX)


def test_grabcut_agrees_with_a_true_mask_and_not_with_a_cut_one():
    image, mask = figure()
    legless, wide = mask.copy(), mask.copy()
    legless[170:] = False
    wide[60:240, 46:100] = True
    assert asked(image, mask) < 0.08
    assert asked(image, legless) > 0.25
    assert asked(image, wide) > 0.08


def test_grabcut_says_the_same_each_time_and_on_every_thread():
    image, mask = figure()
    image = cv2.add(image, np.random.default_rng(1).integers(0, 60, image.shape, dtype=np.uint8))
    expected = asked(image, mask)
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: asked(image, mask), range(6))) == {expected}


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.sampled_from((0.0, 0.03, 0.5, 1.0)))
@settings(deadline=None, max_examples=25)
def test_grabcut_bears_every_mask_and_box(seed: int, height: int, width: int, share: float):
    rng = np.random.default_rng(seed)
    mask, others = noise_mask(seed, height, width, share), noise_mask(seed + 1, height, width, 0.3)
    sides = np.sort(rng.uniform(-20, 60, (2, 2)), axis=0)
    box = sides.reshape(-1)
    found = grabcut(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask, others, box)
    assert found is None or (found.shape == mask.shape and 0.0 <= disagreement(mask, found, box) <= 1.0)


def test_disagreement_is_one_less_the_iou_inside_the_box():
    one, two = np.zeros((2, 10, 10), np.bool_)
    one[:, :5] = True
    two[:, :4] = True
    two[:, 8:] = True
    assert disagreement(one, two, np.array([0.0, 0, 8, 10])) == pytest.approx(0.2)
    assert disagreement(one, ~one, np.array([0.0, 0, 10, 10])) == 1.0
    assert disagreement(~one & one, ~one & one, np.array([0.0, 0, 10, 10])) == 0.0


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("feed", "side"), [("input.1", 320), ("img", 1024)])
def test_a_network_finds_the_bright_figure(tmp_path: Path, feed: str, side: int):
    find = load_saliency(brightness_onnx(tmp_path / "net.onnx", feed, side))
    image = np.zeros((90, 160, 3), np.uint8)
    image[20:70, 40:80] = 255
    found = find(image)
    assert found.shape == (90, 160) and found.dtype == np.float32
    expected = np.zeros((90, 160), np.bool_)
    expected[20:70, 40:80] = True
    assert ((found > 0.5) != expected).mean() < 0.03
    assert found.min() >= 0.0 and found.max() <= 1.0
    nobody = np.zeros_like(expected)
    mine = salient(find)(image, expected, nobody, np.array([30.0, 10, 90, 80]))
    assert mine is not None and disagreement(expected, mine, np.array([30.0, 10, 90, 80])) < 0.1


@pytest.mark.parametrize("feed", ["input.1", "img"])
def test_a_picture_of_one_colour_has_nothing_salient(tmp_path: Path, feed: str):
    find = load_saliency(brightness_onnx(tmp_path / "net.onnx", feed, 64))
    assert not (find(np.zeros((1, 1, 3), np.uint8)) > 0.5).any()
    assert np.isfinite(find(np.zeros((3, 500, 3), np.uint8))).all()


def test_the_file_of_a_network_is_told_from_a_detectors(tmp_path: Path):
    net = resolve(str(brightness_onnx(tmp_path / "net.onnx", "input.1", 320)), tmp_path)
    assert (net.family, net.task) == ("saliency-onnx", "segment")
    boxes = constant_onnx(tmp_path / "boxes.onnx", np.zeros((1, 5, 3), np.float32))
    assert resolve(str(boxes), tmp_path).family == "yolo-onnx"
    with pytest.raises(ModelError, match=r"boxes\.onnx is no ONNX file of the U2Net family"):
        load_saliency(boxes)
    with pytest.raises(ModelError, match="makes no masks"):
        load_segmenter(resolve(str(boxes), tmp_path), SegmentSettings())
    for own in (STARTER_CRITIC, STARTER_LETTERS):
        with pytest.raises(ModelError, match=rf"{own.name} is no ONNX file of the U2Net family"):
            load_saliency(own)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(net.path.read_bytes()[:90])
    with pytest.raises(ModelError, match=r"cut\.onnx cannot be opened"):
        load_saliency(cut)


@pytest.mark.parametrize(("feed", "side"), [("input.1", 320), ("img", 1024)])
def test_a_network_is_a_trackers_segmenter_too(tmp_path: Path, feed: str, side: int):
    net = resolve(str(brightness_onnx(tmp_path / "net.onnx", feed, side)), tmp_path)
    segment = load_segmenter(net, SegmentSettings(second_opinion="grabcut"))
    image = np.zeros((180, 320, 3), np.uint8)
    truth = np.zeros((2, 180, 320), np.bool_)
    truth[0, 40:140, 40:100] = truth[1, 30:150, 200:260] = True
    image[truth.any(axis=0)] = 250
    left, right, whole = segment(image, np.array([[38.0, 36, 104, 144], [196, 28, 262, 152], [0, 0, 320, 180]]))
    for found, expected in ((left, truth[0]), (right, truth[1])):
        window = np.zeros((180, 320), np.bool_)
        height, width = found.mask.shape
        window[found.y : found.y + height, found.x : found.x + width] = found.mask
        assert (window & expected).sum() / (window | expected).sum() > 0.9
        assert found.predicted_iou > 0.8 and found.stability > 0.8 and found.box_fit > 0.8
    assert (whole.x, whole.y, *whole.mask.shape) == (0, 0, 180, 320)
    apart = load_segmenter(net, SegmentSettings(separate=False))(image, np.array([[0.0, 0, 320, 180]]))[0]
    assert ((apart.mask != truth.any(axis=0)).mean()) < 0.03
    assert segment(image, np.zeros((0, 4))) == []
    nobody = segment(np.zeros_like(image), np.array([[0.0, 0, 320, 180]]))[0]
    assert not nobody.mask.any() and nobody.predicted_iou == nobody.stability == 0.0
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda _: segment(image, np.array([[38.0, 36, 104, 144]]))[0].mask, range(6)))
    assert all(np.array_equal(mask, again[0]) for mask in again)


def test_weights_of_a_second_opinion_must_be_opened(tmp_path: Path):
    sam = OpenWeights("mine", tmp_path / "mine.pt", "0" * 64, "sam", "segment")
    with pytest.raises(ModelError, match="second opinion u2netp was not opened"):
        load_segmenter(sam, SegmentSettings(second_opinion="u2netp"))
    assert SegmentSettings(second_opinion="u2netp").opinion_weights == "u2netp"
    assert SegmentSettings().opinion_weights is SegmentSettings(second_opinion="none").opinion_weights is None

"""Boxes and their arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.boxes import (
    Boxes,
    FloatArray,
    box_iou,
    clip_boxes,
    inside_share,
    join_boxes,
    no_boxes,
    non_maximum_suppression,
)
from lora_assets.vision.letterbox import letterbox_for, letterbox_into

_length = st.floats(0.0, 500.0, allow_nan=False)


@st.composite
def some_boxes(draw: st.DrawFn, least: int = 1) -> FloatArray:
    rows = draw(st.lists(st.tuples(_length, _length, _length, _length), min_size=least, max_size=8))
    corners = np.array(rows, np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)


def _named(xyxy: FloatArray, label: str = "person") -> Boxes:
    return Boxes(xyxy, np.full(len(xyxy), 0.5), (label,) * len(xyxy), ("net",) * len(xyxy))


@pytest.mark.parametrize(
    ("xyxy", "confidence", "error"),
    [
        ([[0, 0, float("nan"), 1]], [0.5], "box 0 holds a NaN"),
        ([[0, 0, 1, float("inf")]], [0.5], "infinite"),
        ([[5, 0, 1, 1]], [0.5], "inside out"),
        ([[0, 0, 1, 1]], [1.3], "outside 0 to 1"),
        ([[0, 0, 1, 1]], [float("nan")], "outside 0 to 1"),
        ([[0, 0, 1, 1]], [0.5, 0.5], "do not belong together"),
    ],
)
def test_unsound_boxes_are_refused(xyxy: list[list[float]], confidence: list[float], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Boxes(np.array(xyxy, np.float64), np.array(confidence), ("person",), ("net",))


def test_take_and_join() -> None:
    boxes = join_boxes([_named(np.array([[0.0, 0, 1, 1]]), "face"), no_boxes(), _named(np.array([[2.0, 2, 3, 3]]))])
    assert boxes.labels == ("face", "person") and len(boxes) == 2
    assert boxes.take([1]).xyxy.tolist() == [[2, 2, 3, 3]]
    assert len(boxes.take(np.zeros(0, np.int64))) == 0
    assert len(join_boxes([])) == 0


@settings(deadline=None, max_examples=30)
@given(some_boxes(), some_boxes())
def test_iou_is_symmetric_and_a_share(a: FloatArray, b: FloatArray) -> None:
    iou = box_iou(a, b)
    assert iou.shape == (len(a), len(b))
    assert np.allclose(iou, box_iou(b, a).T)
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    assert (iou <= inside_share(a, b) + 1e-9).all()


def test_iou_and_inside_share_of_known_boxes() -> None:
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[5.0, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30], [3, 3, 3, 3]])
    assert np.allclose(box_iou(a, b), [[1 / 3, 1, 0, 0]])
    assert np.allclose(inside_share(b, a).T, [[0.5, 1, 0, 0]])


@settings(deadline=None, max_examples=30)
@given(some_boxes(), st.integers(1, 400), st.integers(1, 400))
def test_clipped_boxes_lie_in_the_frame(boxes: FloatArray, width: int, height: int) -> None:
    clipped = clip_boxes(boxes - 100, width, height)
    assert (clipped >= 0).all() and (clipped <= [width, height, width, height]).all()
    assert (clipped[:, 2:] >= clipped[:, :2]).all()


@settings(deadline=None, max_examples=30)
@given(some_boxes(), st.floats(0.0, 1.0), st.randoms(use_true_random=False))
def test_suppression_keeps_the_surest_and_no_pair_over_the_limit(
    boxes: FloatArray, limit: float, chance: object
) -> None:
    random = np.random.default_rng(chance.randint(0, 9999))  # pyright: ignore[reportAttributeAccessIssue]
    confidence, groups = random.random(len(boxes)), random.integers(0, 2, len(boxes))
    kept = non_maximum_suppression(boxes, confidence, groups, limit)
    assert kept[0] == confidence.argmax() and (np.diff(confidence[kept]) <= 0).all()
    same = (groups[kept][:, None] == groups[kept][None]) & ~np.eye(len(kept), dtype=bool)
    assert not ((box_iou(boxes[kept], boxes[kept]) > limit) & same).any()


def test_suppression_equals_torchvision() -> None:
    import torch
    from torchvision.ops import batched_nms

    random = np.random.default_rng(5)
    corner = random.random((300, 2)) * 100
    boxes = np.concatenate([corner, corner + 5 + random.random((300, 2)) * 60], axis=1)
    confidence, groups = random.permutation(300) / 300, random.integers(0, 3, 300)
    expected = batched_nms(*map(torch.from_numpy, (boxes, confidence, groups)), 0.45).numpy()
    assert non_maximum_suppression(boxes, confidence, groups, 0.45).tolist() == expected.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([320, 640]))
def test_letterboxes_fit_and_bring_boxes_back(width: int, height: int, side: int) -> None:
    fit = letterbox_for(width, height, side, 32)
    assert fit.input_width % 32 == fit.input_height % 32 == 0
    assert max(fit.input_width, fit.input_height) == side
    assert fit.apply(np.zeros((height, width, 3), np.uint8)).shape == (fit.input_height, fit.input_width, 3)
    whole = np.array([[fit.left, fit.top, fit.left + fit.inner_width, fit.top + fit.inner_height]], np.float64)
    assert np.allclose(fit.to_frame(whole), [[0, 0, width, height]])


def test_a_fixed_input_is_padded_around_the_frame() -> None:
    fit = letterbox_into(100, 50, 64, 64)
    pixels = fit.apply(np.full((50, 100, 3), 200, np.uint8))
    assert pixels.shape == (64, 64, 3)
    assert (pixels[:16] == 114).all() and (pixels[16:48] == 200).all() and (pixels[48:] == 114).all()

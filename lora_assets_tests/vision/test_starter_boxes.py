"""The starter asked for boxes: it gains by its second look and by colours, and sound answers come for odd boxes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.recipes import CODE_VERSIONS, tracker_recipes
from lora_assets.scenes import draw_scene
from lora_assets.specs import TrackerSpec
from lora_assets.starter import STARTER_SAM
from lora_assets.vision.masks import mask_iou, place_pixels
from lora_assets.vision.neighbours import DUPLICATE_IOU
from lora_assets.vision.sam import load_sam
from lora_assets.vision.segment import Segmenter, SegmentSettings, segmenter_of, starter_segmenter
from lora_assets.vision.starter_boxes import CODE_VERSION, WindowLogits
from lora_assets.vision.starter_sam import build_starter_sam
from lora_assets_tests.vision.tiny_models import brightness_onnx

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from lora_assets.scenes import SceneFrame
    from lora_assets.vision.segment import WindowMask


@pytest.fixture(scope="module")
def sam() -> Sam:
    return load_sam(STARTER_SAM)


@pytest.fixture(scope="module")
def segment(sam: Sam) -> Segmenter:
    return starter_segmenter(sam, SegmentSettings())


@pytest.fixture(scope="module")
def crowd() -> SceneFrame:
    return draw_scene(21_012, 480, 320, characters=3, effects=False)


def _whole(window: WindowMask, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return place_pixels(window.mask, window.x, window.y, (0, 0, width, height))


def _boxes(scene: SceneFrame) -> np.ndarray:
    return np.array([character.box for character in scene.characters], float)


def test_it_is_better_than_one_look_through_the_small_square(sam: Sam, segment: Segmenter) -> None:
    plain, gained = segmenter_of(sam, SegmentSettings()), []
    for seed in (21_003, 21_012):
        scene = draw_scene(seed, 480, 320, characters=2)
        boxes = _boxes(scene)
        for one, other, character in zip(
            plain(scene.image, boxes), segment(scene.image, boxes), scene.characters, strict=True
        ):
            before, after = (mask_iou(_whole(each, scene.image), character.mask) for each in (one, other))
            gained.append(after - before)
    assert len(gained) >= 3 and np.mean(gained) > 0.02


def test_a_mirrored_frame_gives_the_mirrored_masks(segment: Segmenter, crowd: SceneFrame) -> None:
    width, boxes = crowd.image.shape[1], _boxes(crowd)
    mirrored = np.column_stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]])
    turned = np.ascontiguousarray(crowd.image[:, ::-1])
    for one, other in zip(segment(crowd.image, boxes), segment(turned, mirrored), strict=True):
        assert mask_iou(_whole(one, crowd.image), _whole(other, turned)[:, ::-1]) > 0.95


def test_masks_of_a_frame_share_no_pixel_and_come_again(segment: Segmenter, crowd: SceneFrame) -> None:
    boxes = _boxes(crowd)
    found = segment(crowd.image, boxes)
    masks = [_whole(window, crowd.image) for window in found]
    for one, other in combinations(masks, 2):
        assert not (one & other).any() or mask_iou(one, other) >= DUPLICATE_IOU
    for window, again in zip(found, segment(crowd.image, boxes), strict=True):
        assert np.array_equal(window.mask, again.mask) and window.predicted_iou == again.predicted_iou
        assert 0 <= window.predicted_iou <= 1 and 0 <= window.stability <= 1 and 0 <= window.box_fit <= 1


def test_boxes_do_not_depend_on_each_other_or_on_the_batch(sam: Sam, crowd: SceneFrame) -> None:
    boxes = _boxes(crowd)
    together = starter_segmenter(sam, SegmentSettings(separate=False, decoder_batch=8))(crowd.image, boxes)
    alone = starter_segmenter(sam, SegmentSettings(separate=False, decoder_batch=1))
    for box, window in zip(boxes, together, strict=True):
        (own,) = alone(crowd.image, box[None])
        assert (own.x, own.y) == (window.x, window.y) and (own.mask != window.mask).mean() < 0.002


def test_the_setting_of_three_candidates_changes_nothing(sam: Sam, segment: Segmenter, crowd: SceneFrame) -> None:
    single = starter_segmenter(sam, SegmentSettings(multimask=False))
    for one, other in zip(segment(crowd.image, _boxes(crowd)), single(crowd.image, _boxes(crowd)), strict=True):
        assert np.array_equal(one.mask, other.mask) and one.candidate == other.candidate == 0


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((90, 60), (40.0, 30.0, 41.0, 31.0)),
        ((90, 60), (0.0, 0.0, 90.0, 60.0)),
        ((90, 60), (-20.0, -9.0, 5.0, 80.0)),
        ((90, 60), (89.4, 10.2, 89.9, 10.6)),
        ((1, 1), (0.0, 0.0, 1.0, 1.0)),
        ((40_000, 2), (100.0, 0.0, 39_000.0, 2.0)),
    ],
)
def test_odd_boxes_and_frames_get_a_mask_in_the_frame(
    segment: Segmenter, size: tuple[int, int], box: tuple[float, ...]
) -> None:
    width, height = size
    image = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
    (window,) = segment(image, np.array([box]))
    assert window.mask.dtype == bool
    told = (window.predicted_iou, window.stability, window.box_fit)
    assert all(0 <= value <= 1 for value in told) and (window.mask.any() or told[2] == 0)
    assert 0 <= window.x <= max(0, box[0]) and 0 <= window.y <= max(0, box[1])
    assert min(box[2], width) <= window.x + window.mask.shape[1] <= width
    assert min(box[3], height) <= window.y + window.mask.shape[0] <= height


def test_no_boxes_give_no_masks_and_unsound_ones_are_refused(segment: Segmenter) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    assert segment(image, np.zeros((0, 4))) == []
    for box, reason in [([0, 0, float("nan"), 9], "NaN"), ([9, 0, 1, 9], "inside out"), ([50, 50, 60, 60], "no area")]:
        with pytest.raises(ValueError, match=reason):
            segment(image, np.array([box], float))


def test_a_network_that_overflows_gives_an_empty_mask_of_no_worth() -> None:
    import torch

    broken = build_starter_sam()
    with torch.no_grad():
        broken.mask_decoder.network.masks.bias.fill_(float("nan"))  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    image = np.full((50, 50, 3), 120, np.uint8)
    (window,) = starter_segmenter(broken, SegmentSettings())(image, np.array([[10.0, 10, 40, 40]]))
    assert not window.mask.any()
    assert (window.predicted_iou, window.stability, window.box_fit) == (0, 0, 0)


def test_threads_share_a_starter(segment: Segmenter) -> None:
    rng = np.random.default_rng(3)
    boxes = np.array([[3.0, 3, 60, 90], [40, 10, 118, 99]])
    frames = [rng.integers(0, 256, (100, 120, 3), np.uint8) for _ in range(4)]
    alone = [segment(frame, boxes) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: segment(frame, boxes), frames))
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(a.mask, b.mask) for a, b in zip(one, other, strict=True))


@settings(max_examples=30)
@given(
    st.tuples(st.integers(-40, 40), st.integers(-40, 40), st.integers(32, 150)),
    st.integers(0, 20), st.integers(0, 20), st.integers(0, 30), st.integers(0, 30),
)  # fmt: skip
def test_a_part_of_the_logits_is_cut_from_the_whole(
    window: tuple[int, int, int], top: int, left: int, height: int, width: int
) -> None:
    fine = np.random.default_rng(1).normal(0, 3, (40, 40)).astype(np.float32)
    logits = WindowLogits(fine, window, 5, 7, 50, 50)
    part = np.s_[top : top + height, left : left + width]
    assert logits[:, :].shape == (50, 50) and logits[part].shape == (height, width)
    assert logits[part] == pytest.approx(logits[:, :][part], abs=0.5)


def test_the_code_of_the_starter_counts_in_its_own_recipes_only(data: Path) -> None:
    net = brightness_onnx(data / "net.onnx", "input.1", 64)
    starter, other = (
        tracker_recipes(TrackerSpec("T", ("film",), settings=chosen), data).segments
        for chosen in ({}, {"segment": {"weights": str(net)}})
    )
    assert starter.code_version == f"{CODE_VERSIONS['segments']}.starter-{CODE_VERSION}"
    assert other.code_version == CODE_VERSIONS["segments"]

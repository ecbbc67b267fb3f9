"""Segment Anything: masks against its own predictor, checkpoints of every family, and files that must be refused."""

from __future__ import annotations

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.scenes import draw_scene
from lora_assets.vision.masks import place_pixels
from lora_assets.vision.neighbours import DUPLICATE_IOU
from lora_assets.vision.sam import build_mobile_sam, load_sam, read_tensors
from lora_assets.vision.second_opinion import grabcut
from lora_assets.vision.segment import (
    SegmentSettings,
    choose_candidate,
    enlarging_matrix,
    load_segmenter,
    segmenter_of,
    stability_of,
)
from lora_assets.vision.starter_sam import IMAGE_SIZE, build_starter_sam

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

Rgb = np.ndarray[Any, np.dtype[np.uint8]]


def _build_tiny(width: int = 32, **_ignored: object) -> Sam:
    """A Segment Anything model of 128 pixels a side with random weights whose masks have both signs."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(3)
    encoder = ImageEncoderViT(
        img_size=128, patch_size=16, embed_dim=width, depth=1, num_heads=2, mlp_ratio=2, out_chans=32, window_size=0,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True,
    )  # fmt: skip
    prompts = PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=4)
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=32, num_heads=2)
    return Sam(encoder, prompts, MaskDecoder(transformer_dim=32, transformer=transformer)).eval()


@pytest.fixture(scope="module")
def tiny() -> Sam:
    sam = _build_tiny()
    import torch

    with torch.no_grad():
        for layers in sam.mask_decoder.output_hypernetworks_mlps:
            layers.layers[-1].weight.mul_(20.0)
            layers.layers[-1].bias.zero_()
    return sam


def _picture(width: int, height: int) -> Rgb:
    """A drawn frame with soft edges: resizing it by one method or another gives nearly the same."""
    image = np.full((height, width, 3), (90, 140, 200), np.uint8)
    cv2.circle(image, (width // 2, height // 2), min(width, height) // 3, (230, 200, 170), -1)
    cv2.rectangle(image, (width // 5, height // 5), (width // 2, height // 3), (40, 30, 60), -1)
    return cv2.GaussianBlur(image, (0, 0), max(width, height) / 60)


def _boxes(width: int, height: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    size = np.array([width, height, width, height], np.float64)
    return (
        np.array(
            [[0.1, 0.1, 0.6, 0.5], [0.3, 0.2, 0.9, 0.95], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.7, 0.7], [0, 0.5, 1, 1]]
        )
        * size
    )


# --- against the predictor of segment-anything ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(128, 72), (100, 128), (320, 180), (90, 60)])
@pytest.mark.parametrize("multimask", [False, True])
def test_masks_equal_those_of_the_predictor(tiny: Sam, size: tuple[int, int], multimask: bool) -> None:
    from segment_anything import SamPredictor

    image, boxes = _picture(*size), _boxes(*size)
    found = segmenter_of(tiny, SegmentSettings(multimask=multimask, margin=0.2, separate=False))(image, boxes)
    predictor = SamPredictor(tiny)
    predictor.set_image(image)
    assert len(found) == len(boxes)
    seen = 0
    for window, box in zip(found, boxes, strict=True):
        masks, estimates, _ = predictor.predict(box=box, multimask_output=multimask)
        height, width = window.mask.shape
        inside = masks[:, window.y : window.y + height, window.x : window.x + width]
        unions = (inside | window.mask).sum(axis=(1, 2))
        overlaps = np.where(unions > 0, (inside & window.mask).sum(axis=(1, 2)) / np.maximum(unions, 1), 1.0)
        best = int(np.argmin(np.abs(np.clip(estimates, 0, 1) - window.predicted_iou)))
        assert overlaps[best] >= 0.98
        seen += int(window.mask.any() and not window.mask.all())
    assert seen > 0


def test_windows_lie_in_the_frame_and_hold_the_box(tiny: Sam) -> None:
    boxes = np.array([[-30.0, -5, 60, 50], [90, 40, 400, 300], [40.2, 30.7, 50.1, 44.4]])
    for window, box in zip(segmenter_of(tiny, SegmentSettings())(_picture(128, 72), boxes), boxes, strict=True):
        height, width = window.mask.shape
        assert window.mask.dtype == bool and 0 <= window.predicted_iou <= 1 and 0 <= window.stability <= 1
        assert 0 <= window.x <= max(0, box[0]) and 0 <= window.y <= max(0, box[1])
        assert min(box[2], 128) <= window.x + width <= 128 and min(box[3], 72) <= window.y + height <= 72


def test_boxes_of_a_frame_do_not_depend_on_each_other(tiny: Sam) -> None:
    segment = segmenter_of(tiny, SegmentSettings(decoder_batch=2, separate=False))
    image, boxes = _picture(200, 120), _boxes(200, 120)
    together = segment(image, boxes)
    for box, window in zip(boxes, together, strict=True):
        alone = segment(image, box[None])[0]
        assert (alone.x, alone.y) == (window.x, window.y)
        assert (alone.mask != window.mask).mean() < 0.002


def test_threads_share_a_segmenter(tiny: Sam) -> None:
    segment = segmenter_of(tiny, SegmentSettings())
    frames = [(_picture(*size), _boxes(*size)) for size in [(128, 72), (72, 128), (100, 100), (200, 50)] * 3]
    alone = [segment(*frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: segment(*frame), frames))
    for a, b in zip(alone, together, strict=True):
        assert all(np.array_equal(x.mask, y.mask) for x, y in zip(a, b, strict=True))


def test_no_boxes_give_no_masks_and_unsound_ones_are_refused(tiny: Sam) -> None:
    segment, image = segmenter_of(tiny, SegmentSettings()), _picture(64, 64)
    assert segment(image, np.zeros((0, 4))) == segment(image, np.array([])) == []
    for box, reason in [
        ([0, 0, float("nan"), 9], "box 0 holds a NaN"),
        ([9, 0, 1, 9], "inside out"),
        ([70, 70, 90, 90], "no area inside the frame of 64 x 64"),
        ([5, 5, 5, 9], "no area"),
    ]:
        with pytest.raises(ValueError, match=reason):
            segment(image, np.array([box], np.float64))


@pytest.mark.parametrize(
    "wrong",
    [
        {"margin": -1}, {"decoder_batch": 0}, {"multimask": 1}, {"weights": ""}, {"separate": 1},
        {"second_opinion": ""},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegmentSettings(**wrong)


# --- the parts -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 9999))
def test_enlarging_by_matrices_equals_the_two_steps(width: int, height: int, seed: int) -> None:
    import torch
    from torch.nn import functional

    scale = 64 / max(width, height)
    inner_width, inner_height = int(width * scale + 0.5), int(height * scale + 0.5)
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(16, 16)).astype(np.float32))
    step = functional.interpolate(logits[None, None], (64, 64), mode="bilinear")[..., :inner_height, :inner_width]
    expected = functional.interpolate(step, (height, width), mode="bilinear")[0, 0].numpy()
    down, across = enlarging_matrix(16, 64, inner_height, height), enlarging_matrix(16, 64, inner_width, width)
    assert np.allclose(down @ logits.numpy() @ across.T, expected, atol=1e-4)


def test_the_candidate_that_fills_the_box_is_chosen() -> None:
    logits = np.full((3, 32, 32), -5.0)
    logits[0, 12:16, 12:16] = 5
    logits[1, 8:24, 8:24] = 5
    logits[1, 0, 0] = 5
    logits[2, 0:32, 0:32] = 5
    box = np.array([8.0, 8, 24, 24])
    chosen = choose_candidate(logits, np.array([0.9, 0.8, 0.9]), box)
    assert (chosen.index, chosen.predicted_iou, chosen.stability) == (1, 0.8, 1.0) and chosen.box_fit == 1.0
    assert choose_candidate(logits, np.array([float("nan"), 0.1, 0.95]), box).index in (1, 2)
    assert choose_candidate(np.full((3, 8, 8), -1.0), np.array([0.1, 0.3, 0.2]), box).index == 1


def test_of_candidates_that_fit_alike_the_stable_one_is_chosen() -> None:
    logits = np.full((2, 32, 32), -5.0)
    logits[:, 8:24, 8:24] = 5
    logits[0, 9:23, 9:23] = 0.5
    chosen = choose_candidate(logits, np.array([0.9, 0.8]), np.array([8.0, 8, 24, 24]))
    assert (chosen.index, chosen.stability) == (1, 1.0)


def test_masks_of_one_frame_share_no_pixel_and_tell_what_was_taken(tiny: Sam) -> None:
    image, boxes = _picture(128, 72), np.array([[10.0, 10, 80, 60], [40, 5, 120, 70], [30, 20, 70, 50]])
    alone = segmenter_of(tiny, SegmentSettings(separate=False))(image, boxes)
    apart = segmenter_of(tiny, SegmentSettings())(image, boxes)
    frame = (0, 0, 128, 72)
    taken = 0
    for (a, one), (b, other) in combinations(enumerate(apart), 2):
        before = [place_pixels(alone[n].mask, alone[n].x, alone[n].y, frame) for n in (a, b)]
        shared = (before[0] & before[1]).sum()
        if shared < DUPLICATE_IOU * (before[0] | before[1]).sum():
            after = [place_pixels(window.mask, window.x, window.y, frame) for window in (one, other)]
            assert not (after[0] & after[1]).any()
            taken += int(shared)
    for before, after in zip(alone, apart, strict=True):
        gone = before.mask.sum() - after.mask.sum()
        assert after.taken_share == pytest.approx(gone / max(1, before.mask.sum()))
        assert before.taken_share == 0.0 and before.disagreement is None
    assert taken > 0


def test_a_second_opinion_is_asked_of_each_mask(tiny: Sam) -> None:
    image, boxes = _picture(128, 72), np.array([[10.0, 10, 80, 60], [40, 5, 120, 70]])

    def nothing(_: Rgb, mask: np.ndarray, others: np.ndarray, box: np.ndarray) -> np.ndarray:
        assert mask.shape == others.shape and not (mask & others).any() and box.shape == (4,)
        return np.zeros_like(mask)

    for window in segmenter_of(tiny, SegmentSettings(), nothing)(image, boxes):
        assert window.disagreement == (1.0 if window.mask.any() else 0.0)
    for window in segmenter_of(tiny, SegmentSettings(), lambda *_: None)(image, boxes):
        assert window.disagreement is None


def test_a_network_that_answers_nan_gives_empty_masks_of_no_worth() -> None:
    import torch

    sam = _build_tiny()
    with torch.no_grad():
        for parameter in sam.mask_decoder.parameters():
            parameter.fill_(float("nan"))
    for window in segmenter_of(sam, SegmentSettings(), grabcut)(_picture(100, 60), _boxes(100, 60)):
        assert not window.mask.any()
        numbers = (window.predicted_iou, window.stability, window.box_fit, window.taken_share)
        assert numbers == (0.0, 0.0, 0.0, 0.0)
        assert window.disagreement is window.background_left is None


def test_stability_is_the_iou_of_two_cuts() -> None:
    assert stability_of(np.array([[-2.0, 0.5, 2.0, 3.0]])) == pytest.approx(2 / 3)
    assert stability_of(np.full((3, 3), -9.0)) == 0.0


# --- checkpoints -----------------------------------------------------------------------------------------------------


def _open(path: Path, family: str) -> OpenWeights:
    return OpenWeights(path.stem, path, "0" * 64, family, "segment")


def test_the_starters_architecture_is_loaded(tmp_path: Path) -> None:
    import torch

    sam = build_starter_sam()
    path = tmp_path / "mine.pt"
    torch.save({"model": {name: value.half() for name, value in sam.state_dict().items()}}, path)
    weights = resolve(str(path), tmp_path)
    assert weights.family == "starter-sam"
    loaded = load_sam(path)
    assert not loaded.training and all(p.dtype == torch.float32 and not p.requires_grad for p in loaded.parameters())
    found = load_segmenter(weights, SegmentSettings())(_picture(96, 64), np.array([[10.0, 10, 60, 60]]))
    assert len(found) == 1


def test_the_starter_opens_by_name_and_masks_a_drawn_character(tmp_path: Path) -> None:
    scene = draw_scene(2, 640, 360, characters=1, effects=False)
    segment = load_segmenter(resolve("starter-sam", tmp_path), SegmentSettings())
    (window,) = segment(scene.image, np.array([[200.0, 40, 440, 350]]))
    assert window.mask.any() and not window.mask.all() and window.predicted_iou > 0


def test_a_vit_is_loaded_by_its_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    sam = _build_tiny(768)
    path = tmp_path / "sam_vit_b.pth"
    torch.save(sam.state_dict(), path)
    # The package hides this module behind a function of the same name.
    builders = importlib.import_module("segment_anything.build_sam")
    monkeypatch.setattr(builders, "build_sam_vit_b", partial(_build_tiny, 768))
    weights = resolve(str(path), tmp_path)
    assert weights.family == "sam"
    image, boxes = _picture(128, 100), _boxes(128, 100)
    for a, b in zip(
        load_segmenter(weights, SegmentSettings())(image, boxes),
        segmenter_of(sam, SegmentSettings())(image, boxes),
        strict=True,
    ):
        assert np.array_equal(a.mask, b.mask) and a.predicted_iou == pytest.approx(b.predicted_iou, abs=1e-5)


def test_mobile_sam_has_the_names_of_its_file_and_is_loaded(tmp_path: Path) -> None:
    import torch
    from ultralytics.models.sam.build import build_mobile_sam as peer

    sam, expected = build_mobile_sam(), peer()
    told = {name: tuple(value.shape) for name, value in expected.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in sam.state_dict().items()} == told
    path = tmp_path / "mobile_sam.pt"
    torch.save(expected.state_dict(), path)
    assert resolve(str(path), tmp_path).family == "mobile-sam"
    loaded = load_sam(path)
    attention, trained = (m.image_encoder.layers[1].blocks[0].attn for m in (loaded, expected))
    assert torch.equal(attention.ab, trained.attention_biases[:, trained.attention_bias_idxs])
    assert torch.equal(loaded.pixel_mean, expected.pixel_mean)


def test_safetensors_are_loaded(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="the package safetensors is not installed")
    sam = build_starter_sam()
    safetensors.save_file(sam.state_dict(), tmp_path / "mine.safetensors")
    assert resolve(str(tmp_path / "mine.safetensors"), tmp_path).family == "starter-sam"
    assert load_sam(tmp_path / "mine.safetensors").image_encoder.img_size == IMAGE_SIZE
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "mine.safetensors").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"cut\.safetensors cannot be opened"):
        load_sam(tmp_path / "cut.safetensors")


class _Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_runs_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "sam.pth"
    torch.save({"x": _Payload(tmp_path / "ran")}, path)
    with pytest.raises(ModelError, match=r"sam\.pth cannot be opened as tensors"):
        read_tensors(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_and_foreign_files_are_named_and_left_as_they_are(tmp_path: Path) -> None:
    import torch

    cut = tmp_path / "cut.pth"
    torch.save(build_starter_sam().state_dict(), cut)
    content = cut.read_bytes()[:100_000]
    cut.write_bytes(content)
    foreign, listed, wide = tmp_path / "foreign.pth", tmp_path / "list.pth", tmp_path / "wide.pth"
    torch.save({"weight": torch.zeros(3)}, foreign)
    torch.save([torch.zeros(3)], listed)
    torch.save({"image_encoder.patch_embed.proj.weight": torch.zeros(7, 3, 16, 16)}, wide)
    for path, reason in [
        (cut, "cannot be opened"),
        (foreign, "holds no Segment Anything model"),
        (listed, "does not hold a dictionary of tensors"),
        (wide, "width 7"),
        (tmp_path / "none.pth", "is not there"),
    ]:
        with pytest.raises(ModelError, match=f"{path.name}.*{reason}"):
            load_segmenter(_open(path, "sam"), SegmentSettings())
    assert cut.read_bytes() == content


def test_a_detector_is_no_segmenter(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="makes no masks"):
        load_segmenter(_open(tmp_path / "yolo.pt", "yolo-pt"), SegmentSettings())

"""The segmenter's training: prompts, targets, and that it computes what `segment_anything` computes at work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.starter.card import check_file, read_card
from lora_assets.training.detector import HELD_OUT_SEEDS
from lora_assets.training.rendered import render_frames, rendered_frame
from lora_assets.training.schedule import read_checkpoint
from lora_assets.training.segmenter import (
    Prompts,
    SegmenterSettings,
    decode_prompts,
    encode_views,
    find_masks,
    fit_prompts,
    input_tensor,
    jittered_boxes,
    main,
    prompt_loss,
    random_prompts,
    segmenter_view,
    target_masks,
    train_segmenter,
)
from lora_assets.training.views import cut_view, letterbox_window
from lora_assets.vision.starter_sam import IMAGE_SIZE, build_starter_sam
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(2, 320, 180))
TINY = SegmenterSettings(frames=2, held_out=1, steps=3, batch=2, side=64, warmup_steps=1, hold=1.0, minutes=60.0)


def _view(side: int):
    height = round(side * 180 / 320)
    return cut_view(FRAME, letterbox_window(320, 180, side, height), side, height)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_jittered_boxes_stay_close_and_in_the_view(seed: int):
    boxes = np.array([[40.0, 20.0, 140.0, 80.0], [0.0, 0.0, 200.0, 100.0]], np.float32)
    moved = jittered_boxes(np.random.default_rng(seed), boxes, 200, 100)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    assert (np.abs(moved - boxes) <= 0.4 * sides + 1e-3).all()
    assert (moved >= 0).all() and (moved[:, 2:] <= [200, 100]).all()
    assert (moved[:, :2] < moved[:, 2:]).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_prompts_ask_for_somebody_seen(seed: int, share_of_points: float):
    rng = np.random.default_rng(seed)
    view = segmenter_view(rng, FRAME, 128)
    prompts = random_prompts(rng, view, dataclasses.replace(TINY, share_of_points=share_of_points))
    assert max(view.image.shape[:2]) == 128
    if prompts is None:
        assert np.isnan(view.boxes[:, 0]).all()
    elif prompts.points is not None:
        assert share_of_points == 1.0
        for (x, y), owner in zip(prompts.points, prompts.owners, strict=True):
            assert view.owners[int(y), int(x)] == owner
    else:
        assert prompts.boxes is not None and len(prompts.boxes) == len(prompts.owners)


def test_targets_cover_the_mask_and_ignore_padding():
    view = _view(128)
    prompts = Prompts(view.boxes, None, np.array([1, 2]), view.boxes)
    coverage, weight = target_masks(view, prompts, 128)
    assert coverage.shape == weight.shape == (2, 32, 32)
    assert np.allclose(coverage.sum(dim=(1, 2)) * 16, [(view.owners == owner).sum() for owner in (1, 2)])
    assert np.allclose(weight.sum(dim=(1, 2)), 1, atol=1e-5)
    assert not weight[:, 18:].any()


def test_batched_decoding_equals_the_predictor_of_segment_anything():
    import torch
    from segment_anything import SamPredictor

    torch.manual_seed(0)
    sam = build_starter_sam()
    view = _view(IMAGE_SIZE)
    predictor = SamPredictor(sam)
    predictor.set_image(view.image)
    masks, ious, low = predictor.predict_torch(None, None, boxes=torch.from_numpy(view.boxes), multimask_output=True)
    with torch.no_grad():
        embedding = encode_views(sam, input_tensor(view.image, IMAGE_SIZE)[None])
        asked = Prompts(view.boxes, None, np.array([1, 2]), view.boxes)
        logits, predicted = decode_prompts(sam, embedding, [asked])
    assert masks.shape == (2, 3, 288, 512)
    assert torch.allclose(logits[:, 1:], low, atol=1e-4)
    assert torch.allclose(predicted[:, 1:], ious, atol=1e-4)


def test_the_loss_falls_as_masks_get_right():
    import torch

    target = torch.zeros(1, 16, 16)
    target[:, 4:12, 4:12] = 1
    weight = torch.full((1, 16, 16), 1 / 256)
    right = ((target - 0.5) * 20)[:, None].expand(1, 4, 16, 16)
    loss, iou = prompt_loss(right, torch.ones(1, 4), target, weight)
    worse, none = prompt_loss(-right, torch.ones(1, 4), target, weight)
    assert iou == 1 and none == 0
    assert float(loss) < 0.01 < 5 < float(worse)


def test_small_sides_ask_with_positions_of_their_own_size():
    import torch

    sam = build_starter_sam()
    fit_prompts(sam, 128)
    view = _view(128)
    asked = Prompts(view.boxes, None, np.array([1, 2]), view.boxes)
    with torch.no_grad():
        logits, _ = decode_prompts(sam, encode_views(sam, input_tensor(view.image, 128)[None]), [asked])
    assert logits.shape == (2, 4, 32, 32)


def test_training_goes_on_as_if_never_stopped(tmp_path: Path):
    frames = tmp_path / "frames"
    render_frames(frames, [0, 1, *HELD_OUT_SEEDS[:1]], draw_blocks)
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    train_segmenter(frames, whole, TINY)
    train_segmenter(frames, parts, dataclasses.replace(TINY, steps=1))
    train_segmenter(frames, parts, TINY, resume=True)
    first, second = (read_checkpoint(frames / f"{name}.training") for name in ("whole", "parts"))
    assert first.step == second.step == 3
    for name, value in first.average.items():
        assert np.allclose(value.numpy(), second.average[name].numpy(), atol=1e-4), name


def test_the_command_writes_weights_and_card(tmp_path: Path):
    frames, out = tmp_path / "frames", tmp_path / "sam.pt"
    render_frames(frames, [0, 1, *HELD_OUT_SEEDS[:1]], draw_blocks)
    main([
        "--frames-folder", str(frames), "--out", str(out), "--frames", "2", "--held-out", "1", "--steps", "1",
        "--batch", "1", "--side", "64",
    ])  # fmt: skip
    entry = read_card(tmp_path / "CARD.json")["sam.pt"]
    check_file(out, entry)
    assert entry.figures["held_out_masks"] == 2
    assert entry.settings["side"] == 64 and entry.architecture["image_size"] == IMAGE_SIZE


def test_no_boxes_give_no_masks():
    assert find_masks(build_starter_sam(), FRAME.image, np.zeros((0, 4))).shape == (0, 180, 320)


@pytest.mark.parametrize("label", [0, 1])
def test_points_are_dabbed_into_the_rough_mask(label: int):
    import torch

    sam = build_starter_sam()
    rough = sam.prompt_encoder.rough_masks((torch.tensor([[[100.0, 60.0]]]), torch.tensor([[label]])), None)
    assert rough.shape == (1, 1, 128, 128)
    assert float(rough[0, 0, 15, 25]) == pytest.approx(1.0 if label else -1.0, abs=0.05)
    assert abs(float(rough[0, 0, 100, 100])) < 1e-3

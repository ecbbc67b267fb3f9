"""The segmenter's training: prompts, targets, and that it computes what `segment_anything` computes at work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.starter.card import check_file, read_card
from lora_assets.training.detector import HELD_OUT_SEEDS
from lora_assets.training.rendered import render_frames, rendered_frame
from lora_assets.training.schedule import read_checkpoint
from lora_assets.training.segmenter import (
    SegmenterSettings,
    cut_frame,
    find_masks,
    jittered_boxes,
    main,
    make_sample,
    prompt_loss,
    train_segmenter,
)
from lora_assets.vision.starter_sam import IMAGE_SIZE, build_starter_sam
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(2, 320, 180))
TINY = SegmenterSettings(
    frames=2, held_out=1, steps=3, batch=2, look_side=64, warmup_steps=1, hold=1.0, minutes=60.0
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_jittered_boxes_stay_close_and_in_the_view(seed: int):
    boxes = np.array([[40.0, 20.0, 140.0, 80.0], [0.0, 0.0, 200.0, 100.0]], np.float32)
    moved = jittered_boxes(np.random.default_rng(seed), boxes, 200, 100)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    assert (np.abs(moved - boxes) <= 0.4 * sides + 1e-3).all()
    assert (moved >= 0).all() and (moved[:, 2:] <= [200, 100]).all()
    assert (moved[:, :2] < moved[:, 2:]).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]))
def test_samples_ask_for_somebody_seen(seed: int, points: float, masks: float):
    asked = dataclasses.replace(TINY, share_of_points=points, share_of_masks=masks)
    sample = make_sample(np.random.default_rng(seed), FRAME, asked)
    assert sample is not None
    assert sample.picture.shape == (7, 64, 64) and sample.target.shape == sample.inside.shape == (32, 32)
    assert float(sample.target.min()) >= 0 and 0 < float(sample.target.max()) <= 1
    _, _, _, box, dabs, rough, inside = sample.picture
    assert float(box.max()) == 1 and (float(box.min()) == -1 or points)
    assert bool(dabs.any()) == bool(points)
    assert set(np.unique(rough)) <= ({-1.0, 1.0} if masks else {0.0})
    assert set(np.unique(inside)) <= {0.0, 1.0}
    if points:
        row, column = divmod(int(dabs.argmax()), 64)
        assert float(sample.target[row // 2, column // 2]) > 0


def test_a_frame_without_anybody_gives_no_sample():
    nobody = dataclasses.replace(FRAME, boxes=np.full_like(FRAME.boxes, np.nan))
    assert make_sample(np.random.default_rng(0), nobody, TINY) is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_cut_frame_ends_within_the_character(seed: int):
    index = int(np.flatnonzero(~np.isnan(FRAME.boxes[:, 0]))[0])
    cut = cut_frame(np.random.default_rng(seed), FRAME, index)
    assert cut.image.shape[:2] == cut.owners.shape
    left, whole = (np.count_nonzero(owners == index + 1) for owners in (cut.owners, FRAME.owners))
    assert 0 < left < whole


def test_the_decoder_sees_what_the_training_sees():
    """A box asked through `segment_anything` gives the logits that the network gives for the same look."""
    import torch
    from segment_anything import SamPredictor

    from lora_assets.vision.starter_layers import look_around, look_picture
    from lora_assets.vision.starter_prompts import FIRST_CORNER, LAST_CORNER

    torch.manual_seed(0)
    sam = build_starter_sam()
    image = np.random.default_rng(0).integers(0, 255, (432, IMAGE_SIZE, 3)).astype(np.uint8)
    box = torch.tensor([300.0, 20.0, 428.0, 380.0])
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    masks, ious, low = predictor.predict_torch(None, None, boxes=box[None], multimask_output=True)
    look = look_around(*box.tolist())
    pixels = sam.preprocess(torch.from_numpy(image.transpose(2, 0, 1)).float())[:, :432]
    tokens = torch.tensor([[300.0, 20.0, FIRST_CORNER], [428.0, 380.0, LAST_CORNER]])
    picture = look_picture(pixels, look, box, tokens, torch.zeros(1, 192, 192))
    with torch.no_grad():
        logits, predicted = sam.mask_decoder.network(picture[None])
    assert masks.shape == (1, 3, 432, IMAGE_SIZE) and low.shape == (1, 3, 192, 192)
    assert torch.allclose(predicted[:, 1:], ious, atol=1e-4)
    small = torch.nn.functional.interpolate(logits[:, 1:], (look.side // 4,) * 2, mode="bilinear", antialias=True)
    top, left = look.top // 4, look.left // 4
    # The look reaches beyond the square above; what lies in it is laid where it was seen.
    assert top < 0 < left
    seen = small[:, :, -top:]
    assert torch.allclose(low[:, :, : seen.shape[2], left : left + seen.shape[3]], seen, atol=1e-4)
    assert float(low[:, :, :, : left - 1].max()) < -10


def test_a_point_without_a_box_is_looked_at_twice():
    """A network that answers only pixels like the one asked for: the second look has the bounds of the first answer."""
    import torch
    from segment_anything import SamPredictor
    from torch import nn

    seen: list[torch.Tensor] = []

    class Bright(nn.Module):
        def forward(self, looks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(looks)
            found = nn.functional.avg_pool2d(looks[:, :1], 2) * looks[:, 6:, ::2, ::2] * 10 - 5
            return found.expand(-1, 4, -1, -1), torch.ones(len(looks), 4)

    sam = build_starter_sam()
    sam.mask_decoder.network = Bright()
    image = np.zeros((300, 600, 3), np.uint8)
    image[100:160, 400:440] = 255
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    masks, _, _ = predictor.predict(np.array([[420, 130]]), np.array([1]), multimask_output=False)
    assert len(seen) == 2
    assert (masks[0] == (image[..., 0] > 0)).mean() > 0.995
    assert float(seen[1][0, 0].max()) > 2 and (seen[1][0, 0] > 0).float().mean() > 0.15


def test_the_loss_falls_as_masks_get_right():
    import torch

    target = torch.zeros(1, 16, 16)
    target[:, 4:12, 4:12] = 1
    inside = torch.ones(1, 16, 16)
    right = ((target - 0.5) * 20)[:, None].expand(1, 4, 16, 16)
    loss, iou = prompt_loss(right, torch.ones(1, 4), target, inside)
    worse, none = prompt_loss(-right, torch.ones(1, 4), target, inside)
    assert iou == 1 and none == 0
    assert float(loss) < 0.01 < 5 < float(worse)


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
        "--batch", "2", "--look-side", "64",
    ])  # fmt: skip
    entry = read_card(tmp_path / "CARD.json")["sam.pt"]
    check_file(out, entry)
    assert entry.figures["held_out_masks"] == 2
    assert entry.settings["look_side"] == 64 and entry.architecture["image_size"] == IMAGE_SIZE


def test_no_boxes_give_no_masks():
    assert find_masks(build_starter_sam(), FRAME.image, np.zeros((0, 4))).shape == (0, 180, 320)

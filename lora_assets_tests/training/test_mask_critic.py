"""The mask critic's training: samples, loss, what it begins with, and that its file answers as the network does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.starter.card import check_file, read_card
from lora_assets.training import mask_critic
from lora_assets.training.critic_samples import make_sample, starter_answer
from lora_assets.training.detector import HELD_OUT_SEEDS
from lora_assets.training.export import as_onnx, in_half_precision
from lora_assets.training.mask_critic import CriticSettings, critic_loss, train_critic
from lora_assets.training.rendered import render_frames, rendered_frame
from lora_assets.training.schedule import TrainingError
from lora_assets.vision.critic_look import CHANNELS, LOOK_SIDE
from lora_assets.vision.yolo_onnx import open_session
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(2, 320, 180))
TINY = CriticSettings(
    frames=2, plain_frames=1, held_out=1, steps=2, batch=2, warmup_steps=1, hold=1.0, share_of_answers=0.0
)  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_samples_tell_of_the_mask_and_of_its_surroundings(seed: int, nobody: float):
    sample = make_sample(np.random.default_rng(seed), FRAME, 0.0, nobody)
    assert sample is not None
    assert sample.layers.shape == (CHANNELS, LOOK_SIDE, LOOK_SIDE) and np.isfinite(sample.layers).all()
    assert sample.targets.shape == sample.weights.shape == (2, LOOK_SIDE // 2, LOOK_SIDE // 2)
    for values in (sample.targets, sample.weights, sample.weights.sum(axis=0)):
        assert values.min() >= 0 and values.max() <= 1 + 1e-5
    assert sample.weights[0].any()
    if nobody:
        held = sample.weights[0] > 0.9
        assert not held.any() or sample.targets[0][held].mean() > 0.9


def test_a_thing_of_the_frame_is_nobody():
    things = np.zeros_like(FRAME.owners)
    things[20:90, 130:180] = 1
    frame = dataclasses.replace(FRAME, things=things, owners=np.zeros_like(FRAME.owners))
    samples = [make_sample(np.random.default_rng(seed), frame, 0.0, 1.0) for seed in range(6)]
    masks = [sample.weights[0] for sample in samples if sample is not None]
    # The look is around the thing, which is taller than wide, so that about half of it is held.
    assert sum(0.2 < float(mask.mean()) < 0.6 for mask in masks) >= 3


def test_a_frame_without_anybody_gives_only_masks_of_nobody():
    nobody = dataclasses.replace(
        FRAME, boxes=np.full_like(FRAME.boxes, np.nan), owners=np.zeros_like(FRAME.owners)
    )  # fmt: skip
    rng = np.random.default_rng(0)
    assert make_sample(rng, nobody, 0.0, 0.0) is None
    assert make_sample(rng, nobody, 0.0, 1.0) is not None


def test_the_loss_falls_as_the_maps_get_right():
    import torch

    targets, weights = torch.zeros(1, 2, 8, 8), torch.ones(1, 2, 8, 8) / 2
    targets[:, 0, 2:5, 2:5] = 1
    targets[:, 1, 6:] = 1
    right = (targets - 0.5) * 20
    loss, iou = critic_loss(right, targets, weights)
    worse, none = critic_loss(-right, targets, weights)
    assert iou == (1, 1) and none == (0, 0)
    assert float(loss) < 0.01 < 5 < float(worse)


def test_the_starter_sam_answers_where_it_is_asked():
    box = FRAME.boxes[np.flatnonzero(~np.isnan(FRAME.boxes[:, 0]))[0]]
    mask = starter_answer(FRAME.image, box)
    assert mask.shape == FRAME.owners.shape and mask.dtype == np.bool_
    rows, columns = np.nonzero(mask)
    reach = 0.3 * max(box[2:] - box[:2])
    if len(rows):
        assert columns.min() >= box[0] - reach and columns.max() <= box[2] + reach


def test_it_begins_with_what_the_starter_sam_knows():
    import torch

    from lora_assets.training.critic_network import CriticNetwork, begin_with
    from lora_assets.vision.starter_layers import LookNetwork
    from lora_assets.vision.starter_sam import BLOCKS, WIDTHS

    torch.manual_seed(0)
    network, teacher = CriticNetwork(), LookNetwork(WIDTHS, BLOCKS)
    copied = begin_with(network, teacher)
    assert copied > 0.7 * sum(each.numel() for each in network.parameters())
    first = network.downs[0][0][0].weight  # pyright: ignore[reportIndexIssue]
    known = teacher.downs[0][0][0].weight  # pyright: ignore[reportIndexIssue]
    assert torch.equal(first[:, :4], known[:, :4]) and not first[:, 4].any()


def test_a_training_writes_a_file_and_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(mask_critic, "plain_scene", draw_blocks)
    frames, out = tmp_path / "frames", tmp_path / "critic.onnx"
    render_frames(frames, [0, 1, *HELD_OUT_SEEDS[:1]], draw_blocks)
    train_critic(frames, out, TINY, feeders=0)
    entry = read_card(tmp_path / "CARD.json")[out.name]
    check_file(out, entry)
    assert entry.settings["steps_done"] == 2 and entry.data["plain_seeds"] == [12_000_000, 12_000_001]
    assert set(entry.figures) >= {"held_out_iou_too_much", "held_out_iou_missing"}
    # The file, in half precision, answers as the averaged network does.
    from lora_assets.training.critic_network import CriticNetwork
    from lora_assets.training.schedule import read_checkpoint

    network = CriticNetwork().eval()
    network.load_state_dict(read_checkpoint(frames / "critic.training").average)
    looks = np.random.default_rng(0).normal(size=(1, CHANNELS, LOOK_SIDE, LOOK_SIDE)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(looks)).numpy()
    told = open_session(out).run(None, {"images": looks})[0]
    assert np.abs(told - expected).max() < 0.02 * max(1.0, float(np.abs(expected).max()))


def test_numbers_that_half_precision_cannot_hold_are_refused():
    import torch
    from torch import nn

    network = nn.Conv2d(3, 8, 3).eval()
    whole = as_onnx(network, torch.zeros(1, 3, 8, 8), "maps", {})
    assert len(in_half_precision(whole)) < len(whole)
    for wrong in (1e5, float("nan")):
        with torch.no_grad():
            network.weight[0, 0, 0, 0] = wrong
        with pytest.raises(TrainingError, match="beyond half precision"):
            in_half_precision(as_onnx(network, torch.zeros(1, 3, 8, 8), "maps", {}))

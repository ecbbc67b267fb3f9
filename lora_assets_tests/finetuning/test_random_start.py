"""A SAM 2 of random weights learns: places are coded alike, masks do not vanish, boxes are filled after a few steps."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.finetuning.learning import choose_weights
from lora_assets.finetuning.losses import answer_losses
from lora_assets.finetuning.networks import open_network
from lora_assets.finetuning.planes import coverage
from lora_assets.finetuning.preflight import check_before
from lora_assets.finetuning.prompts import Prompts
from lora_assets.finetuning.random_start import random_start, write_new_sam2
from lora_assets.finetuning.settings import FULL, SegmenterSettings, TrainingSettings, write_segmenter
from lora_assets.models import resolve
from lora_assets.vision.sam2 import codes_agree, load_sam2

SIDE = 64


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return write_new_sam2(tmp_path_factory.mktemp("fresh") / "new", SIDE, width=8, hidden=32)


def test_a_new_sam2_is_read_back_with_one_code_of_places(fresh, sam2_folder, tmp_path):
    import torch

    model = load_sam2(fresh / "model.safetensors")
    assert codes_agree(model)
    # What transformers draws by itself is coded twice.
    assert not codes_agree(load_sam2(sam2_folder / "model.safetensors"))
    state = torch.get_rng_state()
    again = load_sam2(write_new_sam2(tmp_path / "same", SIDE, width=8, hidden=32) / "model.safetensors")
    other = load_sam2(write_new_sam2(tmp_path / "other", SIDE, width=8, hidden=32, seed=1) / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), state)
    for same, name in ((again, True), (other, False)):
        pairs = zip(model.parameters(), same.parameters(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs) is name
    with pytest.raises(ValueError, match="multiple of 16"):
        write_new_sam2(tmp_path / "odd", 100)


def test_a_base_that_codes_places_twice_is_told_before_anything_starts(fresh, data, segmenter):
    segmenter("twice")
    notes = check_before(data, "twice").notes
    assert any("codes places of the picture and of prompts differently" in note for note in notes)
    write_segmenter(data, SegmenterSettings("once", "tiny", str(fresh), TrainingSettings()))
    assert not any("codes places" in note for note in check_before(data, "once").notes)


def test_only_what_a_random_start_needs_is_changed():
    given = TrainingSettings(steps=7, seed=3, log="files")
    told = random_start(given)
    assert (told.steps, told.seed, told.log) == (7, 3, "files")
    assert (told.encoder, told.focal_weight, told.balanced_weight) == (FULL, 0.0, 1.0)
    assert TrainingSettings().balanced_weight == 0


def test_boxes_are_filled_after_a_few_steps_from_nothing(fresh, tmp_path):
    """The collapse that this is about: masks that are empty, or the same whatever is asked for."""
    import torch

    network = open_network(resolve(str(fresh), tmp_path))
    settings = random_start()
    choose_weights(network, settings)
    rng = np.random.default_rng(0)
    page = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    with torch.no_grad():
        features = network.embed(page)
    optimizer = torch.optim.AdamW([one for one in network.module.parameters() if one.requires_grad], lr=4e-3)
    found = []
    for _ in range(60):
        sides = rng.uniform(0.25, 0.8, (16, 2)) * SIDE
        corners = rng.uniform(0, 1, (16, 2)) * (SIDE - sides)
        boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
        masks = [np.zeros((SIDE, SIDE), bool) for _ in boxes]
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().astype(int), strict=True):
            mask[y1:y2, x1:x2] = True
        asked = Prompts(boxes, np.zeros((16, 0, 2), np.float32), np.zeros((16, 0), np.int64))
        answers = network.answer(features, asked, (SIDE, SIDE), three=False, earlier=None, in_use=False)
        shape = (int(answers.logits.shape[-2]), int(answers.logits.shape[-1]))
        wanted = torch.from_numpy(np.stack([coverage(one, answers.windows[0], shape) for one in masks]))
        losses = answer_losses(
            answers.logits, answers.estimates, wanted, torch.ones_like(wanted),
            focal_weight=settings.focal_weight, balanced_weight=settings.balanced_weight,
            dice_weight=settings.dice_weight, iou_weight=settings.iou_weight,
        )  # fmt: skip
        optimizer.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(list(network.module.parameters()), settings.clip_norm)
        optimizer.step()
        found.append(losses.iou)
    assert np.mean(found[-10:]) > np.mean(found[:5]) + 0.15

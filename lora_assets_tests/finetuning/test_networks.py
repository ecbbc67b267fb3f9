"""Every architecture answers prompts as its own code does, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lora_assets.finetuning.networks import Sam2Network, SamNetwork, StarterNetwork, open_network
from lora_assets.finetuning.planes import coverage
from lora_assets.finetuning.prompts import BOTH, BOX, POINT, first_prompts
from lora_assets.models import OpenWeights, resolve
from lora_assets.vision.masks import mask_iou
from lora_assets_tests.finetuning.drawn import SIZE, draw_page
from lora_assets_tests.vision.test_segment import _build_tiny


@pytest.fixture(scope="module")
def networks(sam2_folder, tmp_path_factory):
    nowhere = tmp_path_factory.mktemp("nowhere")
    return {
        "sam": SamNetwork(_build_tiny().requires_grad_(True), "sam"),
        "starter": open_network(resolve("starter-sam", nowhere)),
        "sam2": open_network(resolve(str(sam2_folder), nowhere)),
    }


@pytest.mark.parametrize("name", ["sam", "starter", "sam2"])
@pytest.mark.parametrize("kind", [BOX, POINT, BOTH])
def test_answers_have_planes_over_the_page_and_gradients(networks, name, kind):
    import torch

    network = networks[name]
    page, things = draw_page(1)
    masks = [mask for _, mask in things]
    prompts = first_prompts(np.random.default_rng(0), masks, SIZE, kind, 0.02)
    network.module.requires_grad_(True)
    with torch.enable_grad():
        features = network.embed(page)
        for three in (True, False):
            answers = network.answer(features, prompts, SIZE, three=three, earlier=None, in_use=False)
            count = 3 if three else 1
            assert answers.logits.shape[:2] == (4, count) == tuple(answers.estimates.shape)
            assert (answers.windows[:, 2:] > answers.windows[:, :2]).all()
            chosen = answers.best()
            earlier = network.as_prompt(answers, chosen, SIZE)
            assert not earlier.requires_grad
            again = prompts.with_point(np.full((4, 2), 5, np.float32), np.zeros(4, np.int64))
            network.answer(features, again, SIZE, three=three, earlier=earlier, in_use=False)
        answers.logits.sum().backward()
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in network.module.parameters())
    network.module.zero_grad(set_to_none=True)
    network.module.requires_grad_(False)


def test_sam_answers_as_its_own_predictor(networks):
    import torch
    from segment_anything import SamPredictor

    network = networks["sam"]
    page, things = draw_page(2)
    prompts = first_prompts(np.random.default_rng(0), [things[0][1]], SIZE, BOX, 0.0)
    predictor = SamPredictor(network.module)
    predictor.set_image(page)
    assert prompts.boxes is not None
    masks, scores, _ = predictor.predict(box=prompts.boxes[0], multimask_output=True)
    with torch.no_grad():
        answers = network.answer(network.embed(page), prompts, SIZE, three=True, earlier=None, in_use=True)
    assert answers.estimates[0].tolist() == pytest.approx(scores.tolist(), abs=0.02)
    for candidate in range(3):
        mine = answers.masks(np.array([candidate]), SIZE)[0]
        assert mask_iou(mine, np.asarray(masks[candidate])) > 0.95


def test_the_starter_learns_where_it_looks_and_is_judged_as_it_is_used(networks):
    import torch

    network = networks["starter"]
    assert isinstance(network, StarterNetwork)
    page, things = draw_page(3)
    masks = [mask for _, mask in things]
    prompts = first_prompts(np.random.default_rng(0), masks, SIZE, BOX, 0.0)
    with torch.no_grad():
        features = network.embed(page)
        looked = network.answer(features, prompts, SIZE, three=True, earlier=None, in_use=False)
        used = network.answer(features, prompts, SIZE, three=True, earlier=None, in_use=True)
    assert looked.estimates.tolist() == used.estimates.tolist()
    chosen = used.best()
    for one, other, wanted, window in zip(
        looked.masks(chosen, SIZE), used.masks(chosen, SIZE), masks, looked.windows, strict=True
    ):
        assert mask_iou(one, other) > 0.9
        # The look holds the whole thing, so nothing of it can get lost in training.
        covered = coverage(wanted, window, (80, 80)).sum() * (window[2] - window[0]) * (window[3] - window[1]) / 6400
        assert covered == pytest.approx(wanted.sum(), rel=0.01)


def test_a_network_is_opened_by_its_family(sam2_folder, data):
    assert isinstance(open_network(resolve(str(sam2_folder), data)), Sam2Network)
    starter: OpenWeights = resolve("starter-sam", data)
    network = open_network(starter)
    assert isinstance(network, StarterNetwork)
    assert not any(value.requires_grad for value in network.module.parameters())


def test_the_starter_is_judged_by_clicks_as_a_person_gets_them(networks):
    from lora_assets.vision.click_starter import ClickedStarter

    network = networks["starter"]
    assert isinstance(network, StarterNetwork)
    page, things = draw_page(4)
    prompts = first_prompts(np.random.default_rng(1), [things[1][1]], SIZE, POINT, 0.0)
    (mask,), (score,) = network.clicked(page, prompts)
    asked = ClickedStarter(network.module, "x")
    told = asked.predict(asked.embed(page), points=prompts.points[0], labels=prompts.labels[0])
    assert (mask == told.masks[0]).all()
    assert score == pytest.approx(float(told.scores[0]))


def test_the_starter_is_judged_by_boxes_as_a_tracker_gets_them(networks):
    from lora_assets.vision.segment import SegmentSettings, starter_segmenter

    network = networks["starter"]
    assert isinstance(network, StarterNetwork)
    page, things = draw_page(4)
    prompts = first_prompts(np.random.default_rng(1), [things[1][1]], SIZE, BOX, 0.0)
    assert prompts.boxes is not None
    (mask,), (told,) = network.boxed(page, prompts.boxes)
    (window,) = starter_segmenter(network.module, SegmentSettings())(page, prompts.boxes)
    height, width = window.mask.shape
    assert mask.shape == page.shape[:2] and mask.sum() == window.mask.sum() > 0
    assert (mask[window.y : window.y + height, window.x : window.x + width] == window.mask).all()
    assert told == window.predicted_iou


def test_the_single_mask_of_sam2_learns_by_its_own_token(sam2_folder, data):
    from lora_assets.finetuning.learning import choose_weights
    from lora_assets.finetuning.settings import TrainingSettings

    network = open_network(resolve(str(sam2_folder), data))
    choose_weights(network, TrainingSettings())
    page, things = draw_page(1)
    prompts = first_prompts(np.random.default_rng(0), [mask for _, mask in things], SIZE, BOX, 0.0)
    features = tuple(one.detach() for one in network.embed(page))
    network.answer(features, prompts, SIZE, three=False, earlier=None, in_use=False).logits.square().mean().backward()
    assert isinstance(network, Sam2Network)
    tokens: Any = network.module.mask_decoder.output_hypernetworks_mlps
    learns = [
        any(value.grad is not None and bool(value.grad.any()) for value in token.parameters()) for token in tokens
    ]
    assert learns == [True, False, False, False]

"""SAM 2 against transformers' own model, clicks, and the same answers from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lora_assets.models import ModelError, resolve
from lora_assets.vision.masks import place_pixels
from lora_assets.vision.prompted import PromptError, open_prompted
from lora_assets.vision.sam2 import Sam2Prompts, decode, encode, load_sam2, open_sam2, pixels_of
from lora_assets.vision.segment import SegmentSettings, load_segmenter
from lora_assets_tests.finetuning.drawn import draw_page, write_sam2

BOXES = np.array([[6.0, 8.0, 100.0, 70.0], [20.0, 90.0, 60.0, 130.0]])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = write_sam2(tmp_path_factory.mktemp("models") / "tiny-sam2", seed=4)
    return resolve(str(folder), tmp_path_factory.mktemp("nowhere"))


def test_answers_are_those_of_transformers(weights):
    import torch

    model, (page, _) = load_sam2(weights.path), draw_page(0)
    asked = torch.from_numpy(BOXES.astype(np.float32))
    with torch.inference_mode():
        pixels = pixels_of(model, page)
        features = encode(model, pixels)
        for mine, theirs in zip(features, model.get_image_embeddings(pixels), strict=True):
            assert torch.equal(mine, theirs)
        logits, estimates = decode(model, features, Sam2Prompts(boxes=asked), (120, 160), three=True)
        scaled = asked * torch.tensor([64 / 120, 64 / 160] * 2)
        told = model(pixel_values=pixels, input_boxes=scaled[None], multimask_output=True)
        points, labels = torch.tensor([[[30.0, 40.0], [50.0, 60.0]]]), torch.tensor([[1, 0]])
        clicked, _ = decode(model, features, Sam2Prompts(points=points, labels=labels), (120, 160), three=False)
        scaled = points * torch.tensor([64 / 120, 64 / 160])
        theirs = model(
            pixel_values=pixels, input_points=scaled[None], input_labels=labels[None], multimask_output=False
        )
    assert torch.allclose(logits, told.pred_masks[0], atol=1e-5)
    assert torch.allclose(estimates, told.iou_scores[0], atol=1e-5)
    assert torch.allclose(clicked, theirs.pred_masks[0], atol=1e-5)
    with pytest.raises(ValueError, match="nothing is asked"):
        decode(model, features, Sam2Prompts(), (120, 160), three=True)


def test_the_picture_is_prepared_as_by_its_own_processor(weights):
    from transformers import Sam2ImageProcessor

    model, (page, _) = load_sam2(weights.path), draw_page(1)
    theirs = Sam2ImageProcessor(size={"height": 64, "width": 64})(images=page, return_tensors="pt")["pixel_values"]
    assert float((pixels_of(model, page) - theirs).abs().max()) < 0.02  # one grey level


def test_a_tracker_gets_the_masks_of_the_model_from_any_thread(weights):
    import torch
    from torch.nn import functional

    page, _ = draw_page(2)
    segment = load_segmenter(weights, SegmentSettings(separate=False, multimask=False, margin=1.0))
    found = segment(page, BOXES)
    model = load_sam2(weights.path)
    with torch.inference_mode():
        features = encode(model, pixels_of(model, page))
        asked = torch.from_numpy(BOXES.astype(np.float32))
        logits, estimates = decode(model, features, Sam2Prompts(boxes=asked), (120, 160), three=False)
        whole = functional.interpolate(logits, (160, 120), mode="bilinear", align_corners=False)[:, 0] > 0
    for mask, wanted, estimate in zip(found, whole.numpy(), estimates[:, 0].tolist(), strict=True):
        height, width = mask.mask.shape
        part = wanted[mask.y : mask.y + height, mask.x : mask.x + width]
        assert (mask.mask == part).mean() > 0.97
        assert mask.predicted_iou == pytest.approx(estimate, abs=1e-5)
        assert place_pixels(mask.mask, mask.x, mask.y, (0, 0, 120, 160)).shape == (160, 120)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: segment(page, BOXES), range(8)):
            assert all((one.mask == other.mask).all() for one, other in zip(again, found, strict=True))
    assert segment(page, np.zeros((0, 4))) == []


def test_clicks_give_three_candidates_and_may_be_refined(weights, tmp_path):
    page, _ = draw_page(3)
    prompted = open_sam2(weights)
    embedding = prompted.embed(page)
    assert (embedding.width, embedding.height) == (120, 160)
    assert embedding.size > 0
    first = prompted.predict(embedding, points=[[30, 40]], labels=[1])
    assert first.masks.shape == (3, 160, 120)
    assert first.scores.tolist() == sorted(first.scores, reverse=True)
    second = prompted.predict(
        embedding, points=[[30, 40], [5, 5]], labels=[1, 0], box=[10, 10, 90, 90], mask_input=first.carry[0]
    )
    assert second.masks.shape == (3, 160, 120)
    with pytest.raises(PromptError, match="outside the frame"):
        prompted.predict(embedding, points=[[500, 40]], labels=[1])
    assert open_prompted(str(weights.path.parent), tmp_path).name == "tiny-sam2"


def test_a_file_in_the_form_of_the_authors_is_told_what_to_take(tmp_path):
    import torch

    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(1)}}, path)
    with pytest.raises(ModelError, match="the form of transformers"):
        resolve(str(path), tmp_path)


def test_a_config_that_is_absent_is_told(weights, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(weights.path.read_bytes())
    with pytest.raises(ModelError, match=r"config\.json is not there: SAM 2 is two files"):
        resolve(str(tmp_path / "model.safetensors"), tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelError, match="model type 'clip', not of SAM 2"):
        load_sam2(tmp_path / "model.safetensors")

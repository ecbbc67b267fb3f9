"""LAION's heads and CLIP-IQA on a tiny CLIP, against plain computations and against transformers' own forward pass."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW
from lora_assets.quality.batches import Batches
from lora_assets.quality.clip import (
    ClipModel,
    clip_measure,
    clip_pixels,
    head_scores,
    load_head,
    opposite_scores,
)
from lora_assets_tests.conftest import TEST_MODELS
from lora_assets_tests.quality.tiny import plain_crop, tiny_clip

MLP = TEST_MODELS / "sac+logos+ava1-l14-linearMSE.pth"
LINEAR = TEST_MODELS / "sa_0_4_vit_b_32_linear.pth"
PROMPTS = ("good photo.", "bad photo.")
needs_heads = pytest.mark.skipif(not MLP.is_file(), reason="no real heads of LAION (LORA_ASSETS_TEST_MODELS)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def _head(path: Path, width: int = 8, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    sizes = [width, 5, 3, 1]
    state = {}
    for place, (into, out) in zip((0, 2, 4), pairwise(sizes), strict=True):
        state[f"layers.{place}.weight"] = torch.tensor(rng.normal(size=(out, into)), dtype=torch.float32)
        state[f"layers.{place}.bias"] = torch.tensor(rng.normal(size=out), dtype=torch.float32)
    torch.save(state, path)
    return path


def _pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [rng.integers(0, 256, (20 + 3 * n, 30, 3)).astype(np.uint8) for n in range(count)]


def _plain_head(embedding: list[float], state: dict[str, torch.Tensor], names: list[str]) -> float:
    length = math.sqrt(math.fsum(v * v for v in embedding))
    values = [v / length for v in embedding]
    for name in names:
        weight, bias = state[f"{name}weight"].tolist(), state[f"{name}bias"].tolist()
        values = [
            math.fsum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(weight, bias, strict=True)
        ]
    return values[0]


@needs_heads
@pytest.mark.parametrize(
    ("path", "width", "names"),
    [
        (MLP, 768, ["layers.0.", "layers.2.", "layers.4.", "layers.6.", "layers.7."]),
        (LINEAR, 512, [""]),
        (TEST_MODELS / "sa_0_4_vit_l_14_linear.pth", 768, [""]),
    ],
    ids=["mlp", "linear b32", "linear l14"],
)
def test_the_published_heads_are_computed_layer_by_layer(path: Path, width: int, names: list[str]) -> None:
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=(2, width)).astype(np.float32)
    state = torch.load(path, weights_only=True, map_location="cpu")
    plain = [_plain_head(row.tolist(), state, names) for row in embeddings]
    np.testing.assert_allclose(head_scores(embeddings, load_head(path, width)), plain, rtol=1e-4, atol=1e-4)


@needs_heads
def test_a_head_of_another_clip_is_named() -> None:
    with pytest.raises(ModelError, match=r"linearMSE.pth has layers .*512 numbers"):
        load_head(MLP, 512)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weight": Evil()}, tmp_path / "head.pth")
    with pytest.raises(ModelError, match=r"head.pth is no head"):
        load_head(tmp_path / "head.pth", 8)
    assert not (tmp_path / "ran").exists()


def test_clip_iqa_is_the_softmax_of_clips_own_logits(folder: Path) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    model, own = ClipModel(folder, "cpu", half=False), CLIPModel.from_pretrained(folder).eval()
    pixels = np.stack([clip_pixels(each, model.side, "pad") for each in _pictures(4)])
    ours = opposite_scores(model.embed(pixels), model.embed_sentences(PROMPTS), model.scale)
    tokens = CLIPTokenizer.from_pretrained(folder)(list(PROMPTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = own(pixel_values=torch.from_numpy(pixels), **tokens).logits_per_image
    np.testing.assert_allclose(ours, logits.softmax(dim=1)[:, 0].numpy(), rtol=1e-4, atol=1e-6)
    assert 0.0 < ours.min() < ours.max() < 1.0


def test_several_pairs_are_averaged() -> None:
    embeddings, sentences = np.eye(4, dtype=np.float32)[:1], np.eye(4, dtype=np.float32)[[0, 1, 2, 0]]
    first, second = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))
    assert opposite_scores(embeddings, sentences, 3.0)[0] == pytest.approx((first + second) / 2)


def test_the_middle_square_is_read_as_clip_reads_it() -> None:
    from transformers import CLIPImageProcessorPil

    picture = _pictures(1)[0]
    own = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    wanted = own(images=picture, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(clip_pixels(picture, 16, "centre"), wanted, atol=0.02)


def test_padding_keeps_the_whole_of_a_tall_figure() -> None:
    picture = np.zeros((90, 30, 3), np.uint8)
    picture[:6], picture[-6:] = 255, 255
    padded, cut = clip_pixels(picture, 30, "pad"), clip_pixels(picture, 30, "centre")
    assert padded[0, :, 15].max() > 1.5 and padded[0, 0, 15] > 1.0 and padded[0, -1, 15] > 1.0
    assert cut.max() < 0


def test_one_pass_of_clip_measures_heads_and_clip_iqa(folder: Path, tmp_path: Path) -> None:
    head = _head(tmp_path / "head.pth")
    batches = Batches(2)
    measure = clip_measure(
        folder, {"laion_mlp_l14": head}, PROMPTS, picture="window", square="pad", device="cpu", half=True,
        batches=batches,
    )  # fmt: skip
    crops = [plain_crop(each) for each in _pictures(5)]
    crops.insert(2, plain_crop(_pictures(1)[0], has_background=False))
    answers = measure(crops, ["laion_mlp_l14", "clip_iqa"])
    for name in answers:
        assert answers[name][2].value is None and answers[name][2].reason == NO_WINDOW
        alone = [measure([crop], [name])[name][0].value for crop in crops]
        together = [answer.value for answer in answers[name]]
        assert together[2] is alone[2] is None
        there = [value for value in together if value is not None]
        assert there == pytest.approx([value for value in alone if value is not None], rel=1e-4, abs=1e-5)
        assert len(set(there)) == 5


def test_a_cutout_shows_nothing_of_the_background(folder: Path, tmp_path: Path) -> None:
    head = _head(tmp_path / "head.pth")
    measure = clip_measure(
        folder, {"laion_linear_b32": head}, (), picture="cutout", square="pad", device="cpu", half=False,
        batches=Batches(8),
    )  # fmt: skip
    picture, mask = _pictures(1)[0], np.zeros((20, 30), np.bool_)
    mask[5:15, 8:20] = True
    other = np.where(mask[..., None], picture, 255 - picture)
    crops = [plain_crop(picture, mask), plain_crop(other, mask), plain_crop(other, mask, has_background=False)]
    values = [answer.value for answer in measure(crops, ["laion_linear_b32"])["laion_linear_b32"]]
    assert values[0] == values[1] == values[2]


def test_a_model_that_answers_nan_leaves_the_signal_absent(folder: Path, tmp_path: Path) -> None:
    head = _head(tmp_path / "head.pth")
    state = torch.load(head, weights_only=True)
    state["layers.4.bias"] = torch.tensor([math.nan])
    torch.save(state, head)
    measure = clip_measure(
        folder, {"laion_mlp_l14": head}, (), picture="window", square="pad", device="cpu", half=False,
        batches=Batches(8),
    )  # fmt: skip
    (answer,) = measure([plain_crop(_pictures(1)[0])], ["laion_mlp_l14"])["laion_mlp_l14"]
    assert answer.value is None and "no finite number" in answer.reason


def test_folders_that_are_no_clip_are_named(tmp_path: Path, folder: Path) -> None:
    bare = tiny_clip(tmp_path / "bare", tokenizer=False)
    with pytest.raises(ModelError, match=r"bare has no vocab.json and no merges.txt"):
        ClipModel(bare, "cpu", half=False).embed_sentences(PROMPTS)
    (bare / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match=r"bare cannot be opened as a CLIP model"):
        ClipModel(bare, "cpu", half=False)

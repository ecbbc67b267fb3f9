"""Adapters of identity networks, tried with tiny ONNX files of the true signature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lora_assets.identity.embedding import open_space
from lora_assets.identity.medium import DRAWN, PHOTOGRAPH, UNSURE, medium_of, medium_of_many
from lora_assets.identity.networks import load_arcface, load_ccip
from lora_assets.identity.settings import IdentitySettings
from lora_assets.models import ModelError


def tiny_network(path: Path, side: int, size: int, batch: int | str = "n") -> Path:
    """Mean colour of the picture, by a matrix to `size` numbers: the signature of the real network, not its sense."""
    matrix = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, size])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def _cutout(colour: tuple[int, int, int]) -> np.ndarray:
    rgba = np.zeros((60, 40, 4), np.uint8)
    rgba[5:55, 5:35, :3], rgba[5:55, 5:35, 3] = colour, 255
    return rgba


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_ccip_answers_for_each_cutout(tmp_path, batch):
    embed = load_ccip(tiny_network(tmp_path / "ccip.onnx", 384, 768, batch))
    found = embed([_cutout((200, 30, 30)), _cutout((200, 30, 30)), _cutout((20, 40, 220))], [None] * 3)
    assert found.shape == (3, 768)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert found[0] @ found[1] == pytest.approx(1.0, abs=1e-5)
    assert found[0] @ found[2] < 0.99


def test_ccip_sees_the_figure_over_white_as_imgutils_prepares_it(tmp_path):
    embed = load_ccip(tiny_network(tmp_path / "ccip.onnx", 384, 768))
    clear = embed([np.zeros((30, 30, 4), np.uint8)], [None])[0]
    white = embed([np.full((30, 30, 4), 255, np.uint8)], [None])[0]
    np.testing.assert_allclose(clear, white, atol=1e-6)
    matrix = np.random.default_rng(0).normal(size=(3, 768)).astype(np.float32)
    expected = ((1.0 - np.array([0.48145466, 0.4578275, 0.40821073])) / [0.26862954, 0.26130258, 0.27577711]) @ matrix
    np.testing.assert_allclose(white, expected / np.linalg.norm(expected), atol=1e-4)


def test_arcface_looks_at_the_face_only(tmp_path):
    embed = load_arcface(tiny_network(tmp_path / "arcface.onnx", 112, 512))
    one, other = _cutout((230, 190, 160)), _cutout((230, 190, 160))
    other[40:, :, :3] = (0, 0, 255)
    found = embed([one, other, one], [(8, 6, 30, 28), (8, 6, 30, 28), None])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert not found[2].any()


def test_another_signature_is_refused(tmp_path):
    path = tiny_network(tmp_path / "wrong.onnx", 112, 512)
    with pytest.raises(ModelError, match="is no ccip network"):
        load_ccip(path)
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be opened"):
        load_arcface(tmp_path / "damaged.onnx")


def test_a_space_is_known_by_its_weights(tmp_path):
    one = open_space("ccip", str(tiny_network(tmp_path / "a.onnx", 384, 768)), tmp_path)
    assert one.name == "ccip"
    assert len(one.version.split()[1]) == 16
    with pytest.raises(ModelError, match="models pull"):
        open_space("ccip", "ccip", tmp_path)


def test_media():
    flat = np.zeros((200, 200, 3), np.uint8)
    flat[:, 100:] = (200, 60, 60)
    noise = np.random.default_rng(0).normal(128, 18, (400, 400, 3))
    soft = np.clip(noise + np.linspace(-90, 90, 400)[:, None, None], 0, 255).astype(np.uint8)
    assert medium_of(flat) == DRAWN
    assert medium_of(soft) == PHOTOGRAPH
    assert medium_of_many([DRAWN] * 3 + [UNSURE] * 3) == DRAWN
    assert medium_of_many([DRAWN, PHOTOGRAPH]) == UNSURE
    assert medium_of_many([DRAWN] + [UNSURE] * 9) == UNSURE
    assert medium_of_many([]) == UNSURE


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedding": "magic"}, {"medium": "unsure"}, {"join": 2.0}, {"join": "0.7"}, {"least_crops": 0},
        {"least_crops": 2.5}, {"sure": -1.0}, {"references": "Mio"},
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IdentitySettings(**wrong)


def test_a_join_of_ones_own_lifts_the_core():
    assert IdentitySettings(join=0.9).limits("starter").core == 0.9

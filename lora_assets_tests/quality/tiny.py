"""Tiny models of the true signatures, and crops to measure. It tests nothing itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from lora_assets.models import WEIGHTS
from lora_assets.quality.pictures import QualityCrop
from lora_assets.scenes import draw_scene
from lora_assets_tests.conftest import TEST_MODELS

WORDS = ["a", "b", "c", "d", "g", "h", "o", "p", "t", "."]


def tiny_clip(folder: Path, *, tokenizer: bool = True, width: int = 8) -> Path:
    """A CLIP of random weights in the format of transformers, embeddings of `width` numbers, pictures of 16 pixels."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    layers = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = [*WORDS, *(f"{word}</w>" for word in WORDS), "<|startoftext|>", "<|endoftext|>"]
    ends = {"bos_token_id": len(letters) - 2, "eos_token_id": len(letters) - 1, "pad_token_id": len(letters) - 1}
    torch.manual_seed(3)
    config = CLIPConfig(
        text_config={**layers, "vocab_size": len(letters), "max_position_embeddings": 24, **ends},
        vision_config={**layers, "image_size": 16, "patch_size": 8},
        projection_dim=width,
    )
    model = CLIPModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.4)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    if tokenizer:
        (folder / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(letters)}))
        (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def _model(path: Path, nodes: list, inputs: list, outputs: list, constants: list) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _shaped(name: str, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, values.shape, values.astype(np.float32).ravel())


def tiny_classifier(path: Path, side: int = 24, classes: int = 7, batch: int | str = "N") -> Path:
    """`input[N,3,side,side] -> output[N,classes]`: softmax over a line of classes that bright pictures tilt upwards."""
    slope = np.linspace(4.0, -4.0, classes)[None, :]
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("MatMul", ["column", "slope"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 1])
    return _model(
        path, nodes, [_shaped("input", [batch, 3, side, side])], [_shaped("output", [batch, classes])],
        [_constant("slope", slope), shape],
    )  # fmt: skip


def tiny_simcc(path: Path, points: np.ndarray, sure: float, batch: int | str = "N", key_points: int = 17) -> Path:
    """`input[N,3,256,192] -> simcc_x[N,17,384], simcc_y[N,17,512]`: always the same `points` (17, 2) of the input, as
    sure as told on a white picture."""
    across, down = np.zeros((1, key_points, 384)), np.zeros((1, key_points, 512))
    for place, (x, y) in enumerate(points[:key_points]):
        across[0, place, round(2 * x)] = down[0, place, round(2 * y)] = sure
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["most"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["most", "shape"], ["column"]),
        helper.make_node("Clip", ["column", "zero", "one"], ["lit"]),
        helper.make_node("Mul", ["lit", "across"], ["simcc_x"]),
        helper.make_node("Mul", ["lit", "down"], ["simcc_y"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 1, 1])
    scalars = [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in (("zero", 0.0), ("one", 1.0))]
    return _model(
        path, nodes, [_shaped("input", [batch, 3, 256, 192])],
        [_shaped("simcc_x", [batch, key_points, 384]), _shaped("simcc_y", [batch, key_points, 512])],
        [_constant("across", across), _constant("down", down), shape, *scalars],
    )  # fmt: skip


def nan_classifier(path: Path) -> Path:
    """A classifier of the true signature that answers NaN."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("MatMul", ["column", "nan"], ["output"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 1])
    return _model(
        path, nodes, [_shaped("input", ["N", 3, 24, 24])], [_shaped("output", ["N", 7])],
        [_constant("nan", np.full((1, 7), np.nan)), shape],
    )  # fmt: skip


def link_real_models(data: Path) -> None:
    """Make the real weights of metrics that are present those of a data folder."""
    for known in WEIGHTS:
        source, target = TEST_MODELS / known.file, data / "models" / known.file
        if known.task == "quality" and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source, target)


def plain_crop(picture: np.ndarray, mask: np.ndarray | None = None, **more: object) -> QualityCrop:
    """A crop of a picture; without a mask all of it is the figure."""
    whole = np.ones(picture.shape[:2], np.bool_) if mask is None else mask
    return QualityCrop("crop", picture, whole, **more)  # pyright: ignore[reportArgumentType]


def drawn_figure(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawn character without effects: its window and its exact mask."""
    while True:
        scene = draw_scene(seed, 480, 360, effects=False, characters=1)
        if scene.characters:
            character = scene.characters[0]
            x1, y1, x2, y2 = (int(side) for side in character.box)
            if min(x2 - x1, y2 - y1) >= 40:
                return np.ascontiguousarray(scene.image[y1:y2, x1:x2]), character.mask[y1:y2, x1:x2].copy()
        seed += 1000

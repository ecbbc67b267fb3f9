"""Tiny models with random or hand-made weights, written as the real files are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.vision.yolo import import_ultralytics


def tiny_yolo(path: Path, task: str = "detect", names: Sequence[str] = ("person", "face"), imgsz: int = 128) -> Path:
    """An Ultralytics checkpoint of half a megabyte with random weights that finds boxes in anything."""
    import_ultralytics()
    import torch
    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.nn import tasks
    from ultralytics.utils import YAML, checks

    suffix = {"detect": "", "segment": "-seg", "pose": "-pose"}[task]
    kind = {"detect": tasks.DetectionModel, "segment": tasks.SegmentationModel, "pose": tasks.PoseModel}[task]
    plan = YAML.load(checks.check_yaml(f"yolov8{suffix}.yaml"))
    plan |= {"scales": {"n": [0.33, 0.0625, 256]}, "scale": "n", "nc": len(names)}
    torch.manual_seed(7)
    model = kind(plan, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    model.args = {**DEFAULT_CFG_DICT, "imgsz": imgsz}
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        # Without measured means and variances the signal of random layers dies out.
        model.train()(torch.rand(8, 3, imgsz, imgsz))
        for layers in model.model[-1].cv3:
            torch.nn.init.normal_(layers[-1].weight, std=0.7)
            layers[-1].bias[:] = -1.0
    model.eval()
    torch.save({"model": model, "train_args": {"imgsz": imgsz, "task": task}}, path)
    return path


# --- ONNX without the package onnx: the few protobuf fields that such a graph needs -----------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    """One protobuf field: whole numbers as varints, the rest with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _value_info(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_field(1, _field(1, d) if isinstance(d, int) else _field(2, d)) for d in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def constant_onnx(
    path: Path,
    output: npt.NDArray[np.float32],
    size: tuple[int, int] | None = None,
    names: str = "",
    imgsz: str = "",
) -> Path:
    """An ONNX file `images[1,3,h,w] -> output0` that answers `output` times the brightest value of the first channel.

    size: fixed (height, width) of the input, None for any. A white frame thus gives `output` itself, a black one zeros.
    """
    tensor = b"".join(_field(1, length) for length in output.shape) + _field(2, 1) + _field(8, "answer")
    tensor += _field(9, np.ascontiguousarray(output, np.float32).tobytes())
    axes = _field(1, "keepdims") + _field(3, 0) + _field(20, 2)
    nodes = [
        _field(1, "images") + _field(2, "brightest") + _field(4, "ReduceMax") + _field(5, axes),
        _field(1, "answer") + _field(1, "brightest") + _field(2, "output0") + _field(4, "Mul"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny") + _field(5, tensor)
    graph += _field(11, _value_info("images", (1, 3, *(size or ("height", "width")))))
    graph += _field(12, _value_info("output0", output.shape))
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
    for key, value in (("names", names), ("imgsz", imgsz)):
        if value:
            model += _field(14, _field(1, key) + _field(2, value))
    path.write_bytes(model)
    return path


def brightness_onnx(path: Path, feed: str = "input.1", side: int = 320) -> Path:
    """An ONNX file of the U2Net family's signature, `feed[1,3,side,side] -> [1,1,side,side]`: the mean over colours."""
    axes = _field(1, "axes") + _field(8, 1) + _field(20, 7)
    keep = _field(1, "keepdims") + _field(3, 1) + _field(20, 2)
    node = _field(1, feed) + _field(2, "1959") + _field(4, "ReduceMean") + _field(5, axes) + _field(5, keep)
    graph = _field(1, node) + _field(2, "tiny")
    graph += _field(11, _value_info(feed, (1, 3, side, side))) + _field(12, _value_info("1959", (1, 1, side, side)))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path


def lama_onnx(path: Path, side: int = 512) -> Path:
    """An ONNX file of LaMa's signature, `image[1,3,s,s], mask[1,1,s,s] -> [1,3,s,s]`: the picture times 255, black in
    the hole."""

    def constant(name: str, value: float) -> bytes:
        return _field(2, 1) + _field(8, name) + _field(9, np.float32(value).tobytes())

    nodes = [
        _field(1, "one") + _field(1, "mask") + _field(2, "kept") + _field(4, "Sub"),
        _field(1, "image") + _field(1, "kept") + _field(2, "shown") + _field(4, "Mul"),
        _field(1, "shown") + _field(1, "range") + _field(2, "output") + _field(4, "Mul"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny")
    graph += _field(5, constant("one", 1.0)) + _field(5, constant("range", 255.0))
    graph += _field(11, _value_info("image", (1, 3, side, side))) + _field(11, _value_info("mask", (1, 1, side, side)))
    graph += _field(12, _value_info("output", (1, 3, side, side)))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path

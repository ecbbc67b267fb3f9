"""ONNX files of the YOLO family (`images[1,3,h,w] -> output0[1,4+classes,N]`) as a function from a frame to raw boxes.

One onnxruntime session, with one thread unless told otherwise, serves all threads of the caller. What belongs
elsewhere: labels, subjects and several detectors (detect).
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.boxes import FloatArray, non_maximum_suppression
from lora_assets.vision.device import device
from lora_assets.vision.letterbox import Letterbox, letterbox_for, letterbox_into, round_up
from lora_assets.vision.several_looks import FoundBoxes, look_several_times
from lora_assets.vision.yolo import Yolo, YoloLimits

_FALLBACK_SIDE = 640
_STRIDE = 32
_MOST_CANDIDATES = 30_000


def load_yolo_onnx(path: Path, limits: YoloLimits, threads: int = 1) -> Yolo:
    """The model of an ONNX file, each call of which takes `threads` cores. Raises ModelError, naming file, reason and
    way out, when it is damaged or does not look like a YOLO model."""
    session = open_session(path, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = list(inputs[0].shape)
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type != "tensor(float)":
        raise _not_yolo(path, f"its inputs are {[(i.name, i.shape, i.type) for i in inputs]}")
    if len(outputs[0].shape) != 3:
        raise _not_yolo(path, f"its first output has shape {outputs[0].shape}")
    metadata = session.get_modelmeta().custom_metadata_map
    names = _class_names(path, metadata.get("names", ""), outputs[0].shape[1])
    fixed = (int(shape[3]), int(shape[2])) if isinstance(shape[2], int) and isinstance(shape[3], int) else None
    looks = limits.looks_at(_own_side(metadata.get("imgsz", "")))
    if fixed is not None and len({look.side for look in looks}) > 1:
        raise ModelError(f"{path} takes pictures of {fixed[0]}x{fixed[1]} only: name looks of one side, or none")
    feed, answer = inputs[0].name, outputs[0].name

    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        height, width = image.shape[:2]
        if fixed is not None:
            fit = letterbox_into(width, height, *fixed)
        else:
            fit = letterbox_for(width, height, round_up(side, _STRIDE), _STRIDE)
        pixels = np.ascontiguousarray(fit.apply(image).transpose(2, 0, 1)[None], np.float32)
        pixels /= 255.0
        output = np.asarray(session.run([answer], {feed: pixels})[0], np.float64)[0]
        return _read_output(output, fit, replace(limits, conf=conf), len(names), path)

    return Yolo(names, look_several_times(find, looks, limits.conf, limits.iou, limits.max_det))


def open_session(path: Path, threads: int = 1) -> Any:
    """An onnxruntime session of `path` whose calls take `threads` cores; on a GPU where this onnxruntime has one.

    Raises ModelError, naming file, reason and way out, when it is absent or damaged.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors  # pyright: ignore[reportAttributeAccessIssue]

    if not path.is_file():
        raise ModelError(f"{path} is not there: fetch it with lora-assets models pull, or name another file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=execution_providers())
    except (
        errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph, errors.InvalidArgument, errors.NotImplemented,
        errors.NoSuchFile, errors.RuntimeException,
    ) as error:  # fmt: skip
        raise ModelError(
            f"{path} cannot be opened as an ONNX model ({error}): fetch it again, or export it anew"
        ) from error


def execution_providers() -> list[str]:
    """What sessions run on here, the first that fits: CUDA where a GPU is to be used and this onnxruntime can."""
    import onnxruntime

    wanted = ["CUDAExecutionProvider"] if device() == "cuda" else []
    return [name for name in wanted if name in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]


def _not_yolo(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"{path} is no ONNX file of the YOLO family ({reason}; expected images[1,3,h,w] -> output0[1,4+classes,N]): "
        "choose other weights, see lora-assets models list"
    )


def _class_names(path: Path, told: str, channels: int | str | None) -> tuple[str, ...]:
    """Class names from the file's metadata; 'class 0', 'class 1', ... where it has none."""
    try:
        names = ast.literal_eval(told) if told else None
    except (ValueError, SyntaxError):
        names = None
    if isinstance(names, dict) and names:
        return tuple(str(names[number]) for number in sorted(names))
    if isinstance(names, (list, tuple)) and names:
        return tuple(str(name) for name in names)
    if not isinstance(channels, int) or channels < 5:
        raise _not_yolo(path, f"it names no classes and its first output has {channels} channels")
    return tuple(f"class {number}" for number in range(channels - 4))


def _own_side(told: str) -> int:
    """The longer side that the exporter noted, as "[640, 640]" or "640"; 640 where it noted none."""
    try:
        value = ast.literal_eval(told) if told else _FALLBACK_SIDE
    except (ValueError, SyntaxError):
        return _FALLBACK_SIDE
    sides = value if isinstance(value, (list, tuple)) else [value]
    return max((int(side) for side in sides if isinstance(side, int)), default=_FALLBACK_SIDE) or _FALLBACK_SIDE


def _read_output(output: FloatArray, fit: Letterbox, limits: YoloLimits, class_count: int, path: Path) -> FoundBoxes:
    """Boxes of one answer: (4+classes+extra, N) with centres and sizes, or (N, 6) when the file suppresses itself.

    Raises ValueError for scores of nothing but NaN.
    """
    if output.shape[1] == 6 and output.shape[0] != 4 + class_count:
        _check_scores(output[:, 4], path)
        rows = output[output[:, 4] > limits.conf][: limits.max_det]
        return FoundBoxes(fit.to_frame(rows[:, :4]), rows[:, 4], rows[:, 5].astype(np.int64))
    if output.shape[0] < 4 + class_count:
        raise _not_yolo(path, f"it answers with shape {output.shape} for {class_count} classes")
    scores = output[4 : 4 + class_count]
    _check_scores(scores, path)
    classes, confidence = scores.argmax(axis=0), scores.max(axis=0)
    sure = np.flatnonzero(confidence > limits.conf)
    sure = sure[np.argsort(-confidence[sure], kind="stable")][:_MOST_CANDIDATES]
    centre, half = output[:2, sure].T, output[2:4, sure].T / 2
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    kept = non_maximum_suppression(xyxy, confidence[sure], classes[sure], limits.iou)[: limits.max_det]
    return FoundBoxes(fit.to_frame(xyxy[kept]), confidence[sure][kept], classes[sure][kept].astype(np.int64))


def _check_scores(scores: FloatArray, path: Path) -> None:
    if scores.size and np.isnan(scores).all():
        raise ValueError(f"{path} answers with NaN: if it does so for every frame, fetch the weights again")

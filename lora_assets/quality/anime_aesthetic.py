"""The aesthetic class of a drawing by an ONNX classifier as deepghs trains them (huggingface.co/deepghs).

Signature: `input[N,3,side,side]` (RGB, -1..1, squeezed to the square, bilinear) -> `output[N,7]`, classes from
masterpiece to worst. The value is the expected class, worst 0 to masterpiece 6, as deepghs/imgutils computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops, checked
from lora_assets.quality.batches import Batches
from lora_assets.quality.pictures import QualityCrop
from lora_assets.vision.images import RgbImage
from lora_assets.vision.yolo_onnx import open_session

CODE_VERSION = "1"

CLASSES = ("masterpiece", "best", "great", "good", "normal", "low", "worst")
_CLASS_VALUES = np.arange(len(CLASSES) - 1, -1, -1, dtype=np.float64)
_FALLBACK_SIDE = 448


def class_pixels(picture: RgbImage, side: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A picture HxWx3 as the classifier reads it, (3, height, width) of `side` (width, height)."""
    small = Image.fromarray(picture).resize(side, Image.Resampling.BILINEAR)
    return np.ascontiguousarray((np.asarray(small, np.float32) / 127.5 - 1.0).transpose(2, 0, 1))


def expected_class(output: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The expected class (n,), 0..6, of answers (n, 7): shares that sum to 1, or else logits."""
    values = output.astype(np.float64)
    shares = (values.min(axis=1) >= 0) & (np.abs(values.sum(axis=1) - 1.0) < 1e-3)
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    softmax = raised / raised.sum(axis=1, keepdims=True)
    return np.where(shares[:, None], values, softmax) @ _CLASS_VALUES


def anime_aesthetic_measure(path: Path, *, picture: str, threads: int, batches: Batches) -> MeasureCrops:
    """What measures `anime_aesthetic` with the classifier of an ONNX file.

    Raises ModelError, naming the file, when its signature is another.
    """
    session = open_session(path, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape, answer = list(inputs[0].shape), list(outputs[0].shape)
    fits = len(inputs) == 1 and len(shape) == 4 and shape[1] == 3 and inputs[0].type == "tensor(float)"
    if not fits or len(answer) != 2 or answer[1] != len(CLASSES):
        raise ModelError(
            f"{path} is no aesthetic classifier ({shape} -> {answer}; expected [N,3,h,w] -> [N,{len(CLASSES)}]): "
            "choose other weights in section [quality], anime_aesthetic_model"
        )
    side = (
        shape[3] if isinstance(shape[3], int) else _FALLBACK_SIDE,
        shape[2] if isinstance(shape[2], int) else _FALLBACK_SIDE,
    )
    one_by_one = shape[0] == 1

    def classify(pictures: Sequence[RgbImage]) -> Sequence[float]:
        fed = np.stack([class_pixels(each, side) for each in pictures])
        parts = [fed[i : i + 1] for i in range(len(fed))] if one_by_one else [fed]
        found = [session.run([outputs[0].name], {inputs[0].name: part})[0] for part in parts]
        return [float(value) for value in expected_class(np.concatenate(found))]

    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        shown = [crop.shown(picture) for crop in crops]
        values = iter(batches.run(classify, [each for each in shown if each is not None]))
        answers = [Answer(None, NO_WINDOW) if each is None else checked(next(values)) for each in shown]
        return dict.fromkeys(names, answers)

    return measure

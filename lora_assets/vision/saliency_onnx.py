"""Salient-object networks of the U2Net family as ONNX: a picture in, how salient each pixel is out.

U2Net and U2NetP (Qin et al. 2020; input `input.1`, 320 pixels) and IS-Net for anime (skytnt/anime-seg; input `img`,
1024 pixels) by one onnxruntime session. What their answer is used for does not belong here (segment, second_opinion).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.images import RgbImage
from lora_assets.vision.yolo_onnx import open_session

CODE_VERSION = "1"

_ISNET_INPUT = "img"
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_FLAT = 1e-3

FloatImage = npt.NDArray[np.float32]
Saliency = Callable[[RgbImage], FloatImage]
"""A picture HxWx3 in, float32 HxW from 0 to 1 out; may be called from several threads at once."""


def load_saliency(path: Path, threads: int = 1) -> Saliency:
    """The network of an ONNX file, each call of which takes `threads` cores. Raises ModelError, naming file, reason and
    way out, when it is damaged or of another family."""
    session = open_session(path, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = list(inputs[0].shape)
    one_picture = len(inputs) == 1 and len(shape) == 4 and shape[1] == 3 and inputs[0].type == "tensor(float)"
    channels = outputs[0].shape[1] if len(outputs[0].shape) == 4 else 0
    if not one_picture or (isinstance(channels, int) and channels != 1):
        told = f"{[(i.name, i.shape, i.type) for i in inputs]} -> {outputs[0].shape}"
        raise ModelError(
            f"{path} is no ONNX file of the U2Net family ({told}; expected input.1[1,3,320,320] or "
            "img[1,3,1024,1024] -> [1,1,h,w]): choose u2net, u2netp or isnet-anime, see lora-assets models list"
        )
    feed, answer = inputs[0].name, outputs[0].name
    anime = feed == _ISNET_INPUT
    side = shape[2] if isinstance(shape[2], int) else (1024 if anime else 320)

    def ask(pixels: FloatImage) -> FloatImage:
        output = np.asarray(session.run([answer], {feed: pixels})[0], np.float32)
        if output.shape[0] != 1 or output.ndim != 4:
            raise ModelError(f"{path} answers with shape {output.shape}, not [1,1,h,w]: choose other weights")
        return np.asarray(np.nan_to_num(output[0, 0]), np.float32)

    def isnet(image: RgbImage) -> FloatImage:
        """As skytnt/anime-seg does it: fitted into the square, black around, 0 to 1; the answer is used as it is."""
        height, width = image.shape[:2]
        scale = side / max(height, width)
        rows, columns = max(1, int(height * scale)), max(1, int(width * scale))
        top, left = (side - rows) // 2, (side - columns) // 2
        square = np.zeros((side, side, 3), np.float32)
        fitted = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        square[top : top + rows, left : left + columns] = np.asarray(fitted, np.float32) / 255.0
        found = ask(square.transpose(2, 0, 1)[None])[top : top + rows, left : left + columns]
        return np.clip(np.asarray(cv2.resize(found, (width, height)), np.float32), 0.0, 1.0)

    def u2net(image: RgbImage) -> FloatImage:
        """As U-2-Net's own test does it: squeezed to the square, divided by the brightest value, ImageNet's mean and
        deviation; the answer is stretched to 0 to 1 (an answer without any contrast is nothing found)."""
        small = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.float32)
        pixels = ((small / max(1.0, float(small.max())) - _MEAN) / _STD).transpose(2, 0, 1)[None]
        found = ask(np.ascontiguousarray(pixels, np.float32))
        low, high = float(found.min()), float(found.max())
        found = (found - low) / (high - low) if high - low > _FLAT else np.zeros_like(found)
        return np.asarray(cv2.resize(found, (image.shape[1], image.shape[0])), np.float32)

    return isnet if anime else u2net

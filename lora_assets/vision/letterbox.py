"""A frame scaled and padded into the shape that a YOLO model takes, and boxes brought back from it.

The shape follows from the frame's own size alone, never from other frames of a batch, so that a frame's boxes do not
depend on its neighbours. What belongs elsewhere: the models (yolo, yolo_onnx).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.boxes import FloatArray, clip_boxes

_GREY = (114, 114, 114)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a frame of `width` x `height` lies in a model's input: scaled to `inner_*`, at (left, top), all in pixels."""

    width: int
    height: int
    inner_width: int
    inner_height: int
    left: int
    top: int
    input_width: int
    input_height: int

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The model's input, uint8 RGB, padded with grey 114 as the models were trained."""
        if (self.inner_width, self.inner_height) != (self.width, self.height):
            image = cv2.resize(image, (self.inner_width, self.inner_height), interpolation=cv2.INTER_LINEAR)  # pyright: ignore
        right = self.input_width - self.inner_width - self.left
        bottom = self.input_height - self.inner_height - self.top
        return cv2.copyMakeBorder(image, self.top, bottom, self.left, right, cv2.BORDER_CONSTANT, value=_GREY)  # pyright: ignore

    def to_frame(self, xyxy: FloatArray) -> FloatArray:
        """Boxes of the model's input in pixels of the frame, clipped to it."""
        shift = np.array([self.left, self.top] * 2, np.float64)
        # Each side was rounded to whole pixels by itself.
        scale = np.array([self.inner_width / self.width, self.inner_height / self.height] * 2)
        return clip_boxes((xyxy - shift) / scale, self.width, self.height)

    def points_to_frame(self, points: FloatArray) -> FloatArray:
        """Points (...,2) of the model's input in pixels of the frame; those on the padding end up outside it."""
        scale = np.array([self.inner_width / self.width, self.inner_height / self.height])
        return (points - np.array([self.left, self.top], np.float64)) / scale


def round_up(length: int, stride: int) -> int:
    """The least multiple of `stride` that is at least `length`."""
    return -(-length // stride) * stride


def letterbox_into(width: int, height: int, input_width: int, input_height: int) -> Letterbox:
    """The frame scaled to fit a fixed input, in its middle."""
    scale = min(input_width / width, input_height / height)
    inner_width, inner_height = max(round(width * scale), 1), max(round(height * scale), 1)
    # Half a pixel of padding goes to the far side, as in the training code of the YOLO family.
    left = round((input_width - inner_width) / 2 - 0.1)
    top = round((input_height - inner_height) / 2 - 0.1)
    return Letterbox(width, height, inner_width, inner_height, left, top, input_width, input_height)


def letterbox_for(width: int, height: int, side: int, stride: int) -> Letterbox:
    """The frame scaled so that its longer side is `side`, padded to multiples of `stride` and no more."""
    scale = min(side / width, side / height)
    inner_width, inner_height = max(round(width * scale), 1), max(round(height * scale), 1)
    return letterbox_into(width, height, round_up(inner_width, stride), round_up(inner_height, stride))

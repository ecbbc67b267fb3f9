"""Where lettering lies over a picture, by the letter finder: a small network that comes with the package.

Starter weights (`lora_assets.training.letter_finder` makes them), by onnxruntime; one session with one thread, opened
at the first question, serves all threads of a process. Which share of a figure is under letters is worked out in
lettering.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.starter import STARTER_LETTERS
from lora_assets.vision.images import RgbImage
from lora_assets.vision.yolo_onnx import open_session

HEIGHT = 360
"""Pixels of a frame's height at which letters are looked for: strokes of subtitles are two or three pixels wide."""
CELL, STEP = 4, 32
"""Pixels per side of a cell of the answer, and what the sides of a picture are filled up to a multiple of."""


def letter_map(picture: RgbImage) -> npt.NDArray[np.float32]:
    """How likely (0..1; 2 x rows x columns, one for each begun cell of CELL pixels) a cell lies in a line of opaque
    letters, and how likely it holds strokes of faint words. `picture`: HxWx3 of a frame HEIGHT pixels high.

    Raises ModelError when the network is missing or damaged.
    """
    height, width = picture.shape[:2]
    if height % STEP or width % STEP:
        picture = np.asarray(
            cv2.copyMakeBorder(picture, 0, -height % STEP, 0, -width % STEP, cv2.BORDER_REPLICATE), np.uint8
        )
    session, feed, answer = open_letter_finder()
    images = np.empty((1, 3, *picture.shape[:2]), np.float32)
    for plane, channel in zip(images[0], cv2.split(picture), strict=True):
        np.multiply(channel, np.float32(1 / 255.0), out=plane)
    images -= 0.5
    told = np.asarray(session.run([answer], {feed: images})[0], np.float32)[0]
    return 1.0 / (1.0 + np.exp(-np.clip(told[:, : -(-height // CELL), : -(-width // CELL)], -30.0, 30.0)))


@cache
def open_letter_finder() -> tuple[Any, str, str]:
    """The network's session and the names of what goes in and comes out, opened once. Raises ModelError as
    `letter_map` does."""
    session = open_session(STARTER_LETTERS)
    return session, session.get_inputs()[0].name, session.get_outputs()[0].name

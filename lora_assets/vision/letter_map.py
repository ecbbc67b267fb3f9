"""Where lettering lies over a picture, by the letter finder: a small network that comes with the package.

Starter weights (`lora_assets.training.letter_finder` makes them), asked by `checking_maps`. Which share of a figure is
under letters is worked out in lettering.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.starter import STARTER_LETTERS
from lora_assets.vision.checking_maps import likely_maps
from lora_assets.vision.images import RgbImage

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
    layers = np.empty((3, *picture.shape[:2]), np.float32)
    for number, channel in enumerate(cv2.split(picture)):
        np.multiply(channel, np.float32(1 / 255.0), out=layers[number])
    layers -= 0.5
    return likely_maps(STARTER_LETTERS, layers)[:, : -(-height // CELL), : -(-width // CELL)]

"""Sizes and kinds of picture files, and the mask that a file holds, as trainers open them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.exports.buckets import Size
from lora_assets.vision.picture_errors import UNREADABLE


def picture_size(path: Path) -> Size | None:
    """Width and height of a picture file; None when it cannot be opened."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except UNREADABLE:
        return None


def mask_levels(path: Path, *, of_alpha: bool) -> tuple[npt.NDArray[np.uint8], str] | None:
    """The levels of a mask (HxW, 0..255) and the mode of its file, or the alpha of a picture; None when there are none.

    A picture without alpha is learned whole, as its trainer would.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            mode = picture.mode
            if not of_alpha:
                return np.asarray(picture.convert("L"), np.uint8), mode
            if "A" not in mode:
                return None
            return np.asarray(picture.getchannel("A"), np.uint8), mode
    except UNREADABLE:
        return None

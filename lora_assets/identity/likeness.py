"""A cut-out as a tiny picture: what tells one drawing from the next, whoever it shows.

Two cut-outs of one drawing have nearly the same tiny picture whatever their size; a moved arm or another face changes
it. What belongs elsewhere: who is shown (descriptor), which crops then form a group (curation.duplicates).
"""

from __future__ import annotations

import hashlib

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]

TINY = 16
TINY_SIZE = TINY * TINY * 4
_DARKEST_WHITE = 0.12
_GREY = 0.5


def tiny_picture(rgba: npt.NDArray[np.uint8]) -> FloatArray:
    """(TINY_SIZE,) float32, 0..1: a cut-out HxWx4 squeezed to 16 x 16, colours over grey and stretched to the figure's
    own white (a fade changes little), and its mask."""
    small = np.asarray(cv2.resize(rgba, (TINY * 2, TINY * 2), interpolation=cv2.INTER_AREA), np.float32) / 255.0
    alpha = small[..., 3:]
    inside = alpha[..., 0] >= 0.5
    white = float(np.percentile(small[..., :3].max(axis=2)[inside], 98)) if inside.any() else 1.0
    colour = np.clip(small[..., :3] / max(white, _DARKEST_WHITE), 0.0, 1.0) * alpha + _GREY * (1.0 - alpha)
    both = np.dstack((colour, alpha)).astype(np.float32)
    return np.asarray(cv2.resize(both, (TINY, TINY), interpolation=cv2.INTER_AREA), np.float32).ravel()


class TinyPictures:
    """Tiny pictures (N, TINY_SIZE), prepared once for distances to many others."""

    def __init__(self, tiny: FloatArray) -> None:
        # Sums of squares around the middle grey: less is lost when two large ones are subtracted.
        self._values = tiny - _GREY
        self._squares = (self._values * self._values).sum(axis=1)

    def distances(self, other: TinyPictures) -> FloatArray:
        """(N, others): the root of the mean square difference, 0..1, over colours and masks."""
        return self._to(other._values, other._squares)

    def distances_from(self, place: int) -> FloatArray:
        """(N,): those of one of them to all."""
        return self._to(self._values[place : place + 1], self._squares[place : place + 1])[:, 0]

    def _to(self, values: FloatArray, squares: FloatArray) -> FloatArray:
        square = self._squares[:, None] + squares[None] - 2.0 * (self._values @ values.T)
        return np.sqrt(np.maximum(square, 0.0) / TINY_SIZE)


def tiny_distances(one: FloatArray, other: FloatArray) -> FloatArray:
    """(len(one), len(other)): the distances of tiny pictures, 0..1."""
    return TinyPictures(one).distances(TinyPictures(other))


def pixel_digest(rgba: npt.NDArray[np.uint8]) -> str:
    """32 hex digits of a cut-out's size and pixels: equal for exact twins only."""
    told = f"{rgba.shape[1]}x{rgba.shape[0]}|".encode()
    return hashlib.sha256(told + np.ascontiguousarray(rgba).tobytes()).hexdigest()[:32]


def cutout_phash(rgba: npt.NDArray[np.uint8]) -> str:
    """The 64-bit perceptual hash (imagehash.phash) of a cut-out over grey, hex."""
    alpha = rgba[..., 3:].astype(np.float32) / 255.0
    over = rgba[..., :3] * alpha + 255.0 * _GREY * (1.0 - alpha)
    return str(imagehash.phash(Image.fromarray(over.astype(np.uint8))))

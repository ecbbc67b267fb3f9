"""The built-in description of a picture: colours, edges and shape as numbers, without any weights.

It tells apart what looks different, not what means something else: a stand-in for CLIP on a machine without one. Parts,
each of length 1 times its weight: mean Lab colour of 4 x 4 cells, histogram of Lab colours (square roots, after
Bhattacharyya 1943), histograms of oriented gradients of 4 x 4 cells (Dalal and Triggs, CVPR 2005), and aspect ratio.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage

CODE_VERSION = "1"
_SIDE, _CELLS, _ORIENTATIONS = 64, 4, 8
_BINS = (4, 6, 6)
_NOISE = 0.2
_LAYOUT, _COLOURS, _EDGES, _SHAPE = 0.6, 1.0, 1.0, 0.3

FloatArray = npt.NDArray[np.float32]


def describe(picture: RgbImage) -> FloatArray:
    """A vector of length 1 (336 numbers) of a picture HxWx3, at least 1 pixel each way."""
    height, width = picture.shape[:2]
    small = np.asarray(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.uint8)
    cells = np.asarray(cv2.resize(lab, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32) / 127.5 - 1.0
    counts = np.asarray(cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), [0, 256, 48, 208, 48, 208]), np.float32)
    shape = np.array([np.tanh(np.log(width / height)), 0.5], np.float32)
    parts = (
        (_LAYOUT, cells.ravel()), (_COLOURS, np.sqrt(counts.ravel())), (_EDGES, _gradients(lab[..., 0])),
        (_SHAPE, shape),
    )  # fmt: skip
    return _unit(np.concatenate([weight * _unit(values) for weight, values in parts]))


def _gradients(grey: npt.NDArray[np.uint8]) -> FloatArray:
    """Histograms of the direction of edges (unsigned) in 4 x 4 cells, weighed by strength."""
    level = grey.astype(np.float32) / 255.0
    across = np.asarray(cv2.Sobel(level, cv2.CV_32F, 1, 0), np.float32)
    down = np.asarray(cv2.Sobel(level, cv2.CV_32F, 0, 1), np.float32)
    # Below the floor is noise: without it a flat picture would be described by its grain alone.
    strength = np.maximum(np.hypot(across, down) - _NOISE, 0.0)
    direction = np.floor(np.arctan2(down, across) / np.pi % 1.0 * _ORIENTATIONS).astype(int) % _ORIENTATIONS
    place = np.arange(_SIDE) * _CELLS // _SIDE
    bins = (place[:, None] * _CELLS + place[None, :]) * _ORIENTATIONS + direction
    found = np.bincount(bins.ravel(), strength.ravel(), _CELLS * _CELLS * _ORIENTATIONS)
    return np.sqrt(found).astype(np.float32)


def _unit(values: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(values))
    return (values / length if length > 0 else values).astype(np.float32)

"""Is a picture drawn or photographed: told from statistics of its pixels, with "unsure" as an answer.

Networks of identity are made for one medium: CCIP for drawings, ArcFace for photographs. What belongs elsewhere: which
network is then asked (embedding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

CODE_VERSION = "1"

DRAWN, PHOTOGRAPH, UNSURE = "drawn", "photograph", "unsure"
MEDIA = (DRAWN, PHOTOGRAPH, UNSURE)
SIDE = 256


@dataclass(frozen=True, slots=True)
class PictureStatistics:
    """Shares 0..1 of a picture's pixels. `flat`: no gradient to speak of around them; `soft`: a gradient between that
    of flat paint and that of an edge, which texture and grain have; `colours`: how many of 4096 colours (4 bits a
    channel) hold 99 % of the pixels, over the count that a photograph of the size has (512)."""

    flat: float
    soft: float
    colours: float


def picture_statistics(image: npt.NDArray[np.uint8]) -> PictureStatistics:
    """The statistics of a picture HxWx3, or of the pixels under the mask of one HxWx4."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    mask = small[..., 3] >= 128 if small.shape[2] == 4 else np.ones(small.shape[:2], np.bool_)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    mask = inner if np.count_nonzero(inner) >= 100 else mask
    rgb = np.ascontiguousarray(small[..., :3])
    grey = np.asarray(cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (3, 3), 0), np.float32)
    steep = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8)[mask]
    if not steep.size:
        return PictureStatistics(0.0, 0.0, 0.0)
    codes = (rgb.astype(np.int64) >> 4) @ np.array([256, 16, 1])
    counts = np.sort(np.bincount(codes[mask], minlength=4096))[::-1]
    held = int(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum())) + 1
    flat, soft = float((steep < 0.8).mean()), float(((steep >= 0.8) & (steep < 6.0)).mean())
    return PictureStatistics(flat, soft, min(1.0, held / 512))


DRAWN_FROM, PHOTOGRAPH_TO = 0.35, -0.02
"""Limits of `drawn_score`, measured on 56 drawings and 12 photographs (docs/BENCHMARKS.md): painted drawings and
photographs overlap, and there the answer is "unsure"."""


def drawn_score(found: PictureStatistics) -> float:
    """How much the statistics speak for a drawing: high for flat paint in few colours, low for texture in many."""
    return found.flat + 0.4 * (1.0 - found.colours) - 0.6 * found.soft


def medium_of(image: npt.NDArray[np.uint8]) -> str:
    """drawn, photograph or unsure, of one picture HxWx3 or cut-out HxWx4."""
    score = drawn_score(picture_statistics(image))
    return DRAWN if score >= DRAWN_FROM else PHOTOGRAPH if score <= PHOTOGRAPH_TO else UNSURE


def medium_of_many(media: Sequence[str]) -> str:
    """The medium of pictures of one source: that of two thirds of those that are sure, when these are a fifth of all;
    else unsure."""
    sure = [medium for medium in media if medium != UNSURE]
    if len(sure) < max(1, len(media) / 5):
        return UNSURE
    drawn = sure.count(DRAWN) / len(sure)
    return DRAWN if drawn >= 2 / 3 else PHOTOGRAPH if drawn <= 1 / 3 else UNSURE

"""What film, tape, disc and network do to a finished picture: grain, combs, compression, chroma, banding, upscaling.

Each takes a uint8 RGB frame, a strength of 0 to 1 and a random generator, and gives a new frame of the same size.
"""

from __future__ import annotations

import cv2
import numpy as np

TILE = 192
BEST_QUALITY, WORST_QUALITY = 92, 12


def film_grain(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Grain of up to 14 grey levels from a repeated tile of noise, grey or coloured, fine or coarse."""
    height, width = image.shape[:2]
    channels = 3 if rng.random() < 0.5 else 1
    tile = rng.standard_normal((TILE, TILE, channels), np.float32) * np.float32(14 * strength)
    if rng.random() < 0.3:
        tile = cv2.GaussianBlur(tile, (0, 0), 0.9).reshape(TILE, TILE, channels) * np.float32(2.2)
    tile = np.repeat(np.rint(tile).astype(np.int16), 3 // channels, axis=2)
    noise = np.tile(tile, (-(-height // TILE), -(-width // TILE), 1))[:height, :width]
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _quality(strength: float) -> int:
    return round(BEST_QUALITY + (WORST_QUALITY - BEST_QUALITY) * strength)


def compressed(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    """Once through JPEG: quality 92 at strength 0, 12 at strength 1."""
    return _through_jpeg(image, _quality(strength))


def recompressed(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Three times through JPEG, shifted by some pixels between, so that blocks of several grids show."""
    for _ in range(3):
        shift = int(rng.integers(1, 8))
        image = np.roll(_through_jpeg(np.roll(image, shift, axis=(0, 1)), _quality(strength)), -shift, axis=(0, 1))
    return image


def interlaced(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Every other row from a moment later: combs of up to 2.5 % of the width."""
    shift = max(1, round(image.shape[1] * 0.025 * strength))
    out = image.copy()
    if rng.random() < 0.5:
        out[1::2, shift:] = image[1::2, :-shift]
    else:
        out[1::2, :-shift] = image[1::2, shift:]
    return out


def chroma_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Colour stored in 1/2 to 1/10 of the resolution, sometimes shifted, as tape does."""
    height, width = image.shape[:2]
    luma, red, blue = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    factor = 2 + 8 * strength
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    shift = round(width * 0.004 * strength) if rng.random() < 0.4 else 0
    planes = [luma]
    for plane in (red, blue):
        soft = cv2.resize(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), (width, height))
        planes.append(np.roll(soft, shift, axis=1) if shift else soft)
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)


def upscaled(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Blown up from 1/1.3 to 1/4 of the resolution; sharpened afterwards half of the time."""
    height, width = image.shape[:2]
    factor = 1.3 + 2.7 * strength
    small = cv2.resize(
        image, (max(8, round(width / factor)), max(8, round(height / factor))), interpolation=cv2.INTER_AREA
    )
    way = cv2.INTER_NEAREST if rng.random() < 0.1 else cv2.INTER_CUBIC
    out = cv2.resize(small, (width, height), interpolation=way)
    if rng.random() < 0.5:
        out = cv2.addWeighted(out, 1.8, cv2.blur(out, (5, 5)), -0.8, 0)
    return out


def banded(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    """Few levels per channel (48 down to 6)."""
    count = round(48 - 42 * strength)
    table = (np.rint(np.arange(256) / 255 * count) * (255 / count)).astype(np.uint8)
    return cv2.LUT(image, table)


def halftone(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Print dots: each pixel thresholded softly against a dot screen."""
    height, width = image.shape[:2]
    period = max(3.0, height * float(rng.uniform(0.008, 0.016)))
    across = np.sin(np.arange(width, dtype=np.float32) * np.float32(2 * np.pi / period))
    along = np.sin(np.arange(height, dtype=np.float32) * np.float32(2 * np.pi / period))
    screen = ((along[:, None] * across[None, :] + 1) * 64).astype(np.uint8)
    inked = cv2.addWeighted(image, 4, cv2.merge([screen] * 3), -4, -128)
    return cv2.addWeighted(image, 1 - 0.7 * strength, inked, 0.7 * strength, 0)


def scan_lines(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Dark lines of an old tube every few rows."""
    out = image.copy()
    pitch = int(rng.integers(2, 5))
    out[::pitch] = cv2.convertScaleAbs(np.ascontiguousarray(image[::pitch]), alpha=1 - 0.6 * strength)
    return out

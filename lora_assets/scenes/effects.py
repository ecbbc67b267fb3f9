"""What happens to a finished picture: blur, grain, colour cast, fades, halftone, compression, overlaid text.

Everything here leaves the geometry, and so the truth, as it is. Letterbox bars hide pixels and are laid by stage.py.
"""

from __future__ import annotations

import cv2
import numpy as np

from lora_assets.scenes.ink import raster
from lora_assets.scenes.lettering import draw_caption, draw_logo, draw_subtitle

TILE = 192


def apply_effects(image: np.ndarray, rng: np.random.Generator, bar: int) -> np.ndarray:
    """A random handful of effects on a uint8 RGB frame; `bar` is the height of its letterbox bars in pixels."""
    if rng.random() < 0.3:
        image = graded(image, rng)
    if rng.random() < 0.12:
        image = focus_blur(image, rng)
    elif rng.random() < 0.05:
        image = motion_blur(image, rng)
    if rng.random() < 0.03:
        image = halftone(image, rng)
    if rng.random() < 0.06:
        image = faded(image, float(rng.uniform(0.35, 0.85)), white=bool(rng.random() < 0.3))
    if rng.random() < 0.22:
        image = texted(image, rng, bar)
    if rng.random() < 0.22:
        image = grained(image, rng)
    if rng.random() < 0.25:
        image = compressed(image, int(rng.integers(25, 92)))
    return image


def graded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma and a colour cast by one table per channel."""
    levels = np.linspace(0, 1, 256)
    gamma, contrast, lift = rng.uniform(0.75, 1.3), rng.uniform(0.75, 1.25), rng.uniform(-0.08, 0.08)
    cast = 1 + rng.normal(0, 0.07, 3)
    tables = [np.clip(((levels**gamma - 0.5) * contrast + 0.5 + lift) * gain, 0, 1) for gain in cast]
    table = np.rint(np.stack(tables, axis=1) * 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def focus_blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus by up to half a percent of the frame's height."""
    return cv2.GaussianBlur(image, (0, 0), max(0.4, image.shape[0] * float(rng.uniform(0.0008, 0.005))))


def motion_blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smear along a random direction by one or two percent of the frame's height."""
    size = max(3, int(image.shape[0] * rng.uniform(0.006, 0.02))) | 1
    kernel = np.zeros((size, size), np.float32)
    turn, middle = rng.uniform(0, np.pi), size // 2
    steps = np.linspace(-middle, middle, 4 * size)
    rows = np.rint(middle + steps * np.sin(turn)).astype(int)
    columns = np.rint(middle + steps * np.cos(turn)).astype(int)
    kernel[rows, columns] = 1
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def halftone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Print dots: each pixel thresholded softly against a dot screen."""
    height, width = image.shape[:2]
    period = max(3.0, height * float(rng.uniform(0.008, 0.016)))
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    screen = (np.sin(xs * (2 * np.pi / period)) * np.sin(ys * (2 * np.pi / period)) + 1) * 64
    inked = np.clip((image.astype(np.float32) - 64 - screen[:, :, None] * 1.0) * 4 + 128, 0, 255).astype(np.uint8)
    return cv2.addWeighted(image, 0.45, inked, 0.55, 0)


def faded(image: np.ndarray, share: float, *, white: bool = False) -> np.ndarray:
    """Mixed towards black (or white); `share` 1 leaves the picture as it is."""
    return cv2.convertScaleAbs(image, alpha=share, beta=255 * (1 - share) if white else 0)


def grained(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Film grain from a repeated tile of noise."""
    height, width = image.shape[:2]
    strength = float(rng.uniform(2, 12))
    channels = 3 if rng.random() < 0.5 else 1
    tile = np.rint(rng.normal(0, strength, (TILE, TILE, channels))).astype(np.int16)
    tile = np.repeat(tile, 3 // channels, axis=2)
    noise = np.tile(tile, (-(-height // TILE), -(-width // TILE), 1))[:height, :width]
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Through JPEG and back."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def tinted(image: np.ndarray, rgb: tuple[int, int, int], share: float) -> np.ndarray:
    """Everything in a common light: each pixel mixed with itself multiplied by the light's colour."""
    gains = [1 - share + share * value / 255 * 1.15 for value in rgb]
    table = np.stack([np.clip(np.arange(256) * gain, 0, 255) for gain in gains], axis=1).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def lettered(image: np.ndarray, text: str, size: float, foot: float) -> np.ndarray:
    """A centred line of lower-case letters over the picture; size and foot in frame heights."""
    height, width = image.shape[:2]
    frame, surface = raster(width, height)
    cv2.cvtColor(image, cv2.COLOR_RGB2BGRA, dst=frame)
    draw_caption(surface.getCanvas(), text, width, height * size, height * foot)
    return cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB)


def texted(image: np.ndarray, rng: np.random.Generator, bar: int) -> np.ndarray:
    """A subtitle or a corner logo over the picture."""
    height, width = image.shape[:2]
    frame, surface = raster(width, height)
    cv2.cvtColor(image, cv2.COLOR_RGB2BGRA, dst=frame)
    canvas = surface.getCanvas()
    if rng.random() < 0.7:
        draw_subtitle(canvas, rng, width, height, height * 0.94 - bar * 0.5)
    if rng.random() < 0.5:
        draw_logo(canvas, rng, width, height)
    return cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB)


def grey_style(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame in grey, sometimes tinted or with a dotted screen in the middle tones, as in printed comics."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if rng.random() < 0.5:
        height, width = grey.shape
        period = max(3, round(height * 0.009))
        ys, xs = np.mgrid[0:height, 0:width]
        dots = ((xs + ys) % period < period * 0.5) & ((xs - ys) % period < period * 0.5)
        middle = np.where(dots, 70, 240)
        printed = np.where(grey >= 190, 255, np.where(grey > 90, middle, grey)).astype(np.uint8)
        return cv2.cvtColor(printed, cv2.COLOR_GRAY2RGB)
    tint = np.array(((1, 1, 1), (1.06, 1.0, 0.84), (0.9, 1.0, 1.1))[int(rng.integers(3))])
    return np.clip(grey[:, :, None] * tint, 0, 255).astype(np.uint8)

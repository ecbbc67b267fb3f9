"""What lens and light do to a finished picture: blur, bloom, vignette, light leaks, flare, colour cast, shimmer.

Each takes a uint8 RGB frame, a strength of 0 to 1 and a random generator, and gives a new frame of the same size. What
tape, disc and network do is in transmission.py; what falls or flies through the picture in weather.py.
"""

from __future__ import annotations

import cv2
import numpy as np

from lora_assets.scenes.brush import some_tone

THUMB = (64, 36)
"""Width and height of the small pictures that soft light is made in."""


def _light(image: np.ndarray, thumb: np.ndarray) -> np.ndarray:
    """A small float picture of light (0 to 255) in the size of the frame."""
    small = cv2.convertScaleAbs(np.maximum(thumb, 0))
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)


def _reach(x: float, y: float) -> np.ndarray:
    """Distance of each pixel of a small picture from (x, y), in frame heights; x and y are shares of the frame."""
    columns = (np.arange(THUMB[0], dtype=np.float32)[None, :] + 0.5) / THUMB[0]
    rows = (np.arange(THUMB[1], dtype=np.float32)[:, None] + 0.5) / THUMB[1]
    return np.hypot((columns - np.float32(x)) * np.float32(16 / 9), rows - np.float32(y))


def graded(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma and a colour cast by one table per channel."""
    levels = np.linspace(0, 1, 256)
    gamma = float(np.exp(rng.uniform(-0.4, 0.4) * strength))
    contrast, lift = 1 + rng.uniform(-0.35, 0.35) * strength, rng.uniform(-0.12, 0.12) * strength
    cast = 1 + rng.normal(0, 0.12 * strength, 3)
    tables = [np.clip(((levels**gamma - 0.5) * contrast + 0.5 + lift) * gain, 0, 1) for gain in cast]
    table = np.rint(np.stack(tables, axis=1) * 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def coloured_light(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Everything in one strong light: sunset, night, a red alarm."""
    light = np.array(some_tone(rng, 60, 256), np.float64)
    light *= 255 / light.max()
    gains = 1 - strength * 0.75 * (1 - light / 255)
    table = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def focus_blur(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    """The whole frame out of focus, by 0.6 % of its height at the most."""
    return cv2.GaussianBlur(image, (0, 0), max(0.4, image.shape[0] * 0.006 * strength))


def motion_kernel(reach: float, turn: float) -> np.ndarray:
    """A line of `reach` pixels in direction `turn` (radians) as a float32 kernel that sums to one."""
    size = max(3, int(reach)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    steps = np.linspace(-middle, middle, 4 * size)
    kernel[np.rint(middle + steps * np.sin(turn)).astype(int), np.rint(middle + steps * np.cos(turn)).astype(int)] = 1
    return kernel / kernel.sum()


def motion_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """The whole frame smeared along one direction, by 3 % of its height at the most."""
    kernel = motion_kernel(image.shape[0] * 0.03 * strength, float(rng.uniform(0, np.pi)))
    return cv2.filter2D(image, -1, kernel)


def bloom(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    """Bright areas shine over their edges."""
    small = cv2.resize(image, (image.shape[1] // 4, image.shape[0] // 4), interpolation=cv2.INTER_AREA)
    bright = cv2.convertScaleAbs(np.maximum(small, 120), alpha=1.0, beta=-120)
    shine = cv2.GaussianBlur(bright, (0, 0), max(1.0, small.shape[0] * 0.03))
    return cv2.addWeighted(image, 1.0, cv2.resize(shine, (image.shape[1], image.shape[0])), 1.2 * strength, 0)


def vignette(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    """Corners darker than the middle."""
    fall = np.clip(_reach(0.5, 0.5) - 0.35, 0, None) ** 2 * 1.6
    shade = _light(image, 255 * np.clip(1 - strength * fall, 0, 1))
    return cv2.multiply(image, cv2.merge([shade] * 3), scale=1 / 255)


def light_leak(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Warm light from one edge, or god rays' soft glow from above."""
    side = float(rng.choice([0.0, 1.0]))
    spot = np.exp(-((_reach(side, float(rng.uniform(0, 0.6))) / float(rng.uniform(0.3, 0.9))) ** 2))
    tone = np.array([255, rng.uniform(120, 240), rng.uniform(40, 200)], np.float32)
    return cv2.add(image, _light(image, spot[:, :, None] * tone * (0.85 * strength)))


def lens_flare(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A bright spot with a string of rings through the middle of the frame."""
    height, width = image.shape[:2]
    x, y = float(rng.uniform(0.05, 0.95)), float(rng.uniform(0.0, 0.3))
    light = np.exp(-((_reach(x, y) / 0.15) ** 2))[:, :, None] * np.float32(200 * strength)
    out = cv2.add(image, _light(image, np.repeat(light, 3, axis=2)))
    for along in rng.uniform(-0.2, 1.9, 5):
        centre = (int(width * (x + (0.5 - x) * along)), int(height * (y + (0.5 - y) * along)))
        size = max(2, int(height * rng.uniform(0.01, 0.09)))
        x0, y0, x1, y1 = centre[0] - size, centre[1] - size, centre[0] + size, centre[1] + size
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if x0 >= x1 or y0 >= y1:
            continue
        ring = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        tone = tuple(int(value * 0.35 * strength) for value in some_tone(rng, 90, 256))
        cv2.circle(ring, (centre[0] - x0, centre[1] - y0), size - 1, tone, -1, cv2.LINE_AA)
        out[y0:y1, x0:x1] = cv2.add(out[y0:y1, x0:x1], ring)
    return out

"""Whole-image print styles: grey and sepia prints, screentone dots in the middle tones. Pure functions on RGB pictures.

They belong to the styles of styles.py whose `finish` names them; blur, grain and compression are in effects.py.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

PAPER_FROM, INK_BELOW = 205, 70
SEPIA = ((1.06, 1.0, 0.84), (0.92, 1.0, 1.1), (1.04, 0.98, 0.98))


def finished(image: np.ndarray, finish: str, rng: np.random.Generator) -> np.ndarray:
    """A uint8 RGB picture in a print style of FINISHES; "" leaves it as it is. Raises ValueError for other names."""
    if not finish:
        return image
    if finish not in FINISHES:
        raise ValueError(f"finish is {finish!r}, but it must be empty or one of {', '.join(FINISHES)}")
    return FINISHES[finish](image, rng)


def grey_print(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """The picture in grey."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def sepia_print(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture in grey with a warm or cool tint, as old film."""
    tint = np.array(SEPIA[int(rng.integers(len(SEPIA)))])
    table = np.clip(np.arange(256)[:, None] * tint, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    return cv2.LUT(grey_print(image, rng), table)


def screentone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A comic print: light areas white, dark areas black, between them dots that grow with the darkness.

    The dot screen is turned by 45 degrees, as printers set it; its period is 0.5 to 1.1 % of the picture's height.
    """
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    period = max(3.0, height * float(rng.uniform(0.005, 0.011)))
    columns, rows = (np.arange(n, dtype=np.float32) * np.float32(np.pi / period) for n in (width, height))
    # cos(x + y) + cos(x - y) = 2 cos x cos y: one outer product makes the turned screen.
    screen = np.outer(np.cos(rows), np.cos(columns))
    np.multiply(screen, screen, out=screen)
    levels = np.clip((np.arange(256) - INK_BELOW) / (PAPER_FROM - INK_BELOW), 0, 1).astype(np.float32)
    light = levels[np.asarray(grey, np.uint8)]
    # Dots cover the share of paper that the tone asks for; the steep slope keeps their edges soft.
    inked = (screen - (1 - light) * 1.02) * (6 * period / 3) + 0.5
    printed = np.clip(inked * 255, 0, 255).astype(np.uint8)
    printed[grey < INK_BELOW] = grey[grey < INK_BELOW] // 2
    return cv2.cvtColor(printed, cv2.COLOR_GRAY2RGB)


FINISHES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "grey": grey_print,
    "sepia": sepia_print,
    "screentone": screentone,
}

"""Screentone (halftone): pictures printed in dots, and the tones that the dots stand for.

Printed greys alternate between ink and paper every few pixels, so that edges lie everywhere and no two neighbouring
pixels look alike. Measures that compare tones look at the picture with the dots smoothed away; which ones do is told
with them (lost_parts).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage

_NEAR = 9
_LONGEST, _EVERY, _MOST = 9, 3.37, 200
_LIMIT = 0.38
_SIGMA = 2.0


def screen_strength(image: RgbImage) -> float:
    """How regularly a picture (HxWx3) repeats itself every 3 to 9 pixels, both along its rows and its columns, 0..1.

    The autocorrelation of what deviates from the mean around (9x9) at a distance of 3 to 9 pixels, less its lowest
    value at a shorter distance; of the two directions the weaker. Of 330 drawn frames those without a screen have up
    to 0.36, those in screentone 0.42 to 0.93.
    """
    if min(image.shape[:2]) <= 2 * _LONGEST:
        return 0.0
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)
    own = np.subtract(grey, cv2.blur(grey, (_NEAR, _NEAR)), dtype=np.float32)
    return min(_repeats(_some(own)), _repeats(_some(own.T)))


def _some(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """About every third row, 200 at most. A whole number would meet dots that lie as far apart always at the same
    place."""
    places = np.arange(0, len(rows), max(_EVERY, len(rows) / _MOST)).astype(np.intp)
    # A step that is no whole number may come to one place too many.
    return np.ascontiguousarray(rows[places[places < len(rows)]])


def _repeats(rows: npt.NDArray[np.float32]) -> float:
    whole = float(np.vdot(rows, rows)) + rows.size
    alike = [float(np.vdot(rows[:, :-far], rows[:, far:])) / whole for far in range(1, _LONGEST + 1)]
    return float(np.clip(max(alike[far] - min(alike[:far]) for far in range(2, _LONGEST)), 0.0, 1.0))


def without_screen(image: RgbImage) -> RgbImage:
    """A picture (HxWx3) printed in screentone with its dots smoothed away (sigma 2 pixels); any other as it is."""
    if screen_strength(image) < _LIMIT:
        return image
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), _SIGMA), np.uint8)

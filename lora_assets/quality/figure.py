"""What can be told of a figure without a model, from the pixels under its mask only: sharpness, lighting, contrast and
noise.

All take luminance 0..255 (HxW) and the mask (HxW bool). The first three give 0 (bad) to 1 (good), noise gives levels;
all give None and the reason where the figure shows nothing to measure. Flags with limits belong to vision.checks.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.masks import BoolMask

CODE_VERSION = "1"

Grey = npt.NDArray[np.uint8]
Value = tuple[float | None, str]

MEASURED_SIDE = 512
"""Sharpness is taken at this longer side: what vanishes when the crop is made smaller for training is no blur."""
_BLUR = 9
_RIM, _MOSTLY = 9, 0.3
_LEAST_PIXELS = 64
_LEAST_CHANGE = 0.25
_DARK, _LIT = 0.05, 0.5
_BURNT, _MOST_BURNT = 250, 0.5
_FULL_CONTRAST = 0.25
# Immerkaer's mask: the difference of two Laplacians, blind to level, slope and straight edges; its answer to white
# noise of deviation 1 has the deviation 6.
_SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_GAIN = 6.0
_MEDIAN_OF_NORMAL = 0.6745


def sharpness(grey: Grey, mask: BoolMask) -> Value:
    """1 - blur after Crete et al. (2007): blur is the share of the differences between neighbours that stays when the
    picture is blurred again by a 9-pixel mean, the worse of both directions."""
    if not mask.any():
        return None, "the mask has no pixels"
    # What lies outside must not be mixed in, by shrinking or by the blur: it gets the figure's mean level.
    grey = np.where(mask, grey, np.uint8(round(float(grey[mask].mean()))))
    grey, mask = _reduced(grey, mask)
    # A blurred picture has the background smeared over the outline: it is left out where enough stays inside.
    levels = mask.astype(np.uint8)
    inside = cv2.erode(levels, np.ones((_RIM, _RIM), np.uint8)) > 0
    if np.count_nonzero(inside) < _MOSTLY * np.count_nonzero(mask):
        inside = cv2.erode(levels, np.ones((3, 3), np.uint8)) > 0
    if np.count_nonzero(inside) < _LEAST_PIXELS:
        return None, "too few pixels inside the outline"
    level = grey.astype(np.float32)
    found = []
    for axis, size in ((0, (1, _BLUR)), (1, (_BLUR, 1))):
        blurred = cv2.blur(level, size, borderType=cv2.BORDER_REPLICATE)
        pairs = np.take(inside, range(1, inside.shape[axis]), axis) & np.take(
            inside, range(inside.shape[axis] - 1), axis
        )
        before, after = np.abs(np.diff(level, axis=axis))[pairs], np.abs(np.diff(blurred, axis=axis))[pairs]
        change = float(before.sum())
        if pairs.any() and change / pairs.sum() >= _LEAST_CHANGE:
            found.append(1.0 - float(np.maximum(before - after, 0.0).sum()) / change)
    if not found:
        return None, "the figure is flat: it has no edges to measure"
    return 1.0 - max(found), ""


def _reduced(grey: Grey, mask: BoolMask) -> tuple[Grey, BoolMask]:
    scale = MEASURED_SIDE / max(grey.shape)
    if scale >= 1.0:
        return grey, mask
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0


def lighting(grey: Grey, mask: BoolMask) -> Value:
    """How well lit the figure is: its 90th percentile of luminance, 0 at 0.05 and 1 from 0.5 on, times what is not
    burnt out beyond half of it (white clothes and paper are no fault; more than half at 250 or above is)."""
    level = grey[mask]
    if not level.size:
        return None, "the mask has no pixels"
    top = float(np.percentile(level, 90)) / 255.0
    burnt = float(np.count_nonzero(level >= _BURNT)) / level.size
    lit = float(np.clip((top - _DARK) / (_LIT - _DARK), 0.0, 1.0))
    return lit * (1.0 - max(0.0, burnt - _MOST_BURNT) / (1.0 - _MOST_BURNT)), ""


def contrast(grey: Grey, mask: BoolMask) -> Value:
    """Standard deviation of the luminance (Peli's RMS contrast), full from a quarter of the range on."""
    level = grey[mask]
    if level.size < _LEAST_PIXELS:
        return None, "too few pixels in the mask"
    return min(1.0, float(level.std()) / 255.0 / _FULL_CONTRAST), ""


def noise(grey: Grey, mask: BoolMask) -> Value:
    """Deviation of the noise in levels: Immerkaer's mask (CVIU 64(2), 1996), its answers summed up by their median, so
    that drawn lines, which are few pixels, do not count as noise."""
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    if np.count_nonzero(inside) < _LEAST_PIXELS:
        return None, "too few pixels inside the outline"
    answer = cv2.filter2D(grey.astype(np.float32), cv2.CV_32F, _SECOND_DIFFERENCES, borderType=cv2.BORDER_REFLECT_101)
    return float(np.median(np.abs(answer[inside]))) / (_MEDIAN_OF_NORMAL * _GAIN), ""

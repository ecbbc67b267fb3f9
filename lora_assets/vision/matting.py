"""Soft edges for a crop's picture: alpha from a hard mask and the picture, and the colour of what is half see-through.

The hard mask stays what is stored and judged; only the crop's PNG has the soft edge. Making the mask better does not
belong here (refine).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask

CODE_VERSION = "1"

NONE = "none"
GUIDED = "guided"
CLOSED_FORM = "closed_form"
METHODS = (NONE, GUIDED, CLOSED_FORM)

FloatImage = npt.NDArray[np.float32]

_INNER_SHARE = 0.06
_LEAST_INNER = 3
_MOST_INNER = 14
_OUTER = 3
_SMOOTHNESS = 1e-4
_SPREAD = 7


def check_method(method: str) -> str:
    """The method itself. Raises ValueError for an unknown one, or for one whose package is not installed."""
    if method not in METHODS:
        raise ValueError(f"matting must be one of {', '.join(METHODS)}, not {method!r}")
    if method == CLOSED_FORM:
        _closed_form_solver()
    return method


def soft_alpha(image: RgbImage, mask: BoolMask, method: str) -> FloatImage:
    """Alpha (0 to 1, HxW) of a mask HxW in its picture HxWx3; `none` gives the mask itself.

    Only a band along the outline is open: 3 to 14 pixels inwards (6 % of the root of the mask's area), since refined
    masks are grown, and 3 pixels outwards. A mask without such a band on both sides (empty, whole window) stays hard.
    """
    hard = mask.astype(np.float32)
    band, core = unknown_band(mask)
    if method == NONE or not band.any() or not core.any():
        return hard
    if method == CLOSED_FORM:
        trimap = np.where(band, 0.5, hard).astype(np.float64)
        estimate = _closed_form_solver()(image.astype(np.float64) / 255.0, trimap)
    else:
        # A window must see past the band on both sides.
        reach = _inner(mask) + _OUTER + 2
        estimate = guided_filter(image.astype(np.float32) / 255.0, hard, (~band).astype(np.float32), reach)
    alpha = np.clip(np.nan_to_num(np.asarray(estimate, np.float32)), 0.0, 1.0)
    return np.where(band, alpha, hard)


def _inner(mask: BoolMask) -> int:
    thickness = np.sqrt(float(np.count_nonzero(mask)))
    return int(np.clip(round(_INNER_SHARE * thickness), _LEAST_INNER, _MOST_INNER))


def unknown_band(mask: BoolMask) -> tuple[BoolMask, BoolMask]:
    """The pixels along the outline whose alpha is open, and the core of the mask inside the band, both HxW.

    The window's own edge is no outline: the figure may go on there.
    """
    levels = np.ascontiguousarray(mask).view(np.uint8)
    cross = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), np.uint8)
    core = cv2.erode(levels, cross, iterations=_inner(mask), borderType=cv2.BORDER_REPLICATE) > 0
    wide = cv2.dilate(levels, cross, iterations=_OUTER) > 0
    return wide & ~core, core


def guided_filter(
    guide: FloatImage, source: FloatImage, known: FloatImage, radius: int, smoothness: float = _SMOOTHNESS
) -> FloatImage:
    """`source` HxW carried on along the colours of `guide` (HxWx3, 0 to 1): in each window it is a linear function of
    the colour, fitted to the pixels that are `known` (weights HxW from 0 to 1).

    He, Sun, Tang, "Guided Image Filtering", 2010 (and 2013, equations 19 to 21 for a colour guide), with weighted means
    in place of plain ones. `smoothness` is their epsilon; a window has 2 * radius + 1 pixels a side.
    """
    side = 2 * radius + 1

    def plain(values: FloatImage) -> FloatImage:
        return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    # A window without a known pixel must not divide by zero: its mean is then over all of it.
    weights = (known + 1e-6).astype(np.float32)
    total = plain(weights)

    def mean(values: FloatImage) -> FloatImage:
        return plain(values * weights) / total

    middle = np.stack([mean(guide[..., channel]) for channel in range(3)], axis=-1)
    level = mean(source)
    covariance = np.empty((*source.shape, 3, 3), np.float32)
    for row in range(3):
        for column in range(row, 3):
            both = mean(guide[..., row] * guide[..., column]) - middle[..., row] * middle[..., column]
            covariance[..., row, column] = covariance[..., column, row] = both
    covariance += np.eye(3, dtype=np.float32) * np.float32(smoothness)
    together = np.stack([mean(guide[..., k] * source) - middle[..., k] * level for k in range(3)], axis=-1)
    slope = np.linalg.solve(covariance, together[..., None])[..., 0].astype(np.float32)
    offset = level - (slope * middle).sum(axis=-1)
    return np.asarray((plain(slope) * guide).sum(axis=-1) + plain(offset), np.float32)


def figure_colour(image: RgbImage, alpha: FloatImage) -> RgbImage:
    """The figure's own colour where it is half see-through: without it the old background shines in the edge.

    Forte, "Approximate Fast Foreground Colour Estimation", 2021 (one round of blur fusion): figure F and background B
    are blurred with alpha and 1 - alpha as weights, and F then takes what alpha F + (1 - alpha) B leaves of the pixel.
    Zero where alpha is 0.
    """
    share = alpha[..., None]
    pixels = image.astype(np.float32)
    side = 2 * _SPREAD + 1

    def spread(weights: FloatImage) -> FloatImage:
        blurred = np.asarray(cv2.blur(np.dstack((pixels * weights, weights)), (side, side)), np.float32)
        return np.asarray(blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-5), np.float32)

    figure, behind = spread(share), spread(1.0 - share)
    figure = figure + share * (pixels - share * figure - (1.0 - share) * behind)
    colour = np.where(share >= 1.0, pixels, np.where(share > 0.0, figure, 0.0))
    return np.clip(np.rint(colour), 0, 255).astype(np.uint8)


def _closed_form_solver() -> Callable[..., Any]:
    """PyMatting's closed-form matting (Levin, Lischinski, Weiss 2008). Raises ValueError when it is not installed."""
    try:
        from pymatting import estimate_alpha_cf  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            "matting 'closed_form' needs the package pymatting, which is not installed: install it with "
            "pip install 'lora_assets[matting]', or choose matting = \"guided\""
        ) from error
    return estimate_alpha_cf

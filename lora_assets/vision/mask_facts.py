"""What is measured on every mask: holes, specks, contact with the frame's edge, and background left in it.

All are shares from 0 to 1, also for a mask of one pixel, of none, or of the whole frame. Whether a value is bad does
not belong here (checks).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, mask_bounds
from lora_assets.vision.neighbours import depth

CODE_VERSION = "1"

_WORK_SIDE = 160
_RING_SHARE = 0.08
_LEAST_RING_PIXELS = 40
_MORE_LIKE_OUTSIDE = 3.0


@dataclass(frozen=True, slots=True)
class MaskShape:
    """The shape of a mask. `holes`: enclosed background / (mask and enclosed background). `specks`: pieces beside the
    largest; `speck_share`: their share of the mask. `edge_contact`: for the frame's left, top, right and bottom edge,
    the share of the mask's own extent along that edge on which it touches the edge.
    """

    holes: float
    specks: int
    speck_share: float
    edge_contact: tuple[float, float, float, float]


def measure_shape(mask: BoolMask, x: int, y: int, frame_width: int, frame_height: int) -> MaskShape:
    """The shape of a bool HxW mask whose corner lies at (x, y) of the frame. An empty mask gives zeros."""
    bounds = mask_bounds(mask)
    if bounds is None:
        return MaskShape(0.0, 0, 0.0, (0.0, 0.0, 0.0, 0.0))
    left, top, width, height = bounds
    kept = np.ascontiguousarray(mask[top : top + height, left : left + width])
    levels = kept.view(np.uint8)
    _, _, pieces, _ = cv2.connectedComponentsWithStats(levels, connectivity=8)
    areas = pieces[1:, cv2.CC_STAT_AREA]
    area = int(areas.sum())
    # With a rim of background around it all of the outside is one piece, the corner's; the others are holes.
    outside = cv2.copyMakeBorder(1 - levels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, gaps, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    enclosed = int(gaps[1:, cv2.CC_STAT_AREA].sum() - gaps[labels[0, 0], cv2.CC_STAT_AREA])
    column, row = x + left, y + top
    contact = (
        float(kept[:, 0].mean()) if column <= 0 else 0.0,
        float(kept[0].mean()) if row <= 0 else 0.0,
        float(kept[:, -1].mean()) if column + width >= frame_width else 0.0,
        float(kept[-1].mean()) if row + height >= frame_height else 0.0,
    )
    return MaskShape(enclosed / (area + enclosed), len(areas) - 1, 1.0 - int(areas.max()) / area, contact)


def background_left(image: RgbImage, mask: BoolMask, others: BoolMask) -> float | None:
    """Share of a mask that has the colours of what lies around it and not its own, and hangs together with the outside.

    image HxWx3, mask and others HxW of one window around the mask; `others` are the masks of other characters, which
    are no background. The colours outside are those of a ring of 8 % of the mask's longer side; its own are weighted by
    the distance to the outline, as what was left by mistake lies there. A colour counts as background when it is three
    times as frequent outside. None for a mask without a ring (of the whole window) or without pixels.
    """
    bounds = mask_bounds(mask)
    if bounds is None:
        return None
    ring = max(2, round(_RING_SHARE * max(bounds[2:])))
    left, top = max(0, bounds[0] - ring), max(0, bounds[1] - ring)
    part = np.s_[top : bounds[1] + bounds[3] + ring, left : bounds[0] + bounds[2] + ring]
    colour, inside, taken = _at_work_size(image[part], mask[part], others[part])
    if not inside.any():
        return None
    ring = max(2, round(_RING_SHARE * max(inside.shape) / (1 + 2 * _RING_SHARE)))
    levels = inside.astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    near = cv2.dilate(levels, square, iterations=ring) > 0
    # The pixels next to the outline are mixed of both sides.
    around = near & ~(cv2.dilate(levels, square) > 0) & ~taken
    if np.count_nonzero(around) < _LEAST_RING_PIXELS:
        return None
    bins = (colour >> np.uint8(4)).astype(np.int32) @ np.array([256, 16, 1], np.int32)
    outer = colour_shares(bins[around], None)
    own = colour_shares(bins[inside], depth(inside)[inside])
    foreign = inside & (outer > _MORE_LIKE_OUTSIDE * own)[bins]
    foreign = np.asarray(cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_OPEN, square)) > 0
    return float(np.count_nonzero(_open_to(foreign, ~inside))) / int(np.count_nonzero(inside))


def _at_work_size(image: RgbImage, mask: BoolMask, others: BoolMask) -> tuple[RgbImage, BoolMask, BoolMask]:
    scale = _WORK_SIDE / max(mask.shape)
    if scale >= 1.0:
        return image, mask, others
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    masks = (cv2.resize(each.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for each in (mask, others))
    return small, *masks  # pyright: ignore[reportReturnType]


def colour_shares(bins: npt.NDArray[np.int32], weights: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float64]:
    """Share 0..1 of each of 16x16x16 colours (4096 numbers) among the bins of pixels, weighted if told.

    Spread over the next colours, so that a shade at a bin's border is not split; zeros without pixels.
    """
    counts = np.bincount(bins, weights, 4096).astype(np.float64).reshape(16, 16, 16)
    for axis in range(3):
        line = np.moveaxis(counts, axis, 0)
        spread = 2 * line
        spread[1:] += line[:-1]
        spread[:-1] += line[1:]
        counts = np.moveaxis(spread, 0, axis)
    return (counts / max(float(counts.sum()), 1e-9)).reshape(-1)


def _open_to(foreign: BoolMask, outside: BoolMask) -> BoolMask:
    """The pieces of `foreign` that lie within two pixels of `outside`."""
    _, labels = cv2.connectedComponents(foreign.astype(np.uint8), connectivity=8)
    reach = cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    touching = np.unique(labels[reach & foreign])
    return foreign & np.isin(labels, touching)

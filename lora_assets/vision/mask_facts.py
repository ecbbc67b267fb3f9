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
from lora_assets.vision.masks import BoolMask, enclosed_pixels, mask_bounds, piece_areas
from lora_assets.vision.neighbours import depth
from lora_assets.vision.outline_pieces import (
    Pieces,
    enclosed_gaps,
    ground_candidates,
    surroundings,
    zones_of_other_side,
)
from lora_assets.vision.piece_evidence import GROUND

# Also of outline_pieces and piece_evidence.
CODE_VERSION = "5"

_PAD_SHARE = 0.13
_RING_SHARE = 0.08
_LEAST_RING_PIXELS = 40
_MORE_LIKE_OUTSIDE = 2.0
_MOST_OF_ZONE = 0.6
_RIM, _RIM_SHARE = 6, 0.02
_OF_LOOSE = 0.25
_LIKELY = 0.5
_RARE = 1e-4


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
    areas = piece_areas(kept)
    area, enclosed = int(areas.sum()), enclosed_pixels(kept)
    column, row = x + left, y + top
    contact = (
        float(kept[:, 0].mean()) if column <= 0 else 0.0,
        float(kept[0].mean()) if row <= 0 else 0.0,
        float(kept[:, -1].mean()) if column + width >= frame_width else 0.0,
        float(kept[-1].mean()) if row + height >= frame_height else 0.0,
    )
    return MaskShape(enclosed / (area + enclosed), len(areas) - 1, 1.0 - int(areas.max()) / area, contact)


def background_left(image: RgbImage, mask: BoolMask, others: BoolMask) -> float | None:
    """Share of a mask that looks like what lies around it and hangs together with the outside, no line between.

    image HxWx3, mask and others HxW of one window around the mask; `others` are the masks of other characters, which
    are no background. Two signs (see `outline_pieces`): colours twice as frequent in a ring of 8 % of the mask's longer
    side as in the mask, whose own are weighted by the distance to the outline, as what was left by mistake lies there;
    and flat zones that lie mostly outside. A rim along the outline, up to 6 pixels or 2 % of the mask's longer side, is
    no background left: segmenters draw it, and so do presets that grow. A quarter of the outline's share on calm
    ground, where nothing is drawn within that rim, is the least it can be. None for a mask without a ring (of the whole
    window) or without pixels.
    """
    found = ground_in_mask(image, mask, others)
    if found is None:
        return None
    ground = 0 if found.pieces is None else int(np.count_nonzero(found.pieces.likely(GROUND, _LIKELY)))
    return max(ground / found.area, _OF_LOOSE * found.loose)


@dataclass(frozen=True, slots=True, eq=False)
class GroundInMask:
    """The part of the window that was looked at, the mask's pixels at work size, the pieces of it that look like the
    ground around with their signs, and the share 0..1 of its outline on calm ground."""

    part: tuple[slice, slice]
    area: int
    pieces: Pieces | None
    loose: float


def ground_in_mask(image: RgbImage, mask: BoolMask, others: BoolMask) -> GroundInMask | None:
    """What `background_left` weighs, of the same arguments; None where that is None."""
    bounds = mask_bounds(mask)
    if bounds is None:
        return None
    longer = max(bounds[2:])
    pad = max(6, round(_PAD_SHARE * longer))
    left, top = max(0, bounds[0] - pad), max(0, bounds[1] - pad)
    part = np.s_[top : bounds[1] + bounds[3] + pad, left : bounds[0] + bounds[2] + pad]
    seen = surroundings(image[part], mask[part], others[part])
    inside = seen.mask
    area = int(np.count_nonzero(inside))
    near = seen.ring(_RING_SHARE)
    # What the mask encloses may be a hole in the figure; the pixels next to the outline are mixed of both sides.
    open_air = seen.outside & ~enclosed_gaps(inside)
    ring = near & open_air & (cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    if not area or np.count_nonzero(ring) < _LEAST_RING_PIXELS:
        return None
    bins = seen.colour_bins()
    outer, own = colour_shares(bins[ring], None), colour_shares(bins[inside], depth(inside)[inside])
    steps = seen.steps()
    flat = seen.flat(near, steps)
    foreign = inside & (outer > _MORE_LIKE_OUTSIDE * own)[bins]
    foreign |= zones_of_other_side(seen, flat & near, inside, _MOST_OF_ZONE, area / 2)
    rim = max(2, int(np.ceil(max(_RIM, _RIM_SHARE * longer) * seen.scale)))
    likeness = more_frequent(outer, own)[bins]
    return GroundInMask(part, area, *ground_candidates(seen, foreign, open_air, near, steps, flat, rim, likeness))


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


def more_frequent(here: npt.NDArray[np.float64], there: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much more frequent each colour is here than there: the logarithm of the ratio of its shares, from -4 to 4."""
    return np.clip(np.log((here + _RARE) / (there + _RARE)), -4.0, 4.0)

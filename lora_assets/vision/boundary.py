"""The boundary F of two masks: how much of each outline lies near the other.

Martin, Fowlkes and Malik, 2004, as DAVIS takes it (Perazzi et al., 2016), with a tolerance that goes by the thing and
not by the frame, whose share would forgive a small thing everything. What belongs elsewhere: which share of the
diagonal is forgiven, as drawn characters and the panels of a page ask for different ones (mask_lab.measures,
finetuning.judging).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from lora_assets.vision.masks import BoolMask, mask_bounds

Border = Literal["outline", "open"]
"""What the border of the array is to a mask that touches it: "outline", its end, as for panels that fill a page; or
"open", where the thing goes on unseen, as for figures that a frame cuts."""

_LEAST_REACH = 1.0


def tolerance_of(true: BoolMask, share: float) -> float:
    """Pixels by which outlines may lie apart: `share` of the diagonal of the true mask's box, at least 1."""
    bounds = mask_bounds(true)
    return _LEAST_REACH if bounds is None else max(_LEAST_REACH, share * float(np.hypot(*bounds[2:])))


def boundary_f(found: BoolMask, true: BoolMask, share: float, border: Border) -> float:
    """The harmonic mean, 0 to 1, of the shares of both outlines that lie within `tolerance_of` the other.

    Two masks HxW of one shape; those without any outline agree.
    """
    bounds = mask_bounds(found | true)
    if bounds is None:
        return 1.0
    rims = [_rim(mask, bounds, border) for mask in (found, true)]
    if not rims[0].any() or not rims[1].any():
        return float(rims[0].any() == rims[1].any())
    reach = tolerance_of(true, share)
    precision, recall = _share_near(rims[0], rims[1], reach), _share_near(rims[1], rims[0], reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _rim(mask: BoolMask, bounds: tuple[int, int, int, int], border: Border) -> BoolMask:
    """The outermost pixels of a mask, in the window `bounds` that holds all of it."""
    height, width = mask.shape
    x, y, wide, high = bounds
    left, top, right, bottom = (int(gap > 0) for gap in (x, y, width - x - wide, height - y - high))
    levels = mask[y - top : y + high + bottom, x - left : x + wide + right].astype(np.uint8)
    how = cv2.BORDER_CONSTANT if border == "outline" else cv2.BORDER_REPLICATE
    around = cv2.copyMakeBorder(levels, 1 - top, 1 - bottom, 1 - left, 1 - right, how, value=0)
    inner = np.asarray(cv2.erode(around, np.ones((3, 3), np.uint8)))[1:-1, 1:-1]
    return mask[y : y + high, x : x + wide] & (inner == 0)


def _share_near(line: BoolMask, other: BoolMask, reach: float) -> float:
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((np.asarray(distance)[line] <= reach).mean())

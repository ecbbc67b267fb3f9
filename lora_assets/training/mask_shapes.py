"""Shapes that masks are damaged with: patches, zones of one colour, segments of the picture, half planes; and masks
grown, shrunk, opened and closed.

What is done to a mask with them belongs to `mask_damages`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask


def patch(rng: np.random.Generator, image: RgbImage, x: int, y: int, area: float) -> BoolMask:
    """A patch of about `area` pixels at a place: an ellipse, a polygon, a strip, or a zone of the picture's colours."""
    levels = np.zeros(image.shape[:2], np.uint8)
    radius = max(1.5, float(np.sqrt(max(area, 1.0) / np.pi)) * rng.uniform(0.7, 1.3))
    kind = rng.random()
    if kind < 0.3:
        flat = rng.uniform(0.4, 1.0)
        axes = (max(1, round(radius / np.sqrt(flat))), max(1, round(radius * np.sqrt(flat))))
        cv2.ellipse(levels, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    elif kind < 0.55:
        count = int(rng.integers(3, 10))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        far = radius * rng.uniform(0.5, 1.6, count)
        points = np.stack([x + far * np.cos(angles), y + far * np.sin(angles)], axis=1)
        cv2.fillPoly(levels, [np.round(points).astype(np.int32)], 1)
    elif kind < 0.7:
        thick = max(2, round(radius * rng.uniform(0.3, 0.8)))
        angle, length = rng.uniform(0, 2 * np.pi), 3.1 * radius**2 / thick
        end = (round(x + length * np.cos(angle)), round(y + length * np.sin(angle)))
        cv2.line(levels, (x, y), end, 1, thick)
    else:
        return colour_zone(rng, image, x, y, 1.6 * radius)
    return levels > 0


def picture_segments(rng: np.random.Generator, image: RgbImage, pitch: float) -> npt.NDArray[np.int32]:
    """The picture divided along its edges into segments about `pitch` pixels wide: a watershed (Meyer 1992) from a
    trembling grid. Labels HxW from 1; no pixel is without one."""
    height, width = image.shape[:2]
    rows, columns = max(1, round(height / pitch)), max(1, round(width / pitch))
    places = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1) + 0.5
    places += rng.uniform(-0.35, 0.35, places.shape)
    at = (places * (height / rows, width / columns)).reshape(-1, 2).astype(int)
    markers = np.zeros((height, width), np.int32)
    markers[np.clip(at[:, 0], 1, max(1, height - 2)), np.clip(at[:, 1], 1, max(1, width - 2))] = 1 + np.arange(len(at))
    labels = cv2.watershed(cv2.medianBlur(image, 3), markers)
    # Watersheds themselves, and the border of the picture, belong to whatever is beside them.
    return cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32).clip(1)


def joined_segments(
    rng: np.random.Generator, image: RgbImage, segments: npt.NDArray[np.int32], free: BoolMask, first: int, area: float
) -> BoolMask:
    """Segments that hang together, the `first` of them named, until they hold `area` pixels of `free` or nothing is
    left; what is like the last one in colour is joined first, by chance."""
    count = int(segments.max()) + 1
    held = np.bincount(segments[free], minlength=count)
    total = np.maximum(np.bincount(segments.ravel(), minlength=count), 1)
    colours = np.stack(
        [np.bincount(segments.ravel(), image[..., channel].ravel(), count) / total for channel in range(3)], axis=1
    )
    beside = [(segments[:, 1:], segments[:, :-1]), (segments[1:], segments[:-1])]
    pairs = np.concatenate([np.stack([a[a != b], b[a != b]], axis=1) for a, b in beside])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    faithful = rng.uniform(10, 120)
    taken, open_ones, sum_held, last = {first}, np.zeros(count, np.bool_), int(held[first]), first
    while sum_held < area:
        open_ones[pairs[pairs[:, 0] == last, 1]] = True
        open_ones[list(taken)] = False
        waiting = np.nonzero(open_ones & (held > 0))[0]
        if not len(waiting):
            break
        unlike = np.linalg.norm(colours[waiting] - colours[last], axis=1) + rng.exponential(faithful, len(waiting))
        last = int(waiting[np.argmin(unlike)])
        taken.add(last)
        sum_held += int(held[last])
    chosen = np.zeros(count, np.bool_)
    chosen[list(taken)] = True
    return chosen[segments]


def half_plane(rng: np.random.Generator, mask: BoolMask, share: float, below: bool = False) -> BoolMask:
    """Where a share 0..1 of a mask lies on this side of a straight line; with `below` it is level and the rest is
    below."""
    kind = 0.0 if below else rng.random()
    angle = np.pi / 2 if below else (int(rng.integers(4)) * np.pi / 2 if kind < 0.6 else rng.uniform(0, 2 * np.pi))
    rows, columns = (np.arange(side, dtype=np.float32) for side in mask.shape)
    along = columns * np.float32(np.cos(angle)) + rows[:, None] * np.float32(np.sin(angle))
    return along <= np.quantile(along[mask], share) if mask.any() else np.ones_like(mask)


def colour_zone(rng: np.random.Generator, image: RgbImage, x: int, y: int, reach: float) -> BoolMask:
    """What hangs together with a pixel by like colours, within `reach` pixels of it."""
    height, width = image.shape[:2]
    far = max(3, round(reach))
    left, top = max(0, x - far), max(0, y - far)
    part = np.ascontiguousarray(image[top : min(height, y + far), left : min(width, x + far)])
    found = np.zeros((part.shape[0] + 2, part.shape[1] + 2), np.uint8)
    tolerance = (float(rng.uniform(4, 28)),) * 3
    # Without a fixed range it also climbs along gradients.
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (255 << 8) | (cv2.FLOODFILL_FIXED_RANGE if rng.random() < 0.7 else 0)
    if not flags & cv2.FLOODFILL_FIXED_RANGE:
        tolerance = (float(rng.uniform(1, 6)),) * 3
    cv2.floodFill(part, found, (x - left, y - top), (0,), tolerance, tolerance, flags)
    whole = np.zeros((height, width), np.bool_)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = close_mask(found[1:-1, 1:-1] > 0, 1)
    return whole


def grow_mask(mask: BoolMask, reach: int) -> BoolMask:
    """The mask grown by `reach` pixels, by its distance map: as fast for a far reach as for a near one."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) <= reach if mask.any() else mask


def shrink_mask(mask: BoolMask, reach: int) -> BoolMask:
    """The mask without what lies within `reach` pixels of its outline; the frame's edge is none."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) > reach


def open_mask(mask: BoolMask, reach: int) -> BoolMask:
    return grow_mask(shrink_mask(mask, reach), reach)


def close_mask(mask: BoolMask, reach: int) -> BoolMask:
    return mask | ~grow_mask(~grow_mask(mask, reach), reach) if mask.any() else mask


def hull_of(mask: BoolMask) -> BoolMask:
    """The convex hull of a mask that has pixels."""
    levels = mask.astype(np.uint8)
    cv2.fillConvexPoly(levels, cv2.convexHull(cv2.findNonZero(levels)), 1)
    return levels > 0

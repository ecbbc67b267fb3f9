"""Panels of a comic page that gutters part from each other: what the paper around them does not reach.

The classical way (as in Kumiko, github.com/njean42/kumiko, which follows contours): exact where there are gutters and
closed borders, blind where pictures bleed or have none, which a trained detector knows. A panel's sides are in
panel_edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from lora_assets.vision.boxes import FloatArray

RIM = 0.004
"""The outermost share of the page's short side, where the colour of the gutters is read."""
ALIKE = 14
"""Levels of grey (0 to 255) by which a gutter differs from itself: grain, scans, faint tones."""
BRIDGE = 0.006
"""Half the width, as a share of the short side, of what may cross a gutter and is cut off: lines, tails of bubbles."""
LEAST_SIDE, LEAST_AREA, LARGEST_AREA = 0.09, 0.012, 0.9
"""The least side (share of the short side) and the areas (shares of the page) of what is taken for a panel."""
DIP = 0.75
"""A column or row of a region that fills less than this share of what ones on both sides of it fill is a gutter under a
bubble or a figure: in a convex panel there is none such."""
LEAST_FILLED, LEAST_CONVEX = 0.75, 0.9
"""A panel fills so much of its box, or else of its convex hull: what fills less are two panels under one bubble."""


def framed_panels(grey: np.ndarray) -> FloatArray:
    """The boxes (float Nx4 xyxy) of the panels of a page (uint8 HxW) that gutters part from each other."""
    height, width = grey.shape
    short = min(height, width)
    near = np.abs(grey.astype(np.int16) - _gutter(grey)) <= ALIKE
    # A frame of gutter joins what reaches the page's rim on different sides.
    _, regions = cv2.connectedComponents(np.pad(near.view(np.uint8), 1, constant_values=1), connectivity=4)
    filled = (regions != regions[0, 0])[1:-1, 1:-1].view(np.uint8)
    reach = max(1, round(short * BRIDGE))
    parted = cv2.morphologyEx(filled, cv2.MORPH_OPEN, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    count, regions, stats, _ = cv2.connectedComponentsWithStats(_cut_apart(np.asarray(parted)), connectivity=4)
    boxes = []
    for number in range(1, count):
        x, y, wide, high, area = stats[number].tolist()
        if min(wide, high) < LEAST_SIDE * short or not LEAST_AREA <= area / grey.size <= LARGEST_AREA:
            continue
        if area < LEAST_FILLED * wide * high:
            part = (regions[y : y + high, x : x + wide] == number).astype(np.uint8)
            points = cv2.findNonZero(part)
            if area < LEAST_CONVEX * cv2.contourArea(cv2.convexHull(points)):
                continue
        boxes.append((x, y, x + wide, y + high))
    return np.array(boxes, np.float64).reshape(-1, 4)


def _cut_apart(filled: np.ndarray) -> np.ndarray:
    """The same mask (uint8 HxW) without the columns and rows in which a region dips."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=4)
    cut = filled.copy()
    for number in range(1, count):
        x, y, wide, high, area = stats[number].tolist()
        if area < LEAST_AREA * filled.size:
            continue
        part = regions[y : y + high, x : x + wide] == number
        held = cut[y : y + high, x : x + wide]
        for share, bars in ((part.mean(0), held), (part.mean(1), held.T)):
            before, after = np.maximum.accumulate(share), np.maximum.accumulate(share[::-1])[::-1]
            bars[:, share < DIP * np.minimum(before, after)] = 0
    return cut


def _gutter(grey: np.ndarray) -> int:
    """The commonest grey at the page's rim."""
    reach = max(1, round(min(grey.shape) * RIM))
    rim = [grey[:reach], grey[-reach:], grey[:, :reach], grey[:, -reach:]]
    counts = np.bincount(np.concatenate([part.ravel() for part in rim]), minlength=256)
    return int(np.convolve(counts, np.ones(9), "same").argmax())

"""Clicks as constraints: a random walker over the picture's colours, with a network's belief as its prior.

Each pixel's answer is the chance that a walk from it ends on a click of the wanted kind; walks avoid steep changes of
colour, so that a click decides about the patch it stands on and no further than the network's belief allows. Grady,
"Multilabel Random Walker Image Segmentation Using Prior Models" (CVPR 2005), for two labels. Which prior, and what
becomes a mask, is in click_starter.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import cg

Field = npt.NDArray[np.float32]

STEEPNESS = 400.0
"""How much a difference of colour (CIELAB in units of 100, squared) hinders a walk; set on drawn scenes."""
TRUST = 0.01
"""What a sure belief of the network weighs beside one neighbour of the same colour; set on drawn scenes."""
CLICK_RADIUS = 2.0
"""Pixels around a click that are as sure as the click itself."""
_LEAST_TRUST = 0.05
_LEAST_STEP = 1e-3
_CLICK_WEIGHT = 50.0
_TOLERANCE = 1e-4
_MOST_ROUNDS = 400


def walk(
    pixels: npt.NDArray[np.uint8],
    prior: Field,
    points: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    radius: float = CLICK_RADIUS,
) -> Field:
    """The belief after the clicks: (n,m) from 0 to 1.

    pixels: (n,m,3) RGB; prior: (n,m) from 0 to 1; points: (N,2) x, y in these pixels, labels 1 or 0; points outside
    are left out. A click is sure within `radius` pixels; where two meet, the later one counts.
    """
    rows, columns = prior.shape
    laplacian = _laplacian(pixels)
    belief = prior.astype(np.float64).ravel()
    weight = TRUST * (np.abs(2 * belief - 1) + _LEAST_TRUST)
    across, down = np.arange(columns) + 0.5, np.arange(rows) + 0.5
    for (x, y), label in zip(points, labels, strict=True):
        near = ((across[None, :] - x) ** 2 + (down[:, None] - y) ** 2 <= radius**2).ravel()
        weight[near], belief[near] = _CLICK_WEIGHT, float(label)
    system = sparse.csr_array(laplacian + sparse.diags_array(weight))
    scale = sparse.diags_array(1 / system.diagonal())
    # From the prior, and exact enough for a threshold: a quarter of the time of solving it to the last digit.
    answer, _ = cg(system, weight * belief, x0=belief, rtol=_TOLERANCE, maxiter=_MOST_ROUNDS, M=scale)
    return np.clip(answer, 0, 1).astype(np.float32).reshape(rows, columns)


def _laplacian(pixels: npt.NDArray[np.uint8]) -> sparse.csc_array:
    """The Laplacian of the grid whose neighbours (four each) are joined the more, the more alike their colours are."""
    colours = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    rows, columns = colours.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    starts, ends, steps = [], [], []
    for one, other in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
    ):
        difference = ((colours[one] - colours[other]) ** 2).sum(axis=-1)
        starts.append(number[one].ravel())
        ends.append(number[other].ravel())
        steps.append((np.exp(-STEEPNESS * difference) + _LEAST_STEP).ravel())
    start, end, step = np.concatenate(starts), np.concatenate(ends), np.concatenate(steps)
    pairs = (np.concatenate([start, end]), np.concatenate([end, start]))
    joined = sparse.csc_array((np.tile(step, 2), pairs), shape=(number.size, number.size), dtype=np.float64)
    return sparse.csc_array(sparse.diags_array(joined.sum(axis=0)) - joined)

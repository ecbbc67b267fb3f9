"""What is measured on a refined mask: what it covers, and, against a truth or a second opinion, how well.

Everything works inside the window of the two masks together. Where a truth comes from does not belong here (truth).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision import boundary
from lora_assets.vision.masks import BoolMask

CODE_VERSION = "2"

TRAINED_SIDE = 1024
"""Pixels of a crop's longer side as trainers read it."""
LATENT_CELL = 8
"""Pixels of the trained picture that one cell of a latent-diffusion model's latent stands for, along each side."""
TOLERANCE = 0.008
"""Of the diagonal: how far boundaries may lie apart and still agree (Perazzi et al. 2016, DAVIS)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a mask agrees with a judge (truth or second opinion). All from 0 to 1, 1 is best.

    `covered`: share of the judge's mask that is covered; `exact`: share of the mask that the judge has too;
    `boundary_f`: harmonic mean of the shares of both outlines that lie within the tolerance of the other; `thin_kept`:
    share of the judge's thin parts that is left at latent 1/8, None where it has none.
    """

    iou: float
    covered: float
    exact: float
    boundary_f: float
    thin_kept: float | None


def agreement(mask: BoolMask, judge: BoolMask) -> Agreement:
    """The agreement of two masks HxW of one window that holds both with a margin of a pixel or the frame's border.

    Two empty masks agree in everything.
    """
    both, either = int(np.count_nonzero(mask & judge)), int(np.count_nonzero(mask | judge))
    own, true = int(np.count_nonzero(mask)), int(np.count_nonzero(judge))
    return Agreement(
        both / either if either else 1.0,
        both / true if true else 1.0,
        both / own if own else 1.0 if not true else 0.0,
        boundary_f(mask, judge),
        thin_kept(mask, judge),
    )


def boundary_f(mask: BoolMask, judge: BoolMask) -> float:
    """The boundary F of two masks HxW of a window, `TOLERANCE` forgiven; the window's edge is no outline."""
    return boundary.boundary_f(mask, judge, TOLERANCE, "open")


def _thin_kernel(longer: int, cells: int) -> npt.NDArray[np.uint8]:
    """A disc as wide as some latent cells, in pixels of a crop whose longer side is `longer`."""
    size = max(3, round(cells * LATENT_CELL * longer / TRAINED_SIDE) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def thin_parts(mask: BoolMask, cells: int = 1) -> BoolMask:
    """The parts of a mask HxW that are narrower than one latent cell, or some, when the window is trained at 1024
    pixels: what an opening with a disc of that width takes away."""
    levels = mask.astype(np.uint8)
    return mask & (cv2.morphologyEx(levels, cv2.MORPH_OPEN, _thin_kernel(max(mask.shape), cells)) == 0)


def thin_kept(mask: BoolMask, judge: BoolMask) -> float | None:
    """Share 0..1 of the judge's thin parts that the mask still holds at latent 1/8; None where there are none.

    Trainers that mask the loss shrink the mask to the latent, by area. In each cell that the thin parts touch, as much
    counts as both cover: sum of min(mask, thin) / sum of thin.
    """
    thin = thin_parts(judge)
    if not thin.any():
        return None
    scale = TRAINED_SIDE / max(mask.shape) / LATENT_CELL
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))

    def latent(pixels: BoolMask) -> npt.NDArray[np.float32]:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(pixels.astype(np.float32), size, interpolation=how), np.float32)

    wanted, there = latent(thin), latent(mask)
    return float(np.minimum(wanted, there).sum() / max(float(wanted.sum()), 1e-9))

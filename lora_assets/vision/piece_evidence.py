"""How likely a piece along a mask's outline is what it seems: ground left in the mask, or a part of the figure lost.

Logistic regressions of a few signs of a piece, as plain numbers: those that
`python -m lora_assets.benchmarks.tier_pieces` prints, which fits them on drawn scenes whose truth is known and tells
how well they are calibrated. How pieces are found and what their signs are does not belong here (outline_pieces).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LOST_SIGNS = (
    "size", "torn", "torn_length", "colour", "lined", "at_window", "across", "contrast", "texture", "own_head",
    "lost_head",
)  # fmt: skip
GROUND_SIGNS = ("size", "contact", "calm", "calm_length", "colour", "step", "loose")
"""The signs in their order; their meaning is told by `outline_pieces.lost_candidates` and `ground_candidates`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A logistic regression: one weight for each sign, and the constant."""

    weights: tuple[float, ...]
    constant: float

    def probability(self, signs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """P(0..1) of each row of signs (N x signs)."""
        told = np.clip(signs @ np.array(self.weights) + self.constant, -40.0, 40.0)
        return 1.0 / (1.0 + np.exp(-told))


LOST = Evidence((0.4154, 1.488, -0.08422, 0.9107, 1.459, 3.26, -3.287, -1.133, 0.7303, 1.319, 3.8), 3.693)
GROUND = Evidence((0.2088, 0.3428, 4.821, 0.1621, 0.6869, -0.1839, 7.464), -1.955)

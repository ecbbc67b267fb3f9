"""How several signs of the same defect of a mask become one value: what the checks measure, and what the critic says.

All are shares, 0 to 1, and so is their blend, a weighted power mean: the square of the mean of their roots. The weights
are those of a logistic regression on the roots, whose constant is the limit. `python -m
lora_assets.benchmarks.tier_critic` prints the numbers, which it fits on drawn scenes whose truth is known. Pure
numbers: how the signs are measured does not belong here (measures, mask_critic).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of the signs, which sum to 1, the limit beyond which the defect is likely enough to be told, and the one
    beyond which as many are called grave as are (shares 0..1)."""

    weights: tuple[float, ...]
    limit: float
    grave: float

    def share(self, *signs: float | None) -> float | None:
        """The blended share 0..1, of as many signs as there are weights; None where one of them cannot be told."""
        known = [sign for sign in signs if sign is not None]
        if len(known) < len(signs):
            return None
        roots = (math.sqrt(min(1.0, max(0.0, sign))) for sign in known)
        mean = sum(weight * root for weight, root in zip(self.weights, roots, strict=True))
        return min(1.0, mean * mean)


# What looks like the ground around, and what the critic calls too much.
BACKGROUND = Blend((0.2948, 0.7052), 0.04911, 0.175)
# Ends that look like the figure, how far the mask ends before its box, how plainly the body goes on where it ends, and
# what the critic misses beyond its outline.
LEFT_OUT = Blend((0.2161, 0.2879, 0.08129, 0.4146), 0.03626, 0.1519)
# What looks like the figure in the mask's gaps, and what the critic misses there.
HOLES = Blend((0.4536, 0.5464), 0.01994, 0.1804)

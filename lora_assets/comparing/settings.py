"""Section [compare] of a tracker: what counts as a change, and from which shares on the check warns or blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Settings of a comparison. All are numbers from 0 to 1; the defaults are starting points, to be tuned.

    least_difference: of two crops in one tier, how far apart their scores must be to count as better or worse.
    same_box: least intersection over union of two boxes of one frame that are one crop, above 0.
    warn_worse, block_worse: share of the matched crops that may be worse; beyond it the check warns or blocks.
    warn_lost, block_lost: share of the baseline's high and medium crops that may be gone. A share of 1 never warns or
    blocks. Raises ValueError for a value out of range, or a check that blocks before it warns.
    """

    least_difference: float = 0.02
    same_box: float = 0.8
    warn_worse: float = 0.02
    block_worse: float = 0.10
    warn_lost: float = 0.05
    block_lost: float = 0.20

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or not 0 <= value <= 1:
                raise ValueError(f"{setting.name} must be a number from 0 to 1, not {value!r}")
        if self.same_box <= 0:
            raise ValueError("same_box must be above 0: boxes that do not overlap are never one crop")
        for name in ("worse", "lost"):
            warn, block = getattr(self, f"warn_{name}"), getattr(self, f"block_{name}")
            if warn > block:
                raise ValueError(f"warn_{name} {warn} must not be above block_{name} {block}")

"""How videos become frames: what a person may set, without what decodes them (video)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Deinterlace = Literal["auto", "off", "all"]

_MOST_RATE = 60.0


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """`rate`: at most so many frames of each second of a shot are kept, each the sharpest of its stretch and no drawing
    twice; 0 keeps one of each shot. `deinterlace`: frames woven from two fields become one field of them: "auto" those
    that are seen to be combed, "all" every one, "off" none."""

    rate: float = 1.0
    deinterlace: Deinterlace = "auto"

    def __post_init__(self) -> None:
        """Raise ValueError for a rate or a way that is none."""
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 <= self.rate <= _MOST_RATE:
            raise ValueError(f"rate must lie from 0 to {_MOST_RATE:g} frames a second, not {self.rate!r}")
        if self.deinterlace not in get_args(Deinterlace):
            raise ValueError(f"deinterlace must be one of {', '.join(get_args(Deinterlace))}, not {self.deinterlace!r}")

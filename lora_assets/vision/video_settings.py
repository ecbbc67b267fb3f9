"""How videos become frames: what a person may set, without what decodes them (video)."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_RATE = 60.0


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """`rate`: at most so many frames of each second of a shot are kept, each the sharpest of its stretch and no drawing
    twice; 0 keeps one of each shot."""

    rate: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a rate that is none."""
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 <= self.rate <= _MOST_RATE:
            raise ValueError(f"rate must lie from 0 to {_MOST_RATE:g} frames a second, not {self.rate!r}")

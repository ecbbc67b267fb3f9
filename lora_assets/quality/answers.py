"""What a metric answers about one crop. A value that is no finite number never leaves a model's adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lora_assets.quality.pictures import QualityCrop


@dataclass(frozen=True, slots=True)
class Answer:
    """The value, or None and the reason; `parts` as the metric names them, NaN for a part that is not there."""

    value: float | None
    reason: str = ""
    parts: tuple[float, ...] = ()


MeasureCrops = Callable[[Sequence[QualityCrop], Sequence[str]], dict[str, list[Answer]]]
"""Crops and names of metrics in; for each name one answer per crop out."""

NO_WINDOW = "its frame is gone, and the metric looks at the window of the frame"


def checked(value: float, parts: tuple[float, ...] = ()) -> Answer:
    """The answer for a number that a model gave: a NaN or an infinite one is absent."""
    if not math.isfinite(value):
        return Answer(None, "the model answered with no finite number")
    return Answer(float(value), "", parts)


def absent(reason: str, crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
    """No value of these metrics for these crops."""
    return {name: [Answer(None, reason) for _ in crops] for name in names}

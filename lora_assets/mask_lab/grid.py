"""Which presets a sweep tries: the named ones and every combination of a grid, counted before any is made."""

from __future__ import annotations

import math
from itertools import product

from lora_assets.mask_lab.settings import MOST_PRESETS, MaskLabSettings
from lora_assets.specs import SpecError
from lora_assets.vision.refine_presets import Preset, changed_preset, find_preset

MOST_EVER = 100_000


class SweepRefused(SpecError):
    """A sweep is too large to be started unasked, or there is nothing to sweep; the text says why and the way out."""


def count_presets(settings: MaskLabSettings) -> int:
    """How many presets the settings ask for; combinations that come to the same chain are counted each."""
    return len(settings.presets) + (math.prod(len(values) for values in settings.axes.values()) if settings.grid else 0)


def is_large(settings: MaskLabSettings) -> bool:
    """True when the sweep must be asked for."""
    return count_presets(settings) > MOST_PRESETS


def planned_presets(settings: MaskLabSettings) -> list[Preset]:
    """The named presets, then those of the grid, each chain once. Raises SweepRefused for more than 100,000 and
    for a grid none of whose combinations is a chain."""
    count = count_presets(settings)
    if count > MOST_EVER:
        raise SweepRefused(
            f"the grid has {count:,} combinations, and {MOST_EVER:,} are the most of one sweep: sweep a coarse grid "
            "first, then a finer one around the best"
        )
    found: dict[tuple[object, ...], Preset] = {}
    for name in settings.presets:
        preset = find_preset(name)
        found.setdefault((*preset.parameters.values(),), preset)
    axes = settings.axes
    if axes:
        base = find_preset(settings.grid_base)
        for values in product(*axes.values()):
            try:
                preset = changed_preset(base, dict(zip(axes, values, strict=True)))
            except ValueError:
                continue  # each value alone is sound; together they are no chain, as a threshold without a Gaussian
            found.setdefault((*preset.parameters.values(),), preset)
    if not found:
        raise SweepRefused("no combination of the grid is a chain: a threshold and unsharp need a gaussian")
    return list(found.values())


def refusal(count: int, masks: int, seconds: float) -> SweepRefused:
    """The refusal of a large sweep, with its count and the time it would take."""
    return SweepRefused(
        f"this sweep has {count:,} presets over {masks} masks: {count * masks:,} refinements, about {_told(seconds)} "
        f"on this machine, measured on a few of them. It was not started. Take fewer values in the grid (up to "
        f"{MOST_PRESETS} presets start at once), or ask for it: --yes on the command line, or allow_large = true in "
        "section [mask_lab]"
    )


def _told(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

"""Which presets a sweep tries: the named ones and every combination of a grid, counted before any is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice, product

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


def must_be_asked_for(settings: MaskLabSettings) -> bool:
    """True when the sweep is large and was not asked for: its presets need not be made to refuse it."""
    return is_large(settings) and not settings.allow_large


def check_count(settings: MaskLabSettings) -> None:
    """Raise SweepRefused for more than 100,000 presets, asked for or not."""
    count = count_presets(settings)
    if count > MOST_EVER:
        raise SweepRefused(
            f"the grid has {count:,} combinations, and {MOST_EVER:,} are the most of one sweep: sweep a coarse grid "
            "first, then a finer one around the best"
        )


def named_presets(settings: MaskLabSettings) -> list[Preset]:
    """The named presets, each chain once."""
    return _each_once(find_preset(name) for name in settings.presets)


def planned_presets(settings: MaskLabSettings) -> list[Preset]:
    """The named presets, then those of the grid, each chain once. Raises SweepRefused as `check_count`, and for a grid
    none of whose combinations is a chain."""
    check_count(settings)
    found = _each_once([*named_presets(settings), *_of_grid(settings)])
    if not found:
        raise _no_chain()
    return found


def tried_presets(settings: MaskLabSettings) -> list[Preset]:
    """Up to three presets, from the middle and both ends of those that the settings ask for, without making the others.

    Raises SweepRefused as `planned_presets`.
    """
    check_count(settings)
    named, last = settings.presets, count_presets(settings) - 1
    found: list[Preset] = []
    for place in (0, last // 2, last):
        if place < len(named):
            found.append(find_preset(named[place]))
        else:
            found += islice(_of_grid(settings, place - len(named)), 1)
    if not found:
        raise _no_chain()
    return found


def _of_grid(settings: MaskLabSettings, start: int = 0) -> Iterator[Preset]:
    """The combinations of the grid that are chains, from one of all combinations on."""
    axes = settings.axes
    if not axes:
        return
    base = find_preset(settings.grid_base)
    for values in islice(product(*axes.values()), start, None):
        try:
            yield changed_preset(base, dict(zip(axes, values, strict=True)))
        except ValueError:
            continue  # each value alone is sound; together they are no chain, as a threshold without a Gaussian


def _each_once(presets: Iterable[Preset]) -> list[Preset]:
    found: dict[tuple[object, ...], Preset] = {}
    for preset in presets:
        found.setdefault((*preset.parameters.values(),), preset)
    return list(found.values())


def _no_chain() -> SweepRefused:
    return SweepRefused("no combination of the grid is a chain: a threshold and unsharp need a gaussian")


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

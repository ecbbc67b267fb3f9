"""What sections [mask_lab] and [layers] of a tracker may say. They look at results and change none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lora_assets.vision.refine_presets import PRESETS, check_parameter, find_preset
from lora_assets.vision.second_opinion import GRABCUT, NONE

WEIGHTS = {"iou": 0.35, "boundary_f": 0.2, "thin_kept": 0.2, "covered": 0.15, "clean": 0.1}
"""Parts of the objective and how much each counts. `covered` beside the IoU, since a LoRA suffers more from a missing
hand than from a rim of background; `clean` is 1 less the shares of specks and of holes that the judge does not have."""
MOST_PRESETS = 200
"""A sweep of more is refused unless it is asked for (`allow_large`)."""
TELEA, NAVIER_STOKES, LAMA = "telea", "ns", "lama"
METHODS = (TELEA, NAVIER_STOKES, LAMA)

_COUNTS = {"sample": (1, 500), "seed": (0, 2**31 - 1), "repeats": (1, 100), "pictures": (0, 100)}
_LAYER_COUNTS = {"frames": (0, 10**7), "seed": (0, 2**31 - 1), "radius": (1, 64), "grow": (0, 64)}


@dataclass(frozen=True, slots=True)
class MaskLabSettings:
    """Section [mask_lab].

    presets: the named presets that are swept, or presets of one's own (aggressive:dilate=5). grid: parameter to values,
    tried in every combination on top of the preset `grid_base`; allow_large: also more than 200 presets. sample: how
    many masks, drawn with `seed`, a quarter each the smallest, those with the thinnest parts, touching pairs.
    segmenter: weights of the U2Net family to look at whole frames with; empty for the tracker's own masks before
    refinement. truth: a folder with a truth.json (COCO instances) or mask files named like the frames (name.png, or
    name.1.png, name.2.png for one character each); empty for a truth.json beside the frames, where there is one.
    second_opinion: what masks without truth are compared with: "grabcut", weights of the U2Net family, or "none".
    repeats: how often each preset is timed. pictures: most presets of which pictures are kept, the best first (named
    ones before those of a grid). objective: weights of its parts.
    Raises ValueError for what does not fit.
    """

    presets: tuple[str, ...] = tuple(PRESETS)
    grid_base: str = "baseline"
    grid: Mapping[str, Any] = field(default_factory=dict)
    allow_large: bool = False
    sample: int = 12
    seed: int = 0
    segmenter: str = ""
    truth: str = ""
    second_opinion: str = GRABCUT
    repeats: int = 3
    pictures: int = 12
    objective: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))

    def __post_init__(self) -> None:
        _check_counts(self, _COUNTS)
        if not isinstance(self.presets, tuple) or not all(isinstance(name, str) for name in self.presets):
            raise ValueError(f"presets must be a list of names, not {self.presets!r}")
        for name in self.presets:
            find_preset(name)
        find_preset(self.grid_base)
        _check_grid(self.grid)
        if not self.presets and not self.grid:
            raise ValueError("there is nothing to sweep: name presets, or a grid")
        if not isinstance(self.allow_large, bool):
            raise ValueError(f"allow_large must be true or false, not {self.allow_large!r}")
        for name in ("segmenter", "truth"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, not {getattr(self, name)!r}")
        if not isinstance(self.second_opinion, str) or not self.second_opinion:
            raise ValueError(f'second_opinion must be "{NONE}", "{GRABCUT}" or weights, not {self.second_opinion!r}')
        _check_objective(self.objective)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The grid's parameters with their values, each value once."""
        return {name: tuple(dict.fromkeys(values)) for name, values in self.grid.items()}

    def facts(self) -> dict[str, Any]:
        """The settings as JSON values."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "presets": list(self.presets), "grid": {k: list(v) for k, v in self.axes.items()},
                "objective": dict(self.objective)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """Section [layers].

    method: how the background is painted where characters were: "telea" (Telea 2004), "ns" (Navier-Stokes, Bertalmio
    2001), or "lama" (Suvorov 2022, by onnxruntime, with `weights`). radius: pixels around each painted pixel that Telea
    and Navier-Stokes look at. grow: pixels by which the masks are grown before, so that no rim of the character is
    taken for background. frames: most frames of each dataset, drawn with `seed` among those with characters; 0 for all.
    Raises ValueError for what does not fit.
    """

    method: str = TELEA
    weights: str = "lama"
    radius: int = 5
    grow: int = 5
    frames: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")
        if not isinstance(self.weights, str) or not self.weights:
            raise ValueError(f"weights must name the LaMa weights, not {self.weights!r}")
        _check_counts(self, _LAYER_COUNTS)

    def facts(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def _check_counts(settings: Any, limits: Mapping[str, tuple[int, int]]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def _check_grid(grid: Any) -> None:
    if not isinstance(grid, Mapping):
        raise ValueError(f"grid must be a table such as {{dilate = [3, 5, 7]}}, not {grid!r}")
    for name, values in grid.items():
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(f"grid: {name} must be a list of values such as [3, 5, 7], not {values!r}")
        for value in values:
            check_parameter(name, value)


def _check_objective(weights: Any) -> None:
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"objective must be a table such as {{iou = 0.5, boundary_f = 0.5}}, not {weights!r}")
    unknown = sorted(set(weights) - set(WEIGHTS))
    if unknown:
        raise ValueError(f"objective has no part {', '.join(unknown)}; parts: {', '.join(WEIGHTS)}")
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise ValueError(f"objective: the weight of {name} must be a number from 0 to 1000, not {value!r}")
    if not any(weights.values()):
        raise ValueError("objective: all weights are 0, so that nothing is better than anything: give one a weight")

"""Refinement presets: the chain's parameters, the eight named ones with their reasons, and presets of one's own.

A preset of one's own is a named one with some parameters changed, written `aggressive:dilate=5,dilate_iterations=2`; it
can stand wherever a name can. What a chain does to a mask does not belong here (refine).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

from lora_assets.vision.matting import GUIDED, METHODS, NONE

_MOST_SIZE, _MOST_ITERATIONS, _MOST_AMOUNT = 99, 50, 8
_KERNELS = ("close", "open", "gaussian", "unsharp", "dilate")
_PAIRS = {
    "close": "close_iterations",
    "open": "open_iterations",
    "unsharp": "unsharp_amount",
    "dilate": "dilate_iterations",
}
_NEUTRAL_THRESHOLD = 127
_OWN = re.compile(r"\s*([a-z_]+)\s*:\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Preset:
    """One chain, in the order of its fields. Sizes are pixels of elliptic kernels, odd; 0 leaves a step out.

    `iterations` are OpenCV's: a closing with 5 grows five times, then shrinks five times. `unsharp` is the size of a
    second, wider Gaussian; `unsharp_amount` times what the first one has over it is added. `threshold` is of 255,
    applied to the smoothed mask (above stays). `matting` makes the soft edge of the crop's picture, the mask stays
    hard. `why` tells the reason of each parameter that is set. Raises ValueError, naming parameter, value and way out,
    for what no chain can have.
    """

    name: str
    description: str
    close: int = 0
    close_iterations: int = 0
    open: int = 0
    open_iterations: int = 0
    gaussian: int = 0
    unsharp: int = 0
    unsharp_amount: int = 0
    threshold: int = _NEUTRAL_THRESHOLD
    dilate: int = 0
    dilate_iterations: int = 0
    matting: str = NONE
    why: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            check_parameter(name, getattr(self, name))
        for kernel, count in _PAIRS.items():
            if bool(getattr(self, kernel)) != bool(getattr(self, count)):
                raise ValueError(
                    f"{kernel} = {getattr(self, kernel)} with {count} = {getattr(self, count)} does nothing: set both, "
                    "or both to 0 to leave the step out"
                )
        if self.unsharp and self.unsharp <= self.gaussian:
            raise ValueError(f"unsharp = {self.unsharp} must be wider than gaussian = {self.gaussian}: make it larger")
        if self.unsharp and not self.gaussian:
            raise ValueError("unsharp sharpens the smoothed mask, but gaussian is 0: set gaussian to 3 or more")
        if not self.gaussian and self.threshold != _NEUTRAL_THRESHOLD:
            raise ValueError(
                f"threshold = {self.threshold} cuts the smoothed mask, but gaussian is 0: set gaussian too"
            )

    @property
    def pad(self) -> int:
        """A margin in pixels around the mask beyond which the chain can neither write nor feel the window's end.

        A closing fills at most its own reach (only towards the frame's border), the smoothing adds its radius, what
        sharpens reads its own, growing adds its reach; an opening never adds. One pixel more keeps a zero at the rim,
        so that eroding finds no false edge.
        """
        return (
            self.close // 2 * self.close_iterations
            + self.gaussian // 2
            + self.unsharp // 2
            + self.dilate // 2 * self.dilate_iterations
            + 1
        )

    @property
    def parameters(self) -> dict[str, int | str]:
        """The parameters by name, in the order of the chain."""
        return {name: getattr(self, name) for name in PARAMETERS}

    @property
    def steps(self) -> str:
        """The chain in one line, for people."""
        told = []
        if self.close:
            told.append(f"close {self.close} x{self.close_iterations}")
        if self.open:
            told.append(f"open {self.open} x{self.open_iterations}")
        if self.gaussian:
            sharp = f", unsharp {self.unsharp} x{self.unsharp_amount}" if self.unsharp else ""
            told.append(f"Gaussian {self.gaussian}{sharp}, above {self.threshold}")
        if self.dilate:
            told.append(f"dilate {self.dilate} x{self.dilate_iterations}")
        if self.matting != NONE:
            told.append(f"soft edge ({self.matting})")
        return "; ".join(told) or "nothing"

    @property
    def slug(self) -> str:
        """The name as a folder's name and part of an address."""
        return self.name.replace(":", "__").replace(",", "_").replace("=", "")


PARAMETERS: tuple[str, ...] = tuple(
    each.name for each in fields(Preset) if each.name not in ("name", "description", "why")
)


def check_parameter(name: str, value: object) -> None:
    """Raise ValueError, naming the parameter, the value and the way out, for one that no chain can have."""
    if name not in PARAMETERS:
        near = difflib.get_close_matches(name, PARAMETERS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"a preset has no parameter {name!r}{hint}. Parameters: {', '.join(PARAMETERS)}")
    if name == "matting":
        if value not in METHODS:
            raise ValueError(f"matting must be one of {', '.join(METHODS)}, not {value!r}")
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if name in _KERNELS:
        if value < 0 or value > _MOST_SIZE:
            raise ValueError(
                f"{name} = {value} is no size of a kernel: use 0 (leave the step out) or 3 to {_MOST_SIZE}"
            )
        if value and (value % 2 == 0 or value == 1):
            near = "3" if value <= 2 else f"{value - 1} or {value + 1}"
            raise ValueError(
                f"{name} = {value}: a kernel has a middle pixel, so its size is odd and at least 3: use {near}, or 0 "
                "to leave the step out"
            )
        return
    most = {"threshold": 254, "unsharp_amount": _MOST_AMOUNT}.get(name, _MOST_ITERATIONS)
    if value < 0 or value > most:
        raise ValueError(f"{name} = {value} is out of range: use 0 to {most}")


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "aggressive",
            "whole characters before exact edges: closes gaps of up to 10 pixels and grows the outline by about 9",
            close=3,
            close_iterations=5,
            gaussian=3,
            threshold=100,
            dilate=7,
            dilate_iterations=3,
            why={
                "close": "given by the reference: the cross, so that gaps close along rows and columns",
                "close_iterations": "given by the reference: gaps of up to 10 pixels between strands of hair close",
                "gaussian": "given by the reference: takes the steps off the outline",
                "threshold": "given by the reference: under 127, so that corners are kept rather than cut",
                "dilate": "given by the reference: grows by 3 pixels at a time",
                "dilate_iterations": "given by the reference: 9 pixels in all, more than a segmenter misses of a line",
            },
        ),
        Preset(
            "extended",
            "steady second choice: closes gaps of up to 8 pixels, removes specks, grows the outline by about 4",
            close=5,
            close_iterations=2,
            open=5,
            open_iterations=1,
            gaussian=5,
            threshold=127,
            dilate=5,
            dilate_iterations=2,
            why={
                "close": "given by the reference: an ellipse, so that round gaps close evenly",
                "close_iterations": "given by the reference: gaps of up to 8 pixels close",
                "open": "given by the reference: specks and spurs thinner than 5 pixels go",
                "open_iterations": "given by the reference: once, so that limbs stay",
                "gaussian": "given by the reference: a smooth outline after the opening",
                "threshold": "given by the reference: half, so that straight edges stay where they are",
                "dilate": "given by the reference: grows by 2 pixels at a time",
                "dilate_iterations": "given by the reference: 4 pixels in all, about an ink line",
            },
        ),
        Preset(
            "smooth",
            "a smoother outline that covers as much as the segmenter's: steps and notches even out, tips round off",
            close=3,
            close_iterations=2,
            gaussian=11,
            threshold=127,
            why={
                "close": "the cross, only to fill what the smoothing alone would turn into dents",
                "close_iterations": "gaps of up to 4 pixels close, which makes up for the tips that round off",
                "gaussian": "evens out what is smaller than about 5 pixels, the steps of an enlarged mask",
                "threshold": "half, so that straight edges stay where they are and coverage stays the same",
            },
        ),
        Preset(
            "strong_edge",
            "an emphasised outline that covers as much as the segmenter's: specks go, corners and tips come out sharp",
            gaussian=5,
            unsharp=15,
            unsharp_amount=2,
            threshold=127,
            why={
                "gaussian": "takes specks and single spurs away",
                "unsharp": "three times as wide as the smoothing: emphasises what stands out over a few pixels",
                "unsharp_amount": "twice the difference gives back the corners and tips that the smoothing rounds off",
                "threshold": "half, so that straight edges stay where they are and coverage stays the same",
            },
        ),
        Preset("baseline", "the segmenter's mask as it is"),
        Preset(
            "alpha_matting",
            "the segmenter's mask as it is, with a soft edge in the crop's picture for hair and translucent cloth",
            matting=GUIDED,
            why={"matting": "the guided filter costs no package more; the hard mask stays the baseline's"},
        ),
        Preset(
            "conservative",
            "only what is surely the character: what is thinner than 5 pixels goes, and the outermost pixel with it",
            open=5,
            open_iterations=1,
            gaussian=5,
            threshold=190,
            why={
                "open": "an ellipse of 5: whatever no disc of 5 pixels fits into is not sure",
                "open_iterations": "once: twice would cut fingers and feet off",
                "gaussian": "gives the threshold levels to cut at",
                "threshold": "three quarters: the outermost pixel of a straight edge (175) goes, the next (239) stays",
            },
        ),
        Preset(
            "fine",
            "exact in the small: the outermost pixel of broad outlines goes, thin hair keeps its width, nothing closes",
            gaussian=3,
            unsharp=9,
            unsharp_amount=1,
            threshold=230,
            why={
                "gaussian": "the smallest there is: specks and spurs of one pixel go",
                "unsharp": "as wide as a strand of hair: what is thinner stands out against it",
                "unsharp_amount": "once lifts strands of 2 to 4 pixels over the threshold, and no straight edge",
                "threshold": "between the outermost pixel of a straight edge (228), mixed with the background, and the "
                "next (255)",
            },
        ),
    )
}  # fmt: skip


def find_preset(text: str) -> Preset:
    """The preset of a name, or of a name with changed parameters (`aggressive:dilate=5,dilate_iterations=2`).

    Raises ValueError with the names there are and the nearest one, or with what a parameter must be.
    """
    if text in PRESETS:
        return PRESETS[text]
    if not isinstance(text, str):
        raise ValueError(f"a refinement preset is a name, not {text!r}. Presets: {', '.join(PRESETS)}")
    return _own_preset(text)


@lru_cache(maxsize=4096)
def _own_preset(text: str) -> Preset:
    told = _OWN.fullmatch(text)
    name = told[1] if told else text
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"there is no refinement preset {name!r}{hint}. Presets: {', '.join(PRESETS)}")
    changes: dict[str, int | str] = {}
    for part in told[2].split(",") if told else ():
        parameter, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"preset {text!r}: write changed parameters as {name}:dilate=5,dilate_iterations=2")
        if parameter in changes:
            raise ValueError(f"preset {text!r} sets {parameter} twice: once is enough")
        changes[parameter] = int(value) if re.fullmatch(r"-?\d{1,6}", value) else value
    return changed_preset(PRESETS[name], changes)


def changed_preset(base: Preset, changes: Mapping[str, int | str]) -> Preset:
    """`base` with other parameters, named after it and them; `base` itself when nothing differs.

    A kernel without iterations gets one; one of the two set to 0 leaves the whole step out. Raises ValueError for a
    parameter that is unknown or that no chain can have.
    """
    for name, value in changes.items():
        check_parameter(name, value)
    values = {**base.parameters, **changes}
    for kernel, count in _PAIRS.items():
        if values[kernel] and not values[count] and count not in changes:
            values[count] = 1
        if not values[kernel] or not values[count]:
            values[kernel] = values[count] = 0
    if not values["gaussian"]:
        neutral = {"unsharp": 0, "threshold": _NEUTRAL_THRESHOLD}
        stray = [name for name, value in neutral.items() if changes.get(name, value) != value]
        if stray:
            raise ValueError(f"{stray[0]} works on the smoothed mask, but gaussian is 0: set gaussian to 3 or more")
        values |= {"unsharp": 0, "unsharp_amount": 0, "threshold": _NEUTRAL_THRESHOLD}
    differing = {name: value for name, value in values.items() if value != getattr(base, name)}
    if not differing:
        return base
    told = ",".join(f"{name}={value}" for name, value in differing.items())
    return replace(
        base, name=f"{base.name}:{told}", description=f"{base.name} with {told.replace(',', ', ')}", why={}, **values
    )  # pyright: ignore[reportArgumentType]

"""Refinement of masks by named preset: closing, opening, smoothing, threshold and growing, inside the mask's window.

Everything runs on the mask's bounding box plus a margin that the preset's kernels prove to be enough, and gives the
same pixels as the whole frame would. What belongs elsewhere: the presets and their numbers (refine_presets), choosing
among them by measurement (mask_lab).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.tables import Mask
from lora_assets.vision.mask_facts import measure_shape
from lora_assets.vision.masks import (
    BoolMask,
    Window,
    encode_mask,
    mask_bounds,
    mask_pixels,
    place_pixels,
)
from lora_assets.vision.matting import NONE, check_method
from lora_assets.vision.neighbours import Claim, divide
from lora_assets.vision.refine_presets import PRESETS, Preset, check_parameter, find_preset

CODE_VERSION = "2"

__all__ = [
    "CODE_VERSION",
    "PRESETS",
    "Preset",
    "RefineSettings",
    "check_parameter",
    "find_preset",
    "recipe_facts",
    "refine_in_box",
    "refine_pixels",
    "refine_row",
    "refine_rows",
]


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """Which preset refines the masks of a tracker, whether growing spares the neighbours' pixels, and how the soft edge
    of the crops' pictures is made (see `matting.METHODS`; the masks themselves stay hard).
    """

    preset: str = "aggressive"
    spare_neighbours: bool = True
    matting: str = NONE

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown preset or matting, before any frame is worked on."""
        find_preset(self.preset)
        if not isinstance(self.spare_neighbours, bool):
            raise ValueError(f"spare_neighbours must be true or false, not {self.spare_neighbours!r}")
        check_method(self.matting)
        check_method(self.edge)

    @property
    def edge(self) -> str:
        """How the soft edge is made: as `matting` says, or as the preset does where it says none."""
        return self.matting if self.matting != NONE else find_preset(self.preset).matting


_KNOWN_BY_NAME = ("aggressive", "extended", "baseline")
"""Presets whose parameters CODE_VERSION stands for. Those of all others are part of the recipe, so that results made
before there were others keep their address; a test pins these three."""


def recipe_facts(settings: RefineSettings) -> dict[str, Any]:
    """The settings as a recipe keeps them: the preset by its full name, with its numbers unless the name says all."""
    preset = find_preset(settings.preset)
    facts = {"preset": preset.name, "spare_neighbours": settings.spare_neighbours, "matting": settings.edge}
    if preset.name in _KNOWN_BY_NAME:
        return facts
    return {**facts, **{name: value for name, value in preset.parameters.items() if name != "matting"}}


@cache
def _kernel(size: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def refine_pixels(mask: BoolMask, preset: Preset) -> BoolMask:
    """The chain of `preset` on a bool HxW mask, as its authors run it on whole frames."""
    # In place and on 0 and 1 as far as it goes: fresh arrays of this size cost as much as the steps themselves.
    levels = mask.astype(np.uint8)
    if preset.close:
        times = preset.close_iterations
        cv2.morphologyEx(levels, cv2.MORPH_CLOSE, _kernel(preset.close), levels, iterations=times)
    if preset.open:
        cv2.morphologyEx(levels, cv2.MORPH_OPEN, _kernel(preset.open), levels, iterations=preset.open_iterations)
    if preset.gaussian:
        np.multiply(levels, np.uint8(255), out=levels)
        cv2.GaussianBlur(levels, (preset.gaussian, preset.gaussian), 0, levels)
        if preset.unsharp:
            wide = cv2.GaussianBlur(levels, (preset.unsharp, preset.unsharp), 0)
            # Whole numbers times bytes: exact in float, so that a window and a frame round alike.
            cv2.addWeighted(levels, 1 + preset.unsharp_amount, wide, -preset.unsharp_amount, 0, levels)
        cv2.threshold(levels, preset.threshold, 1, cv2.THRESH_BINARY, levels)
    if preset.dilate:
        cv2.dilate(levels, _kernel(preset.dilate), levels, iterations=preset.dilate_iterations)
    return levels.view(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class InBox:
    """A mask in `window` (x, y, width, height of the frame), before and after the chain."""

    window: Window
    before: BoolMask
    after: BoolMask


def refine_in_box(mask: BoolMask, x: int, y: int, frame_width: int, frame_height: int, preset: Preset) -> InBox:
    """The chain on the bounding box of a mask with its corner at (x, y) of the frame, and the margin that the preset
    proves to be enough; a mask without pixels keeps its window."""
    bounds = mask_bounds(mask)
    if bounds is None:
        return InBox((x, y, mask.shape[1], mask.shape[0]), mask, mask)
    window = _padded((x + bounds[0], y + bounds[1], *bounds[2:]), preset.pad, frame_width, frame_height)
    before = place_pixels(mask, x, y, window)
    return InBox(window, before, refine_pixels(before, preset))


def refine_row(row: Mask, frame_width: int, frame_height: int, settings: RefineSettings = RefineSettings()) -> Mask:
    """The refined mask of a row, in a window trimmed to its pixels, with its shape measured.

    Equal, pixel by pixel, to the preset's chain on the whole frame. A mask without pixels keeps its window. Raises
    ValueError for an unknown preset.
    """
    return refine_rows([row], frame_width, frame_height, settings)[0]


def refine_rows(
    rows: Sequence[Mask], frame_width: int, frame_height: int, settings: RefineSettings = RefineSettings()
) -> list[Mask]:
    """The refined masks of all subjects of one frame, in order.

    With `spare_neighbours` no mask grows into pixels that the segmenter gave to another subject, and a pixel into which
    two masks grow goes to the nearer; pixels that both had from the start stay with both. Raises ValueError for an
    unknown preset.
    """
    preset = find_preset(settings.preset)
    grown = [refine_in_box(mask_pixels(row), row.x, row.y, frame_width, frame_height, preset) for row in rows]
    if settings.spare_neighbours and len(grown) > 1:
        grown = _spared(grown)
    return [
        _trimmed(row, each, frame_width, frame_height, settings.edge) for row, each in zip(rows, grown, strict=True)
    ]


def _spared(grown: Sequence[InBox]) -> list[InBox]:
    """The masks with what they grew into taken back where it was a neighbour's, or where a neighbour is nearer."""
    free: list[BoolMask] = []
    for each in grown:
        new = each.after & ~each.before
        for other in grown:
            if other is not each:
                new &= ~place_pixels(other.before, other.window[0], other.window[1], each.window)
        free.append(new)
    claims = [Claim(*each.window[:2], new, -_distance(each.before)) for each, new in zip(grown, free, strict=True)]
    return [
        replace(each, after=(each.after & each.before) | share.mask)
        for each, share in zip(grown, divide(claims), strict=True)
    ]


def _distance(mask: BoolMask) -> npt.NDArray[np.float32]:
    """Distance in pixels to the nearest pixel of the mask; 0 on it, and everywhere when it has none."""
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3), np.float32)


def _padded(window: Window, pad: int, frame_width: int, frame_height: int) -> Window:
    x, y, width, height = window
    left, top = max(0, x - pad), max(0, y - pad)
    right, bottom = min(frame_width, x + width + pad), min(frame_height, y + height + pad)
    return left, top, right - left, bottom - top


def _trimmed(row: Mask, grown: InBox, frame_width: int, frame_height: int, matting: str) -> Mask:
    """The row of a grown mask. An opening can remove a mask of a few pixels: the row stays, empty, in its old window,
    so that its box is accounted for."""
    window = grown.window
    bounds = mask_bounds(grown.after)
    if bounds is None:
        kept, place = np.zeros((row.height, row.width), np.bool_), (row.x, row.y)
    else:
        x, y, width, height = bounds
        kept, place = grown.after[y : y + height, x : x + width], (window[0] + x, window[1] + y)
    area = int(np.count_nonzero(kept))
    shape = measure_shape(kept, *place, frame_width, frame_height)
    return replace(
        row,
        x=place[0],
        y=place[1],
        width=kept.shape[1],
        height=kept.shape[0],
        rle=encode_mask(kept),
        area=area,
        coverage=min(1.0, area / (frame_width * frame_height)),
        holes=shape.holes,
        specks=shape.specks,
        speck_share=shape.speck_share,
        edge_contact=list(shape.edge_contact),
        matting=matting,
    )

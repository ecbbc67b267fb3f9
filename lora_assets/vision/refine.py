"""Refinement of masks by named preset: closing, opening, smoothing, threshold and growing, inside the mask's window.

Everything runs on the mask's bounding box plus a margin that the preset's kernels prove to be enough, and gives the
same pixels as the whole frame would. Choosing among presets by measurement does not belong here.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.tables import Mask
from lora_assets.vision.masks import BoolMask, Window, encode_mask, mask_bounds, mask_pixels, window_pixels

CODE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Preset:
    """One chain, in the order of its fields. Sizes are pixels of elliptic kernels, odd; 0 leaves a step out.

    `iterations` are OpenCV's: a closing with 5 grows five times, then shrinks five times. `threshold` is of 255,
    applied to the smoothed mask (above stays).
    """

    name: str
    description: str
    close: int = 0
    close_iterations: int = 0
    open: int = 0
    open_iterations: int = 0
    gaussian: int = 0
    threshold: int = 127
    dilate: int = 0
    dilate_iterations: int = 0

    @property
    def pad(self) -> int:
        """A margin in pixels around the mask beyond which the chain can neither write nor feel the window's end.

        A closing fills at most its own reach (only towards the frame's border), the smoothing adds its radius, growing
        its reach; an opening never adds. One pixel more keeps a zero at the rim, so that eroding finds no false edge.
        """
        return (
            self.close // 2 * self.close_iterations + self.gaussian // 2 + self.dilate // 2 * self.dilate_iterations + 1
        )


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
        ),
        Preset("baseline", "the segmenter's mask as it is"),
    )
}


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """Which preset refines the masks of a tracker, and whether growing may take pixels of a neighbour's mask."""

    preset: str = "aggressive"
    spare_neighbours: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown preset, before any frame is worked on."""
        find_preset(self.preset)


def find_preset(name: str) -> Preset:
    """The preset of a name. Raises ValueError with the names there are, and the nearest one."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"there is no refinement preset {name!r}{hint}. Presets: {', '.join(PRESETS)}")


@cache
def _kernel(size: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def refine_pixels(mask: BoolMask, preset: Preset) -> BoolMask:
    """The chain of `preset` on a bool HxW mask, as its authors run it on whole frames."""
    levels = mask.astype(np.uint8) * np.uint8(255)
    if preset.close:
        levels = cv2.morphologyEx(levels, cv2.MORPH_CLOSE, _kernel(preset.close), iterations=preset.close_iterations)
    if preset.open:
        levels = cv2.morphologyEx(levels, cv2.MORPH_OPEN, _kernel(preset.open), iterations=preset.open_iterations)
    if preset.gaussian:
        levels = cv2.GaussianBlur(levels, (preset.gaussian, preset.gaussian), 0)
        levels = cv2.threshold(levels, preset.threshold, 255, cv2.THRESH_BINARY)[1]
    if preset.dilate:
        levels = cv2.dilate(levels, _kernel(preset.dilate), iterations=preset.dilate_iterations)
    return np.asarray(levels) > 0


def refine_row(row: Mask, frame_width: int, frame_height: int, settings: RefineSettings = RefineSettings()) -> Mask:
    """The refined mask of a row, in a window trimmed to its pixels. A mask without pixels stays as it is.

    Equal, pixel by pixel, to the preset's chain on the whole frame. Raises ValueError for an unknown preset.
    """
    return _refine(row, (), frame_width, frame_height, find_preset(settings.preset))


def refine_rows(
    rows: Sequence[Mask], frame_width: int, frame_height: int, settings: RefineSettings = RefineSettings()
) -> list[Mask]:
    """The refined masks of all subjects of one frame, in order.

    With `spare_neighbours` no mask grows into pixels that the segmenter gave to another subject; pixels that both had
    from the start stay with both. Raises ValueError for an unknown preset.
    """
    preset = find_preset(settings.preset)
    refined = []
    for row in rows:
        others = tuple(other for other in rows if other is not row) if settings.spare_neighbours else ()
        refined.append(_refine(row, others, frame_width, frame_height, preset))
    return refined


def _refine(row: Mask, others: Sequence[Mask], frame_width: int, frame_height: int, preset: Preset) -> Mask:
    pixels = mask_pixels(row)
    bounds = mask_bounds(pixels)
    if bounds is None:
        return replace(row, area=0, coverage=0.0)
    window = _padded((row.x + bounds[0], row.y + bounds[1], *bounds[2:]), preset.pad, frame_width, frame_height)
    before = window_pixels(row, window)
    after = refine_pixels(before, preset)
    for other in others:
        after &= before | ~window_pixels(other, window)
    return _trimmed(row, after, window, frame_width, frame_height)


def _padded(window: Window, pad: int, frame_width: int, frame_height: int) -> Window:
    x, y, width, height = window
    left, top = max(0, x - pad), max(0, y - pad)
    right, bottom = min(frame_width, x + width + pad), min(frame_height, y + height + pad)
    return left, top, right - left, bottom - top


def _trimmed(row: Mask, pixels: BoolMask, window: Window, frame_width: int, frame_height: int) -> Mask:
    bounds = mask_bounds(pixels)
    if bounds is None:
        # An opening can remove a mask of a few pixels: the row stays, empty, so that its box is accounted for.
        return replace(row, rle=encode_mask(np.zeros((row.height, row.width), np.bool_)), area=0, coverage=0.0)
    x, y, width, height = bounds
    kept = pixels[y : y + height, x : x + width]
    area = int(np.count_nonzero(kept))
    return replace(
        row,
        x=window[0] + x,
        y=window[1] + y,
        width=width,
        height=height,
        rle=encode_mask(kept),
        area=area,
        coverage=min(1.0, area / (frame_width * frame_height)),
    )

"""The window of a crop that is exported: the crop with a margin, grown until no trainer cuts the head off.

A trainer scales a picture until it covers one of its sizes and cuts the rest. The margin takes most of that; a figure
at the frame's edge has none, and very tall ones have no size. Such windows grow, first inside the frame, then beyond.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lora_assets.exports.buckets import BucketRule, kept_part, trainers_rules
from lora_assets.exports.settings import ExportSettings
from lora_assets.vision.cutout import Xyxy, share_inside
from lora_assets.vision.masks import BoolMask, Window

_STEP = 0.02
_MOST_GROWTH = 4.0
# The reading measures dilated masks after rounding to pixels: keep clear of the limits.
_CLEAR = 0.7
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A crop's mask (bool HxW) in its own window (x, y, width, height of the frame), and its head's box (xyxy of the
    frame), if one is known."""

    mask: BoolMask
    window: Window
    head: Xyxy | None


@lru_cache(maxsize=8)
def _rules(settings: ExportSettings) -> tuple[BucketRule, ...]:
    return trainers_rules(settings)


def fit_window(figure: Figure, frame_size: tuple[int, int], settings: ExportSettings, *, inside: bool) -> Window:
    """The window to export, x, y, width, height of the frame; it may reach beyond the frame.

    inside: the margin ends at the frame's edge (for pictures of the frame); else it is always whole (for cut-outs).
    """
    x, y, width, height = figure.window
    across, down = math.ceil(width * settings.margin), math.ceil(height * settings.margin)
    window = (x - across, y - down, width + 2 * across, height + 2 * down)
    if inside:
        left, top = max(0, window[0]), max(0, window[1])
        right, bottom = min(frame_size[0], x + width + across), min(frame_size[1], y + height + down)
        window = (left, top, right - left, bottom - top)
    rules = _rules(settings)
    if keeps_enough(figure, window, rules, settings):
        return window
    for wider in _grown(window, frame_size if inside else None):
        if keeps_enough(figure, wider, rules, settings):
            return wider
    return window


def keeps_enough(figure: Figure, window: Window, rules: tuple[BucketRule, ...], settings: ExportSettings) -> bool:
    """True when none of the trainers cuts more of the head and of the mask than the settings allow."""
    head = None if figure.head is None else _inside(figure.head, window)
    for rule in rules:
        left, top, right, bottom = kept_part(window[2], window[3], rule(window[2], window[3]))
        kept = (left + window[0], top + window[1], right + window[0], bottom + window[1])
        if head is not None and 1.0 - share_inside(head, kept) > _CLEAR * settings.most_head_cut + _ROUNDING:
            return False
        if _mask_cut(figure, kept) > _CLEAR * settings.most_mask_cut + _ROUNDING:
            return False
    return True


def _inside(head: Xyxy, window: Window) -> Xyxy | None:
    """The part of a head inside the window, None when there is none: the rest is not in the picture."""
    x, y, width, height = window
    part = max(head[0], x), max(head[1], y), min(head[2], x + width), min(head[3], y + height)
    return part if part[2] > part[0] and part[3] > part[1] else None


def _mask_cut(figure: Figure, kept: Xyxy) -> float:
    x, y = figure.window[:2]
    rows = slice(max(0, math.ceil(kept[1] - y)), max(0, math.floor(kept[3] - y)))
    columns = slice(max(0, math.ceil(kept[0] - x)), max(0, math.floor(kept[2] - x)))
    whole = int(figure.mask.sum())
    return 1.0 - int(figure.mask[rows, columns].sum()) / whole if whole else 0.0


def _grown(window: Window, frame_size: tuple[int, int] | None) -> Iterator[Window]:
    """Wider and taller windows around the same middle, from the least growth on. With a frame they are moved into it
    where they fit, and those come first."""
    beyond: list[Window] = []
    for step in range(1, round(_MOST_GROWTH / _STEP)):
        for axis in (0, 1):
            size = [window[2], window[3]]
            size[axis] += max(1, round(size[axis] * _STEP * step))
            x, y = (window[at] + (window[at + 2] - size[at]) // 2 for at in (0, 1))
            if frame_size is not None:
                x, y = _placed(x, size[0], frame_size[0]), _placed(y, size[1], frame_size[1])
            grown = (x, y, size[0], size[1])
            if frame_size is None or (size[0] <= frame_size[0] and size[1] <= frame_size[1]):
                yield grown
            else:
                beyond.append(grown)
    yield from beyond


def _placed(start: int, size: int, frame: int) -> int:
    """Where a side of `size` begins, moved into the frame; in the frame's middle when it is longer."""
    return (frame - size) // 2 if size >= frame else min(max(0, start), frame - size)

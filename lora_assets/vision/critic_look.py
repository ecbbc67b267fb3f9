"""What the mask critic sees of a cut-out: a square around its mask and its box, always at the same size.

Training and running build it by the same code. What the critic answers, and what is measured in its answers, is in
`lora_assets.vision.mask_critic`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, Window
from lora_assets.vision.starter_sam import PIXEL_MEAN, PIXEL_STD

LOOK_SIDE = 144
"""Pixels per side of a look."""
LOOK_STEP = 2
"""Pixels of a look per pixel of the answer's maps."""
CHANNELS = 7
"""Red, green, blue, box, masks of the others, the mask, and where the frame is."""
MARGIN = 0.2
"""How far a look reaches beyond mask and box, in their longer sides."""
BEYOND = 0.6
"""How far at most the box is followed beyond the mask, in the mask's longer sides."""
SMALLEST_LOOK = 32
SOFT_EDGE = 3.0
"""Pixels of a look over which the drawn box fades."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """A square of the frame: left, top and side in pixels; it may reach outside."""

    left: int
    top: int
    side: int

    def part(self, width: int, height: int) -> Window:
        """The part of it that lies in a frame: x, y, width, height. It has pixels when the mask has some."""
        x1, y1 = max(0, self.left), max(0, self.top)
        x2, y2 = min(width, self.left + self.side), min(height, self.top + self.side)
        return x1, y1, max(0, x2 - x1), max(0, y2 - y1)

    @property
    def scale(self) -> float:
        """Pixels of the look per pixel of the frame."""
        return LOOK_SIDE / self.side


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A look's layers, all `LOOK_SIDE` squares: `picture` (uint8 RGB), the coverage 0..1 of `mask` and of the `others`'
    masks, `inside` (1 where the frame is, else 0), `box` from -1 outside to 1 inside."""

    picture: npt.NDArray[np.uint8]
    mask: Floats
    others: Floats
    inside: Floats
    box: Floats

    def layers(self) -> Floats:
        """What the network takes: float32 `CHANNELS` x side x side."""
        pixels = (self.picture.astype(np.float32) - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
        pixels *= self.inside[..., None]
        others, mask = self.others, (2.0 * self.mask - 1.0) * self.inside
        return np.concatenate([pixels.transpose(2, 0, 1), np.stack([self.box, others, mask, self.inside])])


def look_around(bounds: Window, box: tuple[float, float, float, float], width: int, height: int) -> Look:
    """The look at a mask's bounds (x, y, width, height) and its detection's box (xyxy) in a frame of that size."""
    x, y, w, h = bounds
    reach = BEYOND * max(w, h)
    told = np.nan_to_num(np.array(box, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    # A box turned inside out, or nowhere near the mask, tells nothing.
    if told[2] <= told[0] or told[3] <= told[1]:
        told = np.array([x, y, x + w, y + h], np.float64)
    x1 = max(min(float(x), told[0]), x - reach, 0.0)
    y1 = max(min(float(y), told[1]), y - reach, 0.0)
    x2 = min(max(float(x + w), told[2]), x + w + reach, float(width))
    y2 = min(max(float(y + h), told[3]), y + h + reach, float(height))
    side = max(SMALLEST_LOOK, int(np.ceil(max(x2 - x1, y2 - y1) * (1 + 2 * MARGIN))))
    return Look(round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side)


def paint(
    look: Look,
    size: tuple[int, int],
    image: RgbImage,
    mask: BoolMask,
    others: BoolMask,
    box: tuple[float, float, float, float],
) -> Canvas:
    """The layers of a look in a frame of `size` (width, height), from its part of the frame: `image` HxWx3, `mask` and
    `others` HxW (see `Look.part`); `box` is xyxy in pixels of the frame."""
    place, to = _place(look, size)
    picture = np.zeros((LOOK_SIDE, LOOK_SIDE, 3), np.uint8)
    inside = np.zeros((LOOK_SIDE, LOOK_SIDE), np.float32)
    if min(to) > 0:
        picture[place] = cv2.resize(image, to, interpolation=_smooth(look))
        inside[place] = 1.0
    return Canvas(picture, coverage(look, size, mask), coverage(look, size, others), inside, _drawn_box(look, box))


def coverage(look: Look, size: tuple[int, int], layer: BoolMask) -> Floats:
    """The share 0..1 of each pixel of a look that a mask of its part of the frame holds; 0 outside the frame."""
    place, to = _place(look, size)
    whole = np.zeros((LOOK_SIDE, LOOK_SIDE), np.float32)
    if min(to) > 0:
        whole[place] = cv2.resize(layer.astype(np.uint8) * np.uint8(255), to, interpolation=_smooth(look))
        whole *= np.float32(1 / 255)
    return whole


def cells(layer: Floats) -> Floats:
    """The means of a layer of a look over the squares of `LOOK_STEP` that the maps answer for."""
    side = LOOK_SIDE // LOOK_STEP
    return layer.reshape(side, LOOK_STEP, side, LOOK_STEP).mean(axis=(1, 3))


def _place(look: Look, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Where the frame lies in a look, and how wide and high that is."""
    x, y, wide, tall = look.part(*size)
    x1, x2 = _span(x - look.left, wide, look.scale)
    y1, y2 = _span(y - look.top, tall, look.scale)
    return np.s_[y1:y2, x1:x2], (x2 - x1, y2 - y1)


def _smooth(look: Look) -> int:
    return cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR


def _span(begin: int, length: int, scale: float) -> tuple[int, int]:
    """Where a run of the frame's pixels lies in the look; at least one pixel where it has any."""
    low = min(LOOK_SIDE - 1, max(0, round(begin * scale)))
    high = min(LOOK_SIDE, round((begin + length) * scale))
    return low, max(high, low + 1) if length > 0 else low


def _drawn_box(look: Look, box: tuple[float, float, float, float]) -> Floats:
    x1, y1, x2, y2 = np.nan_to_num(np.array(box, np.float64), nan=0.0, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6)
    places = np.arange(LOOK_SIDE, dtype=np.float64) + 0.5
    across = np.minimum(places - (x1 - look.left) * look.scale, (x2 - look.left) * look.scale - places)
    down = np.minimum(places - (y1 - look.top) * look.scale, (y2 - look.top) * look.scale - places)
    drawn = np.minimum(across[None, :], down[:, None]) / SOFT_EDGE
    return np.clip(drawn, -1.0, 1.0).astype(np.float32)

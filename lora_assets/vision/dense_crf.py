"""A fully connected random field over the pixels of a window: those of like colour, near each other, answer alike.

Drawn figures are flat patches of colour; a network that sees 80 cells a side answers such a patch in parts and misses
its outline by a cell. Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials" (2011): mean field over two labels with one Gaussian kernel over colour and place. Instead of their lattice,
colours are gathered into a palette of the window and places into cells, so that the kernel is two small matrices. Which
logits go in and what becomes a mask belongs elsewhere (starter_boxes).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage

CODE_VERSION = "1"

Field = npt.NDArray[np.float32]

# All set on drawn scenes (seeds 21000 to 21149, looked at again on 21150 to 21399).
COLOUR_REACH = 4.5
"""Standard deviation of the kernel over colour, in CIELAB as OpenCV writes it into bytes."""
PLACE_REACH = 1 / 8
"""Standard deviation of the kernel over place, in sides of the window."""
WEIGHT = 3.0
"""What the pixels that are alike weigh, beside the logits that come in."""
LEAN = 0.3
"""Added to the logits: a figure has less area than what is around it, and would lose where colours are shared."""
ROUNDS = 3
CELLS = 16
"""Places per side of the window."""
DOTTED = 22.0
"""Mean difference in grey levels of pixels from their surroundings (standard deviation 3) from which on a window is
made of dots and hatching: its pixels' colours then say nothing, and are smoothed first."""
DOT_REACH = 1.5
COLOUR_STEP = 6
MOST_COLOURS = 450
_COARSER = 1.25
_STRIDE = 2
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class _Kernel:
    """Which of the K colours and of the CELLS x CELLS places each pixel has (`bins`, (n,n)), and how much colours (K,K)
    and rows or columns of cells (CELLS,CELLS) have to do with each other."""

    bins: npt.NDArray[np.int32]
    colours: Field
    places: Field

    @property
    def count(self) -> int:
        return len(self.colours) * CELLS * CELLS

    def spread(self, sums: Field) -> Field:
        """Sums per bin, each with what is alike and near."""
        by_colour = (self.colours @ sums.reshape(len(self.colours), -1)).reshape(-1, CELLS, CELLS)
        return np.asarray(self.places @ by_colour @ self.places, np.float32).ravel()


def agreed(pixels: RgbImage, covered: Field, logits: Field) -> Field:
    """Logits (n,n) after the pixels (n,n,3) of the window that are alike have agreed, n of `CELLS` or more.

    `covered` (n,n) is 1 where the frame is in the window and 0 outside: what is outside has no say.
    """
    kernel = _kernel(_smoothed(pixels, covered))
    few = np.s_[::_STRIDE, ::_STRIDE]
    bins, own = np.ascontiguousarray(kernel.bins[few]).ravel(), (logits[few] + np.float32(LEAN)).ravel()
    say = np.maximum(covered[few], _LEAST_WEIGHT).ravel()

    def gathered(values: Field) -> Field:
        return kernel.spread(np.bincount(bins, values * say, minlength=kernel.count).astype(np.float32))

    total = np.maximum(gathered(np.ones_like(own)), np.float32(1e-6))
    told = np.zeros(kernel.count, np.float32)
    for _ in range(ROUNDS):
        told = np.float32(WEIGHT) * gathered(np.tanh((own + told[bins]) / 2)) / total
    return np.asarray(logits + np.float32(LEAN) + told[kernel.bins], np.float32)


def _smoothed(pixels: RgbImage, covered: Field) -> RgbImage:
    """The picture, without dots and hatching where it is made of them."""
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
    differences = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 3))[covered > 0]
    if not differences.size or differences.mean() < DOTTED:
        return pixels
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), DOT_REACH), np.uint8)


def _kernel(pixels: RgbImage) -> _Kernel:
    side = len(pixels)
    lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.uint8)
    numbers, means = _palette(lab)
    squares = (means**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None, :] - 2 * means @ means.T, 0)
    colours = np.exp(-distance / (2 * COLOUR_REACH**2)).astype(np.float32)
    place = np.arange(side) * CELLS // side
    bins = (numbers * (CELLS * CELLS) + place[:, None] * CELLS + place[None, :]).astype(np.int32)
    middles = (np.arange(CELLS) + 0.5) / CELLS
    places = np.exp(-((middles[:, None] - middles[None, :]) ** 2) / (2 * PLACE_REACH**2)).astype(np.float32)
    return _Kernel(bins, colours, places)


def _palette(lab: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], Field]:
    """The number of each pixel's colour (n,n), from 0 to K - 1, and the K colours (K,3), no more than MOST_COLOURS."""
    step = COLOUR_STEP
    while True:
        levels = np.arange(256) // step
        count = int(levels[-1]) + 1
        codes = (levels * count * count)[lab[..., 0]] + (levels * count)[lab[..., 1]] + levels[lab[..., 2]]
        sizes = np.bincount(codes.ravel(), minlength=count**3)
        present = sizes > 0
        if np.count_nonzero(present) <= MOST_COLOURS:
            break
        step = int(np.ceil(step * _COARSER))
    order = np.zeros(count**3, np.int64)
    order[present] = np.arange(np.count_nonzero(present))
    numbers = order[codes]
    sums = [np.bincount(numbers.ravel(), lab[..., channel].ravel()) for channel in range(3)]
    return numbers, (np.stack(sums, axis=1) / sizes[present][:, None]).astype(np.float32)

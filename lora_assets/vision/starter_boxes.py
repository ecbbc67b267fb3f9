"""The starter SAM asked for boxes: each is looked at twice, as it is and mirrored, and its pixels then agree by colour.

A network that was trained for hours errs in another way in the mirror, and its cells are coarse: both cost less than
what they gain (docs/BENCHMARKS.md). The looks are cut from the frame in full (starter_windows). Which boxes are asked,
what a mask may reach and how neighbours are divided is in segment; clicks are in click_starter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision import dense_crf
from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.dense_crf import Field
from lora_assets.vision.images import RgbImage
from lora_assets.vision.starter_sam import LOOK_SIDE
from lora_assets.vision.starter_windows import Square, cut_window, network_input, window_around, without_norms

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

CODE_VERSION = f"1.{dense_crf.CODE_VERSION}"
"""Counts in recipes whose segmenter is of this family, and in no others."""

FINE_SIDE = 320
"""Pixels per side of the window in which pixels agree, whatever its side in the frame."""
_OUTSIDE = -12.0
_LOGIT_LIMIT = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class StarterAnswer:
    """What the starter says of a box.

    window: the square of the frame that it looked at; logits (L,L): its single mask there, the mean of both looks;
    told: the network's own estimate of one look's IoU, 0 to 1, the mean of both; fine (FINE_SIDE,FINE_SIDE): the logits
    after pixels agreed.
    """

    window: Square
    logits: Field
    told: float
    fine: Field

    @property
    def estimated(self) -> float:
        """What it estimates of its mask, 0 to 1; 0 of an empty one.

        Too low for two looks that agree: 0.65 for a true 0.78 on drawn scenes. It stays as it is told, because raised
        by what drawn scenes teach it let wrong masks of real pictures into the high tier (docs/BENCHMARKS.md).
        """
        return self.told if (self.fine > 0).any() else 0.0

    def part(self, x: int, y: int, width: int, height: int) -> WindowLogits:
        """Its fine logits in a window of the frame."""
        return WindowLogits(self.fine, self.window, x, y, width, height)


@dataclass(frozen=True, slots=True, eq=False)
class WindowLogits:
    """Logits of a window as a part of the frame (top left pixel (x, y)) sees them, enlarged when they are asked for;
    far below zero where the window does not reach."""

    fine: Field
    window: Square
    x: int
    y: int
    width: int
    height: int

    def __getitem__(self, part: tuple[slice, slice], /) -> Field:
        top, bottom, _ = part[0].indices(self.height)
        first, last, _ = part[1].indices(self.width)
        if bottom <= top or last <= first:
            return np.zeros((max(0, bottom - top), max(0, last - first)), np.float32)
        left, upper, side = self.window
        step = len(self.fine) / side
        back = np.array(
            [
                [step, 0, (self.x + first - left) * step + (step - 1) / 2],
                [0, step, (self.y + top - upper) * step + (step - 1) / 2],
            ]
        )
        enlarged = cv2.warpAffine(
            self.fine, back, (last - first, bottom - top), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE,
        )  # fmt: skip
        return np.asarray(enlarged, np.float32)


class BoxedStarter:
    """A starter SAM in memory, on the device that it is on. May be called from several threads at once."""

    def __init__(self, sam: Sam) -> None:
        self._network: Any = without_norms(sam.mask_decoder.network)
        self._device = sam.device

    def answer(self, image: RgbImage, boxes: FloatArray, batch: int) -> list[StarterAnswer]:
        """What the starter says of boxes (N,4), xyxy with an area inside the frame, in order; `batch` looks at a time,
        at least the two of one box."""
        at_once = max(1, batch // 2)
        return [
            answer
            for start in range(0, len(boxes), at_once)
            for answer in self._some(image, boxes[start : start + at_once])
        ]

    def _some(self, image: RgbImage, boxes: FloatArray) -> list[StarterAnswer]:
        windows = [window_around(box) for box in boxes]
        looks = np.stack(
            [network_input(image, window, box, LOOK_SIDE) for window, box in zip(windows, boxes, strict=True)]
        )
        logits, estimates = self._run(np.concatenate([looks, looks[..., ::-1]]))
        plain, mirrored = logits[: len(boxes)], logits[len(boxes) :, :, ::-1]
        means = ((plain + mirrored) / 2).astype(np.float32)
        told = (estimates[: len(boxes)] + estimates[len(boxes) :]) / 2
        return [
            StarterAnswer(window, mean, float(each), _fine(image, window, mean))
            for window, mean, each in zip(windows, means, told, strict=True)
        ]

    def _run(self, looks: Field) -> tuple[Field, npt.NDArray[np.float64]]:
        """The single masks' logits (N,L,L) and estimated IoU (N,) of looks."""
        import torch

        given = torch.from_numpy(np.ascontiguousarray(looks)).to(self._device)
        with torch.inference_mode():
            logits, estimates = self._network(given.contiguous(memory_format=torch.channels_last))
        # A network that overflowed (odd weights) gives an empty mask of no worth, not a NaN in a table.
        numbers = np.nan_to_num(logits[:, 0].float().cpu().numpy(), nan=-_LOGIT_LIMIT)
        told = np.clip(np.nan_to_num(estimates[:, 0].float().cpu().numpy()), 0.0, 1.0)
        return np.clip(numbers, -_LOGIT_LIMIT, _LOGIT_LIMIT), told.astype(np.float64)


def _fine(image: RgbImage, window: Square, logits: Field) -> Field:
    pixels, covered = cut_window(image, window, FINE_SIDE)
    enlarged = cv2.resize(logits, (FINE_SIDE, FINE_SIDE), interpolation=cv2.INTER_LINEAR)
    return dense_crf.agreed(pixels, covered, np.asarray(enlarged, np.float32))

"""Masks of boxes by a Segment Anything model: one image embedding per frame, all boxes answered from it.

The decoder's small logits are enlarged inside the box and a margin only. What belongs elsewhere: opening checkpoints
(sam), mending masks and their run lengths (refine, masks), which boxes get a mask (detect).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError, OpenWeights
from lora_assets.vision.boxes import FloatArray, box_area, box_iou, check_xyxy, clip_boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.sam import load_sam
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor

CODE_VERSION = "1"

_FAMILIES = ("sam", "mobile-sam", "starter-sam")
_STABILITY_OFFSET = 1.0
_LEAST_MARGIN = 8
_STRAY_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """Settings of the segmenter.

    weights: a registry name, an added name or a path. multimask: choose among the model's three candidates by its own
    estimate and by how well the mask fills the box; else its single answer. margin: share of the box's longer side
    that the mask may reach over the box, 0 to 1. decoder_batch: boxes per call of the decoder (more than 4 is slower
    on a CPU). Raises ValueError for a value out of range.
    """

    weights: str = "starter-sam"
    multimask: bool = True
    margin: float = 0.1
    decoder_batch: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.weights, str) or not self.weights:
            raise ValueError(f"weights must name one segmenter, for example 'starter-sam', not {self.weights!r}")
        if not isinstance(self.multimask, bool):
            raise ValueError(f"multimask must be true or false, not {self.multimask!r}")
        if isinstance(self.margin, bool) or not isinstance(self.margin, (int, float)) or not 0 <= self.margin <= 1:
            raise ValueError(f"margin must be a number from 0 to 1, not {self.margin!r}")
        batch = self.decoder_batch
        if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= 256:
            raise ValueError(f"decoder_batch must be a whole number from 1 to 256, not {batch!r}")


@dataclass(frozen=True, slots=True, eq=False)
class WindowMask:
    """The mask of one box inside a window of the frame whose top left pixel is (x, y).

    predicted_iou: the model's own estimate, 0 to 1. stability: IoU of the masks cut at the logits -1 and +1, 0 to 1.
    """

    x: int
    y: int
    mask: npt.NDArray[np.bool_]
    predicted_iou: float
    stability: float


Segmenter = Callable[[RgbImage, npt.NDArray[np.floating]], list[WindowMask]]
"""A frame and its boxes (N,4) in, a mask per box out, in order; may be called from several threads at once."""


def load_segmenter(weights: OpenWeights, settings: SegmentSettings) -> Segmenter:
    """The segmenter of these weights. Raises ModelError when they are no segmenter or cannot be opened.

    The segmenter raises ValueError for boxes that hold a NaN, are turned inside out or lie outside the frame.
    """
    if weights.family not in _FAMILIES:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which makes no masks: "
            "name a segmenter in [segment] weights, see lora-assets models list"
        )
    return segmenter_of(load_sam(weights.path).to(torch_device()), settings)


def segmenter_of(sam: Sam, settings: SegmentSettings) -> Segmenter:
    """A segmenter around a model in memory, on the device that the model is on."""
    import torch

    with torch.inference_mode():
        position = sam.prompt_encoder.get_dense_pe()

    def segment(image: RgbImage, xyxy: npt.NDArray[np.floating]) -> list[WindowMask]:
        height, width = image.shape[:2]
        boxes = _usable_boxes(xyxy, width, height)
        if not len(boxes):
            return []
        with torch.inference_mode():
            pixels, inner = _prepare(sam, image)
            embedding = sam.image_encoder(pixels)
            found: list[WindowMask] = []
            for start in range(0, len(boxes), settings.decoder_batch):
                some = boxes[start : start + settings.decoder_batch]
                logits, estimates = _decode(sam, embedding, position, some, (width, height), inner, settings.multimask)
                for box, box_logits, box_estimates in zip(some, logits, estimates, strict=True):
                    found.append(_window(box, box_logits, box_estimates, (width, height), inner, sam, settings))
        return found

    return segment


def _usable_boxes(xyxy: npt.NDArray[np.floating], width: int, height: int) -> FloatArray:
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4) if np.size(xyxy) == 0 else np.asarray(xyxy, np.float64)
    check_xyxy(boxes)
    clipped = clip_boxes(boxes, width, height)
    outside = np.flatnonzero(box_area(clipped) <= 0)
    if outside.size:
        row = int(outside[0])
        raise ValueError(f"box {row} has no area inside the frame of {width} x {height}: {boxes[row].tolist()}")
    return clipped


def _prepare(sam: Sam, image: RgbImage) -> tuple[Tensor, tuple[int, int]]:
    """The encoder's input (1,3,S,S), and the width and height that the frame takes in it."""
    import torch
    from torch.nn import functional

    side = sam.image_encoder.img_size
    height, width = image.shape[:2]
    scale = side / max(width, height)
    inner = (max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5)))
    if inner != (width, height):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, inner, interpolation=how)  # pyright: ignore[reportAssignmentType]
    # Bytes go to the device; numbers are made there.
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(sam.device).permute(2, 0, 1).float()
    pixels = (pixels - sam.pixel_mean) / sam.pixel_std  # pyright: ignore[reportOperatorIssue]
    return functional.pad(pixels, (0, side - inner[0], 0, side - inner[1]))[None], inner


def _decode(
    sam: Sam,
    embedding: Tensor,
    position: Tensor,
    boxes: FloatArray,
    size: tuple[int, int],
    inner: tuple[int, int],
    multimask: bool,
) -> tuple[FloatArray, FloatArray]:
    """Small logits (B,C,L,L) and estimated IoU (B,C) of some boxes."""
    import torch

    scale = np.array([inner[0] / size[0], inner[1] / size[1]] * 2)
    prompts = torch.from_numpy((boxes * scale).astype(np.float32)).to(sam.device)
    sparse, dense = sam.prompt_encoder(points=None, boxes=prompts, masks=None)
    logits, estimates = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=position,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    return logits.float().cpu().numpy(), estimates.float().cpu().numpy()


def _window(
    box: FloatArray,
    logits: FloatArray,
    estimates: FloatArray,
    size: tuple[int, int],
    inner: tuple[int, int],
    sam: Sam,
    settings: SegmentSettings,
) -> WindowMask:
    """The best candidate of one box, enlarged inside the box and the margin, and cut at logit 0."""
    side, low = sam.image_encoder.img_size, logits.shape[-1]
    small_box = box * np.array([inner[0] / size[0], inner[1] / size[1]] * 2) * (low / side)
    best = choose_candidate(logits, estimates, small_box)
    reach = max(_LEAST_MARGIN, settings.margin * max(box[2] - box[0], box[3] - box[1]))
    x1, y1 = (max(0, int(np.floor(value - reach))) for value in box[:2])
    x2, y2 = (min(limit, int(np.ceil(value + reach))) for value, limit in zip(box[2:], size, strict=True))
    across = enlarging_matrix(low, side, inner[0], size[0])[x1:x2]
    down = enlarging_matrix(low, side, inner[1], size[1])[y1:y2]
    large = down @ logits[best].astype(np.float32) @ across.T
    estimate = float(np.clip(np.nan_to_num(estimates[best]), 0.0, 1.0))
    return WindowMask(x1, y1, large > 0, estimate, stability_of(large))


def choose_candidate(logits: FloatArray, estimates: FloatArray, small_box: FloatArray) -> int:
    """Which of the candidates (C,L,L) to take: the model's estimate plus the IoU of the box and the mask's own box.

    The mask's own box leaves out the outermost hundredth of its pixels on each side, so that a speck does not count.
    """
    if len(estimates) == 1:
        return 0
    fits = [float(box_iou(small_box[None], _core_box(candidate > 0)[None])[0, 0]) for candidate in logits]
    return int(np.argmax(np.nan_to_num(estimates) + np.array(fits)))


def _core_box(mask: npt.NDArray[np.bool_]) -> FloatArray:
    sides: list[tuple[float, float]] = []
    for axis in (0, 1):
        share = np.cumsum(mask.sum(axis=axis, dtype=np.int64))
        if share[-1] == 0:
            return np.zeros(4)
        low, high = np.searchsorted(share, [_STRAY_SHARE * share[-1], (1 - _STRAY_SHARE) * share[-1]])
        sides.append((float(low), float(high) + 1.0))
    (x1, x2), (y1, y2) = sides
    return np.array([x1, y1, x2, y2])


def stability_of(logits: npt.NDArray[np.floating]) -> float:
    """IoU of the masks cut at the logits +1 and -1 (the first lies inside the second); 0 for an empty mask.

    Formula: `calculate_stability_score` of the segment-anything repository.
    """
    outer = int(np.count_nonzero(logits > -_STABILITY_OFFSET))
    return int(np.count_nonzero(logits > _STABILITY_OFFSET)) / outer if outer else 0.0


@lru_cache(maxsize=64)
def enlarging_matrix(low: int, side: int, inner: int, full: int) -> npt.NDArray[np.float32]:
    """The matrix (full, low) that takes one axis of the small logits to the frame's pixels.

    Segment Anything enlarges in two steps: from `low` to the encoder's `side`, and, after cutting the padding off, from
    `inner` to `full`, both bilinear. Both steps are linear, thus rows of one matrix give any window of the result.
    """
    import torch
    from torch.nn import functional

    def step(length: int, longer: int) -> Tensor:
        unit = torch.eye(length)[None]
        return functional.interpolate(unit, size=longer, mode="linear", align_corners=False)[0].T

    with torch.inference_mode():
        return np.ascontiguousarray((step(inner, full) @ step(low, side)[:inner]).numpy())

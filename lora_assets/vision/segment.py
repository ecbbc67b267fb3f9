"""Masks of boxes by a Segment Anything model: the frame is embedded once, and the decoder answers each box from that.
A salient-object network, which knows no boxes, can stand in its place. The starter looks at each box by itself.

The decoder's small logits are enlarged inside the box and a margin only; what needs the frame's pixels to judge a mask
is measured while they are at hand. What belongs elsewhere: opening checkpoints (sam), dividing masks among neighbours
(neighbours), how the starter looks (starter_boxes), second opinions (second_opinion), mending masks and their run
lengths (refine, masks), which boxes get a mask (detect).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError, OpenWeights
from lora_assets.models.registry import MOBILE_SAM, SALIENCY_ONNX, SAM, SAM2, STARTER_SAM
from lora_assets.vision.boxes import FloatArray, box_area, box_iou, check_xyxy, clip_boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.mask_facts import background_left
from lora_assets.vision.masks import BoolMask, place_pixels
from lora_assets.vision.neighbours import Claim, Share, divide
from lora_assets.vision.saliency_onnx import Saliency, load_saliency
from lora_assets.vision.sam import load_sam
from lora_assets.vision.sam2 import box_logits, encode, input_side, load_sam2, pixels_of
from lora_assets.vision.second_opinion import GRABCUT, NONE, SALIENT, Opinion, disagreement, grabcut, salient
from lora_assets.vision.starter_boxes import BoxedStarter
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor
    from transformers import Sam2Model

CODE_VERSION = "3"

_FAMILIES = (SAM, MOBILE_SAM, STARTER_SAM, SAM2)
_STABILITY_OFFSET = 1.0
_LEAST_MARGIN = 8
_STRAY_SHARE = 0.01
_LOGIT_LIMIT = 1000.0
_LEAST_FIT = 0.5
_STABILITY_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """Settings of the segmenter.

    weights: a registry name, an added name or a path. multimask: choose among the model's three candidates (see
    `choose_candidate`); else its single answer. Of the starter the single one is always taken: it is better (mean mask
    IoU on drawn scenes 0.83, chosen of three 0.82). margin: share of the box's longer side that the mask may reach over
    the box, 0 to 1. decoder_batch: boxes per call of the decoder, looks of the starter (more than 4 is slower on a
    CPU). separate: give each pixel that several masks claim to the surest of them. second_opinion: what else is asked
    of each mask: "none", "grabcut" (a weak judge of drawn crowds), or weights of the U2Net family. Raises ValueError
    for a value out of range.
    """

    weights: str = "starter-sam"
    multimask: bool = True
    margin: float = 0.1
    decoder_batch: int = 4
    separate: bool = True
    second_opinion: str = NONE

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
        if not isinstance(self.separate, bool):
            raise ValueError(f"separate must be true or false, not {self.separate!r}")
        if not isinstance(self.second_opinion, str) or not self.second_opinion:
            raise ValueError(
                f"second_opinion must be {NONE!r}, {GRABCUT!r} or a name of weights, not {self.second_opinion!r}"
            )

    @property
    def opinion_weights(self) -> str | None:
        """The weights that the second opinion needs; None when it needs none."""
        return None if self.second_opinion in (NONE, GRABCUT) else self.second_opinion


@dataclass(frozen=True, slots=True, eq=False)
class WindowMask:
    """The mask of one box inside a window of the frame whose top left pixel is (x, y).

    candidate: which of the model's masks it is, from 0 (its single answer, or the first of three), with its three
    numbers from 0 to 1: predicted_iou is the model's own estimate, stability the IoU of the masks cut at the logits -1
    and +1, box_fit the IoU of the box and the mask's own box. taken_share: share of the model's mask that went to a
    neighbour. disagreement: 1 - IoU with the second opinion inside the box; background_left: share that looks like what
    is around; None where that was not asked or cannot be told.
    """

    x: int
    y: int
    mask: BoolMask
    predicted_iou: float
    stability: float
    candidate: int = 0
    box_fit: float = 0.0
    taken_share: float = 0.0
    disagreement: float | None = None
    background_left: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the model's masks of a box, by its place, with its three numbers from 0 to 1 (see WindowMask)."""

    index: int
    predicted_iou: float
    box_fit: float
    stability: float


@dataclass(frozen=True, slots=True, eq=False)
class _Logits:
    """The logits of a window, enlarged when a part of it is asked for: `small` (L,L) with the rows of its matrices."""

    small: npt.NDArray[np.float32]
    down: npt.NDArray[np.float32]
    across: npt.NDArray[np.float32]

    def __getitem__(self, part: tuple[slice, slice], /) -> npt.NDArray[np.float32]:
        return np.asarray(self.down[part[0]] @ self.small @ self.across[part[1]].T, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """The chosen candidate of a box: its mask in a window of the frame, and its logits there."""

    claim: Claim
    candidate: Candidate


@dataclass(frozen=True, slots=True, eq=False)
class BoxModel:
    """A model as the segmenter asks it.

    side: pixels of the square that it sees. embed: a frame in, its embedding out, with the width and height that the
    frame takes in the square. decode: embedding, boxes (B,4) in pixels of the frame, the frame's width and height, the
    size that it takes, and whether three candidates are wanted in; small logits (B,C,L,L) over the square and estimated
    IoU (B,C) out.
    """

    side: int
    embed: Callable[[RgbImage], tuple[Any, tuple[int, int]]]
    decode: Callable[[Any, FloatArray, tuple[int, int], tuple[int, int], bool], tuple[FloatArray, FloatArray]]


Segmenter = Callable[[RgbImage, npt.NDArray[np.floating]], list[WindowMask]]
"""A frame and its boxes (N,4) in, a mask per box out, in order; may be called from several threads at once."""


def load_segmenter(
    weights: OpenWeights, settings: SegmentSettings, opinion_weights: OpenWeights | None = None
) -> Segmenter:
    """The segmenter of these weights. Raises ModelError when they are no segmenter or cannot be opened.

    `opinion_weights` are those that the settings name for the second opinion, when they name some.

    The segmenter raises ValueError for boxes that hold a NaN, are turned inside out or lie outside the frame.
    """
    import torch

    if weights.family == SALIENCY_ONNX:
        return salient_segmenter(load_saliency(weights.path), settings, _open_opinion(settings, opinion_weights))
    if weights.family not in _FAMILIES:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which makes no masks: "
            "name a segmenter in [segment] weights, see lora-assets models list"
        )
    opinion = _open_opinion(settings, opinion_weights)
    if weights.family == SAM2:
        return segmenter_of(sam2_boxes(load_sam2(weights.path).to(torch_device())), settings, opinion)  # pyright: ignore[reportArgumentType]
    # Convolutions on a CPU are about a fifth faster with the channels of a pixel side by side.
    sam = load_sam(weights.path).to(torch_device()).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if weights.family == STARTER_SAM:
        return starter_segmenter(sam, settings, opinion)
    return segmenter_of(sam, settings, opinion)


def _open_opinion(settings: SegmentSettings, weights: OpenWeights | None) -> Opinion | None:
    if settings.opinion_weights is None:
        return grabcut if settings.second_opinion == GRABCUT else None
    if weights is None:
        raise ModelError(
            f"the second opinion {settings.second_opinion} was not opened with its weights: "
            "resolve the name first, or set second_opinion to none or grabcut"
        )
    return salient(load_saliency(weights.path))


def salient_segmenter(find: Saliency, settings: SegmentSettings, opinion: Opinion | None = None) -> Segmenter:
    """A segmenter around a salient-object network: it looks at the whole frame once, and each box gets what is salient
    in it and its margin. A box of the whole frame gives the whole answer.

    There is one candidate; predicted_iou is the mean saliency of its pixels, stability the IoU of the masks cut at a
    quarter and at three quarters.
    """

    def segment(image: RgbImage, xyxy: npt.NDArray[np.floating]) -> list[WindowMask]:
        height, width = image.shape[:2]
        boxes = _usable_boxes(xyxy, width, height)
        if not len(boxes):
            return []
        saliency = find(image)
        found: list[_Answer] = []
        for box in boxes:
            x1, y1, x2, y2 = _reached(box, (width, height), settings)
            part = saliency[y1:y2, x1:x2]
            mask = part > SALIENT
            sure = float(np.clip(part[mask].mean(), 0.0, 1.0)) if mask.any() else 0.0
            outer = int(np.count_nonzero(part > SALIENT / 2))
            stability = int(np.count_nonzero(part > 1.5 * SALIENT)) / outer if outer else 0.0
            fit = _box_fit(box, mask, x1, y1)
            found.append(_Answer(Claim(x1, y1, mask, part), Candidate(0, sure, fit, stability)))
        return _judged(image, boxes, found, settings, opinion)

    return segment


def segmenter_of(model: Sam | BoxModel, settings: SegmentSettings, opinion: Opinion | None = None) -> Segmenter:
    """A segmenter around a model in memory, on the device that the model is on, and the second opinion it asks."""
    import torch

    asked = model if isinstance(model, BoxModel) else sam_boxes(model)

    def segment(image: RgbImage, xyxy: npt.NDArray[np.floating]) -> list[WindowMask]:
        height, width = image.shape[:2]
        boxes = _usable_boxes(xyxy, width, height)
        if not len(boxes):
            return []
        with torch.inference_mode():
            embedding, inner = asked.embed(image)
            found: list[_Answer] = []
            for start in range(0, len(boxes), settings.decoder_batch):
                some = boxes[start : start + settings.decoder_batch]
                logits, estimates = asked.decode(embedding, some, (width, height), inner, settings.multimask)
                for box, of_box, estimated in zip(some, logits, estimates, strict=True):
                    found.append(_answer(box, of_box, estimated, (width, height), inner, asked.side, settings))
        return _judged(image, boxes, found, settings, opinion)

    return segment


def starter_segmenter(sam: Sam, settings: SegmentSettings, opinion: Opinion | None = None) -> Segmenter:
    """A segmenter around a model of the starter's architecture, on the device that it is on, asked as `starter_boxes`
    tells. There is one candidate; stability is that of its logits before pixels of like colour agree, after which
    hardly any are unsure."""
    starter = BoxedStarter(sam)

    def segment(image: RgbImage, xyxy: npt.NDArray[np.floating]) -> list[WindowMask]:
        height, width = image.shape[:2]
        boxes = _usable_boxes(xyxy, width, height)
        found: list[_Answer] = []
        for box, answer in zip(boxes, starter.answer(image, boxes, settings.decoder_batch), strict=True):
            x1, y1, x2, y2 = _reached(box, (width, height), settings)
            logits = answer.part(x1, y1, x2 - x1, y2 - y1)
            mask = logits[:, :] > 0
            fit = _box_fit(box, mask, x1, y1)
            candidate = Candidate(0, answer.estimated, fit, stability_of(answer.logits))
            found.append(_Answer(Claim(x1, y1, mask, logits), candidate))
        return _judged(image, boxes, found, settings, opinion)

    return segment


def sam_boxes(sam: Sam) -> BoxModel:
    """A model of the segment-anything package as the segmenter asks it."""
    import torch

    with torch.inference_mode():
        position = sam.prompt_encoder.get_dense_pe()

    def embed(image: RgbImage) -> tuple[Tensor, tuple[int, int]]:
        pixels, inner = prepare_frame(sam, image)
        return sam.image_encoder(pixels), inner

    def decode(
        embedding: Tensor, boxes: FloatArray, size: tuple[int, int], inner: tuple[int, int], multimask: bool
    ) -> tuple[FloatArray, FloatArray]:
        return _decode(sam, embedding, position, boxes, size, inner, multimask)

    return BoxModel(sam.image_encoder.img_size, embed, decode)


def sam2_boxes(model: Sam2Model) -> BoxModel:
    """A SAM 2 model as the segmenter asks it: the frame fills its whole square, whatever its shape."""
    side = input_side(model)

    def embed(image: RgbImage) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        return encode(model, pixels_of(model, image)), (side, side)

    def decode(
        features: tuple[Tensor, ...], boxes: FloatArray, size: tuple[int, int], _: tuple[int, int], multimask: bool
    ) -> tuple[FloatArray, FloatArray]:
        return box_logits(model, features, boxes, size, multimask)

    return BoxModel(side, embed, decode)


def _usable_boxes(xyxy: npt.NDArray[np.floating], width: int, height: int) -> FloatArray:
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4) if np.size(xyxy) == 0 else np.asarray(xyxy, np.float64)
    check_xyxy(boxes)
    clipped = clip_boxes(boxes, width, height)
    outside = np.flatnonzero(box_area(clipped) <= 0)
    if outside.size:
        row = int(outside[0])
        raise ValueError(f"box {row} has no area inside the frame of {width} x {height}: {boxes[row].tolist()}")
    return clipped


def prepare_frame(sam: Sam, image: RgbImage) -> tuple[Tensor, tuple[int, int]]:
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
    # A network that overflowed (half precision, odd weights) gives an empty mask of no worth, not a NaN in a table.
    bounded = np.nan_to_num(logits.float().cpu().numpy(), nan=-_LOGIT_LIMIT, posinf=_LOGIT_LIMIT, neginf=-_LOGIT_LIMIT)
    return bounded, np.clip(np.nan_to_num(estimates.float().cpu().numpy()), 0.0, 1.0)


def _answer(
    box: FloatArray,
    logits: FloatArray,
    estimates: FloatArray,
    size: tuple[int, int],
    inner: tuple[int, int],
    side: int,
    settings: SegmentSettings,
) -> _Answer:
    """The best candidate of one box, enlarged inside the box and the margin."""
    low = logits.shape[-1]
    small_box = box * np.array([inner[0] / size[0], inner[1] / size[1]] * 2) * (low / side)
    best = choose_candidate(logits, estimates, small_box)
    x1, y1, x2, y2 = _reached(box, size, settings)
    across = enlarging_matrix(low, side, inner[0], size[0])[x1:x2]
    down = enlarging_matrix(low, side, inner[1], size[1])[y1:y2]
    # A copy, as a part of the batch's logits would hold all of them.
    enlarged = _Logits(np.array(logits[best.index], np.float32), down, across)
    return _Answer(Claim(x1, y1, enlarged[:, :] > 0, enlarged), best)


def _reached(box: FloatArray, size: tuple[int, int], settings: SegmentSettings) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in whole pixels of what a mask of the box may reach: the box and its margin, inside the frame."""
    reach = max(_LEAST_MARGIN, settings.margin * max(box[2] - box[0], box[3] - box[1]))
    x1, y1 = (max(0, int(np.floor(value - reach))) for value in box[:2])
    x2, y2 = (min(limit, int(np.ceil(value + reach))) for value, limit in zip(box[2:], size, strict=True))
    return x1, y1, x2, y2


def _judged(
    image: RgbImage, boxes: FloatArray, answers: list[_Answer], settings: SegmentSettings, opinion: Opinion | None
) -> list[WindowMask]:
    """The masks of a frame: cut at logit 0, divided among neighbours, and measured against the frame's pixels."""
    claims = [answer.claim for answer in answers]
    shares = divide(claims) if settings.separate else [Share(claim.mask, 0.0) for claim in claims]
    found: list[WindowMask] = []
    for number, (answer, share, box) in enumerate(zip(answers, shares, boxes, strict=True)):
        x, y, (height, width) = answer.claim.x, answer.claim.y, share.mask.shape
        pixels = image[y : y + height, x : x + width]
        others = np.zeros_like(share.mask)
        for place, (other, its) in enumerate(zip(answers, shares, strict=True)):
            if place != number:
                others |= place_pixels(its.mask, other.claim.x, other.claim.y, (x, y, width, height))
        others &= ~share.mask
        inside = box - np.array([x, y, x, y])
        second = opinion(pixels, share.mask, others, inside) if opinion else None
        chosen = answer.candidate
        found.append(
            WindowMask(
                x, y, share.mask, chosen.predicted_iou, chosen.stability, chosen.index, chosen.box_fit, share.taken,
                None if second is None else disagreement(share.mask, second, inside),
                background_left(pixels, share.mask, others),
            )
        )  # fmt: skip
    return found


def choose_candidate(logits: FloatArray, estimates: FloatArray, small_box: FloatArray) -> Candidate:
    """Which of the candidates (C,L,L) to take: of those that fit the box at least half as well as the best fitting one,
    the one with the largest sum of the model's estimate and half its stability.

    The box fit is the IoU of the box and the mask's own box, which leaves out the outermost hundredth of the mask's
    pixels on each side, so that a speck does not count. It only rules out (a part of the character, its surroundings):
    added to the sum it chose worse than the estimate alone, on drawn frames with several characters. `estimates` (C,)
    from 0 to 1; NaN counts as 0.
    """
    rated = [
        Candidate(
            index,
            float(np.clip(np.nan_to_num(estimate), 0.0, 1.0)),
            float(box_iou(small_box[None], _core_box(candidate > 0)[None])[0, 0]),
            stability_of(candidate),
        )
        for index, (candidate, estimate) in enumerate(zip(logits, estimates, strict=True))
    ]
    least = _LEAST_FIT * max(one.box_fit for one in rated)
    fitting = [one for one in rated if one.box_fit >= least]
    return max(fitting, key=lambda one: one.predicted_iou + _STABILITY_WEIGHT * one.stability)


def _box_fit(box: FloatArray, mask: BoolMask, x: int, y: int) -> float:
    """IoU of a box of the frame and the own box of a mask with its corner at (x, y); 0 for an empty mask."""
    own = _core_box(mask) + np.array([x, y, x, y])
    return float(box_iou(box[None], own[None])[0, 0]) if mask.any() else 0.0


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

"""SAM, MobileSAM, the starter SAM and SAM 2 as one kind of network to tune and judge: embed a page, answer prompts.

Answers are logits on a plane over a window of the page (see planes), with gradients where the caller wants them. What
belongs elsewhere: the architectures themselves and how they are opened (vision), what is learned from answers (loop).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.finetuning.planes import enlarged
from lora_assets.finetuning.prompts import Prompts
from lora_assets.models import OpenWeights
from lora_assets.models.registry import MOBILE_SAM, SAM, SAM2, STARTER_SAM
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, place_pixels
from lora_assets.vision.sam import load_sam
from lora_assets.vision.sam2 import Sam2Prompts, decode, encode, input_side, load_sam2, pixels_of

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor, nn
    from transformers import Sam2Model

TUNABLE = (SAM, MOBILE_SAM, STARTER_SAM, SAM2)
FEATURE_PARTS = ("mask_decoder.conv_s0.", "mask_decoder.conv_s1.", "no_memory_embedding")
"""Weights of SAM 2 outside the encoder that make the embedding: they stay as they are where the encoder does."""

Features = tuple["Tensor", ...]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """N answers with M candidates: logits (N,M,h,w) over `windows` (N,4) of the page, predicted IoUs (N,M)."""

    logits: Tensor
    estimates: Tensor
    windows: npt.NDArray[np.float64]
    looks: tuple[Any, ...] = ()

    def best(self) -> npt.NDArray[np.int64]:
        """The candidate of each answer that the network rates highest (N,)."""
        return self.estimates.detach().float().argmax(dim=1).cpu().numpy()

    def masks(self, chosen: npt.NDArray[np.int64], size: Size) -> list[BoolMask]:
        """The chosen candidates' masks at the size (width, height) of the page."""
        planes = self.logits.detach().float().cpu().numpy()
        return [
            enlarged(plane[one], window, size) for plane, one, window in zip(planes, chosen, self.windows, strict=True)
        ]

    def rated(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The IoU that the network predicts of the chosen candidates, 0 to 1 (N,)."""
        told = self.estimates.detach().float().cpu().numpy()[np.arange(len(chosen)), chosen]
        return np.clip(np.nan_to_num(told), 0, 1).astype(np.float64)


class Network(Protocol):
    """A network that answers prompts about a page that it has embedded."""

    @property
    def family(self) -> str:
        """The family, as `models.registry` calls it."""
        ...

    @property
    def module(self) -> nn.Module:
        """All weights."""
        ...

    @property
    def encoder(self) -> nn.Module:
        """The image encoder."""
        ...

    @property
    def usual_rate(self) -> float:
        """A learning rate to begin with."""
        ...

    def embed(self, page: RgbImage) -> Features:
        """The page as the decoder reads it; with gradients where they are on and the encoder's weights want them."""
        ...

    def answer(
        self, features: Features, prompts: Prompts, size: Size, *, three: bool, earlier: Tensor | None, in_use: bool
    ) -> Answers:
        """Answers to the prompts of a page of `size` (width, height): three candidates each, or the single one.

        `earlier` is what `as_prompt` made of the answers before. `in_use`: exactly as a tracker or a click gets them.
        """
        ...

    def as_prompt(self, answers: Answers, chosen: npt.NDArray[np.int64], size: Size) -> Tensor:
        """The chosen candidates as the mask of the next prompt."""
        ...


class SamNetwork:
    """Segment Anything of the segment-anything package: ViT-B, ViT-L, ViT-H, MobileSAM."""

    usual_rate = 1e-4

    def __init__(self, sam: Sam, family: str) -> None:
        self.module = sam
        self.family = family
        self.encoder: nn.Module = sam.image_encoder

    @property
    def side(self) -> int:
        """Pixels per side of the square that a page is padded to."""
        return int(self.module.image_encoder.img_size)

    def embed(self, page: RgbImage) -> Features:
        """The embedding (1,C,S/16,S/16)."""
        return (self.module.image_encoder(self._pixels(page)),)

    def answer(
        self, features: Features, prompts: Prompts, size: Size, *, three: bool, earlier: Tensor | None, in_use: bool
    ) -> Answers:
        """Logits over the padded square."""
        del in_use
        sparse, dense = self._prompted(prompts, size, earlier)
        logits, estimates = self.module.mask_decoder(
            image_embeddings=features[0],
            image_pe=self.module.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=three,
        )
        return Answers(logits, estimates, self._square(size, len(prompts)))

    def as_prompt(self, answers: Answers, chosen: npt.NDArray[np.int64], size: Size) -> Tensor:
        """Logits (N,1,L,L)."""
        del size
        return answers.logits.detach()[range(len(chosen)), chosen.tolist()][:, None].float()

    def _pixels(self, page: RgbImage) -> Tensor:
        import torch
        from torch.nn import functional

        wide, high = self._inner(page.shape[1], page.shape[0])
        if (wide, high) != (page.shape[1], page.shape[0]):
            how = cv2.INTER_AREA if wide < page.shape[1] else cv2.INTER_LINEAR
            page = cv2.resize(page, (wide, high), interpolation=how)  # pyright: ignore[reportAssignmentType]
        pixels = torch.from_numpy(np.array(page, np.uint8)).to(self.module.device).permute(2, 0, 1).float()
        pixels = (pixels - self.module.pixel_mean) / self.module.pixel_std  # pyright: ignore[reportOperatorIssue]
        return functional.pad(pixels, (0, self.side - wide, 0, self.side - high))[None]

    def _inner(self, width: int, height: int) -> Size:
        scale = self.side / max(width, height)
        return max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))

    def _scale(self, size: Size) -> npt.NDArray[np.float32]:
        return (np.array(self._inner(*size)) / np.array(size)).astype(np.float32)

    def _square(self, size: Size, count: int) -> npt.NDArray[np.float64]:
        reach = self.side / self._scale(size)
        return np.tile([0.0, 0.0, reach[0], reach[1]], (count, 1))

    def _prompted(self, prompts: Prompts, size: Size, earlier: Tensor | None) -> tuple[Tensor, Tensor]:
        import torch

        scale, place = self._scale(size), self.module.device
        boxes = None if prompts.boxes is None else torch.from_numpy(prompts.boxes * np.tile(scale, 2)).to(place)
        points = None
        if prompts.points.shape[1]:
            points = (torch.from_numpy(prompts.points * scale).to(place), torch.from_numpy(prompts.labels).to(place))
        return self.module.prompt_encoder(points=points, boxes=boxes, masks=earlier)


class StarterNetwork(SamNetwork):
    """The starter SAM: it looks at each prompt by itself, and learns at the resolution of its looks."""

    usual_rate = 5e-4

    def answer(
        self, features: Features, prompts: Prompts, size: Size, *, three: bool, earlier: Tensor | None, in_use: bool
    ) -> Answers:
        """Logits over the looks; over the padded square, as they are laid there, when `in_use`."""
        if in_use:
            return super().answer(features, prompts, size, three=three, earlier=earlier, in_use=True)
        sparse, dense = self._prompted(prompts, size, earlier)
        logits, estimates, looks = self.module.mask_decoder.answer_looks(features[0], sparse, dense)  # pyright: ignore[reportCallIssue]
        scale = np.tile(self._scale(size), 2)
        windows = np.array([[one.left, one.top, one.left + one.side, one.top + one.side] for one in looks]) / scale
        wanted = slice(1, None) if three else slice(0, 1)
        return Answers(logits[:, wanted], estimates[:, wanted], windows, tuple(looks))

    def as_prompt(self, answers: Answers, chosen: npt.NDArray[np.int64], size: Size) -> Tensor:
        """Logits (N,1,L,L) laid into the padded square."""
        import torch

        from lora_assets.vision.starter_layers import MASK_STEP, laid

        planes = super().as_prompt(answers, chosen, size)
        if not answers.looks:
            return planes
        side = self.side // MASK_STEP
        return torch.stack([laid(plane, look, side) for plane, look in zip(planes, answers.looks, strict=True)])

    def boxed(self, page: RgbImage, boxes: npt.NDArray[np.floating]) -> tuple[list[BoolMask], list[float]]:
        """The mask of each box (N,4) of the page by itself, and its predicted IoU, as a tracker gets them."""
        from lora_assets.vision.segment import SegmentSettings, starter_segmenter

        segment = starter_segmenter(self.module, SegmentSettings(separate=False))
        found = segment(page, boxes)
        frame = (0, 0, page.shape[1], page.shape[0])
        return [place_pixels(one.mask, one.x, one.y, frame) for one in found], [one.predicted_iou for one in found]

    def clicked(self, page: RgbImage, prompts: Prompts) -> tuple[list[BoolMask], list[float]]:
        """The best answer to each prompt of points alone, and its predicted IoU, as a person who clicks gets them."""
        from lora_assets.vision.click_starter import ClickedStarter

        asked = ClickedStarter(self.module, self.family)
        embedding = asked.embed(page)
        found = [
            asked.predict(embedding, points=points, labels=labels)
            for points, labels in zip(prompts.points, prompts.labels, strict=True)
        ]
        return [one.masks[0] for one in found], [float(one.scores[0]) for one in found]


class Sam2Network:
    """SAM 2 and 2.1 of transformers."""

    usual_rate = 1e-4
    family = SAM2

    def __init__(self, model: Sam2Model) -> None:
        self.module = model
        self.encoder: nn.Module = model.vision_encoder

    @property
    def side(self) -> int:
        """Pixels per side of the square that a page is resized into."""
        return input_side(self.module)

    def embed(self, page: RgbImage) -> Features:
        """Three feature maps, the finest first."""
        return encode(self.module, pixels_of(self.module, page))

    def answer(
        self, features: Features, prompts: Prompts, size: Size, *, three: bool, earlier: Tensor | None, in_use: bool
    ) -> Answers:
        """Logits over the whole page."""
        import torch

        del in_use
        place = features[-1].device
        pointed = prompts.points.shape[1] > 0
        asked = Sam2Prompts(
            None if prompts.boxes is None else torch.from_numpy(prompts.boxes).to(place),
            torch.from_numpy(prompts.points).to(place) if pointed else None,
            torch.from_numpy(prompts.labels).to(place) if pointed else None,
            earlier,
        )
        logits, estimates = decode(self.module, features, asked, size, three)
        return Answers(logits, estimates, np.tile([0.0, 0.0, *size], (len(prompts), 1)))

    def as_prompt(self, answers: Answers, chosen: npt.NDArray[np.int64], size: Size) -> Tensor:
        """Logits (N,1,L,L)."""
        del size
        return answers.logits.detach()[range(len(chosen)), chosen.tolist()][:, None].float()


def open_network(weights: OpenWeights, device: str = "cpu") -> Network:
    """The network of these weights on a device, float32, without gradients, in evaluation mode.

    Raises ModelError when the file is damaged or of another architecture than its family says.
    """
    if weights.family == SAM2:
        return Sam2Network(load_sam2(weights.path).to(device))  # pyright: ignore[reportArgumentType]
    sam = load_sam(weights.path).to(device)
    return StarterNetwork(sam, weights.family) if weights.family == STARTER_SAM else SamNetwork(sam, weights.family)


def config_of(weights: OpenWeights) -> Path | None:
    """The config.json that belongs to the weights; None for a family that has none."""
    return weights.path.with_name("config.json") if weights.family == SAM2 else None

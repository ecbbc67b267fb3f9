"""A segmenter that is asked by clicks and boxes: the protocol, its answers, what fits as a prompt, and opening by name.

A frame is embedded once; then each prompt is answered from that, with three candidates. What belongs elsewhere: models
of the segment-anything package (click_sam), the starter SAM (click_starter), whole frames of boxes (segment).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.prompt_limits import MOST_POINTS

CANDIDATES = 3
WANTED, UNWANTED = 1, 0
"""Labels of points: this belongs to it, this does not."""

# "module:function" by family; the function takes OpenWeights. Modules import torch, so none is imported before its use.
_OPENERS = {
    "sam": "lora_assets.vision.click_sam:open_sam",
    "mobile-sam": "lora_assets.vision.click_sam:open_sam",
    "starter-sam": "lora_assets.vision.click_starter:open_starter",
    "sam2": "lora_assets.vision.sam2:open_sam2",
}


class PromptError(ValueError):
    """A prompt does not fit its frame; the text says which part and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A frame as its model keeps it: width and height in pixels, `size` in bytes, and the model's own part."""

    width: int
    height: int
    size: int
    features: Any


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Three answers to one prompt, best first.

    masks: bool (3,H,W), pixels of the frame. scores: float (3,), 0 to 1, the model's own estimate of the IoU, falling.
    carry: for each candidate what may be handed back as `mask_input` when the prompt is refined by another click;
    only its own model understands it, and only with the same embedding.
    """

    masks: npt.NDArray[np.bool_]
    scores: FloatArray
    carry: tuple[Any, ...]


class Prompted(Protocol):
    """A model that answers prompts. Not for two threads at once."""

    @property
    def name(self) -> str:
        """The name that the model was opened by."""
        ...

    def embed(self, rgb: RgbImage) -> Embedding:
        """The frame (uint8 HxWx3, RGB) made ready; the caller keeps it for as long as it asks about this frame."""
        ...

    def predict(
        self,
        embedding: Embedding,
        *,
        points: npt.ArrayLike = (),
        labels: npt.ArrayLike = (),
        box: npt.ArrayLike | None = None,
        mask_input: Any = None,
    ) -> Candidates:
        """Three candidates for one object.

        points: (N,2) float x, y in pixels of the frame; labels: (N,) WANTED or UNWANTED; box: x1, y1, x2, y2 or None;
        mask_input: one of `Candidates.carry` of an earlier answer, or None. Raises PromptError as `check_prompt`.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A prompt that fits its frame: points float64 (N,2), labels int64 (N,), box float64 (4,) clipped to the frame, or
    None."""

    points: FloatArray
    labels: npt.NDArray[np.int64]
    box: FloatArray | None

    @property
    def wanted(self) -> FloatArray:
        """The points that belong to the object."""
        return self.points[self.labels == WANTED]

    @property
    def unwanted(self) -> FloatArray:
        """The points that do not."""
        return self.points[self.labels == UNWANTED]


def check_prompt(
    points: npt.ArrayLike, labels: npt.ArrayLike, box: npt.ArrayLike | None, embedding: Embedding
) -> Prompt:
    """The prompt as arrays. Raises PromptError for numbers that are not finite, points outside the frame, labels that
    are neither WANTED nor UNWANTED, a box without area in the frame, too many points, or when nothing is asked for."""
    width, height = embedding.width, embedding.height
    try:
        places = np.asarray(points, np.float64)
        kinds = np.asarray(labels, np.float64)
        corners = None if box is None else np.asarray(box, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(f"points, labels and box must be numbers: {error}") from error
    places = places.reshape(0, 2) if places.size == 0 else places
    if places.ndim != 2 or places.shape[1] != 2 or kinds.shape != (len(places),):
        raise PromptError(f"give as many labels as points (x, y), not {kinds.shape} labels and {places.shape} points")
    if len(places) > MOST_POINTS:
        raise PromptError(f"{len(places)} points are too many: give at most {MOST_POINTS}, or draw a box")
    if not np.isfinite(places).all() or not np.isin(kinds, (WANTED, UNWANTED)).all():
        raise PromptError("points must be finite numbers, labels 1 (belongs to it) or 0 (does not)")
    if len(places) and (places.min() < 0 or places[:, 0].max() > width or places[:, 1].max() > height):
        raise PromptError(f"a point lies outside the frame of {width} x {height} pixels")
    if corners is None and not (kinds == WANTED).any():
        raise PromptError("nothing is asked for: click on the object, or draw a box around it")
    if corners is None:
        return Prompt(places, kinds.astype(np.int64), None)
    if corners.shape != (4,) or not np.isfinite(corners).all():
        raise PromptError("a box is four finite numbers: x1, y1, x2, y2")
    clipped = np.clip(corners, 0, [width, height, width, height])
    if clipped[2] - clipped[0] < 1 or clipped[3] - clipped[1] < 1:
        raise PromptError(f"the box {corners.tolist()} has less than a pixel inside the frame of {width} x {height}")
    return Prompt(places, kinds.astype(np.int64), clipped)


def best_first(masks: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating], carry: tuple[Any, ...]) -> Candidates:
    """The candidates sorted by falling score; scores are brought into 0 to 1, NaN counts as 0."""
    told = np.clip(np.nan_to_num(np.asarray(scores, np.float64)), 0.0, 1.0)
    order = np.argsort(-told, kind="stable")
    return Candidates(masks[order], told[order], tuple(carry[place] for place in order))


def open_prompted(name_or_path: str, data: Path) -> Prompted:
    """The model of a registry name, of an added or tuned one, or of a path. Raises ModelError as `resolve`, and for
    weights that make no masks."""
    weights = resolve(name_or_path, data)
    if weights.family not in _OPENERS:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which cannot be asked by clicks: "
            "name a segmenter, see lora-assets models list"
        )
    module, function = _OPENERS[weights.family].split(":")
    opener: Callable[[OpenWeights], Prompted] = getattr(importlib.import_module(module), function)
    return opener(weights)


def inside(mask: BoolMask, point: npt.ArrayLike) -> bool:
    """True when the pixel under a point (x, y) belongs to a mask HxW."""
    x, y = np.asarray(point, np.float64)
    height, width = mask.shape
    return bool(mask[min(height - 1, max(0, int(y))), min(width - 1, max(0, int(x)))])

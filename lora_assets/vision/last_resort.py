"""Boxes for a frame in which no detector found a character: SAM's automatic masks, and edges against the background.

Both answer at most one box, of low confidence, and rather none: a landscape must not become a character. What belongs
elsewhere: when they are asked (detect), masks of known boxes (segment).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.body_box import FROM_EDGES, FROM_SAM, PERSON
from lora_assets.vision.boxes import Boxes, FloatArray, no_boxes
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.sam import load_sam
from lora_assets.vision.threads import per_thread
from lora_assets.vision.yolo import torch_device

EDGES = "edges"
"""The name of the edge-based detector in a tracker's settings."""

MOST_CONFIDENCE = 0.25
_SIDE = 256
_BORDER_SHARE = 0.04
_PALETTE = 6
_LEAST_DISTANCE = 12.0
_LEAST_EDGE_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class LastResort:
    """A detector that is asked only when the others found nothing; `body_from` says how its boxes come about."""

    name: str
    body_from: str
    find: Callable[[RgbImage], Boxes]

    def __call__(self, image: RgbImage) -> Boxes:
        """At most one box of the frame."""
        return self.find(image)


def likeness(mask: BoolMask) -> float:
    """How much a region looks like one standing or sitting figure by its place and outline alone, 0 to 1.

    A product of ramps: area 3 to 12 % of the frame and no more than 60 %; height / width from 0.5 to 1.0 and up to 4.5;
    filled share of its box from 0.2 to 0.4; not along more than one side of the frame besides the bottom; its middle
    in the middle half. A region that touches both left and right is ground or sky: 0.
    """
    ys, xs = np.nonzero(mask)
    if not len(ys):
        return 0.0
    width = mask.shape[1]
    left, right, top, bottom = int(xs.min()), int(xs.max()) + 1, int(ys.min()), int(ys.max()) + 1
    sides = (left <= 1) + (right >= width - 1) + (top <= 1)
    if sides >= 2:
        return 0.0
    area = len(ys) / mask.size
    tall = (bottom - top) / (right - left)
    filled = len(ys) / ((bottom - top) * (right - left))
    apart = abs((left + right) / 2 - width / 2) / width
    ramps = (
        (area - 0.03) / 0.09, (0.6 - area) / 0.2, (tall - 0.5) / 0.5, (4.5 - tall) / 1.5, (filled - 0.2) / 0.2,
        (0.4 - apart) / 0.15, 1.0 if sides == 0 else 0.6,
    )  # fmt: skip
    return float(np.prod(np.clip(ramps, 0.0, 1.0)))


def _box_of(mask: BoolMask, scale: tuple[float, float]) -> FloatArray:
    ys, xs = np.nonzero(mask)
    low = np.array([xs.min(), ys.min()]) * scale
    high = np.array([xs.max() + 1, ys.max() + 1]) * scale
    return np.concatenate([low, high])[None].astype(np.float64)


def _one_box(xyxy: FloatArray, confidence: float, detector: str) -> Boxes:
    return Boxes(xyxy, np.array([np.clip(confidence, 0.0, 1.0)]), (PERSON,), (detector,))


# --- edges -----------------------------------------------------------------------------------------------------------


def edge_box(image: RgbImage) -> Boxes:
    """The box of the one region that stands out from the frame's border by its colour and has an edge around it.

    The border's colours are six means (k-means of the outermost 4 %, CIELAB); a pixel's distance is that to the nearest
    of them. Otsu's threshold (1979) cuts the distances; the region must differ by 12 on average, be figure-like
    (`likeness`), and Canny edges (1986) must lie along a third of its outline. Confidence: up to 0.25 times likeness.
    """
    height, width = image.shape[:2]
    if min(height, width) < 16:
        return no_boxes()
    reach = min(1.0, _SIDE / max(height, width))
    size = max(16, round(width * reach)), max(16, round(height * reach))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    distance = _distance_to_border(small)
    level = np.clip(distance * 2, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(level, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # Otsu gives 0 where all of the background has one colour.
    cut = (level > max(threshold, _LEAST_DISTANCE)).astype(np.uint8)
    closed = cv2.morphologyEx(cut, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    if count < 2:
        return no_boxes()
    region: BoolMask = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    like = likeness(region)
    if like <= 0 or distance[region].mean() < _LEAST_DISTANCE or _edge_share(small, region) < _LEAST_EDGE_SHARE:
        return no_boxes()
    box = _box_of(region, (width / size[0], height / size[1]))
    return _one_box(np.minimum(box, [width, height] * 2), MOST_CONFIDENCE * like, EDGES)


def _distance_to_border(small: RgbImage) -> npt.NDArray[np.float32]:
    """Distance of each pixel to the nearest of the border's colours, CIELAB units (h,w)."""
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    edge = max(2, round(_BORDER_SHARE * min(small.shape[:2])))
    # The bottom is left out: figures often end there.
    border = np.concatenate([lab[:edge].reshape(-1, 3), lab[:, :edge].reshape(-1, 3), lab[:, -edge:].reshape(-1, 3)])
    chosen = border[np.linspace(0, len(border) - 1, _PALETTE).astype(int)]
    for _ in range(8):
        nearest = np.argmin(((border[:, None] - chosen) ** 2).sum(axis=2), axis=1)
        chosen = np.stack(
            [border[nearest == k].mean(axis=0) if (nearest == k).any() else chosen[k] for k in range(_PALETTE)]
        )
    return np.sqrt(((lab[:, :, None] - chosen) ** 2).sum(axis=3)).min(axis=2).astype(np.float32)


def _edge_share(small: RgbImage, region: BoolMask) -> float:
    """Share of a region's outline that lies within 2 pixels of a Canny edge."""
    edges = cv2.Canny(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 60, 150)
    near = cv2.dilate(edges, np.ones((5, 5), np.uint8)) > 0
    levels = region.astype(np.uint8)
    rim = region & (cv2.erode(levels, np.ones((3, 3), np.uint8)) == 0)
    return float(near[rim].mean()) if rim.any() else 0.0


def edges_detector() -> LastResort:
    """The edge-based last resort."""
    return LastResort(EDGES, FROM_EDGES, edge_box)


# --- SAM -------------------------------------------------------------------------------------------------------------


def load_automatic_masks(path: Path, name: str, points_per_side: int = 12) -> LastResort:
    """SAM's automatic masks (Kirillov et al. 2023, `SamAutomaticMaskGenerator`) of the weights in `path` as a detector.

    `points_per_side` squared points are asked; of the masks the most figure-like (`likeness` times the estimated IoU)
    makes the box, confidence up to 0.25. Raises ModelError when the file is absent, damaged or no such model.
    """
    from segment_anything import SamAutomaticMaskGenerator

    sam = load_sam(path).to(torch_device())
    # The generator gives points as float64, which the convolutions of some prompt encoders refuse.
    sam.prompt_encoder.register_forward_pre_hook(_single_precision, with_kwargs=True)
    mine = per_thread(sam)

    def find(image: RgbImage) -> Boxes:
        replica: Any = mine()
        made = SamAutomaticMaskGenerator(
            replica,
            points_per_side=points_per_side,
            points_per_batch=16,
            pred_iou_thresh=0.8,
            stability_score_thresh=0.85,
        )
        return best_mask_box(made.generate(image), name)

    return LastResort(name, FROM_SAM, find)


def _single_precision(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    points = kwargs.get("points")
    return args, kwargs if points is None else {**kwargs, "points": (points[0].float(), points[1])}


def best_mask_box(masks: Sequence[dict[str, Any]], detector: str) -> Boxes:
    """The box of the most figure-like of SAM's automatic masks; none when none is figure-like."""
    rated = [
        (likeness(mask["segmentation"]) * float(np.clip(np.nan_to_num(mask["predicted_iou"]), 0, 1)), number)
        for number, mask in enumerate(masks)
    ]
    best = max(rated, key=lambda pair: (pair[0], -pair[1]), default=(0.0, 0))
    if best[0] <= 0:
        return no_boxes()
    return _one_box(_box_of(masks[best[1]]["segmentation"], (1.0, 1.0)), MOST_CONFIDENCE * best[0], detector)

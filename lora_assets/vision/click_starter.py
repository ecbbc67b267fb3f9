"""The starter SAM asked by clicks: it looks at windows of the frame itself, at several scales where no box is given.

The starter segments what stands in the middle of a look (starter_layers) and has learned characters from boxes. A click
alone does not say how large the thing is: windows around it are tried, what is found in each is looked at again through
its own bounds, and the answers that agree best with their first impression are the candidates. Further clicks are put
to the network in the same window together with the standing mask, and then hold by themselves (click_walk). Windows are
cut from the frame in full, not from the small square that whole frames are answered from. Torch is imported inside
functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import OpenWeights
from lora_assets.vision.boxes import FloatArray, box_iou
from lora_assets.vision.click_walk import CLICK_RADIUS, Field, walk
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, mask_bounds
from lora_assets.vision.prompted import CANDIDATES, WANTED, Candidates, Embedding, Prompt, best_first, check_prompt
from lora_assets.vision.sam import load_sam
from lora_assets.vision.starter_sam import LOOK_SIDE, SMALLEST_LOOK
from lora_assets.vision.starter_windows import Square, cut_window, network_input, window_around, without_norms
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SCALES = (0.2, 0.4, 0.6, 0.9, 1.3)
"""Sides of the windows around a click, as shares of the frame's longer side."""
FIRST_LOOK = 96
"""Pixels per side of the first looks at these windows: a third of the time of a look in full."""
WALK_SIDE = 112
"""Pixels per side of the window in which clicks are made to hold."""
_SMALLEST_PATCH = 12
# What speaks for an answer beside the network's own estimate: sides at the window's rim (in the first look, in the
# end), the next larger scale, agreement with the first impression. Set on drawn scenes.
_FIRST_RIM, _RIM, _LARGER, _AGREEMENT = 0.1, 0.05, 0.02, 0.3
_SAME_THING = 0.75
# A click beside anything that the network knows: the patch under it, in windows of these scales.
_PATCH_SCALES = (0.2, 0.45, 0.9)
_PATCH_SCORE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What a candidate leaves for the next click: its window, the box that was asked there, the first logits of the
    network (L,L) and the belief (n,n) that stands, 0 to 1."""

    window: Square
    box: FloatArray
    first: Field
    belief: Field


@dataclass(frozen=True, slots=True, eq=False)
class _Impression:
    """What a first look shows: bounds of the piece under the clicks, its belief in the window, how promising it is,
    and what speaks for it (or against it) beside the estimates."""

    box: FloatArray
    window: Square
    belief: Field
    promise: float
    bonus: float


class ClickedStarter:
    """The starter SAM as `Prompted`. Its embedding is the frame itself."""

    def __init__(self, sam: Sam, name: str) -> None:
        self._network: Any = without_norms(sam.mask_decoder.network)
        self._device = sam.device
        self._name = name

    @property
    def name(self) -> str:
        """The name that the model was opened by."""
        return self._name

    def embed(self, rgb: RgbImage) -> Embedding:
        """A copy of the frame: every prompt is looked at by itself."""
        return Embedding(rgb.shape[1], rgb.shape[0], rgb.nbytes, np.ascontiguousarray(rgb))

    def predict(
        self,
        embedding: Embedding,
        *,
        points: npt.ArrayLike = (),
        labels: npt.ArrayLike = (),
        box: npt.ArrayLike | None = None,
        mask_input: Any = None,
    ) -> Candidates:
        """As `Prompted.predict`; `carry` are `Standing`."""
        prompt = check_prompt(points, labels, box, embedding)
        image: RgbImage = embedding.features
        if isinstance(mask_input, Standing):
            return self._refined(image, prompt, self._reaching(image, prompt, mask_input))
        if prompt.box is None:
            return self._at_scales(image, prompt)
        asked = self._boxed(image, prompt.box)
        return asked if not len(prompt.points) else self._refined(image, prompt, asked.carry[0])

    # --- looks -------------------------------------------------------------------------------------------------------

    def _look(
        self, image: RgbImage, windows: Sequence[Square], boxes: Sequence[FloatArray], prompt: Prompt | None,
        side: int = LOOK_SIDE, belief: Field | None = None,
    ) -> tuple[Field, npt.NDArray[np.float64]]:  # fmt: skip
        """Logits (N,4,side/2,side/2) and estimated IoU (N,4) of windows, each asked for its box; `belief` (n,n) stands
        in all of them."""
        import torch

        from lora_assets.vision.starter_layers import drawn_points

        looks = []
        for window, box in zip(windows, boxes, strict=True):
            left, top, length = window
            dabs, given = None, None
            if prompt is not None and len(prompt.points):
                places = np.column_stack([(prompt.points - [left, top]) * (side / length), prompt.labels])
                dabs = drawn_points(torch.from_numpy(places.astype(np.float32)), side).numpy()
            if belief is not None:
                given = np.sign(cv2.resize(belief, (side, side), interpolation=cv2.INTER_LINEAR) - 0.5)
            looks.append(network_input(image, window, box, side, dabs, given))
        batch = torch.from_numpy(np.stack(looks)).to(self._device)
        with torch.inference_mode():
            logits, estimates = self._network(batch.contiguous(memory_format=torch.channels_last))
        estimated = np.clip(np.nan_to_num(estimates.float().cpu().numpy()), 0.0, 1.0).astype(np.float64)
        return np.nan_to_num(logits.float().cpu().numpy()), estimated

    def _boxed(self, image: RgbImage, box: FloatArray) -> Candidates:
        """The network's three answers to a box."""
        window = window_around(box)
        logits, estimates = self._look(image, [window], [box], None)
        standing = [Standing(window, box, each, _belief(each)) for each in logits[0, 1:]]
        return _candidates(image, standing, estimates[0, 1:])

    def _at_scales(self, image: RgbImage, prompt: Prompt) -> Candidates:
        """What stands under the clicks, at several scales; patches of colour where the network sees too little."""
        found = self._impressions(image, prompt)
        standing, scores = [], []
        if found:
            boxes, windows = [each.box for each in found], [window_around(each.box) for each in found]
            logits, estimates = self._look(image, windows, boxes, prompt)
            for each, window, its, told in zip(found, windows, logits[:, 0], estimates[:, 0], strict=True):
                seen = Standing(window, each.box, its, _belief(its))
                standing.append(self._held(image, prompt, seen))
                agreed = _agreement(each, seen)
                scores.append((float(told) + _AGREEMENT * agreed + each.bonus) / (1 + _AGREEMENT))
        for scale in _PATCH_SCALES[: CANDIDATES - len(standing)]:
            standing.append(_patch(image, prompt, scale))
            scores.append(_PATCH_SCORE * (1 - scale / 2))
        return _candidates(image, standing, np.array(scores))

    def _impressions(self, image: RgbImage, prompt: Prompt) -> list[_Impression]:
        """The pieces under the clicks in windows of all scales, the most promising and different ones first."""
        height, width = image.shape[:2]
        wanted = prompt.wanted
        middle = (wanted.min(axis=0) + wanted.max(axis=0)) / 2
        extent = float((wanted.max(axis=0) - wanted.min(axis=0)).max())
        sides = [max(scale * max(height, width), 1.5 * extent, SMALLEST_LOOK) for scale in SCALES]
        edge = np.array([width, height, width, height], np.float64)
        boxes = [np.clip(np.concatenate([middle - side / 2, middle + side / 2]), 0, edge) for side in sides]
        windows = [window_around(box) for box in boxes]
        logits, estimates = self._look(image, windows, boxes, prompt, FIRST_LOOK)
        found: list[_Impression] = []
        for place, (window, box) in enumerate(zip(windows, boxes, strict=True)):
            for its, told in zip(logits[place], estimates[place], strict=True):
                piece = _piece_under(its > 0, window, wanted)
                if piece is None:
                    continue
                bounds = _bounds(piece, window, edge)
                touching = (np.abs(bounds - box) <= window[2] / its.shape[0]) & (box > 0) & (box < edge)
                rim, larger = int(touching.sum()), _LARGER * place
                belief = np.where(piece, _belief(its), 0).astype(np.float32)
                promise = float(told) - _FIRST_RIM * rim + larger
                found.append(_Impression(bounds, window, belief, promise, larger - _RIM * rim))
        kept: list[_Impression] = []
        for each in sorted(found, key=lambda each: -each.promise):
            if all(box_iou(each.box[None], other.box[None])[0, 0] < _SAME_THING for other in kept):
                kept.append(each)
        return kept[:CANDIDATES]

    # --- clicks that hold --------------------------------------------------------------------------------------------

    def _held(self, image: RgbImage, prompt: Prompt, seen: Standing) -> Standing:
        """The same where every click holds in it already, else with the clicks walked into it."""
        if _hold(seen, _pixel_middles(image, prompt.points), prompt.labels):
            return seen
        return _walked(image, prompt, seen, seen.belief)

    def _reaching(self, image: RgbImage, prompt: Prompt, standing: Standing) -> Standing:
        """The same, or, where a click lies outside its window or the answer runs into its rim, what the network
        sees in a larger one."""
        left, top, side = standing.window
        inner = prompt.points - [left, top]
        if ((inner >= 0) & (inner <= side)).all() and not _on_rim(standing, image):
            return standing
        held = _bounds(standing.belief > 0.5, standing.window, np.array([*image.shape[1::-1]] * 2, np.float64))
        reached = np.concatenate([prompt.points.min(axis=0), prompt.points.max(axis=0)])
        box = np.concatenate([np.minimum(held[:2], reached[:2]), np.maximum(held[2:], reached[2:])])
        window = window_around(box)
        belief = _moved(standing.belief, standing.window, window)
        logits, _ = self._look(image, [window], [box], prompt, belief=belief)
        return Standing(window, box, logits[0, 0], belief)

    def _refined(self, image: RgbImage, prompt: Prompt, standing: Standing) -> Candidates:
        """The standing answer with all clicks: as they hold, its pieces with a click alone, and the network's own."""
        logits, estimates = self._look(image, [standing.window], [standing.box], prompt, belief=standing.belief)
        told = float(estimates[0, 0])
        held = _walked(image, prompt, standing, _belief((standing.first + logits[0, 0]) / 2))
        own = Standing(standing.window, standing.box, standing.first, _belief(logits[0, 0]))
        return _candidates(image, [held, _clicked_pieces(held, prompt), own], np.array([told, 0.97 * told, 0.9 * told]))


# --- windows and fields ----------------------------------------------------------------------------------------------


def _belief(logits: Field) -> Field:
    """Logits as chances, 0 to 1."""
    return (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)


def _pixel_middles(image: RgbImage, points: FloatArray) -> FloatArray:
    """The middles of the frame's pixels under points."""
    return np.clip(np.floor(points), 0, [image.shape[1] - 1, image.shape[0] - 1]) + 0.5


def _hold(standing: Standing, middles: FloatArray, labels: npt.NDArray[np.integer]) -> bool:
    """True when every click has its pixel in the mask, or outside it, as it wants; read as the mask is enlarged."""
    left, top, side = standing.window
    places = ((middles - [left, top]) * standing.belief.shape[0] / side - 0.5).astype(np.float32)
    across, down = (np.ascontiguousarray(places[:, axis]) for axis in (0, 1))
    read = cv2.remap(standing.belief, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return bool(((np.ravel(read) > 0.5) == (labels == WANTED)).all())


def _piece_under(mask: BoolMask, window: Square, wanted: FloatArray) -> BoolMask | None:
    """The pieces of a window's mask (n,n) under the clicks; None when there is none worth looking at."""
    left, top, side = window
    count = mask.shape[0]
    numbers: Any = cv2.connectedComponents(mask.astype(np.uint8))[1]
    places = np.clip(((wanted - [left, top]) * count / side).astype(np.int64), 0, count - 1)
    under = np.zeros(int(numbers.max()) + 1, np.bool_)
    under[numbers[places[:, 1], places[:, 0]]] = True
    under[0] = False
    piece = under[numbers]
    return piece if np.count_nonzero(piece) >= _SMALLEST_PATCH else None


def _bounds(piece: BoolMask, window: Square, edge: FloatArray) -> FloatArray:
    """The bounds of a window's mask in the frame, at least a pixel each way; the window's own when it is empty."""
    left, top, side = window
    x, y, width, height = mask_bounds(piece) or (0, 0, *piece.shape[::-1])
    step = side / piece.shape[0]
    box = np.array([left + x * step, top + y * step, left + (x + width) * step, top + (y + height) * step])
    box = np.clip(box, 0, edge)
    box[2:] = np.maximum(box[2:], np.minimum(box[:2] + 1, edge[2:]))
    return box


def _moved(field: Field, window: Square, other: Square, count: int | None = None) -> Field:
    """A field of one window as another window of the frame sees it; 0 where the first does not reach."""
    rows = count or field.shape[0]
    ratio = (other[2] / rows) / (window[2] / field.shape[0])
    shift = (np.array(other[:2]) - window[:2]) * field.shape[0] / window[2] + (ratio - 1) / 2
    back = np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]]], np.float64)
    moved = cv2.warpAffine(field, back, (rows, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(moved, np.float32)


def _on_rim(standing: Standing, image: RgbImage) -> bool:
    """True when the answer touches a side of its window that lies inside the frame."""
    left, top, side = standing.window
    height, width = image.shape[:2]
    mask = standing.belief > 0.5
    sides = (
        (mask[:, 0], left > 0),
        (mask[0], top > 0),
        (mask[:, -1], left + side < width),
        (mask[-1], top + side < height),
    )
    return any(inside and bool(line.any()) for line, inside in sides)


def _agreement(impression: _Impression, seen: Standing) -> float:
    """IoU of a first impression and what was seen when it was looked at again, in the window of the second look."""
    first = _moved(impression.belief, impression.window, seen.window, seen.belief.shape[0]) > 0.5
    second = seen.belief > 0.5
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0


def _walked(image: RgbImage, prompt: Prompt, standing: Standing, prior: Field) -> Standing:
    """The standing answer with every click holding, from a prior over its window."""
    left, top, side = standing.window
    pixels, _ = cut_window(image, standing.window, WALK_SIDE)
    start = cv2.resize(prior, (WALK_SIDE, WALK_SIDE), interpolation=cv2.INTER_LINEAR)
    scale = WALK_SIDE / side
    # The pixel that was clicked on, in its middle and whole: a window may be smaller than the one walked in.
    places, radius = (_pixel_middles(image, prompt.points) - [left, top]) * scale, max(CLICK_RADIUS, scale)
    belief = walk(pixels, np.asarray(start, np.float32), places, prompt.labels, radius)
    return Standing(standing.window, standing.box, standing.first, belief)


def _clicked_pieces(standing: Standing, prompt: Prompt) -> Standing:
    """The standing answer without pieces that no click stands on; the same when clicks stand on none."""
    wanted = prompt.wanted
    piece = _piece_under(standing.belief > 0.5, standing.window, wanted) if len(wanted) else None
    if piece is None:
        return standing
    kept = np.where(piece | (standing.belief <= 0.5), standing.belief, 0).astype(np.float32)
    return Standing(standing.window, standing.box, standing.first, kept)


def _patch(image: RgbImage, prompt: Prompt, scale: float) -> Standing:
    """The patch of colour under the clicks in a window of that scale, whose rim counts as what is not wanted."""
    height, width = image.shape[:2]
    wanted = prompt.wanted
    low, high = wanted.min(axis=0), wanted.max(axis=0)
    half = max(scale * max(height, width), float((high - low).max()) * 1.5, SMALLEST_LOOK) / 2
    middle = (low + high) / 2
    box = np.clip(np.concatenate([middle - half, middle + half]), 0, [width, height, width, height])
    window = window_around(box)
    prior = np.full((WALK_SIDE, WALK_SIDE), 0.5, np.float32)
    rim = np.ones_like(prior, bool)
    rim[2:-2, 2:-2] = False
    prior[rim] = 0
    empty = Standing(window, box, np.zeros((LOOK_SIDE // 2, LOOK_SIDE // 2), np.float32), prior)
    return _walked(image, prompt, empty, prior)


def _candidates(image: RgbImage, standing: Sequence[Standing], scores: npt.NDArray[np.floating]) -> Candidates:
    """The answers as masks of the frame."""
    height, width = image.shape[:2]
    masks = np.zeros((len(standing), height, width), np.bool_)
    for mask, each in zip(masks, standing, strict=True):
        left, top, side = each.window
        x1, y1, x2, y2 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
        step = each.belief.shape[0] / side
        shift = np.array([x1 - left, y1 - top]) * step + (step - 1) / 2
        back = np.array([[step, 0, shift[0]], [0, step, shift[1]]], np.float64)
        part = cv2.warpAffine(
            each.belief, back, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        mask[y1:y2, x1:x2] = part > 0.5
    return best_first(masks, scores, tuple(standing))


def open_starter(weights: OpenWeights) -> ClickedStarter:
    """The starter SAM of a file. Raises ModelError as `load_sam`."""
    import torch

    # Convolutions on a CPU are about a fifth faster with the channels of a pixel side by side.
    sam = load_sam(weights.path).to(torch_device()).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return ClickedStarter(sam, weights.name)

"""What the mask critic learns from: looks at masks that are good, wrong on purpose, or the starter SAM's.

How masks are made wrong belongs to `mask_damages`, the training to `mask_critic`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.starter import STARTER_SAM
from lora_assets.training.mask_damages import Drawn, damaged_mask, good_mask, wrong_pixels
from lora_assets.training.mask_shapes import patch
from lora_assets.training.rendered import RenderedFrame
from lora_assets.training.segmenter import choose_character, jittered_boxes
from lora_assets.vision.critic_look import cells, coverage, look_around, paint
from lora_assets.vision.masks import BoolMask, mask_bounds
from lora_assets.vision.refine import find_preset, refine_pixels
from lora_assets.vision.starter_sam import LOOK_SIDE
from lora_assets.vision.starter_windows import network_input, window_around

if TYPE_CHECKING:
    import torch

OTHERS_KNOWN_SHARE = 0.85
"""How often the masks of the other characters are known."""
BOX_OF_MASK_SHARE = 0.35
"""How often the detector's box is that of the mask, whatever is wrong with it."""
CUT_SHARE = 0.2
THINGS_SHARE = 0.7
"""How often nobody is a thing or an animal of the frame rather than a patch of it, where it shows one."""
SMALLEST_THING = 0.003
"""Share of the frame from which a thing may be taken for a character."""
REFINED_SHARE = 0.35
REFINED_BY = {"aggressive": 10, "extended": 5}
"""Presets that trackers refine masks by, and by how many pixels they grow them at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A look with its truth. `layers` is what the network sees (float32 CxSxS), `targets` the share 0..1 of what each
    cell holds of the mask that is too much, and of what it holds outside the mask that is missing (float32
    2xS/2xS/2), `weights` how much of the cell each is told of (the same shape)."""

    layers: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def make_sample(
    rng: np.random.Generator, frame: RenderedFrame, share_of_answers: float, share_of_nobody: float
) -> Sample | None:
    """A character of a frame with a mask that may be wrong; None when the frame shows nobody. The shares are those of
    the training's settings."""
    if rng.random() < share_of_nobody:
        return _nobody(rng, frame)
    chosen = choose_character(rng, frame, CUT_SHARE)
    if chosen is None:
        return None
    frame, index = chosen
    height, width = frame.owners.shape
    box = jittered_boxes(rng, frame.boxes[index : index + 1], width, height)[0]
    answer = starter_answer(frame.image, box) if rng.random() < share_of_answers else None
    drawn, corner = _surroundings(frame, index)
    x, y = corner
    figure = drawn.figure
    found = None if answer is None else answer[y : y + figure.shape[0], x : x + figure.shape[1]]
    mask = damaged_mask(rng, drawn, found)
    grown = 0
    if rng.random() < REFINED_SHARE:
        name = list(REFINED_BY)[int(rng.integers(len(REFINED_BY)))]
        grown, mask = REFINED_BY[name], refine_pixels(mask, find_preset(name))
    bounds = mask_bounds(mask)
    if bounds is None or not figure.any():
        return None
    wrong = wrong_pixels(mask, figure, grown)
    if rng.random() < BOX_OF_MASK_SHARE:
        box = np.array([x + bounds[0], y + bounds[1], x + bounds[0] + bounds[2], y + bounds[1] + bounds[3]])
    known = rng.random() < OTHERS_KNOWN_SHARE
    others = np.zeros_like(figure)
    for other in drawn.others if known else ():
        others |= good_mask(rng, replace(drawn, figure=other, others=())) if other.any() else other
    return _sample(rng, frame, (x, y), mask, others, wrong, tuple(float(value) for value in box))  # pyright: ignore[reportArgumentType]


def _nobody(rng: np.random.Generator, frame: RenderedFrame) -> Sample | None:
    """A mask of something that is no character: things and animals, or zones and patches of the rest of the frame."""
    mask = _things(rng, frame) if rng.random() < THINGS_SHARE else None
    mask = _patches(rng, frame) if mask is None else mask
    if mask is None:
        return None
    bounds = mask_bounds(mask)
    if bounds is None:
        return None
    box = np.array([[bounds[0], bounds[1], bounds[0] + bounds[2], bounds[1] + bounds[3]]], np.float32)
    told = jittered_boxes(rng, box, frame.owners.shape[1], frame.owners.shape[0])[0]
    others = frame.owners > 0 if rng.random() < OTHERS_KNOWN_SHARE else np.zeros_like(mask)
    return _sample(rng, frame, (0, 0), mask, others, (mask, np.zeros_like(mask)), tuple(float(each) for each in told))  # pyright: ignore[reportArgumentType]


def _things(rng: np.random.Generator, frame: RenderedFrame) -> BoolMask | None:
    """The mask of one thing of a frame, as a segmenter finds it, rarely that of two; None where none is large enough
    to be taken for somebody."""
    areas = np.bincount(frame.things.ravel(), minlength=1)
    large = np.flatnonzero(areas[1:] >= SMALLEST_THING * frame.things.size) + 1
    if not len(large):
        return None
    mask = np.zeros(frame.things.shape, np.bool_)
    for number in rng.permutation(large)[: 2 if rng.random() < 0.15 else 1]:
        mask |= damaged_mask(rng, Drawn(frame.image, frame.things == number, (frame.owners > 0,)))
    return mask & (frame.owners == 0)


def _patches(rng: np.random.Generator, frame: RenderedFrame) -> BoolMask | None:
    ys, xs = np.nonzero(frame.owners == 0)
    if not len(ys):
        return None
    at = int(rng.integers(len(ys)))
    x, y = int(xs[at]), int(ys[at])
    side = rng.uniform(0.15, 0.8) * min(frame.owners.shape)
    mask = patch(rng, frame.image, x, y, 0.5 * side**2)
    for _ in range(int(rng.integers(0, 5))):
        place = rng.normal((x, y), side / 4)
        beside = np.clip(place, 0, np.array(mask.shape[::-1]) - 1).astype(int)
        mask |= patch(rng, frame.image, int(beside[0]), int(beside[1]), 0.2 * side**2)
    return mask & (frame.owners == 0)


def _surroundings(frame: RenderedFrame, index: int) -> tuple[Drawn, tuple[int, int]]:
    """The part of a frame around a character that damages may reach, and its corner."""
    height, width = frame.owners.shape
    x1, y1, x2, y2 = frame.boxes[index]
    pad = 0.45 * max(x2 - x1, y2 - y1) + 12
    left, top = max(0, int(x1 - pad)), max(0, int(y1 - pad))
    right, bottom = min(width, int(x2 + pad)), min(height, int(y2 + pad))
    owners = frame.owners[top:bottom, left:right]
    others = tuple(owners == number + 1 for number in range(len(frame.boxes)) if number != index)
    things = frame.things[top:bottom, left:right]
    around = tuple(things == number for number in np.unique(things[things > 0]))
    return Drawn(frame.image[top:bottom, left:right], owners == index + 1, others, around), (left, top)


def _sample(
    rng: np.random.Generator,
    frame: RenderedFrame,
    corner: tuple[int, int],
    mask: BoolMask,
    others: BoolMask,
    wrong: tuple[BoolMask, BoolMask],
    box: tuple[float, float, float, float],
) -> Sample:
    height, width = frame.owners.shape
    bounds = mask_bounds(mask) or (0, 0, 1, 1)
    look = look_around((corner[0] + bounds[0], corner[1] + bounds[1], bounds[2], bounds[3]), box, width, height)
    x, y, wide, tall = look.part(width, height)

    def seen(layer: BoolMask) -> BoolMask:
        whole = np.zeros((height, width), np.bool_)
        whole[corner[1] : corner[1] + layer.shape[0], corner[0] : corner[0] + layer.shape[1]] = layer
        return whole[y : y + tall, x : x + wide]

    image = frame.image[y : y + tall, x : x + wide]
    canvas = paint(look, (width, height), image, seen(mask), seen(others), box)
    too_much, missing = (cells(coverage(look, (width, height), seen(layer))) for layer in wrong)
    held, inside = cells(canvas.mask), cells(canvas.inside)
    open_air = np.maximum(inside - held, 0.0)
    parts = [too_much / np.maximum(held, 1e-3), missing / np.maximum(open_air, 1e-3)]
    layers = replace(canvas, picture=altered(rng, canvas.picture)).layers()
    targets, weights = np.clip(np.stack(parts), 0.0, 1.0), np.stack([held, open_air])
    if rng.random() < 0.5:
        layers, targets, weights = (np.ascontiguousarray(each[:, :, ::-1]) for each in (layers, targets, weights))
    return Sample(layers, targets.astype(np.float32), weights.astype(np.float32))


def altered(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A look's picture (uint8 RGB) in other colours, sometimes grey, faded, blurred, screened, lettered, compressed."""
    if rng.random() < 0.7:
        hue, saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
        far = 90 if rng.random() < 0.2 else 20
        hue = (hue.astype(np.int16) + int(rng.integers(-far, far + 1))) % 180
        parts = [hue, saturation * rng.uniform(0.4, 1.4), value * rng.uniform(0.6, 1.3)]
        picture = cv2.cvtColor(cv2.merge([np.clip(part, 0, 255).astype(np.uint8) for part in parts]), cv2.COLOR_HSV2RGB)
    if rng.random() < 0.12:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = picture.astype(np.float32)
    if rng.random() < 0.05:
        rows, columns = (np.arange(side, dtype=np.float32) for side in levels.shape[:2])
        rows = rows[:, None]
        pitch = rng.uniform(2.0, 5.0)
        dots = np.sin(2 * np.pi * (columns + rows) / pitch) * np.sin(2 * np.pi * (columns - rows) / pitch)
        levels += rng.uniform(10, 60) * dots[..., None]
    if rng.random() < 0.12:
        _letter(rng, levels)
    if rng.random() < 0.15:
        levels = cv2.GaussianBlur(levels, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.12:
        to = 255.0 if rng.random() < 0.5 else 0.0
        levels += (to - levels) * rng.uniform(0.2, 0.85)
    if rng.random() < 0.2:
        levels += rng.normal(0, rng.uniform(1, 7), levels.shape[:2])[..., None]
    picture = np.clip(levels, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1]
        picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _letter(rng: np.random.Generator, levels: np.ndarray) -> None:
    """Lay one to three lines of letters over a picture, in place."""
    side = levels.shape[0]
    ink = np.zeros(levels.shape[:2], np.uint8)
    size = float(rng.uniform(0.25, 0.7))
    for line in range(int(rng.integers(1, 4))):
        text = "".join(chr(int(code)) for code in rng.integers(65, 91, int(rng.integers(4, 20))))
        at = (int(rng.integers(-10, side // 2)), int(rng.uniform(0.1, 0.95) * side) + 14 * line)
        cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    strength = (ink.astype(np.float32) / 255.0)[..., None] * rng.uniform(0.2, 1.0)
    levels += (rng.uniform(0, 255) - levels) * strength


def starter_answer(image: np.ndarray, box: np.ndarray) -> BoolMask:
    """What the starter SAM answers to a box (xyxy) in an RGB image: bool HxW, often wrong."""
    import torch

    window = window_around(box)
    left, top, side = window
    seen = torch.from_numpy(network_input(image, window, box, LOOK_SIDE)[None])
    with torch.inference_mode():
        logits = starter_network()(seen)[0][0, 0].numpy()
    back = np.array([[side / logits.shape[1], 0, left], [0, side / logits.shape[0], top]])
    return cv2.warpAffine(logits, back, image.shape[1::-1], flags=cv2.INTER_LINEAR, borderValue=-12.0) > 0  # pyright: ignore[reportCallIssue, reportArgumentType]


@cache
def starter_network() -> torch.nn.Module:
    """The network of the starter SAM, which is asked for wrong masks and begun with."""
    from lora_assets.vision.starter_sam import load_starter_sam

    return load_starter_sam(STARTER_SAM).mask_decoder.network  # pyright: ignore[reportReturnType]

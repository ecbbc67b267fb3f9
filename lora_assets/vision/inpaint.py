"""Painting a background where something was taken out of a frame: Telea, Navier-Stokes, or LaMa as ONNX.

Only the hole's pixels change, and only the hole and what is around it are looked at. Which pixels are the hole does not
belong here (mask_lab.layers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, mask_bounds
from lora_assets.vision.yolo_onnx import open_session

CODE_VERSION = "1"

Painter = Callable[[RgbImage, BoolMask], RgbImage]
"""A frame HxWx3 and its hole HxW in, the frame with the hole painted out; the rest is the frame's own pixels."""

_LAMA_SIDE = 512
_AROUND = 0.6
_LEAST_AROUND = 32


def paint_telea(radius: int) -> Painter:
    """Telea, "An image inpainting technique based on the fast marching method", 2004, with OpenCV."""
    return _opencv(cv2.INPAINT_TELEA, radius)


def paint_navier_stokes(radius: int) -> Painter:
    """Bertalmio, Bertozzi, Sapiro, "Navier-Stokes, fluid dynamics, and image and video inpainting", 2001."""
    return _opencv(cv2.INPAINT_NS, radius)


def _opencv(method: int, radius: int) -> Painter:
    def paint(image: RgbImage, hole: BoolMask) -> RgbImage:
        found = image.copy()
        bounds = mask_bounds(hole)
        if bounds is None:
            return found
        part = _padded(bounds, 2 * radius + 2, hole.shape)
        painted = np.asarray(
            cv2.inpaint(np.ascontiguousarray(image[part]), hole[part].astype(np.uint8), radius, method)
        )
        found[part][hole[part]] = painted[hole[part]]
        return found

    return paint


def load_lama(path: Path, threads: int = 1) -> Painter:
    """LaMa (Suvorov et al. 2022) as Carve exported it: `image` [1,3,512,512] from 0 to 1 and `mask` [1,1,512,512] in,
    [1,3,512,512] from 0 to 255 out. Each hole is painted in a window of its own with its surroundings.

    Raises ModelError, naming file, reason and way out, for a file that is damaged or of another kind.
    """
    session = open_session(path, threads)
    shapes = {each.name: list(each.shape) for each in session.get_inputs()}
    if set(shapes) != {"image", "mask"} or len(shapes["image"]) != 4:
        raise ModelError(
            f"{path} is no LaMa (its inputs are {shapes}; expected image[1,3,512,512] and mask[1,1,512,512]): choose "
            "lama, see lora-assets models list, or method telea"
        )
    told = shapes["image"][2]
    side = told if isinstance(told, int) else _LAMA_SIDE

    def ask(image: RgbImage, hole: BoolMask) -> RgbImage:
        how = cv2.INTER_AREA if max(hole.shape) > side else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(image, (side, side), interpolation=how), np.float32) / 255.0
        # A pixel that is partly hole is hole: what is left of the figure would be painted on from.
        shrunk = np.asarray(cv2.resize(hole.astype(np.float32), (side, side), interpolation=how)) > 0
        feed = {"image": small.transpose(2, 0, 1)[None], "mask": shrunk.astype(np.float32)[None, None]}
        answer = np.asarray(session.run(None, feed)[0], np.float32)
        if answer.shape != (1, 3, side, side):
            raise ModelError(f"{path} answers with shape {answer.shape}, not [1,3,{side},{side}]: choose other weights")
        pixels = np.clip(np.rint(np.nan_to_num(answer[0].transpose(1, 2, 0))), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(pixels, hole.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)

    def paint(image: RgbImage, hole: BoolMask) -> RgbImage:
        found = image.copy()
        for part in _holes(hole):
            painted = ask(np.ascontiguousarray(found[part]), hole[part])
            found[part][hole[part]] = painted[hole[part]]
        return found

    return paint


def _holes(hole: BoolMask) -> Iterator[tuple[slice, slice]]:
    """A window for each hole, with 60 % of its longer side around; holes near each other share one."""
    near = cv2.dilate(hole.astype(np.uint8), np.ones((_LEAST_AROUND, _LEAST_AROUND), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for number in range(1, count):
        x, y, width, height = (int(value) for value in stats[number][:4])
        reach = max(_LEAST_AROUND, round(_AROUND * max(width, height)))
        yield _padded((x, y, width, height), reach, hole.shape)


def _padded(bounds: tuple[int, int, int, int], reach: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x, y, width, height = bounds
    return (
        slice(max(0, y - reach), min(shape[0], y + height + reach)),
        slice(max(0, x - reach), min(shape[1], x + width + reach)),
    )


def grown(mask: BoolMask, pixels: int) -> npt.NDArray[np.bool_]:
    """The mask HxW grown by a disc of that radius; itself for 0."""
    if not pixels:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel)) > 0

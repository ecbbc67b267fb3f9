"""How the starter SAM is asked about the frame itself: square windows of it, and what the network sees of them.

Windows are cut from the frame in full, not from the small square that `starter_layers` answers whole frames from. Which
windows are asked and what becomes a mask is in starter_boxes (boxes) and click_starter (clicks). Torch is imported
inside functions.
"""

from __future__ import annotations

import copy
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import RgbImage
from lora_assets.vision.starter_sam import LOOK_MARGIN, PIXEL_MEAN, PIXEL_STD, SMALLEST_LOOK

Field = npt.NDArray[np.float32]

Square = tuple[int, int, int]
"""Left, top and side of a window in pixels of the frame; it may reach outside."""


def window_around(box: FloatArray) -> Square:
    """The window in which a box (xyxy) is looked at."""
    x1, y1, x2, y2 = (float(value) for value in box)
    side = max(SMALLEST_LOOK, int(np.ceil(max(x2 - x1, y2 - y1) * (1 + 2 * LOOK_MARGIN))))
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def cut_window(image: RgbImage, window: Square, side: int) -> tuple[RgbImage, Field]:
    """The window of a frame at `side` x `side` pixels, and where the frame is in it (1 or 0)."""
    left, top, length = window
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(0, left), max(0, top), min(width, left + length), min(height, top + length)
    scale = side / length
    columns, rows = (round((x - left) * scale) for x in (x1, x2)), (round((y - top) * scale) for y in (y1, y2))
    (first, last), (upper, lower) = columns, rows
    pixels, covered = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.float32)
    if x2 > x1 and y2 > y1 and last > first and lower > upper:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        part = cv2.resize(image[y1:y2, x1:x2], (last - first, lower - upper), interpolation=how)
        pixels[upper:lower, first:last], covered[upper:lower, first:last] = part, 1
    return pixels, covered


def network_input(
    image: RgbImage, window: Square, box: FloatArray, side: int, dabs: Field | None = None, given: Field | None = None
) -> Field:
    """What the network sees of a window asked for its box: `starter_layers.CHANNELS` x side x side.

    `dabs` (side,side) are drawn points, `given` (side,side) is an earlier answer, -1 or 1; zeros where there are none.
    """
    import torch

    from lora_assets.vision.starter_layers import drawn_box

    left, top, length = window
    pixels, covered = cut_window(image, window, side)
    colours = (pixels.astype(np.float32) - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
    colours *= covered[..., None]
    corners = (box - [left, top, left, top]) * (side / length)
    asked = drawn_box(torch.from_numpy(corners.astype(np.float32)), side).numpy()
    nothing = np.zeros((side, side), np.float32)
    layers = (asked, nothing if dabs is None else dabs, nothing if given is None else given, covered)
    return np.stack([*colours.transpose(2, 0, 1), *layers]).astype(np.float32)


def without_norms(network: Any) -> Any:
    """A copy of the network whose batch norms are folded into the convolutions before them (Jacob et al. 2018,
    "Quantization and Training of Neural Networks", 3.2): the same logits to a hundred-thousandth, in four fifths of the
    time."""
    import torch
    from torch import nn
    from torchvision.models.resnet import BasicBlock

    network = copy.deepcopy(network).eval()
    modules: list[Any] = list(network.modules())
    for module in modules:
        if isinstance(module, BasicBlock):
            module.conv1, module.bn1 = _folded(module.conv1, module.bn1), nn.Identity()
            module.conv2, module.bn2 = _folded(module.conv2, module.bn2), nn.Identity()
        elif isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            module[0], module[1] = _folded(module[0], module[1]), nn.Identity()
    return network.to(memory_format=torch.channels_last)


def _folded(convolution: Any, norm: Any) -> Any:
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    return fuse_conv_bn_eval(convolution, norm)

"""The picture and the mask of a crop as a trainer gets them: the frame around it, the cut-out on a ground, or RGBA.

Originals are only read, and only if their bytes still have the frame's hash. A cut-out comes from the crop's stored
picture; a lost one is drawn again from frame and mask. How it is written belongs to records and writing.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.exports.fitting import Figure, fit_window
from lora_assets.exports.pool import ExportCrop
from lora_assets.exports.settings import ALPHA, FLAT, WINDOW, ExportSettings
from lora_assets.store import Store
from lora_assets.vision import images
from lora_assets.vision.crops import crop_window, cut_crop
from lora_assets.vision.cutout import HEAD_LABELS, Xyxy, find_heads
from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage, over_ground
from lora_assets.vision.masks import BoolMask, Window, mask_bounds, window_pixels
from lora_assets.vision.picture_errors import UNREADABLE

CODE_VERSION = "1"
LATENT = 8
"""Pixels of the trained picture to one latent cell, along each side."""

# The bytes passed the limits of their dataset when they were listed.
_LISTED = ReadSettings(min_side=1, max_megapixels=1000)
_KEPT_FRAMES = 2

MaskLevels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnCrop:
    """What a trainer gets of a crop. `picture` HxWx3 or HxWx4 (8-bit), `mask` HxW 0 or 255, dilated; `figure` the mask
    before, bool HxW; `window` x, y, width, height in the frame (it reaches beyond where a ground was added); `head` the
    character's head, xyxy in pixels of the picture; `thin_lost` share of the figure in latent cells that the mask fills
    less than half.
    """

    picture: npt.NDArray[np.uint8]
    mask: MaskLevels
    figure: BoolMask
    window: Window
    head: Xyxy | None
    thin_lost: float


class FramePixels:
    """The pixels of frames by content; the last two are kept, since the crops of a frame follow each other."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, RgbImage] = OrderedDict()

    def load(self, crop: ExportCrop) -> RgbImage:
        """The upright frame of a crop, HxWx3. Raises ImageRefused when no file holds its bytes any more."""
        if crop.frame_sha256 in self._kept:
            self._kept.move_to_end(crop.frame_sha256)
            return self._kept[crop.frame_sha256]
        reason = "no file"
        for name in crop.files:
            path = crop.folder / name
            try:
                content = images.read_file(path)
            except ImageRefused as refused:
                reason = f"{path}: {refused}"
                continue
            if hashlib.sha256(content).hexdigest() != crop.frame_sha256:
                reason = f"{path}: the file changed after it was listed"
                continue
            self._kept[crop.frame_sha256] = images.decode_image(content, _LISTED).pixels
            while len(self._kept) > _KEPT_FRAMES:
                self._kept.popitem(last=False)
            return self._kept[crop.frame_sha256]
        raise ImageRefused(reason)


def draw_crop(store: Store, crop: ExportCrop, frames: FramePixels, settings: ExportSettings) -> DrawnCrop:
    """Picture and mask of a crop. Raises ImageRefused, naming the file and the reason, when they cannot be had."""
    if not crop.mask.area:
        raise ImageRefused(f"crop {crop.crop_id}: its mask has no pixels")
    try:
        tight = crop_window(crop.mask, *crop.frame_size)
    except ValueError as error:
        raise ImageRefused(str(error)) from error
    figure = Figure(window_pixels(crop.mask, tight), tight, head_of(crop))
    inside = settings.picture == WINDOW
    window = fit_window(figure, crop.frame_size, settings, inside=inside)
    if inside:
        picture = _window_picture(crop, frames, window, settings)
    else:
        picture = _cutout_picture(store, crop, frames, window, settings)
    pixels = window_pixels(crop.mask, window)
    mask = dilate_mask(pixels, settings.mask_dilation, settings.resolution)
    # Beyond the frame there is nothing to learn.
    left, top, right, bottom = (-window[0], -window[1], crop.frame_size[0] - window[0], crop.frame_size[1] - window[1])
    framed = np.zeros_like(mask)
    part = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
    framed[part] = mask[part]
    head = _moved(figure.head, window)
    return DrawnCrop(picture, framed, pixels, window, head, thin_share_lost(pixels, framed, settings.resolution))


def _moved(box: Xyxy | None, window: Window) -> Xyxy | None:
    """A box of the frame in pixels of a window."""
    if box is None:
        return None
    return box[0] - window[0], box[1] - window[1], box[2] - window[0], box[3] - window[1]


def _window_picture(
    crop: ExportCrop, frames: FramePixels, window: Window, settings: ExportSettings
) -> npt.NDArray[np.uint8]:
    """The frame's pixels in a window, the ground where it reaches beyond the frame."""
    frame = frames.load(crop)
    height, width = frame.shape[:2]
    x, y, wide, high = window
    left, top, right, bottom = max(0, x), max(0, y), min(width, x + wide), min(height, y + high)
    if (left, top, right, bottom) == (x, y, x + wide, y + high):
        return np.ascontiguousarray(frame[top:bottom, left:right])
    canvas = np.empty((high, wide, 3), np.uint8)
    canvas[:] = _colour(settings.ground)
    canvas[top - y : bottom - y, left - x : right - x] = frame[top:bottom, left:right]
    return canvas


def _colour(ground: str) -> npt.NDArray[np.uint8]:
    return np.array([int(ground[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)


def _cutout_picture(
    store: Store, crop: ExportCrop, frames: FramePixels, window: Window, settings: ExportSettings
) -> npt.NDArray[np.uint8]:
    """The cut-out in a window: HxWx3 on the ground, or HxWx4 with its alpha."""
    own = crop_window(crop.mask, *crop.frame_size)
    rgba = stored_cutout(store, crop, own)
    if rgba is None:
        rgba = cut_crop(frames.load(crop), crop.mask)
    x, y, wide, high = window
    ground = _colour(settings.ground)
    canvas = np.zeros((high, wide, 4), np.uint8)
    canvas[..., :3] = ground
    left, top = max(own[0], x), max(own[1], y)
    right, bottom = min(own[0] + own[2], x + wide), min(own[1] + own[3], y + high)
    part = canvas[top - y : bottom - y, left - x : right - x]
    rgba = rgba[top - own[1] : bottom - own[1], left - own[0] : right - own[0]]
    if settings.picture == ALPHA:
        # A trainer that drops the alpha must see the ground, and not the black that lies under alpha 0.
        seen = rgba[..., 3] > 0
        part[seen] = rgba[seen]
        return canvas
    part[..., :3] = over_ground(rgba, ground)
    return np.ascontiguousarray(canvas[..., :3])


def stored_cutout(store: Store, crop: ExportCrop, window: Window) -> npt.NDArray[np.uint8] | None:
    """The crop's own RGBA picture; None when it is gone, damaged or of another size: it is then drawn again."""
    path = store.picture("crops", crop.crop_id, ".png")
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            pixels = np.asarray(picture.convert("RGBA"), np.uint8)
    except UNREADABLE:
        return None
    return pixels if pixels.shape[:2] == (window[3], window[2]) else None


def caption_view(store: Store, crop: ExportCrop, frames: FramePixels, look_at: str) -> RgbImage:
    """What a tagger sees of a crop: the frame's window, or the cut-out on white. Raises ImageRefused as draw_crop."""
    try:
        window = crop_window(crop.mask, *crop.frame_size)
    except ValueError as error:
        raise ImageRefused(str(error)) from error
    if look_at == WINDOW:
        return _window_picture(crop, frames, window, ExportSettings())
    return _cutout_picture(store, crop, frames, window, ExportSettings(picture=FLAT))


def trained_scale(width: int, height: int, resolution: int) -> float:
    """How many pixels of the trained picture one pixel of a picture becomes, when its area becomes resolution ** 2."""
    return resolution / math.sqrt(width * height)


def dilate_mask(figure: BoolMask, dilation: float, resolution: int) -> MaskLevels:
    """The mask as 0 and 255, widened by `dilation` pixels of the trained picture (a disc)."""
    levels = figure.astype(np.uint8) * np.uint8(255)
    radius = round(dilation / trained_scale(figure.shape[1], figure.shape[0], resolution))
    if radius < 1:
        return levels
    # The distance to the figure is the dilation with a true disc, whatever its size.
    distance = cv2.distanceTransform(255 - levels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(np.asarray(distance) <= radius, np.uint8(255), np.uint8(0)).astype(np.uint8)


def latent_weights(mask: MaskLevels, resolution: int) -> npt.NDArray[np.float32]:
    """The mask as the loss sees it: averaged over the cells of 8 x 8 trained pixels, weights 0 to 1."""
    scale = trained_scale(mask.shape[1], mask.shape[0], resolution) / LATENT
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32) / 255.0


def thin_share_lost(figure: BoolMask, mask: MaskLevels, resolution: int) -> float:
    """Share of the figure's pixels that lie in latent cells which the dilated mask fills less than half."""
    weights = latent_weights(mask, resolution)
    spread = cv2.resize(weights, (figure.shape[1], figure.shape[0]), interpolation=cv2.INTER_NEAREST)
    return float(np.mean(np.asarray(spread)[figure] < 0.5))


def head_of(crop: ExportCrop) -> Xyxy | None:
    """The character's head in pixels of the frame: the tallest head or face whose middle its mask holds."""
    labels = [found for found in crop.detections if found.label.lower() in HEAD_LABELS]
    best: Xyxy | None = None
    for head in find_heads(labels):
        x, y = (head.box[0] + head.box[2]) / 2, (head.box[1] + head.box[3]) / 2
        at = window_pixels(crop.mask, (math.floor(x), math.floor(y), 1, 1))
        if at[0, 0] and (best is None or head.box[3] - head.box[1] > best[3] - best[1]):
            best = head.box
    return best


def mask_png(mask: MaskLevels) -> bytes:
    """An 8-bit grey PNG (L) of a mask; equal masks give equal bytes."""
    done, content = cv2.imencode(".png", mask)
    if not done:
        raise ValueError(f"OpenCV cannot write a mask of {mask.dtype} {mask.shape} as PNG")
    return content.tobytes()


def bounds_of(figure: BoolMask) -> Window:
    """x, y, width, height of a figure that has pixels."""
    bounds = mask_bounds(figure)
    if bounds is None:
        raise ValueError("the figure has no pixels")
    return bounds

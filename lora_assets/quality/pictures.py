"""A crop as the metrics see it: its pixels, its mask, its faces and key points, at the size at which trainers read it.

The frame is the source; where the original is gone, the stored cut-out still shows the figure. Finding the rows of a
tracker is in making, measuring elsewhere in this package.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.quality.settings import CUTOUT
from lora_assets.store import Store
from lora_assets.tables import Detection, Mask
from lora_assets.vision.crops import crop_window
from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage, decode_image, read_file
from lora_assets.vision.masks import BoolMask, mask_bounds, window_pixels
from lora_assets.vision.picture_errors import UNREADABLE

CODE_VERSION = "1"

MOST_SIDE = 1024
"""Crops are measured at most this large (longer side, pixels), by area averaging: no trainer reads more of them."""
GREY = 128
# The frames passed the limits of their dataset when they were listed.
_LISTED = ReadSettings(min_side=1, max_megapixels=1000)

Box = tuple[float, float, float, float]


class PictureLost(ValueError):
    """There are no pixels of a crop to measure now; the text says why. It is tried again at the next run."""


@dataclass(frozen=True, slots=True, eq=False)
class QualityCrop:
    """A crop: `colour` HxWx3 and `mask` HxW; `scale` is its pixels per pixel of the frame; `faces` are (box in the
    crop's pixels, confidence) of the detections, `key_points` (17, 3) or None, x and y in the crop's pixels.

    Without `has_background` the colour outside the mask is not the frame's.
    """

    crop_id: str
    colour: RgbImage
    mask: BoolMask
    has_background: bool = True
    scale: float = 1.0
    faces: tuple[tuple[Box, float], ...] = ()
    key_points: npt.NDArray[np.float64] | None = None

    @property
    def grey(self) -> npt.NDArray[np.uint8]:
        """Luminance 0..255 (HxW)."""
        return np.asarray(cv2.cvtColor(self.colour, cv2.COLOR_RGB2GRAY), np.uint8)

    def shown(self, picture: str) -> RgbImage | None:
        """The picture for metrics of whole pictures: the window of the frame, or the figure on grey. None where the
        window is asked for and the frame is gone."""
        if picture == CUTOUT:
            return np.where(self.mask[..., None], self.colour, np.uint8(GREY))
        return self.colour if self.has_background else None


def read_original(folder: Path | None, names: tuple[str, ...], sha256: str) -> RgbImage:
    """The pixels of a frame, only if a file still holds the very bytes of its hash. Raises PictureLost."""
    reason = "the dataset's folder is gone" if folder is None else "the frame is not listed any more"
    for name in names if folder is not None else ():
        try:
            content = read_file(Path(folder) / name)  # pyright: ignore[reportArgumentType]
            if hashlib.sha256(content).hexdigest() == sha256:
                return decode_image(content, _LISTED).pixels
            reason = f"{name} changed after it was listed"
        except ImageRefused as refused:
            reason = f"{name}: {refused}"
    raise PictureLost(reason)


def _reduced(colour: RgbImage, mask: BoolMask) -> tuple[RgbImage, BoolMask, float]:
    scale = min(1.0, MOST_SIDE / max(mask.shape))
    if scale >= 1.0:
        return colour, mask, 1.0
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), np.uint8)
    share = cv2.resize(mask.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    return small, np.asarray(share) >= 128, scale


def crop_of_frame(crop_id: str, image: RgbImage, row: Mask, detections: list[Detection]) -> QualityCrop:
    """The crop of a mask row in its frame. Raises PictureLost when the mask does not fit the frame or is empty."""
    try:
        window = crop_window(row, image.shape[1], image.shape[0])
        mask = window_pixels(row, window)
    except ValueError as error:
        raise PictureLost(str(error)) from error
    if not mask.any():
        raise PictureLost("the mask has no pixels")
    x, y, width, height = window
    colour, small, scale = _reduced(np.ascontiguousarray(image[y : y + height, x : x + width]), mask)
    return _with_detections(crop_id, colour, small, scale, (x, y), row, detections, background=True)


def crop_of_cutout(
    crop_id: str, store: Store, row: Mask, frame_size: tuple[int, int], detections: list[Detection]
) -> QualityCrop:
    """The crop from its stored cut-out, without the background. Raises PictureLost when there is none."""
    path = store.picture("crops", crop_id, ".png")
    try:
        with Image.open(path) as picture:
            rgba = np.asarray(picture.convert("RGBA"))
        window = crop_window(row, *frame_size)
    except UNREADABLE as error:
        raise PictureLost(f"and its stored cut-out cannot be read ({error})") from error
    mask = rgba[..., 3] >= 128
    if mask_bounds(mask) is None:
        raise PictureLost("and its stored cut-out has no pixels")
    colour, small, scale = _reduced(np.ascontiguousarray(rgba[..., :3]), mask)
    return _with_detections(crop_id, colour, small, scale, window[:2], row, detections, background=False)


def _with_detections(
    crop_id: str,
    colour: RgbImage,
    mask: BoolMask,
    scale: float,
    corner: tuple[int, int],
    row: Mask,
    detections: list[Detection],
    *,
    background: bool,
) -> QualityCrop:
    left, top = corner
    faces = tuple(
        (((d.x1 - left) * scale, (d.y1 - top) * scale, (d.x2 - left) * scale, (d.y2 - top) * scale), d.confidence)
        for d in detections
        if d.label.lower() == "face"
    )
    own = next((d for d in detections if d.detection_id == row.detection_id), None)
    points = None
    if own is not None and own.key_points is not None and len(own.key_points) == 51:
        points = np.asarray(own.key_points, np.float64).reshape(17, 3).copy()
        points[:, 0] = (points[:, 0] - left) * scale
        points[:, 1] = (points[:, 1] - top) * scale
    return QualityCrop(crop_id, colour, mask, background, scale, faces, points)

"""Masks as sets keep them: mask files to bool masks, and bool masks to mask files and polygons.

What belongs elsewhere: reading the segmentations of a COCO file (vision.coco_masks).
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, ImageOps

from lora_assets.vision.coco_masks import MaskFormError
from lora_assets.vision.images import ImageRefused, ReadSettings, decode_image
from lora_assets.vision.masks import BoolMask

_MASK_LIMITS = ReadSettings(min_side=1)
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
_TONE_ROOM = 24
"""Levels by which lossy formats move a plain tone."""
_MOST_LABELS = 48
"""Levels of one channel up to which a lossless file may hold labels; one with more was lossy before."""


def mask_of_file(content: bytes) -> BoolMask:
    """The mask of a picture file: what is brighter than half of its brightest level, so that 0/1 and 0/255 both do.

    Where one visible colour lies on transparency, the mask is what is opaque. Raises MaskFormError when it is no
    picture, or none of two tones: the labels of several things, or colours and transparency that say different things.
    """
    try:
        decoded = decode_image(content, _MASK_LIMITS)
    except ImageRefused as refused:
        raise MaskFormError("mask_file_broken", f"the mask file cannot be read: {refused}") from refused
    channels = [np.ascontiguousarray(one) for one in np.moveaxis(decoded.pixels, 2, 0)]
    layers = _layers(content, decoded.format)
    if layers is not None:
        channels = _seen_channels(layers)
    red, green, blue = channels
    # Per channel: numpy's max over the last axis takes five times as long as decoding.
    levels = np.maximum(np.maximum(red, green), blue)
    top = int(levels.max())
    if not top:
        return np.zeros(levels.shape, np.bool_)
    _check_two_tones(channels, lossy=decoded.format in _LOSSY)
    return levels > top // 2


def _layers(content: bytes, format_name: str) -> np.ndarray | None:
    """The upright red, green, blue and alpha (uint8 HxWx4) of a picture with transparency; None for one without."""
    try:
        image = Image.OPEN[format_name][0](io.BytesIO(content), "")
    except (SyntaxError, IndexError, TypeError):
        return None  # a float TIFF, which decode_image reads in its own way
    if "A" not in image.getbands() and "transparency" not in image.info:
        return None
    return np.asarray(ImageOps.exif_transpose(image.convert("RGBA")))


def _seen_channels(layers: np.ndarray) -> list[np.ndarray]:
    """Red, green and blue of a mask with transparency. Raises MaskFormError when colour and alpha both vary."""
    alpha = np.ascontiguousarray(layers[..., 3])
    if alpha.min() == alpha.max():
        return [np.ascontiguousarray(layers[..., place]) for place in range(3)]
    visible = layers[alpha > 0][:, :3]
    if np.ptp(visible, axis=0).max() > _TONE_ROOM:
        raise MaskFormError(
            "mask_file_unclear", "the mask file has several colours and transparency, and the mask may be in either: "
            "save it without transparency, white on black",
        )  # fmt: skip
    return [alpha, alpha, alpha]


def _check_two_tones(channels: list[np.ndarray], *, lossy: bool) -> None:
    """Raise MaskFormError when a mask file has more than two plateaus: colours that fill areas of 3 x 3 pixels.

    The soft edges of a mask fill none, so that they may have any tone.
    """
    red, green, blue = channels
    grey = bool(np.array_equal(red, green) and np.array_equal(red, blue))
    histograms = [np.bincount(one.reshape(-1), minlength=256) for one in (channels[:1] if grey else channels)]
    if grey and np.count_nonzero(histograms[0]) <= 2:
        return
    square = np.ones((3, 3), np.uint8)
    flat = np.ones(red.shape, np.bool_)
    for one in channels[:1] if grey else channels:
        flat &= np.asarray(cv2.dilate(one, square)) == np.asarray(cv2.erode(one, square))
    code = np.zeros(int(np.count_nonzero(flat)), np.int64)
    for one, histogram in zip(channels[:1] if grey else channels, histograms, strict=True):
        room = _TONE_ROOM if lossy or np.count_nonzero(histogram) > _MOST_LABELS else 0
        code = code * 256 + _tones(one[flat], room)
    found = len(np.unique(code))
    if found > 2:
        raise MaskFormError(
            "mask_file_unclear", f"the mask file has {found} plain tones, as a file of labels has, and a mask has two; "
            "write one file for each thing, white on black",
        )  # fmt: skip


def _tones(levels: np.ndarray, room: int) -> np.ndarray:
    """The number of the tone that each level (uint8) belongs to; tones are `room` levels wide."""
    number, start, table = -1, -256, np.zeros(256, np.int64)
    for level in np.flatnonzero(np.bincount(levels, minlength=256)).tolist():
        if level - start > room:
            number, start = number + 1, level
        table[level] = number
    return table[levels]


def mask_file_bytes(mask: BoolMask) -> bytes:
    """A mask as an 8-bit grey PNG of 0 and 255."""
    stream = io.BytesIO()
    Image.fromarray(mask.view(np.uint8) * np.uint8(255)).save(stream, "PNG")
    return stream.getvalue()


def polygons_of(mask: BoolMask) -> list[list[float]]:
    """Polygons along the pixels' edges that pycocotools fills to exactly this mask; a hole is reached by a cut.

    Contours of the mask at twice its size pass through the pixels next to an edge: even and odd coordinates tell on
    which side of the pixel the edge is. The cut is walked to and fro, so that it encloses nothing.
    """
    double = np.repeat(np.repeat(mask.view(np.uint8), 2, axis=0), 2, axis=1)
    contours, tree = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return []
    rings: dict[int, list[np.ndarray]] = {}
    parents = np.asarray(tree).reshape(-1, 4)[:, 3].tolist()
    for place, (contour, parent) in enumerate(zip(contours, parents, strict=True)):
        corners = (np.asarray(contour).reshape(-1, 2) + 1) // 2
        ring = np.concatenate([corners, corners[:1]])
        rings.setdefault(place if parent < 0 else parent, []).append(ring)
    polygons = []
    for parts in rings.values():
        walked = parts[0]
        for hole in parts[1:]:
            walked = np.concatenate([walked, hole, walked[:1]])
        polygons.append(walked.astype(float).reshape(-1).tolist())
    return polygons

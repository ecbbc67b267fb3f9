"""Masks as sets keep them: mask files to bool masks, and bool masks to mask files, run lengths and polygons.

What belongs elsewhere: reading the segmentations of a COCO file (vision.coco_masks).
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from lora_assets.vision.coco_masks import MaskFormError
from lora_assets.vision.images import ImageRefused, ReadSettings, decode_image
from lora_assets.vision.masks import BoolMask, encode_mask

_MASK_LIMITS = ReadSettings(min_side=1)


def mask_of_file(content: bytes) -> BoolMask:
    """The mask of a picture file: what is brighter than half of its brightest level, so that 0/1 and 0/255 both do.

    Raises MaskFormError when it is no picture.
    """
    try:
        red, green, blue = np.moveaxis(decode_image(content, _MASK_LIMITS).pixels, 2, 0)
    except ImageRefused as refused:
        raise MaskFormError("mask_file_broken", f"the mask file cannot be read: {refused}") from refused
    # Per channel: numpy's max over the last axis takes five times as long as decoding.
    levels = np.maximum(np.maximum(red, green), blue)
    top = int(levels.max())
    return levels > top // 2 if top else np.zeros(levels.shape, np.bool_)


def mask_file_bytes(mask: BoolMask) -> bytes:
    """A mask as an 8-bit grey PNG of 0 and 255."""
    stream = io.BytesIO()
    Image.fromarray(mask.view(np.uint8) * np.uint8(255)).save(stream, "PNG")
    return stream.getvalue()


def compressed_rle(mask: BoolMask) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths, as JSON holds them."""
    return {"size": list(mask.shape), "counts": encode_mask(mask).decode("ascii")}


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

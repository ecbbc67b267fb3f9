"""Masks in the forms of COCO: polygons, run lengths (plain and compressed) and mask files, to bool masks and back.

What pycocotools would trust is checked first: its C code reads beyond its buffers for run lengths that do not fit.
"""

from __future__ import annotations

import io
import math
from typing import Any

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco

from lora_assets.vision.images import ImageRefused, ReadSettings, decode_image
from lora_assets.vision.masks import BoolMask, decode_mask, encode_mask

LEAST_POLYGON = 6
_MASK_LIMITS = ReadSettings(min_side=1)


class MaskFormError(ValueError):
    """A segmentation that is no mask; `kind` is a key of `reading.KINDS`, the text is the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def mask_of_segmentation(segmentation: Any, height: int, width: int) -> BoolMask:
    """The mask (height, width) of a COCO `segmentation`: polygons, or run lengths {size, counts} of either kind.

    Raises MaskFormError when it is neither, does not fit the picture, or holds what no mask can.
    """
    if isinstance(segmentation, dict):
        return _of_run_lengths(segmentation, height, width)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, height, width)
    raise MaskFormError("bad_segmentation", "segmentation is neither polygons nor run lengths with size and counts")


def _of_run_lengths(segmentation: dict[str, Any], height: int, width: int) -> BoolMask:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(_is_whole(value) for value in size)):
        raise MaskFormError("bad_segmentation", "the run lengths have no size [height, width]")
    if tuple(size) != (height, width):
        raise MaskFormError(
            "mask_size", f"the run lengths are of {size[1]} x {size[0]} pixels, the picture of {width} x {height}"
        )
    if isinstance(counts, str):
        try:
            return decode_mask(counts.encode("ascii", "strict"), height, width)
        except ValueError as error:
            raise MaskFormError("bad_segmentation", f"the compressed run lengths are damaged ({error})") from error
    if not isinstance(counts, list) or not all(_is_whole(value) and value >= 0 for value in counts):
        raise MaskFormError("bad_segmentation", "the counts of the run lengths are neither text nor whole numbers")
    if sum(counts) != height * width:
        raise MaskFormError(
            "mask_size", f"the run lengths cover {sum(counts)} pixels, the picture has {height * width}"
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)


def _of_polygons(polygons: list[Any], height: int, width: int) -> BoolMask:
    if not polygons:
        raise MaskFormError("empty_annotation", "segmentation is an empty list")
    if all(_is_number(value) for value in polygons):
        polygons = [polygons]  # one polygon without the outer list, as some tools write
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(_is_number(value) for value in polygon):
            raise MaskFormError("bad_segmentation", "a polygon must be a list of finite numbers x, y, x, y, ...")
        if len(polygon) < LEAST_POLYGON or len(polygon) % 2:
            raise MaskFormError(
                "bad_segmentation", f"a polygon has {len(polygon)} numbers, but three corners x, y are the least"
            )
        across, down = polygon[::2], polygon[1::2]
        if min(across) < -width or max(across) > 2 * width or min(down) < -height or max(down) > 2 * height:
            raise MaskFormError("outside_picture", f"a polygon leads far outside the picture of {width} x {height}")
    merged = coco.merge(coco.frPyObjects([[float(value) for value in polygon] for polygon in polygons], height, width))  # pyright: ignore
    return decode_mask(bytes(merged["counts"]), height, width)  # pyright: ignore[reportArgumentType]


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


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

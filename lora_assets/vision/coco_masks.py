"""Segmentations of COCO files as masks: polygons, and run lengths, plain and compressed, of any origin.

What pycocotools would trust is checked first: its C code writes and reads beyond its buffers for corners far away and
run lengths that do not fit. What belongs elsewhere: run lengths that we wrote ourselves (masks), mask files and writing
(annotations.mask_forms).
"""

from __future__ import annotations

from typing import Any

from pycocotools import mask as coco

from lora_assets.run_lengths import mask_of_runs
from lora_assets.vision.masks import BoolMask, decode_mask

LEAST_POLYGON = 6
_FAR = 10**9
"""No number of a segmentation is larger: beyond it, floats and the C code lose what they are told."""


class MaskFormError(ValueError):
    """A segmentation that is no mask; `kind` is bad_segmentation, empty_annotation, outside_picture or mask_size (of
    mask files also others), the text is the reason."""

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
    if not (isinstance(size, list) and len(size) == 2 and all(_is_count(value) for value in size)):
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
    if not isinstance(counts, list) or not all(_is_count(value) for value in counts):
        raise MaskFormError("bad_segmentation", "the counts of the run lengths are neither text nor whole numbers")
    if sum(counts) != height * width:
        raise MaskFormError(
            "mask_size", f"the run lengths cover {sum(counts)} pixels, the picture has {height * width}"
        )
    return mask_of_runs(counts, height, width)


def _of_polygons(polygons: list[Any], height: int, width: int) -> BoolMask:
    if not polygons:
        raise MaskFormError("empty_annotation", "segmentation is an empty list")
    if all(_is_coordinate(value) for value in polygons):
        polygons = [polygons]  # one polygon without the outer list, as some tools write
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(_is_coordinate(value) for value in polygon):
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


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _FAR


def _is_coordinate(value: Any) -> bool:
    # NaN and the infinities fail the comparison; a whole number of any length compares without becoming a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FAR

"""The bytes of every picture that the pages show; each is looked up in the tracker's tables before it is served.

Names in addresses are digests and never become paths of their own; originals are decoded and encoded anew, so that no
EXIF and no foreign content leaves. Which route serves which picture is not here.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.store import PublishedTable
from lora_assets.tables import Mask, ScoredCrop
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.view import FrameFile, TrackerView

FRAME_SIDE = 1600
MASK_COLOUR = (255, 46, 138)
NEIGHBOUR_COLOUR = (64, 156, 255)
BEFORE_COLOUR = (255, 176, 32)
_RECIPE = re.compile(r"[0-9a-f]{16}")
MAGIC = {".webp": b"RIFF", ".png": b"\x89PNG\r\n\x1a\n"}


class PictureMissing(LookupError):
    """There is no such picture to show; the text is a label key that says why."""


def stored_picture(cells: Cells, kind: str, name: str, suffix: str) -> bytes:
    """A picture that a stage wrote. Raises PictureMissing when it is gone or is not what its name says."""
    try:
        content = cells.store.picture(kind, name, suffix).read_bytes()
    except OSError as error:
        raise PictureMissing("missing.picture") from error
    if not content.startswith(MAGIC[suffix]):
        raise PictureMissing("missing.picture")
    return content


def original_fault(frame: FrameFile, sha256: str) -> str:
    """Empty when the original can be shown, else the label key that says why not."""
    try:
        _original(frame, sha256)
    except PictureMissing as missing:
        return str(missing)
    return ""


def _original(frame: FrameFile, sha256: str) -> bytes:
    """The bytes of the original, when they still are those of the row."""
    from lora_assets.vision.images import ImageRefused, read_file

    path = PurePosixPath(frame.path)
    if frame.folder is None or path.is_absolute() or ".." in path.parts:
        raise PictureMissing("missing.gone")
    try:
        content = read_file(Path(frame.folder) / path)
    except (OSError, ImageRefused) as error:
        raise PictureMissing("missing.gone") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PictureMissing("missing.changed")
    return content


def _original_pixels(frame: FrameFile, sha256: str) -> npt.NDArray[np.uint8]:
    from lora_assets.vision.images import ImageRefused, decode_image

    try:
        return decode_image(_original(frame, sha256)).pixels
    except ImageRefused as error:
        raise PictureMissing("missing.gone") from error


def frame_jpeg(frame: FrameFile, sha256: str, side: int | None = FRAME_SIDE) -> bytes:
    """The whole frame, upright, at most `side` pixels a side (None: all its pixels), as a JPEG without metadata.

    Raises PictureMissing when the original is gone or has changed since the row was made.
    """
    picture = Image.fromarray(_original_pixels(frame, sha256))
    if side is None:
        return _encoded(picture, "JPEG", quality=93, subsampling=0)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encoded(picture, "JPEG", quality=88)


def cutout_png(cells: Cells, view: TrackerView, crop_id: str) -> bytes:
    """The crop as RGBA PNG: the stored one, or, for a vetoed crop without one, drawn from frame and mask.

    Raises PictureMissing when neither is to be had.
    """
    from lora_assets.vision.crops import cut_crop, encode_png

    try:
        return stored_picture(cells, "crops", crop_id, ".png")
    except PictureMissing:
        mask, sha256 = crop_mask(cells, view, crop_id)
        frame = view.frames.get(sha256)
        if frame is None:
            raise PictureMissing("missing.gone") from None
        return encode_png(cut_crop(_original_pixels(frame, sha256), mask))


def mask_png(
    cells: Cells, view: TrackerView, crop_id: str, colour: tuple[int, int, int] = MASK_COLOUR, opacity: float = 0.4
) -> bytes:
    """The mask in its window as a transparent PNG, to lay over the frame. Raises PictureMissing when there is none."""
    from lora_assets.vision.crops import encode_png, mask_overlay

    mask, _ = crop_mask(cells, view, crop_id)
    return encode_png(mask_overlay(mask, colour, opacity))


def mask_before(cells: Cells, table: PublishedTable | None, crop: ScoredCrop) -> Mask | None:
    """The mask before refinement, where its shelf still has it; of a crop that was extracted again and cut with the
    second mask, the first one. None when neither is to be had. `table` are the masks of the crop's cell."""
    if table is None:
        return None
    recipe = str(table.facts.get("segments_recipe") or "")
    rows: list[Mask] = []
    if crop.second_rle is not None:
        rows = cells.rows(table, Mask, crop.frame_sha256)
    elif _RECIPE.fullmatch(recipe):
        rows = cells.shelf_rows("segments", recipe, Mask, crop.frame_sha256)
    return next((mask for mask in rows if mask.detection_id == crop.detection_id), None)


def before_mask_png(cells: Cells, view: TrackerView, crop_id: str) -> bytes:
    """The mask before refinement as `mask_png`. Raises PictureMissing when the shelf does not have it."""
    from lora_assets.vision.crops import encode_png, mask_overlay

    crop, cell = _scored(cells, view, crop_id)
    mask = mask_before(cells, cell.masks, crop)
    if mask is None:
        raise PictureMissing("missing.mask")
    return encode_png(mask_overlay(mask, BEFORE_COLOUR, 0.4))


def before_cutout_png(cells: Cells, view: TrackerView, crop_id: str) -> bytes:
    """The crop's window cut with the mask before refinement, or the bare frame in it where there is none.

    It is as large as the crop, so that the two can be laid over each other. Raises PictureMissing without an original.
    """
    from lora_assets.vision.crops import encode_png
    from lora_assets.vision.masks import window_pixels

    crop, cell = _scored(cells, view, crop_id)
    frame = view.frames.get(crop.frame_sha256)
    if frame is None:
        raise PictureMissing("missing.gone")
    window = (crop.x, crop.y, crop.width, crop.height)
    pixels = _original_pixels(frame, crop.frame_sha256)
    pixels = pixels[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    mask = mask_before(cells, cell.masks, crop)
    if mask is None:
        return encode_png(np.ascontiguousarray(pixels))
    alpha = window_pixels(mask, window).astype(np.uint8) * np.uint8(255)
    return encode_png(np.dstack((pixels * (alpha[..., None] > 0), alpha)).astype(np.uint8))


def _scored(cells: Cells, view: TrackerView, crop_id: str) -> tuple[ScoredCrop, Cell]:
    """The row of a crop and its cell. Raises PictureMissing when the tables have none."""
    for row in view.rows(view.rows_of.get(crop_id, [])):
        cell = next(cell for cell in view.cells if cell.dataset == row["dataset"])
        for crop in cells.rows(cell.scored_crops, ScoredCrop, row["frame_sha256"]) if cell.scored_crops else []:
            if crop.detection_id == row["detection_id"]:
                return crop, cell
    raise PictureMissing("missing.picture")


def crop_mask(cells: Cells, view: TrackerView, crop_id: str) -> tuple[Mask, str]:
    """The mask row of a crop and the hash of its frame. Raises PictureMissing when the tables have neither."""
    for number in view.rows_of.get(crop_id, []):
        row = view.rows([number])[0]
        table = mask_table(view.cells, row["dataset"])
        for mask in cells.rows(table, Mask, row["frame_sha256"]) if table else []:
            if mask.detection_id == row["detection_id"]:
                return _cut_with(cells, view, row, mask), row["frame_sha256"]
    raise PictureMissing("missing.mask")


def _cut_with(cells: Cells, view: TrackerView, row: dict[str, Any], mask: Mask) -> Mask:
    """The mask that the crop was cut with: the second one where it was extracted again and that one was kept."""
    from lora_assets.vision.crops import kept_mask

    table = next((cell.scored_crops for cell in view.cells if cell.dataset == row["dataset"]), None)
    for crop in cells.rows(table, ScoredCrop, row["frame_sha256"]) if table else []:
        if crop.detection_id == row["detection_id"]:
            return kept_mask(mask, crop.second_window, crop.second_rle)
    return mask


def mask_table(cells: tuple[Cell, ...], dataset: str) -> PublishedTable | None:
    """The masks of one dataset."""
    return next((cell.masks for cell in cells if cell.dataset == dataset), None)


def _encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()

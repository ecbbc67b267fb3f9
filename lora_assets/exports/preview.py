"""A contact sheet of a finished export: each picture as the trainer gets it, dimmed where it does not learn, outlined.

The pictures and masks are those that the trainer's reader pairs, so that a wrong pairing is seen.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.exports.buckets import kept_part
from lora_assets.exports.manifest import read_manifest
from lora_assets.exports.reading import READERS, as_seen
from lora_assets.exports.reading.seen import Export, SeenPicture
from lora_assets.exports.reading.sizes import mask_levels
from lora_assets.vision.crops import contact_sheet, picture_markdown
from lora_assets.vision.images import RgbImage
from lora_assets.vision.picture_errors import UNREADABLE

_TILES, _TILE = 24, 192
_INK, _CUT = (255, 46, 138), (255, 210, 0)
_DIM = 0.35


def export_sheet(folder: Path, tiles: int = _TILES, columns: int = 8, tile: int = _TILE) -> RgbImage | None:
    """The sheet of an export, spread over all of its pictures; None when there is none. Masks: what is not learned is
    dimmed, their edge is pink; a yellow frame is what the bucket's crop leaves. Damaged pictures are left out: what is
    wrong with an export is told by its reading."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.format not in READERS:
        return None
    pictures = as_seen(READERS[manifest.format], Export(folder, manifest)).pictures
    chosen = [pictures[at * len(pictures) // min(tiles, len(pictures))] for at in range(min(tiles, len(pictures)))]
    shown = [picture for picture in (shown_picture(one, tile) for one in chosen) if picture is not None]
    return contact_sheet(shown, columns, tile) if shown else None


def shown_picture(picture: SeenPicture, tile: int) -> npt.NDArray[np.uint8] | None:
    """One picture, at most `tile` pixels large, with its mask and its bucket's crop drawn in; None if damaged."""
    try:
        with Image.open(picture.path) as opened:
            pixels = np.asarray(opened.convert("RGB"), np.uint8)
    except UNREADABLE:
        return None
    height, width = pixels.shape[:2]
    scale = min(1.0, tile / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.array(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    read = mask_levels(picture.mask, of_alpha=picture.mask == picture.path) if picture.mask else None
    if read is not None and read[0].shape == (height, width):
        mask = np.asarray(cv2.resize(read[0], size, interpolation=cv2.INTER_AREA), np.uint8)
        weight = _DIM + (1 - _DIM) * (mask[..., None].astype(np.float32) / 255.0)
        small = np.rint(small * weight).astype(np.uint8)
        lines, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, lines, -1, _INK, 1)
    if picture.bucket:
        left, top, right, bottom = (side * scale for side in kept_part(width, height, picture.bucket))
        cv2.rectangle(small, (int(left), int(top)), (int(right) - 1, int(bottom) - 1), _CUT, 1)
    return small


def export_preview(folder: Path) -> str:
    """The sheet as Markdown with the picture inside, for Dagster's metadata."""
    sheet = export_sheet(folder)
    return "nothing to show" if sheet is None else picture_markdown("contact sheet", sheet)

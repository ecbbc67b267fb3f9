"""Cut-outs: the RGBA crop of a mask, its name, its picture files, and the small pictures that pages and sheets show.

A crop is cut from frame and mask row alone, so that it can be drawn again at any time. Judging a crop does not belong
here (checks, score).
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.tables import Mask
from lora_assets.vision import matting
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import Window, decode_mask, mask_bounds, mask_pixels, window_pixels

CODE_VERSION = "2"

RgbaImage = npt.NDArray[np.uint8]

MARGIN = 4
_SHEET_GREY = 238
_SHEET_LIMIT = 200_000


def crop_window(row: Mask, frame_width: int, frame_height: int) -> Window:
    """x, y, width, height of a row's crop: the mask's bounding box and 4 pixels around, inside the frame.

    A mask without pixels gives its own window, clipped. Raises ValueError when that lies outside the frame.
    """
    bounds = mask_bounds(mask_pixels(row))
    x, y, width, height = bounds if bounds else (0, 0, row.width, row.height)
    left, top = max(0, row.x + x - MARGIN), max(0, row.y + y - MARGIN)
    right = min(frame_width, row.x + x + width + MARGIN)
    bottom = min(frame_height, row.y + y + height + MARGIN)
    if right <= left or bottom <= top:
        raise ValueError(
            f"mask {row.detection_id} lies at {row.x}, {row.y}, outside its frame of {frame_width} x {frame_height}: "
            "frame and mask do not belong together"
        )
    return left, top, right - left, bottom - top


def crop_id(frame_sha256: str, window: Window, rle: bytes, edge: str = matting.NONE) -> str:
    """The crop's name: 32 hex digits of the frame, the mask's window (x, y, width, height) and its run lengths, and of
    how its soft edge is made, if it has one."""
    soft = "" if edge == matting.NONE else f"|{edge} {matting.CODE_VERSION}"
    told = f"{frame_sha256}|{','.join(str(int(n)) for n in window)}|".encode() + rle + soft.encode()
    return hashlib.sha256(told).hexdigest()[:32]


def crop_id_of(row: Mask) -> str:
    """`crop_id` of a mask row."""
    return crop_id(row.frame_sha256, (row.x, row.y, row.width, row.height), row.rle, row.matting)


def kept_mask(row: Mask, second_window: Sequence[float] | None, second_rle: bytes | None) -> Mask:
    """The mask that a scored crop was cut with: the second one where its row carries one, else the row itself."""
    if second_window is None or second_rle is None:
        return row
    x, y, width, height = (int(value) for value in second_window)
    area = int(np.count_nonzero(decode_mask(second_rle, height, width)))
    coverage = row.coverage * area / row.area if row.area else 0.0
    return replace(row, x=x, y=y, width=width, height=height, rle=second_rle, area=area, coverage=min(1.0, coverage))


def cut_crop(image: RgbImage, row: Mask) -> RgbaImage:
    """The RGBA crop (crop_window's size) of a frame HxWx3: alpha 255 on the mask, colour and alpha 0 elsewhere.

    A row with matting has a soft edge: alpha from 0 to 255 along the outline, and there the figure's own colour. Raises
    ValueError for a method of matting that is unknown or not installed.
    """
    window = crop_window(row, image.shape[1], image.shape[0])
    x, y, width, height = window
    mask, pixels = window_pixels(row, window), image[y : y + height, x : x + width]
    if row.matting != matting.NONE:
        matting.check_method(row.matting)
        soft = matting.soft_alpha(pixels, mask, row.matting)
        levels = np.rint(soft * 255.0).astype(np.uint8)
        colour = matting.figure_colour(pixels, levels.astype(np.float32) / np.float32(255.0))
        return np.dstack((colour, levels))
    alpha = mask.astype(np.uint8) * np.uint8(255)
    colour = cv2.bitwise_and(pixels, cv2.merge((alpha, alpha, alpha)))
    return np.asarray(np.dstack((colour, alpha)), np.uint8)


def encode_png(rgba: npt.NDArray[np.uint8]) -> bytes:
    """PNG bytes of an RGBA or RGB array; equal arrays give equal bytes."""
    swap = cv2.COLOR_RGBA2BGRA if rgba.shape[2] == 4 else cv2.COLOR_RGB2BGR
    # No compression level: naming one resets OpenCV's strategy and makes it twice as slow.
    done, content = cv2.imencode(".png", cv2.cvtColor(rgba, swap))
    if not done:
        raise ValueError(f"OpenCV cannot write an array of {rgba.dtype} {rgba.shape} as PNG")
    return content.tobytes()


def mask_overlay(row: Mask, colour: tuple[int, int, int] = (40, 200, 90), opacity: float = 0.45) -> RgbaImage:
    """RGBA picture (row.height, row.width) to lay over the frame at (row.x, row.y): the mask coloured, outlined."""
    levels = mask_pixels(row).astype(np.uint8)
    inner = cv2.erode(levels, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    overlay = np.zeros((row.height, row.width, 4), np.uint8)
    overlay[levels > 0] = (*colour, round(255 * opacity))
    overlay[(levels > 0) & (inner == 0)] = (*colour, 255)
    return overlay


def _tile_of(picture: npt.NDArray[np.uint8], tile: int) -> RgbImage:
    """The picture centred on a grey square of `tile` pixels, never enlarged beyond it."""
    height, width = picture.shape[:2]
    scale = min(tile / width, tile / height, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)) if scale < 1.0 else picture
    if small.shape[2] == 4:
        share = small[..., 3:].astype(np.float32) / 255.0
        # Shrinking has already mixed the zeros under alpha 0 into the colour: only the grey is still to be added.
        colour = small[..., :3].astype(np.float32) * (share if scale >= 1.0 else 1.0)
        small = np.clip(np.rint(colour + _SHEET_GREY * (1.0 - share)), 0, 255).astype(np.uint8)
    square = np.full((tile, tile, 3), _SHEET_GREY, np.uint8)
    top, left = (tile - small.shape[0]) // 2, (tile - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def contact_sheet(thumbs: Sequence[npt.NDArray[np.uint8]], columns: int = 6, tile: int = 128) -> RgbImage:
    """One RGB picture of many (RGB or RGBA arrays), `columns` per row on squares of `tile` pixels, gaps of 4.

    Without pictures it is one empty square. Raises ValueError for columns or tile below 1.
    """
    if columns < 1 or tile < 1:
        raise ValueError(f"a contact sheet needs at least 1 column and 1 pixel per tile, not {columns} and {tile}")
    columns = min(columns, max(1, len(thumbs)))
    rows = max(1, -(-len(thumbs) // columns))
    step = tile + 4
    sheet = np.full((rows * step + 4, columns * step + 4, 3), 255, np.uint8)
    for index, thumb in enumerate(thumbs):
        top, left = 4 + index // columns * step, 4 + index % columns * step
        sheet[top : top + tile, left : left + tile] = _tile_of(thumb, tile)
    return sheet


def sheet_jpeg(sheet: RgbImage, limit: int = _SHEET_LIMIT) -> bytes:
    """A JPEG of at most `limit` bytes: quality goes down first, then size. For the previews in Dagster's metadata.

    A limit that even an 8-pixel picture misses is not kept.
    """
    picture = Image.fromarray(sheet)
    while True:
        for quality in (85, 70, 50):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= limit:
                return buffer.getvalue()
        if min(picture.size) <= 8:
            return buffer.getvalue()
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))


def picture_markdown(words: str, picture: RgbImage | bytes) -> str:
    """Markdown with the picture inside, for a place that shows no files: the bytes of a PNG or JPEG as they are, an
    array as `sheet_jpeg`."""
    content = picture if isinstance(picture, bytes) else sheet_jpeg(picture)
    form = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"![{words}](data:image/{form};base64,{base64.b64encode(content).decode()})"

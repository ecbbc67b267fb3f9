"""Files to pixels: the one place that reads pictures, refuses what cannot be used, and measures what was read.

Pillow is the only decoder, because two decoders disagree on damaged files. Whatever a file holds becomes an upright
8-bit RGB array here, or an `ImageRefused` whose text is the reason for a person. Finding or judging characters does
not belong here.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import (  # noqa: F401 - a plugin puts its opener into Image.OPEN when it is imported
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lora_assets.vision import sniff
from lora_assets.vision.video_formats import MARK_BYTES

CODE_VERSION = "1"
# What is refused, beside what is decoded: files are then judged anew, and no result of a frame is.
CHECK_VERSION = "3"

RgbImage = npt.NDArray[np.uint8]

# The formats' own openers instead of PIL.Image.open, for two reasons. Ultralytics replaces Image.open in the whole
# process, whichever of the two is imported first. And Image.open checks Image.MAX_IMAGE_PIXELS, a global that only
# warns up to twice its value: here the limit is a setting, is checked on the header, and refuses; the global keeps its
# default for everybody else in the process.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
_OPENERS: dict[str, tuple[Callable[..., Any], Callable[[bytes], Any]]] = {
    name: (Image.OPEN[name][0], Image.OPEN[name][1] or (lambda _: True)) for name in _FORMATS
}

_MOST_BYTES = 1 << 30
_MOST_MEGAPIXELS = 1000
_MOST_SECONDS = 3600
# Above this size a file is not read at all unless it begins like a picture: a video beside the frames fills no memory.
_LOOK_FIRST_BYTES = 32 << 20
_SPARE_BYTES = 8
_LONGEST_SIDE = 1_000_000
_BAND_PIXELS = 8_000_000
_FACTS_WIDTH = 640
_DARK = 10
_TURNS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


class ImageRefused(ValueError):
    """A file that is not used as a frame; the text is the reason, for a person."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Limits on pictures: the least side in pixels and the most megapixels, both checked before decoding, and the
    seconds after which a decoder counts as hung."""

    min_side: int = 32
    max_megapixels: float = 200.0
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Raise ValueError for limits that let nothing through."""
        if not isinstance(self.min_side, int) or self.min_side < 1:
            raise ValueError(f"min_side must be a whole number of pixels from 1, not {self.min_side!r}")
        if not isinstance(self.max_megapixels, int | float) or not 0 < self.max_megapixels <= _MOST_MEGAPIXELS:
            raise ValueError(
                f"max_megapixels must lie above 0 and up to {_MOST_MEGAPIXELS}, not {self.max_megapixels!r}"
            )
        if not isinstance(self.max_seconds, int | float) or not 0 < self.max_seconds <= _MOST_SECONDS:
            raise ValueError(f"max_seconds must lie above 0 and up to {_MOST_SECONDS}, not {self.max_seconds!r}")


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Upright 8-bit RGB pixels (HxWx3, contiguous) and the format of the content (Pillow's name, such as JPEG)."""

    pixels: RgbImage
    format: str


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What a frame's row says of its picture; measured on one reduced picture, at most 640 pixels wide.

    `mean_luminance` 0..1 (Rec. 601), `black_share` 0..1 (luminance under 10 of 255), `sharpness` variance of the
    Laplacian (grey levels squared), `phash` imagehash.phash, 64 bits as 16 hex digits.
    """

    width: int
    height: int
    format: str
    mean_luminance: float
    black_share: float
    sharpness: float
    phash: str


# --- reading ---------------------------------------------------------------------------------------------------------


def read_file(path: Path) -> bytes:
    """The bytes of a regular file. Never follows a link and never waits on a pipe.

    Raises ImageRefused for anything else, and for a file that is gone, locked away, unreadable, over 1 GiB, or large
    and no picture.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageRefused(_why_not_opened(error)) from error
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise ImageRefused("not a file: it is a folder, a pipe or a device; put pictures here only")
    with os.fdopen(handle, "rb") as stream:
        try:
            head = stream.read(MARK_BYTES)
            if facts.st_size > _LOOK_FIRST_BYTES and not sniff.known_format(head):
                raise ImageRefused(sniff.why_not_a_picture(head))
            if facts.st_size > _MOST_BYTES:
                raise ImageRefused(f"too large: {facts.st_size} bytes, the limit is {_MOST_BYTES}")
            return head + stream.read()
        except OSError as error:
            raise ImageRefused(f"cannot be read: {error.strerror}; check the disk and copy the file again") from error


def _why_not_opened(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a symbolic link: links are not followed; put the picture itself into the folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "vanished: the file was there when the folder was listed and is gone now"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission to read the file: change its rights (chmod u+r)"
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return "not a file: it is a socket or a device; put pictures here only"
    return f"cannot be opened: {error.strerror}"


def decode_image(content: bytes, settings: ReadSettings = ReadSettings()) -> DecodedImage:
    """The picture in `content`, whatever its file was called: first frame or page, EXIF-upright, 8-bit RGB.

    Transparency is laid over white. 16-bit levels are scaled from their full range; floats from 0..1, 0..255 or
    0..65535, whichever holds them. Raises ImageRefused with the reason for everything that is not a whole picture
    within the limits; size limits are checked before any pixel is decoded.
    """
    if not content:
        raise ImageRefused("empty file: 0 bytes; copy the file again")
    name = sniff.known_format(content) or _accepted_by(content)
    if not name:
        raise ImageRefused(sniff.why_not_a_picture(content))
    missing = sniff.missing_bytes(content, name)
    if missing:
        raise ImageRefused(missing)
    try:
        image = _open(content, name)
        _check_size(image.size, settings)
        if name == "PNG":
            # load() accepts a wrong checksum; verify() does not, and leaves its image unusable.
            _open(content, name).verify()
        image.load()
        turn = _TURNS.get(_orientation(image))
        pixels = _to_rgb(image)
    except ImageRefused:
        raise
    except MemoryError as error:
        raise ImageRefused("too large: there is not enough memory to decode it") from error
    except Exception as error:  # quarantine boundary: decoders raise anything
        raise ImageRefused(_why_damaged(error, name)) from error
    _check_end(content, image, pixels, name)
    image.close()
    upright = pixels if turn is None else np.ascontiguousarray(turn(pixels))
    return DecodedImage(upright, str(image.format))


def _accepted_by(content: bytes) -> str:
    return next((name for name, (_, accept) in _OPENERS.items() if accept(content[:16]) is True), "")


def _open(content: bytes, name: str) -> Any:
    try:
        return _OPENERS[name][0](io.BytesIO(content), "")
    except (SyntaxError, IndexError, TypeError) as error:
        if name == "TIFF":
            plain = _plain_float_tiff(content)
            if plain is not None:
                return plain
        raise ImageRefused(_why_damaged(error, name)) from error


def _check_size(size: tuple[int, int], settings: ReadSettings) -> None:
    width, height = size
    if max(size) > _LONGEST_SIDE:
        raise ImageRefused(f"damaged: the header claims {width} x {height} pixels")
    megapixels = width * height / 1e6
    if megapixels > settings.max_megapixels:
        raise ImageRefused(
            f"too large: {width} x {height} is {megapixels:.0f} megapixels, "
            f"the limit is {settings.max_megapixels:g} (setting max_megapixels)"
        )
    if min(size) < settings.min_side:
        raise ImageRefused(f"too small: {width} x {height}, the least side is {settings.min_side} (setting min_side)")


def _check_end(content: bytes, image: Any, pixels: RgbImage, name: str) -> None:
    """Raise ImageRefused when the file's end shows that its copy has not ended, though the decoder read it."""
    reason = sniff.missing_end(content, name)
    if name in ("WEBP", "AVIF"):
        flat = 0 if _reads_without_tail(content) else _flat_pixels(pixels)
        reason = sniff.unfinished_stream(content, name, flat)
    elif name == "BMP":
        bits = int.from_bytes(content[28:30], "little")
        plain = content[30:34] in (b"\0\0\0\0", b"\3\0\0\0")
        stride = (image.width * bits + 31) // 32 * 4 if plain else 0
        reason = sniff.unfinished_rows(content, int.from_bytes(content[10:14], "little"), stride)
    elif name == "TIFF" and image.info.get("compression") == "raw":
        offsets = image.tag_v2.get(TiffImagePlugin.STRIPOFFSETS)
        bits = sum(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
        if offsets and list(offsets) == sorted(offsets):
            reason = sniff.unfinished_rows(content, int(offsets[0]), image.width * bits // 8)
    if reason:
        raise ImageRefused(reason)


def _flat_pixels(pixels: RgbImage) -> int:
    """How many pixels the rows at the lower end have that are of one colour each."""
    rows = 0
    for row in pixels[::-1]:
        if not (row == row[0]).all():
            break
        rows += 1
    return rows * pixels.shape[1]


def _reads_without_tail(content: bytes) -> bool:
    """True when a lossless WebP that ends in zeros is decoded just as well without the last of them: then no encoder
    wrote them. The zeros of an unfinished copy decode to a flat row, too."""
    if sniff.zero_tail(content) < _SPARE_BYTES:
        return False
    shorter = sniff.without_tail(content, _SPARE_BYTES)
    if shorter is content:
        return False
    try:
        _open(shorter, "WEBP").load()
    except Exception:  # noqa: BLE001 - quarantine boundary: decoders raise anything, and here it is the good case
        return False
    return True


def _why_damaged(error: Exception, name: str) -> str:
    text = str(error).strip() or type(error).__name__
    low = text.lower()
    if isinstance(error, EOFError) or "truncated" in low or "not enough image data" in low or "unexpected end" in low:
        return "truncated: the picture data ends early; copy the file again"
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+", text)
        size = f"{int(pixels.group()) / 1e6:.0f} megapixels" if pixels else text
        return f"too large: a frame inside it has {size}"
    if "checksum" in low:
        return f"damaged: the {name} data does not match its checksum; copy the file again"
    if "max_text" in low:
        return f"damaged: a text field of the {name} unpacks to an unreasonable size"
    if "not identified by this driver" in low:
        return f"damaged: it begins like a {name}, but its header makes no sense (for example a width of 0)"
    return f"damaged: the {name} cannot be decoded ({text})"


def _orientation(image: Any) -> int:
    """The EXIF orientation 1..8 after load; 1 when the EXIF block is missing or damaged, which harms no pixel."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001 - quarantine boundary: a broken EXIF block raises anything and is left out
        return 1


# --- to 8-bit RGB ----------------------------------------------------------------------------------------------------


def _to_rgb(image: Any) -> RgbImage:
    """8-bit RGB of a loaded image of any mode, in bands of rows: Pillow's own RGB copy takes 4 bytes a pixel more."""
    width, height = image.size
    top_level = _top_level(image)
    rows = max(1, _BAND_PIXELS // width)
    if rows >= height:
        return np.array(_band_to_rgb(image, top_level))
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(height, top + rows)))
        pixels[top : top + rows] = _band_to_rgb(band, top_level)
    return pixels


def _top_level(image: Any) -> float:
    """The level that means white, for modes deeper than 8 bits; 0 for the others."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 0.0
    most = image.getextrema()[1]
    ranges = (255.0, 65535.0) if image.mode == "I" else (1.0, 255.0, 65535.0)
    return next((top for top in ranges if most <= top), float(most) if np.isfinite(most) else 1.0)


def _scale_levels(values: npt.NDArray[Any], top_level: float) -> npt.NDArray[np.uint8]:
    scaled = np.nan_to_num(values.astype(np.float32)) * (255.0 / top_level)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _band_to_rgb(band: Any, top_level: float) -> RgbImage:
    if top_level:
        grey = np.asarray(band)
        levels = _scale_levels(grey, top_level)
        hidden = band.info.get("transparency")
        if isinstance(hidden, int):
            levels = np.where(grey == hidden, np.uint8(255), levels)
        return np.repeat(levels[..., None], 3, axis=2)
    if band.has_transparency_data:
        return over_ground(np.asarray(band.convert("RGBA")), np.full(3, 255, np.uint8))
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))


def over_ground(rgba: npt.NDArray[np.uint8], ground: npt.NDArray[np.uint8]) -> RgbImage:
    """An RGBA picture HxWx4 laid over one colour (3,), HxWx3."""
    alpha = rgba[..., 3:].astype(np.uint16)
    blended = rgba[..., :3] * alpha + ground.astype(np.uint16) * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)


def _plain_float_tiff(content: bytes) -> Any:
    """An image of an uncompressed RGB TIFF of 32-bit floats, which Pillow does not open; None for any other TIFF."""
    stream = io.BytesIO(content)
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
    stream.seek(tags.next)
    tags.load(stream)
    wanted = {258: (32, 32, 32), 259: 1, 262: 2, 277: 3, 284: 1, 339: (3, 3, 3)}
    if any(tags.get(tag) != value for tag, value in wanted.items()) or 273 not in tags:
        return None
    width, height = int(tags[256]), int(tags[257])
    parts = [content[at : at + size] for at, size in zip(tags[273], tags[279], strict=True)]
    data = b"".join(parts)
    if len(data) < width * height * 12:
        raise ImageRefused("truncated: the picture data ends early; copy the file again")
    order = "<f4" if content[:2] == b"II" else ">f4"
    values = np.frombuffer(data, order, width * height * 3).reshape(height, width, 3)
    most = float(np.nan_to_num(values).max())
    top = next((level for level in (1.0, 255.0, 65535.0) if most <= level), most)
    image = Image.fromarray(_scale_levels(values, top))
    image.format = "TIFF"  # pyright: ignore[reportAttributeAccessIssue]
    return image


# --- measuring and showing -------------------------------------------------------------------------------------------


def reduce_width(pixels: npt.NDArray[np.uint8], width: int = _FACTS_WIDTH) -> npt.NDArray[np.uint8]:
    """The picture at most `width` pixels wide, by area averaging; the same array when it is narrow enough."""
    height, now = pixels.shape[:2]
    if now <= width:
        return pixels
    return cv2.resize(pixels, (width, max(1, round(height * width / now))), interpolation=cv2.INTER_AREA)  # pyright: ignore


def frame_facts(pixels: RgbImage, format: str) -> FrameFacts:
    """The facts of a frame from its upright pixels and the format of its file. Units: see FrameFacts."""
    height, width = pixels.shape[:2]
    grey = cv2.cvtColor(reduce_width(pixels), cv2.COLOR_RGB2GRAY)
    dark = cv2.threshold(grey, _DARK - 1, 1, cv2.THRESH_BINARY_INV)[1]
    _, spread = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return FrameFacts(
        width=width,
        height=height,
        format=format,
        mean_luminance=float(cv2.mean(grey)[0]) / 255.0,
        black_share=float(cv2.mean(dark)[0]),
        sharpness=float(spread.item()) ** 2,
        phash=str(imagehash.phash(Image.fromarray(np.asarray(grey)))),
    )


def thumbnail_webp(pixels: npt.NDArray[np.uint8], side: int = 256) -> bytes:
    """A WebP at most `side` pixels high and wide of an RGB (HxWx3) or RGBA (HxWx4) picture; never enlarged.

    An RGBA picture must hold zeros under alpha 0, as crops do: colour and alpha are then averaged alike, and the
    outline gets no dark rim.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    small = pixels
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        if small.shape[2] == 4:
            small = small.copy()
            alpha = np.maximum(small[..., 3:], 1).astype(np.float32)
            small[..., :3] = np.minimum(np.rint(small[..., :3] * (255.0 / alpha)), 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "WEBP", quality=82, method=1)
    return buffer.getvalue()

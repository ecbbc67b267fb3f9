"""Hostile and broken picture files, made by code: left by downloads, crashes, wrong tools and ill will."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CORPORA_VARIABLE = "LORA_ASSETS_TEST_CORPORA"


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way of writing a picture: the format's name, the ending of its files, and Pillow's options."""

    name: str
    format: str
    suffix: str
    options: dict[str, Any] = field(default_factory=dict)

    def encode(self, picture: Image.Image) -> bytes:
        """The picture as a file."""
        buffer = io.BytesIO()
        picture.save(buffer, self.format, **self.options)
        return buffer.getvalue()


ENCODINGS = (
    Encoding("JPEG", "JPEG", ".jpg"),
    Encoding("progressive JPEG", "JPEG", ".jpg", {"progressive": True}),
    Encoding("PNG", "PNG", ".png"),
    Encoding("GIF", "GIF", ".gif"),
    Encoding("WebP", "WEBP", ".webp"),
    Encoding("lossless WebP", "WEBP", ".webp", {"lossless": True}),
    Encoding("BMP", "BMP", ".bmp"),
    Encoding("TIFF", "TIFF", ".tif", {"compression": "tiff_lzw"}),
    Encoding("AVIF", "AVIF", ".avif", {"speed": 10}),
)


def drawn_picture(width: int, height: int, seed: int) -> Image.Image:
    """Flat areas, a gradient, edges and some grain, as a drawn frame has; no pixel is black."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.stack([60 + 120 * across, 80 + 90 * down, 200 - 100 * across], axis=-1)
    for _ in range(12):
        x, y = rng.integers(0, width - 8), rng.integers(0, height - 8)
        pixels[y : y + rng.integers(8, height), x : x + rng.integers(8, width)] = rng.integers(20, 250, 3)
    pixels += rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels, 1, 254).astype(np.uint8))


def cuts(size: int, count: int) -> list[int]:
    """`count` positions inside a file of `size` bytes, spread over all of it, the last a few bytes before its end."""
    return sorted({min(size - 9, max(1, round(size * step / count) + 3)) for step in range(1, count + 1)})


# --- bombs -----------------------------------------------------------------------------------------------------------


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(side: int) -> bytes:
    """A PNG of `side` x `side` grey pixels, all zero: a thousandth of its pixels in bytes."""
    total, block = side * (side + 1), 1 << 20
    packer = zlib.compressobj(9, wbits=-15)
    # After a full flush the packed block may be repeated: nobody has to pack what it unpacks to.
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, wbits=-15)
    rest = last.compress(bytes(total % block)) + last.flush()
    data = b"\x78\x9c" + packed * (total // block) + rest + struct.pack(">I", total % 65521 << 16 | 1)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", data)
        + _png_chunk(b"IEND", b"")
    )  # fmt: skip


def _small(name: str, side: int = 64) -> bytes:
    encoding = next(each for each in ENCODINGS if each.name == name)
    return encoding.encode(drawn_picture(side, side, 5))


def bombs(side: int) -> Iterator[tuple[str, bytes]]:
    """Small files that claim or unpack to very many pixels."""
    yield "bomb.png", png_bomb(side)
    claim = 65_500
    jpeg = bytearray(_small("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", claim, claim)
    yield "bomb.jpg", bytes(jpeg)
    gif = bytearray(_small("GIF"))
    gif[6:10] = struct.pack("<HH", claim, claim)
    at = gif.index(b"\x2c\0\0\0\0") + 5
    gif[at : at + 4] = struct.pack("<HH", claim, claim)
    yield "bomb.gif", bytes(gif)
    bmp = bytearray(_small("BMP"))
    bmp[18:26] = struct.pack("<ii", 200_000, 200_000)
    yield "bomb.bmp", bytes(bmp)
    webp = bytearray(_small("lossless WebP"))
    webp[21:25] = struct.pack("<I", 16_383 | 16_383 << 14)
    yield "bomb.webp", bytes(webp)
    tiff = bytearray(_small("TIFF"))
    for tag in (256, 257):
        at = tiff.index(struct.pack("<H", tag))
        tiff[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 20_000)
    yield "bomb.tif", bytes(tiff)
    text = io.BytesIO()
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", " " * (70 << 20), zip=True)
    drawn_picture(64, 64, 1).save(text, "PNG", pnginfo=info)
    yield "text bomb.png", text.getvalue()


# --- all sorts -------------------------------------------------------------------------------------------------------


def _foreign() -> Iterator[tuple[str, bytes]]:
    yield "empty.png", b""
    yield "zeros.jpg", bytes(5000)
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    yield "paper.webp", b"%PDF-1.7\n" + bytes(range(256)) * 8
    yield "archive.bmp", b"PK\3\4" + bytes(range(256)) * 8
    yield "film.gif", b"\x1aE\xdf\xa3" + bytes(range(256)) * 8
    yield "words.avif", "日本語の文章です。\n".encode() * 90
    yield "noise.png", random.Random(3).randbytes(20_000)
    yield "one byte.jpg", b"\xff"
    yield "two headers.png", b"\x89PNG\r\n\x1a\n" * 2
    for suffix, start in ((".jpg", b"\xff\xd8\xff\xe0"), (".gif", b"GIF89a"), (".bmp", b"BM"), (".tif", b"II*\0"),
                          (".webp", b"RIFF\xff\xff\xff\x7fWEBPVP8 "), (".png", b"\x89PNG\r\n\x1a\n"),
                          (".avif", b"\0\0\0\x20ftypavif")):  # fmt: skip
        yield f"only the start{suffix}", start
        yield f"start and noise{suffix}", start + random.Random(len(suffix)).randbytes(3000)
    loop = bytearray(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 8))
    yield "loop.tif", bytes(loop + struct.pack("<I", 8))
    jpeg = _small("JPEG")
    yield (
        "looping preview.jpg",
        jpeg[:2] + (b"\xff\xe1\xff\xfe" + b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(65518)) * 8 + jpeg[2:],
    )
    yield "trailer.jpg", jpeg + b"MotionPhoto" + random.Random(1).randbytes(9000)
    yield "png in jpg.jpg", _small("PNG")
    yield "jpg in png.png", jpeg


def _mutations(per_encoding: int, seed: int) -> Iterator[tuple[str, bytes]]:
    rng = random.Random(seed)
    for encoding in ENCODINGS:
        whole = encoding.encode(drawn_picture(96, 72, 7))
        for number, at in enumerate(cuts(len(whole), per_encoding)):
            yield f"cut {number} {encoding.name}{encoding.suffix}", whole[:at]
            yield f"tail {number} {encoding.name}{encoding.suffix}", whole[:at] + bytes(len(whole) - at)
        for number in range(per_encoding):
            flipped = bytearray(whole)
            for _ in range(1 << number % 6):
                flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            yield f"flip {number} {encoding.name}{encoding.suffix}", bytes(flipped)
            start = rng.randrange(len(whole))
            piece = rng.randbytes(rng.randrange(1, 200))
            spliced = whole[:start] + piece + whole[start + rng.randrange(200) :]
            yield f"splice {number} {encoding.name}{encoding.suffix}", spliced


def hostile_files(per_encoding: int, bomb_side: int, seed: int = 11) -> Iterator[tuple[str, bytes]]:
    """(name, content) of broken and hostile files: about 4 for each of nine encodings and unit of `per_encoding`."""
    yield from _foreign()
    yield from bombs(bomb_side)
    yield from _mutations(per_encoding, seed)


ODD_NAMES = (
    "キャラ 画像 (1) é😀.png", "e\u0301 decomposed.png", "\u00e9 composed.png", "\u202egnp.exe.png", "x" * 250 + ".png",
    "new\nline.png", "tab\t.png", "esc\x1b[31m.png", "'; drop table frames; --.png", "a=b&c=d.png", "$(id).png",
    '"><img src=x onerror=alert(1)>.png', "%2e%2e%2fpasswd.png", "..png", "trailing space .png", "CON.png", "-rf.png",
    "{{7*7}}.png",
)  # fmt: skip
"""Names that file systems allow and careless programs do not survive."""


def corpora_files() -> list[Path]:
    """Every file under the folder that LORA_ASSETS_TEST_CORPORA names; empty without one."""
    told = os.environ.get(CORPORA_VARIABLE)
    return sorted(path for path in Path(told).rglob("*") if path.is_file() and not path.is_symlink()) if told else []

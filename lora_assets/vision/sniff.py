"""What the first and the last bytes of a file say, for reasons that a person can act on.

Knows the marks of formats that are not read (to name them), and the marks of a file whose copy has not ended. Decoding
does not belong here (images), nor do the marks of videos (video_formats).
"""

from __future__ import annotations

import struct

from lora_assets.vision.video_formats import video_format

_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavi", "AVIF"),
)
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyphei", "HEIF"),
    (4, b"ftyphev", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypcrx ", "CR3"),
    (0, b"qoif", "QOI"),
    (0, b"/* XPM", "XPM"),
    (0, b"8BPS", "PSD"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"DDS ", "DDS"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
)
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
)
_LEAST_ZERO_TAIL = 8
_LEAST_ZERO_ROWS = 64
_FLAT_LOSSY_TAIL = 256


def _match(content: bytes, marks: tuple[tuple[int, bytes, str], ...]) -> str:
    return next((name for at, mark, name in marks if content[at : at + len(mark)] == mark), "")


def known_format(content: bytes) -> str:
    """The name of the readable format that the content begins like; empty when it begins like none."""
    return _match(content, _MARKS)


def why_not_a_picture(content: bytes) -> str:
    """The reason to give for content that begins like no readable format."""
    if not content.rstrip(b"\0"):
        return f"not completely copied: all {len(content)} bytes are zero; copy the file again"
    foreign = _match(content, _FOREIGN)
    if not foreign and content[:1] == b"P" and content[1:2] in b"1234567" and content[2:3].isspace():
        foreign = "PPM"
    if foreign:
        return f"format {foreign} is not read: convert it to PNG or JPEG"
    video = video_format(content)
    other = f"a video ({video})" if video else _match(content, _OTHERS)
    if other:
        return f"not a picture: the content is {other}"
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start:
        return "not a picture: the content is HTML"
    if start.startswith(b"<svg") or b"<svg" in start:
        return "format SVG is not read: convert it to PNG"
    if b"\0" not in content[:1024] and _is_text(content[:1024]):
        return "not a picture: the content is text"
    return "not a picture: the content begins like no known picture format"


def is_video_reason(reason: str) -> bool:
    """True when `why_not_a_picture` gave this reason for a video."""
    return "the content is a video (" in reason


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return False
        text = start[: error.start].decode("utf-8")
    return all(c.isprintable() or c in "\r\n\t\f" for c in text)


def zero_tail(content: bytes) -> int:
    """How many zero bytes the content ends in."""
    if not content or content[-1]:
        return 0
    return len(content) - len(content.rstrip(b"\0"))


def missing_bytes(content: bytes, name: str) -> str:
    """The reason when the header of a WebP or BMP file promises more bytes than there are; empty when all are there."""
    if name == "WEBP" and len(content) >= 12:
        promised = struct.unpack_from("<I", content, 4)[0] + 8
    elif name == "BMP" and len(content) >= 6:
        promised = struct.unpack_from("<I", content, 2)[0]
    else:
        return ""
    if promised <= len(content):
        return ""
    return f"not completely copied: the header promises {promised} bytes, {len(content)} are there; copy the file again"


def missing_end(content: bytes, name: str) -> str:
    """The reason when a JPEG, PNG or GIF lacks the mark that its format ends with; empty for all others.

    What follows the mark does not matter: cameras and phones append data of their own. Decoders read such a file
    without a word, and fill what is not there with zeros.
    """
    if name == "JPEG":
        ends = content.find(b"\xff\xd9", _jpeg_scan(content)) >= 0
    elif name == "PNG":
        ends = content.find(b"IEND\xae\x42\x60\x82", 8) >= 0
    elif name == "GIF":
        ends = _gif_ends(content)
    else:
        return ""
    if ends:
        return ""
    return (
        f"not completely copied: the end mark of a {name} is missing; copy the file again, or open and save it anew if "
        "the program that wrote it leaves the mark out"
    )


def _jpeg_scan(content: bytes) -> int:
    """Where the first scan begins: a preview among the marker segments has an end mark of its own."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return at
        mark = content[at + 1]
        if mark == 0xDA:
            return at
        if mark in (0xFF, 0x01) or 0xD0 <= mark <= 0xD8:
            at += 1 if mark == 0xFF else 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return len(content)


def _gif_ends(content: bytes) -> bool:
    """True when the blocks of a GIF lead to its trailer."""

    def behind_data(at: int) -> int:
        while at < len(content) and content[at]:
            at += content[at] + 1
        return at + 1

    at = 13 + (3 << (content[10] & 7) + 1 if len(content) > 10 and content[10] & 0x80 else 0)
    while at < len(content):
        block = content[at]
        if block == 0x3B:
            return True
        if block == 0x21:
            at = behind_data(at + 2)
        elif block == 0x2C and at + 9 < len(content):
            own = content[at + 9]
            at = behind_data(at + 11 + (3 << (own & 7) + 1 if own & 0x80 else 0))
        else:
            return False
    return False


def without_tail(content: bytes, count: int) -> bytes:
    """A simple WebP whose picture data ends `count` (even) bytes earlier, as its headers then say; the content itself
    where it is another kind of WebP.

    A decoder that reads the picture from it as well did not need those bytes: no encoder wrote them.
    """
    if content[12:16] != b"VP8L" or len(content) < 64 + count:
        return content
    riff, chunk = struct.unpack_from("<I", content, 4)[0], struct.unpack_from("<I", content, 16)[0]
    if riff != chunk + 12 + (chunk & 1):
        return content
    chunk = chunk + (chunk & 1) - count
    cut = content[: 20 + chunk]
    return cut[:4] + struct.pack("<I", chunk + 12) + cut[8:16] + struct.pack("<I", chunk) + cut[20:]


def unfinished_stream(content: bytes, name: str, flat_pixels: int) -> str:
    """The reason when a WebP or AVIF file ends in zeros as an unfinished copy does; empty when its end is sound.

    Both decoders read such a file without a word. A compressed stream of a real picture does not end in 8 zero bytes;
    one that ends in `flat_pixels` pixels of rows of a single colour may (measured: 0.4 bytes for each 16 x 16 of them
    lossy, thousands lossless).
    """
    if name == "WEBP" and len(content) >= 12:
        content = content[: struct.unpack_from("<I", content, 4)[0] + 8]
    tail = zero_tail(content)
    lossless = b"VP8L" in content[12:256]
    if tail < _LEAST_ZERO_TAIL or (flat_pixels and (lossless or tail < _FLAT_LOSSY_TAIL + flat_pixels // 256)):
        return ""
    return f"not completely copied: the last {tail} bytes are zero; copy the file again"


def unfinished_rows(content: bytes, start: int, stride: int) -> str:
    """The reason when uncompressed rows (BMP, plain TIFF) end in zeros that begin in the middle of a row.

    `start` is the offset of the first row, `stride` the bytes per row. A black bar or a black corner is zeros as well,
    so the zeros count only where the row before goes on with something else: a picture does not turn black mid-row
    while its neighbour row does not.
    """
    tail = zero_tail(content)
    first = len(content) - tail
    if tail < _LEAST_ZERO_ROWS or stride <= 0 or first - stride < start:
        return ""
    rest = -(first - start) % stride
    above = content[first - stride : first - stride + rest]
    if rest < 7 or above.count(0) > 0.9 * len(above):
        return ""
    return f"not completely copied: the last {tail} bytes are zero; copy the file again"

"""Whether content begins like a video, and like which: by the marks of the containers, never by a file's name.

A mark of four bytes or more at its place is enough; formats whose mark is shorter must repeat it or keep the rules of
their header, so that text and pictures are never taken for one. What FFmpeg may open is the same list. Decoding does
not belong here (video), and neither do the words for what is no picture (sniff).
"""

from __future__ import annotations

DEMUXERS = ("matroska", "mov", "avi", "flv", "asf", "mpegts", "mpeg", "mpegvideo", "ogg")
"""FFmpeg's names of the containers that `video_format` tells: no other may open a file that was taken for a video."""
MARK_BYTES = 1024
"""So much of the beginning tells every format."""

_ATOMS = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))
"""What a QuickTime file older than `ftyp` begins with (QuickTime File Format, Apple 2001)."""
_TS_PACKETS = 5
"""So many sync bytes in a row FFmpeg asks for, too."""
_THEORA_WITHIN = 512


def video_format(content: bytes) -> str:
    """The name of the video format that the content begins like, such as MP4; empty when it begins like none."""
    if content.startswith(b"\x1aE\xdf\xa3"):
        return "WebM" if b"webm" in content[:64] else "Matroska"
    if content.startswith(b"\0\0") and content[4:8] == b"ftyp":
        return "MOV" if content[8:10] == b"qt" else "MP4"
    if _is_old_quicktime(content):
        return "MOV"
    if content.startswith(b"RIFF") and content[8:12] == b"AVI ":
        return "AVI"
    if content.startswith(b"FLV\1"):
        return "FLV"
    if content.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
        return "WMV"
    if content.startswith(b"OggS") and b"\x80theora" in content[:_THEORA_WITHIN]:
        return "Ogg"
    if _is_program_stream(content) or _is_sequence(content):
        return "MPEG"
    return "MPEG-TS" if _is_transport_stream(content, 0, 188) or _is_transport_stream(content, 4, 192) else ""


def _is_old_quicktime(content: bytes) -> bool:
    """An atom of a known kind whose size can be, with what such an atom begins with or is followed by."""
    kind, size = content[4:8], int.from_bytes(content[:4], "big")
    if kind == b"moov":
        return size >= 16 and content[12:16] in (b"mvhd", b"cmov", b"udta", b"trak")
    if kind == b"mdat":  # what follows lies behind all of the film; letters would be a text
        return size == 1 or (size >= 16 and not content[:4].decode("latin-1").isprintable())
    return kind in _ATOMS and size >= 8 and content[size + 4 : size + 8] in (*_ATOMS, b"ftyp")


def _is_program_stream(content: bytes) -> bool:
    """A pack header with the fixed bits of MPEG-1 or MPEG-2 (ISO/IEC 11172-1, 13818-1) behind its start code."""
    if not content.startswith(b"\0\0\1\xba") or len(content) < 12:
        return False
    return content[4] & 0xF1 == 0x21 or content[4] & 0xC4 == 0x44


def _is_sequence(content: bytes) -> bool:
    """The header of a video sequence by itself: sizes, and codes of shape and rate that exist, and its marker bit."""
    if not content.startswith(b"\0\0\1\xb3") or len(content) < 12:
        return False
    sizes = int.from_bytes(content[4:7], "big")
    shape, rate = content[7] >> 4, content[7] & 15
    return bool(sizes >> 12 and sizes & 0xFFF) and 1 <= shape <= 14 and 1 <= rate <= 8 and bool(content[10] & 0x20)


def _is_transport_stream(content: bytes, first: int, stride: int) -> bool:
    """Whole packets one after the other that begin with the sync byte, tell of no error and hold something."""
    places = range(first, len(content) - 3, stride)
    if len(places) < _TS_PACKETS:
        return False
    return all(
        content[at] == 0x47 and not content[at + 1] & 0x80 and content[at + 3] & 0x30 for at in places[:_TS_PACKETS]
    )

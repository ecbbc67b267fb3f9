"""What is taken for a video, and above all what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.vision.video_formats import MARK_BYTES, video_format

_PACKET = b"\x47\x40\x00\x10" + bytes(184)
_SEQUENCE = b"\0\0\1\xb3\x2d\x01\xe0\x24\x13\x88\x23\x81"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (_PACKET * 6, "MPEG-TS"),
        ((bytes(4) + _PACKET) * 6, "MPEG-TS"),
        (_PACKET * 4, ""),
        (_PACKET * 3 + bytes(188) + _PACKET * 2, ""),
        (b"G" * 2000, ""),
        (b"\0\0\1\xba\x44" + bytes(20), "MPEG"),
        (b"\0\0\1\xba\x21" + bytes(20), "MPEG"),
        (b"\0\0\1\xba\xff" + bytes(20), ""),
        (_SEQUENCE, "MPEG"),
        (_SEQUENCE[:7] + b"\xf4" + _SEQUENCE[8:], ""),
        (b"\0\0\1\xb3" + bytes(20), ""),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"XXXX\0\0\0\0AVI LIST", ""),
        (b"RIFF\0\0\0\0WAVEfmt ", ""),
        (b"\0\0\0\x18ftypisom", "MP4"),
        (b"\0\0\0\x14ftypqt  ", "MOV"),
        (b"\0\0\0\x08wide\0\1\0\0mdat", "MOV"),
        (b"\0\0\0\x6cmoov\0\0\0\x64mvhd", "MOV"),
        (b"I'm free of everything, said the text", ""),
        (b"The mdat of a text is no film", ""),
        (b"OggS" + bytes(24) + b"\x01vorbis", ""),
        (b"OggS" + bytes(24) + b"\x80theora", "Ogg"),
        (b"", ""),
    ],
)
def test_marks_and_rules_of_headers_decide(content: bytes, name: str):
    assert video_format(content) == name


@given(st.text(min_size=1, max_size=300))
def test_no_text_is_a_video(text: str):
    content = text.encode()
    assert not video_format(content[:MARK_BYTES]) or b"\0" in content

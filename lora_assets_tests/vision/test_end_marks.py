"""The marks that files end with: a file without one is not whole, and what stands behind one does not matter."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lora_assets.vision.images import ImageRefused, decode_image
from lora_assets.vision.sniff import missing_end
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, drawn_picture

PICTURE = drawn_picture(96, 72, 3)
WHOLE = {encoding.name: encoding.encode(PICTURE) for encoding in ENCODINGS}
MARKED = [encoding for encoding in ENCODINGS if encoding.format in ("JPEG", "PNG", "GIF")]


@pytest.mark.parametrize("encoding", MARKED, ids=lambda encoding: encoding.name)
@given(trailer=st.binary(max_size=300))
@settings(max_examples=15, deadline=None)
def test_what_cameras_and_phones_append_does_not_matter(encoding, trailer: bytes):
    assert missing_end(WHOLE[encoding.name] + trailer, encoding.format) == ""


@pytest.mark.parametrize("encoding", MARKED, ids=lambda encoding: encoding.name)
@given(share=st.floats(0.02, 0.999))
@settings(max_examples=25, deadline=None)
def test_a_part_has_no_end(encoding, share: float):
    part = WHOLE[encoding.name][: int(share * len(WHOLE[encoding.name]))]
    assert "not completely copied" in missing_end(part, encoding.format)
    assert "not completely copied" in missing_end(part + bytes(5000), encoding.format)


def test_the_end_of_a_preview_is_not_the_end_of_the_picture():
    preview = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 200, 9)).save(preview, "JPEG")
    inside = b"Exif\0\0" + preview.getvalue()
    jpeg = WHOLE["JPEG"]
    with_preview = jpeg[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + jpeg[2:]
    assert missing_end(with_preview, "JPEG") == ""
    assert "end mark" in missing_end(with_preview[:-2], "JPEG")


@pytest.mark.parametrize("side", [64, 200])
def test_an_animation_is_whole_when_all_its_pictures_are(side: int):
    frames = [drawn_picture(side, side, seed).convert("P") for seed in range(4)]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], disposal=2, comment=b"made by a test")
    assert missing_end(content.getvalue(), "GIF") == ""
    assert missing_end(content.getvalue()[:-1], "GIF") != ""


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_noise_is_answered_and_never_raises(noise: bytes):
    for name, start in (("JPEG", b"\xff\xd8\xff"), ("PNG", b"\x89PNG\r\n\x1a\n"), ("GIF", b"GIF89a"), ("BMP", b"BM")):
        assert isinstance(missing_end(start + noise, name), str)


def test_zeros_that_a_lossless_webp_does_not_need_are_no_part_of_it():
    grain = np.random.default_rng(4).integers(1, 255, (80, 120, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(grain).save(content, "WEBP", lossless=True)
    whole = content.getvalue()
    decode_image(whole)
    for share in (0.3, 0.6, 0.95):
        cut = int(len(whole) * share)
        with pytest.raises(ImageRefused, match="zero"):
            decode_image(whole[:cut] + bytes(len(whole) - cut))


@pytest.mark.parametrize("rows", [1, 37, 200])
def test_black_bars_that_begin_with_a_row_are_no_damage(rows: int):
    pixels = np.asarray(drawn_picture(333, 250, 8)).copy()
    pixels[:rows] = 0
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "BMP")
    assert decode_image(content.getvalue()).format == "BMP"

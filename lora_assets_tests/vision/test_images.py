"""Tests of reading pictures: modes, orientation, limits, damage, files that are no files."""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from lora_assets.vision.images import (
    ImageRefused,
    ReadSettings,
    decode_image,
    frame_facts,
    read_file,
    thumbnail_webp,
)


def picture(width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    """A smooth colourful picture, so that lossy formats stay close."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def save(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("format", "options"), LOSSLESS)
def test_lossless_formats_give_the_pixels_back(format: str, options: dict[str, object]):
    decoded = decode_image(save(Image.fromarray(picture()), format, **options))
    assert decoded.format == format
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous and decoded.pixels.flags.writeable
    assert np.array_equal(decoded.pixels, picture())


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_are_close(format: str):
    decoded = decode_image(save(Image.fromarray(picture()), format, quality=95))
    assert decoded.format == format
    assert np.abs(decoded.pixels.astype(int) - picture()).mean() < 6


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16", "F"])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_every_mode_becomes_8_bit_rgb(mode: str, format: str):
    grey = Image.fromarray(picture()).convert("L")
    if (mode, format) in (("CMYK", "PNG"), ("F", "PNG")):
        pytest.skip("PNG has no such mode")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    else:
        image = Image.fromarray(picture()).convert(mode)
    decoded = decode_image(save(image, format)).pixels
    assert decoded.shape == (48, 64, 3) and decoded.dtype == np.uint8
    if mode in ("L", "LA", "I;16", "F"):
        assert np.array_equal(decoded[..., 0], np.asarray(grey))
    elif mode in ("RGBA", "CMYK"):
        assert np.abs(decoded.astype(int) - picture()).max() <= 1


def test_transparency_is_laid_over_white_and_hides_what_lies_under_it():
    rgba = np.dstack((picture(), np.zeros((48, 64), np.uint8)))
    rgba[10:20, 10:20, 3] = 255
    rgba[30:40, 10:20, 3] = 128
    decoded = decode_image(save(Image.fromarray(rgba), "PNG")).pixels
    assert (decoded[0:10] == 255).all()
    assert np.array_equal(decoded[10:20, 10:20], picture()[10:20, 10:20])
    half = (picture()[30:40, 10:20].astype(float) * 128 + 255 * 127) / 255
    assert np.abs(decoded[30:40, 10:20] - half).max() <= 1


def test_floats_beyond_one_and_nans_are_read():
    levels = np.linspace(0, 255, 64 * 48, dtype=np.float32).reshape(48, 64)
    assert np.abs(decode_image(save(Image.fromarray(levels), "TIFF")).pixels[..., 0] - levels).max() <= 1
    levels[0, 0] = np.nan
    assert decode_image(save(Image.fromarray(levels), "TIFF")).pixels[0, 0, 0] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(orientation: int, format: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = save(Image.fromarray(picture()), format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    assert np.array_equal(decode_image(content).pixels, expected)
    assert expected.shape == ((64, 48, 3) if orientation >= 5 else (48, 64, 3))


def test_animations_give_their_first_frame():
    first, second = Image.fromarray(picture(seed=1)), Image.fromarray(picture(seed=2))
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        content = save(first, format, save_all=True, append_images=[second], **options)
        assert np.array_equal(decode_image(content).pixels, np.asarray(first))
    gif = decode_image(save(first, "GIF", save_all=True, append_images=[second]))
    assert np.abs(gif.pixels.astype(int) - np.asarray(first)).mean() < 20


def test_a_large_picture_is_read_in_bands_like_a_small_one():
    levels = np.zeros((3000, 3000), np.uint8)
    levels[1000:2999] = 77
    assert np.array_equal(decode_image(save(Image.fromarray(levels), "PNG")).pixels[..., 2], levels)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (bytes(4096), "not completely copied: all 4096 bytes are zero"),
        (b"<!DOCTYPE html><html></html>", "the content is HTML"),
        ("ただのメモ\n".encode() * 300, "the content is text"),
        (b"%PDF-1.7 \x00\x01", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "format HEIF is not read: convert"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"P6\n4 4\n255\n" + bytes(range(48)), "format PPM is not read"),
        (b"\x01\x02\x03\x80\xfe" * 40, "no known picture format"),
    ],
)
def test_what_is_no_picture_says_what_it_is(content: bytes, reason: str):
    with pytest.raises(ImageRefused, match=reason):
        decode_image(content)


def test_size_limits_hold_before_anything_is_decoded():
    bomb = save(Image.new("1", (20000, 15000)), "PNG")
    with pytest.raises(ImageRefused, match="20000 x 15000 is 300 megapixels"):
        decode_image(bomb)
    with pytest.raises(ImageRefused, match="too small: 16 x 40, the least side is 32"):
        decode_image(save(Image.new("RGB", (16, 40)), "PNG"))
    tiny = decode_image(save(Image.new("RGB", (16, 40)), "PNG"), ReadSettings(min_side=8))
    assert tiny.pixels.shape == (40, 16, 3)
    with pytest.raises(ImageRefused, match=r"limit is 0\.001"):
        decode_image(save(Image.new("RGB", (64, 64)), "PNG"), ReadSettings(max_megapixels=0.001))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_off_file_is_refused(format: str, share: float):
    content = save(Image.fromarray(picture(200, 150)), format)
    with pytest.raises(ImageRefused, match=r"truncated|not completely copied|damaged"):
        decode_image(content[: int(len(content) * share)])


CUTS = [
    ("JPEG", {}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("AVIF", {}),
]


@pytest.mark.parametrize(("format", "options"), CUTS)
def test_a_file_of_full_size_with_a_zero_tail_is_refused(format: str, options: dict[str, object]):
    image = picture(200, 150).copy()
    image[20:60, 30:90] = np.random.default_rng(0).integers(1, 256, (40, 60, 3))
    content = save(Image.fromarray(np.maximum(image, 1)), format, **options)
    accepted = 0
    for step in range(1, 20):
        cut = len(content) * step // 20 + 11
        try:
            decode_image(content[:cut] + bytes(len(content) - cut))
        except ImageRefused as refused:
            assert any(word in str(refused) for word in ("truncated", "not completely copied", "damaged"))
        else:
            accepted += 1
    # Plain rows that end in zeros where a row ends look like a black bar, and are let through: two looks tell them.
    assert accepted <= {"BMP": 2, "TIFF": 1}.get(format, 0)


@pytest.mark.parametrize(("format", "options"), [*LOSSLESS, ("WEBP", {"quality": 50}), ("AVIF", {})])
def test_black_bars_and_flat_pictures_are_no_damage(format: str, options: dict[str, object]):
    for level in (0, 255):
        decode_image(save(Image.fromarray(np.full((360, 640, 3), level, np.uint8)), format, **options))
    bars = picture(320, 180).copy()
    bars[:30] = bars[-30:] = 0
    bars[:, :40] = bars[:, -40:] = 0
    decode_image(save(Image.fromarray(bars), format, **options))
    logo = np.zeros((180, 320, 3), np.uint8)
    logo[60:120, 100:200] = 200
    decode_image(save(Image.fromarray(logo), format, **options))


def test_a_wrong_checksum_is_damage_and_trailing_bytes_are_not():
    content = bytearray(save(Image.fromarray(picture()), "PNG"))
    assert np.array_equal(decode_image(bytes(content) + b"trailer" * 100).pixels, picture())
    jpeg = save(Image.fromarray(picture()), "JPEG")
    assert np.array_equal(decode_image(jpeg + bytes(5000)).pixels, decode_image(jpeg).pixels)
    at = content.index(b"IDAT") + 40
    content[at] ^= 0xFF
    with pytest.raises(ImageRefused, match="checksum"):
        decode_image(bytes(content))


def test_pillow_is_reached_whoever_replaced_its_open(monkeypatch: pytest.MonkeyPatch):
    def replaced(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("pi_heif")

    monkeypatch.setattr(Image, "open", replaced)
    assert decode_image(save(Image.fromarray(picture()), "PNG")).pixels.shape == (48, 64, 3)
    with pytest.raises(ImageRefused, match="no known picture"):
        decode_image(b"\x01\x02\x03\x80\xfe" * 40)
    assert Image.MAX_IMAGE_PIXELS == 89478485


def test_only_regular_files_are_read(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"abc")
    assert read_file(tmp_path / "file") == b"abc"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "locked").write_bytes(b"abc")
    (tmp_path / "locked").chmod(0)
    reasons = {
        "link": "symbolic link",
        "loop": "symbolic link",
        "pipe": "not a file",
        "gone": "vanished",
        "": "not a file",
    }
    if os.geteuid() != 0:
        reasons["locked"] = "no permission"
    for name, reason in reasons.items():
        with pytest.raises(ImageRefused, match=reason):
            read_file(tmp_path / name)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("door")
        with pytest.raises(ImageRefused, match="socket"):
            read_file(Path("door"))


def test_facts_say_what_the_picture_is():
    black = frame_facts(np.zeros((720, 1280, 3), np.uint8), "PNG")
    assert (black.width, black.height, black.format) == (1280, 720, "PNG")
    assert (black.mean_luminance, black.black_share, black.sharpness) == (0.0, 1.0, 0.0)
    half = np.zeros((400, 400, 3), np.uint8)
    half[:, 200:] = 255
    facts = frame_facts(half, "PNG")
    assert facts.mean_luminance == pytest.approx(0.5)
    assert facts.black_share == pytest.approx(0.5)
    assert facts.sharpness > 100
    red = np.full((64, 64, 3), (255, 0, 0), np.uint8)
    assert frame_facts(red, "PNG").mean_luminance == pytest.approx(0.299, abs=0.005)


def test_the_perceptual_hash_is_imagehash_and_survives_resizing():
    import imagehash

    small, large = picture(640, 480), picture(1280, 960)
    assert frame_facts(small, "PNG").phash == str(imagehash.phash(Image.fromarray(small).convert("L")))
    distance = imagehash.hex_to_hash(frame_facts(small, "PNG").phash) - imagehash.hex_to_hash(
        frame_facts(large, "PNG").phash
    )
    assert distance <= 4
    for height, width in ((32, 5000), (5000, 32)):
        assert len(frame_facts(picture(width, height), "PNG").phash) == 16


def test_thumbnails_fit_and_have_no_dark_rim():
    crop = np.zeros((800, 400, 4), np.uint8)
    crop[100:700, 50:350] = (250, 200, 150, 255)
    thumb = np.asarray(Image.open(io.BytesIO(thumbnail_webp(crop))).convert("RGBA"))
    assert thumb.shape == (256, 128, 4)
    shown = thumb[thumb[..., 3] > 60].astype(int)
    assert np.abs(shown[:, :3] - (250, 200, 150)).max() < 30
    same = np.asarray(Image.open(io.BytesIO(thumbnail_webp(picture()))))
    assert same.shape == (48, 64, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_of_a_large_picture_is_bounded(tmp_path: Path):
    import subprocess

    path = tmp_path / "huge.png"
    path.write_bytes(save(Image.new("P", (12000, 9000), 3), "PNG"))
    program = (
        "import sys; from pathlib import Path; from lora_assets.vision.images import decode_image, read_file;"
        "print(decode_image(read_file(Path(sys.argv[1]))).pixels.shape);"
        "print(next(int(s.split()[1]) for s in open('/proc/self/status') if s.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    shape, kilobytes = done.stdout.splitlines()
    assert shape == "(9000, 12000, 3)"
    assert int(kilobytes) < 1 << 20

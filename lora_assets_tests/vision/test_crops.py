"""Tests of cut-outs and their small pictures."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lora_assets.vision.crops import (
    contact_sheet,
    crop_id,
    crop_id_of,
    crop_window,
    cut_crop,
    encode_png,
    mask_overlay,
    picture_markdown,
    sheet_jpeg,
)
from lora_assets.vision.masks import window_pixels
from lora_assets_tests.vision.drawn import mask_row, noise_mask


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 60), st.sampled_from((0.0, 0.05, 0.5, 1.0)))
@settings(deadline=None, max_examples=30)
def test_a_crop_lies_in_its_frame_and_holds_the_figure_alone(seed: int, height: int, width: int, share: float):
    mask = noise_mask(seed, height, width, share)
    image = np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)
    row = mask_row(mask)
    x, y, w, h = crop_window(row, width, height)
    assert x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= width and y + h <= height
    crop = cut_crop(image, row)
    shown = window_pixels(row, (x, y, w, h))
    assert crop.shape == (h, w, 4)
    assert np.array_equal(crop[..., 3] == 255, shown)
    assert shown.sum() == mask.sum()
    assert np.array_equal(crop[shown][:, :3], image[y : y + h, x : x + w][shown])
    assert not crop[~shown].any()


def test_a_mask_outside_its_frame_is_refused():
    mask = np.zeros((50, 50), np.bool_)
    mask[40:, 40:] = True
    with pytest.raises(ValueError, match="outside its frame of 20 x 20"):
        crop_window(mask_row(mask), 20, 20)


def test_png_is_lossless_and_deterministic():
    image = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    crop = cut_crop(image, mask_row(noise_mask(3, 40, 30, 0.5)))
    content = encode_png(crop)
    assert content == encode_png(crop.copy())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), crop)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(image)))), image)


def test_the_crop_id_depends_on_frame_window_and_pixels():
    row = mask_row(noise_mask(1, 30, 30, 0.5))
    ids = {
        crop_id_of(row),
        crop_id("0" * 64, (row.x, row.y, row.width, row.height), row.rle),
        crop_id(row.frame_sha256, (row.x + 1, row.y, row.width, row.height), row.rle),
        crop_id(row.frame_sha256, (row.x, row.y, row.width, row.height), row.rle + b"0"),
    }
    assert len(ids) == 4
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in ids)


def test_the_overlay_colours_the_mask_only():
    row = mask_row(noise_mask(5, 40, 40, 0.6))
    overlay = mask_overlay(row, (1, 2, 3), 0.5)
    shown = window_pixels(row, (row.x, row.y, row.width, row.height))
    assert np.array_equal(overlay[..., 3] > 0, shown)
    assert {tuple(pixel) for pixel in overlay[shown]} <= {(1, 2, 3, 128), (1, 2, 3, 255)}


def test_a_contact_sheet_shows_every_picture_on_its_tile():
    red = np.full((50, 100, 3), (255, 0, 0), np.uint8)
    hidden = np.zeros((300, 200, 4), np.uint8)
    hidden[100:200, 50:150] = (0, 0, 255, 255)
    sheet = contact_sheet([red, hidden, red], columns=2, tile=64)
    assert sheet.shape == (140, 140, 3)
    assert tuple(sheet[36, 36]) == (255, 0, 0)
    assert tuple(sheet[36, 104]) == (0, 0, 255)
    assert tuple(sheet[8, 104]) == (238, 238, 238)
    assert tuple(sheet[104, 104]) == (255, 255, 255)
    assert contact_sheet([], 3, 32).shape == (40, 40, 3)
    with pytest.raises(ValueError, match="at least 1"):
        contact_sheet([red], 0)


def test_a_sheet_is_small_enough_for_metadata():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    content = sheet_jpeg(noise)
    assert len(content) <= 200_000
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    assert len(sheet_jpeg(noise, 1)) > 1


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_inside_markdown_keeps_its_bytes(form: str):
    content = io.BytesIO()
    Image.new("RGB", (3, 2)).save(content, form)
    text = picture_markdown("words", content.getvalue())
    head = f"![words](data:image/{form.lower()};base64,"
    assert text.startswith(head) and base64.b64decode(text[len(head) : -1]) == content.getvalue()

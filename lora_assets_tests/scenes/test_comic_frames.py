"""Borders, gutters and pictures like photographs on drawn comic pages."""

from __future__ import annotations

import numpy as np
import pytest
import skia

from lora_assets.scenes.comic_frames import KINDS, NONE, SURFACES, WIDTHS, Frame, clouds, draw_frame
from lora_assets.scenes.ink import colour, raster

CORNERS = ((20.0, 20.0), (100.0, 20.0), (90.0, 110.0), (20.0, 110.0))


def _drawn(kind: str) -> np.ndarray:
    pixels, surface = raster(120, 130)
    canvas = surface.getCanvas()
    canvas.clear(colour((255, 255, 255)))
    Frame(kind, 6.0, (0, 0, 0), (255, 255, 255), 14.0, 5).draw(canvas, CORNERS)
    surface.flushAndSubmit()
    return pixels[:, :, :3].max(2)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {NONE}))
def test_a_border_lies_on_the_panels_sides_and_nowhere_else(kind):
    page = _drawn(kind)
    inner, outer = page[35:95, 35:78], page.copy()
    outer[10:120, 10:110] = 255
    assert (inner == 255).all() and (outer == 255).all()
    assert (page[17:24, 40:80].min(0) < 60).mean() > 0.95
    if kind == "double":
        assert (page[20, 40:80] > 200).all()


def test_rounded_corners_are_outside_the_panel():
    rounded = Frame("rounded", 3.0, (0, 0, 0), (255, 255, 255), 20.0, 0).outline(CORNERS)
    plain = Frame("line", 3.0, (0, 0, 0), (255, 255, 255), 20.0, 0).outline(CORNERS)
    assert plain.contains(21.5, 21.5) and not rounded.contains(21.5, 21.5)
    assert rounded.contains(60, 60) and isinstance(rounded, skia.Path)


def test_frames_are_of_every_kind_and_pages_of_paper_always_have_borders():
    rngs = [np.random.default_rng(seed) for seed in range(200)]
    drawn = [draw_frame(rng, 600, 800, coloured=True, paper_prints=False) for rng in rngs]
    assert {frame.kind for frame in drawn} == set(KINDS)
    for frame in drawn:
        low, high = WIDTHS[frame.kind]
        assert max(1.0, 600 * low) <= frame.width <= max(1.0, 600 * high)
        assert frame.ink != frame.gutter
    papers = [draw_frame(rng, 600, 800, coloured=False, paper_prints=True) for rng in rngs]
    assert NONE not in {frame.kind for frame in papers}
    assert all(max(frame.gutter) - min(frame.gutter) <= 16 for frame in papers)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("size", [(90, 60), (12, 11), (1, 1)])
def test_pictures_like_photographs_keep_their_size_and_kind(surface, size):
    picture = np.full((size[1], size[0], 3), (200, 120, 60), np.uint8)
    made = surface(picture, np.random.default_rng(1))
    assert made.shape == picture.shape and made.dtype == np.uint8
    assert made.mean(axis=(0, 1)).argmax() == 0


def test_clouds_span_all_tones_smoothly():
    field = clouds(np.random.default_rng(2), 80, 50)
    assert field.shape == (50, 80) and (field.min(), field.max()) == (0, 1)
    assert np.abs(np.diff(field, axis=1)).mean() < 0.08

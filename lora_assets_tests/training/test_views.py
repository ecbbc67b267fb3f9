"""Views keep picture, pixel owners and boxes together, whatever window, mirror or colour."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.training.rendered import rendered_frame
from lora_assets.training.views import (
    Window,
    cut_view,
    letterbox_window,
    mirrored,
    owner_boxes,
    random_view,
    random_window,
    recoloured,
)
from lora_assets_tests.training.drawn import draw_blocks

FRAME = rendered_frame(draw_blocks(7, 320, 180))


def test_the_whole_frame_in_its_own_size_is_unchanged():
    view = cut_view(FRAME, letterbox_window(320, 180, 320, 180), 320, 180)
    assert np.array_equal(view.image, FRAME.image)
    assert np.array_equal(view.owners, FRAME.owners)
    assert view.inside.all()
    assert np.allclose(view.boxes, FRAME.boxes)
    assert np.allclose(view.head_boxes, FRAME.head_boxes)
    assert np.array_equal(np.isnan(view.face_boxes), np.isnan(FRAME.face_boxes))


def test_letterbox_pads_evenly_and_scales_boxes():
    view = cut_view(FRAME, letterbox_window(320, 180, 320, 320), 320, 320)
    assert np.array_equal(np.flatnonzero(view.inside[:, 0]), np.arange(70, 250))
    assert (view.image[:70] == 114).all()
    assert np.allclose(view.boxes, FRAME.boxes + np.array([0, 70, 0, 70]))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_boxes_bound_what_is_seen(seed: int):
    view = random_view(np.random.default_rng(seed), FRAME, 256, 160)
    assert view.image.shape == (160, 256, 3)
    assert not view.owners[~view.inside].any()
    for index, box in enumerate(view.boxes):
        seen = view.owners == index + 1
        if np.isnan(box[0]):
            assert owner_boxes(view.owners, 2)[index][0] != 0
            continue
        x1, y1, x2, y2 = box.astype(int)
        assert seen[y1:y2, x1:x2].sum() == seen.sum() > 0
        assert seen[y1].any() and seen[y2 - 1].any() and seen[:, x1].any() and seen[:, x2 - 1].any()
    for boxes in (view.head_boxes, view.face_boxes):
        seen = boxes[~np.isnan(boxes[:, 0])]
        assert (seen[:, :2] < seen[:, 2:]).all() and (seen >= 0).all() and (seen <= [256, 160, 256, 160]).all()


def test_a_head_outside_the_window_is_not_a_target():
    feet = cut_view(FRAME, Window(0, 100, 160, 180), 160, 80)
    assert not np.isnan(feet.boxes[0]).any()
    assert np.isnan(feet.head_boxes).all() and np.isnan(feet.face_boxes).all()


def test_a_window_beside_the_frame_shows_padding_only():
    view = cut_view(FRAME, Window(400, 0, 500, 100), 64, 64)
    assert not view.inside.any() and np.isnan(view.boxes).all() and (view.image == 114).all()


def test_mirroring_twice_gives_the_view_back():
    view = cut_view(FRAME, Window(20, 10, 220, 135), 200, 125)
    back = mirrored(mirrored(view))
    assert np.array_equal(back.image, view.image) and np.array_equal(back.owners, view.owners)
    assert np.allclose(back.boxes, view.boxes, equal_nan=True)
    assert np.allclose(mirrored(view).boxes, owner_boxes(mirrored(view).owners, 2))


def test_recolouring_leaves_shapes_alone():
    view = cut_view(FRAME, letterbox_window(320, 180, 320, 180), 320, 180)
    changed = [recoloured(view, np.random.default_rng(seed)) for seed in range(8)]
    assert any(not np.array_equal(other.image, view.image) for other in changed)
    assert all(other.image.dtype == np.uint8 and other.owners is view.owners for other in changed)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([(256, 256), (256, 144), (144, 256)]))
def test_windows_keep_the_aspect_of_the_view(seed: int, shape: tuple[int, int]):
    window = random_window(np.random.default_rng(seed), FRAME, *shape)
    assert np.isclose((window.x2 - window.x1) / (window.y2 - window.y1), shape[0] / shape[1])

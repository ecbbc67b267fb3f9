from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.exports.buckets import (
    ai_toolkit_rule,
    diffusion_pipe_rule,
    kept_part,
    kohya_rule,
    kohya_sizes,
    onetrainer_rule,
    trainers_rules,
)
from lora_assets.exports.fitting import Figure, fit_window, keeps_enough
from lora_assets.exports.settings import ExportSettings
from lora_assets.vision.masks import window_pixels
from lora_assets_tests.exports.drawn_cell import draw_frame

SIDES = st.integers(1, 3000)


def test_the_buckets_of_sd_scripts_are_those_that_it_makes():
    # Printed by library/model_util.py for 512 x 512, 256 to 1024, step 64.
    assert kohya_sizes((512, 512), 256, 1024, 64) == [
        (256, 832), (256, 896), (256, 960), (256, 1024), (320, 704), (320, 768), (384, 640), (448, 576), (512, 512),
        (576, 448), (640, 384), (704, 320), (768, 320), (832, 256), (896, 256), (960, 256), (1024, 256),
    ]  # fmt: skip


def test_limits_that_are_no_multiple_of_the_step_are_rounded_as_sd_scripts_does():
    # BaseDataset.adjust_min_max_bucket_reso_by_steps: (250, 1030) by 64 becomes (192, 1088).
    assert kohya_sizes((512, 512), 250, 1030, 64) == kohya_sizes((512, 512), 192, 1088, 64)
    assert (192, 1088) in kohya_sizes((512, 512), 250, 1030, 64)
    tall = trainers_rules(ExportSettings(resolution=1000))[0](1, 9)
    assert tall == (256, 2048)  # the longest side, 2000, is no multiple of 64


@pytest.mark.parametrize(
    ("rule", "size", "bucket"),
    [
        (kohya_rule((512, 512), enabled=True, least=256, largest=1024, step=64), (1000, 1000), (512, 512)),
        (kohya_rule((512, 512), enabled=True, least=256, largest=1024, step=64), (768, 320), (768, 320)),
        (kohya_rule((512, 512), enabled=False, least=256, largest=1024, step=64), (768, 320), (512, 512)),
        (
            kohya_rule((512, 512), enabled=True, least=256, largest=1024, step=64, no_upscale=True),
            (200, 130),
            (192, 128),
        ),
        (onetrainer_rule(512), (1000, 1000), (512, 512)),
        (onetrainer_rule(512), (500, 1000), (384, 704)),  # 362 x 724 rounded to 64
        (onetrainer_rule(512), (100, 1000), (256, 1024)),  # nothing narrower than 1 to 4
        (ai_toolkit_rule(512, 16), (100, 100), (96, 96)),  # never enlarged
        (ai_toolkit_rule(512, 16), (1024, 1024), (512, 512)),
        (diffusion_pipe_rule(512, 0.5, 2.0, 7), (1000, 1000), (512, 512)),
        (diffusion_pipe_rule(512, 0.5, 2.0, 7), (100, 1000), (352, 736)),  # nothing narrower than 1 to 2
    ],
)
def test_each_trainer_chooses_its_bucket(rule, size, bucket):
    assert rule(*size) == bucket


@given(SIDES, SIDES)
def test_what_is_kept_has_the_buckets_shape_and_lies_in_the_middle(width, height):
    for rule in trainers_rules(ExportSettings(resolution=512)):
        bucket = rule(width, height)
        assert min(bucket) > 0
        left, top, right, bottom = kept_part(width, height, bucket)
        assert 0 <= left < right <= width + 1e-6
        assert 0 <= top < bottom <= height + 1e-6
        assert left == pytest.approx(width - right, abs=1e-6)
        assert top == pytest.approx(height - bottom, abs=1e-6)
        assert left < 1e-6 or top < 1e-6  # it cuts one pair of sides only
        assert (right - left) / (bottom - top) == pytest.approx(bucket[0] / bucket[1], rel=1e-6)


@given(st.integers(4, 20).map(lambda n: 64 * n), SIDES, SIDES)
def test_areas_do_not_exceed_what_was_asked_for(resolution, width, height):
    kohya, _, ai_toolkit, _ = trainers_rules(ExportSettings(resolution=resolution))
    assert math.prod(kohya(width, height)) <= resolution**2
    assert math.prod(ai_toolkit(width, height)) <= max(resolution**2, 16 * 16, 16 * max(width, height))


@given(st.integers(24, 400), st.integers(24, 400), st.booleans(), st.sampled_from((0.0, 0.08)))
def test_a_window_grows_until_no_trainer_cuts_the_head_off(width, height, inside, margin):
    _, mask, head = draw_frame(width * height, width, height)
    settings = ExportSettings(resolution=512, margin=margin)
    figure = Figure(mask, (0, 0, width, height), head)
    x, y, wide, high = fit_window(figure, (width, height), settings, inside=inside)
    assert x <= 0 or inside
    assert mask[max(0, y) : y + high, max(0, x) : x + wide].sum() == mask.sum()
    if 1 / 9 < width / height < 9:
        assert keeps_enough(figure, (x, y, wide, high), trainers_rules(settings), settings)


def test_a_figure_in_the_middle_gets_its_margin_and_no_more():
    _, mask, head = draw_frame(3, 300, 300)
    figure = Figure(mask[50:250, 50:250], (50, 50, 200, 200), head)
    assert fit_window(figure, (300, 300), ExportSettings(margin=0.1), inside=True) == (30, 30, 240, 240)


def test_a_tall_figure_grows_inside_the_frame_before_the_ground_is_added():
    _, mask, head = draw_frame(5, 40, 400)
    figure = Figure(mask, (300, 0, 40, 400), (head[0] + 300, head[1], head[2] + 300, head[3]))
    x, y, wide, high = fit_window(figure, (640, 400), ExportSettings(), inside=True)
    assert (y, high) == (0, 400)
    assert 64 < wide < 120
    assert x >= 0
    assert x + wide <= 640


def test_masks_are_cut_out_of_windows_beyond_the_frame(data):
    from lora_assets.tables import Mask
    from lora_assets.vision.masks import encode_mask
    from lora_assets_tests.judge.cells import a_row

    _, mask, _ = draw_frame(5, 40, 60)
    row = a_row(Mask, x=0, y=0, width=40, height=60, rle=encode_mask(mask))
    wide = window_pixels(row, (-10, -5, 60, 70))
    assert (wide[5:65, 10:50] == mask).all()
    assert wide.sum() == mask.sum()


@given(
    st.integers(128, 8192),
    st.integers(8, 1024),
    st.integers(0, 8192),
    st.integers(0, 16384),
    st.integers(8, 128),
    SIDES,
    SIDES,
)
def test_every_setting_that_is_taken_has_a_bucket_for_every_picture(resolution, step, least, largest, divisor, w, h):
    try:
        settings = ExportSettings(
            resolution=resolution, bucket_step=step, least_bucket=least, largest_bucket=largest, divisor=divisor
        )
    except ValueError as error:
        assert step > resolution
        assert "bucket_step" in str(error)
        return
    assert all(min(rule(w, h)) > 0 for rule in trainers_rules(settings))

"""Figures: designs by looks, poses with key points, styles with their inks and prints."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import skia
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.scenes.design import (
    BAGS,
    BEARDS,
    EYE_STYLES,
    FRINGES,
    HATS,
    HELD_OUT_HAIR,
    HELD_OUT_OUTFITS,
    LEGWEAR,
    LOOKS,
    TRAINING_HAIR,
    TRAINING_OUTFITS,
    Design,
    design_of,
)
from lora_assets.scenes.figure import Figure, build_figure
from lora_assets.scenes.ink import HEAD, LEGS, TORSO, Ink, draw_parts, draw_shapes, raster
from lora_assets.scenes.outfits import CUTS
from lora_assets.scenes.pose import ARM_HANDS, ARM_PAIRS, LEG_FORESHORTENING, LEG_PAIRS, Pose, draw_pose
from lora_assets.scenes.styles import STYLES, draw_style, finish_of, ink_of
from lora_assets.scenes.tone import FINISHES, finished

SIZE, SCALE = 240, 24.0
COCO_PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]


def standing(yaw: float = 0.0, **changes: object) -> Pose:
    pose = Pose(yaw=yaw, mirrored=False, arms=ARM_PAIRS["stand"], legs=LEG_PAIRS["stand"])
    return replace(pose, **changes)


def drawn(design: Design, pose: Pose, ink: Ink, scale: float = SCALE) -> np.ndarray:
    """The figure in the middle of a clear BGRA picture."""
    pixels, surface = raster(SIZE, SIZE)
    canvas = surface.getCanvas()
    canvas.translate(SIZE / 2, SIZE / 5)
    canvas.scale(scale, scale)
    draw_shapes(canvas, build_figure(design, pose).shapes, ink)
    return pixels


def parts_of(figure: Figure, *only: int) -> np.ndarray:
    pixels, surface = raster(2 * SIZE, 2 * SIZE)
    canvas = surface.getCanvas()
    canvas.translate(SIZE, SIZE)
    canvas.scale(SCALE, SCALE)
    draw_parts(canvas, [shape for shape in figure.shapes if not only or shape.part in only], 0.0)
    return pixels[:, :, 0]


@given(identity=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_held_out_looks_share_nothing_with_training(identity: int):
    training, held_out = design_of(identity, "training"), design_of(identity, "held_out")
    assert held_out.hair_shape in HELD_OUT_HAIR
    assert held_out.outfit in HELD_OUT_OUTFITS
    assert training.hair_shape in TRAINING_HAIR
    assert training.outfit in TRAINING_OUTFITS
    trained_tones = {tone for palette in LOOKS["training"].palettes for tone in palette.clothes}
    assert {held_out.cloth, held_out.cloth_two, held_out.accent}.isdisjoint(trained_tones)
    assert held_out.elder or held_out.hair not in {t for p in LOOKS["training"].palettes for t in p.hairs}
    assert design_of(identity, "held_out") == held_out


def test_held_out_tables_are_disjoint():
    training, held_out = LOOKS["training"], LOOKS["held_out"]
    assert set(training.hair_shapes).isdisjoint(held_out.hair_shapes)
    assert set(training.outfits).isdisjoint(held_out.outfits)
    assert set(training.palettes).isdisjoint(held_out.palettes)
    assert set(LOOKS["all"].hair_shapes) == {*training.hair_shapes, *held_out.hair_shapes}
    assert set(LOOKS["all"].palettes) == {*training.palettes, *held_out.palettes}


def test_every_look_is_drawn_at_random():
    designs = [design_of(identity) for identity in range(1500)]
    for attribute, names in (
        ("hair_shape", TRAINING_HAIR + HELD_OUT_HAIR),
        ("outfit", TRAINING_OUTFITS + HELD_OUT_OUTFITS),
        ("fringe", FRINGES),
        ("eye_style", EYE_STYLES),
        ("hat", HATS),
        ("legwear", LEGWEAR),
        ("bag", BAGS),
        ("beard", ("", *BEARDS)),
    ):
        assert {getattr(design, attribute) for design in designs} == set(names)
    assert min(design.heads for design in designs) < 2.5
    assert max(design.heads for design in designs) > 7.5
    assert any(design.elder for design in designs)
    assert any(design.belly > 0.5 for design in designs)


def test_unknown_looks_are_named():
    with pytest.raises(ValueError, match=r"'odd'.*training, held_out, all"):
        design_of(1, "odd")


@pytest.mark.parametrize("hair_shape", TRAINING_HAIR + HELD_OUT_HAIR)
@pytest.mark.parametrize("yaw", [0.0, 40.0, 90.0, 150.0])
def test_every_hair_shape_has_a_head_in_every_view(hair_shape: str, yaw: float):
    design = replace(design_of(5), hair_shape=hair_shape, hat="", glasses=True, beard="beard", ahoge=True, elder=True)
    figure = build_figure(design, standing(yaw))
    assert (parts_of(figure, HEAD) == HEAD).sum() > 0.4 * SCALE**2
    assert (figure.face_region is None) == (yaw > 112)


@pytest.mark.parametrize("outfit", list(CUTS))
@pytest.mark.parametrize("legwear", LEGWEAR)
def test_every_outfit_shows_all_parts(outfit: str, legwear: str):
    for yaw in (0.0, 88.0, 170.0):
        design = replace(design_of(3), outfit=outfit, legwear=legwear, hair_shape="short", bag="backpack", heads=5.5)
        assert {HEAD, TORSO, LEGS} <= set(np.unique(parts_of(build_figure(design, standing(yaw)))))


@pytest.mark.parametrize("hat", [hat for hat in HATS if hat])
def test_every_hat_changes_the_head(hat: str):
    design = replace(design_of(8), hat="", ribbon=False)
    plain, worn = (drawn(d, standing(20), Ink()) for d in (design, replace(design, hat=hat)))
    assert (plain != worn).any(axis=2).sum() > 20


@pytest.mark.parametrize("eye_style", EYE_STYLES)
def test_eye_styles_differ(eye_style: str):
    design = replace(design_of(8), eye_style=eye_style, hair_shape="bald", hat="", glasses=False)
    others = [replace(design, eye_style=other) for other in EYE_STYLES if other != eye_style]
    own = drawn(design, standing(), Ink(), 90.0)
    assert all((own != drawn(other, standing(), Ink(), 90.0)).any() for other in others)


@given(seed=st.integers(0, 10**6), mirrored=st.booleans())
@settings(max_examples=60, deadline=None)
def test_key_points_lie_on_the_figure(seed: int, mirrored: bool):
    rng = np.random.default_rng(seed)
    design, pose = design_of(seed), replace(draw_pose(rng), mirrored=mirrored)
    figure = build_figure(design, pose)
    assert figure.key_points.shape == (17, 3)
    assert figure.key_points.dtype == np.float32
    parts = parts_of(figure)
    for x, y, _ in figure.key_points[5:].tolist():
        assert parts[round(SIZE + y * SCALE), round(SIZE + x * SCALE)] > 0
    assert figure.ground >= figure.key_points[15:, 1].max()


def test_left_and_right_are_the_characters_own():
    design = replace(design_of(11), heads=6.0)
    for yaw, mirrored, left_is_right_on_screen in (
        (0.0, False, True),
        (0.0, True, True),
        (178.0, False, False),
        (178.0, True, False),
    ):
        points = build_figure(design, standing(yaw, mirrored=mirrored)).key_points
        flip = -1 if mirrored else 1
        for left, right in COCO_PAIRS[2:]:
            assert (points[left, 0] * flip > points[right, 0] * flip) == left_is_right_on_screen
    front, back = (build_figure(design, standing(yaw)).key_points for yaw in (0.0, 178.0))
    assert front[:5, 2].tolist() == [1.0] * 5
    assert back[:3, 2].tolist() == [0.0] * 3


def test_lying_figure_is_turned():
    design = replace(design_of(2), heads=6.0)
    upright, lying = (build_figure(design, standing(roll=roll)).key_points for roll in (0.0, 90.0))
    np.testing.assert_allclose(lying[5:, 0], -upright[5:, 1], atol=1e-4)
    assert np.ptp(lying[:, 0]) > 2 * np.ptp(lying[:, 1])


def test_seated_figures_reach_less_far_down():
    design = replace(design_of(2), heads=6.0)
    ground = {
        leg: build_figure(
            design, standing(legs=LEG_PAIRS[leg], foreshortening=LEG_FORESHORTENING.get(leg, (1.0, 1.0)))
        ).ground
        for leg in ("stand", "sit_front", "kneel_front", "crouch_front", "lotus")
    }
    assert all(ground[leg] < 0.9 * ground["stand"] for leg in ground if leg != "stand")
    assert set(LEG_FORESHORTENING) <= set(LEG_PAIRS)
    assert set(ARM_HANDS) <= set(ARM_PAIRS)


@pytest.mark.parametrize("style", list(STYLES))
def test_every_style_draws_the_same_figure_by_seed(style: str):
    first, second = (drawn(design_of(4), standing(), ink_of(style, np.random.default_rng(7))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first[:, :, 3] > 127).sum() > 500
    assert finish_of(style) in ("", *FINISHES)


def test_unknown_style_and_finish_are_named():
    rng = np.random.default_rng(0)
    for call in (lambda: ink_of("oil", rng), lambda: finish_of("oil")):
        with pytest.raises(ValueError, match=r"'oil'.*cel.*screentone"):
            call()
    with pytest.raises(ValueError, match=r"'oil'.*grey.*screentone"):
        finished(np.zeros((8, 8, 3), np.uint8), "oil", rng)


def test_random_styles_cover_all():
    rng = np.random.default_rng(1)
    assert {draw_style(rng) for _ in range(1500)} == set(STYLES)


def test_shading_darkens_and_keeps_the_shape():
    flat, shaded, film = (
        drawn(design_of(4), standing(), ink, 40.0)
        for ink in (Ink(shadow=1.0), Ink(shadow=0.7), Ink(shadow=0.7, second=0.8, rim_light=0.5))
    )
    for other in (shaded, film):
        np.testing.assert_array_equal(flat[:, :, 3], other[:, :, 3])
    assert (shaded <= flat).all()
    darkened = (shaded < flat).any(axis=2).sum() / (flat[:, :, 3] > 0).sum()
    assert 0.05 < darkened < 0.7
    assert (film > shaded).any()
    # Premultiplied colours never exceed their alpha.
    assert (film[:, :, :3].max(axis=2) <= film[:, :, 3]).all()


def test_shading_near_figures_keeps_the_whole_picture():
    for size in ((201, 133), (200, 132)):
        pixels, surface = raster(*size)
        canvas = surface.getCanvas()
        canvas.translate(100, 180)
        canvas.scale(170, 170)
        draw_shapes(canvas, build_figure(design_of(6), standing()).shapes, Ink(soft=True, second=0.8))
        assert (pixels[:, :, 3] > 0).mean() > 0.3


def test_shading_needs_pixels():
    recorder = skia.PictureRecorder()
    canvas = recorder.beginRecording(skia.Rect.MakeWH(50, 50))
    with pytest.raises(ValueError, match="raster"):
        draw_shapes(canvas, build_figure(design_of(1), standing()).shapes, Ink())


def test_ink_reach_holds_all_outlines():
    """No ink draws outside the bounds of the parts widened by its reach."""
    for style in STYLES:
        ink = ink_of(style, np.random.default_rng(3))
        figure = build_figure(design_of(9), standing(30))
        bounds = skia.Rect.MakeEmpty()
        for shape in figure.shapes:
            if shape.part:
                bounds.join(shape.place.mapRect(shape.path.getBounds()))
        rows, columns = np.nonzero(drawn(design_of(9), standing(30), ink)[:, :, 3] > 127)
        slack = ink.reach * 1.5 + 0.01
        assert (columns.min() - SIZE / 2) / SCALE > bounds.left() - slack - 1 / SCALE
        assert (columns.max() - SIZE / 2) / SCALE < bounds.right() + slack + 1 / SCALE
        assert (rows.min() - SIZE / 5) / SCALE > bounds.top() - slack - 1 / SCALE
        assert (rows.max() - SIZE / 5) / SCALE < bounds.bottom() + slack + 1 / SCALE


@pytest.mark.parametrize("finish", list(FINISHES))
def test_finishes_keep_light_and_dark_apart(finish: str):
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    before = ramp.copy()
    result = finished(ramp, finish, np.random.default_rng(2))
    np.testing.assert_array_equal(ramp, before)
    assert result.shape == ramp.shape
    assert result.dtype == np.uint8
    means = [result[:, at : at + 32].mean() for at in range(0, 256, 32)]
    assert all(a <= b + 1 for a, b in pairwise(means))
    assert means[0] < 25
    assert means[-1] > 225
    np.testing.assert_array_equal(result, finished(ramp, finish, np.random.default_rng(2)))
    assert finished(ramp, "", np.random.default_rng(2)) is ramp

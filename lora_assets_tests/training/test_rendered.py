"""Frames on disk hold what was drawn, are drawn once, and refuse truth that cannot be stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lora_assets.scenes.props import PROPS
from lora_assets.scenes.truth import ThingTruth
from lora_assets.training.rendered import (
    FRAME_SIZES,
    HELD_OUT_THINGS,
    draw_frame,
    drawn_by,
    frame_path,
    frame_size,
    read_frame,
    render_frames,
    rendered_frame,
    renderer_digest,
    write_frame,
)
from lora_assets_tests.training.drawn import draw_blocks


def test_frame_survives_the_disk(tmp_path: Path):
    (path,) = render_frames(tmp_path, [3], draw_blocks)
    drawn, read = draw_frame(3, draw_blocks), read_frame(path)
    assert read.seed == 3
    assert np.array_equal(read.owners, drawn.owners) and np.array_equal(read.things, drawn.things)
    for name in ("boxes", "head_boxes", "face_boxes"):
        assert np.array_equal(getattr(read, name), getattr(drawn, name), equal_nan=True)
    difference = np.abs(read.image.astype(int) - drawn.image)
    assert difference.mean() < 3, "the picture may lose a little to JPEG, but not its channels"


def test_frames_are_drawn_once_and_only_where_missing(tmp_path: Path):
    asked: list[int] = []

    def counted(seed: int, width: int, height: int):
        asked.append(seed)
        return draw_blocks(seed, width, height)

    render_frames(tmp_path, [1, 2], counted)
    paths = render_frames(tmp_path, [2, 5, 1], counted)
    assert asked == [1, 2, 5]
    assert paths == [frame_path(tmp_path, seed) for seed in (2, 5, 1)]


def test_every_size_is_drawn():
    assert {frame_size(seed) for seed in range(len(FRAME_SIZES))} == set(FRAME_SIZES)
    assert draw_frame(4, draw_blocks).image.shape == (480, 640, 3)


def test_masks_that_claim_one_pixel_are_refused():
    scene = draw_blocks(0, 200, 100)
    twice = dataclasses.replace(scene, characters=(scene.characters[0], scene.characters[0]))
    with pytest.raises(ValueError, match="claims pixels of another"):
        rendered_frame(twice)


def test_real_scenes_fit():
    frame = draw_frame(1)
    assert frame.image.shape[:2] == frame.owners.shape
    assert len(frame.boxes) == frame.owners.max()


def test_things_are_told_but_for_those_held_out(tmp_path: Path):
    scene, mask = draw_blocks(0, 200, 100), np.zeros((100, 200), bool)
    mask[80:, 150:] = True
    held_out = min(HELD_OUT_THINGS)
    things = tuple(ThingTruth(name, (150.0, 80.0, 200.0, 100.0), mask) for name in (held_out, "cat"))
    frame = rendered_frame(dataclasses.replace(scene, things=things))
    assert np.array_equal(frame.things, mask.astype(np.uint8))
    assert not rendered_frame(dataclasses.replace(scene, things=things[:1])).things.any()
    write_frame(tmp_path / "frame.npz", frame)
    assert np.array_equal(read_frame(tmp_path / "frame.npz").things, frame.things)


def test_frames_that_were_kept_before_things_were_have_none(tmp_path: Path):
    (path,) = render_frames(tmp_path, [0], draw_blocks)
    with np.load(path) as stored:
        content = {name: value for name, value in stored.items() if name != "things"}
    np.savez(path, **content)
    read = read_frame(path)
    assert read.things.shape == read.owners.shape and not read.things.any()


def test_held_out_things_are_things_that_are_drawn():
    assert set(PROPS) > HELD_OUT_THINGS


@pytest.mark.parametrize("layer", ["jpeg", "things"])
def test_a_damaged_picture_is_named(tmp_path: Path, layer: str):
    (path,) = render_frames(tmp_path, [0], draw_blocks)
    with np.load(path) as stored:
        content = dict(stored)
    content[layer] = content[layer][:20]
    np.savez(path, **content)
    with pytest.raises(ValueError, match=path.name):
        read_frame(path)


def test_the_folder_tells_which_renderers_drew_it(tmp_path: Path):
    assert drawn_by(tmp_path) == []
    render_frames(tmp_path, [0], draw_blocks)
    assert drawn_by(tmp_path) == [renderer_digest()]
    (tmp_path / "renderers.txt").write_text("0" * 64, encoding="utf-8")
    render_frames(tmp_path, [0, 1], draw_blocks)
    assert drawn_by(tmp_path) == ["0" * 64, renderer_digest()]

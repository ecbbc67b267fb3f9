"""Random films: the same call gives the same film, held frames hold, cameras move, openings come back."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.scenes import Camera, FilmFrame, draw_scene, draw_shots
from lora_assets.scenes.dataset import TRUTH_FILE, contact_sheet, write_dataset
from lora_assets.scenes.ink import Ink
from lora_assets.scenes.layout import random_stage
from lora_assets.scenes.shots import FEWEST_FRAMES, MOVES, TRANSITIONS, seen_by
from lora_assets.scenes.stage import Cast

WIDTH, HEIGHT = 128, 72


@pytest.fixture(scope="module")
def film() -> list[FilmFrame]:
    return list(draw_shots(3, 6, WIDTH, HEIGHT, effects=False))


@pytest.fixture(scope="module")
def finished() -> list[FilmFrame]:
    return list(draw_shots(3, 6, WIDTH, HEIGHT))


def test_numbers_count_frames_and_shots(film: list[FilmFrame]):
    assert [each.number for each in film] == list(range(len(film)))
    assert sorted({each.shot for each in film}) == list(range(6))
    for before, after in pairwise(film):
        assert (after.shot, after.step) in ((before.shot, before.step + 1), (before.shot + 1, 0))
    for shot in range(6):
        assert sum(each.shot == shot for each in film) >= FEWEST_FRAMES
    assert {each.move for each in film} <= set(MOVES)
    assert {each.transition for each in film} <= set(TRANSITIONS)


def test_held_frames_show_the_same_picture_and_others_do_not(film: list[FilmFrame]):
    held = moved = 0
    for before, after in pairwise(film):
        if before.shot != after.shot:
            continue
        same = np.array_equal(before.frame.image, after.frame.image)
        if before.held == after.held:
            assert same
            assert before.camera == after.camera
            held += 1
        else:
            assert after.held == before.held + 1
            moved += not same
    assert held > 10
    assert moved > 10


def test_the_opening_comes_twice(finished: list[FilmFrame]):
    first = [each for each in finished if each.shot == 0]
    again = [each for each in finished if each.repeats == 0]
    assert {each.shot for each in again} == {3}
    assert len(first) == len(again)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.frame.image, other.frame.image)


def test_characters_come_back(film: list[FilmFrame]):
    shots: dict[int, set[int]] = {}
    for each in film:
        for character in each.frame.characters:
            shots.setdefault(character.identity, set()).add(each.shot)
    assert max(len(places) for places in shots.values()) >= 3


def test_a_film_opens_with_a_fade_and_says_how_dark(finished: list[FilmFrame]):
    opening = finished[:4]
    strengths = [each.frame.strength("fade_to_black") for each in opening]
    assert strengths[:3] == sorted(strengths[:3], reverse=True)
    assert strengths[0] > 0.5
    assert strengths[3] == 0
    assert opening[0].frame.image.mean() < opening[3].frame.image.mean()


def test_same_arguments_give_the_same_film(finished: list[FilmFrame]):
    for one, other in zip(finished[:20], draw_shots(3, 6, WIDTH, HEIGHT), strict=False):
        np.testing.assert_array_equal(one.frame.image, other.frame.image)
        assert (one.held, one.camera, one.frame.effects) == (other.held, other.camera, other.frame.effects)
    other = next(iter(draw_shots(4, 6, WIDTH, HEIGHT)))
    assert not np.array_equal(other.frame.image, finished[0].frame.image)


@settings(max_examples=40, deadline=None)
@given(zoom=st.floats(1.0, 2.5), x=st.floats(0.3, 0.7), y=st.floats(0.3, 0.7))
def test_the_camera_maps_the_stage_onto_the_frame(zoom: float, x: float, y: float):
    stage = random_stage(np.random.default_rng(2), WIDTH, HEIGHT, 2, Ink(), bars=False)
    seen = seen_by(stage, Camera(zoom, x, y), WIDTH, HEIGHT)
    for before, after in zip(stage.items, seen.items, strict=True):
        old, new = (item.chin if isinstance(item, Cast) else item.foot for item in (before, after))
        assert new[0] == pytest.approx(((old[0] / WIDTH - x) * zoom + 0.5) * WIDTH)
        assert new[1] == pytest.approx(((old[1] / HEIGHT - y) * zoom + 0.5) * HEIGHT)
    # The background follows: the canvas maps the camera's middle to the middle of the frame.
    scale, dx, dy = seen.view
    assert scale * (x * WIDTH - WIDTH / 2) + WIDTH / 2 + dx * WIDTH == pytest.approx(WIDTH / 2)
    assert scale * (y * HEIGHT - HEIGHT / 2) + HEIGHT / 2 + dy * WIDTH == pytest.approx(HEIGHT / 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shots": 0}, "shots is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"width": 20}, "20 x 720"),
        ({"looks": "odd"}, "looks is 'odd'"),
        ({"style": "odd"}, "style is 'odd'"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_drawn(arguments: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        draw_shots(**{"seed": 1, **arguments})


def test_written_truth_can_be_read_back(tmp_path: Path, finished: list[FilmFrame]):
    drawn = [*finished[:3], draw_scene(7, WIDTH, HEIGHT, characters=2)]
    told: list[int] = []
    path = write_dataset(tmp_path / "made", drawn, told.append)
    assert told == [1, 2, 3, 4]
    assert path.name == TRUTH_FILE
    truth = json.loads(path.read_text(encoding="utf-8"))
    assert [image["file_name"] for image in truth["images"]] == sorted(
        each.name for each in path.parent.iterdir() if each.suffix == ".png"
    )
    assert truth["images"][0]["shot"] == 0
    assert "shot" not in truth["images"][3]
    expected = sum(len((each.frame if isinstance(each, FilmFrame) else each).characters) for each in drawn)
    assert len({each["id"] for each in truth["annotations"]}) == len(truth["annotations"]) == expected
    for each in truth["annotations"]:
        assert sum(each["segmentation"]["counts"]) == WIDTH * HEIGHT
        assert sum(each["segmentation"]["counts"][1::2]) == each["area"]


def test_contact_sheet_shows_scenes():
    sheet = contact_sheet(1, 3, 2, tile_width=64)
    assert sheet.shape == (2 * 40 + 4, 3 * 68 + 4, 3)
    with pytest.raises(ValueError, match="shows nothing"):
        contact_sheet(1, 0, 2)

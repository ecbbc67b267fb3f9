"""Tests of the checks of a cut-out's content."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lora_assets.tables import Detection
from lora_assets.vision.checks import (
    CHECKS,
    MEASURES,
    body_completeness,
    count_characters,
    dark_share,
    is_thing,
    outline_sharpness,
    visible_cut,
)
from lora_assets.vision.cutout import CutOut, find_heads, make_cutout, make_subject
from lora_assets_tests.vision.drawn import detection_row, mask_row

HEAD = (140.0, 40.0, 180.0, 80.0)


def figure(height: int = 240) -> np.ndarray:
    """A mask of a standing figure: head at HEAD, body below, down to `height`."""
    mask = np.zeros((300, 320), np.uint8)
    cv2.circle(mask, (160, 60), 20, 1, -1)
    cv2.rectangle(mask, (140, 75), (180, 240), 1, -1)
    mask[height:] = 0
    return mask > 0


def painted(mask: np.ndarray) -> np.ndarray:
    """A frame with a figure of two colours and outlines on a plain ground."""
    image = np.full((*mask.shape, 3), (90, 160, 200), np.uint8)
    image[mask] = (200, 80, 60)
    image[:80][mask[:80]] = (250, 220, 190)
    for y in range(90, 240, 30):
        image[y : y + 3][mask[y : y + 3]] = (60, 20, 20)
    return image


def cut_of(
    mask: np.ndarray,
    image: np.ndarray | None = None,
    rest: list[Detection] | None = None,
    others: list[np.ndarray] | None = None,
    box: tuple[float, float, float, float] = (135, 40, 185, 245),
    label: str = "person",
) -> CutOut:
    image = painted(figure()) if image is None else image
    own = make_subject(image, mask_row(mask), detection_row(box, label=label))
    found = [
        make_subject(image, mask_row(other, f"other{i}"), detection_row((200, 40, 260, 245), f"other{i}"))
        for i, other in enumerate(others or [])
    ]
    return make_cutout(image, own, find_heads(rest or []), found)


def test_every_check_has_its_measure_and_a_way_to_cross():
    assert [check.name for check in CHECKS] == list(MEASURES)
    for check in CHECKS:
        assert check.direction in ("above", "below")
        assert 0 < check.penalty < 1 and check.why
        assert check.crossed(check.limit + 1, check.limit) == (check.direction == "above")
        assert not check.crossed(check.limit, check.limit)
    assert {check.name for check in CHECKS if check.veto} == {
        "black",
        "empty",
        "flat",
        "several_characters",
        "no_character",
    }


@pytest.mark.parametrize("most", [0, 3, 12, 22])
def test_black_frames_are_black(most: int):
    image = np.random.default_rng(0).integers(0, most + 1, (300, 320, 3), dtype=np.uint8)
    assert dark_share(cut_of(figure(), image)) > 0.93


def test_black_hair_and_black_clothes_are_not_black():
    image = painted(figure())
    image[75:][figure()[75:]] = (12, 10, 14)
    image[:55][figure()[:55]] = (8, 8, 10)
    cut = cut_of(figure(), image)
    assert dark_share(cut) < 0.93
    assert MEASURES["too_dark"](cut) > 0.31


def test_outlines_get_softer_with_blur_and_stay_with_contrast():
    image = painted(figure())
    values = [outline_sharpness(cut_of(figure(), cv2.GaussianBlur(image, (0, 0), s))) for s in (0.5, 1.5, 3, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5 and values[-1] < 0.28
    faint = (128 + (image.astype(int) - 128) // 3).astype(np.uint8)
    assert outline_sharpness(cut_of(figure(), faint)) > 0.5


def test_heads_count_once_however_they_were_found():
    face = detection_row((147, 50, 173, 78), "face0", "face")
    head = detection_row(HEAD, "head0", "head")
    twice = detection_row((142, 42, 182, 82), "head1", "head", 0.6)
    unsure = detection_row((150, 150, 170, 170), "head2", "head", 0.2)
    cut = cut_of(figure(), rest=[face, head, twice, unsure])
    assert len(cut.inside) == 1
    assert count_characters(cut) == 1


def test_two_heads_in_the_mask_are_two_characters():
    second = detection_row((145, 150, 175, 180), "head1", "face")
    assert count_characters(cut_of(figure(), rest=[detection_row(HEAD, "head0", "head"), second])) == 2


def test_a_head_beside_the_mask_is_only_a_neighbour():
    beside = detection_row((220, 40, 260, 80), "head1", "head")
    assert count_characters(cut_of(figure(), rest=[detection_row(HEAD, "head0", "head"), beside])) == 1


def test_a_swallowed_neighbour_counts_and_a_second_box_of_the_same_body_does_not():
    neighbour = np.roll(figure(), 70, axis=1)
    assert count_characters(cut_of(figure() | neighbour, others=[neighbour])) == 2
    assert count_characters(cut_of(figure(), others=[neighbour])) == 1
    bust = figure(150)
    own = cut_of(figure())
    same = make_subject(own.image, mask_row(bust, "bust"), detection_row((135, 40, 185, 150), "bust"))
    assert count_characters(make_cutout(own.image, own.subject, (), [same])) == 1


def test_things_need_their_label_and_no_head():
    assert is_thing(cut_of(figure(), label="potted plant")) == 1.0
    assert is_thing(cut_of(figure(), label="person")) == 0.0
    assert is_thing(cut_of(figure(), label="miku")) == 0.0
    assert is_thing(cut_of(figure(), label="chair", rest=[detection_row(HEAD, "h", "head")])) == 0.0


def test_a_straight_end_in_the_body_is_a_visible_cut():
    assert visible_cut(cut_of(figure())) < 0.05
    assert visible_cut(cut_of(figure(172))) > 0.5


def test_the_frames_edge_and_black_bars_are_no_visible_cut():
    image, mask = painted(figure()), figure(172)
    assert visible_cut(cut_of(mask[:172], image[:172])) == 0.0
    image[172:] = 0
    assert visible_cut(cut_of(mask, image)) == 0.0


def test_completeness_grows_with_the_body():
    head = [detection_row(HEAD, "head0", "head")]
    frame = painted(figure())
    whole = body_completeness(cut_of(figure(), rest=head))
    bust = body_completeness(cut_of(figure(120)[:120], frame[:120], head))
    face = body_completeness(cut_of(figure(85)[:85], frame[:85], head))
    assert whole == 1.0
    assert whole > bust > face > 0
    assert body_completeness(cut_of(np.zeros((300, 320), np.bool_))) == 0.0


def test_a_lost_head_is_missed():
    head = [detection_row(HEAD, "head0", "head")]
    body = figure()
    body[:95] = False
    assert MEASURES["missing_head"](cut_of(body, rest=head)) == 1.0
    assert MEASURES["missing_head"](cut_of(figure(), rest=head)) == 0.0


def test_leaks_boxes_and_lines_are_measured():
    assert MEASURES["outside_box"](cut_of(figure())) == 0.0
    assert MEASURES["outside_box"](cut_of(figure(), box=(135, 40, 185, 90))) > 0.2
    box = np.zeros((300, 320), np.bool_)
    box[50:200, 50:200] = True
    assert MEASURES["box_shaped"](cut_of(box)) == 1.0
    line = np.zeros((300, 320), np.bool_)
    line[150:160, 10:300] = True
    assert MEASURES["bad_shape"](cut_of(line)) > 6

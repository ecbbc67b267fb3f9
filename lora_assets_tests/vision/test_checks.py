"""Tests of the checks of a cut-out's content."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import cv2
import numpy as np
import pytest

from lora_assets.tables import Detection, ScoredCrop, columns
from lora_assets.vision.body_checks import (
    body_completeness,
    cut_probability,
    gap_in_box,
    head_cut,
    headless,
    support,
    visible_cut,
)
from lora_assets.vision.character_counts import count_by_each, count_characters, is_thing, neighbour_share
from lora_assets.vision.checks import CHECKS
from lora_assets.vision.cutout import CutOut, find_heads, make_cutout, make_subject
from lora_assets.vision.lettering import text_over
from lora_assets.vision.lost_parts import find_lost_parts
from lora_assets.vision.mask_evidence import LEFT_OUT
from lora_assets.vision.measures import MEASURES, background_share, dark_share, ground_share, lost_ends
from lora_assets.vision.picture_flaws import (
    Bars,
    bar_in_crop,
    comb_ratio,
    contrast,
    find_bars,
    outline_sharpness,
)
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
    known = columns(ScoredCrop)
    for check in CHECKS:
        _field, told = known[check.column]
        assert (told.low or 0.0) <= check.low and (told.high is None or check.high is None or check.high <= told.high)
        assert check.low <= check.limit and (check.high is None or check.limit <= check.high)
        assert check.grave is None or check.crossed(check.grave, check.limit), check.name
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
    assert None not in values
    sharp = [value or 0.0 for value in values]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 0.5 and sharp[-1] < 0.28
    # Lines of three pixels are no steps: they look a little sharper.
    assert sharp[1] == pytest.approx(1 / (1 + 1.5**2), abs=0.1) and sharp[2] == pytest.approx(1 / (1 + 3**2), abs=0.05)
    faint = (128 + (image.astype(int) - 128) // 3).astype(np.uint8)
    assert (outline_sharpness(cut_of(figure(), faint)) or 0.0) > 0.5


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


def test_a_frayed_mask_is_told_from_a_figure_at_any_size():
    frayed = figure()
    frayed[60:190:12, 130:170] = False
    told = MEASURES["frayed"](cut_of(frayed))
    assert told is not None and told > 2.3
    assert MEASURES["frayed"](cut_of(figure())) == pytest.approx(1.2, abs=0.3)
    large = np.repeat(np.repeat(frayed, 4, axis=0), 4, axis=1)
    assert MEASURES["frayed"](cut_of(large, painted(large))) == pytest.approx(told, rel=0.15)
    assert MEASURES["frayed"](cut_of(np.zeros((300, 320), np.bool_))) == 1.0


# --- the picture under the figure ------------------------------------------------------------------------------------


def large_figure(image_value: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """A frame of 640x360 with a figure 300 pixels high, with upright edges in it."""
    mask = np.zeros((360, 640), np.bool_)
    mask[40:340, 240:400] = True
    image = np.full((360, 640, 3), (90, 160, 200), np.uint8)
    image[mask] = image_value
    for x in range(250, 400, 30):
        image[60:330, x : x + 8] = (200, 60, 40)
    return image, mask


def test_subtitles_over_the_figure_are_found_and_its_own_lines_are_not():
    image, mask = large_figure()
    assert text_over(cut_of(mask, image, box=(240, 40, 400, 340))) == 0.0
    for place, size in (((130, 300), 1.2), ((150, 200), 1.0)):
        shown = image.copy()
        letters = np.zeros((360, 640), np.uint8)
        cv2.putText(letters, "WHERE WERE YOU NOW", place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 2)
        shown[cv2.dilate(letters, np.ones((7, 7), np.uint8)) > 100] = 8
        shown[letters > 100] = 252
        assert (text_over(cut_of(mask, shown, box=(240, 40, 400, 340))) or 0.0) > 0.03
    beside = image.copy()
    cv2.putText(beside, "HEY", (20, 350), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (250, 250, 250), 2)
    assert text_over(cut_of(mask, beside, box=(240, 40, 400, 340))) == 0.0


@pytest.mark.parametrize("opacity", [0.3, 0.6])
def test_faint_lettering_across_the_figure_is_found(opacity: float):
    image, mask = large_figure()
    letters = np.zeros((360, 640), np.uint8)
    cv2.putText(letters, "STUDIO", (200, 220), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 255, 4)
    share = (letters > 0)[..., None] * opacity
    shown = np.asarray(image * (1 - share) + 255 * share, np.uint8)
    assert (text_over(cut_of(mask, shown, box=(240, 40, 400, 340))) or 0.0) > 0.03


@pytest.mark.parametrize("shift", [2, 5, 12])
def test_combs_of_two_fields_are_found(shift: int):
    image, mask = large_figure()
    torn = image.copy()
    torn[1::2, shift:] = image[1::2, :-shift]
    assert (comb_ratio(cut_of(mask, image)) or 0.0) < 0.02
    assert (comb_ratio(cut_of(mask, torn)) or 0.0) > 0.3
    one_field = np.repeat(torn[::2], 2, axis=0)
    assert (comb_ratio(cut_of(mask, np.ascontiguousarray(one_field))) or 0.0) < 0.02


def test_combs_are_not_told_without_upright_edges():
    assert comb_ratio(cut_of(large_figure()[1], np.full((360, 640, 3), 90, np.uint8))) is None
    sliver = np.zeros((300, 320), np.bool_)
    sliver[10:12, 10:200] = True
    assert comb_ratio(cut_of(sliver)) is None


def test_bars_are_measured_and_dark_scenes_have_none():
    image, mask = large_figure()
    image[300:], image[:60] = 0, 0
    assert find_bars(image) == Bars(0, 60, 0, 60)
    assert bar_in_crop(cut_of(mask, image)) == pytest.approx(60 / 300, abs=0.01)
    mask[300:], mask[:60] = False, False
    assert bar_in_crop(cut_of(mask, image)) == 0.0
    assert find_bars(np.zeros((90, 120, 3), np.uint8)) == Bars(0, 0, 0, 0)
    dim = np.full((90, 120, 3), 15, np.uint8)
    dim[40:] = 40
    assert find_bars(dim) == Bars(0, 0, 0, 0)


def test_contrast_fades():
    image, mask = large_figure()
    pale = cv2.convertScaleAbs(image, alpha=0.1, beta=225)
    assert (contrast(cut_of(mask, image)) or 0.0) > 0.1 > (contrast(cut_of(mask, pale)) or 0.0)


# --- what the mask left out, and what it took -------------------------------------------------------------------------


def test_parts_outside_the_mask_and_holes_in_it_are_told_apart():
    whole = find_lost_parts(cut_of(figure()))
    assert whole is not None and whole.ends < 0.02 and whole.holes < 0.02
    short = find_lost_parts(cut_of(figure(200)))
    assert short is not None and short.ends > 0.1 and short.holes < 0.02
    pierced = figure()
    pierced[150:172, 150:172] = False
    lost = find_lost_parts(cut_of(pierced))
    assert lost is not None and lost.holes > 0.04 and lost.ends < 0.02
    assert find_lost_parts(cut_of(np.zeros((300, 320), np.bool_))) is None
    assert find_lost_parts(cut_of(np.ones((300, 320), np.bool_))) is None


def test_a_hole_that_the_frame_cuts_is_a_hole():
    pierced = figure(220)[:220]
    pierced[195:, 150:172] = False
    lost = find_lost_parts(cut_of(pierced, painted(figure())[:220], box=(135, 40, 185, 220)))
    assert lost is not None and lost.holes > 0.04 and lost.ends < 0.02


def test_what_is_left_out_cannot_be_told_without_lines_nor_where_it_is_background():
    short = figure(200)
    assert (MEASURES["left_out"](cut_of(short)) or 0.0) > LEFT_OUT.limit
    soft = np.asarray(cv2.GaussianBlur(painted(figure()), (0, 0), 4), np.uint8)
    assert all(MEASURES[name](cut_of(short, soft)) is None for name in ("left_out", "holes", "background_left"))
    taken = cut_of(short)
    subject = make_subject(taken.image, dataclasses.replace(taken.row, background_left=0.9), taken.detection)
    assert lost_ends(make_cutout(taken.image, subject, (), ())) == 0.0
    assert (MEASURES["left_out"](make_cutout(taken.image, subject, (), ())) or 0.0) < (lost_ends(taken) or 0.0)


def test_background_in_the_cut_out_is_measured_where_the_mask_stage_did_not():
    taken = figure()
    taken[100:150, 180:220] = True
    assert (background_share(cut_of(taken)) or 0.0) > 0.1
    assert (background_share(cut_of(figure())) or 0.0) < 0.02
    told = cut_of(figure())
    row = dataclasses.replace(told.row, background_left=0.77)
    subject = make_subject(told.image, row, told.detection)
    assert ground_share(make_cutout(told.image, subject, (), ())) == 0.77


def test_stray_pieces_and_a_neighbours_pixels():
    stray = figure()
    stray[10:30, 10:40] = True
    assert (MEASURES["specks"](cut_of(stray)) or 0.0) > 0.05
    assert MEASURES["specks"](cut_of(figure())) == 0.0
    neighbour = np.roll(figure(), 70, axis=1)
    arm = figure()
    arm[100:140, 180:250] = True
    head = detection_row(HEAD, "head0", "head")
    beside = detection_row((210, 40, 250, 80), "head1", "head")
    assert neighbour_share(cut_of(arm, rest=[head, beside], others=[neighbour])) > 0.1
    assert neighbour_share(cut_of(figure(), rest=[head, beside], others=[neighbour])) == 0.0


# --- support, key points, box ----------------------------------------------------------------------------------------


def detected(cut: CutOut, **told: object) -> CutOut:
    row = dataclasses.replace(cut.detection, **told)  # pyright: ignore[reportArgumentType]
    return make_cutout(cut.image, make_subject(cut.image, cut.row, row), cut.heads, cut.others)


def test_a_person_without_support_is_told_and_old_rows_are_not_judged():
    assert support(cut_of(figure())) is None
    assert support(detected(cut_of(figure()), body_from="detected")) == 0.0
    assert support(detected(cut_of(figure()), body_from="detected", agreement=0.7)) == 0.7
    assert support(detected(cut_of(figure(), label="miku"), body_from="detected")) is None
    assert support(detected(cut_of(figure()), body_from="expanded_from_head")) == 0.0
    head = [detection_row(HEAD, "head0", "head", 0.6)]
    assert support(detected(cut_of(figure(), rest=head), body_from="detected")) == 0.6


def key_points(**places: tuple[float, float]) -> list[float]:
    numbers = {"nose": 0, "shoulder": 5, "hip": 11, "knee": 13, "ankle": 15}
    points = np.zeros((17, 3))
    for name, (x, y) in places.items():
        points[numbers[name]] = (x, y, 0.9)
    return points.ravel().tolist()


def test_key_points_tell_how_much_is_there_and_what_was_cut():
    points = key_points(nose=(160, 60), shoulder=(160, 95), hip=(160, 150), knee=(160, 190), ankle=(160, 230))
    whole = detected(cut_of(figure()), key_points=points)
    assert body_completeness(whole) == 1.0 and visible_cut(whole) < 0.1
    short = detected(cut_of(figure(165)), key_points=points)
    assert body_completeness(short) == pytest.approx(0.7)
    assert visible_cut(short) >= 0.4
    unsure = detected(cut_of(figure()), key_points=[float("nan")] * 51)
    assert np.isfinite(body_completeness(unsure))


def test_a_mask_that_ends_before_its_box():
    whole = cut_of(figure(), box=(138, 40, 182, 242))
    assert (gap_in_box(detected(whole, body_from="detected")) or 0.0) < 0.06
    without_an_arm = cut_of(figure(), box=(108, 40, 182, 242))
    assert (gap_in_box(detected(without_an_arm, body_from="detected")) or 0.0) > 0.3
    assert (gap_in_box(detected(cut_of(figure(160)), body_from="detected")) or 0.0) > 0.3
    assert gap_in_box(detected(cut_of(figure(160)), body_from="expanded_from_head")) is None


def test_the_frames_edge_through_a_head():
    image, mask = painted(figure()), figure()
    whole = [detection_row(HEAD, "head0", "head")]
    assert head_cut(cut_of(mask, image, whole)) == 0.0
    assert head_cut(cut_of(mask, image)) is None
    cut = [detection_row((140, 0, 180, 28), "head0", "head")]
    assert (head_cut(cut_of(mask[52:], image[52:], cut, box=(135, 0, 185, 190))) or 0.0) > 0.6


def test_a_body_that_only_a_head_speaks_for_is_not_sure():
    heads = [detection_row(HEAD, "head0", "head", 0.9)]
    cut = cut_of(figure(), rest=heads)
    assert support(detected(cut, body_from="detected")) == 0.9
    assert support(detected(cut, body_from="expanded_from_head")) == 0.4
    assert support(detected(cut, body_from="expanded_from_head", agreement=0.8)) == 0.8


def test_an_arm_before_a_neighbours_face_is_no_second_face():
    neighbour, mask = np.zeros((300, 320), np.bool_), figure()
    neighbour[40:245, 200:260] = True
    mask[70:110, 160:262] = True
    heads = [detection_row(HEAD, "head0", "head"), detection_row((205, 45, 255, 110), "head1", "head")]
    arm = cut_of(mask, rest=heads, others=[neighbour & ~mask], box=(135, 40, 264, 245))
    assert count_by_each(arm).agreed == 1
    assert count_by_each(cut_of(mask | neighbour, rest=heads, others=[neighbour], box=(135, 40, 264, 245))).agreed == 2


def test_a_chest_without_its_head_is_a_neighbours():
    mask = figure()
    mask[110:240, 170:260] = True
    heads = [detection_row(HEAD, "head0", "head"), detection_row((205, 60, 245, 105), "head1", "head")]
    assert neighbour_share(cut_of(mask, rest=heads)) > 0.06
    assert neighbour_share(cut_of(figure(), rest=heads)) == 0.0


def test_a_body_further_below_its_head_is_a_neighbours_too():
    mask = figure()
    mask[150:240, 170:260] = True
    heads = [detection_row(HEAD, "head0", "head"), detection_row((205, 60, 245, 105), "head1", "head")]
    assert neighbour_share(cut_of(mask, rest=heads)) > 0.06
    # Below both heads it may be either's.
    over = [heads[0], detection_row((165, 2, 205, 38), "head1", "head")]
    mask = figure()
    mask[80:240, 140:215] = True
    assert neighbour_share(cut_of(mask, rest=over)) == 0.0


def test_a_mask_mostly_elsewhere_is_no_second_box_of_the_body():
    heads = [detection_row(HEAD, "head0", "head")]
    arm, beside = figure(), np.zeros((300, 320), np.bool_)
    arm[120:200, 180:230] = True
    beside[120:240, 195:260] = True
    assert neighbour_share(cut_of(arm, rest=heads, others=[beside], box=(135, 30, 265, 245))) > 0.1
    within = figure()
    within[:120] = False
    told = cut_of(figure(), rest=heads, others=[within], box=(135, 30, 265, 245))
    assert neighbour_share(told) == 0.0


@pytest.mark.parametrize("lined", [True, False])
def test_a_head_behind_the_figure_is_not_in_it(lined: bool):
    mask, behind = figure(), np.zeros((300, 320), np.bool_)
    behind[40:240, 150:230] = True
    behind &= ~mask
    image = painted(mask | behind)
    if lined:
        line = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        image[line & ~mask] = (20, 20, 30)
    # Its head reaches from this one's cheek to where only its own shows.
    heads = [detection_row(HEAD, "head0", "head"), detection_row((148, 76, 212, 128), "head1", "head", 0.8)]
    told = count_by_each(cut_of(mask, image, rest=heads, others=[behind], box=(135, 40, 185, 245)))
    assert (told.by_faces, told.agreed) == ((1, 1) if lined else (2, 2))


def test_a_side_along_which_a_line_is_drawn_is_no_cut():
    mask = np.zeros((300, 320), np.bool_)
    mask[60:240, 120:200] = True
    alike = np.full((300, 320, 3), (140, 120, 110), np.uint8)
    heads = [detection_row((140, 60, 180, 100), "head0", "head")]
    alike[100:130, 150:170] = (30, 30, 30)
    assert visible_cut(cut_of(mask, alike, heads)) > 0.8
    lined = alike.copy()
    lined[mask ^ (cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)] = (30, 20, 20)
    assert visible_cut(cut_of(mask, lined, heads)) == 0.0


def test_a_figure_without_a_head_is_told_where_something_else_speaks_for_it():
    mask, image = figure()[85:], painted(figure())[85:]
    cut = cut_of(mask, image, box=(135, 0, 185, 160))
    assert headless(cut) > 0.8
    assert headless(detected(cut, body_from="detected", agreement=0.7)) > 0.8
    # Where nobody found anything it is unsupported.
    assert headless(detected(cut, body_from="detected", agreement=0.0)) == 0.0
    lost = cut_of(mask, image, [detection_row((140, 0, 180, 30), "head0", "head", 0.9)], box=(135, 0, 185, 160))
    assert headless(lost) == 0.0


def test_the_frames_edge_above_a_face():
    mask = np.zeros((300, 320), np.bool_)
    mask[:200, 120:200] = True
    face = [detection_row((135, 12, 185, 62), "face0", "face")]
    assert (head_cut(cut_of(mask, rest=face, box=(115, 0, 205, 205))) or 0.0) > 0.5
    lower = np.roll(mask, 30, axis=0) & (np.arange(300) >= 20)[:, None]
    face = [detection_row((135, 42, 185, 92), "face0", "face")]
    assert head_cut(cut_of(lower, rest=face, box=(115, 20, 205, 235))) == 0.0


def test_two_of_three_counts_or_a_certain_one_make_several():
    own = detection_row(HEAD, "head0", "head")
    unsure = detection_row((145, 150, 175, 180), "head1", "face", 0.4)
    counts = count_by_each(cut_of(figure(), rest=[own, unsure]))
    assert (counts.by_faces, counts.agreed) == (2, 1)
    apart = figure() | np.roll(figure(), 90, axis=1)
    second = detection_row((230, 40, 270, 80), "head1", "head", 0.4)
    counts = count_by_each(cut_of(apart, rest=[own, second]))
    assert (counts.by_masks, counts.by_faces, counts.agreed) == (2, 2, 2)


def test_measured_facts_do_not_hold_the_frame():
    cut = cut_of(figure())
    assert find_lost_parts(cut) is find_lost_parts(cut) and count_by_each(cut) is count_by_each(cut)
    seen = weakref.ref(cut)
    del cut
    gc.collect()
    assert seen() is None


def test_a_head_in_a_frame_a_pixel_wide_is_no_fault_of_arithmetic():
    assert cut_probability(1.0, 300.0) == 0.0

"""Tests of the score: what is high, what never is, and that no input breaks it."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.scenes import SceneFrame, draw_scene
from lora_assets.scenes.truth import CharacterTruth
from lora_assets.tables import ScoredCrop, to_table
from lora_assets.vision.checks import CHECKS, GRAVE, MILD
from lora_assets.vision.mask_facts import measure_shape
from lora_assets.vision.refine import refine_rows
from lora_assets.vision.score import HIGH, PARTS, ScoreSettings, find_flaws, penalty_of, score_frame, tier_of
from lora_assets_tests.vision.drawn import detection_row, mask_row, noise_mask, scene_rows

WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def scenes() -> list[SceneFrame]:
    return [draw_scene(seed, WIDTH, HEIGHT) for seed in range(60)]


@pytest.fixture(scope="module")
def plain_scenes(scenes: list[SceneFrame]) -> list[SceneFrame]:
    """Without effects: blur, fades, combs and lettering are defects of their own."""
    alone = [draw_scene(seed, WIDTH, HEIGHT, characters=1, effects=False) for seed in range(40)]
    return [*(scene for scene in scenes if not scene.effects), *alone]


@pytest.fixture(scope="module")
def plain_rows(plain_scenes: list[SceneFrame]) -> list[list[ScoredCrop]]:
    """The rows of each of `plain_scenes`."""
    return [score_frame(scene.image, *scene_rows(scene)) for scene in plain_scenes]


def is_good(truth: CharacterTruth) -> bool:
    """Head and torso are there, in one piece, large enough, and the frame does not cut the head."""
    x1, y1, x2, y2 = truth.box
    head = truth.head_box
    if not {"head", "torso"} <= set(truth.visible_parts) or max(x2 - x1, y2 - y1) < 256 or head is None:
        return False
    shape = measure_shape(truth.mask, 0, 0, WIDTH, HEIGHT)
    return min(head[0], head[1], WIDTH - head[2], HEIGHT - head[3]) >= 2 and shape.speck_share < 0.012


def test_most_good_characters_are_high(plain_scenes: list[SceneFrame], plain_rows: list[list[ScoredCrop]]):
    tiers = []
    for scene, rows in zip(plain_scenes, plain_rows, strict=True):
        for row, truth in zip(rows, scene.characters, strict=True):
            if is_good(truth):
                tiers.append(row.tier)
    assert len(tiers) >= 10
    assert tiers.count(HIGH) >= 0.8 * len(tiers)


def test_most_refined_good_characters_have_no_flag(plain_scenes: list[SceneFrame], plain_rows: list[list[ScoredCrop]]):
    rows = []
    for scene, measured in zip(plain_scenes, plain_rows, strict=True):
        detections, masks = scene_rows(scene)
        # The mask stage measures the background that is left before refinement grows the outline on purpose.
        told = [
            dataclasses.replace(mask, background_left=row.background_left)
            for mask, row in zip(masks, measured, strict=True)
        ]
        refined = score_frame(scene.image, detections, refine_rows(told, WIDTH, HEIGHT))
        rows += [row for row, truth in zip(refined, scene.characters, strict=True) if is_good(truth)]
    assert sum(not row.flags for row in rows) >= 0.6 * len(rows)


def test_hardly_any_character_of_scenes_is_refused(scenes: list[SceneFrame]):
    rows = []
    for scene in scenes:
        detections, masks = scene_rows(scene)
        rows += score_frame(scene.image, detections, refine_rows(masks, WIDTH, HEIGHT))
    assert sum(not row.is_valid_content for row in rows) <= 0.05 * len(rows)


@pytest.mark.parametrize(("first", "kind"), [(0, "black"), (1, "noise"), (2, "faded"), (3, "white")])
def test_no_crop_of_a_black_frame_is_high(scenes: list[SceneFrame], first: int, kind: str):
    """A quarter of the scenes for each kind: a frame in which nothing is to be seen is much like another."""
    count = 0
    for scene in scenes[first::4]:
        image = {
            "black": np.zeros_like(scene.image),
            "noise": np.random.default_rng(scene.seed).integers(0, 12, scene.image.shape, dtype=np.uint8),
            "faded": (scene.image * 0.08).astype(np.uint8),
            "white": np.full_like(scene.image, 255),
        }[kind]
        for row in score_frame(image, *scene_rows(scene)):
            count += 1
            assert row.tier == "low" and row.score < 0.5 and not row.has_picture
            assert {"black", "flat", "empty"} & set(row.flags), (kind, row)
    assert count > 12


@pytest.mark.parametrize("refined", [False, True])
def test_no_merged_pair_is_high(scenes: list[SceneFrame], refined: bool):
    count = 0
    for scene in scenes:
        detections, masks = scene_rows(scene)
        if len(masks) < 2:
            continue
        first, second = (scene.characters[int(row.detection_id)].mask for row in masks[:2])
        merged = [mask_row(first | second, masks[0].detection_id), *masks[1:]]
        if refined:
            merged = refine_rows(merged, WIDTH, HEIGHT)
        row = score_frame(scene.image, detections, merged)[0]
        count += 1
        assert row.tier != HIGH, (scene.seed, row)
    assert count > 15


def test_worse_masks_score_less(scenes: list[SceneFrame]):
    better = worse = 0
    for scene in scenes[:30]:
        detections, masks = scene_rows(scene)
        ragged = noise_mask(scene.seed, HEIGHT, WIDTH, 0.5)
        for row, truth in zip(masks, scene.characters, strict=False):
            mask = scene.characters[int(row.detection_id)].mask
            if truth.mask.sum() < 5000 or not (mask & ragged).any():
                continue
            good = score_frame(scene.image, detections, [row])[0]
            bad = score_frame(scene.image, detections, [mask_row(mask & ragged, row.detection_id)])[0]
            better += good.score > bad.score
            worse += good.score <= bad.score
    assert better >= 15 and worse <= 0.05 * better


def test_ground_between_the_arms_is_no_hole_and_a_part_of_the_figure_is():
    image = np.full((300, 300, 3), (90, 160, 200), np.uint8)
    mask = cv2.circle(np.zeros((300, 300), np.uint8), (150, 150), 100, 1, -1) > 0
    inner = cv2.circle(np.zeros((300, 300), np.uint8), (150, 150), 45, 1, -1) > 0
    detection = detection_row((50, 50, 250, 250))
    told = {}
    for name, between in (("ground", (90, 160, 200)), ("figure", (200, 80, 60))):
        image[mask], image[inner] = (200, 80, 60), between
        told[name] = score_frame(image, [detection], [mask_row(mask & ~inner)])[0].mask_completeness
    assert told["ground"] > 0.9 and told["figure"] < 0.6


def test_a_body_cut_though_visible_is_rarely_high(scenes: list[SceneFrame]):
    tiers = []
    for scene in scenes:
        detections, masks = scene_rows(scene)
        for row in masks:
            truth = scene.characters[int(row.detection_id)]
            if truth.cut_by_frame or truth.mask.sum() < 3000:
                continue
            end = int(truth.box[1] + 0.4 * (truth.box[3] - truth.box[1]))
            mask = truth.mask.copy()
            mask[end:] = False
            if mask.any():
                tiers.append(score_frame(scene.image, detections, [mask_row(mask, row.detection_id)])[0].tier)
    assert len(tiers) >= 5
    assert tiers.count(HIGH) <= 0.2 * len(tiers)


@given(
    st.integers(0, 2**31),
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from((0.0, 0.01, 0.3, 0.9, 1.0)),
    st.tuples(st.floats(-50, 90), st.floats(-50, 90), st.floats(0, 120), st.floats(0, 120)),
    st.floats(0, 1),
)
@settings(deadline=None, max_examples=40)
def test_any_mask_and_any_box_give_a_row_that_keeps_its_promises(
    seed: int, height: int, width: int, share: float, box: tuple[float, float, float, float], confidence: float
):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = noise_mask(seed, height, width, share)
    x, y, w, h = box
    detections = [
        detection_row((x, y, x + w, y + h), "0000", confidence=confidence),
        detection_row((x + 5, y + 5, x + w, y + h), "0001", confidence=confidence),
        detection_row((x + w / 4, y, x + w / 2, y + h / 4), "f", "face"),
        detection_row((x, y, x, y), "g", "head"),
    ]
    rows = score_frame(image, detections, [mask_row(mask, "0000"), mask_row(mask[::-1, ::-1], "0001")])
    to_table(rows, ScoredCrop)
    for row in rows:
        assert row.width >= 1 and row.height >= 1 and row.x + row.width <= width and row.y + row.height <= height
        assert all(0 <= getattr(row, part) <= 1 for part in PARTS)
        assert len(row.flags) == len(row.flag_values) == len(row.flag_limits)
        veto = any(check.veto for check in CHECKS if check.name in row.flags)
        assert row.is_valid_content == row.has_picture == (not veto)
        if veto:
            assert row.score < 0.5 and row.tier == "low" and not row.lora_suitable
        assert row.tier == tier_of(row.score)
        assert row.lora_suitable == (not row.reasons)
        assert row.score <= row.technical_score + 1e-12


@pytest.mark.parametrize("shape", ["pixel", "frame", "column"])
def test_extreme_masks_are_low_without_an_error(shape: str):
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    mask = np.zeros((90, 120), np.bool_)
    mask[{"pixel": np.s_[40:41, 50:51], "frame": np.s_[:, :], "column": np.s_[:, 7:8]}[shape]] = True
    row = score_frame(image, [detection_row((0, 0, 120, 90))], [mask_row(mask)])[0]
    assert row.tier == "low" and row.reasons


def test_flags_carry_value_and_limit_and_reasons_are_words():
    scene = draw_scene(4, WIDTH, HEIGHT)
    row = score_frame(np.asarray(cv2.GaussianBlur(scene.image, (0, 0), 6), np.uint8), *scene_rows(scene))[0]
    assert "blurred" in row.flags
    at = row.flags.index("blurred")
    assert row.flag_values[at] < row.flag_limits[at] == next(c.limit for c in CHECKS if c.name == "blurred")
    assert any("blurred" in reason for reason in row.reasons)


def test_a_limit_of_ones_own_counts():
    scene = draw_scene(4, WIDTH, HEIGHT)
    plain = score_frame(scene.image, *scene_rows(scene))[0]
    strict = score_frame(scene.image, *scene_rows(scene), ScoreSettings(limits={"bad_shape": 1.0}))[0]
    assert "bad_shape" not in plain.flags and "bad_shape" in strict.flags
    assert strict.score == pytest.approx(plain.score * 0.5)


def test_settings_that_do_not_fit_are_refused():
    assert math.isclose(sum(getattr(ScoreSettings(), part) for part in PARTS), 1.0)
    with pytest.raises(ValueError, match="sum to 1"):
        ScoreSettings(area_ratio=0.5)
    with pytest.raises(ValueError, match=r"no check 'blured' \(did you mean blurred\?\)"):
        ScoreSettings(limits={"blured": 0.1})
    with pytest.raises(ValueError, match="finite"):
        ScoreSettings(limits={"blurred": math.nan})
    with pytest.raises(ValueError, match="veto"):
        ScoreSettings(medium=0.4)


def test_masks_and_detections_must_belong_together():
    image, mask = np.zeros((40, 40, 3), np.uint8), np.ones((40, 40), np.bool_)
    with pytest.raises(ValueError, match="no detection"):
        score_frame(image, [], [mask_row(mask)])
    with pytest.raises(ValueError, match="outside its frame of 20 x 20"):
        score_frame(image[:20, :20], [detection_row((0, 0, 9, 9))], [mask_row(mask)])
    assert score_frame(image, [], []) == []
    wide = dataclasses.replace(detection_row((-9, -9, 99, 99)), label="Person")
    assert score_frame(image, [wide], [mask_row(mask)])[0].tier == "low"


def test_signs_of_one_defect_cost_once_and_two_defects_cost_twice():
    values = dict.fromkeys((check.name for check in CHECKS), None)
    cut = find_flaws({**values, "cut_body": 0.6, "box_gap": 0.3, "left_out": 0.1}, ScoreSettings())
    assert [finding.check.name for finding in cut] == ["cut_body", "box_gap", "left_out"]
    assert penalty_of(cut) == MILD
    assert penalty_of(find_flaws({**values, "cut_body": 0.6, "box_gap": 0.6}, ScoreSettings())) == GRAVE
    both = find_flaws({**values, "cut_body": 0.6, "text_over": 0.05}, ScoreSettings())
    assert penalty_of(both) == pytest.approx(MILD * MILD)
    assert find_flaws(values, ScoreSettings()) == []


def test_a_crowd_and_a_grey_page_are_judged_without_an_error():
    crowd = draw_scene(11, 960, 540, characters=10, effects=False)
    rows = score_frame(crowd.image, *scene_rows(crowd))
    assert len(rows) >= 5
    page = np.full((700, 500, 3), 245, np.uint8)
    for y in range(0, 700, 140):
        cv2.rectangle(page, (10, y + 10), (490, y + 130), (0, 0, 0), 2)
        cv2.putText(page, "SOME WORDS IN A ROW", (30, y + 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20, 20), 2)
    mask = np.zeros((700, 500), np.bool_)
    mask[100:600, 60:440] = True
    rows += score_frame(page, [detection_row((60, 100, 440, 600))], [mask_row(mask)])
    to_table(rows, ScoredCrop)
    assert rows[-1].tier != HIGH


def test_every_measured_value_is_a_column_of_the_row():
    scene = draw_scene(4, WIDTH, HEIGHT)
    row = score_frame(scene.image, *scene_rows(scene), ScoreSettings())[0]
    told = dataclasses.asdict(row)
    for name, value, limit in zip(row.flags, row.flag_values, row.flag_limits, strict=True):
        check = next(check for check in CHECKS if check.name == name)
        assert told[check.column] == pytest.approx(value), name
        assert check.crossed(value, limit)
    assert row.characters_by_masks and row.characters_by_detections and row.characters_by_faces is not None
    assert row.sharpness is None or 0 <= row.sharpness <= 1

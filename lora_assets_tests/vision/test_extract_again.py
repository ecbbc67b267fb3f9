"""Tests of the one second try with a wider box, with segmenters that are functions."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest

from lora_assets.tables import Detection, Mask, ScoredCrop, to_table
from lora_assets.vision import extract_again
from lora_assets.vision.crops import crop_id_of, kept_mask
from lora_assets.vision.extract_again import ScoredMask, score_with_second_try, wider_box
from lora_assets.vision.masks import mask_pixels, window_pixels
from lora_assets.vision.refine import RefineSettings
from lora_assets.vision.score import ScoreSettings, score_one
from lora_assets_tests.vision.drawn import detection_row, mask_row

AS_IT_IS = RefineSettings(preset="baseline")


def figure(height: int = 340) -> np.ndarray:
    """A mask of a standing figure 300 pixels high, wider at the hips, cut off at `height`."""
    mask = np.zeros((360, 400), np.uint8)
    cv2.circle(mask, (200, 70), 30, 1, -1)
    cv2.rectangle(mask, (180, 95), (220, 340), 1, -1)
    cv2.ellipse(mask, (200, 200), (45, 60), 0, 0, 360, 1, -1)
    mask[height:] = 0
    return mask > 0


def frame() -> np.ndarray:
    image = np.full((360, 400, 3), (90, 160, 200), np.uint8)
    image[figure()] = (200, 80, 60)
    image[:100][figure()[:100]] = (250, 220, 190)
    for y in range(110, 340, 40):
        image[y : y + 3][figure()[y : y + 3]] = (60, 20, 20)
    return image


DETECTIONS = [
    dataclasses.replace(detection_row((155, 40, 245, 300)), body_from="detected", agreement=0.9),
    detection_row((170, 40, 230, 100), "head", "head"),
]


def tried(
    answer: np.ndarray | None, settings: ScoreSettings = ScoreSettings(), masks: list[Mask] | None = None
) -> tuple[ScoredMask, list[Detection]]:
    asked: list[Detection] = []

    def segment(image: np.ndarray, boxes: list[Detection]) -> list[Mask]:
        asked.extend(boxes)
        assert answer is not None
        return [mask_row(answer) for _ in boxes]

    masks = masks or [mask_row(figure(290))]
    rows = score_with_second_try(
        frame(), DETECTIONS, masks, settings, AS_IT_IS, None if answer is None else segment
    )  # fmt: skip
    to_table([row.crop for row in rows], ScoredCrop)
    return rows[0], asked


def test_a_cut_body_is_extracted_again_with_a_wider_box_and_the_better_one_is_kept():
    before, asked = tried(None)
    assert asked == [] and not before.crop.extracted_again and before.crop.second_rle is None
    after, asked = tried(figure())
    assert len(asked) == 1 and (asked[0].x1, asked[0].y1, asked[0].x2, asked[0].y2) == (132.5, 0.0, 267.5, 360.0)
    assert after.crop.extracted_again and after.crop.score > before.crop.score
    assert after.crop.second_rle == after.mask.rle and after.crop.pixel_count == figure().sum()
    kept = kept_mask(mask_row(figure(290)), after.crop.second_window, after.crop.second_rle)
    assert np.array_equal(mask_pixels(kept), mask_pixels(after.mask)) and kept.area == figure().sum()
    assert crop_id_of(kept) == after.crop.crop_id


def test_a_second_mask_that_is_worse_is_not_kept_and_the_row_says_that_it_was_tried():
    scrap = np.zeros((360, 400), np.bool_)
    scrap[150:160, 180:190] = True
    for answer in (scrap, np.ones((360, 400), np.bool_)):
        after, asked = tried(answer)
        assert len(asked) == 1 and after.crop.extracted_again and after.crop.second_rle is None
        assert np.array_equal(mask_pixels(after.mask), mask_pixels(mask_row(figure(290))))


@pytest.mark.parametrize(("flag", "value"), [("several_characters", 2.0), ("box_shaped", 0.99), ("outside_box", 0.5)])
def test_a_second_mask_with_a_grave_defect_of_its_own_is_not_kept_though_it_scores_better(
    monkeypatch: pytest.MonkeyPatch, flag: str, value: float
):
    whole = tried(figure())[0].crop
    spoilt = dataclasses.replace(whole, score=0.49, flags=[flag], flag_values=[value], flag_limits=[0.0])
    mild = dataclasses.replace(spoilt, flags=["specks"], flag_values=[0.05])
    for crop, is_kept in ((spoilt, False), (mild, True)):
        monkeypatch.setattr(extract_again, "score_one", lambda *_, told=crop, **__: told)
        after, _ = tried(figure())
        assert after.crop.extracted_again and (after.crop.second_rle is not None) == is_kept


def test_an_empty_answer_changes_nothing():
    after, asked = tried(np.zeros((360, 400), np.bool_))
    assert len(asked) == 1 and not after.crop.extracted_again


def _never(_image: np.ndarray, boxes: list[Detection]) -> list[Mask]:
    raise AssertionError(f"asked again for {len(boxes)} good crops")


def test_good_crops_and_switched_off_settings_cost_no_model_time():
    assert tried(figure(), ScoreSettings(extract_again=False))[1] == []
    whole = [dataclasses.replace(DETECTIONS[0], y2=341.0), DETECTIONS[1]]
    rows = score_with_second_try(frame(), whole, [mask_row(figure())], ScoreSettings(), AS_IT_IS, _never)
    assert rows[0].crop.tier == "high" and not rows[0].crop.extracted_again


def test_the_wider_box_takes_the_body_that_holds_the_box_and_stays_in_the_frame():
    body = dataclasses.replace(detection_row((120, 30, 250, 350), "body"), body_from="expanded_from_head")
    box = wider_box(DETECTIONS[0], [*DETECTIONS, body], 400, 360)
    assert box == (120.0, 0.0, 267.5, 360.0)
    assert wider_box(detection_row((0, 0, 400, 360)), [], 400, 360) == (0.0, 0.0, 400.0, 360.0)


def test_a_neighbours_pixels_stay_with_the_neighbour():
    neighbour = np.zeros((360, 400), np.bool_)
    neighbour[295:341, 175:226] = True
    rows = score_with_second_try(
        frame(), [*DETECTIONS, detection_row((165, 290, 235, 345), "other")],
        [mask_row(figure(290)), mask_row(neighbour, "other")], ScoreSettings(), AS_IT_IS,
        lambda _image, boxes: [mask_row(figure(), box.detection_id) for box in boxes],
    )  # fmt: skip
    assert rows[0].mask.area <= figure(295).sum()


@pytest.mark.parametrize("spare", [True, False])
def test_a_refined_second_mask_gives_up_a_neighbour_only_where_neighbours_are_spared(
    spare: bool, monkeypatch: pytest.MonkeyPatch
):
    def best(*given: Any) -> ScoredCrop:
        return dataclasses.replace(score_one(*given), score=1.0)

    monkeypatch.setattr("lora_assets.vision.extract_again.score_one", best)
    neighbour = np.zeros((360, 400), np.bool_)
    neighbour[265:330, 225:300] = True
    beside = mask_row(neighbour, "other")
    rows = score_with_second_try(
        frame(), [*DETECTIONS, detection_row((225, 265, 300, 330), "other")], [mask_row(figure(290)), beside],
        ScoreSettings(), RefineSettings(spare_neighbours=spare),
        lambda _image, boxes: [mask_row(figure(), box.detection_id) for box in boxes],
    )  # fmt: skip
    kept = rows[0].mask
    assert rows[0].crop.second_rle is not None and kept.area == mask_pixels(kept).sum()
    window = (kept.x, kept.y, kept.width, kept.height)
    assert (mask_pixels(kept) & window_pixels(beside, window)).any() != spare


def test_a_second_box_of_the_body_is_no_neighbour_to_spare():
    twin = detection_row((155, 40, 245, 341), "other")
    rows = score_with_second_try(
        frame(), [*DETECTIONS, twin], [mask_row(figure(290)), mask_row(figure(), "other")], ScoreSettings(), AS_IT_IS,
        lambda _image, boxes: [mask_row(figure(), box.detection_id) for box in boxes],
    )  # fmt: skip
    assert rows[0].crop.extracted_again and rows[0].mask.area in (figure(290).sum(), figure().sum())


def test_a_second_mask_that_was_kept_is_spared_by_the_next():
    wide = np.concatenate([frame(), frame()], axis=1)
    nobody = np.zeros_like(figure())
    masks = [np.concatenate(pair, axis=1) for pair in ((figure(290), nobody), (nobody, figure(290)))]
    legs = figure()
    legs[:290] = False
    answers = {
        "0000": np.concatenate((figure(), nobody), axis=1),
        "other": np.concatenate((legs, figure()), axis=1),
    }
    beside = [
        dataclasses.replace(d, detection_id=d.detection_id + "2", x1=d.x1 + 400, x2=d.x2 + 400) for d in DETECTIONS
    ]
    beside[0] = dataclasses.replace(beside[0], detection_id="other")
    rows = score_with_second_try(
        wide, [*DETECTIONS, *beside], [mask_row(masks[0]), mask_row(masks[1], "other")], ScoreSettings(), AS_IT_IS,
        lambda _image, boxes: [mask_row(answers[box.detection_id], box.detection_id) for box in boxes],
    )  # fmt: skip
    assert [row.mask.area for row in rows] == [figure().sum()] * 2

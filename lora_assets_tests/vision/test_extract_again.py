"""Tests of the one second try with a wider box, with segmenters that are functions."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from lora_assets.tables import Detection, Mask, ScoredCrop, to_table
from lora_assets.vision.crops import crop_id_of, kept_mask
from lora_assets.vision.extract_again import ScoredMask, score_with_second_try, wider_box
from lora_assets.vision.masks import mask_pixels
from lora_assets.vision.refine import RefineSettings
from lora_assets.vision.score import ScoreSettings
from lora_assets_tests.vision.drawn import detection_row, mask_row

AS_IT_IS = RefineSettings(preset="baseline")


def figure(height: int = 340) -> np.ndarray:
    """A mask of a standing figure 300 pixels high, cut off at `height`."""
    mask = np.zeros((360, 400), np.uint8)
    cv2.circle(mask, (200, 70), 30, 1, -1)
    cv2.rectangle(mask, (170, 95), (230, 340), 1, -1)
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
    dataclasses.replace(detection_row((165, 40, 235, 200)), body_from="detected", agreement=0.9),
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

    masks = masks or [mask_row(figure(200))]
    rows = score_with_second_try(
        frame(), DETECTIONS, masks, settings, AS_IT_IS, None if answer is None else segment
    )  # fmt: skip
    to_table([row.crop for row in rows], ScoredCrop)
    return rows[0], asked


def test_a_cut_body_is_extracted_again_with_a_wider_box_and_the_better_one_is_kept():
    before, asked = tried(None)
    assert asked == [] and not before.crop.extracted_again and before.crop.second_rle is None
    after, asked = tried(figure())
    assert len(asked) == 1 and (asked[0].x1, asked[0].y1, asked[0].x2, asked[0].y2) == (147.5, 0.0, 252.5, 240.0)
    assert after.crop.extracted_again and after.crop.score > before.crop.score
    assert after.crop.second_rle == after.mask.rle and after.crop.pixel_count == figure().sum()
    kept = kept_mask(mask_row(figure(200)), after.crop.second_window, after.crop.second_rle)
    assert np.array_equal(mask_pixels(kept), mask_pixels(after.mask)) and kept.area == figure().sum()
    assert crop_id_of(kept) == after.crop.crop_id


def test_a_second_mask_that_is_worse_is_not_kept_and_the_row_says_that_it_was_tried():
    scrap = np.zeros((360, 400), np.bool_)
    scrap[150:160, 180:190] = True
    for answer in (scrap, np.ones((360, 400), np.bool_)):
        after, asked = tried(answer)
        assert len(asked) == 1 and after.crop.extracted_again and after.crop.second_rle is None
        assert np.array_equal(mask_pixels(after.mask), mask_pixels(mask_row(figure(200))))


def test_an_empty_answer_changes_nothing():
    after, asked = tried(np.zeros((360, 400), np.bool_))
    assert len(asked) == 1 and not after.crop.extracted_again


def test_good_crops_and_switched_off_settings_cost_no_model_time():
    assert tried(figure(), ScoreSettings(extract_again=False))[1] == []
    assert tried(figure(), masks=[mask_row(figure())])[1] == []


def test_the_wider_box_takes_the_body_that_holds_the_box_and_stays_in_the_frame():
    body = dataclasses.replace(detection_row((150, 30, 250, 350), "body"), body_from="expanded_from_head")
    box = wider_box(DETECTIONS[0], [*DETECTIONS, body], 400, 360)
    assert box == (147.5, 0.0, 252.5, 350.0)
    assert wider_box(detection_row((0, 0, 400, 360)), [], 400, 360) == (0.0, 0.0, 400.0, 360.0)


def test_a_neighbours_pixels_stay_with_the_neighbour():
    neighbour = np.zeros((360, 400), np.bool_)
    neighbour[250:340, 170:231] = True
    rows = score_with_second_try(
        frame(), [*DETECTIONS, detection_row((165, 245, 235, 345), "other")],
        [mask_row(figure(200)), mask_row(neighbour, "other")], ScoreSettings(), AS_IT_IS,
        lambda _image, boxes: [mask_row(figure(), box.detection_id) for box in boxes],
    )  # fmt: skip
    assert not (mask_pixels(rows[0].mask)[:, :].sum() > figure(250).sum())

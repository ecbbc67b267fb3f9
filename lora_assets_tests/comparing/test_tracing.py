"""One thing is changed at a time, and the comparison must name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_assets.comparing import CompareSettings, Comparison, Selection, compare_trackers
from lora_assets.comparing.changes import Change
from lora_assets.comparing.details import CropChange, crop_changes
from lora_assets.comparing.report import cause_text
from lora_assets.store import Store
from lora_assets_tests.comparing.cells import Crop, Recipes, publish, sha

BOX = (10.0, 10.0, 110.0, 210.0)
NEAR = (12.0, 10.0, 110.0, 210.0)
OTHER = (300.0, 10.0, 400.0, 210.0)


def compared(data: Path, before: list[Crop], after: list[Crop], recipes: Recipes | None = None, **given) -> Comparison:
    publish(data, "A", before)
    publish(data, "B", after, recipes=recipes, **given)
    return compare_trackers(Store(data), "A", "B")


def only_change(found: Comparison) -> CropChange:
    """The one crop that is not the same."""
    [crop] = crop_changes(found, found.select(Selection()))
    assert sum(cause.total for cause in found.causes) == 1
    return crop


def only_cause(found: Comparison) -> str:
    [cause] = found.causes
    return cause_text(cause.key)


def test_nothing_changed(data):
    found = compared(data, [Crop(1), Crop(2)], [Crop(1), Crop(2)])
    assert found.counts == {"worse": 0, "gone": 0, "new": 0, "better": 0, "same": 2}
    assert found.causes == ()
    assert found.worse_share == 0.0


@pytest.mark.parametrize(
    ("recipes", "text"),
    [
        (Recipes(detect={"conf": 0.4}), "detection conf 0.25 -> 0.4"),
        (Recipes(weights={"other": "cc" * 32}), "detection weights yolo (aaaaaaaa) -> other (cccccccc)"),
        (Recipes(weights={"yolo": "cc" * 32}), "detection weights yolo (aaaaaaaa) -> yolo (cccccccc)"),
        # Of several weights, those that are the same are no cause.
        (Recipes(weights={"yolo": "aa" * 32, "b": "cc" * 32}), "detection weights – -> b (cccccccc)"),
        (Recipes(code={"detections": "2"}), "detection code 1 -> 2"),
        (Recipes(detect={"conf": 0.4, "iou": 0.5}), "2 changes of detection: conf 0.25 -> 0.4, iou 0.45 -> 0.5"),
        (Recipes(reading="reading-2"), "detection, by reading of frames (code or limits) reading-1 -> reading-2"),
        (Recipes(detect={"keep": 9}), "detection keep – -> 9"),
        # The name of a weights file is no cause, its content is.
        (
            Recipes(weights={"renamed": "aa" * 32}),
            "detection: nothing of its recipe differs, but the results do (not deterministic, or not made by this "
            "program)",
        ),
    ],
)
def test_a_box_that_differs_is_traced_to_the_recipe_of_detections(data, recipes, text):
    found = compared(data, [Crop(1, BOX, 0.9), Crop(2)], [Crop(1, NEAR, 0.6), Crop(2)], recipes)
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how) == ("worse", "detection", "box")
    assert only_cause(found) == text
    assert crop.score_change == pytest.approx(-0.3)
    assert [difference.name for difference in crop.differences][:1] == ["box"]


@pytest.mark.parametrize(
    ("recipes", "text"),
    [
        (Recipes(refine={"preset": "extended"}), "mask preset aggressive -> extended"),
        # The numbers of a preset follow from its name.
        (Recipes(refine={"preset": "smooth", "close": 3, "gaussian": 11}), "mask preset aggressive -> smooth"),
        (Recipes(refine={"close": 3}), "mask close – -> 3"),
        (Recipes(segment={"margin": 0.2}), "mask margin 0.1 -> 0.2"),
        (Recipes(sam={"sam": "dd" * 32}), "mask weights sam (bbbbbbbb) -> sam (dddddddd)"),
        (Recipes(code={"segments": "1.2"}), "mask code of segments 1 -> 1.2"),
        (Recipes(code={"masks": "5"}), "mask code of masks 1 -> 5"),
    ],
)
def test_a_mask_that_differs_is_traced_to_the_recipe_of_masks(data, recipes, text):
    found = compared(data, [Crop(1, mask=b"a", score=0.5)], [Crop(1, mask=b"b", score=0.9)], recipes)
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how) == ("better", "mask", "mask")
    assert only_cause(found) == text


def test_a_setting_of_the_segmenter_is_named_by_the_published_table_alone(data):
    """The shelves may have been emptied since; then the code of the segmenter is not known any more."""
    publish(data, "A", [Crop(1, mask=b"a")], keep_recipes=False)
    publish(data, "B", [Crop(1, mask=b"b", score=0.4)], recipes=Recipes(sam={"big": "ee" * 32}), keep_recipes=False)
    assert only_cause(compare_trackers(Store(data), "A", "B")) == "mask weights sam (bbbbbbbb) -> big (eeeeeeee)"


def test_what_was_not_kept_is_said_to_be_unknown(data):
    publish(data, "A", [Crop(1, mask=b"a")], keep_recipes=False)
    changed = Recipes(code={"segments": "2"})
    publish(data, "B", [Crop(1, mask=b"b", score=0.4)], recipes=changed, keep_recipes=False)
    [cause] = compare_trackers(Store(data), "A", "B").causes
    assert cause.key.changes == (Change("mask", "unknown"),)


@pytest.mark.parametrize(
    ("recipes", "text"),
    [
        (Recipes(score={"high": 0.95}), "scoring high 0.8 -> 0.95"),
        (Recipes(score={"limits": {"blurred": 0.3}}), "scoring limits.blurred – -> 0.3"),
        (Recipes(code={"scored_crops": "9"}), "scoring code 1 -> 9"),
    ],
)
def test_a_score_that_differs_is_traced_to_the_recipe_of_scoring(data, recipes, text):
    flag = ("blurred", 0.12, 0.3)
    found = compared(data, [Crop(1, flags=(("specks", 4.0, 3.0),))], [Crop(1, score=0.7, flags=(flag,))], recipes)
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how) == ("worse", "scoring", "score")
    assert only_cause(found) == text
    assert [(one.name, one.appeared, one.value, one.limit) for one in crop.flags] == [
        ("blurred", True, 0.12, 0.3),
        ("specks", False, 4.0, 3.0),
    ]
    assert [(one.name, one.appeared, one.count) for one in found.causes[0].flags] == [
        ("blurred", True, 1),
        ("specks", False, 1),
    ]


def test_what_speaks_for_the_same_box_and_its_mask_are_one_joint_cause(data):
    """The place of the box is the same, so that the mask is not the work of the detector."""
    before, after = Crop(1, confidence=0.8, mask=b"a"), Crop(1, score=0.4, confidence=0.6, mask=b"b")
    found = compared(data, [before], [after], Recipes(detect={"iou": 0.5}, refine={"preset": "fine"}))
    crop = only_change(found)
    assert (crop.stage, crop.how) == ("detection", "evidence")
    assert only_cause(found) == "detection iou 0.45 -> 0.5; mask preset aggressive -> fine"
    assert [(one.name, one.before, one.after) for one in crop.differences] == [("confidence", 0.8, 0.6)]


def test_a_less_sure_box_changes_the_score(data):
    after = Crop(1, score=0.4, confidence=0.6)
    crop = only_change(compared(data, [Crop(1)], [after], Recipes(weights={"yolo": "cc" * 32})))
    assert (crop.stage, crop.how) == ("detection", "evidence")


def test_another_box_of_the_frame_is_the_cause_where_the_own_recipes_are_the_same(data):
    """A face that is not found any more changes how many characters a crop holds."""
    face = Crop(1, OTHER, confidence=0.3, is_subject=False)
    found = compared(data, [Crop(1), face], [Crop(1, score=0.4)], Recipes(detect={"conf": 0.4}))
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how) == ("worse", "detection", "other_boxes")
    assert only_cause(found) == "detection conf 0.25 -> 0.4"


def test_what_may_both_have_had_a_part_is_one_joint_cause(data):
    face = Crop(1, OTHER, confidence=0.3, is_subject=False)
    recipes = Recipes(detect={"conf": 0.4}, score={"high": 0.85})
    found = compared(data, [Crop(1), face], [Crop(1, score=0.4)], recipes)
    assert only_cause(found) == "detection conf 0.25 -> 0.4; scoring high 0.8 -> 0.85"


def test_a_later_recipe_that_differs_too_is_told(data):
    recipes = Recipes(detect={"conf": 0.4}, score={"high": 0.85})
    found = compared(data, [Crop(1, BOX)], [Crop(1, NEAR, 0.4)], recipes)
    assert only_cause(found) == "detection conf 0.25 -> 0.4 (recipe of scoring differs too)"


def test_a_second_mask_is_made_by_the_recipe_of_masks_while_scoring(data):
    again = {"extracted_again": True}
    found = compared(
        data, [Crop(1, more=again)], [Crop(1, score=0.5, more=again)], Recipes(refine={"preset": "extended"})
    )
    crop = only_change(found)
    assert (crop.stage, crop.how) == ("mask", "extracted_again")
    assert only_cause(found) == "mask preset aggressive -> extended"


def test_other_results_of_the_same_recipes_are_told_as_such(data):
    [cause] = compared(data, [Crop(1)], [Crop(1, score=0.3)]).causes
    assert cause.key.changes == (Change("scoring", "nothing"),)


# --- frames ----------------------------------------------------------------------------------------------------------


def test_a_file_whose_bytes_changed_is_one_crop_with_other_bytes(data):
    publish(data, "A", [Crop("old")], [("a.png", "old")])
    publish(data, "B", [Crop("new", score=0.5)], [("a.png", "new")])
    found = compare_trackers(Store(data), "A", "B")
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how) == ("worse", "frame", "bytes")
    assert only_cause(found) == "the frame's bytes differ"
    assert crop.before is not None
    assert crop.after is not None
    assert (crop.before.frame_sha256, crop.after.frame_sha256) == (sha("old"), sha("new"))


def test_a_renamed_file_is_the_same_frame(data):
    publish(data, "A", [Crop("x")], [("a.png", "x")])
    publish(data, "B", [Crop("x")], [("b.png", "x")])
    assert compare_trackers(Store(data), "A", "B").counts["same"] == 1


@pytest.mark.parametrize(
    ("before", "after", "bad", "facts", "how", "text"),
    [
        ([("a.png", 1)], [("b.png", 2)], (), {}, "frame_removed", "frame removed"),
        ([("a.png", 1)], [], [("a.png", "damaged")], {}, "quarantined", "frame quarantined"),
        ([("a.png", 1)], [("a.png", 3)], (), {}, "bytes", "frame's bytes differ"),
        (
            [("a.png", 1)],
            [("a.png", 1)],
            (),
            {"dropped_frames": {sha(1): "gone"}},
            "unreadable",
            "frame could not be read",
        ),
    ],
)
def test_a_crop_is_gone_with_its_frame(data, before, after, bad, facts, how, text):
    publish(data, "A", [Crop(1)], before)
    publish(data, "B", [], after, bad=bad, facts=facts)
    found = compare_trackers(Store(data), "A", "B")
    crop = only_change(found)
    assert (crop.change, crop.stage, crop.how, crop.after) == ("gone", "frame", how, None)
    assert text in only_cause(found)
    back = only_change(compare_trackers(Store(data), "B", "A"))
    assert (back.change, back.stage) == ("new", "frame")


# --- gone and new ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "recipes", "how", "stage"),
    [
        ([], Recipes(detect={"conf": 0.4}), "below_conf", "detection"),
        ([], Recipes(detect={"iou": 0.4}), "no_box", "detection"),
        ([Crop(1, NEAR, is_subject=False)], Recipes(detect={"subject": "largest"}), "not_subject", "detection"),
        ([Crop(1, (50.0, 10.0, 150.0, 210.0))], Recipes(weights={"n": "cc" * 32}), "moved", "detection"),
        ([Crop(1, masked=False)], Recipes(sam={"s": "cc" * 32}), "no_mask", "mask"),
        ([Crop(1, cropped=False)], Recipes(), "not_made", "scoring"),
    ],
)
def test_a_gone_crop_has_a_cause(data, after, recipes, how, stage):
    publish(data, "A", [Crop(1, confidence=0.3)], [("a.png", 1)])
    publish(data, "B", after, [("a.png", 1)], recipes)
    found = compare_trackers(Store(data), "A", "B")
    gone = [crop for crop in crop_changes(found, found.select(Selection())) if crop.change == "gone"]
    assert [(crop.how, crop.stage) for crop in gone] == [(how, stage)]


def test_two_crops_that_became_one(data):
    found = compared(data, [Crop(1, BOX), Crop(1, NEAR)], [Crop(1, BOX)], Recipes(detect={"iou": 0.9}))
    crop = only_change(found)
    assert (crop.change, crop.how) == ("gone", "joined")
    assert only_cause(found) == "detection iou 0.45 -> 0.9"


def test_a_new_crop_that_the_other_tracker_was_too_strict_for(data):
    publish(data, "A", [], [("a.png", 1)], Recipes(detect={"conf": 0.5}))
    publish(data, "B", [Crop(1, confidence=0.3)], [("a.png", 1)])
    found = compare_trackers(Store(data), "A", "B")
    crop = only_change(found)
    assert (crop.change, crop.how, crop.before) == ("new", "below_conf", None)
    assert only_cause(found) == "detection conf 0.5 -> 0.25"


# --- size and order --------------------------------------------------------------------------------------------------


def test_causes_are_ordered_by_how_many_crops_they_explain(data):
    before = [*(Crop(n, mask=b"a") for n in range(5)), *(Crop(n, BOX) for n in range(5, 7))]
    after = [*(Crop(n, mask=b"b", score=0.3) for n in range(5)), *(Crop(n, NEAR, 0.3) for n in range(5, 7))]
    recipes = Recipes(detect={"conf": 0.3}, refine={"preset": "fine"})
    found = compared(data, before, after, recipes)
    assert [(cause.key.stage, cause.counts) for cause in found.causes] == [
        ("mask", {"worse": 5}),
        ("detection", {"worse": 2}),
    ]
    assert len(found.select(Selection(cause=1))) == 2
    assert len(found.select(Selection(change="worse", cause=0))) == 5


def test_what_changed_most_comes_first(data):
    scores = {1: (0.9, 0.55), 2: (0.9, 0.3), 3: (0.7, 0.6), 4: (0.7, 0.699)}
    before, after = ([Crop(n, score=pair[side]) for n, pair in scores.items()] for side in (0, 1))
    found = compared(data, before, after, Recipes(code={"scored_crops": "2"}))
    listed = crop_changes(found, found.select(Selection()))
    assert [crop.before.score for crop in listed if crop.before] == [0.9, 0.9, 0.7]
    assert [crop.after.score for crop in listed if crop.after] == [0.3, 0.55, 0.6]
    assert found.counts["same"] == 1
    strict = compare_trackers(Store(data), "A", "B", CompareSettings(least_difference=0.0005))
    assert strict.counts["worse"] == 4


def test_lost_crops_are_the_gone_ones_that_were_worth_something(data):
    found = compared(data, [Crop(1), Crop(2, score=0.1), Crop(3), Crop(4)], [Crop(4)], frames=[("4.png", 4)])
    assert found.counts["gone"] == 3
    assert (found.lost, found.usable) == (2, 3)

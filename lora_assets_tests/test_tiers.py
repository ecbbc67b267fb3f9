"""Tests of the labelled benchmark of tiers: its labels follow its written rules, and its figures are what they say."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from lora_assets.benchmarks.tier_rules import RULES, Label, LabelledCrop
from lora_assets.benchmarks.tier_scenes import DAMAGES, labelled_crops
from lora_assets.benchmarks.tier_values import kept_values
from lora_assets.benchmarks.tiers import (
    Judged,
    confusion_sheet,
    cutout_of,
    defect_lines,
    drawn_crops,
    measure_tiers,
    tier_lines,
)
from lora_assets.vision.checks import CHECKS
from lora_assets.vision.measures import ground_share


@pytest.fixture(scope="module")
def crops() -> list[LabelledCrop]:
    return list(drawn_crops(60, 41))


def labelled(**strengths: float) -> Label:
    return Label(0, "none", strengths)


def test_crops_are_the_same_for_the_same_seed(crops: list[LabelledCrop]):
    again = [crop for seed in range(41, 46) for crop in labelled_crops(seed)]
    for first, second in zip(crops, again, strict=False):
        assert (first.kind, first.strengths) == (second.kind, second.strengths)
        assert np.array_equal(first.image, second.image) and first.masks == second.masks


def test_crops_have_rows_that_belong_together(crops: list[LabelledCrop]):
    assert len({crop.kind for crop in crops}) >= 12
    for crop in crops:
        assert {row.detection_id for row in crop.masks} <= {row.detection_id for row in crop.detections}
        height, width = crop.image.shape[:2]
        for row in crop.masks:
            assert row.x + row.width <= width and row.y + row.height <= height
        assert set(crop.strengths) <= {rule.defect for rule in RULES}


def test_flags_of_the_rules_are_flags_of_the_checks():
    known = {check.name for check in CHECKS}
    assert {flag for rule in RULES for flag in (*rule.flags, *rule.also)} == known
    assert all(rule.none <= rule.mild <= rule.grave for rule in RULES)
    assert min(share for _, share in DAMAGES.values()) > 0


def test_the_written_rules_make_the_tier():
    assert labelled().tiers == ("high",)
    assert labelled(blur=0.5, text=0.001).tiers == ("high",)
    assert labelled(blur=2.2).tiers == ("medium",)
    assert labelled(blur=2.2, text=0.05).tiers == ("low",)
    assert labelled(blur=4.0).tiers == ("low",)
    assert labelled(blur=1.4).tiers == ("high", "medium")
    assert labelled(blur=1.4, text=0.05).tiers == ("medium", "low")
    black = labelled(black=1.0, dark=1.0, blur=4.0)
    assert black.defects == {"black": "grave"} and black.is_vetoed and black.hides_all
    assert labelled(several=0.9).is_vetoed and not labelled(several=0.3).is_vetoed


def test_precision_and_recall_are_counted_as_written():
    good = Judged(labelled(), "high", 0.9, ())
    blurred = dataclasses.replace(good, label=labelled(blur=2.2))
    some = [
        good,
        dataclasses.replace(good, tier="medium"),
        blurred,
        dataclasses.replace(blurred, tier="medium", flags=("blurred", "text_over")),
        dataclasses.replace(good, label=labelled(blur=1.4), flags=("blurred",)),
    ]
    lines = tier_lines(some)
    assert lines[0].startswith("5 crops, 1 of unsure tier")
    assert "precision  0.667 (2/3)" in lines[1] and "recall  0.500 (1/2)" in lines[1]
    told = defect_lines(some)
    assert any("blur " in line and "0.500 (1/2)" in line for line in told)
    assert any("blurred" in line and "1.000 (1/1)" in line for line in told[len(RULES) :])
    assert any("text_over" in line and "0.000 (0/1)" in line for line in told[len(RULES) :])


def test_the_command_prints_both_parts_and_judges_kept_values_again(tmp_path):
    kept = tmp_path / "values.json"
    lines = measure_tiers(20, tmp_path / "sheet.png", first_seed=41, values=kept)
    assert [line for line in lines if line.startswith("==")] == ["== tuning part", "== unseen third"]
    assert any(line.startswith("ms per crop") for line in lines)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.shape[0] > 500
    assert confusion_sheet([]).shape[1] == sheet.shape[1]
    again = measure_tiers(20, values=kept)
    parts = [line for line in lines if not line.startswith(("ms per crop", "confusion", "measured"))]
    assert again[1:] == parts
    kept.write_text(kept.read_text().replace('"measured_by": "', '"measured_by": "0.'))
    with pytest.raises(ValueError, match=r"values\.json was measured by checks of version 0\."):
        measure_tiers(20, values=kept)


def test_masks_are_refined_as_a_tracker_does(crops: list[LabelledCrop]):
    crop = next(crop for crop in crops if crop.kind == "none")
    plain, grown = cutout_of(crop), cutout_of(crop, "aggressive")
    assert grown.area > plain.area
    assert grown.row.background_left == ground_share(plain)
    with pytest.raises(ValueError, match="aggresive"):
        measure_tiers(10, first_seed=41, preset="aggresive")


@pytest.mark.parametrize("content", ["", "[]", '{"measured_by": "1", "crops": [{}]}'])
def test_a_file_that_holds_no_values_is_named(tmp_path, content: str):
    (tmp_path / "values.json").write_text(content)
    with pytest.raises(ValueError, match=r"values\.json holds no measured crops"):
        kept_values(tmp_path / "values.json")

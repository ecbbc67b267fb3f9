"""The table of what is in the real pictures agrees with itself, with its written rules and with the pictures."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lora_assets.vision.images import decode_image
from lora_assets_tests.conftest import TEST_IMAGES
from lora_assets_tests.real_pictures import TABLE, RealCharacter, read_real_pictures, tier_by_rules
from lora_assets_tests.real_tiers import RealCrop, label_of, summary
from lora_assets_tests.vision.drawn import mask_row

ROWS = read_real_pictures()
_HIGH = next(row for row in ROWS if row.tier == "high")


def _name(row: RealCharacter) -> str:
    return f"{Path(row.file).name}-{row.character}"


def test_each_picture_counts_its_characters_from_one_and_is_written_down_alike() -> None:
    for file in {row.file for row in ROWS}:
        of_file = [row for row in ROWS if row.file == file]
        numbers = [row.character for row in of_file]
        assert numbers in ([0], list(range(1, len(numbers) + 1))), file
        assert len({(row.width, row.height) for row in of_file}) == 1, file
        assert all(row.neighbours < len(of_file) for row in of_file), file


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_the_tier_follows_the_written_rules_or_is_left_open(row: RealCharacter) -> None:
    assert row.tier in (tier_by_rules(row), "unsure")


@pytest.mark.parametrize("row", [row for row in ROWS if row.box], ids=_name)
def test_the_columns_of_a_row_do_not_contradict_each_other(row: RealCharacter) -> None:
    assert row.box is not None
    reach = {
        "left": row.box[0] <= 0.02 * row.width,
        "top": row.box[1] <= 0.02 * row.height,
        "right": row.box[2] >= 0.98 * row.width,
        "bottom": row.box[3] >= 0.98 * row.height,
    }
    assert "inset" in row.defects or all(reach[edge] for edge in row.cut_by)
    assert (row.legs in ("whole", "cut")) or "legs" not in row.parts
    assert row.framing != "full" or row.legs == "whole" or row.kind == "animal"
    assert (row.face is not None) or row.face_seen in ("none", "away")
    assert row.head == "out" or "head" in row.parts
    assert (row.covered == "none") == (not row.defects & {"subtitle", "marks"})
    if row.rough_iou is not None and row.rough_iou < 0.85:
        assert row.note, "says where the older box was wrong"


def test_every_tier_framing_and_kind_occurs() -> None:
    for column, least in (("tier", 5), ("framing", 4), ("kind", 4), ("hidden", 4), ("covered", 4)):
        assert len(Counter(getattr(row, column) for row in ROWS)) >= least, column


@pytest.mark.parametrize(
    ("changes", "tier"),
    [
        ({}, "high"),
        ({"face_seen": "away"}, "medium"),
        ({"face_seen": "away", "head": "cut"}, "low"),
        ({"hidden": "much"}, "low"),
        ({"covered": "small"}, "medium"),
        ({"covered": "face"}, "low"),
        ({"box": (0, 0, 255, 255), "face": (9, 9, 99, 99)}, "medium"),
        ({"box": (0, 0, 255, 255), "face": (9, 9, 30, 30)}, "low"),
    ],
)
def test_the_rules_step_down_with_each_shortfall(changes: dict[str, object], tier: str) -> None:
    assert tier_by_rules(replace(_HIGH, **changes)) == tier


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("tier", "good", "tier 'good' is not one of"),
        ("defects", "ugly", "unknown words"),
        ("box", "1 2 3", "four numbers"),
        ("box", "0 0 99999 5", "leaves the picture"),
        ("face", "0 0 1 1", "leaves the figure"),
        ("width", "wide", "invalid literal"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_line(tmp_path: Path, column: str, cell: str, reason: str) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = cell
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ValueError, match=rf"table\.csv, line 2: .*{reason}"):
        read_real_pictures(path)


@pytest.mark.skipif(not TEST_IMAGES.is_dir(), reason=f"no test pictures at {TEST_IMAGES} (LORA_ASSETS_TEST_IMAGES)")
@pytest.mark.parametrize("file", sorted({row.file for row in ROWS}))
def test_the_pictures_are_there_in_the_written_size(file: str) -> None:
    row = next(row for row in ROWS if row.file == file)
    height, width = decode_image((TEST_IMAGES / file).read_bytes()).pixels.shape[:2]
    assert (width, height) == (row.width, row.height)


@pytest.mark.skipif(not TEST_IMAGES.is_dir(), reason=f"no test pictures at {TEST_IMAGES} (LORA_ASSETS_TEST_IMAGES)")
def test_no_still_is_left_out() -> None:
    there = {f"{folder}/{path.name}" for folder in ("anime", "film") for path in (TEST_IMAGES / folder).iterdir()}
    assert there <= {row.file for row in ROWS}


def test_a_found_crop_is_labelled_by_how_it_fits_the_listed_character():
    row = next(row for row in ROWS if row.tier == "high" and row.box and row.face and not row.unlisted)
    size = (row.width, row.height)
    mask = np.zeros((row.height, row.width), np.bool_)
    assert row.box is not None
    x1, y1, x2, y2 = row.box
    mask[y1:y2, x1:x2] = True
    whole, part, elsewhere = mask_row(mask), mask.copy(), np.zeros_like(mask)
    part[y1 + round(0.4 * (y2 - y1)) :] = False
    elsewhere[:4, :4] = True
    assert label_of(whole, [row], size) == ("high", False)
    assert label_of(mask_row(part), [row], size) == ("low", False)
    assert label_of(mask_row(elsewhere), [row], size) == ("low", True)
    assert label_of(whole, [row, replace(row, character=2)], size) == ("low", True)
    told = summary([RealCrop("a", "high", (), "high", False), RealCrop("a", "high", (), "low", True)])
    assert told[-2].startswith("precision of high 1/2") and told[-1] == "vetoed crops in high: 1 of 1"
    assert told[1:4] == [
        "by the rules high: 1 high, 0 medium, 0 low",
        "by the rules medium: 0 high, 0 medium, 0 low",
        "by the rules low: 1 high, 0 medium, 0 low",
    ]

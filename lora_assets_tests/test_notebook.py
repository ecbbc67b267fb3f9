"""Published tables as DataFrames: every crop once, with its files, what was said of it, and what made it."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest

from lora_assets.notebook import comparison, crops, lineage, table, trackers
from lora_assets.specs import SpecError, list_datasets, of_videos
from lora_assets.store import Store, StoreError
from lora_assets.tables import ScoredCrop, columns
from lora_assets_tests.comparing.cells import DATASET, Crop, Recipes, publish, sha
from lora_assets_tests.comparing.test_comparison import said

FLAGGED = Crop(2, score=0.6, flags=(("blurred", 0.1, 0.2),))


@pytest.fixture
def made(data):
    """Tracker T1 of three crops, and T2, in which one is worse, one gone and one new, by another confidence limit."""
    (data / "input" / DATASET).mkdir(parents=True, exist_ok=True)
    publish(data, "T1", [Crop(1), FLAGGED, Crop(3)], note="first")
    changed = [Crop(1, score=0.3), FLAGGED, Crop(4)]
    publish(data, "T2", changed, recipes=Recipes(score={"high": 0.7}), frames=[(f"{n}.png", n) for n in (1, 2, 3, 4)])
    return data


def test_every_crop_is_a_row_with_its_files_and_the_persons_word(made):
    said(made, "good", FLAGGED)
    found = crops("T1", data=made)
    assert set(columns(ScoredCrop)) - {"second_rle"} <= set(found.columns)
    assert found["frame_path"].tolist() == ["1.png", "2.png", "3.png"]
    assert found["frame_file"].tolist() == [str(made / "input" / DATASET / f"{n}.png") for n in (1, 2, 3)]
    assert found["flags"].tolist() == [[], ["blurred"], []] and found["flag_limits"].tolist()[1] == [0.2]
    assert found["verdict"].tolist() == ["", "good", ""]
    assert (found["tier"] >= "high").tolist() == [True, False, True], "tiers are ordered"
    has = found["has_picture"]
    assert found.loc[has, "crop_file"].notna().all() and found.loc[~has, "crop_file"].isna().all()
    assert len(crops("T1", DATASET, data=made)) == 3


def test_trackers_are_told_with_their_tiers(made):
    found = trackers(data=made).set_index("tracker")
    assert found.loc["T1", ["high", "medium", "low"]].tolist() == [2, 1, 0]
    assert found.loc["T1", "note"] == "first" and not found.loc["T1", "sealed"]


def test_two_trackers_are_told_crop_by_crop(made):
    found = comparison("T1", "T2", data=made)
    assert found["change"].value_counts().to_dict() == {"worse": 1, "gone": 1, "new": 1, "same": 1, "better": 0}
    worse = found[found["change"] == "worse"].iloc[0]
    assert (worse["frame_path"], worse["stage"]) == ("1.png", "scoring")
    assert "high" in worse["cause"] and worse["score_difference"] == pytest.approx(-0.6)
    gone = found[found["change"] == "gone"].iloc[0]
    assert pd.isna(gone["crop_id_after"]) and gone["tier_before"] == "high" and gone["frame_sha256"] == sha(3)
    assert found.attrs["skipped"] == []


def test_lineage_names_frame_weights_settings_and_code(made):
    found = lineage("T2", data=made).set_index("frame_path")
    row = found.loc["1.png"]
    assert row["frame_sha256"] == sha(1) and row["frame_file"].endswith("1.png")
    assert row["detection_weights"] == {"yolo": "aa" * 32} and row["mask_weights"] == {"sam": "bb" * 32}
    assert row["detection_settings"]["conf"] == 0.25 and row["scoring_settings"]["high"] == 0.7
    assert set(row["scoring_code"].values()) == {"1"} and all(row["mask_recipe"].values())
    assert row["detector"] and row["confidence"] == 0.8


def test_a_frame_of_a_video_is_told_with_its_time(made):
    of_video = of_videos(made, list_datasets(made)[DATASET])
    place = of_video.folder / "film-1234"
    place.mkdir()
    (place / "video.json").write_text(
        json.dumps({"video": "第1話.mkv", "kept": [{"file": "00-00-01.500.png", "seconds": 1.5}]})
    )
    frames = [("film-1234/00-00-01.500.png", 1)]
    publish(made, "T3", [Crop(1)], frames=frames, dataset=of_video.slug)
    row = lineage("T3", of_video.name, data=made).iloc[0]
    assert (row["video"], row["video_seconds"]) == ("第1話.mkv", 1.5)


def test_any_table_is_read_by_its_name(made):
    assert len(table("detections", "T1", data=made)) == 3
    assert "rle" not in table("masks", "T1", data=made)
    assert table("raw_frames", "T2", DATASET, data=made)["path"].tolist() == ["1.png", "2.png", "3.png", "4.png"]
    with pytest.raises(SpecError, match="no table image_quality yet"):
        table("image_quality", "T1", data=made)
    with pytest.raises(SpecError, match="there is no table nothing"):
        table("nothing", "T1", data=made)


def test_what_is_not_there_is_told(made):
    with pytest.raises(SpecError, match="there is no tracker T9"):
        crops("T9", data=made)
    with pytest.raises(SpecError, match="has no dataset other"):
        crops("T1", "other", data=made)
    Store(made).table_path("scored_crops", DATASET, "T1").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        crops("T1", data=made)


def test_a_tracker_without_crops_has_no_rows_but_columns(data):
    publish(data, "T1", [Crop(1)], leave_out=["scored_crops"])
    found = crops("T1", data=data)
    assert len(found) == 0 and {"tier", "flags", "verdict", "frame_file"} <= set(found.columns)
    of_none = lineage("T1", data=data)
    publish(data, "T2", [Crop(1)])
    assert len(of_none) == 0 and list(of_none.columns) == list(lineage("T2", data=data).columns)
    assert list(found.columns) == list(crops("T2", data=data).columns)


def test_pandas_is_imported_when_it_is_needed():
    code = "import sys, lora_assets.notebook; sys.exit('pandas' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

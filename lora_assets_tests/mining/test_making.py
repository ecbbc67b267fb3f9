from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from lora_assets.exports.place import replaced_whole
from lora_assets.mining.drawing import map_path, sheet_markdown
from lora_assets.mining.folders import known_files, write_folders
from lora_assets.mining.making import (
    make_tracker_captions,
    make_tracker_embeddings,
    make_tracker_map,
    make_tracker_mining,
    make_tracker_rare,
    read_mined,
    read_mining,
)
from lora_assets.mining.pipeline import mine
from lora_assets.mining.settings import MiningSettings
from lora_assets.mining.sources import FrameSource, tracker_sources
from lora_assets.models import ModelError
from lora_assets.specs import TrackerSpec, read_tracker, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import from_table
from lora_assets.tables.mining import MapPoint, RareObject
from lora_assets_tests.conftest import TEST_IMAGES, TEST_MODELS
from lora_assets_tests.mining.chat_server import ChatService, chatting, failure
from lora_assets_tests.mining.street import make_street, write_cell

TRACKER = "STREET-1"
TABLES = ("embeddings", "rare_objects", "object_captions", "embedding_map")


def _versions(data) -> dict[str, str]:
    return {name: read_mining(Store(data), TRACKER, name).version for name in TABLES}


def _rare(data) -> list[RareObject]:
    return from_table(read_mining(Store(data), TRACKER, "rare_objects").read(), RareObject)


def _set(data, **settings) -> None:
    path = data / "trackers" / f"{TRACKER}.toml"
    text = path.read_text().split("[mining]")[0]
    path.write_text(text + "\n[mining]\n" + "".join(f"{name} = {json.dumps(v)}\n" for name, v in settings.items()))


def test_a_tracker_is_mined_and_a_second_time_nothing_is_done(data):
    make_street(data)
    make_tracker_mining(data, TRACKER)
    rare = _rare(data)
    digger = next(row for row in rare if row.label == "excavator")
    assert digger.is_rare_class
    assert digger.is_new_class is True
    assert digger.novelty == max(row.novelty for row in rare if row.novelty is not None)
    points = from_table(read_mining(Store(data), TRACKER, "embedding_map").read(), MapPoint)
    assert [point.object_id for point in points] == [row.object_id for row in rare]
    for language in ("en", "ja", "zh-TW"):
        assert map_path(data, TRACKER, language).read_bytes()[:4] == b"\x89PNG"
    assert "data:image/jpeg;base64," in sheet_markdown(Store(data), rare)
    before = _versions(data)
    assert make_tracker_embeddings(data, TRACKER).reused
    assert make_tracker_rare(data, TRACKER).reused
    assert make_tracker_captions(data, TRACKER).reused
    assert make_tracker_map(data, TRACKER).reused
    assert _versions(data) == before


def test_one_dataset_more_computes_its_objects_only(data):
    make_street(data)
    first = make_tracker_embeddings(data, TRACKER)
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().replace('"day-2"', '"day-2", "day-3"'))
    write_cell(data, TRACKER, "day-3", [["bus", "car"]], seed=3)
    made = make_tracker_embeddings(data, TRACKER)
    assert not made.reused
    assert made.facts["computed"] == 2
    assert made.facts["reused"] == first.facts["objects"]
    assert list(made.facts["dataset_classes"]) == ["day-1", "day-2", "day-3"]


def test_other_settings_make_what_depends_on_them_anew(data):
    make_street(data)
    make_tracker_mining(data, TRACKER)
    before = _versions(data)
    _set(data, contamination=0.2)
    make_tracker_mining(data, TRACKER)
    after = _versions(data)
    assert [name for name in TABLES if before[name] == after[name]] == ["embeddings"]


def test_every_step_can_be_skipped_and_says_so(data):
    steps = ("early_filter", "embeddings", "outliers", "rare_class", "novelty", "caption", "visualization")
    make_street(data, **{f"skip_{step}": True for step in steps})
    make_tracker_mining(data, TRACKER)
    store = Store(data)
    said = " ".join(words for name in TABLES for words in read_mining(store, TRACKER, name).facts["said"])
    assert [step for step in steps if f"skip_{step}" not in said] == ["outliers"]  # it follows from skip_embeddings
    assert read_mining(store, TRACKER, "embedding_map").rows == 0
    rare = _rare(data)
    assert rare
    assert not any(row.kept for row in rare)
    assert sheet_markdown(store, rare) == "nothing is kept"


def test_a_dataset_without_detections_and_an_unknown_class_are_told(data):
    make_street(data, classes=["excavatr", "CAR", "excavator"])
    write_cell(data, TRACKER, "day-3", [["car"]], seed=3, boxes=False)
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().replace('"day-2"', '"day-2", "day-3", "never-made"'))
    made = make_tracker_embeddings(data, TRACKER)
    said = " ".join(made.facts["said"])
    assert "day-3: no detections yet" in said
    assert "no box has the class 'excavatr' (did you mean excavator?)" in said
    assert set(made.facts["class_counts"]) == {"car", "excavator"}


@pytest.mark.parametrize("frames", [None, [[]], [["car"]], [["car"], ["car"]]], ids=["no cell", "0", "1", "2"])
def test_hardly_anything_to_mine(data, frames):
    write_tracker(data, TrackerSpec(TRACKER, ("day-1",)))
    if frames is not None:
        write_cell(data, TRACKER, "day-1", frames)
    make_tracker_mining(data, TRACKER)
    assert not any(row.is_isolated or row.is_local_outlier for row in _rare(data))
    said = [words for name in TABLES for words in read_mining(Store(data), TRACKER, name).facts["said"]]
    assert any("no outlier model is possible" in words for words in said)
    assert map_path(data, TRACKER, "ja").exists()


def test_a_tracker_of_every_folder_goes_by_the_age_of_the_frames(data):
    write_tracker(data, TrackerSpec(TRACKER))
    write_cell(data, TRACKER, "a-late", [["car"]] * 3, seed=9)
    write_cell(data, TRACKER, "z-early", [["car"]] * 3, seed=1)
    assert [source.dataset for source in tracker_sources(Store(data), read_tracker(data, TRACKER))] == [
        "z-early", "a-late",
    ]  # fmt: skip
    make_tracker_embeddings(data, TRACKER)
    make_tracker_rare(data, TRACKER)
    assert {row.dataset for row in _rare(data) if row.novelty is not None} == {"a-late"}


def test_tables_are_made_in_their_order(data):
    make_street(data)
    with pytest.raises(StoreError, match="embeddings are not made yet"):
        make_tracker_rare(data, TRACKER)
    make_tracker_embeddings(data, TRACKER)
    with pytest.raises(StoreError, match="rare_objects are not made yet"):
        make_tracker_captions(data, TRACKER)
    make_tracker_rare(data, TRACKER)
    make_tracker_captions(data, TRACKER)
    _set(data, classes=["car"])
    make_tracker_embeddings(data, TRACKER)
    with pytest.raises(StoreError, match="rare_objects are of other objects than embeddings are now"):
        make_tracker_map(data, TRACKER)


def test_captions_that_failed_are_tried_at_the_next_run(data):
    with chatting(ChatService(script=[failure(400)])) as chat:
        options = {"caption_service": chat.url, "caption_model": "m", "caption_workers": 1}
        make_street(data, rare_least=2, rare_share=0.01, skip_embeddings=True, **options)
        make_tracker_mining(data, TRACKER)
        first = read_mining(Store(data), TRACKER, "object_captions")
        assert (first.facts["captioned"], first.facts["failed"]) == (1, 1)
        made = make_tracker_captions(data, TRACKER)
        assert not made.reused
        assert (made.facts["captioned"], made.facts["failed"], made.facts["calls"]) == (2, 0, 1)
        assert make_tracker_captions(data, TRACKER).reused
        assert len(chat.asked) == 3


# --- files and folders -----------------------------------------------------------------------------------------------


def test_files_and_folders_are_those_of_the_specification(data, tmp_path):
    make_street(data, rare_least=2, rare_share=0.05)
    make_tracker_mining(data, TRACKER)
    mined = read_mined(data, TRACKER)
    with replaced_whole(tmp_path / "out") as fresh:
        counts = write_folders(fresh, Store(data), mined)
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "detection_results.json", "statistics.json", "timing.txt", "config.json", "cropped_objects", "inliers",
        "final_outliers", "targets", "embedding_map.ja.png",
    }  # fmt: skip
    assert counts["cropped_objects"] == counts["inliers"] + counts["final_outliers"] == len(mined.rare.rows)
    assert 0 < counts["targets"] <= counts["final_outliers"] < counts["cropped_objects"]
    assert any(path.name.startswith("excavator_") for path in (out / "targets").iterdir())
    results = json.loads((out / "detection_results.json").read_text())
    assert sum(len(frame["objects"]) for frame in results) == len(mined.rare.rows)
    assert all((out / entry["picture"]).is_file() for frame in results for entry in frame["objects"])
    assert results[0]["frame"].startswith("通り")
    told = json.loads((out / "statistics.json").read_text())
    assert told["rare_objects"]["kept"] == counts["final_outliers"]
    assert told["said"] == mined.said
    assert json.loads((out / "config.json").read_text())["settings"]["rare_least"] == 2
    assert "total: " in (out / "timing.txt").read_text()
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert known_files(out) == written - {"manifest.json"}


def test_a_gone_original_leaves_the_small_picture(data, tmp_path):
    make_street(data, skip_visualization=True, skip_outliers=True)
    make_tracker_mining(data, TRACKER)
    for path in (data / "input" / "day-1").iterdir():
        path.unlink()
    (tmp_path / "out").mkdir()
    counts = write_folders(tmp_path / "out", Store(data), read_mined(data, TRACKER))
    assert counts["cropped_objects"] == len(_rare(data))


def test_a_map_that_is_skipped_is_no_file(data, tmp_path):
    make_street(data, skip_visualization=True)
    make_tracker_mining(data, TRACKER)
    (tmp_path / "out").mkdir()
    write_folders(tmp_path / "out", Store(data), read_mined(data, TRACKER))
    assert not list((tmp_path / "out").glob("*.png"))


# --- any detector ----------------------------------------------------------------------------------------------------


def test_weights_that_are_no_detector_are_refused(data):
    make_street(data, yolo_model="starter-sam")
    with pytest.raises(ModelError, match="name a detector"):
        make_tracker_embeddings(data, TRACKER)


@pytest.mark.skipif(not (TEST_MODELS / "yolov8n.pt").is_file(), reason="no real weights (LORA_ASSETS_TEST_MODELS)")
@pytest.mark.skipif(not (TEST_IMAGES / "photos" / "bus.jpg").is_file(), reason="no real pictures")
def test_a_detector_of_eighty_classes_finds_the_bus_and_is_asked_once(data):
    write_tracker(data, TrackerSpec(TRACKER, ("street",)))
    store = Store(data)
    picture = TEST_IMAGES / "photos" / "bus.jpg"
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    source = FrameSource("street", "street", picture.parent, {sha256: (picture.name,)}, "1")
    settings = MiningSettings(yolo_model=str(TEST_MODELS / "yolov8n.pt"), skip_visualization=True, skip_outliers=True)
    mined = mine(store, [source], settings)
    assert {"bus", "person"} <= set(mined.listed.class_counts)
    assert mined.objects.facts["detector"] == "yolov8n"
    bus = next(row for row in mined.rare.rows if row.label == "bus")
    assert bus.is_rare_class
    heard = []
    gone = replace(source, frames={**source.frames, "0" * 64: ("gone.jpg",)})
    partly = mine(store, [gone], settings)
    assert partly.objects.passing == ("0" * 64,)
    assert "1 frames could not be read" in partly.said[0]
    again = mine(store, [source], settings, lambda step, *_: heard.append(step))
    assert again.rare.rows == mined.rare.rows
    assert heard == []
    assert again.objects.facts["computed"] == 0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lora_assets.main_line import stages
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.preview import frames_preview
from lora_assets.specs import list_datasets
from lora_assets.store import Store, StoreError
from lora_assets.tables import Detection, Mask, ScoredCrop, from_table


def _computed(updates) -> list[int]:
    return [update.computed for update in updates]


def test_every_frame_gets_detections_masks_and_crops(data, drop_frames, line):
    drop_frames(count=4)
    found, masks, crops = line.make(line.cell())
    assert [update.rows for update in (found, masks, crops)] == [4, 4, 4]
    assert _computed((found, masks, crops)) == [4, 4, 4]
    boxes = {row.detection_id for row in from_table(found.table.read(), Detection)}
    assert {row.detection_id for row in from_table(masks.table.read(), Mask)} == boxes
    for row in from_table(crops.table.read(), ScoredCrop):
        assert Store(data).picture("thumbs", row.crop_id, ".webp").exists()
        png = Store(data).picture("crops", row.crop_id, ".png")
        assert png.exists() == row.has_picture
        if row.has_picture:
            rgba = cv2.imdecode(np.frombuffer(png.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
            assert rgba is not None
            assert rgba.shape == (row.height, row.width, 4)
            assert int((rgba[..., 3] > 0).sum()) == row.pixel_count


def test_a_thumbnail_that_a_power_cut_emptied_costs_no_run_and_is_drawn_again(data, drop_frames, line):
    drop_frames(count=2)
    line.make(line.cell())
    store, film = Store(data), list_datasets(data)["film"]
    frames = store.frames_of("film")
    assert frames is not None
    whole = frames_preview(store, frames)
    thumb = store.picture("frame_thumbs", frames.read(["sha256"]).column("sha256").to_pylist()[0], ".webp")
    thumb.write_bytes(b"")
    assert frames_preview(store, frames) not in (whole, "nothing to show")
    update_raw_frames(store, film, rehash=True)
    assert frames_preview(store, frames) == whole


def test_nothing_is_done_twice(drop_frames, line):
    drop_frames(count=4)
    line.make(line.cell())
    again = line.make(line.cell())
    assert _computed(again) == [0, 0, 0]
    assert (line.detected, line.segmented, line.opened) == (4, 4, ["detector", "segmenter"])


def test_one_frame_more_computes_one_frame(drop_frames, line):
    drop_frames(count=5)
    line.make(line.cell())
    drop_frames(count=1, start=5)
    updates = line.make(line.cell())
    assert _computed(updates) == [1, 1, 1]
    assert [update.reused for update in updates] == [5, 5, 5]
    assert (line.detected, line.segmented) == (6, 6)


def test_a_tracker_that_changes_only_scoring_reuses_detections_and_masks(drop_frames, line):
    drop_frames(count=4)
    first = line.make(line.cell("T1"))
    second = line.make(line.cell("T2", {"score": {"high": 0.7}}))
    assert _computed(second) == [0, 0, 4]
    assert (line.detected, line.segmented) == (4, 4)
    assert from_table(first[1].table.read(), Mask) == from_table(second[1].table.read(), Mask)


def test_another_preset_costs_no_model_time(drop_frames, line):
    drop_frames(count=3)
    line.make(line.cell("T1"))
    updates = line.make(line.cell("T2", {"refine": {"preset": "baseline"}}))
    assert _computed(updates) == [0, 3, 3]
    assert line.segmented == 3


def test_other_trackers_stay_byte_for_byte(data, drop_frames, line):
    drop_frames(count=3)
    line.make(line.cell("T1"))
    kept = {path: path.read_bytes() for path in (data / "tables").rglob("T1/*.parquet")}
    line.make(line.cell("T2", {"detect": {"conf": 0.5}}))
    drop_frames(count=1, start=3)
    line.make(line.cell("T2", {"detect": {"conf": 0.5}}))
    assert len(kept) == 4
    assert kept == {path: path.read_bytes() for path in kept}


def test_a_renamed_file_costs_no_model_time(drop_frames, line):
    folder = drop_frames(count=3)
    line.make(line.cell())
    first = sorted(folder.glob("*.jpg"))[0]
    first.rename(first.with_name("renamed.jpg"))
    line.make(line.cell())
    assert (line.detected, line.segmented) == (3, 3)
    frames = Store(line.data).frames_of("film", "T1")
    assert frames is not None
    assert "renamed.jpg" in frames.read(["path"]).column("path").to_pylist()


@pytest.mark.parametrize("stage", ["detections", "masks", "refinement", "scored_crops"])
def test_an_interrupted_run_resumes_where_it_was(drop_frames, line, monkeypatch, stage):
    drop_frames(count=6)
    monkeypatch.setattr(stages, "_CHUNK_FRAMES", 1)

    def stop(progress) -> None:
        if progress.stage.endswith(stage) and progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.make(line.cell(listen=stop))
    updates = line.make(line.cell())
    assert [update.rows for update in updates] == [6, 6, 6]
    # Frames in flight when the run stopped may be worked on twice, finished ones may not.
    assert line.detected <= 6 + 3
    assert line.segmented <= 6 + 3
    whole = line.make(line.cell("T2"))
    assert _computed(whole) == [0, 0, 0]


def test_results_do_not_depend_on_an_interruption(drop_frames, line, monkeypatch, tmp_path):
    drop_frames(count=4)
    whole = [
        from_table(u.table.read(), t)
        for u, t in zip(line.make(line.cell()), (Detection, Mask, ScoredCrop), strict=True)
    ]
    for path in (line.data / "store").iterdir():
        if path.name in ("detections", "segments", "masks", "scored_crops"):
            path.rename(tmp_path / path.name)
    (line.data / "tables" / "detections").rename(tmp_path / "old")
    monkeypatch.setattr(stages, "_CHUNK_FRAMES", 1)

    def stop(progress) -> None:
        if progress.stage.endswith("detections") and progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.make(line.cell("T9", listen=stop))
    again = line.make(line.cell("T9"))
    for update, row_type, rows in zip(again, (Detection, Mask, ScoredCrop), whole, strict=True):
        made = from_table(update.table.read(), row_type)
        key = lambda row: (row.frame_sha256, row.detection_id)  # noqa: E731
        assert sorted(made, key=key) == sorted(rows, key=key)


def test_a_frame_that_changes_while_it_is_read_is_dropped_and_named(drop_frames, line):
    folder = drop_frames(count=3)
    cell = line.cell()
    path = sorted(folder.glob("*.jpg"))[0]
    path.write_bytes(path.read_bytes() + b"more")
    found, masks, crops = line.make(cell)
    assert [update.frames for update in (found, masks, crops)] == [3, 3, 3]
    assert found.rows == crops.rows == 2
    assert len(found.dropped) == 1
    assert path.name in next(iter(found.dropped.values()))
    updates = line.make(line.cell())  # listed again: the new content is taken
    assert [update.rows for update in updates] == [3, 3, 3]
    assert not updates[0].dropped


def test_a_frame_without_anything_is_answered_and_never_decoded_again(drop_frames, line, monkeypatch):
    drop_frames(count=2)
    from lora_assets.vision.boxes import Boxes

    nothing = Boxes(np.zeros((0, 4)), np.zeros(0), (), ())
    monkeypatch.setattr(type(line), "_detector", lambda self, image: nothing)
    updates = line.make(line.cell())
    assert [update.rows for update in updates] == [0, 0, 0]
    assert line.segmented == 0
    assert not any(update.dropped for update in updates)


def test_masks_before_detections_say_what_to_do(drop_frames, line):
    from lora_assets.main_line.cells import update_scored_crops

    drop_frames(count=1)
    with pytest.raises(StoreError, match="materialize detections"):
        update_scored_crops(line.cell())


def test_a_frame_that_breaks_an_algorithm_stops_no_other(drop_frames, line, monkeypatch):
    drop_frames(count=4)
    ellipses = type(line)._segmenter
    broken = iter([True])

    def segmenter(self, image, xyxy):
        if next(broken, False):
            raise ValueError("a box without area")
        return ellipses(self, image, xyxy)

    monkeypatch.setattr(type(line), "_segmenter", segmenter)
    found, masks, crops = line.make(line.cell())
    assert (found.rows, masks.rows, crops.rows) == (4, 3, 3)
    assert "a box without area" in next(iter(masks.dropped.values()))
    updates = line.make(line.cell())
    assert [update.rows for update in updates] == [4, 4, 4]


def test_a_row_that_breaks_its_type_costs_only_its_frame(drop_frames, line, monkeypatch):
    from dataclasses import replace

    from lora_assets.main_line import cells

    drop_frames(count=3)
    score = cells.score_with_second_try
    broken = iter([True])

    def scores(*args):
        scored = score(*args)
        bad = next(broken, False)
        return [replace(each, crop=replace(each.crop, score=float("nan"))) for each in scored] if bad else scored

    monkeypatch.setattr(cells, "score_with_second_try", scores)
    crops = line.make(line.cell())[2]
    assert crops.rows == 2
    assert "NaN" in next(iter(crops.dropped.values()))


def test_settings_that_change_during_a_run_are_told_and_nothing_is_published(drop_frames, line):
    from lora_assets.main_line.cells import update_scored_crops

    drop_frames(count=2)
    line.make(line.cell("T1"))
    before = line.data / "tables" / "scored_crops" / "T1" / "film.parquet"
    kept = before.read_bytes()
    with pytest.raises(StoreError, match="materialize masks first"):
        update_scored_crops(line.cell("T1", {"refine": {"preset": "baseline"}}))
    assert before.read_bytes() == kept


def test_a_damaged_chunk_is_named_with_the_way_out(drop_frames, line):
    drop_frames(count=2)
    line.make(line.cell("T1"))
    chunk = next((line.data / "store" / "masks").rglob("*.parquet"))
    content = bytearray(chunk.read_bytes())
    content[8:200] = bytes(192)  # the body, not the footer
    chunk.write_bytes(content)
    with pytest.raises(StoreError, match="delete it and run again"):
        line.make(line.cell("T2", {"score": {"high": 0.9}}))
    chunk.unlink()
    assert [update.rows for update in line.make(line.cell("T2", {"score": {"high": 0.9}}))] == [2, 2, 2]

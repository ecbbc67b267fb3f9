"""A person's mask through the main line: it changes exactly its row, others stay bit for bit, and back again."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from lora_assets.comparing.changes import MASK, SETTING, cell_records, stage_changes
from lora_assets.main_line.cells import Cell, update_masks, update_scored_crops
from lora_assets.main_line.corrections import applied_in_cell, cell_recipes, waiting_in_cell
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.planning import plan_tracker
from lora_assets.progress import nobody
from lora_assets.resources import DataFolder
from lora_assets.specs import TrackerSpec, list_datasets, read_tracker, set_sealed, write_tracker
from lora_assets.store import Store
from lora_assets.tables import Detection, Mask, ScoredCrop, from_table
from lora_assets.verdicts.corrections import CorrectionLog, correction_of_mask, corrections_path
from lora_assets.verdicts.record import VerdictError
from lora_assets.vision.masks import mask_pixels


def _corrected(line, tracker: str = "T1") -> Cell:
    cell = line.cell(tracker)
    return replace(cell, recipes=cell_recipes(cell.recipes, cell.store, cell.dataset.slug))


def _rows(data, table: str, row_type, tracker: str = "T1"):
    found = Store(data).cell_table(table, "film", tracker)
    assert found is not None
    return {(row.frame_sha256, row.detection_id): row for row in from_table(found.read(), row_type)}


def _correct(data, box: Detection, id_: str = "hand-1", shift: float = 0.0):
    frames = Store(data).frames_of("film")
    assert frames is not None
    size = next(
        row for row in frames.read(["sha256", "width", "height"]).to_pylist() if row["sha256"] == box.frame_sha256
    )
    mask = np.zeros((size["height"], size["width"]), bool)
    mask[int(box.y1) + 3 : int(box.y1) + 33, int(box.x1) + 2 : int(box.x1) + 22] = True
    corners = (box.x1 + shift, box.y1, box.x2, box.y2)
    one = correction_of_mask(
        mask, id=id_, tracker="T1", dataset="film", frame_sha256=box.frame_sha256, box=corners, model="starter-sam"
    )
    with CorrectionLog(corrections_path(data)) as log:
        log.append(one)
    return mask


@pytest.fixture
def made(data, drop_frames, line):
    drop_frames(count=4)
    line.make(line.cell())
    return line


def test_exactly_the_corrected_row_changes_and_withdrawing_brings_it_back(data, made):
    before, crops_before = _rows(data, "masks", Mask), _rows(data, "scored_crops", ScoredCrop)
    key, box = next(iter(_rows(data, "detections", Detection).items()))
    mask = _correct(data, box)
    found, masks, crops = made.make(_corrected(made))
    assert [update.computed for update in (found, masks, crops)] == [0, 1, 1]
    after = _rows(data, "masks", Mask)
    assert {name for name in after if after[name] != before[name]} == {key}
    row = after[key]
    assert row.corrected == "hand-1" and row.area == int(mask.sum()) == 600
    np.testing.assert_array_equal(mask_pixels(row), mask[row.y : row.y + row.height, row.x : row.x + row.width])
    crops_after = _rows(data, "scored_crops", ScoredCrop)
    assert {name for name in crops_after if crops_after[name] != crops_before[name]} == {key}
    assert crops_after[key].pixel_count == 600 and not crops_after[key].extracted_again
    assert (made.detected, made.segmented) == (4, 4)
    with CorrectionLog(corrections_path(data)) as log:
        log.withdraw("hand-1")
    again = made.make(_corrected(made))
    assert [update.computed for update in again] == [0, 0, 0]
    assert _rows(data, "masks", Mask) == before and _rows(data, "scored_crops", ScoredCrop) == crops_before


def test_a_box_that_moved_a_little_keeps_its_correction_and_another_is_told(data, made):
    boxes = list(_rows(data, "detections", Detection).values())
    width = boxes[0].x2 - boxes[0].x1
    _correct(data, boxes[0], "near", shift=0.1 * width)
    _correct(data, boxes[1], "far", shift=0.5 * width)
    made.make(_corrected(made))
    told = [row.corrected for row in _rows(data, "masks", Mask).values() if row.corrected]
    assert told == ["near"]
    applied = applied_in_cell(Store(data), "film", "T1")
    assert [(one.id, "overlaps it by 0.8" in reason) for one, reason in applied.unmatched] == [("far", True)]


def test_only_datasets_with_corrections_become_due_and_sealed_trackers_never(data, drop_frames, made):
    store = Store(data)
    for name, slugs in (("T1", ("film", "other")), ("KEPT", ("film",))):
        write_tracker(data, TrackerSpec(name, slugs))
    drop_frames("other", count=1, start=4)
    other = list_datasets(data)["other"]
    update_raw_frames(store, other)
    made.make(replace(made.cell("T1"), dataset=other))
    made.make(made.cell("KEPT"))
    set_sealed(data, "KEPT", True)
    kept = {path: path.read_bytes() for path in (data / "tables").rglob("KEPT/*.parquet")}
    assert not plan_tracker(store, read_tracker(data, "T1")).cells
    _correct(data, next(iter(_rows(data, "detections", Detection).values())))
    assert [cell.dataset for cell in plan_tracker(store, read_tracker(data, "T1")).cells] == ["film"]
    assert plan_tracker(store, read_tracker(data, "KEPT")).nothing
    made.make(_corrected(made))
    assert not plan_tracker(store, read_tracker(data, "T1")).cells
    assert kept == {path: path.read_bytes() for path in kept}


def test_masks_that_a_person_mended_or_withdrew_wait_until_they_are_in_the_table(data, made):
    store = Store(data)
    assert waiting_in_cell(store, "film", "T1") == waiting_in_cell(store, "film", "NONE") == 0
    boxes = list(_rows(data, "detections", Detection).values())
    _correct(data, boxes[0])
    _correct(data, boxes[1], "far", shift=0.5 * (boxes[1].x2 - boxes[1].x1))
    assert waiting_in_cell(store, "film", "T1") == 1
    made.make(_corrected(made))
    assert waiting_in_cell(store, "film", "T1") == 0
    with CorrectionLog(corrections_path(data)) as log:
        log.withdraw("hand-1")
    assert waiting_in_cell(store, "film", "T1") == 1
    made.make(_corrected(made))
    assert waiting_in_cell(store, "film", "T1") == 0


def test_a_damaged_log_holds_up_only_the_cells_that_were_made_with_it(data, drop_frames, made):
    store = Store(data)
    write_tracker(data, TrackerSpec("T1", ("film", "other")))
    _correct(data, next(iter(_rows(data, "detections", Detection).values())))
    made.make(_corrected(made))
    drop_frames("other", count=1, start=4)
    update_raw_frames(store, list_datasets(data)["other"])
    for path in corrections_path(data).parent.glob("*.sqlite*"):
        path.write_bytes(b"garbage" * 2000)
    plan = plan_tracker(store, read_tracker(data, "T1"))
    assert ([cell.dataset for cell in plan.cells], plan.waiting) == (["other"], ("film",))
    assert not plan_tracker(store, TrackerSpec("T1", ("film",))).nothing, "it would be sealed as complete"
    (told,) = plan.problems
    assert "corrections.sqlite" in told and "lora-assets corrections restore" in told and "the others go on" in told
    cells = DataFolder(path=str(data))
    assert cells.cell(dg.MultiPartitionKey({"dataset": "other", "tracker": "T1"}), "", nobody) is not None
    with pytest.raises(VerdictError):
        cells.cell(dg.MultiPartitionKey({"dataset": "film", "tracker": "T1"}), "", nobody)


def test_comparing_names_the_corrections_as_what_differs(data, made):
    made.make(made.cell("T2"))
    _correct(data, next(iter(_rows(data, "detections", Detection).values())))
    made.make(_corrected(made))
    before, after = (cell_records(Store(data), "film", tracker)[MASK] for tracker in ("T2", "T1"))
    changes = [change for change in stage_changes(MASK, before, after) if change.kind == SETTING]
    assert [(change.name, change.before) for change in changes] == [("corrections", "–")]
    assert changes[0].after.startswith("1 (")


def test_a_correction_made_while_a_run_is_under_way_waits_for_the_next(data, made):
    boxes = list(_rows(data, "detections", Detection).values())
    _correct(data, boxes[0], "early")
    cell = _corrected(made)
    update_masks(cell, lambda: made._segmenter)
    _correct(data, boxes[1], "late")
    update_scored_crops(_corrected(made))
    table = Store(data).cell_table("scored_crops", "film", "T1")
    assert table is not None and table.facts["corrections"] == 1
    made.make(_corrected(made))
    assert sorted(row.corrected for row in _rows(data, "masks", Mask).values() if row.corrected) == ["early", "late"]


def test_the_first_correction_of_a_dataset_may_come_between_masks_and_crops(data, made):
    boxes = list(_rows(data, "detections", Detection).values())
    Store(data).table_path("scored_crops", "film", "T1").unlink()
    update_masks(_corrected(made), lambda: made._segmenter)
    _correct(data, boxes[0], "first")
    update_scored_crops(_corrected(made))
    table = Store(data).cell_table("scored_crops", "film", "T1")
    assert table is not None and "corrections" not in table.facts
    made.make(_corrected(made))
    assert [row.corrected for row in _rows(data, "masks", Mask).values() if row.corrected] == ["first"]


def test_a_correction_that_lands_while_the_log_is_read_is_the_next_runs(data, made, monkeypatch):
    boxes = list(_rows(data, "detections", Detection).values())
    _correct(data, boxes[0], "one")
    real = CorrectionLog.last_until

    def last_until(self, *told):
        found = real(self, *told)
        monkeypatch.undo()
        _correct(data, boxes[1], "two")
        return found

    monkeypatch.setattr(CorrectionLog, "last_until", last_until)
    update_masks(_corrected(made), lambda: made._segmenter)
    assert [row.corrected for row in _rows(data, "masks", Mask).values() if row.corrected] == ["one"]
    update_scored_crops(_corrected(made))
    made.make(_corrected(made))
    assert sorted(row.corrected for row in _rows(data, "masks", Mask).values() if row.corrected) == ["one", "two"]


def test_masks_of_an_earlier_version_are_published_with_the_new_column(data, made):
    cell = made.cell()
    shelf = cell.shelf(cell.recipes.masks, Mask)
    for path in shelf.folder.glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["corrected"]), path)
    Store(data).table_path("masks", "film", "T1").unlink()
    update_masks(made.cell(), lambda: made._segmenter)
    assert {row.corrected for row in _rows(data, "masks", Mask).values()} == {None}

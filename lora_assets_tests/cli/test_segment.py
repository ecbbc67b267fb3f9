"""`lora-assets segment` and `corrections list`: where masks go, what a COCO file holds, which box a correction has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.main_line.frames import update_raw_frames
from lora_assets.specs import TrackerSpec, list_datasets, write_tracker
from lora_assets.store import Store
from lora_assets.tables import Detection, from_table
from lora_assets.verdicts.corrections import CorrectionLog, correction_of_mask, corrections_path
from lora_assets_tests.main_line.conftest import Line
from lora_assets_tests.tracker.fake_clicks import Discs


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "girl.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((60, 80, 3), 90, np.uint8))
    return path


def test_without_a_folder_masks_go_beside_the_projects_tables(run, project, picture, monkeypatch):
    monkeypatch.setattr("lora_assets.vision.prompted.open_prompted", lambda name, data: Discs())
    code, out, _ = run("segment", str(picture), "--points", "40,30", "--coco")
    made = list((project / "data" / "segmented").iterdir())
    assert code == 0 and len(made) == 1 and made[0].name.startswith("girl-")
    assert str(made[0]) in out.replace("\n", "") and (made[0] / "masks" / "girl.png" / "01.png").exists()
    other = picture.parent / "more" / "girl.png"
    other.parent.mkdir()
    other.write_bytes(picture.read_bytes())
    assert run("segment", str(other), "--points", "20,30")[0] == 0
    assert len(list((project / "data" / "segmented").iterdir())) == 2


def test_the_coco_file_holds_nothing_of_a_picture_that_failed(run, project, picture, monkeypatch):
    monkeypatch.setattr("lora_assets.vision.prompted.open_prompted", lambda name, data: Discs())
    out = picture.parent / "out"
    assert run("segment", str(picture), "--points", "40,30", "--coco", "--out", str(out))[0] == 0
    assert len(json.loads((out / "annotations.json").read_text())["annotations"]) == 1
    code, _, _ = run("segment", str(picture), "--points", "400,30", "--coco", "--out", str(out))
    told = json.loads((out / "annotations.json").read_text())
    assert code == 3 and told["images"] == told["annotations"] == []


def test_a_box_that_cannot_be_used_is_told_and_ends_with_3(run, project, picture, monkeypatch):
    monkeypatch.setattr("lora_assets.vision.prompted.open_prompted", lambda name, data: Discs())
    boxes = picture.parent.parent / "boxes.csv"
    boxes.write_text("file,x1,y1,x2,y2\ngirl.png,5,5,60,50\ngirl.png,5,broken,60,50\n")
    code, out, err = run("segment", str(picture), "--boxes", str(boxes))
    told = " ".join(err.split())
    assert code == 3 and "1 masks" in out
    assert "line 3" in told and "1 boxes of" in told
    boxes.write_text("girl.png,5,5,60,50\n")
    code, _, err = run("segment", str(picture), "--boxes", str(boxes))
    assert code == 3 and "page 1.png,12,40,310,500" in " ".join(err.split())


def test_a_box_is_told_also_when_another_dataset_of_the_frame_has_no_detections_yet(run, project, drop_frames):
    data = project / "data"
    folder = drop_frames(count=1)
    shutil.copytree(folder, folder.parent / "other")
    write_tracker(data, TrackerSpec("T1", ("film", "other")))
    line, store = Line(data), Store(data)
    line.make(line.cell())
    update_raw_frames(store, list_datasets(data)["other"])
    table = store.cell_table("detections", "film", "T1")
    assert table is not None
    box = from_table(table.read(), Detection)[0]
    corners = (box.x1, box.y1, box.x2, box.y2)
    mask = np.zeros((1080, 1920), bool)
    mask[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = True
    with CorrectionLog(corrections_path(data)) as log:
        log.append(
            correction_of_mask(
                mask, id="hand-1", tracker="T1", dataset="film", frame_sha256=box.frame_sha256, box=corners
            )
        )
    code, out, _ = run("corrections", "list", "--tracker", "T1", "--json")
    assert code == 0 and [one["applies"] for one in json.loads(out)] == [f"box {box.detection_id}"]

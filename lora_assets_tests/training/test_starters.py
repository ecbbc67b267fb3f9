"""The starter models that ship with the package are the files of their card, open safely, and find things."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lora_assets.starter import STARTER_CARD, STARTER_FOLDER, STARTER_SAM, STARTER_YOLO
from lora_assets.starter.card import LARGEST_STARTER_BYTES, CardEntry, CardError, check_file, read_card
from lora_assets.training.card_entry import add_figures, write_entry
from lora_assets.training.rendered import RenderedFrame, draw_frame
from lora_assets.training.starters import measure_starters
from lora_assets.vision.starter_sam import architecture_numbers, load_starter_sam
from lora_assets.vision.yolo import YoloLimits, load_yolo

LEAST_PERSON_RECALL = 0.6
LEAST_HEAD_RECALL = 0.5
LEAST_MASK_IOU = 0.6
"""Modest floors: what a fresh machine must reach, well below the figures of the card."""


@cache
def _scenes() -> tuple[RenderedFrame, ...]:
    drawn = (draw_frame(seed) for seed in range(960_000, 960_100))
    chosen = []
    for frame in drawn:
        if len(frame.boxes):
            chosen.append(frame)
        if len(chosen) == 6:
            break
    return tuple(chosen)


def _entry(path: Path) -> CardEntry:
    return write_entry(
        path,
        "a test",
        seconds_trained=1.0,
        data={},
        architecture={},
        settings={},
        figures={"recall": 0.5},
    )


@pytest.mark.parametrize("path", [STARTER_YOLO, STARTER_SAM], ids=lambda path: path.name)
def test_shipped_file_is_the_one_of_its_card(path: Path):
    entry = read_card(STARTER_CARD)[path.name]
    check_file(path, entry)
    assert entry.bytes <= LARGEST_STARTER_BYTES
    assert entry.licence == "AGPL-3.0"
    assert entry.seconds_trained > 60
    assert all(np.isfinite(value) for value in entry.figures.values())


def test_card_tells_the_architecture_that_is_built():
    architecture = read_card(STARTER_CARD)[STARTER_SAM.name].architecture
    built = json.loads(json.dumps(architecture_numbers()))
    assert {name: architecture[name] for name in built} == built


def test_starters_find_faces_heads_persons_and_masks_on_unseen_scenes():
    input_size = int(str(read_card(STARTER_CARD)[STARTER_YOLO.name].architecture["input_size"]))
    boxes, masks = measure_starters(STARTER_YOLO, STARTER_SAM, _scenes(), input_size, "test")
    assert boxes["test_person_recall"] >= LEAST_PERSON_RECALL, boxes
    assert boxes["test_head_recall"] >= LEAST_HEAD_RECALL, boxes
    assert boxes["test_face_ap50"] > 0, boxes
    assert masks["test_mask_iou_true_boxes"] >= LEAST_MASK_IOU, masks


def test_starter_yolo_opens_as_any_other_detector():
    yolo = load_yolo(STARTER_YOLO, YoloLimits(conf=0.25, iou=0.6, max_det=20, imgsz=0))
    assert yolo.names == ("face", "head", "person")


def test_starter_sam_answers_boxes_and_points_through_the_predictor():
    from segment_anything import SamPredictor

    frame = _scenes()[0]
    predictor = SamPredictor(load_starter_sam(STARTER_SAM))
    predictor.set_image(frame.image)
    masks, ious, low = predictor.predict(box=frame.boxes[0], multimask_output=True)
    assert masks.shape == (3, *frame.image.shape[:2]) and masks.dtype == bool and low.shape == (3, 128, 128)
    rows, columns = np.nonzero(frame.owners == 1)
    middle = len(rows) // 2
    masks, ious, _ = predictor.predict(
        point_coords=np.array([[columns[middle], rows[middle]]], float),
        point_labels=np.array([1]),
        multimask_output=False,
    )
    assert masks.shape == (1, *frame.image.shape[:2]) and np.isfinite(ious).all()


def test_other_weights_are_refused_for_the_starter_sam():
    with pytest.raises(ValueError, match=r"starter_yolo\.pt does not hold the weights of the starter SAM"):
        load_starter_sam(STARTER_YOLO)


def test_nothing_else_lies_in_the_starter_folder():
    known = {STARTER_YOLO.name, STARTER_SAM.name, STARTER_CARD.name, "__init__.py", "card.py", "__pycache__"}
    assert {path.name for path in STARTER_FOLDER.iterdir()} <= known


def test_a_changed_file_is_not_taken_for_the_one_of_the_card(tmp_path: Path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights")
    entry = _entry(path)
    check_file(path, entry)
    path.write_bytes(b"weightz")
    with pytest.raises(CardError, match="is not the file of its card"):
        check_file(path, entry)
    path.unlink()
    with pytest.raises(CardError, match="is missing"):
        check_file(path, entry)


def test_entries_live_side_by_side_and_take_more_figures(tmp_path: Path):
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    for path in (first, second):
        path.write_bytes(path.name.encode())
        _entry(path)
    changed = add_figures(tmp_path / "CARD.json", "a.pt", {"precision": 0.25})
    entries = read_card(tmp_path / "CARD.json")
    assert entries["a.pt"] == changed and changed.figures == {"recall": 0.5, "precision": 0.25}
    assert entries["b.pt"] == replace(entries["b.pt"], figures={"recall": 0.5})


@pytest.mark.parametrize("content", ["not JSON", "[]", '{"a.pt": {"file": "a.pt"}}'])
def test_a_damaged_card_is_named(tmp_path: Path, content: str):
    card = tmp_path / "CARD.json"
    card.write_text(content, encoding="utf-8")
    with pytest.raises(CardError, match=r"CARD\.json is damaged"):
        read_card(card)


def test_no_card_has_no_entries(tmp_path: Path):
    assert read_card(tmp_path / "CARD.json") == {}

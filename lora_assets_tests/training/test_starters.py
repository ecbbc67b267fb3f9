"""The starter models that ship with the package are the files of their card, open safely, and find things."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lora_assets.models import WEIGHTS, ModelError, opening, registry, resolve
from lora_assets.scenes import CharacterTruth, SceneFrame
from lora_assets.starter import STARTER_CARD, STARTER_FOLDER, STARTER_SAM, STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.starter.card import LARGEST_STARTER_BYTES, CardEntry, CardError, check_file, file_digest, read_card
from lora_assets.training.card_entry import add_figures, write_entry
from lora_assets.training.rendered import renderer_digest
from lora_assets.training.starters import (
    SceneAnswers,
    answer_scenes,
    detector_figures,
    drawn_truth,
    frame_mask,
    mask_figures,
    open_detector,
    take_starters,
    unseen_scene,
)
from lora_assets.vision.segment import WindowMask
from lora_assets.vision.starter_sam import architecture_numbers, load_starter_sam

WEIGHT_SUFFIXES = (".pt", ".onnx")
LEAST_PERSON_RECALL = 0.4
LEAST_HEAD_RECALL = 0.4
LEAST_MASK_IOU = 0.6
"""Modest floors: what a fresh machine must reach, well below the figures of the card."""


@cache
def _scenes() -> tuple[SceneFrame, ...]:
    chosen: list[SceneFrame] = []
    for seed in range(960_000, 960_100):
        scene = unseen_scene(seed)
        if len(scene.characters) in (1, 2):
            chosen.append(scene)
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


def _character(box: tuple[float, float, float, float], filled: float, parts: tuple[str, ...]) -> CharacterTruth:
    mask = np.zeros((100, 100), bool)
    x1, y1, x2, y2 = (int(side) for side in box)
    mask[y1 : y1 + round((y2 - y1) * filled), x1:x2] = True
    return CharacterTruth(0, box, None, (0.0, 0.0, 9.0, 12.0), mask, parts, False)


def test_the_card_the_registry_and_the_folder_name_the_same_weights():
    inside = {path.name for path in STARTER_FOLDER.iterdir() if path.suffix in WEIGHT_SUFFIXES}
    assert inside == set(read_card(STARTER_CARD)) == {weights.file for weights in WEIGHTS if weights.packaged}
    known = inside | {STARTER_CARD.name, "__init__.py", "card.py", "__pycache__"}
    assert {path.name for path in STARTER_FOLDER.iterdir()} <= known


@pytest.mark.parametrize("path", [STARTER_YOLO, STARTER_YOLO_ONNX, STARTER_SAM], ids=lambda path: path.name)
def test_shipped_file_is_the_one_of_its_card(path: Path, tmp_path: Path):
    entry = read_card(STARTER_CARD)[path.name]
    check_file(path, entry)
    assert entry.bytes <= LARGEST_STARTER_BYTES
    assert entry.licence == "AGPL-3.0"
    assert entry.seconds_trained > 60
    assert all(np.isfinite(value) for value in entry.figures.values())
    name = next(weights.name for weights in WEIGHTS if weights.file == path.name)
    assert resolve(name, tmp_path).sha256 == entry.sha256


def test_the_default_detector_is_made_from_the_trained_weights():
    import onnxruntime

    entries = read_card(STARTER_CARD)
    exported, trained = entries[STARTER_YOLO_ONNX.name], entries[STARTER_YOLO.name]
    assert exported.exported_from == trained.sha256
    assert exported.architecture == trained.architecture
    metadata = onnxruntime.InferenceSession(STARTER_YOLO_ONNX).get_modelmeta().custom_metadata_map
    assert metadata["exported_from"] == trained.sha256
    assert str(trained.architecture["input_size"]) in metadata["imgsz"]


def test_card_tells_the_architecture_that_is_built():
    architecture = read_card(STARTER_CARD)[STARTER_SAM.name].architecture
    built = json.loads(json.dumps(architecture_numbers()))
    assert {name: architecture[name] for name in built} == built


def test_starters_find_faces_heads_persons_and_masks_on_unseen_scenes():
    answers = answer_scenes(_scenes(), STARTER_YOLO_ONNX, STARTER_SAM)
    figures = detector_figures(answers, "test") | mask_figures(answers, "test")
    assert figures["test_person_recall"] >= LEAST_PERSON_RECALL, figures
    assert figures["test_head_recall"] >= LEAST_HEAD_RECALL, figures
    assert figures["test_face_ap50"] > 0, figures
    assert figures["test_mask_iou_true_boxes"] >= LEAST_MASK_IOU, figures
    assert figures["test_person_boxes"] <= figures["test_person_boxes_all"]
    assert figures["test_mask_iou_found_boxes"] <= figures["test_mask_iou_found_boxes_without_missed"]


@pytest.mark.parametrize("path", [STARTER_YOLO, STARTER_YOLO_ONNX], ids=lambda path: path.name)
def test_starter_yolo_opens_as_any_other_detector(path: Path):
    assert open_detector(path).names == ("face", "head", "person")


def test_starter_sam_answers_boxes_and_points_through_the_predictor():
    from segment_anything import SamPredictor

    scene = _scenes()[0]
    predictor = SamPredictor(load_starter_sam(STARTER_SAM))
    predictor.set_image(scene.image)
    masks, ious, low = predictor.predict(box=np.array(scene.characters[0].box), multimask_output=True)
    assert masks.shape == (3, *scene.image.shape[:2]) and masks.dtype == bool and low.shape == (3, 192, 192)
    rows, columns = np.nonzero(scene.characters[0].mask)
    middle = len(rows) // 2
    masks, ious, _ = predictor.predict(
        point_coords=np.array([[columns[middle], rows[middle]]], float),
        point_labels=np.array([1]),
        multimask_output=False,
    )
    assert masks.shape == (1, *scene.image.shape[:2]) and np.isfinite(ious).all()


def test_other_weights_are_refused_for_the_starter_sam():
    with pytest.raises(ValueError, match=r"starter_yolo\.pt does not hold the weights of the starter SAM"):
        load_starter_sam(STARTER_YOLO)


@pytest.mark.parametrize("path", [STARTER_YOLO, STARTER_YOLO_ONNX, STARTER_SAM], ids=lambda path: path.name)
def test_a_half_written_file_is_never_picked_up(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "starter"
    folder.mkdir()
    shutil.copyfile(STARTER_CARD, folder / STARTER_CARD.name)
    monkeypatch.setattr(opening, "STARTER_FOLDER", folder)
    monkeypatch.setattr(registry, "STARTER_CARD", folder / STARTER_CARD.name)
    name = next(weights.name for weights in WEIGHTS if weights.file == path.name)
    content = path.read_bytes()
    (folder / f"candidate-{path.name}").write_bytes(content)
    with pytest.raises(ModelError, match="are not there"):
        resolve(name, tmp_path)
    (folder / path.name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="is not the file"):
        resolve(name, tmp_path)
    (folder / path.name).write_bytes(content)
    assert resolve(name, tmp_path).path == folder / path.name


def test_tiny_and_hidden_persons_are_not_asked_for():
    whole, thin = (10.0, 10.0, 50.0, 90.0), (60.0, 10.0, 69.0, 90.0)
    characters = (
        _character(whole, 1.0, ("head",)),
        _character(whole, 0.1, ("head",)),
        _character(whole, 0.1, ()),
        _character(whole, 0.3, ()),
        _character(thin, 1.0, ("head", "torso")),
    )
    face, head, person = drawn_truth(SceneFrame(np.zeros((100, 100, 3), np.uint8), characters, 1))
    assert person.ignored.tolist() == [False, False, True, True, True]
    assert face.ignored.all() and len(head.boxes) == 0 and person.characters.tolist() == [0, 1, 2, 3, 4]


def test_figures_leave_out_who_is_not_asked_for():
    truth = drawn_truth(
        SceneFrame(
            np.zeros((100, 100, 3), np.uint8),
            (_character((10.0, 10.0, 50.0, 90.0), 1.0, ("head",)), _character((60.0, 10.0, 69.0, 90.0), 1.0, ())),
            1,
        )
    )
    found = np.array([[10.0, 10.0, 50.0, 90.0, 0.9, 2.0], [60.0, 10.0, 69.0, 90.0, 0.8, 2.0]])
    answers = [SceneAnswers(1, truth, found, np.array([0.8, 0.0]), np.array([0.6, 0.0]))]
    boxes, masks = detector_figures(answers, "x"), mask_figures(answers, "x")
    assert (boxes["x_person_boxes"], boxes["x_person_boxes_all"], boxes["x_person_precision"]) == (1, 2, 1)
    assert (masks["x_masks"], masks["x_mask_iou_true_boxes"], masks["x_mask_iou_true_boxes_all"]) == (1, 0.8, 0.4)
    assert masks["x_mask_iou_found_boxes"] == 0.6


def test_a_window_lies_in_its_frame():
    mask = frame_mask(WindowMask(3, 2, np.ones((4, 5), bool), 1.0, 1.0), 10, 12)
    assert mask.sum() == 20 and mask[2:6, 3:8].all()


def test_unseen_scenes_are_the_same_again():
    assert (unseen_scene(960_000).image == unseen_scene(960_000).image).all()


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
    assert changed.data == {"measured_renderer_sha256": renderer_digest()}
    assert entries["b.pt"] == replace(entries["b.pt"], figures={"recall": 0.5})
    assert entries["b.pt"].sha256 == file_digest(second)


@pytest.mark.parametrize("content", ["not JSON", "[]", '{"a.pt": {"file": "a.pt"}}'])
def test_a_damaged_card_is_named(tmp_path: Path, content: str):
    card = tmp_path / "CARD.json"
    card.write_text(content, encoding="utf-8")
    with pytest.raises(CardError, match=r"CARD\.json is damaged"):
        read_card(card)


def test_trained_weights_are_taken_with_their_card_and_never_without(tmp_path: Path):
    trained, package = tmp_path / "trained", tmp_path / "package"
    trained.mkdir()
    package.mkdir()
    with pytest.raises(CardError, match="holds neither"):
        take_starters(trained, package)
    weights = trained / STARTER_SAM.name
    weights.write_bytes(b"new weights")
    with pytest.raises(CardError, match="no card beside it"):
        take_starters(trained, package)
    _entry(weights)
    (package / STARTER_SAM.name).write_bytes(b"old weights")
    assert take_starters(trained, package) == [STARTER_SAM.name]
    check_file(package / STARTER_SAM.name, read_card(package / "CARD.json")[STARTER_SAM.name])
    weights.write_bytes(b"other weights")
    with pytest.raises(CardError, match="is not the file of its card"):
        take_starters(trained, package)
    assert (package / STARTER_SAM.name).read_bytes() == b"new weights"


def test_no_card_has_no_entries(tmp_path: Path):
    assert read_card(tmp_path / "CARD.json") == {}

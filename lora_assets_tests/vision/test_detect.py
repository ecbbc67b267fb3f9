"""Detectors of tiny and of real weights, fusion, bodies made from faces, and the rows of a frame."""

from __future__ import annotations

import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.scenes import draw_scene
from lora_assets.tables import Detection, to_table
from lora_assets.vision.boxes import Boxes, box_iou, no_boxes
from lora_assets.vision.detect import DetectSettings, detect_frame, find_boxes, load_detector
from lora_assets.vision.images import decode_image
from lora_assets.vision.threads import one_thread_per_call
from lora_assets_tests.vision.tiny_models import constant_onnx, tiny_yolo

FRAME = "f" * 64
REAL = Path(os.environ.get("LORA_ASSETS_TEST_MODELS", Path(__file__).parents[3] / "shared" / "models"))

IMAGES = Path(os.environ.get("LORA_ASSETS_TEST_IMAGES", Path(__file__).parents[3] / "shared" / "images"))

Rgb = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    one_thread_per_call()


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("Bob's 重み")
    for task in ("detect", "segment", "pose"):
        tiny_yolo(folder / f"{task}.pt", task, ("person",) if task == "pose" else ("person", "face"))
    return folder


def _real(name: str) -> Path:
    if not (REAL / name).is_file():
        pytest.skip(f"real weights {name} are not in LORA_ASSETS_TEST_MODELS")
    return REAL / name


def _open(path: Path, family: str = "yolo-pt") -> OpenWeights:
    return OpenWeights(path.stem, path, "0" * 64, family, "detect")


def _noise(width: int, height: int, seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _boxes(*rows: tuple[float, float, float, float, float, str], detector: str = "net") -> Boxes:
    return Boxes(
        np.array([row[:4] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[4] for row in rows], np.float64),
        tuple(row[5] for row in rows),
        (detector,) * len(rows),
    )


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"conf": 1.5}, {"iou": -0.1}, {"conf": float("nan")}, {"max_det": 0}, {"keep": 2.5}, {"imgsz": 10},
        {"weights": ()}, {"weights": ("a", "a")}, {"face_to_body": "yes"}, {"body_heads": 40.0}, {"conf": True},
        {"label_names": (("a", ""),)}, {"imgsz": 100_000}, {"roles": {"other.pt": "face"}}, {"trust": (1.0, 2.0)},
        {"trust": (0.0,)}, {"second_pass": ("blur",)}, {"subject": "tallest"}, {"references": "../elsewhere"},
        {"proportions_from": "a/b"}, {"fuse_iou": 2}, {"least_alone": -1}, {"second_pass_conf": 1.5},
        {"weights": ("edges",)},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DetectSettings(**wrong)


def test_settings_take_what_toml_gives() -> None:
    made = DetectSettings(weights=["a", "b"], label_names={"character": "person"})  # pyright: ignore[reportArgumentType]
    assert made.weights == ("a", "b") and made.label_names == (("character", "person"),)
    assert DetectSettings(**asdict(made)) == made and hash(made) == hash(DetectSettings(**asdict(made)))


# --- Ultralytics weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "size"),
    [("detect", (213, 120)), ("detect", (31, 400)), ("segment", (90, 160)), ("pose", (150, 120))],
)
def test_boxes_equal_those_of_ultralytics(
    weights_folder: Path, tmp_path: Path, task: str, size: tuple[int, int]
) -> None:
    from ultralytics import YOLO

    path = shutil.copy(weights_folder / f"{task}.pt", tmp_path / "net.pt")
    made = DetectSettings(conf=0.3, iou=0.5, max_det=20)
    image = _noise(*size)
    found = load_detector(_open(Path(path)), made)(image)
    expected = YOLO(path).predict(image[..., ::-1], conf=0.3, iou=0.5, max_det=20, imgsz=128, verbose=False)[0].boxes
    corners = expected.xyxy.numpy()
    inside = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    assert len(found) == inside.sum() > 0
    assert np.allclose(found.xyxy, corners[inside], atol=1e-3)
    assert np.allclose(found.confidence, expected.conf.numpy()[inside], atol=1e-5)
    assert (found.xyxy >= 0).all() and (found.xyxy <= [*size, *size]).all()


def test_the_weights_own_side_is_used_unless_one_is_set(weights_folder: Path) -> None:
    image = _noise(300, 200)
    detector = {
        side: load_detector(_open(weights_folder / "detect.pt"), DetectSettings(imgsz=side)) for side in (0, 128, 64)
    }
    own, same, less = (detector[side](image) for side in (0, 128, 64))
    assert own.xyxy.tolist() == same.xyxy.tolist() != less.xyxy.tolist()


def test_threads_share_a_detector(weights_folder: Path) -> None:
    detector = load_detector(_open(weights_folder / "detect.pt"), DetectSettings())
    images = [_noise(*size, seed) for seed in range(4) for size in [(160, 90), (90, 160), (128, 128), (40, 200)]]
    alone = [detector(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector, images))
    assert sum(len(boxes) for boxes in alone) > 0
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.xyxy, b.xyxy) and a.labels == b.labels


def test_ultralytics_is_made_harmless(weights_folder: Path) -> None:
    import PIL.Image
    from ultralytics.nn import tasks
    from ultralytics.utils import SETTINGS

    load_detector(_open(weights_folder / "detect.pt"), DetectSettings())
    assert tasks.SAFE_LOAD is True and SETTINGS["sync"] is False
    assert PIL.Image.open.__module__ == "PIL.Image"


# --- files that must be refused --------------------------------------------------------------------------------------


class _Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_runs_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "yolo.pt"
    torch.save({"model": _Payload(tmp_path / "ran"), "note": "ultralytics"}, path)
    with pytest.raises(ModelError, match=r"yolo\.pt.*posix\.mkdir.*models list"):
        load_detector(resolve(str(path), tmp_path), DetectSettings())
    assert not (tmp_path / "ran").exists()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(_Payload(tmp_path / "no" / "ran")))  # noqa: S301 - the payload does work


@pytest.mark.parametrize("length", [0, 100, 30_000])
def test_a_cut_file_is_named_and_left_as_it_is(weights_folder: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / "yolov8n.pt"
    content = (weights_folder / "detect.pt").read_bytes()[:length]
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"yolov8n\.pt is damaged.*fetch it again"):
        load_detector(_open(path), DetectSettings())
    assert path.read_bytes() == content


def test_a_file_with_torn_bytes_is_named_and_left_as_it_is(weights_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "yolov8n.pt"
    content = bytearray((weights_folder / "detect.pt").read_bytes())
    content[200:6000] = b"\xff" * 5800
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"yolov8n\.pt"):
        load_detector(_open(path), DetectSettings())
    assert path.read_bytes() == content


def test_missing_and_unfit_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt is not there"):
        load_detector(_open(tmp_path / "none.pt"), DetectSettings())
    with pytest.raises(ModelError, match=r"none\.onnx is not there"):
        load_detector(_open(tmp_path / "none.onnx", "yolo-onnx"), DetectSettings())
    with pytest.raises(ModelError, match=r"sam\.pth is not there"):
        load_detector(_open(tmp_path / "sam.pth", "sam"), DetectSettings())
    with pytest.raises(ModelError, match="family u2net, which finds no boxes"):
        load_detector(_open(tmp_path / "net.onnx", "u2net"), DetectSettings())


def test_yolov5_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"old YOLOv5 repository.*yolov5nu"):
        load_detector(resolve(str(_real("yolov5n.pt")), tmp_path), DetectSettings())


# --- real weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["yolov8n.pt", "yolov8n-seg.pt", "yolov8n-pose.dequant.pt"])
def test_real_weights_find_what_ultralytics_finds(tmp_path: Path, name: str) -> None:
    from ultralytics import YOLO

    pictures = [path for path in [IMAGES / "photos" / "zidane.jpg"] if path.exists()]
    if not pictures:
        pytest.skip("real pictures are not in LORA_ASSETS_TEST_IMAGES")
    weights = resolve(str(_real(name)), tmp_path)
    detector, peer = load_detector(weights, DetectSettings()), YOLO(str(weights.path))
    counts = 0
    for picture in pictures:
        image = decode_image(picture.read_bytes()).pixels
        found = detector(image)
        expected = peer.predict(image[..., ::-1], conf=0.25, iou=0.45, max_det=100, verbose=False)[0]
        counts += len(found)
        assert found.labels == tuple(expected.names[int(number)] for number in expected.boxes.cls)
        assert (
            len(found) == 0
            or np.diag(box_iou(found.xyxy, expected.boxes.xyxy.numpy().astype(np.float64))).min() > 0.999
        )
    assert counts > 0


# --- the starter -----------------------------------------------------------------------------------------------------


def test_the_starter_opens_by_name_and_finds_drawn_characters(tmp_path: Path) -> None:
    detector = load_detector(resolve("starter-yolo", tmp_path), DetectSettings())
    found = [detector(draw_scene(seed, 640, 360, characters=1, effects=False).image) for seed in range(3)]
    assert any(len(boxes) for boxes in found)
    assert {label for boxes in found for label in boxes.labels} <= {"person", "head", "face"}


# --- ONNX ------------------------------------------------------------------------------------------------------------


def _answer(*rows: tuple[float, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(rows, np.float32).T[None]


def test_onnx_boxes_come_back_to_the_frame(tmp_path: Path) -> None:
    # Input 64 x 32 of a frame 128 x 64: centre, size, then a share for each class.
    answer = _answer(
        (16, 16, 8, 16, 0.9, 0.1), (17, 16, 8, 16, 0.8, 0.1), (48, 16, 16, 8, 0.2, 0.6), (5, 5, 2, 2, 0.2, 0.2)
    )
    path = constant_onnx(tmp_path / "net.onnx", answer, None, "{0: 'Face', 1: 'dog'}", "[64, 64]")
    detector = load_detector(resolve(str(path), tmp_path), DetectSettings())
    found = detector(np.full((64, 128, 3), 255, np.uint8))
    assert found.labels == ("face", "dog") and found.detectors == ("net", "net")
    assert np.allclose(found.xyxy, [[24, 16, 40, 48], [80, 24, 112, 40]], atol=1e-4)
    assert np.allclose(found.confidence, [0.9, 0.6])
    assert len(detector(np.zeros((64, 128, 3), np.uint8))) == 0


def test_an_onnx_file_with_a_fixed_input_is_padded(tmp_path: Path) -> None:
    path = constant_onnx(tmp_path / "net.onnx", _answer((32, 32, 64, 32, 0.9)), (64, 64))
    found = load_detector(resolve(str(path), tmp_path), DetectSettings())(np.full((100, 200, 3), 255, np.uint8))
    assert found.labels == ("class 0",) and np.allclose(found.xyxy, [[0, 0, 200, 100]], atol=1e-3)


def test_an_onnx_file_that_suppresses_itself(tmp_path: Path) -> None:
    rows = np.array([[[0, 0, 32, 32, 0.9, 1], [1, 1, 33, 33, 0.8, 1], [0, 0, 9, 9, 0.1, 0]]], np.float32)
    path = constant_onnx(tmp_path / "net.onnx", rows, (64, 64), "['face', 'person']")
    found = load_detector(resolve(str(path), tmp_path), DetectSettings())(np.full((64, 64, 3), 255, np.uint8))
    assert found.labels == ("person", "person") and np.allclose(found.xyxy[0], [0, 0, 32, 32])


def test_class_names_can_be_named_anew(tmp_path: Path) -> None:
    path = constant_onnx(tmp_path / "net.onnx", _answer((16, 16, 8, 8, 0.9)), (32, 32), "{0: 'character'}")
    made = DetectSettings(label_names=(("character", "person"),))
    found = load_detector(resolve(str(path), tmp_path), made)(np.full((32, 32, 3), 255, np.uint8))
    assert found.labels == ("person",)


def test_other_onnx_files_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"\x08\x08nothing")
    flat = constant_onnx(tmp_path / "flat.onnx", np.zeros((1, 5), np.float32))
    few = constant_onnx(tmp_path / "few.onnx", np.zeros((1, 3, 9), np.float32))
    for path, reason in [(damaged, "cannot be opened"), (flat, "first output"), (few, "names no classes")]:
        with pytest.raises(ModelError, match=f"{path.name}.*{reason}"):
            load_detector(resolve(str(path), tmp_path), DetectSettings())


@pytest.mark.parametrize("shape", [(1, 5, 7), (1, 7, 6)])
def test_scores_of_nothing_but_nan_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = constant_onnx(tmp_path / "net.onnx", np.full(shape, np.nan, np.float32), (32, 32))
    detector = load_detector(resolve(str(path), tmp_path), DetectSettings())
    with pytest.raises(ValueError, match=r"net\.onnx answers with NaN"):
        detector(np.full((32, 32, 3), 255, np.uint8))


def test_a_frame_answered_with_nothing_but_nan_is_refused_and_a_single_nan_is_dropped(tmp_path: Path) -> None:
    white = np.full((32, 32, 3), 255, np.uint8)
    path = constant_onnx(tmp_path / "net.onnx", _answer((float("nan"), 16, 8, 8, 0.9)), (32, 32))
    detector = load_detector(resolve(str(path), tmp_path), DetectSettings())
    with pytest.raises(ValueError, match=r"net\.onnx answers with NaN"):
        detector(white)
    path = constant_onnx(
        tmp_path / "part.onnx",
        _answer((float("nan"), 16, 8, 8, 0.9), (16, 16, 8, 8, 0.7), (16, 16, 8, 0, 0.8)),
        (32, 32),
    )
    detector = load_detector(resolve(str(path), tmp_path), DetectSettings(label_names=(("class 0", "person"),)))
    assert (len(detector(white)), detector(white).dropped) == (1, 2)
    rows = detect_frame(white, FRAME, [detector], DetectSettings())
    to_table(rows, Detection)
    assert [(row.label, row.dropped_boxes) for row in rows] == [("person", 2)]


@pytest.mark.parametrize("role", ["face", "head", "person"])
def test_weights_get_a_role_whatever_their_classes_are_called(tmp_path: Path, role: str) -> None:
    path = constant_onnx(tmp_path / "net.onnx", _answer((16, 16, 8, 8, 0.9)), (32, 32), "{0: 'thing'}")
    made = DetectSettings(weights=(str(path),), roles={"net.onnx": role})  # pyright: ignore[reportArgumentType]
    rows = detect_frame(
        np.full((320, 320, 3), 255, np.uint8), FRAME, [load_detector(resolve(str(path), tmp_path), made)], made
    )
    bodies = [row for row in rows if row.is_subject]
    origin = {"face": "expanded_from_face", "head": "expanded_from_head", "person": "detected"}[role]
    assert rows[0].label == role and [row.body_from for row in bodies] == [origin]


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_of_a_frame() -> None:
    image = _noise(200, 100)
    boxes = _boxes((0, 0, 50, 90, 0.6, "person"), (10, 10, 20, 20, 0.9, "dog"), (150, 10, 160, 20, 0.7, "face"))
    rows = detect_frame(image, FRAME, [lambda _image: boxes, lambda _image: no_boxes()], DetectSettings())
    to_table(rows, Detection)
    assert [(row.label, row.is_subject) for row in rows] == [
        ("dog", False), ("face", False), ("person", True), ("person", True),
    ]  # fmt: skip
    assert rows[3].detector == "net+face_to_body" and len({row.detection_id for row in rows}) == 4
    assert (
        detect_frame(image, "e" * 64, [lambda _image: boxes], DetectSettings())[0].detection_id != rows[0].detection_id
    )


def test_the_surest_boxes_are_kept_and_doubles_fall_away() -> None:
    boxes = _boxes(*[(9 * i, 0, 9 * i + 5, 5, i / 10, "person") for i in range(9)], (72, 0, 77, 5, 0.8, "person"))
    rows = detect_frame(_noise(100, 50), FRAME, [lambda _image: boxes], DetectSettings(keep=3))
    assert [round(row.confidence, 1) for row in rows] == [0.8, 0.7, 0.6]


def test_a_joined_body_is_kept_for_its_surest_part() -> None:
    whole = _boxes((0, 0, 40, 90, 0.3, "person"), (50, 0, 90, 90, 0.5, "person"), detector="first")
    half = _boxes((0, 0, 40, 40, 0.9, "person"), detector="second")
    made = DetectSettings(weights=("first", "second"), keep=1)
    (row,) = detect_frame(_noise(100, 100), FRAME, [lambda _i: whole, lambda _i: half], made)
    assert (row.x2, row.y2, row.confidence) == (40.0, 90.0, 0.9)


def test_a_subject_of_another_label_is_the_body_of_its_head() -> None:
    boxes = _boxes((0, 0, 40, 90, 0.9, "cat"), (10, 0, 30, 20, 0.8, "head"), (60, 0, 70, 10, 0.7, "head"))
    made = DetectSettings(subject_labels=("cat", "person"))
    rows = detect_frame(_noise(100, 100), FRAME, [lambda _i: boxes], made)
    assert [(row.label, row.body_from) for row in rows if row.is_subject] == [
        ("cat", "detected"), ("cat", "expanded_from_head"),
    ]  # fmt: skip


def test_an_enlarged_second_look_sees_the_whole_frame_too() -> None:
    def only_whole(image: Rgb) -> Boxes:
        found = image.shape[:2] == (100, 100) and image.std() > 10
        return _boxes((5, 5, 95, 95, 0.7, "person")) if found else no_boxes()

    dim = (_noise(100, 100) // 16 + 100).astype(np.uint8)
    (row,) = detect_frame(dim, FRAME, [only_whole], DetectSettings(second_pass=("contrast", "enlarge")))
    assert row.prepared and row.is_subject


def test_nothing_found_gives_no_rows() -> None:
    assert detect_frame(_noise(50, 50), FRAME, [lambda _image: no_boxes()], DetectSettings()) == []


def test_faces_can_be_subjects_without_bodies() -> None:
    made = DetectSettings(face_to_body=False, subject_labels=("face",))
    rows = detect_frame(_noise(50, 50), FRAME, [lambda _image: _boxes((0, 0, 9, 9, 0.9, "face"))], made)
    assert [(row.label, row.is_subject) for row in rows] == [("face", True)]


def test_two_detectors_of_one_person_are_told_with_their_own_confidences() -> None:
    first = _boxes((0, 0, 40, 80, 0.6, "person"), detector="first")
    second = _boxes((2, 0, 42, 80, 0.9, "person"), (70, 0, 99, 60, 0.5, "person"), detector="second")
    made = DetectSettings(weights=("first", "second"))
    rows = detect_frame(_noise(100, 90), FRAME, [lambda _i: first, lambda _i: second], made)
    to_table(rows, Detection)
    assert [(row.detector, row.detectors, row.detector_confidences) for row in rows] == [
        ("first", ["first", "second"], [0.6, 0.9]), ("second", ["second"], [0.5]),
    ]  # fmt: skip
    assert 0 < rows[0].x1 < 1 and rows[0].agreement == pytest.approx(0.9) and rows[1].agreement == 0


def test_a_body_without_head_or_face_has_no_support_and_may_be_left_out() -> None:
    boxes = _boxes(
        (0, 0, 40, 90, 0.5, "person"), (10, 0, 30, 20, 0.8, "head"), (12, 5, 28, 20, 0.5, "face"),
        (60, 20, 90, 60, 0.3, "person"),
    )  # fmt: skip
    rows = detect_frame(_noise(100, 100), FRAME, [lambda _i: boxes], DetectSettings(least_alone=0.4))
    told = {row.confidence: row for row in rows if row.label == "person"}
    assert (told[0.5].head_in_box, told[0.5].face_in_box, told[0.5].is_subject) == (0.8, 0.5, True)
    assert told[0.5].agreement == pytest.approx(0.9)
    broccoli = told[0.3]
    assert (broccoli.head_in_box, broccoli.face_in_box, broccoli.agreement) == (None, None, 0.0)
    assert not broccoli.is_subject
    assert detect_frame(_noise(100, 100), FRAME, [lambda _i: boxes], DetectSettings())[-1].is_subject


def test_the_second_pass_looks_only_at_frames_without_subjects_and_says_so() -> None:
    seen: list[float] = []

    def only_in_contrast(image: Rgb) -> Boxes:
        seen.append(float(image.std()))
        return _boxes((10, 10, 50, 90, 0.7, "person")) if image.std() > 10 else no_boxes()

    dim = (_noise(100, 100) // 16 + 100).astype(np.uint8)
    (row,) = detect_frame(dim, FRAME, [only_in_contrast], DetectSettings())
    assert row.prepared and row.is_subject and len(seen) == 2 and seen[1] > seen[0]
    assert detect_frame(dim, FRAME, [only_in_contrast], DetectSettings(second_pass=())) == []
    assert detect_frame(dim, FRAME, [only_in_contrast], DetectSettings(second_pass_conf=0.8)) == []
    seen.clear()
    (row,) = detect_frame(_noise(100, 100), FRAME, [only_in_contrast], DetectSettings())
    assert not row.prepared and len(seen) == 1


def test_the_last_resort_is_asked_last_and_only_when_named() -> None:
    image = np.full((120, 160, 3), 230, np.uint8)
    image[25:110, 60:100] = (40, 60, 120)
    made = DetectSettings(weights=("net", "edges"))
    (row,) = detect_frame(image, FRAME, [lambda _i: no_boxes()], made)
    assert (row.body_from, row.detector, row.is_subject) == ("edges", "edges", True) and row.confidence <= 0.25
    assert box_iou(np.array([[row.x1, row.y1, row.x2, row.y2]]), np.array([[60.0, 25, 100, 110]]))[0, 0] > 0.9
    assert detect_frame(image, FRAME, [lambda _i: no_boxes()], DetectSettings()) == []
    found = _boxes((0, 0, 50, 90, 0.6, "person"))
    assert [r.detector for r in detect_frame(image, FRAME, [lambda _i: found], made)] == ["net"]


def test_key_points_of_a_pose_model_reach_the_row(weights_folder: Path) -> None:
    detector = load_detector(_open(weights_folder / "pose.pt"), DetectSettings())
    boxes = detector(_noise(150, 120))
    assert boxes.key_points.shape == (len(boxes), 17, 3)
    rows = detect_frame(_noise(150, 120), FRAME, [detector], DetectSettings())
    to_table(rows, Detection)
    assert all(len(row.key_points or []) == 51 for row in rows) and rows
    plain = load_detector(_open(weights_folder / "detect.pt"), DetectSettings())
    assert all(row.key_points is None for row in detect_frame(_noise(150, 120), FRAME, [plain], DetectSettings()))


def test_real_key_points_equal_those_of_ultralytics(tmp_path: Path) -> None:
    from ultralytics import YOLO

    picture = IMAGES / "photos" / "zidane.jpg"
    if not picture.exists():
        pytest.skip("real pictures are not in LORA_ASSETS_TEST_IMAGES")
    weights = resolve(str(_real("yolov8n-pose.dequant.pt")), tmp_path)
    image = decode_image(picture.read_bytes()).pixels
    found = load_detector(weights, DetectSettings())(image)
    expected = YOLO(str(weights.path)).predict(image[..., ::-1], conf=0.25, iou=0.45, verbose=False)[0].keypoints.data
    sure = expected[..., 2].numpy() > 0.5
    assert np.allclose(found.key_points[sure], expected.numpy()[sure], atol=0.5)
    bodies = [row for row in detect_frame(image, FRAME, [lambda _i: found], DetectSettings()) if row.is_subject]
    assert max(row.agreement for row in bodies) > 0.7


def test_the_chosen_subject_is_the_only_one_and_all_boxes_are_kept() -> None:
    boxes = _boxes((0, 0, 40, 90, 0.6, "person"), (42, 30, 60, 60, 0.5, "person"), (70, 0, 99, 90, 0.9, "person"))
    image = _noise(100, 90)
    chosen = {
        choice: [row.x1 for row in detect_frame(image, FRAME, [lambda _i: boxes], DetectSettings(subject=choice))
                 if row.is_subject]
        for choice in ("all", "largest", "central", "surest")
    }  # fmt: skip
    assert chosen == {"all": [70, 0, 42], "largest": [0], "central": [42], "surest": [70]}
    assert len(detect_frame(image, FRAME, [lambda _i: boxes], DetectSettings(subject="central"))) == 3


_corner = st.floats(-200, 400, allow_nan=False)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(_corner, _corner, st.floats(0, 500), st.floats(0, 500), st.floats(0, 1),
                  st.sampled_from(["person", "face", "head", "dog"])), max_size=12,
    ),
    st.sampled_from([(1, 1), (3, 200), (200, 3), (160, 120)]),
)  # fmt: skip
def test_any_boxes_make_a_sound_table(rows: list[tuple[float, float, float, float, float, str]], size: Any) -> None:
    boxes = _boxes(*[(x, y, x + w, y + h, c, label) for x, y, w, h, c, label in rows])
    made = DetectSettings(weights=("net", "edges"), second_pass=("contrast", "sharpen", "enlarge"))
    found = detect_frame(np.zeros((size[1], size[0], 3), np.uint8), FRAME, [lambda _i: boxes], made)
    to_table(found, Detection)
    for row in found:
        assert 0 <= row.x1 < row.x2 <= size[0] and 0 <= row.y1 < row.y2 <= size[1]


def test_ten_characters_in_a_row_stay_ten() -> None:
    boxes = _boxes(
        *[(60 * i, 20, 60 * i + 70, 300, 0.5 + i / 100, "person") for i in range(10)],
        *[(60 * i + 20, 20, 60 * i + 50, 60, 0.6 + i / 100, "head") for i in range(10)],
    )
    found, dropped = find_boxes([boxes], [1.0], DetectSettings(), 700, 320)
    assert (sum(box.label == "person" for box in found), len(found), dropped) == (10, 20, 0)

"""Several looks at one frame: joined, mirrored back, and right about who said what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.models import ModelError
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import TrackerSpec
from lora_assets.starter import STARTER_LOOKS
from lora_assets.vision.detect_settings import DetectSettings
from lora_assets.vision.several_looks import FoundBoxes, Look, look_several_times, read_look
from lora_assets.vision.yolo import YoloLimits
from lora_assets.vision.yolo_onnx import load_yolo_onnx
from lora_assets_tests.vision.tiny_models import constant_onnx

WIDTH, HEIGHT = 200, 100


def _found(*rows: tuple[float, float, float, float, float, int], points: bool = False) -> FoundBoxes:
    table = np.array(rows, np.float64).reshape(-1, 6)
    places = np.zeros((len(rows), 17, 3)) if points else None
    return FoundBoxes(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), places)


def _mirrored_boxes(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]])


def _image() -> npt.NDArray[np.uint8]:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, : WIDTH // 2] = 255
    return image


def test_one_plain_look_is_the_detectors_own_answer() -> None:
    answer = _found((1, 2, 30, 40, 0.3, 1), (5, 5, 9, 9, 0.26, 0))
    assert look_several_times(lambda *_: answer, [Look(64)], 0.25, 0.45, 10)(_image()) is answer


def test_a_thing_seen_by_one_look_of_three_is_a_third_as_sure() -> None:
    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        assert conf == pytest.approx(0.05)
        everywhere = (10.0, 10.0, 60.0, 90.0, 0.6, 0)
        return _found(everywhere, (120, 10, 180, 90, 0.9, 0)) if side == 64 else _found(everywhere)

    looks = [Look(64), Look(96), Look(128)]
    told = look_several_times(find, looks, 0.25, 0.45, 10)(_image())
    assert told.confidence.tolist() == pytest.approx([0.6, 0.3])
    assert told.xyxy.tolist() == [pytest.approx([10, 10, 60, 90]), pytest.approx([120, 10, 180, 90])]


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 60), st.integers(5, 50), st.integers(5, 40), st.integers(0, 2)),
        max_size=6,
    )
)
def test_mirrored_looks_come_back_to_where_things_are(boxes: list[tuple[int, int, int, int, int]]) -> None:
    """A detector that is right about mirrored frames too gives the same answer with and without mirrored looks."""
    true = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in boxes], np.float64).reshape(-1, 4)
    classes = np.array([kind for *_, kind in boxes], np.int64)
    confidence = np.linspace(0.9, 0.5, len(boxes)) if boxes else np.zeros(0)

    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        is_mirrored = image[0, 0, 0] == 0
        return FoundBoxes(_mirrored_boxes(true) if is_mirrored else true, confidence, classes)

    plain = look_several_times(find, [Look(64), Look(96)], 0.25, 1.0, 10)(_image())
    both = look_several_times(find, [Look(64), Look(96, mirrored=True)], 0.25, 1.0, 10)(_image())
    assert np.allclose(plain.xyxy, both.xyxy)
    assert np.allclose(plain.confidence, both.confidence)
    assert plain.classes.tolist() == both.classes.tolist()


def test_key_points_of_a_mirrored_look_change_sides() -> None:
    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        found = _found((140, 10, 190, 90, 0.8, 0), points=True)
        assert found.key_points is not None
        found.key_points[0, 5] = (150, 30, 0.9)  # what looks like the left shoulder of a mirrored figure
        return found

    told = look_several_times(find, [Look(64, mirrored=True)], 0.25, 0.45, 10)(_image())
    assert told.xyxy.tolist() == [[10, 10, 60, 90]]
    assert told.key_points is not None
    assert told.key_points[0, 6].tolist() == [50, 30, 0.9]
    assert told.key_points[0, 5, 2] == 0


def test_boxes_without_a_place_are_left_out_and_none_at_all_is_no_error() -> None:
    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        return _found((np.nan, 0, 9, 9, 0.9, 0), (9, 9, 9, 20, 0.9, 0)) if side == 64 else _found()

    told = look_several_times(find, [Look(64), Look(96)], 0.25, 0.45, 10)(_image())
    assert told.xyxy.shape == (0, 4)


@pytest.mark.parametrize("text", ["", "big", "448px", "448 turned", "448  mirrored", "32", "5000", "-448", "４４８"])
def test_looks_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a look"):
        read_look(text)
    with pytest.raises(ValueError, match="a look"):
        DetectSettings(looks=(text,))


def test_a_side_and_several_looks_are_refused_together() -> None:
    with pytest.raises(ValueError, match="imgsz names one side and looks names several"):
        DetectSettings(imgsz=640, looks=("448", "576"))


def test_weights_of_a_fixed_input_take_no_other_sides(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    constant_onnx(path, np.zeros((1, 6, 3), np.float32), size=(64, 64))
    with pytest.raises(ModelError, match=r"fixed\.onnx takes pictures of 64x64 only"):
        load_yolo_onnx(path, YoloLimits(0.25, 0.45, 10, 0, (Look(64), Look(96))))
    load_yolo_onnx(path, YoloLimits(0.25, 0.45, 10, 0, (Look(64), Look(64, mirrored=True))))


def test_looks_are_part_of_the_recipe_only_where_there_are_several(tmp_path: Path) -> None:
    def facts(**detect: object) -> dict[str, object]:
        return tracker_recipes(TrackerSpec("T-1", settings={"detect": detect}), tmp_path).detections.settings

    assert facts()["looks"] == [list(STARTER_LOOKS)]
    assert "looks" not in facts(imgsz=512)
    assert facts(looks=["448", "448 mirrored"])["looks"] == [["448", "448 mirrored"]]

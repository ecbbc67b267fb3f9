"""The measurements of the starters count what can be counted by hand; their figures are not judged here."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.benchmarks import failures, model_speed, starters
from lora_assets.benchmarks.failures import false_boxes, missed_boxes, worst_masks, write_failure_sheets
from lora_assets.benchmarks.model_speed import median_milliseconds, model_speed_table, threads_of
from lora_assets.benchmarks.real_drawings import (
    CharacterCount,
    RealDrawing,
    count_characters,
    read_drawings,
    real_drawings_table,
)
from lora_assets.benchmarks.starters import drawn_table, measure_starter_models
from lora_assets.starter import STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.training.starters import (
    SceneAnswers,
    answer_scene,
    detector_figures,
    drawn_truth,
    film_scenes,
    mask_figures,
    unseen_scene,
)
from lora_assets.vision.segment import WindowMask
from lora_assets.vision.several_looks import FoundBoxes
from lora_assets.vision.yolo import Yolo

HEADER = "file,characters,x0_pct,y0_pct,x1_pct,y1_pct\n"


def _detector(*rows: tuple[float, float, float, float, float, int]) -> Yolo:
    """Finds the same boxes in every frame, told as shares of its sides."""
    table = np.array(rows, float).reshape(-1, 6)

    def find(image: np.ndarray) -> FoundBoxes:
        sides = np.array([image.shape[1], image.shape[0]] * 2)
        return FoundBoxes(table[:, :4] * sides, table[:, 4], table[:, 5].astype(np.int64))

    return Yolo(("face", "head", "person"), find)


def _filled(image: np.ndarray, boxes: np.ndarray) -> list[WindowMask]:
    """A mask that fills its box."""
    masks = []
    for x1, y1, x2, y2 in np.asarray(boxes).astype(int):
        masks.append(WindowMask(int(x1), int(y1), np.ones((y2 - y1, x2 - x1), bool), 1.0, 1.0))
    return masks


def _drawings(folder: Path, lines: str) -> Path:
    (folder / "anime").mkdir(exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    (folder / "truth" / "characters_rough_boxes.csv").write_text(HEADER + lines, encoding="utf-8")
    for name in ("a.png", "b.png", "crowd.png"):
        cv2.imwrite(str(folder / "anime" / name), np.full((50, 100, 3), 200, np.uint8))
    return folder


# --- real drawings ---------------------------------------------------------------------------------------------------


def test_characters_of_drawings_are_counted_and_crowds_left_out(tmp_path: Path):
    _drawings(tmp_path, "a.png,2,0,0,50,100\na.png,2,60,0,90,100\nb.png,0,,,,\ncrowd.png,27,,,,\n")
    drawings, left_out = read_drawings(tmp_path)
    assert [(drawing.path.name, len(drawing.boxes)) for drawing in drawings] == [("a.png", 2), ("b.png", 0)]
    assert left_out == 1
    detector = _detector((0, 0, 0.5, 0.9, 0.9, 2), (0.6, 0, 0.9, 1, 0.2, 2), (0.6, 0, 0.9, 1, 0.9, 0))
    assert count_characters(detector, drawings) == CharacterCount(found=1, missed=1, extra=1)


@pytest.mark.parametrize("line", ["a.png,one,,,,", "a.png,1,0,0,fifty,100", "a.png"])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str):
    with pytest.raises(ValueError, match="line 2"):
        read_drawings(_drawings(tmp_path, line + "\n"))


def test_missing_drawings_are_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"characters_rough_boxes\.csv is not there"):
        read_drawings(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.png is not there"):
        read_drawings(_drawings(tmp_path, "gone.png,0,,,,\n"))


def test_what_is_absent_is_left_out_with_the_reason(tmp_path: Path):
    assert "left out, no folder" in real_drawings_table(None, None, STARTER_YOLO_ONNX)[0]
    assert "is not there" in real_drawings_table(tmp_path, None, STARTER_YOLO_ONNX)[0]
    _drawings(tmp_path, "a.png,1,0,0,50,100\n")
    lines = real_drawings_table(tmp_path, tmp_path, STARTER_YOLO_ONNX)
    assert lines[-4].startswith("| starter_yolo.onnx | ")
    assert all("left out" in line and "is not there" in line for line in lines[-3:])
    assert all("no folder is named" in line for line in real_drawings_table(tmp_path, None, STARTER_YOLO_ONNX)[-3:])


def test_a_drawing_without_characters_or_boxes_is_told(tmp_path: Path):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.full((50, 100, 3), 200, np.uint8))
    assert count_characters(_detector(), [RealDrawing(picture, np.zeros((0, 4)))]) == CharacterCount(0, 0, 0)


# --- failures --------------------------------------------------------------------------------------------------------


@functools.cache
def _answers() -> list[SceneAnswers]:
    detector = _detector((0.0, 0.0, 0.2, 0.2, 0.8, 2), (0.5, 0.5, 0.6, 0.6, 0.6, 0))
    return [answer_scene(unseen_scene(seed), detector, _filled) for seed in range(960_000, 960_006)]


def test_failures_are_sorted_by_how_bad_they_are():
    answers = _answers()
    assert any(len(answer.truths[2].boxes) for answer in answers)
    missed, false, masks = missed_boxes(answers), false_boxes(answers), worst_masks(answers)
    for found in (missed, false, masks):
        weights = [failure.weight for failure in found]
        assert weights == sorted(weights, reverse=True) and weights
    asked = sum(int(np.count_nonzero(~truth.ignored)) for answer in answers for truth in answer.truths)
    assert len(missed) <= asked
    assert {failure.words.split(",")[0] for failure in false} <= {"false person", "false face"}
    assert len(masks) == sum(int(np.count_nonzero(~answer.truths[2].ignored)) for answer in answers)


def test_sheets_of_failures_are_small_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failures, "LARGEST_SHEET_BYTES", 60_000)
    written = write_failure_sheets(_answers(), _filled, tmp_path / "figures")
    assert [path.name for path in written] == ["starter_missed.jpg", "starter_false.jpg", "starter_masks.jpg"]
    for path in written:
        sheet = cv2.imread(str(path))
        assert sheet is not None and sheet.shape[1] == failures.TILE[0] * failures.COLUMNS
        assert path.stat().st_size <= 400_000


def test_no_failures_make_no_sheets(tmp_path: Path):
    assert write_failure_sheets([], _filled, tmp_path) == []


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_table_of_drawn_scenes_tells_every_label():
    answers = _answers()
    lines = drawn_table(detector_figures(answers, "x") | mask_figures(answers, "x"), "x", "a title")
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| face", "| head", "| person"]
    assert len({line.count("|") for line in lines[2:7]}) == 1
    assert "true boxes 0." in lines[-1]


def test_a_table_without_anybody_says_so():
    scene = unseen_scene(960_000)
    empty = SceneAnswers(
        1, drawn_truth(scene.__class__(scene.image, (), 1)), np.zeros((0, 6)), np.zeros(0), np.zeros(0)
    )
    lines = drawn_table(detector_figures([empty], "x") | mask_figures([empty], "x"), "x", "nobody")
    assert lines[-1] == "mask IoU of 0 persons: none"


def test_everything_is_measured_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    detector = _detector((0.2, 0.1, 0.8, 1.0, 0.9, 2))
    asked: list[int] = []

    def answers(scenes, yolo: Path, sam: Path) -> list[SceneAnswers]:
        return [answer_scene(scene, detector, _filled) for scene in scenes]

    def speed(*given) -> list[str]:
        asked.append(given[-1])
        return ["speed"]

    monkeypatch.setattr(starters, "answer_scenes", answers)
    monkeypatch.setattr("lora_assets.training.starters.film_scenes", lambda: film_scenes(every=60))
    monkeypatch.setattr(starters, "open_segmenter", lambda path: _filled)
    monkeypatch.setattr(starters, "model_speed_table", speed)
    lines = measure_starter_models(3, None, None, tmp_path, 7)
    assert sum("(3 frames)" in line for line in lines) == 2
    assert any("sample film" in line for line in lines)
    assert any(line.startswith("failures: ") for line in lines)
    assert any("real drawings: left out" in line for line in lines)
    assert lines[-1] == "speed" and asked == [7]


# --- speed -----------------------------------------------------------------------------------------------------------


def test_contestants_run_in_turn():
    order: list[str] = []
    times = median_milliseconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 5
    assert set(times) == {"a", "b"} and min(times.values()) >= 0


def test_threads_are_given_back():
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    with threads_of(1):
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_every_runtime_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    from lora_assets.vision.starter_sam import build_starter_sam

    sam = tmp_path / "starter_sam.pt"
    torch.save(build_starter_sam().state_dict(), sam)
    monkeypatch.setattr(model_speed, "THREADS", (1,))
    monkeypatch.setattr(model_speed, "_WARM_UP", 0)
    lines = model_speed_table(STARTER_YOLO, STARTER_YOLO_ONNX, sam, 1)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert [row[0].split(",")[0] for row in rows] == ["detector"] * 4 + ["segmenter"] * 9
    assert all(float(row[3]) > 0 and float(row[4]) > 0 for row in rows)
    assert sum("ONNX Runtime" in row[1] for row in rows) == 2
    assert sum("three looks" in row[1] for row in rows) == 1
    assert sum("main line" in row[1] for row in rows) == 2

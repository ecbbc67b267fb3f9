"""How found boxes are compared with the truth, and that the figures can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.benchmarks.detection import match_boxes, measure_detection
from lora_assets_tests.vision.tiny_models import constant_onnx


def test_each_character_is_found_once_and_empty_frames_count() -> None:
    truth = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    found = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10]])
    told = match_boxes([(found, truth), (found[:1], np.zeros((0, 4))), (np.zeros((0, 4)), truth[:1])])
    assert (told.characters, told.boxes, told.matched, told.on_empty) == (3, 4, 1, 1)
    assert told.mean_iou == pytest.approx(1 / 3)
    assert "recall 0.333  precision 0.250" in told.line


def test_the_figures_are_measured(tmp_path) -> None:
    answer = np.array([[16, 16, 12, 30, 0.9]], np.float32).T[None]
    path = constant_onnx(tmp_path / "net.onnx", answer, (32, 32), "{0: 'person'}")
    lines = measure_detection(1, (128, 96), [str(path)], data=tmp_path)
    assert any(line.startswith("true head, start values: body IoU") for line in lines)
    assert any(line.startswith("all fused, edges: recall") for line in lines)

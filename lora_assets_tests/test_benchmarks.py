"""The benchmarks run and measure what they say; their figures are not judged here."""

from __future__ import annotations

import re

import pytest

from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.benchmarks.pipeline import measure_pipeline
from lora_assets.benchmarks.upkeep import measure_increment, measure_memory, measure_noop


def test_drawn_frames_are_alike_to_the_eye_and_different_in_bytes(tmp_path):
    import cv2

    draw_frames(tmp_path, 4, different=2, size=(160, 90))
    paths = sorted(tmp_path.iterdir())
    assert len({path.read_bytes() for path in paths}) == 4
    assert (cv2.imread(str(paths[0])) == cv2.imread(str(paths[2]))).all()


def test_a_noop_costs_less_than_the_first_run():
    first, again = measure_noop(12)
    cost = [float(re.search(r"([\d.]+) ms per frame", line)[1]) for line in (first, again)]  # type: ignore[index]
    assert cost[1] < cost[0]


def test_new_frames_cost_a_share():
    assert "2 new frames" not in (lines := measure_increment(10))[1]
    assert "1 new frames" in lines[1]


def test_memory_is_told_for_each_count():
    lines = measure_memory((4, 6))
    assert [line.split(":")[0] for line in lines] == [
        "peak memory, 4 frames",
        "peak memory, 6 frames",
        "most frames against fewest",
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_line_is_measured_against_its_models_and_the_tutorial():
    lines = measure_pipeline(2, 1, (320, 180), "starter-yolo", "starter-sam")
    assert [line.split()[0] for line in lines[1:4]] == ["models", "line", "tutorial"]
    ratio = float(lines[-1].split(":")[1].split()[0])
    assert ratio > 0

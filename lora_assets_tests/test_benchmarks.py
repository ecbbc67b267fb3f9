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


@pytest.mark.slow
def test_new_frames_cost_a_share():
    told = re.fullmatch(r"1 new frames \(10\.0%\): ([\d.]+) s = ([\d.]+)% of the full cost", measure_increment(10)[1])
    assert told
    assert 0 < float(told[2]) < 80


@pytest.mark.slow
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


def test_bench_without_a_command_measures_everything(monkeypatch, capsys):
    from typer.main import get_command

    from lora_assets.cli.bench import bench_app

    asked: dict[str, tuple] = {}

    def remembered(name: str):
        def measure(*given) -> list[str]:
            asked[name] = given
            return [f"measured {name}"]

        return measure

    for name in (
        "upkeep.measure_noop",
        "upkeep.measure_increment",
        "upkeep.measure_memory",
        "pipeline.measure_pipeline",
        "starters.measure_starter_models",
    ):
        monkeypatch.setattr(f"lora_assets.benchmarks.{name}", remembered(name))
    get_command(bench_app).main([], standalone_mode=False)
    full, told = dict(asked), capsys.readouterr().out
    assert len(full) == told.count("measured") == 5
    assert next(iter(full)) == "upkeep.measure_memory"
    asked.clear()
    get_command(bench_app).main(["--quick"], standalone_mode=False)
    assert set(asked) == set(full)
    assert asked["upkeep.measure_noop"][0] < full["upkeep.measure_noop"][0]
    assert max(asked["upkeep.measure_memory"][0]) < max(full["upkeep.measure_memory"][0])
    asked.clear()
    get_command(bench_app).main(["noop", "--frames", "7"], standalone_mode=False)
    assert asked == {"upkeep.measure_noop": (7,)}


def test_a_video_is_measured_against_plain_decoding_of_itself(tmp_path):
    from lora_assets.benchmarks.videos import measure_videos, write_drawn_film
    from lora_assets.vision.video_settings import VideoSettings

    path = tmp_path / "film.mkv"
    frames = write_drawn_film(path, shots=1, loops=1, size=(320, 180))
    told = measure_videos(1, 1, 1, (320, 180), VideoSettings(), path)
    assert told[0].startswith(f"film.mkv: {frames} frames, ") and "1.00 times plain decoding" in told[1]
    assert [line.split("  ")[0] for line in told[2:]] == [
        "decoding, RGB of every frame", "choosing frames", "listing, choosing, writing"
    ]  # fmt: skip

"""The detector's training: targets, files that open safely, going on after a kill, and seeds kept apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lora_assets.starter.card import check_file, read_card
from lora_assets.training.detector import (
    HELD_OUT_SEEDS,
    LABELS,
    DetectorSettings,
    check_frames,
    find_boxes,
    frame_truth,
    main,
    train_detector,
    view_shape,
    view_targets,
)
from lora_assets.training.rendered import render_frames, rendered_frame
from lora_assets.training.schedule import TrainingError, read_checkpoint
from lora_assets.training.views import cut_view, letterbox_window
from lora_assets_tests.training.drawn import draw_blocks

TINY = DetectorSettings(
    frames=2, held_out=2, steps=4, batch=2, long_side=96, short_side=64, warmup_steps=1, hold=1.0, minutes=60.0
)


def _draw(folder: Path):
    render_frames(folder, [0, 1, *HELD_OUT_SEEDS[:2]], draw_blocks)
    return folder


def test_targets_are_shares_of_the_view():
    frame = rendered_frame(draw_blocks(1, 200, 100))
    rows = view_targets(cut_view(frame, letterbox_window(200, 100, 200, 100), 200, 100))
    assert rows[:, 0].tolist() == [0, 1, 1, 2, 2], "one face is turned away"
    x1, y1, x2, y2 = frame.boxes[0]
    assert np.allclose(rows[3, 1:], [(x1 + x2) / 400, (y1 + y2) / 200, (x2 - x1) / 200, (y2 - y1) / 100])


def test_shapes_are_multiples_of_the_stride_and_of_all_kinds():
    settings = DetectorSettings()
    shapes = {view_shape(settings, np.random.default_rng(seed)) for seed in range(60)}
    assert len(shapes) == 3
    assert all(side % 32 == 0 for shape in shapes for side in shape)


def test_training_goes_on_as_if_never_stopped(tmp_path: Path):
    frames = _draw(tmp_path / "frames")
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    train_detector(frames, whole, TINY)
    train_detector(frames, parts, dataclasses.replace(TINY, steps=2))
    train_detector(frames, parts, TINY, resume=True)
    first, second = (read_checkpoint(frames / f"{name}.training") for name in ("whole", "parts"))
    assert first.step == second.step == 4
    for name, value in first.average.items():
        assert np.allclose(value.numpy(), second.average[name].numpy(), atol=1e-4), name


def test_a_second_phase_tells_of_the_first(tmp_path: Path):
    frames = _draw(tmp_path / "frames")
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    train_detector(frames, first, dataclasses.replace(TINY, steps=2))
    train_detector(frames, second, dataclasses.replace(TINY, steps=1, seed=4), start=frames / "first.training")
    phases = read_card(tmp_path / "CARD.json")["second.pt"].settings["phases"]
    assert isinstance(phases, list) and [phase[:7] for phase in phases] == ["2 steps", "1 steps"]
    assert "long_side 96" in phases[0] and "seed 4" in phases[1] and "seed" not in phases[0]


def test_weights_open_safely_and_the_card_is_true(tmp_path: Path):
    out = tmp_path / "yolo.pt"
    main([
        "--frames-folder", str(_draw(tmp_path / "frames")), "--out", str(out), "--frames", "2", "--held-out", "2",
        "--steps", "1", "--batch", "2", "--long-side", "96", "--short-side", "64", "--seed", "3",
    ])  # fmt: skip
    entry = read_card(tmp_path / "CARD.json")["yolo.pt"]
    check_file(out, entry)
    assert entry.settings["seed"] == 3 and entry.settings["steps_done"] == 1
    assert entry.data["train_seeds"] == [0, 2] and entry.licence == "AGPL-3.0"
    assert entry.figures["held_out_person_boxes"] == 4
    assert entry.architecture["labels"] == list(LABELS)
    (rows,) = find_boxes(out, [draw_blocks(5, 160, 90).image], 96)
    assert rows.shape[1] == 6


def test_truth_leaves_out_what_is_hidden():
    faces, heads, persons = frame_truth(rendered_frame(draw_blocks(0, 200, 100)))
    assert (len(faces), len(heads), len(persons)) == (1, 2, 2)


@pytest.mark.parametrize(
    ("frames", "first_seed", "held_out"), [(0, 0, 2), (5, -1, 2), (5, 0, 0), (20, 899_990, 2), (5, 0, 2000)]
)
def test_frames_that_make_no_sense_are_refused(frames: int, first_seed: int, held_out: int):
    with pytest.raises(TrainingError):
        check_frames(frames, first_seed, held_out)

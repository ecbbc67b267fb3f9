"""Learning rates follow the schedule, averages follow the model, checkpoints come back whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.training.schedule import (
    Checkpoint,
    Schedule,
    TrainingError,
    learning_rate,
    progress,
    read_checkpoint,
    update_average,
    write_checkpoint,
)

SCHEDULE = Schedule(steps=100, minutes=10, peak_rate=1.0, last_rate=0.1, warmup_steps=10, hold=0.5)


def test_progress_is_what_ends_first():
    assert progress(SCHEDULE, 50, 60) == 0.5
    assert progress(SCHEDULE, 10, 540) == 0.9
    assert progress(SCHEDULE, 500, 0) == 1.0


def test_rate_climbs_holds_and_falls():
    assert learning_rate(SCHEDULE, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(SCHEDULE, 9, 0.09) == 1.0
    assert learning_rate(SCHEDULE, 40, 0.4) == 1.0
    assert learning_rate(SCHEDULE, 75, 0.75) == pytest.approx(0.55)
    assert learning_rate(SCHEDULE, 99, 1.0) == pytest.approx(0.1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 200), st.floats(0, 1))
def test_rate_stays_within_bounds(step: int, done: float):
    assert 0 < learning_rate(SCHEDULE, step, done) <= SCHEDULE.peak_rate


def test_average_nears_the_model_and_copies_counters():
    import torch

    model, average = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    with torch.no_grad():
        model.weight.fill_(5.0)
    model.num_batches_tracked.fill_(7)
    for step in range(400):
        update_average(average, model, step)
    assert float((average.weight - 5).detach().abs().max()) < 0.05
    assert int(average.num_batches_tracked) == 7


def test_checkpoint_comes_back(tmp_path: Path):
    import torch

    values = {"weight": torch.arange(4.0)}
    written = Checkpoint(
        step=5, phase_seconds=1.5, seconds=9.0, model=values, average=values, optimizer={"state": {0: {"step": 2}}},
        phases=("first",), this_phase="second",
    )  # fmt: skip
    write_checkpoint(tmp_path / "deep" / "state.training", written)
    read = read_checkpoint(tmp_path / "deep" / "state.training")
    assert (read.step, read.phase_seconds, read.seconds) == (5, 1.5, 9.0)
    assert torch.equal(read.model["weight"], values["weight"])
    assert read.optimizer == written.optimizer
    assert (read.phases, read.this_phase) == (("first",), "second")


@pytest.mark.parametrize("content", [None, b"no checkpoint", b""], ids=["missing", "foreign", "empty"])
def test_what_is_no_checkpoint_is_refused_with_a_way_out(tmp_path: Path, content: bytes | None):
    path = tmp_path / "state.training"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="leave out --resume"):
        read_checkpoint(path)

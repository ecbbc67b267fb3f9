"""What both trainings share over time: progress, learning rate, averaged weights, checkpoints.

Everything is a function of how much is done, so that a killed training goes on where its last checkpoint was. Losses
and data do not belong here.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_assets.store import atomic_write

if TYPE_CHECKING:
    import torch
    from torch import nn

AVERAGE_DECAY = 0.998


class TrainingError(RuntimeError):
    """A training that cannot start or go on; the text names the way out."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train and how fast: the end is `steps` or `minutes`, whichever comes first.

    The learning rate climbs to `peak_rate` in `warmup_steps`, stays there until `hold` of the training is done, and
    falls on a straight line to `last_rate` (warm-up, stable, decay).
    """

    steps: int
    minutes: float
    peak_rate: float
    last_rate: float
    warmup_steps: int
    hold: float


def progress(schedule: Schedule, step: int, seconds: float) -> float:
    """How much of the training is done, 0 to 1, after `step` steps and `seconds`."""
    return min(1.0, max(step / max(1, schedule.steps), seconds / max(1e-9, schedule.minutes * 60)))


def learning_rate(schedule: Schedule, step: int, done: float) -> float:
    """The learning rate of step number `step` (from 0) when the share `done` of the training lies behind."""
    if step < schedule.warmup_steps:
        return schedule.peak_rate * (step + 1) / schedule.warmup_steps
    if done <= schedule.hold:
        return schedule.peak_rate
    fallen = (done - schedule.hold) / (1 - schedule.hold)
    return schedule.peak_rate + (schedule.last_rate - schedule.peak_rate) * min(1.0, fallen)


def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the averaged weights a little towards the model's: exponential decay, faster at the beginning."""
    import torch

    decay = min(AVERAGE_DECAY, (1 + step) / (20 + step))
    with torch.no_grad():
        current = model.state_dict()
        for name, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name].detach(), 1 - decay)
            else:
                value.copy_(current[name])


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Optimizer groups: matrices and kernels decay, biases and norms do not."""
    decayed = [value for value in model.parameters() if value.requires_grad and value.ndim > 1]
    free = [value for value in model.parameters() if value.requires_grad and value.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point that a training can go on from. `seconds` counts all training that led here, earlier phases included;
    `phases` tell in words what these were, `this_phase` how far this one is."""

    step: int
    phase_seconds: float
    seconds: float
    model: Mapping[str, torch.Tensor]
    average: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, Any]
    phases: tuple[str, ...] = ()
    this_phase: str = ""


def phase_words(settings: Any, step: int, seconds: float) -> str:
    """A training in a line: `step` steps in `seconds`, with the settings (a dataclass) that differ from the usual."""
    usual = type(settings)()
    names = [field.name for field in fields(settings) if getattr(settings, field.name) != getattr(usual, field.name)]
    told = ", ".join(f"{name} {getattr(settings, name)}" for name in names) or "the usual settings"
    return f"{step} steps in {seconds / 60:.0f} minutes: {told}"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint at `path`, whole or not at all."""
    import torch

    state = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    atomic_write(path, lambda handle: torch.save(state, handle))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, tensors and plain values only. Raises TrainingError when there is none or it is damaged."""
    import torch

    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"cannot go on from {path} ({error}): leave out --resume to train from the start"
        ) from error

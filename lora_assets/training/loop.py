"""The loop that both trainings share: steps, averaged weights, checkpoints to go on from, weights published meanwhile.

What a step computes and what is published belong to each training (detector, segmenter); the course of the learning
rate belongs to schedule.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from lora_assets.training.schedule import (
    Checkpoint,
    Schedule,
    learning_rate,
    parameter_groups,
    phase_words,
    progress,
    read_checkpoint,
    update_average,
    write_checkpoint,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

_SAVE_SECONDS = 30.0
_SHOWN_STEPS = 50

_log = logging.getLogger(__name__)

Network = TypeVar("Network", bound="nn.Module")
Batch = TypeVar("Batch")


class LoopSettings(Protocol):
    """What the loop reads of a training's settings."""

    @property
    def steps(self) -> int: ...
    @property
    def minutes(self) -> float: ...
    @property
    def peak_rate(self) -> float: ...
    @property
    def last_rate(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def hold(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Where a training keeps its state, what it begins with, and how often weights are published.

    With `resume` it goes on from `state_path` where there is one; `start` takes the averaged weights of an earlier
    checkpoint and begins a new schedule.
    """

    state_path: Path
    resume: bool = False
    start: Path | None = None
    publish_minutes: float = 10.0


@dataclass(frozen=True, slots=True)
class Trained:
    """How far a training is: its steps, the seconds of it and of all phases before, and these phases in words."""

    steps: int
    seconds: float
    phases: tuple[str, ...]


def run_loop(
    model: Network,
    settings: LoopSettings,
    options: LoopOptions,
    batches_from: Callable[[int], Iterator[Batch]],
    train_step: Callable[[Network, torch.optim.Optimizer, Batch], Sequence[float]],
    figure_names: Sequence[str],
    publish: Callable[[Network, Trained], None],
) -> None:
    """Train `model` until the schedule of `settings` ends, publishing the averaged weights on the way and at the end.

    `batches_from` gives the endless batches from a step on; `train_step` returns the figures that are told by
    `figure_names`. Every half minute the state is saved. Raises TrainingError for a checkpoint that cannot be used.
    """
    import torch

    average = deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=settings.peak_rate)
    step, phase_seconds, seconds_before, phases = _begin(model, average, optimizer, options)
    schedule = Schedule(
        settings.steps,
        settings.minutes,
        settings.peak_rate,
        settings.last_rate,
        settings.warmup_steps,
        settings.hold,
    )
    begun, saved, published = time.monotonic() - phase_seconds, time.monotonic(), time.monotonic()

    def trained() -> Trained:
        seconds = time.monotonic() - begun
        return Trained(step, seconds_before + seconds, (*phases, phase_words(settings, step, seconds)))

    def save() -> None:
        seconds = time.monotonic() - begun
        write_checkpoint(
            options.state_path,
            Checkpoint(
                step=step,
                phase_seconds=seconds,
                seconds=seconds_before + seconds,
                model=model.state_dict(),
                average=average.state_dict(),
                optimizer=optimizer.state_dict(),
                phases=phases,
                this_phase=phase_words(settings, step, seconds),
            ),
        )

    shown: list[Sequence[float]] = []
    feed: Any = batches_from(step)
    try:
        while (done := progress(schedule, step, time.monotonic() - begun)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(schedule, step, done)
            shown.append(train_step(model, optimizer, next(feed)))
            update_average(average, model, step)
            step += 1
            if len(shown) == _SHOWN_STEPS:
                means = zip(figure_names, np.mean(shown, axis=0), strict=True)
                _log.info("step %d, %.0f %%: %s", step, 100 * done, ", ".join(f"{n} {m:.3f}" for n, m in means))
                shown.clear()
            if time.monotonic() - saved > _SAVE_SECONDS:
                save()
                saved = time.monotonic()
            if time.monotonic() - published > 60 * options.publish_minutes:
                publish(average, trained())
                published = time.monotonic()
    finally:
        feed.close()
    save()
    publish(average, trained())


def _begin(
    model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, options: LoopOptions
) -> tuple[int, float, float, tuple[str, ...]]:
    """Put the weights in place that the training begins with: step, seconds of this phase, seconds before, phases."""
    if options.resume and options.state_path.exists():
        past = read_checkpoint(options.state_path)
        model.load_state_dict(past.model)
        average.load_state_dict(past.average)
        optimizer.load_state_dict(dict(past.optimizer))
        return past.step, past.phase_seconds, past.seconds - past.phase_seconds, tuple(past.phases)
    if options.start is not None:
        past = read_checkpoint(options.start)
        model.load_state_dict(past.average)
        average.load_state_dict(past.average)
        return 0, 0.0, past.seconds, (*past.phases, *((past.this_phase,) if past.this_phase else ()))
    return 0, 0.0, 0.0, ()

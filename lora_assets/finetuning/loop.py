"""The course of a tuning: steps, validations, checkpoints, the end; from the start, or on from a checkpoint.

What a step does belongs to learning; what is checked before it, to preflight; what becomes of the result, to making.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lora_assets.annotations import AnnotatedSet
from lora_assets.annotations.records import TRAIN, VAL
from lora_assets.finetuning.checkpoints import (
    BEST,
    FinetuningError,
    TuningState,
    forget,
    put_moments,
    put_weights,
    read_checkpoint,
    read_last,
    save_best,
    save_last,
)
from lora_assets.finetuning.history import open_history
from lora_assets.finetuning.learning import (
    Learner,
    Sampler,
    Validation,
    choose_weights,
    count_trained,
    embedder,
    optimizer_groups,
    train_step,
    validate,
)
from lora_assets.finetuning.networks import Network
from lora_assets.finetuning.pages import EmbeddingCache, spread
from lora_assets.finetuning.settings import AUTO, TrainingSettings
from lora_assets.training.schedule import Schedule, learning_rate

if TYPE_CHECKING:
    import torch

STEPS_DONE, NO_BETTER, TIME_OVER = "all steps are done", "no better IoU for a while", "the minutes are over"
_HOLD = 0.5
_LAST_RATE = 0.02

Listener = Callable[[int, int, str], None]
"""Told of steps done, of steps in all, and of the latest figures in words."""


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What is tuned on what: the network in memory, the set, the settings, the folder of checkpoints, the digests."""

    name: str
    network: Network
    found: AnnotatedSet
    settings: TrainingSettings
    folder: Path
    base_sha256: str
    fingerprint: str
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Tuned:
    """How a training ended: its state, and steps a second at work, validations counted in."""

    state: TuningState
    steps_per_second: float
    trained_numbers: int
    resumed_at: int


def precision_of(settings: TrainingSettings, device: str) -> torch.dtype | None:
    """The type of mixed precision; None is float32, which "auto" takes on a CPU: few CPUs are faster in bfloat16.

    Raises FinetuningError for one that the device does not have.
    """
    import torch

    kind = settings.precision
    if kind == AUTO:
        return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else None
    if kind == "float32":
        return None
    if kind == "float16" and device != "cuda":
        raise FinetuningError('precision = "float16" needs a GPU: set it to "auto", "bfloat16" or "float32"')
    if kind == "bfloat16" and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise FinetuningError('this GPU has no bfloat16: set precision to "float16" or "float32"')
    return torch.bfloat16 if kind == "bfloat16" else torch.float16


def learner_of(tuning: Tuning) -> Learner:
    """What steps, validation and the report work with; embeddings of a frozen encoder are kept."""
    settings, dtype = tuning.settings, precision_of(tuning.settings, tuning.device)
    cache = EmbeddingCache(
        settings.cache, settings.cache_gb, tuning.base_sha256, dtype, tuning.folder / "embeddings", tuning.device
    )
    embed = embedder(tuning.network, settings, cache)
    return Learner(tuning.network, settings, tuning.found, embed, tuning.device, dtype)


def tune(tuning: Tuning, *, resume: bool, listen: Listener, begun: Callable[[int], None] = lambda _: None) -> Tuned:
    """Train until the steps or minutes are over or nothing gets better; the network then holds the best weights.

    With `resume` it goes on from the last checkpoint of the same data, base and settings, to the same numbers as
    without the interruption. `begun` is told the step it begins at. Raises FinetuningError when a checkpoint cannot be
    used or written, and when a loss or gradient is no number.
    """
    import torch

    settings = tuning.settings
    choose_weights(tuning.network, settings)
    learner = learner_of(tuning)
    rate = settings.learning_rate or tuning.network.usual_rate
    optimizer = torch.optim.AdamW(optimizer_groups(tuning.network, settings), lr=rate)
    scaler = torch.amp.GradScaler(tuning.device, enabled=learner.dtype is torch.float16)
    state = TuningState(tuning.fingerprint)
    if resume and (kept := read_last(tuning.folder)) is not None:
        if kept.state.fingerprint != tuning.fingerprint:
            raise FinetuningError(
                f"{kept.path} was made with other data, another base or other settings: put them back, or leave out "
                "--resume to begin anew"
            )
        put_weights(tuning.network.module, kept)
        put_moments(optimizer, kept)
        state = _going_on(kept.state, settings)
        if state.scaler:
            scaler.load_state_dict(dict(state.scaler))
    if not state.step:
        forget(tuning.folder)
    begun(state.step)
    course = _Course(tuning, learner, optimizer, scaler, state, rate, listen)
    return course.run()


def _going_on(state: TuningState, settings: TrainingSettings) -> TuningState:
    """The state, no longer finished where its settings give it more time or patience than before."""
    more_time = not settings.minutes or state.seconds < 60 * settings.minutes
    more_patience = not settings.patience or state.stale < settings.patience
    if (state.finished == TIME_OVER and more_time) or (state.finished == NO_BETTER and more_patience):
        return replace(state, finished="")
    return state


class _Course:
    """One run of a training, from its state to its end."""

    def __init__(
        self,
        tuning: Tuning,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        state: TuningState,
        rate: float,
        listen: Listener,
    ) -> None:
        self.tuning, self.learner, self.optimizer, self.scaler = tuning, learner, optimizer, scaler
        self.state, self.listen = state, listen
        self.resumed_at, self.settings = state.step, tuning.settings
        self.sampler = Sampler(tuning.found, TRAIN, self.settings)
        self.val_pages = spread(tuning.found, VAL, self.settings.val_annotations, self.settings.seed)
        self.schedule = Schedule(self.settings.steps, 0, rate, rate * _LAST_RATE, self.settings.warmup_steps, _HOLD)
        self.began = time.monotonic() - state.seconds
        self.history = open_history(tuning.folder, tuning.name, tuning.fingerprint, self.settings, state.step)

    def run(self) -> Tuned:
        try:
            if not self.state.step:
                self._tell(_named(validate(self.learner, self.val_pages)))
            while not self.state.finished:
                self._step()
            told = self._best()
        finally:
            for one in self.history:
                one.close()
        rate = told.step / told.seconds if told.seconds else 0.0
        return Tuned(told, rate, count_trained(self.tuning.network.module), self.resumed_at)

    def _best(self) -> TuningState:
        """Put the best weights into the network; the state with their step and IoU."""
        if self.state.finished == TIME_OVER and self.state.step % self.settings.validate_every:
            # Judged out of turn and kept out of the checkpoints: with more minutes it goes on as if it had not ended.
            told = validate(self.learner, self.val_pages)
            self._tell(_named(told))
            if self._is_better(told):
                return replace(self.state, best_iou=told.iou, best_step=self.state.step)
        path = self.tuning.folder / BEST
        try:
            kept = read_checkpoint(path)
        except FileNotFoundError as error:
            raise FinetuningError(
                f"{path} is gone, the best weights (of step {self.state.best_step}): put the file back, or begin anew "
                f"with lora-assets train-segmenter {self.tuning.name} --anew"
            ) from error
        if kept.state.fingerprint != self.tuning.fingerprint:
            raise FinetuningError(
                f"{path} holds the weights of another training: begin anew with lora-assets train-segmenter "
                f"{self.tuning.name} --anew"
            )
        put_weights(self.tuning.network.module, kept)
        return replace(self.state, best_iou=kept.state.best_iou, best_step=kept.state.best_step)

    def _is_better(self, told: Validation) -> bool:
        return told.iou >= self.state.best_iou + self.settings.least_gain

    def _step(self) -> None:
        step = self.state.step
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(self.schedule, step, step / self.settings.steps)
        figures = train_step(self.learner, self.sampler, self.optimizer, self.scaler, step)
        self.state = replace(self.state, step=step + 1, seconds=time.monotonic() - self.began)
        self.listen(step + 1, self.settings.steps, f"loss {figures.loss:.3f}, IoU {figures.iou:.3f}")
        last = step + 1 >= self.settings.steps
        rate = self.optimizer.param_groups[0]["lr"]
        self._tell({**asdict(figures), "learning_rate": rate, "seconds": self.state.seconds})
        if (step + 1) % self.settings.validate_every == 0 or last:
            self._validate()
        if last:
            self._finish(STEPS_DONE)
        elif self.settings.patience and self.state.stale >= self.settings.patience:
            self._finish(NO_BETTER)
        elif self.settings.minutes and self.state.seconds >= 60 * self.settings.minutes:
            self._finish(TIME_OVER)
        if self.state.finished or (step + 1) % self.settings.save_every == 0:
            self._save()

    def _validate(self) -> None:
        told = validate(self.learner, self.val_pages)
        self._tell(_named(told))
        if self._is_better(told):
            self.state = replace(self.state, best_iou=told.iou, best_step=self.state.step, stale=0)
            save_best(self.tuning.folder, self.state, self.tuning.network.module)
        else:
            self.state = replace(self.state, stale=self.state.stale + 1)

    def _finish(self, why: str) -> None:
        self.state = replace(self.state, finished=why)

    def _save(self) -> None:
        self.state = replace(self.state, scaler=dict(self.scaler.state_dict()))
        save_last(self.tuning.folder, self.state, self.tuning.network.module, self.optimizer)

    def _tell(self, figures: dict[str, float]) -> None:
        for one in self.history:
            one.tell(self.state.step, figures)


def _named(told: Validation) -> dict[str, float]:
    """A validation as figures of the history."""
    return {"val_iou": told.iou, **{f"val_iou_{name}": value for name, value in told.by_category.items()}}

"""Checkpoints of a tuning: tensors and plain values in one safetensors file, whole or not at all, nothing pickled.

`last.safetensors` is where a training goes on, `previous.safetensors` the one before it, kept in case the disk loses
the newest, and `best.safetensors` the best weights so far. What belongs elsewhere: what a step does (loop).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_assets.specs import SpecError
from lora_assets.store import StoreError, atomic_write

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LAST, PREVIOUS, BEST = "last.safetensors", "previous.safetensors", "best.safetensors"
_STATE = "lora_assets.state"
_MODEL, _MOMENTS = "model.", "optimizer."


class FinetuningError(SpecError):
    """A tuning that cannot start or go on; the text names the cause and the way out."""


@dataclass(frozen=True, slots=True)
class TuningState:
    """Where a training is: all that a step depends on, beside weights and moments.

    fingerprint: digest of data, base and settings; `best_iou` at `best_step`, `stale` validations since; `seconds` at
    work; `scaler` the state of float16's loss scale; `finished` says why it ended, "" while it goes on.
    """

    fingerprint: str
    step: int = 0
    best_iou: float = -1.0
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    scaler: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The weights that learn, by name."""
    return {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}


def save_last(folder: Path, state: TuningState, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Replace the last checkpoint, keeping the one before. Raises FinetuningError when the disk is full or a tensor is
    not finite: the last good checkpoint is then still there."""
    tensors = {_MODEL + name: value for name, value in trained_tensors(module).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"{_MOMENTS}{index}.{name}": value for name, value in moments.items()}
    last = folder / LAST
    _write(folder / f"{LAST}.new", tensors, state)
    if last.exists():
        last.replace(folder / PREVIOUS)
    (folder / f"{LAST}.new").replace(last)


def save_best(folder: Path, state: TuningState, module: nn.Module) -> None:
    """Replace the best weights."""
    _write(folder / BEST, {_MODEL + name: value for name, value in trained_tensors(module).items()}, state)


def _write(path: Path, tensors: Mapping[str, Tensor], state: TuningState) -> None:
    import torch
    from safetensors.torch import save

    spoiled = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if spoiled:
        raise FinetuningError(
            f"{len(spoiled)} tensors are no numbers after step {state.step} ({spoiled[0]}, ...), so they were not "
            "saved: lower learning_rate, or set precision to float32. What was saved before is whole"
        )
    content = save(
        {name: value.cpu().contiguous() for name, value in tensors.items()}, {_STATE: json.dumps(asdict(state))}
    )
    try:
        atomic_write(path, lambda handle: handle.write(content))
    except StoreError as error:
        raise FinetuningError(
            f"the checkpoint of step {state.step} could not be written ({error.__cause__ or error}). The last good one "
            f"is whole: free {len(content) / 1e6:.0f} MB on the disk of {path.parent}, then go on with --resume"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A checkpoint as it was read."""

    path: Path
    state: TuningState
    weights: Mapping[str, Tensor]
    moments: Mapping[int, Mapping[str, Tensor]]


def read_last(folder: Path) -> Kept | None:
    """The newest checkpoint that can be read: the last, else the one before it; None when there is none."""
    problems = []
    for name in (LAST, PREVIOUS):
        try:
            return read_checkpoint(folder / name)
        except FileNotFoundError:
            continue
        except FinetuningError as error:
            problems.append(str(error))
    if problems:
        raise FinetuningError("; ".join(problems))
    return None


def read_checkpoint(path: Path) -> Kept:
    """A checkpoint, tensors and plain values only. Raises FileNotFoundError, and FinetuningError for a damaged one."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()[_STATE])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = TuningState(**{one.name: told[one.name] for one in fields(TuningState)})
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise FinetuningError(f"{path} is damaged ({error}): delete it, or leave out --resume to begin anew") from error
    weights = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_MOMENTS):
            index, moment = name.removeprefix(_MOMENTS).split(".", 1)
            moments.setdefault(int(index), {})[moment] = value
    return Kept(path, state, weights, moments)


def forget(folder: Path) -> None:
    """Remove the checkpoints of an earlier training, which begins anew here."""
    for name in (LAST, PREVIOUS, BEST):
        (folder / name).unlink(missing_ok=True)


def put_weights(module: nn.Module, kept: Kept) -> None:
    """Put a checkpoint's weights into the network. Raises FinetuningError when they are of another one."""
    import torch

    own = dict(module.named_parameters())
    wanted = {name for name, value in own.items() if value.requires_grad}
    if wanted != set(kept.weights) or any(own[name].shape != value.shape for name, value in kept.weights.items()):
        raise FinetuningError(f"{kept.path} holds the weights of another training: leave out --resume to begin anew")
    with torch.no_grad():
        for name, value in kept.weights.items():
            own[name].copy_(value)


def put_moments(optimizer: torch.optim.Optimizer, kept: Kept) -> None:
    """Put a checkpoint's moments into the optimizer."""
    told = optimizer.state_dict()
    told["state"] = {index: dict(moments) for index, moments in kept.moments.items()}
    optimizer.load_state_dict(told)

"""The course of a training as it is told: always as JSON lines, and to TensorBoard or Weights & Biases where asked.

Figures only, never pictures. Weights & Biases is offline unless the settings say online and the environment
(WANDB_MODE) does not say otherwise. What belongs elsewhere: which figures there are (loop).
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lora_assets.finetuning.checkpoints import FinetuningError
from lora_assets.finetuning.settings import AUTO, TENSORBOARD, WANDB, TrainingSettings
from lora_assets.store import atomic_write_bytes

HISTORY = "history.jsonl"
_MODES = ("online", "offline", "disabled")
"""Of Weights & Biases, from the one that sends figures to the one that keeps none."""

_FIGURES_ONLY: dict[str, Any] = {
    "console": "off", "save_code": False, "disable_git": True, "disable_job_creation": True, "x_disable_meta": True,
    "x_disable_stats": True, "x_disable_machine_info": True, "x_save_requirements": False, "quiet": True,
    "show_info": False,
}  # fmt: skip
"""What Weights & Biases would take by itself and send with the figures: the terminal's text, code and commit, the
machine, its load, the installed packages. The terminal is left to the training's own words."""


class FigureSink(Protocol):
    """Takes the figures of a training."""

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures of a step."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


def check_log(settings: TrainingSettings) -> None:
    """Raises FinetuningError when the settings ask for a library that is not installed."""
    for kind, module in ((WANDB, "wandb"), (TENSORBOARD, "tensorboard")):
        if settings.log == kind and not _installed(module):
            raise FinetuningError(
                f'log = "{kind}" needs {module}, which is not installed: pip install {module}, or set log = "files" '
                f"(the figures are in {HISTORY} always)"
            )


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


class JsonLines:
    """One line of JSON per telling. A resumed training drops the lines after its checkpoint, which come again."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        kept = [line for line in read_history(path) if line["step"] <= resumed_at] if resumed_at else []
        atomic_write_bytes(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._path = path

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a line; a full disk loses the line and not the training, whose checkpoint speaks up."""
        try:
            with self._path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps({"step": step, **figures}) + "\n")
        except OSError:
            return

    def close(self) -> None:
        """Nothing is open."""


class _TensorBoard:
    def __init__(self, folder: Path, resumed_at: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Figures from this step on are hidden, and those of the checkpoint's own step do not come again.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at + 1 if resumed_at else None)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, folder: Path, name: str, fingerprint: str, settings: TrainingSettings) -> None:
        # Read once, at the import: its own reports of errors go to its maker, also offline.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb  # pyright: ignore[reportMissingImports]

        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=settings.wandb_project, name=name, id=f"{name}-{fingerprint}", resume="allow",
            mode=stricter_mode(settings.wandb_mode, os.environ.get("WANDB_MODE", "")), dir=str(folder),
            config={"fingerprint": fingerprint, **asdict(settings)}, settings=wandb.Settings(**_FIGURES_ONLY),
        )  # fmt: skip

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


def stricter_mode(setting: str, environment: str) -> str:
    """Which of the two modes of Weights & Biases sends less; words of the environment that are not known send nothing.

    So neither a settings file nor a machine's environment can send what the other one keeps back.
    """
    told = environment.strip().lower() or setting
    return max((setting, told if told in _MODES else _MODES[1]), key=_MODES.index)


def open_history(
    folder: Path, name: str, fingerprint: str, settings: TrainingSettings, resumed_at: int
) -> list[FigureSink]:
    """All that take the figures of the training with this fingerprint. Raises FinetuningError as `check_log`."""
    check_log(settings)
    sinks: list[FigureSink] = [JsonLines(folder / HISTORY, resumed_at)]
    if settings.log == WANDB:
        sinks.append(_WeightsAndBiases(folder, name, fingerprint, settings))
    elif settings.log == TENSORBOARD or (settings.log == AUTO and _installed("tensorboard")):
        sinks.append(_TensorBoard(folder, resumed_at))
    return sinks


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of a history, those that a kill cut off left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("step"), int):
            found.append(told)
    return found

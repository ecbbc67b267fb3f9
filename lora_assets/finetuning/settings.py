"""How a segmenter is tuned: the settings file `data/segmenters/<name>.toml`, read, checked and written.

What the settings do belongs to the modules that they name; where the files lie, to annotations.places.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_assets.annotations.places import segmenter_path
from lora_assets.models.tuned import check_tuned_name
from lora_assets.specs import SpecError
from lora_assets.store import atomic_write_bytes

FROZEN, LORA, FULL = "frozen", "lora", "full"
FILES, TENSORBOARD, WANDB, AUTO = "files", "tensorboard", "wandb", "auto"
MEMORY, DISK, NONE = "memory", "disk", "none"
PRECISIONS = (AUTO, "float32", "bfloat16", "float16")

_CHOICES = {
    "encoder": (FROZEN, LORA, FULL),
    "precision": PRECISIONS,
    "cache": (MEMORY, DISK, NONE),
    "log": (AUTO, FILES, TENSORBOARD, WANDB),
    "wandb_mode": ("offline", "online"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10_000_000), "prompts": (1, 256), "pages": (1, 256), "corrections": (0, 16), "warmup_steps": (0, 1e6),
    "lora_rank": (1, 256), "validate_every": (1, 1e6), "val_annotations": (1, 1e6), "patience": (0, 1e6),
    "save_every": (1, 1e6), "seed": (0, 2**31 - 1), "share_of_points": (0, 1), "share_of_both": (0, 1),
    "box_jitter": (0, 0.5), "learning_rate": (0, 1), "encoder_rate": (0, 1), "weight_decay": (0, 1),
    "clip_norm": (1e-6, 1e6), "lora_alpha": (1e-6, 1e6), "focal_weight": (0, 1e6), "balanced_weight": (0, 1e6),
    "dice_weight": (0, 1e6), "iou_weight": (0, 1e6), "cache_gb": (0, 1e4), "least_gain": (0, 1), "minutes": (0, 1e6),
}  # fmt: skip


def _told(default: Any, words: str, *, counts: bool = True) -> Any:
    """A setting with the words that stand beside it in a new settings file.

    `counts`: the weights of a step depend on it; False for what only ends, keeps or tells of a training.
    """
    return field(default=default, metadata={"words": words, "counts": counts})


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Every setting of a training, with its words. Raises ValueError for a value that does not fit."""

    steps: int = _told(1500, "steps of the optimizer")
    prompts: int = _told(8, "annotations of a page that are asked for at once; fewer take less memory")
    pages: int = _told(2, "pages whose gradients are gathered into one step, one after the other")
    corrections: int = _told(1, "clicks on what was wrong, after the first prompt")
    share_of_points: float = _told(0.2, "first prompts that are a point; all others are boxes")
    share_of_both: float = _told(0.1, "first prompts that are a box and a point")
    box_jitter: float = _told(0.05, "how far a box's edges are off, in its sides (standard deviation)")
    learning_rate: float = _told(0.0, "0: the usual one of the architecture")
    encoder_rate: float = _told(0.1, "the image encoder's learning rate, as a share of it, when the encoder learns")
    warmup_steps: int = _told(30, "steps in which the learning rate climbs")
    weight_decay: float = _told(0.01, "AdamW's")
    clip_norm: float = _told(1.0, "largest norm of the gradient")
    encoder: str = _told(FROZEN, 'image encoder: "frozen", "lora" (small adapters in its attention) or "full"')
    lora_rank: int = _told(8, 'with encoder = "lora"')
    lora_alpha: float = _told(16.0, 'with encoder = "lora"')
    focal_weight: float = _told(20.0, "weight of the focal loss")
    balanced_weight: float = _told(0.0, "weight of the balanced loss: 1, without focal loss, for a random start")
    dice_weight: float = _told(1.0, "weight of the Dice loss")
    iou_weight: float = _told(1.0, "weight of the error of the predicted IoU")
    precision: str = _told(AUTO, '"auto" (bfloat16 on a GPU that has it), "float32", "bfloat16" or "float16"')
    cache: str = _told(
        MEMORY, 'embeddings of a frozen encoder are kept in "memory", on "disk", or "none"', counts=False
    )
    cache_gb: float = _told(4.0, "most gigabytes of them", counts=False)
    validate_every: int = _told(150, "steps between two validations")
    val_annotations: int = _told(160, "annotations of the split val that are asked for at each")
    patience: int = _told(6, "validations without a better IoU after which it ends; 0: never", counts=False)
    least_gain: float = _told(0.0005, "IoU by which one is better than another")
    save_every: int = _told(50, "steps between two checkpoints", counts=False)
    minutes: float = _told(0.0, "ends after so many minutes of work; 0: no limit", counts=False)
    seed: int = _told(0, "other seeds give other prompts")
    log: str = _told(AUTO, '"auto" (TensorBoard where installed), "files", "tensorboard" or "wandb"', counts=False)
    wandb_mode: str = _told("offline", '"offline" sends nothing; "online" figures, never pictures', counts=False)
    wandb_project: str = _told("lora-assets", 'with log = "wandb"', counts=False)

    def __post_init__(self) -> None:
        """Check types, choices and ranges."""
        for one in dataclasses.fields(self):
            _check(one.name, getattr(self, one.name), type(one.default))
        if self.share_of_points + self.share_of_both > 1:
            raise ValueError("share_of_points and share_of_both are more than 1 together")

    def counted(self) -> dict[str, Any]:
        """The settings that the weights of a step depend on."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.metadata["counts"]}


def _check(name: str, value: Any, kind: type) -> None:
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        words = {int: "a whole number", float: "a number", str: "text"}[kind]
        raise ValueError(f"{name} must be {words}, not {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}, not {value!r}")
    if name in _RANGES:
        low, high = _RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must lie from {low:g} to {high:g}, not {value!r}")
    if isinstance(value, str) and not value.strip():
        raise ValueError(f"{name} must not be empty")


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """A settings file: the tuned model's name, annotated set and base as the person named them, the training."""

    name: str
    annotations: str
    base: str
    training: TrainingSettings


def read_segmenter(data: Path, name: str) -> SegmenterSettings:
    """The settings file of a segmenter. Raises SpecError naming the file, the entry and what may stand there."""
    path = segmenter_path(data, name)
    check_tuned_name(name, data)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(
            f"{path} is not there: lora-assets train-segmenter {name} --annotations SET --base MODEL writes it"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path} cannot be read as TOML: {error}. Mend the file") from error
    unknown = sorted(set(told) - {"annotations", "base", "training"})
    if unknown:
        known = "annotations, base, [training]"
        raise SpecError(f"{path}: unknown entry {', '.join(unknown)}; known: {known}")
    for entry in ("annotations", "base"):
        if not isinstance(told.get(entry), str) or not told[entry].strip():
            raise SpecError(f'{path}: needs an entry {entry} = "..."')
    return SegmenterSettings(name, told["annotations"], told["base"], _training(path, told.get("training", {})))


def _training(path: Path, values: Any) -> TrainingSettings:
    if not isinstance(values, dict):
        raise SpecError(f"{path}: training must be a section [training]")
    known = {one.name: type(one.default) for one in dataclasses.fields(TrainingSettings)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SpecError(f"{path}, section [training]: unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
    try:
        return TrainingSettings(**values)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{path}, section [training]: {error}") from error


def write_segmenter(data: Path, settings: SegmenterSettings) -> Path:
    """Write a new settings file, with words beside each entry. Raises SpecError when there is one."""
    path = segmenter_path(data, check_tuned_name(settings.name, data))
    if path.exists():
        raise SpecError(f"{path} is there already: edit it, or choose another name")
    lines = [
        f"# The segmenter {settings.name}: lora-assets train-segmenter {settings.name}",
        f"annotations = {_toml(settings.annotations)}  # a folder of data/annotations, or an absolute path",
        f"base = {_toml(settings.base)}  # a name of lora-assets models list, a .pth, or a SAM 2 folder",
        "",
        "[training]",
    ]
    lines += [
        f"{one.name} = {_toml(getattr(settings.training, one.name))}  # {one.metadata['words']}"
        for one in dataclasses.fields(TrainingSettings)
    ]
    atomic_write_bytes(path, ("\n".join(lines) + "\n").encode())
    return path


def _toml(value: Any) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()

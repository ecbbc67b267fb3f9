"""Everything that can be known before a training starts is checked here: data, base, settings, memory, disk.

Nothing is written. What belongs elsewhere: what is wrong with single annotations (annotations.reading).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_assets.annotations import AnnotatedSet, AnnotationError, read_annotated_set
from lora_assets.annotations.places import annotations_folder
from lora_assets.annotations.reading import forbids_training
from lora_assets.annotations.records import SPLITS
from lora_assets.finetuning.checkpoints import FinetuningError
from lora_assets.finetuning.history import check_log
from lora_assets.finetuning.loop import precision_of
from lora_assets.finetuning.memory import MemoryEstimate, estimate_memory, ways_out
from lora_assets.finetuning.networks import TUNABLE, Sam2Network, open_network
from lora_assets.finetuning.pages import usable
from lora_assets.finetuning.settings import DISK, FROZEN, SegmenterSettings, read_segmenter
from lora_assets.models import OpenWeights, resolve
from lora_assets.models.registry import STARTER_SAM
from lora_assets.store import digest
from lora_assets.vision.sam2 import codes_agree
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from lora_assets.finetuning.networks import Network

CODE_VERSION = "2"
"""Of all that makes a tuned model: a new one tunes again."""

_GIGABYTE = 1024**3
_MOST_NAMED = 5
_TWO_CODES = (
    "the base {base} codes places of the picture and of prompts differently, as no trained SAM 2 does: boxes can "
    "hardly be learned. Name a trained checkpoint, or begin with --new-sam2"
)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A training that may start: the set, the base opened, the memory it takes, and what a person should know.

    `fingerprint` is the digest of data, base, code and the settings that count (`TrainingSettings.counted`): the same
    one gives the same weights at the same step on the same machine. When a training ends (minutes, patience) is not in
    it, so that it can be given more and go on.
    """

    settings: SegmenterSettings
    found: AnnotatedSet
    base: OpenWeights
    network: Network
    memory: MemoryEstimate
    fingerprint: str
    device: str
    notes: tuple[str, ...]


def work_folder(data: Path, name: str) -> Path:
    """Where a segmenter's checkpoints, history and pictures lie, beside its settings file."""
    return data / "segmenters" / name


def check_before(data: Path, name: str) -> Ready:
    """Check a segmenter's settings file and all that it names, and open the base.

    Raises FinetuningError, SpecError, AnnotationError or ModelError, naming the cause and the way out.
    """
    settings = read_segmenter(data, name)
    found, notes = checked_set(annotations_folder(data, settings.annotations))
    check_log(settings.training)
    device = torch_device()
    precision_of(settings.training, device)
    base = tunable_base(data, settings)
    network = open_network(base)
    if isinstance(network, Sam2Network) and not codes_agree(network.module):
        notes.append(_TWO_CODES.format(base=base.name))
    memory = estimate_memory(network, settings.training, len(found.images), device)
    if not memory.fits:
        raise FinetuningError(
            f"{memory.words()}. That is too much: set {'; or '.join(ways_out(settings.training, device))}"
        )
    if memory.is_tight:
        notes.append(f"memory is tight; if it fails, set {'; or '.join(ways_out(settings.training, device))}")
    check_disk(data, name, settings, memory, base)
    network.module.to(device)  # pyright: ignore[reportArgumentType]
    fingerprint = training_digest(settings, found.digest, base.sha256)
    return Ready(settings, found, base, network, memory, fingerprint, device, tuple(notes))


def training_digest(settings: SegmenterSettings, data_digest: str, base_sha256: str) -> str:
    """What the weights of a training's steps depend on."""
    return digest("finetuning", CODE_VERSION, data_digest, base_sha256, settings.training.counted())


def checked_set(folder: Path) -> tuple[AnnotatedSet, list[str]]:
    """The annotated set of a folder, fit for a training, and what is wrong with single entries of it, in words.

    Raises AnnotationError when it cannot be read or a split lacks what the other has.
    """
    found, problems = read_annotated_set(folder)
    if not_fit := forbids_training(problems):
        raise AnnotationError("; ".join(str(problem) for problem in not_fit[:_MOST_NAMED]))
    for split in SPLITS:
        if not any(usable(some) for _, some in found.of_split(split)):
            raise AnnotationError(
                f"{folder}: the split {split} holds no single thing to ask for: add annotations with "
                f'"split": "{split}" that are not crowds'
            )
    # Whole pages that a split costs come first: single entries may be many.
    lost = sorted((one for one in problems if one.severity == "error"), key=lambda one: one.kind != "unknown_split")
    notes = [f"left out: {problem}" for problem in lost[:_MOST_NAMED]]
    if len(problems) > len(notes):
        notes.append(f"and {len(problems) - len(notes)} more: lora-assets annotations check")
    return found, notes


def tunable_base(data: Path, settings: SegmenterSettings) -> OpenWeights:
    """The base of a training. Raises FinetuningError for one of an architecture that cannot be tuned (so)."""
    if settings.base == settings.name:
        raise FinetuningError(f"{settings.name} cannot be its own base: give the next tune another name")
    base = resolve(settings.base, data)
    if base.family not in TUNABLE:
        raise FinetuningError(
            f"{base.name} ({base.path}) is of the family {base.family}, which is not tuned here: name a Segment "
            f"Anything checkpoint or a SAM 2 folder as base (families {', '.join(TUNABLE)})"
        )
    if base.family == STARTER_SAM and settings.training.encoder != FROZEN:
        raise FinetuningError(
            f'{base.name} has no image encoder that could learn: set encoder = "frozen" (all of it learns then)'
        )
    return base


def check_disk(
    data: Path,
    name: str,
    settings: SegmenterSettings,
    memory: MemoryEstimate,
    base: OpenWeights,
    free: int | None = None,
) -> None:
    """Raises FinetuningError when the disk has no room for the checkpoints and the tuned model.

    Three whole checkpoints are there for a moment (the last, the one before, the one that is written), the best weights
    and the new model.
    """
    weights = 4 * memory.trained_numbers
    need = 3 * 3 * weights + 2 * weights + 2 * base.path.stat().st_size
    need += int(settings.training.cache_gb * _GIGABYTE) if settings.training.cache == DISK else 0
    folder = work_folder(data, name)
    while not folder.exists():
        folder = folder.parent
    left = shutil.disk_usage(folder).free if free is None else free
    if left < need:
        ways = "make room" + (', or set cache = "memory"' if settings.training.cache == DISK else "")
        raise FinetuningError(
            f"checkpoints and the tuned model need {need / 1e9:.1f} GB on the disk of {folder}, {left / 1e9:.1f} GB "
            f"are free: {ways}"
        )

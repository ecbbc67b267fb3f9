"""How much memory a training will take, told before it starts, and what to change when there is not enough.

Nothing is guessed from a model's name: the network is laid out without storage (torch's "meta" device) and asked once,
and what a backward pass would keep is counted. The counts leave out what the allocator wastes; a share is added.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lora_assets.finetuning.learning import choose_weights
from lora_assets.finetuning.networks import Network, Sam2Network, SamNetwork, StarterNetwork
from lora_assets.finetuning.prompts import Prompts
from lora_assets.finetuning.settings import FROZEN, FULL, MEMORY, TrainingSettings

if TYPE_CHECKING:
    import torch
    from torch import nn

_GIGABYTE = 1024**3
_WASTE = 1.15
_RUNTIME_GB = 1.0
"""What Python, torch and its kernels take before any weight is there."""
_HOLES = 0.6
"""Of the embeddings that are kept: what stays between tensors that go leaves holes in the heap. Measured with the
starter SAM: 0.6 GB of holes beside 1.0 GB that was kept, 3.3 GB in all where 1.3 GB was."""
_TIGHT = 0.8
_PASSING = 3
"""Tensors as large as the largest that are alive at once where nothing is kept for a backward pass."""
_CONTROL_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
REFERENCE = "for comparison: SAM 2 base, large and huge, trained at 1024 pixels, are given 8, 16 and 24 GB"


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Gigabytes: weights, gradients with the optimizer's moments, the image encoder's and the answers' activations,
    embeddings that are kept in memory, a checkpoint as it is written, which lies in the machine's memory. What Python,
    torch and its kernels take, the allocator's waste and the holes between kept embeddings come on top in `total`.

    `free` is what the device has, None where it cannot be told.
    """

    weights: float
    learning: float
    encoder: float
    answers: float
    cache: float
    saving: float
    trained_numbers: int
    free: float | None
    device: str

    @property
    def total(self) -> float:
        """All together, on the device; on a CPU with the cache and a checkpoint."""
        beside = self.cache + self.holes + self.saving if self.device == "cpu" else 0.0
        return _RUNTIME_GB + _WASTE * (self.weights + self.learning + self.encoder + self.answers) + beside

    @property
    def holes(self) -> float:
        """What is lost between kept embeddings, where they lie in the machine's memory."""
        return _HOLES * self.cache

    @property
    def fits(self) -> bool:
        """False when it is more than the device has free."""
        return self.free is None or self.total <= self.free

    @property
    def is_tight(self) -> bool:
        """True when it fits and little is left."""
        return self.free is not None and self.fits and self.total > _TIGHT * self.free

    def words(self) -> str:
        """The estimate in a line."""
        free = "" if self.free is None else f" of {self.free:.1f} GB that are free"
        return (
            f"memory: about {self.total:.1f} GB{free} on {self.device} (weights {self.weights:.2f}, gradients and "
            f"moments {self.learning:.2f}, image encoder {self.encoder:.2f}, answers {self.answers:.2f}, kept "
            f"embeddings up to {self.cache:.2f} and holes between them {self.holes:.2f}, a checkpoint as it is written "
            f"{self.saving:.2f}, Python and torch {_RUNTIME_GB:.1f}; "
            f"{self.trained_numbers / 1e6:.1f} million numbers learn); {REFERENCE}"
        )


def ways_out(settings: TrainingSettings, device: str) -> list[str]:
    """What takes less memory, as far as the settings leave it to be changed."""
    ways = []
    if settings.encoder == FULL:
        ways.append('encoder = "frozen" or "lora"')
    elif settings.encoder != FROZEN:
        ways.append('encoder = "frozen"')
    if settings.prompts > 2:
        ways.append(f"prompts = {settings.prompts // 2} (with pages = {settings.pages * 2} it learns as much a step)")
    if settings.cache == MEMORY and device == "cpu":
        ways.append('cache = "disk", or a smaller cache_gb')
    if settings.precision == "float32" and device == "cuda":
        ways.append('precision = "auto"')
    return [*ways, "a smaller base"]


def estimate_memory(
    network: Network, settings: TrainingSettings, pages: int, device: str, free: float | None = None
) -> MemoryEstimate:
    """The memory that a training of this network takes on a device, when the set has `pages` pages.

    `free` in gigabytes, looked up where it is not given. The network itself is not touched.
    """
    import torch

    laid_out = _without_storage(network)
    choose_weights(laid_out, settings)
    trained = sum(value.numel() for value in laid_out.module.parameters() if value.requires_grad)
    weights = sum(value.numel() * value.element_size() for value in laid_out.module.parameters())
    half = settings.precision != "float32" if device == "cuda" else settings.precision == "bfloat16"
    frozen = settings.encoder == FROZEN
    if frozen:
        laid_out.encoder.requires_grad_(True)  # else nothing is kept that could be counted
    features, encoder_kept, encoder_largest = _counted(lambda: laid_out.embed(_page()))
    encoder = _PASSING * encoder_largest if frozen else encoder_kept
    with torch.no_grad():
        given = tuple(one.detach() for one in features)
    answers = _answer_bytes(laid_out, given, settings)
    size = sum(one.numel() * one.element_size() for one in features)
    cache = min(settings.cache_gb * _GIGABYTE, size * pages) if frozen and settings.cache == MEMORY else 0
    share = 0.6 if half else 1.0
    return MemoryEstimate(
        weights / _GIGABYTE, 12 * trained / _GIGABYTE, share * encoder / _GIGABYTE, share * answers / _GIGABYTE,
        cache / _GIGABYTE, 12 * trained / _GIGABYTE, trained, free_memory(device) if free is None else free, device,
    )  # fmt: skip


def free_memory(device: str) -> float | None:
    """Gigabytes that are free on the device; None where the system does not tell.

    Of a machine's memory no more than its control group (a container's limit) leaves.
    """
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / _GIGABYTE
    told = [*_left_in_groups(_CONTROL_GROUPS, _OWN_GROUPS)]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        told += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    return min(told) / _GIGABYTE if told else None


def _left_in_groups(root: Path, own: Path) -> Iterator[int]:
    """Bytes that each memory limit above this process leaves (control groups, Linux's cgroups(7), version 1 and 2)."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        limit, used, passing = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        # In a container the group's own path often is its root, so that the named one is not there.
        group = top / path.strip("/")
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(top))):
            try:
                most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue  # "max" is no limit
            # What was read from files and not used lately gives way by itself.
            yield max(0, most - taken + int(stat.get(passing, 0)))


def _without_storage(network: Network) -> Network:
    """The same network on the meta device; costs no memory worth naming."""
    tensors = [*network.module.parameters(), *network.module.buffers()]
    module: Any = copy.deepcopy(network.module, {id(one): _empty(one) for one in tensors})
    if isinstance(network, Sam2Network):
        return Sam2Network(module)
    return (StarterNetwork if isinstance(network, StarterNetwork) else SamNetwork)(module, network.family)


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    laid = torch.empty_like(tensor, device="meta")
    return torch.nn.Parameter(laid, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else laid


def _page() -> np.ndarray:
    return np.zeros((1024, 1024, 3), np.uint8)


def _counted(ask: Callable[[], Any]) -> tuple[Any, int, int]:
    """What `ask` gives, the bytes that its backward pass would keep, and its largest tensor."""
    import torch

    kept: dict[int, int] = {}
    held: list[torch.Tensor] = []  # alive, so that no two have the same id
    largest = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        size = tensor.numel() * tensor.element_size()
        largest = max(largest, size)
        if not isinstance(tensor, torch.nn.Parameter):
            kept[id(tensor)] = size
            held.append(tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        given = ask()
    outputs = sum(one.numel() * one.element_size() for one in given if isinstance(one, torch.Tensor))
    return given, sum(kept.values()) + outputs, max(largest, outputs)


def _answer_bytes(network: Network, features: tuple[torch.Tensor, ...], settings: TrainingSettings) -> int:
    """What a round of answers and its losses keep."""
    import torch

    count, size = settings.prompts, (1024, 1024)
    if isinstance(network, StarterNetwork):
        from lora_assets.vision.starter_layers import CHANNELS
        from lora_assets.vision.starter_sam import LOOK_SIDE

        looks = torch.empty(count, CHANNELS, LOOK_SIDE, LOOK_SIDE, device="meta")
        decoder: nn.Module = network.module.mask_decoder
        logits, kept, _ = _counted(lambda: decoder.network(looks))  # pyright: ignore[reportCallIssue]
        planes = logits[0]
    else:
        boxes = np.tile(np.array([100, 100, 900, 900], np.float32), (count, 1))
        # Boxes only: telling points apart by their labels needs values, and meta tensors have none.
        prompts = Prompts(boxes, np.zeros((count, 0, 2), np.float32), np.zeros((count, 0), np.int64))

        def ask() -> tuple[torch.Tensor, ...]:
            answers = network.answer(features, prompts, size, three=True, earlier=None, in_use=False)
            return answers.logits, answers.estimates

        (planes, _), kept, _ = _counted(ask)
    # Sigmoid, entropy, weights, shares and their products, in float32.
    return kept + 12 * 4 * planes.numel()

"""LoRA adapters: a frozen linear layer with a small trained product of two matrices beside it.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021: W + alpha/rank * B A, B zero at first, so that
nothing changes before training. Merged into W they cost nothing in use. Torch is imported at the top, so import this
module inside a function only.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from lora_assets.finetuning.checkpoints import FinetuningError

_TARGETS = ("qkv", "q_proj", "k_proj", "v_proj", "proj")
"""Linear layers of attention, by the last part of their name, as SAM, MobileSAM and Hiera call them."""


class AdaptedLinear(nn.Module):
    """A linear layer that stays as it is, plus its adapter."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        rank = min(rank, base.in_features, base.out_features)
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """The layer's answer with the adapter's part."""
        return self.base(given) + self.scale * nn.functional.linear(nn.functional.linear(given, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The layer with its adapter in its weights."""
        self.base.weight += self.scale * self.up @ self.down
        return self.base


def add_adapters(module: nn.Module, rank: int, alpha: float) -> int:
    """Put an adapter beside every linear layer of attention in `module`; returns how many there are.

    Raises FinetuningError when there is none: nothing of the module would learn.
    """
    found = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and name in _TARGETS and not isinstance(parent, AdaptedLinear)
    ]
    if not found:
        raise FinetuningError(
            f"{type(module).__name__} has no linear layer of attention ({', '.join(_TARGETS)}) to put adapters beside: "
            'set encoder = "frozen" or "full"'
        )
    for parent, name, child in found:
        setattr(parent, name, AdaptedLinear(child, rank, alpha))
    return len(found)


def merge_adapters(module: nn.Module) -> None:
    """Put every adapter into the weights beside it; the module then has the names and shapes that it had at first."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, AdaptedLinear):
                setattr(parent, name, child.merged())

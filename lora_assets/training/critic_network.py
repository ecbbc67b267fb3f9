"""The network of the mask critic: a smaller trunk than the starter SAM's, and how it begins with what that has learned.

Torch is imported at the top, so import this module inside a function only. How it is trained is in `mask_critic`.
"""

from __future__ import annotations

import torch
from torch import nn

from lora_assets.vision.critic_look import CHANNELS
from lora_assets.vision.starter_layers import LookNetwork, ResidualUNet
from lora_assets.vision.starter_sam import WIDTHS as SAM_WIDTHS

WIDTHS = SAM_WIDTHS[:4]
"""Channels at 1/2, 1/4, 1/8 and 1/16 of a look's side."""
BLOCKS = (0, 1, 1, 1)
MAPS = 2
"""What is in the mask and should not be, and what is missing in it."""
_RARE = -3.0
_POINTS = 4


class CriticNetwork(ResidualUNet):
    """From looks Bx`CHANNELS`xSxS: logits Bx2x(S/2)x(S/2), of what is too much in the mask and of what it lacks."""

    def __init__(self) -> None:
        super().__init__(CHANNELS, WIDTHS, BLOCKS, smoothings=1)
        self.maps = nn.Conv2d(WIDTHS[0], MAPS, kernel_size=1)
        nn.init.constant_(self.maps.bias, _RARE)  # pyright: ignore[reportArgumentType]

    def forward(self, looks: torch.Tensor) -> torch.Tensor:
        """The logits of a batch of looks."""
        return self.maps(self.seen(looks)[1])


def begin_with(network: CriticNetwork, teacher: LookNetwork) -> int:
    """Copy what fits of the weights of a starter SAM's network, in place; returns how many numbers were copied.

    Both see the box, a given mask and where the frame is in the same channels; what SAM sees as points are the others'
    masks here, and begins with no say.
    """
    known = {name: value for name, value in teacher.state_dict().items() if not name.startswith(("masks", "quality"))}
    own = network.state_dict()
    same = {name: value.clone() for name, value in known.items() if name in own and own[name].shape == value.shape}
    same["downs.0.0.0.weight"][:, _POINTS] = 0.0
    network.load_state_dict(own | same)
    return sum(value.numel() for value in same.values())

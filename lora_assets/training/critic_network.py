"""The network of the mask critic: a small residual U-Net, and how it begins with what the starter SAM has learned.

Torch is imported at the top, so import this module inside a function only. How it is trained is in `mask_critic`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

from lora_assets.vision.critic_look import CHANNELS
from lora_assets.vision.starter_layers import LookNetwork
from lora_assets.vision.starter_sam import WIDTHS as SAM_WIDTHS

WIDTHS = SAM_WIDTHS[:4]
"""Channels at 1/2, 1/4, 1/8 and 1/16 of a look's side."""
BLOCKS = (0, 1, 1, 1)
MAPS = 2
"""What is in the mask and should not be, and what is missing in it."""
_RARE = -3.0
_POINTS = 4


class CriticNetwork(nn.Module):
    """From looks Bx`CHANNELS`xSxS: logits Bx2x(S/2)x(S/2), of what is too much in the mask and of what it lacks."""

    def __init__(self) -> None:
        super().__init__()
        downs: list[nn.Module] = []
        before = CHANNELS
        for width, count in zip(WIDTHS, BLOCKS, strict=True):
            halving = Conv2dNormActivation(before, width, kernel_size=3, stride=2)
            downs.append(nn.Sequential(halving, *(BasicBlock(width, width) for _ in range(count))))
            before = width
        self.downs = nn.ModuleList(downs)
        pairs = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(wide, width, kernel_size=1) for wide, width in pairs)
        self.aside = nn.ModuleList(nn.Conv2d(width, width, kernel_size=1) for _, width in pairs)
        self.ups = nn.ModuleList(Conv2dNormActivation(width, width, 3) for _, width in pairs)
        self.maps = nn.Conv2d(WIDTHS[0], MAPS, kernel_size=1)
        nn.init.constant_(self.maps.bias, _RARE)  # pyright: ignore[reportArgumentType]

    def forward(self, looks: torch.Tensor) -> torch.Tensor:
        """The logits of a batch of looks."""
        seen = []
        for down in self.downs:
            looks = down(looks)
            seen.append(looks)
        picture = seen[-1]
        for narrow, aside, up, beside in zip(self.narrow, self.aside, self.ups, seen[-2::-1], strict=True):
            picture = functional.interpolate(narrow(picture), scale_factor=2.0, mode="nearest")
            picture = up(picture + aside(beside))
        return self.maps(picture)


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

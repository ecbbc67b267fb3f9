"""The ends of the starter SAM that learn nothing: the picture handed on as it is, and prompts as plain numbers.

`segment_anything` asks for an image encoder and a prompt encoder; the starter does all its work where the mask is made
(`starter_layers`), once for each prompt. Torch is imported at the top, so import this module inside a function only.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WANTED, UNWANTED, FIRST_CORNER, LAST_CORNER = 1, 0, 2, 3
"""What a prompt's point is, as in `segment_anything`; -1 is no point."""


class PixelEncoder(nn.Module):
    """Hands the square on as an "embedding" in which each cell of `cell` x `cell` pixels lies in the channels.

    `img_size` is the side of the square that `segment_anything` pads to. In: float Bx3xSxS, normalised. Out:
    Bx(3*cell*cell)x(S/cell)x(S/cell).
    """

    def __init__(self, img_size: int, cell: int) -> None:
        super().__init__()
        self.img_size = img_size
        self.cell = cell

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The packed square."""
        return functional.pixel_unshuffle(image, self.cell)


class PlainPrompts(nn.Module):
    """Prompts as numbers: a "token" is (x, y, what) in input pixels, and the dense part is the mask that was given.

    The interface is that of `segment_anything`'s `PromptEncoder`; it has no weights.
    """

    def __init__(self, input_size: int, mask_size: int) -> None:
        super().__init__()
        self.input_image_size = (input_size, input_size)
        self.mask_input_size = (mask_size, mask_size)
        self.register_buffer("nowhere", torch.zeros(1, 1, 1, 1), persistent=False)

    def get_dense_pe(self) -> torch.Tensor:
        """Nothing: the decoder knows where it looks."""
        return self.nowhere  # pyright: ignore[reportReturnType]

    def forward(
        self,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens BxNx3 and masks Bx1xMxM in -1..1 (zeros where none is given) of B prompts.

        Raises ValueError when nothing is asked.
        """
        tokens = []
        if points is not None:
            places, labels = points
            tokens.append(torch.cat([places, labels[..., None].to(places.dtype)], dim=2))
        if boxes is not None:
            corners = boxes.reshape(-1, 2, 2)
            kinds = corners.new_tensor([FIRST_CORNER, LAST_CORNER]).expand(len(corners), 2)[..., None]
            tokens.append(torch.cat([corners, kinds], dim=2))
        if not tokens and masks is None:
            raise ValueError("nothing is asked: give a box, a point or a mask")
        if masks is not None:
            given = masks.clamp(-1, 1)
            return torch.cat(tokens, dim=1) if tokens else masks.new_zeros(len(masks), 0, 3), given
        told = torch.cat(tokens, dim=1)
        return told, told.new_zeros(len(told), 1, *self.mask_input_size)

"""The prompt encoder of the starter SAM: what is asked is also drawn as a rough mask.

`segment_anything` tells the decoder of a box by two corner tokens only; learning to see "inside this box" from those
takes longer than the whole training of the starter. Here the box is also filled in, and points are dabbed, as the rough
mask that a `PromptEncoder` can take anyway. Torch is imported at the top, so import this module inside a function only;
the rest of the architecture is in `lora_assets.vision.starter_sam`, not here.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import PromptEncoder

SOFT_EDGE = 8.0
"""Input pixels over which the filled box fades, as the edges of detected boxes are not sharp either."""
DAB_RADIUS = 16.0


class RoughPromptEncoder(PromptEncoder):
    """A `PromptEncoder` that draws a rough mask (+1 wanted, -1 not) of boxes and points where no mask is given.

    It has the weights and the interface of its parent; positions are input pixels.
    """

    def forward(
        self,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sparse tokens BxNxC and the dense embedding BxCxHxW of B prompts."""
        if masks is None and (points is not None or boxes is not None):
            masks = self.rough_masks(points, boxes)
        return super().forward(points=points, boxes=boxes, masks=masks)

    def rough_masks(self, points: tuple[torch.Tensor, torch.Tensor] | None, boxes: torch.Tensor | None) -> torch.Tensor:
        """Boxes filled softly and points dabbed (label 1 wanted, 0 not wanted), Bx1xhxw in -1..1."""
        rows, columns = self.mask_input_size
        place = self._get_device()
        y = (torch.arange(rows, device=place) + 0.5) * (self.input_image_size[0] / rows)
        x = (torch.arange(columns, device=place) + 0.5) * (self.input_image_size[1] / columns)
        drawn: torch.Tensor | None = None
        if boxes is not None:
            x1, y1, x2, y2 = boxes.reshape(-1, 4)[:, :, None].unbind(dim=1)
            across, down = torch.minimum(x - x1, x2 - x), torch.minimum(y - y1, y2 - y)
            drawn = (torch.minimum(across[:, None, :], down[:, :, None]) / SOFT_EDGE).clamp(-1, 1)
        if points is not None:
            places, labels = points
            apart = (x - places[..., 0, None])[:, :, None, :].square() + (y - places[..., 1, None])[..., None].square()
            signs = torch.where(labels == 1, 1.0, torch.where(labels == 0, -1.0, 0.0))[..., None, None]
            dabs = (signs * torch.exp(-apart / (2 * DAB_RADIUS**2))).sum(dim=1)
            drawn = dabs if drawn is None else drawn + dabs
        if drawn is None:
            raise ValueError("a rough mask needs a box or a point: give one")
        return drawn.clamp(-1, 1)[:, None]

"""The loss of answers to prompts: focal, balanced and Dice loss of the masks, and the error of the predicted IoU.

Kirillov et al., "Segment Anything", 2023, appendix A: of three candidates only the best one learns its mask, and the
head that predicts the IoU learns of all. Focal loss: Lin et al., 2017; balanced loss: Xie and Tu, "Holistically-Nested
Edge Detection", 2015, equation 2; Dice loss: Milletari et al., "V-Net", 2016. Torch is
imported at the top, so import this module inside a function only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

ALPHA, GAMMA = 0.25, 2.0
"""Weight of wanted pixels, and how much an easy pixel counts less (Lin et al.)."""

_LEAST_PART = 0.1
"""Cells that a part counts for at least: a thing that covers less of its cell than this pulls less."""


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Means over the prompts: `total` with its gradient, its four parts, and the mean IoU of the best candidates."""

    total: torch.Tensor
    focal: float
    balanced: float
    dice: float
    iou_error: float
    iou: float


def focal_loss(logits: torch.Tensor, wanted: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Focal loss (N,M) of logits (N,M,h,w) against coverage 0..1 (N,1,h,w), over the pixels `inside` (N,1,h,w)."""
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted.expand_as(logits), reduction="none")
    share = logits.sigmoid()
    right = share * wanted + (1 - share) * (1 - wanted)
    weight = ALPHA * wanted + (1 - ALPHA) * (1 - wanted)
    each = weight * (1 - right) ** GAMMA * entropy * inside
    return each.sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)


def balanced_loss(logits: torch.Tensor, wanted: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Cross entropy (N,M) of which one half is the mean over the thing, the other the mean over all around it.

    To answer nothing costs as much as to answer everything, however small the thing is: from a random start the losses
    that count pixels alike, and Dice, are lowest at first where every mask is empty, and hardly leave that.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted.expand_as(logits), reduction="none")
    thing, around = (
        (entropy * part).sum(dim=(2, 3)) / part.sum(dim=(2, 3)).clamp(min=_LEAST_PART)
        for part in (wanted * inside, (1 - wanted) * inside)
    )
    return (thing + around) / 2


def dice_loss(logits: torch.Tensor, wanted: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """1 - Dice (N,M), smoothed by one pixel."""
    share, asked = logits.sigmoid() * inside, wanted * inside
    overlap = (share * asked).sum(dim=(2, 3))
    return 1 - (2 * overlap + 1) / (share.sum(dim=(2, 3)) + asked.sum(dim=(2, 3)) + 1)


def answer_losses(
    logits: torch.Tensor,
    estimates: torch.Tensor,
    wanted: torch.Tensor,
    inside: torch.Tensor,
    *,
    focal_weight: float,
    balanced_weight: float,
    dice_weight: float,
    iou_weight: float,
) -> Losses:
    """The losses of N answers, M candidates: logits (N,M,h,w), predicted IoUs (N,M), coverage and inside (N,h,w)."""
    logits, estimates, wanted, inside = logits.float(), estimates.float(), wanted[:, None], inside[:, None]
    focal, balanced, dice = (loss(logits, wanted, inside) for loss in (focal_loss, balanced_loss, dice_loss))
    masks = focal_weight * focal + balanced_weight * balanced + dice_weight * dice
    best = masks.detach().argmin(dim=1, keepdim=True)
    with torch.no_grad():
        # As `planes.counted`: a thing smaller than half a cell is still asked for.
        least = (wanted.amax(dim=(2, 3), keepdim=True) / 2).clamp(max=0.5)
        found, asked = (logits > 0) & (inside > 0), (wanted > least) & (inside > 0)
        union = (found | asked).sum(dim=(2, 3))
        real = torch.where(union > 0, (found & asked).sum(dim=(2, 3)) / union.clamp(min=1), 1.0)
    iou_error = (estimates - real).square().mean(dim=1)
    total = masks.gather(1, best)[:, 0] + iou_weight * iou_error
    return Losses(
        total.mean(),
        float(focal.detach().gather(1, best).mean()),
        float(balanced.detach().gather(1, best).mean()),
        float(dice.detach().gather(1, best).mean()),
        float(iou_error.detach().mean()),
        float(real.gather(1, best).mean()),
    )

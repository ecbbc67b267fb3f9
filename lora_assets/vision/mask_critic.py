"""The mask critic: a small network that looks at a cut-out and tells what is too much in its mask, and what it lacks.

Starter weights (`lora_assets.training.mask_critic` makes them), asked by `checking_maps`. What a look is made of is in
`critic_look`; what the shares mean for a check does not belong here (mask_evidence).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lora_assets.starter import STARTER_CRITIC
from lora_assets.vision.checking_maps import likely_maps
from lora_assets.vision.critic_look import Floats, cells, look_around, paint
from lora_assets.vision.cutout import CutOut, box_of, once_per_cutout
from lora_assets.vision.outline_pieces import enclosed_gaps


@dataclass(frozen=True, slots=True, eq=False)
class Critique:
    """The critic's answer, cell by cell (see `critic_look.cells`). `too_much` and `missing`: how likely (0..1) what a
    cell holds of the mask is not the character's, and what it holds beside the mask is. `held`, `beside`, `enclosed`:
    how much of a cell the mask holds, the frame beside it, and gaps that the mask encloses."""

    too_much: Floats
    missing: Floats
    held: Floats
    beside: Floats
    enclosed: Floats


@dataclass(frozen=True, slots=True)
class Doubts:
    """What the critic doubts, as shares 0..1 of the mask's area: what is too much in it, what is missing in the gaps
    that it encloses, and beyond its outline. A cell counts by the square of how likely it is wrong, so that many
    faint doubts do not make a large one."""

    too_much: float
    in_gaps: float
    beyond: float


@once_per_cutout
def criticise(cut: CutOut) -> Critique | None:
    """What the critic says of a cut-out; None for a mask without pixels."""
    if not cut.area:
        return None
    box = box_of(cut.detection)
    look = look_around(cut.window, box, *cut.frame_size)
    part = look.part(*cut.frame_size)
    x, y, width, height = part
    others = np.zeros((height, width), np.bool_)
    for other in cut.others:
        others |= other.covers(part)
    canvas = paint(
        look, cut.frame_size, cut.image[y : y + height, x : x + width], cut.subject.covers(part), others, box
    )
    maps = likely_maps(STARTER_CRITIC, canvas.layers())
    held, inside = cells(canvas.mask), cells(canvas.inside)
    enclosed = cells(enclosed_gaps(canvas.mask > 0.5).astype(np.float32))
    return Critique(maps[0], maps[1], held, np.maximum(inside - held, 0.0), enclosed)


@once_per_cutout
def doubts(cut: CutOut) -> Doubts | None:
    """What the critic doubts of a cut-out; None for a mask without pixels."""
    told = criticise(cut)
    if told is None:
        return None
    area = max(float(told.held.sum()), 1e-6)
    gaps = np.minimum(told.beside, told.enclosed)
    return Doubts(
        *(
            float(np.clip((np.square(likely) * where).sum() / area, 0.0, 1.0))
            for likely, where in (
                (told.too_much, told.held), (told.missing, gaps), (told.missing, told.beside - gaps),
            )
        )
    )  # fmt: skip

"""What section [identity] of a tracker may say. Reads nothing; limits of a likeness stand here, one place for all."""

from __future__ import annotations

from dataclasses import dataclass

from lora_assets.identity.clusters import Limits
from lora_assets.identity.medium import MEDIA

AUTO, STARTER, CCIP, ARCFACE = "auto", "starter", "ccip", "arcface"
EMBEDDINGS = (AUTO, STARTER, CCIP, ARCFACE)
LIMITS = {
    STARTER: Limits(core=0.72, join=0.6),
    CCIP: Limits(core=0.72, join=0.643),
    ARCFACE: Limits(core=0.6, join=0.5),
}
"""Likenesses from which on two tracks are one character.

starter: measured on drawn films (docs/BENCHMARKS.md). ccip: its authors' limit of the difference, 0.178 =
(1 - cosine) / 2. arcface: SPEC 7 (0.7 sure, 0.5 perhaps) with the average at perhaps."""
SURE = {STARTER: 0.62, CCIP: 0.72, ARCFACE: 0.7}
"""Likeness to a reference picture from which on a single crop is surely the character."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Section [identity].

    `embedding` auto takes CCIP for drawings and ArcFace for photographs where their weights are there, else the starter
    descriptor; `medium` drawn or photograph says what the pictures are when the statistics cannot tell. `join` and
    `core` (0: the embedding's own) and `sure` (0: its own) are likenesses from 0 to 1. A figure of fewer crops than
    `least_crops` gets no character, unless it is known already. `references` names folders of data/references; none
    means all. Raises ValueError for what does not fit.
    """

    embedding: str = AUTO
    medium: str = AUTO
    ccip: str = "ccip"
    arcface: str = "arcface"
    join: float = 0.0
    core: float = 0.0
    sure: float = 0.0
    least_crops: int = 4
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.embedding not in EMBEDDINGS:
            raise ValueError(f"embedding {self.embedding!r} is unknown: choose {', '.join(EMBEDDINGS)}")
        if self.medium not in (AUTO, *MEDIA[:2]):
            raise ValueError(f"medium {self.medium!r} is unknown: choose auto, drawn or photograph")
        for name in ("join", "core", "sure"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value!r}: give a likeness from 0 (its default) to 1")
        if isinstance(self.least_crops, bool) or not isinstance(self.least_crops, int) or self.least_crops < 1:
            raise ValueError(f"least_crops is {self.least_crops!r}: give a whole number of at least 1")
        if not isinstance(self.references, tuple) or not all(isinstance(name, str) for name in self.references):
            raise ValueError(f"references is {self.references!r}: give a list of folders of data/references")

    def limits(self, embedding: str) -> Limits:
        """The limits of an embedding, with what the person set."""
        own = LIMITS[embedding]
        join = self.join or own.join
        return Limits(core=max(self.core or own.core, join), join=join)

    def sure_from(self, embedding: str) -> float:
        """The likeness from which on a crop surely matches a reference."""
        return self.sure or SURE[embedding]

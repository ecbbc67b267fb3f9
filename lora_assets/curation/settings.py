"""What section [curate] of a tracker may say, with the start values of SPEC 7."""

from __future__ import annotations

import math
from dataclasses import dataclass

THRESHOLD, TOP_K, STRATIFIED = "threshold", "top_k", "stratified"
METHODS = (THRESHOLD, TOP_K, STRATIFIED)
AUTO, QUALITY, RULES = "auto", "image_quality", "rules"
SOURCES = (AUTO, QUALITY, RULES)
FRAMINGS = ("face", "bust", "half", "full")
TIERS = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class CurateSettings:
    """Section [curate].

    `method`: threshold takes every crop of score `threshold` or more, top_k the best `target`, stratified the shares
    `shares` of `target` from the bands of score that begin at `bands` (the last ends at nothing below it). `source` of
    the score, 0 to 10: image_quality, rules (times 10), or auto (image_quality where the crop has one). `tiers` that
    may be in. `character`: id or name; empty takes all. `per_group`: most crops of one group of alike crops, each
    another drawing; `least_novelty`: distance (0 to 1) to every chosen crop under which a crop adds nothing. `variety`
    0..1: how much being unlike the chosen ones counts against the score; `balance` 0..1: how much framings, views and
    looks that are short count. `framing_shares`: wanted shares of face, bust, half, full. `validation`: share kept for
    validation, split by shot and group with `seed`. `epoch_pictures`: repeats bring a small dataset up to about so many
    pictures an epoch, at most `most_repeats` each. `least_pictures`: under so many the dataset is called not ready.
    Raises ValueError for what does not fit.
    """

    method: str = TOP_K
    target: int = 400
    threshold: float = 7.0
    bands: tuple[float, ...] = (9.0, 7.0, 5.0)
    shares: tuple[float, ...] = (0.5, 0.35, 0.15)
    source: str = AUTO
    tiers: tuple[str, ...] = ("high", "medium")
    character: str = ""
    per_group: int = 2
    least_novelty: float = 0.04
    variety: float = 0.3
    balance: float = 0.2
    framing_shares: tuple[float, ...] = (0.2, 0.3, 0.25, 0.25)
    validation: float = 0.1
    seed: int = 0
    epoch_pictures: int = 200
    most_repeats: int = 10
    least_pictures: int = 15

    def __post_init__(self) -> None:
        _one_of("method", self.method, METHODS)
        _one_of("source", self.source, SOURCES)
        for name in ("target", "per_group", "most_repeats"):
            _whole(name, getattr(self, name), 1)
        for name in ("seed", "epoch_pictures", "least_pictures"):
            _whole(name, getattr(self, name), 0)
        for name in ("variety", "balance", "least_novelty"):
            _number(name, getattr(self, name), 0.0, 1.0)
        _number("threshold", self.threshold, 0.0, 10.0)
        _number("validation", self.validation, 0.0, 0.5)
        if not isinstance(self.character, str):
            raise ValueError(f"character is {self.character!r}: give its id or its name in quotes")
        for name in ("tiers", "bands", "shares", "framing_shares"):
            if not isinstance(getattr(self, name), tuple):
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a list")
        if not self.tiers or any(tier not in TIERS for tier in self.tiers):
            raise ValueError(f"tiers is {list(self.tiers)}: name some of {', '.join(TIERS)}")
        for name, values in (("bands", self.bands), ("shares", self.shares), ("framing_shares", self.framing_shares)):
            for value in values:
                _number(name, value, 0.0, 10.0)
        if not self.bands or len(self.bands) != len(self.shares) or list(self.bands) != sorted(set(self.bands))[::-1]:
            raise ValueError("bands must fall (9, 7, 5), with one share each in shares")
        if not math.isclose(sum(self.shares), 1.0, abs_tol=1e-6):
            raise ValueError(f"shares must add up to 1, not {sum(self.shares):g}")
        if len(self.framing_shares) != len(FRAMINGS) or not math.isclose(sum(self.framing_shares), 1.0, abs_tol=1e-6):
            raise ValueError(f"framing_shares must be {len(FRAMINGS)} numbers ({', '.join(FRAMINGS)}) that add up to 1")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} {value!r} is unknown: choose {', '.join(known)}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}: give a whole number of at least {least}")


def _number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: give a number from {low:g} to {high:g}")

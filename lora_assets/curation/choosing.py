"""The choice itself: best first, but never twice the same, and with an eye on what is still missing.

Greedy maximal marginal relevance (Carbonell, Goldstein 1998): at each step the crop with the largest sum of score,
distance to the nearest chosen one, and need of its framing, view and look. What belongs elsewhere: who may be chosen at
all (making), scores (scores), the split (splitting).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.curation import reasons
from lora_assets.curation.settings import FRAMINGS, STRATIFIED, THRESHOLD, CurateSettings
from lora_assets.identity.likeness import TinyPictures

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]

_FAR = 0.3
"""Distance of tiny pictures from which on two crops count as wholly unlike: crops of two characters are farther."""
_TIE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """N crops that may be chosen: scores 0..10, P(good) as a tie-breaker (0.5 where nobody says), tiny pictures (N, D),
    group of alike crops, framing, view and look of each; `sure` is True for one that a person called good."""

    scores: FloatArray
    p_good: FloatArray
    tiny: FloatArray
    groups: Sequence[str]
    framings: Sequence[str]
    views: Sequence[str]
    looks: Sequence[str]
    sure: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of one candidate: rank from 1 (0: left out), the reason with value and limit, and its distance to the
    nearest crop chosen before it (None: none was)."""

    rank: int
    reason: str
    value: float | None
    limit: float | None
    novelty: float | None

    @property
    def taken(self) -> bool:
        """True when it is in."""
        return self.rank > 0


def choose(pool: Candidates, settings: CurateSettings) -> list[Chosen]:
    """What becomes of each candidate. Those called good by a person are in first, whatever the rest says."""
    choice = _Choice(pool, settings)
    for place in np.lexsort((np.arange(len(pool.scores)), -pool.scores)):
        if pool.sure[place]:
            choice.take(int(place), reasons.SAID_GOOD, None, None)
    if settings.method == STRATIFIED:
        _by_bands(choice)
    else:
        _by_score(choice)
    return choice.result()


class _Choice:
    """The state of the greedy choice: who is in, how far everybody is from them, what each group has."""

    def __init__(self, pool: Candidates, settings: CurateSettings) -> None:
        count = len(pool.scores)
        self.pool, self.settings = pool, settings
        self.pictures = TinyPictures(pool.tiny)
        self.nearest = np.full(count, np.inf)
        self.open = np.ones(count, np.bool_)
        self.done: dict[int, Chosen] = {}
        self.in_group: Counter[str] = Counter()
        self.kinds = [self._kind(names) for names in (pool.framings, pool.views, pool.looks)]
        self.taken = 0

    def _kind(self, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """The code of each candidate's kind, how many are in of each, and the share wanted of each (NaN: no matter):
        the settings' for framings, equal ones for the rest."""
        known = sorted({*names})
        codes = np.array([known.index(name) for name in names], np.int64)
        asked: dict[str, float] = dict(zip(FRAMINGS, self.settings.framing_shares, strict=True))
        told = [name for name in known if name]
        equal = 1.0 / len(told) if told else 0.0
        shares = asked if set(told) & set(FRAMINGS) else dict.fromkeys(told, equal)
        return codes, np.zeros(len(known)), np.array([shares.get(name, np.nan) for name in known])

    def take(self, place: int, reason: str, value: float | None, limit: float | None) -> None:
        """Put a candidate in."""
        novelty = None if not self.taken else float(self.nearest[place])
        self.taken += 1
        self.done[place] = Chosen(self.taken, reason, value, limit, novelty)
        self.open[place] = False
        self.in_group[self.pool.groups[place]] += 1
        self.nearest = np.minimum(self.nearest, self.pictures.distances_from(place))
        for codes, have, _ in self.kinds:
            have[codes[place]] += 1

    def leave(self, place: int, reason: str, value: float | None, limit: float | None) -> None:
        """Leave a candidate out for good."""
        novelty = float(self.nearest[place]) if self.taken else None
        self.done[place] = Chosen(0, reason, value, limit, novelty)
        self.open[place] = False

    def gains(self) -> FloatArray:
        """(N,) what each candidate would add: score, variety and balance in the parts of the settings."""
        variety, balance = self.settings.variety, self.settings.balance
        score = self.pool.scores / 10.0 + _TIE * (self.pool.p_good - 0.5)
        new = np.minimum(np.where(np.isfinite(self.nearest), self.nearest, _FAR) / _FAR, 1.0)
        need = np.zeros(len(score))
        for codes, have, wanted in self.kinds:
            short = np.clip(2.0 * (wanted - have / max(1, self.taken)), -1.0, 1.0)
            need += np.where(np.isnan(short), 0.0, short)[codes] / len(self.kinds)
        return score + variety * (new - 1.0) + balance * need

    def next(self, among: npt.NDArray[np.bool_]) -> int | None:
        """The open candidate of `among` with the largest gain; those that add nothing are left out on the way."""
        while True:
            here = np.flatnonzero(self.open & among)
            if not len(here):
                return None
            place = int(here[np.argmax(self.gains()[here])])
            if not self.refused(place):
                return place

    def refused(self, place: int) -> bool:
        """True, and the candidate is left out, when its group is full or a chosen one shows the same."""
        have, most = self.in_group[self.pool.groups[place]], self.settings.per_group
        if have >= most:
            self.leave(place, reasons.DUPLICATE, float(have), float(most))
            return True
        if self.taken and self.nearest[place] < self.settings.least_novelty:
            self.leave(place, reasons.NOTHING_NEW, float(self.nearest[place]), self.settings.least_novelty)
            return True
        return False

    def result(self) -> list[Chosen]:
        return [self.done[place] for place in range(len(self.pool.scores))]


def _by_score(choice: _Choice) -> None:
    settings, scores = choice.settings, choice.pool.scores
    everyone = np.ones(len(scores), np.bool_)
    if settings.method == THRESHOLD:
        for place in np.flatnonzero(choice.open & (scores < settings.threshold)):
            choice.leave(int(place), reasons.UNDER_THRESHOLD, float(scores[place]), settings.threshold)
        while (place := choice.next(everyone)) is not None:
            choice.take(place, reasons.OVER_THRESHOLD, float(scores[place]), settings.threshold)
        return
    order: list[int] = []
    while choice.taken < settings.target and (place := choice.next(everyone)) is not None:
        choice.take(place, reasons.BEST, float(scores[place]), None)
        order.append(place)
    _tell_best(choice, order)
    _leave_rest(choice, reasons.TARGET_REACHED, float(settings.target))


def _tell_best(choice: _Choice, order: Sequence[int]) -> None:
    """Those that would be among the best by score alone are in for it, with the last such score as limit; the others
    are in for what they add."""
    if not order:
        return
    scores = choice.pool.scores
    usable = [place for place in range(len(scores)) if place in set(order) or choice.open[place]]
    best = sorted(usable, key=lambda place: (-scores[place], place))[: len(order)]
    limit = float(min(scores[place] for place in best))
    inside = set(best)
    for place in order:
        was = choice.done[place]
        if place in inside:
            choice.done[place] = Chosen(was.rank, reasons.BEST, was.value, limit, was.novelty)
        else:
            choice.done[place] = Chosen(was.rank, reasons.ADDS, was.novelty, choice.settings.least_novelty, was.novelty)


def _leave_rest(choice: _Choice, reason: str, limit: float) -> None:
    for place in np.flatnonzero(choice.open):
        if not choice.refused(int(place)):
            choice.leave(int(place), reason, float(choice.pool.scores[place]), limit)


def _by_bands(choice: _Choice) -> None:
    """So many of each band as its share asks for; a band with too few gives what it has, and no other fills up."""
    settings, scores = choice.settings, choice.pool.scores
    quotas = band_quotas(settings)
    top = np.inf
    for start, quota in zip(settings.bands, quotas, strict=True):
        inside = (scores >= start) & (scores < top)
        have = sum(1 for place, done in choice.done.items() if done.taken and inside[place])
        while have < quota and (place := choice.next(inside)) is not None:
            choice.take(place, reasons.IN_BAND, float(scores[place]), start)
            have += 1
        for place in np.flatnonzero(choice.open & inside):
            if not choice.refused(int(place)):
                choice.leave(int(place), reasons.BAND_FULL, float(scores[place]), float(quota))
        top = start
    _leave_rest(choice, reasons.UNDER_BANDS, float(settings.bands[-1]))


def band_quotas(settings: CurateSettings) -> list[int]:
    """How many crops each band is to give: the shares of the target, rounded so that they add up (largest
    remainder)."""
    exact = [share * settings.target for share in settings.shares]
    quotas = [int(number) for number in exact]
    order = sorted(range(len(exact)), key=lambda place: (-(exact[place] - quotas[place]), place))
    for place in order[: settings.target - sum(quotas)]:
        quotas[place] += 1
    return quotas

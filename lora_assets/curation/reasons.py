"""Why a crop is in or out of the dataset: codes, and what their value and limit mean, in English.

The pages' words in other languages are labels `reason.<code>`.
"""

from __future__ import annotations

from dataclasses import dataclass

SAID_GOOD, BEST, ADDS, OVER_THRESHOLD, IN_BAND = "said_good", "best", "adds", "over_threshold", "in_band"
SAID_BAD, SAID_EXCLUDE, VETO, TIER, MIXED = "said_bad", "said_exclude", "veto", "tier", "mixed"
OTHER_CHARACTER, NO_CHARACTER, DUPLICATE, NOTHING_NEW = "other_character", "no_character", "duplicate", "nothing_new"
UNDER_THRESHOLD, UNDER_BANDS = "under_threshold", "under_bands"
BAND_FULL, TARGET_REACHED = "band_full", "target_reached"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: whether it takes a crop in, the stage of the funnel at which a crop is lost ("" for one that is in),
    and words with places for {value} and {limit}."""

    takes_in: bool
    lost_at: str
    words: str


NOT_VETOED, OF_CHARACTER, NOT_DUPLICATE, CHOSEN = "not_vetoed", "of_character", "not_duplicate", "chosen"
FUNNEL = ("frames", "crops", NOT_VETOED, OF_CHARACTER, NOT_DUPLICATE, CHOSEN)

REASONS: dict[str, Reason] = {
    SAID_GOOD: Reason(True, "", "a person called it good"),
    BEST: Reason(True, "", "its score of {value} is high enough: the last one taken has {limit}"),
    ADDS: Reason(True, "", "it shows what the others do not: {value} from the nearest, at least {limit} counts"),
    OVER_THRESHOLD: Reason(True, "", "its score of {value} reaches {limit}"),
    IN_BAND: Reason(True, "", "its score of {value} lies in the band from {limit}, which wanted more"),
    SAID_BAD: Reason(False, NOT_VETOED, "a person called it bad"),
    SAID_EXCLUDE: Reason(False, NOT_VETOED, "a person excluded it"),
    VETO: Reason(False, NOT_VETOED, "it has a veto: its flag measures {value}, the limit is {limit}"),
    TIER: Reason(False, NOT_VETOED, "its tier may not be in: its rules' score is {value}, {limit} would do"),
    MIXED: Reason(False, NOT_VETOED, "its frame shows two shots at once (a dissolve)"),
    OTHER_CHARACTER: Reason(False, OF_CHARACTER, "it shows another character"),
    NO_CHARACTER: Reason(False, OF_CHARACTER, "whom it shows is not known"),
    DUPLICATE: Reason(False, NOT_DUPLICATE, "its group has {value} crops in already, the most is {limit}"),
    NOTHING_NEW: Reason(False, NOT_DUPLICATE, "a chosen one shows the same: {value} apart, {limit} would count"),
    UNDER_THRESHOLD: Reason(False, CHOSEN, "its score of {value} is under {limit}"),
    UNDER_BANDS: Reason(False, CHOSEN, "its score of {value} is under the lowest band, {limit}"),
    BAND_FULL: Reason(False, CHOSEN, "its score is {value}, and its band has the {limit} that it may have"),
    TARGET_REACHED: Reason(False, CHOSEN, "its score is {value}, and the dataset has the {limit} that were asked for"),
}


def in_words(code: str, value: float | None, limit: float | None) -> str:
    """A reason in English with its numbers."""

    def told(number: float | None) -> str:
        return "nothing measured" if number is None else f"{number:.3g}"

    return REASONS[code].words.format(value=told(value), limit=told(limit))

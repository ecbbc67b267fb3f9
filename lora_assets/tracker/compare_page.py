"""What the page of two trackers side by side says: one frozen dataclass a page, filled from a comparison.

Comparing itself is in comparing; the routes are in routes_compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from lora_assets.comparing.causes import CauseKey
from lora_assets.comparing.comparison import CHANGES, Cause, Comparison, Selection, Skipped
from lora_assets.comparing.details import CropChange, CropSide, Difference, FlagChange, crop_changes
from lora_assets.comparing.flag_counts import FlagCount
from lora_assets.specs import SpecError, known_tracker_ids
from lora_assets.tracker.cells import Cells
from lora_assets.tracker.pages import PAGE_SIZE, Link, crop_url, page_count, partition_url, picture_url, tracker_url
from lora_assets.tracker.view import Choice

CHECK = "not_worse_than_baseline"
_DIFFERENCES_SHOWN = 4
_FLAGS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class SideTile:
    """One half of a pair; empty addresses where the tracker does not have the crop."""

    url: str
    thumb_url: str
    tier: str
    score: float
    verdict: str


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """A number of the first stage that differs, as text."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PairTile:
    """One crop before and after. `stage` and `how` are label keys, empty for a crop that is the same."""

    key: str
    change: str
    stage: str
    how: str
    cause: int
    """number of its cause in the list, from 1; 0 for a crop that is the same"""
    dataset_name: str
    path: str
    iou: float | None
    before: SideTile | None
    after: SideTile | None
    score_change: float | None
    differences: tuple[DifferenceLine, ...]
    flags: tuple[FlagChange, ...]


@dataclass(frozen=True, slots=True)
class CauseLine:
    """A cause with the crops that it explains; the address chooses only those."""

    number: int
    url: str
    chosen: bool
    key: CauseKey
    later_stages: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    hows: tuple[tuple[str, int], ...]
    flags: tuple[FlagCount, ...]
    """those that came or went most often"""
    share: float
    """of all crops that changed, 0 to 1"""


@dataclass(frozen=True, slots=True)
class ComparePage:
    """The page `/compare/<before>/<after>`."""

    before: str
    after: str
    before_url: str
    after_url: str
    swap_url: str
    choose_url: str
    check_url: str
    """Dagster's page of the check of `after` against its baseline"""
    json_url: str
    changes: tuple[Link, ...]
    matched: int
    worse_share: float
    lost_share: float
    comparable: bool
    """false when the trackers share no dataset: then there is nothing but `skipped`"""
    skipped: tuple[Skipped, ...]
    causes: tuple[CauseLine, ...]
    datasets: tuple[Link, ...]
    clear_url: str
    """the page without a filter; empty when none is set"""
    matching: int
    pairs: tuple[PairTile, ...]
    first: int
    """number of the first pair of this page, from 1; 0 when there is none"""
    last: int
    page: int
    pages: int
    previous_url: str
    next_url: str


@dataclass(frozen=True, slots=True)
class ChoosePage:
    """The page `/compare`: which two trackers."""

    before: str
    after: str
    trackers: tuple[str, ...]


def compare_url(before: str, after: str) -> str:
    """Address of the page that compares `after` with `before`."""
    return f"/compare/{quote(before, safe='')}/{quote(after, safe='')}"


def choose_page(cells: Cells, query: Mapping[str, str]) -> ChoosePage:
    """The page that asks which trackers to compare; `after`'s own baseline is proposed."""
    known = tuple(sorted({*known_tracker_ids(cells.data), *cells.tracker_folders()}))
    after = query.get("after", "") if query.get("after", "") in known else ""
    before = query.get("before", "") if query.get("before", "") in known else ""
    if after and not before:
        baseline = _baseline_of(cells, after)
        before = baseline if baseline in known else ""
    return ChoosePage(before, after, known)


def _baseline_of(cells: Cells, tracker: str) -> str:
    """Empty for a tracker whose file cannot be read: comparing it tells why."""
    try:
        return cells.spec(tracker).baseline
    except SpecError:
        return ""


def read_selection(query: Mapping[str, str], found: Comparison) -> Selection:
    """The crops that an address wants; what the comparison does not have is left out, so that old links still open."""
    change = query.get("change", "")
    places = {cause.id: place for place, cause in enumerate(found.causes)}
    dataset = query.get("dataset", "")
    return Selection(
        change if change in CHANGES else "",
        places.get(query.get("cause", "")),
        dataset if dataset in {one.slug for one in found.datasets} else "",
    )


def selection_url(found: Comparison, wanted: Selection, page: int = 1) -> str:
    """The address of a selection, and of one of its pages."""
    told = {
        "change": wanted.change,
        "cause": "" if wanted.cause is None else found.causes[wanted.cause].id,
        "dataset": wanted.dataset,
        "page": str(page) if page > 1 else "",
    }
    query = urlencode({name: value for name, value in told.items() if value})
    return compare_url(found.before, found.after) + (f"?{query}" if query else "")


def compare_page(found: Comparison, query: Mapping[str, str], dagster_url: str) -> ComparePage:
    """The page for one address."""
    wanted = read_selection(query, found)
    chosen = found.select(wanted)
    text = query.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    pages = page_count(len(chosen))
    page = min(max(number, 1), pages)
    here = slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE)
    url = compare_url(found.before, found.after)
    return ComparePage(
        before=found.before,
        after=found.after,
        before_url=tracker_url(found.before),
        after_url=tracker_url(found.after),
        swap_url=compare_url(found.after, found.before),
        choose_url=f"/compare?{urlencode({'before': found.before, 'after': found.after})}",
        check_url=f"{partition_url(dagster_url, 'tracker_dashboard', found.after, 'checks')}&checkDetail={CHECK}",
        json_url=f"/api{url}",
        changes=_change_links(found, wanted),
        matched=found.matched,
        worse_share=found.worse_share,
        lost_share=found.lost_share,
        comparable=bool(found.datasets),
        skipped=found.skipped,
        causes=_cause_lines(found, wanted),
        datasets=_dataset_links(found, wanted),
        clear_url=url if wanted != Selection() else "",
        matching=len(chosen),
        pairs=tuple(_pair(found, crop) for crop in crop_changes(found, chosen[here])),
        first=here.start + 1 if len(chosen) else 0,
        last=min(here.stop, len(chosen)),
        page=page,
        pages=pages,
        previous_url=selection_url(found, wanted, page - 1) if page > 1 else "",
        next_url=selection_url(found, wanted, page + 1) if page < pages else "",
    )


def _change_links(found: Comparison, wanted: Selection) -> tuple[Link, ...]:
    """What became of the crops, counted under the other filters."""
    others = np.ones(len(found.change), bool)
    if wanted.cause is not None:
        others &= found.cause == wanted.cause
    if wanted.dataset:
        others &= found.dataset == [one.slug for one in found.datasets].index(wanted.dataset)
    counts = np.bincount(found.change[others], minlength=len(CHANGES))
    links = []
    for code, name in enumerate(CHANGES):
        chosen = wanted.change == name
        link = selection_url(found, replace(wanted, change="" if chosen else name))
        links.append(Link(link, name, count=int(counts[code]), chosen=chosen))
    return tuple(links)


def _dataset_links(found: Comparison, wanted: Selection) -> tuple[Link, ...]:
    if len(found.datasets) < 2:
        return ()
    counts = np.bincount(found.dataset[found.select(replace(wanted, dataset=""))], minlength=len(found.datasets))
    return tuple(
        Link(
            selection_url(found, replace(wanted, dataset="" if wanted.dataset == one.slug else one.slug)),
            one.slug,
            one.name,
            int(count),
            wanted.dataset == one.slug,
        )
        for one, count in zip(found.datasets, counts, strict=True)
    )


def _cause_lines(found: Comparison, wanted: Selection) -> tuple[CauseLine, ...]:
    total = max(1, sum(cause.total for cause in found.causes))
    return tuple(_cause_line(found, wanted, place, cause, total) for place, cause in enumerate(found.causes))


def _cause_line(found: Comparison, wanted: Selection, place: int, cause: Cause, total: int) -> CauseLine:
    chosen = wanted.cause == place
    return CauseLine(
        number=place + 1,
        url=selection_url(found, replace(wanted, cause=None if chosen else place)),
        chosen=chosen,
        key=cause.key,
        later_stages=tuple(dict.fromkeys(change.stage for change in cause.key.later)),
        counts=tuple((name, cause.counts[name]) for name in CHANGES if cause.counts.get(name)),
        hows=tuple(cause.hows.items()),
        flags=cause.flags[:_FLAGS_SHOWN],
        share=cause.total / total,
    )


def _pair(found: Comparison, crop: CropChange) -> PairTile:
    told = crop.after or crop.before
    return PairTile(
        key=f"{crop.dataset}-{told.detection_id if told else crop.number}",
        change=crop.change,
        stage=crop.stage,
        how=crop.how,
        cause=crop.cause + 1,
        dataset_name=crop.dataset_name if len(found.datasets) > 1 else "",
        path=told.path if told else "",
        iou=crop.iou,
        before=_side(found.before, crop.dataset, crop.before),
        after=_side(found.after, crop.dataset, crop.after),
        score_change=crop.score_change,
        differences=_lines(crop.stage, crop.differences),
        flags=crop.flags,
    )


def _side(tracker: str, dataset: str, side: CropSide | None) -> SideTile | None:
    if side is None:
        return None
    crop = {"dataset": dataset, "detection_id": side.detection_id, "crop_id": side.crop_id}
    thumb = picture_url(tracker, "thumb", side.crop_id, ".webp")
    return SideTile(crop_url(tracker, crop, Choice()), thumb, side.tier, side.score, side.verdict)


def _lines(stage: str, differences: tuple[Difference, ...]) -> tuple[DifferenceLine, ...]:
    """The differences of the first stage, and where it tells none those of scoring; a box is told by its overlap."""
    own = [one for one in differences if one.stage == stage and one.name != "box"]
    shown = own or [one for one in differences if one.stage == "scoring"]
    return tuple(DifferenceLine(one.name, _text(one.before), _text(one.after)) for one in shown[:_DIFFERENCES_SHOWN])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else str(value)

"""What the list of trackers and a tracker's page say: one frozen dataclass a page, filled from a view.

Templates read these fields and compute nothing; a test holds the two together. How a large crop is shown is in
crop_page; which bytes a picture has is not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import numpy as np
import numpy.typing as npt

from lora_assets.specs import SpecError, TrackerSpec, known_tracker_ids
from lora_assets.store import StoreError
from lora_assets.tracker.cells import Cells
from lora_assets.tracker.language import Labels
from lora_assets.tracker.marking import Said
from lora_assets.tracker.picture_check import PictureProblem
from lora_assets.tracker.reviewed import ReviewedView, Reviews
from lora_assets.tracker.summary import (
    TIERS,
    Counts,
    Dashboard,
    DatasetSummary,
    read_dashboard,
    run_ids,
    starter_weights,
    summarise,
)
from lora_assets.tracker.view import UNMARKED, VERDICTS, Choice, ListedFrame, TrackerView

Rows = npt.NDArray[np.int64]

PAGE_SIZE = 200
SHOWS = ("crops", "nothing", "quarantined", "settings")


@dataclass(frozen=True, slots=True)
class Link:
    """A link with the number of things behind it. `name` chooses its label; a `text` is shown as it is."""

    url: str
    name: str
    text: str = ""
    count: int | None = None
    chosen: bool = False
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackerLine:
    """One tracker in the list. `fault` says why its file cannot be read; then the rest is empty."""

    id: str
    url: str
    note: str
    ticket: str
    sealed: bool
    counts: Counts | None
    verdicts: dict[str, int]
    """how many crops have which verdict"""
    made: int
    expected: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TrackerList:
    """The page `/`: all trackers, sorted by ID."""

    trackers: tuple[TrackerLine, ...]
    dagster_url: str


@dataclass(frozen=True, slots=True)
class CropTile:
    """One crop in the grid: `key` tells it from every other, `flags` are names."""

    key: str
    url: str
    thumb_url: str
    tier: str
    score: float
    flags: tuple[str, ...]
    path: str
    said: Said
    p_good: float | None
    """the judge's, 0 to 1; None where there is no judge"""
    alike: int
    """crops that this tile stands for: itself and those of its group that are folded away"""


@dataclass(frozen=True, slots=True)
class FrameTile:
    """A frame in which nothing was found: its thumbnail, the whole frame behind it, and where a mask can be drawn."""

    url: str
    segment_url: str
    thumb_url: str
    path: str
    dataset_name: str


@dataclass(frozen=True, slots=True)
class RunLink:
    """A Dagster run that made tables of this tracker."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class TrackerPage:
    """The page `/tracker/<ID>`."""

    spec: TrackerSpec
    url: str
    baseline_url: str
    """the comparison with the baseline; empty when there is no such tracker"""
    counts: Counts
    datasets: tuple[DatasetSummary, ...]
    made: int
    """datasets with all stages made, of `len(datasets)`"""
    state: str
    """changes when any table of the tracker changes; the page asks for it while a run goes on"""
    state_url: str
    show: str
    """which tab: one of SHOWS"""
    tabs: tuple[Link, ...]
    tiers: tuple[Link, ...]
    flags: tuple[Link, ...]
    dataset_links: tuple[Link, ...]
    verdicts: tuple[Link, ...]
    fold: Link | None
    """folds alike crops into one tile, or unfolds them; None when no crops are alike"""
    sorts: tuple[Link, ...]
    list_url: str
    """the crops of this choice as data, for the script"""
    query: str
    """the part of an address that makes the choice, for links that the script draws"""
    verdict_fault: str
    """why verdicts cannot be read at the moment; empty when they can"""
    judge_fault: str
    clear_url: str
    """the page without any filter; empty when none is set"""
    matching: int
    """crops that the filters take, over all pages"""
    items: int
    """what the tab shows over all pages: tiles (a group of alike crops that is folded is one), frames or files"""
    crops: tuple[CropTile, ...]
    nothing_found: tuple[FrameTile, ...]
    quarantined: tuple[ListedFrame, ...]
    first: int
    """number of the first item of this page, from 1; 0 when there is none"""
    last: int
    page_links: tuple[Link, ...]
    """neighbouring pages; a Link without url is a gap"""
    previous_url: str
    next_url: str
    starter_weights: tuple[str, ...]
    runs: tuple[RunLink, ...]
    asset_url: str
    """Dagster's page of this tracker's dashboard asset"""
    built_at: float
    """when the pictures were last checked, seconds since 1970; 0 when not yet"""
    problem_count: int
    problems: tuple[PictureProblem, ...]


# --- addresses -------------------------------------------------------------------------------------------------------


def tracker_url(tracker: str) -> str:
    """Address of a tracker's page."""
    return f"/tracker/{quote(tracker, safe='')}"


def partition_url(dagster_url: str, asset: str, partition: str, view: str = "partitions") -> str:
    """Dagster's page of one partition of an asset. Without `view` it shows the partition that was made last."""
    return f"{dagster_url}/assets/{quote(asset)}?{urlencode({'partition': partition, 'view': view})}"


def run_link(dagster_url: str, run_id: str) -> RunLink:
    """A run and its page in Dagster."""
    return RunLink(run_id, f"{dagster_url}/runs/{quote(run_id, safe='')}")


def choice_query(choice: Choice) -> dict[str, str]:
    """The parts of an address that make a choice; what is as usual is left out."""
    told = {name: getattr(choice, name) for name in ("tier", "flag", "dataset", "verdict", "sort")}
    told["alike"] = "open" if choice.unfolded else ""
    return {name: value for name, value in told.items() if value and (name, value) != ("sort", "best")}


def _page_url(tracker: str, choice: Choice, show: str = "crops", page: int = 1) -> str:
    query = choice_query(choice)
    if show != "crops":
        query["show"] = show
    if page > 1:
        query["page"] = str(page)
    return tracker_url(tracker) + (f"?{urlencode(query)}" if query else "")


def crop_url(tracker: str, crop: Mapping[str, Any], choice: Choice) -> str:
    """Address of a large crop; the box is named because two boxes may give the same pixels."""
    rest = f"in={quote_plus(crop['dataset'])}&box={quote_plus(crop['detection_id'])}"
    return f"{tracker_url(tracker)}/crop/{quote(crop['crop_id'], safe='')}?{_choice_part(choice)}{rest}"


@lru_cache(maxsize=64)
def _choice_part(choice: Choice) -> str:
    """The choice in an address that goes on: a page has hundreds of links with the same one."""
    told = urlencode(choice_query(choice))
    return f"{told}&" if told else ""


def picture_url(tracker: str, kind: str, name: str, suffix: str) -> str:
    """Address of a picture: kind is thumb, cutout, mask, frame or frame-thumb."""
    return f"{tracker_url(tracker)}/{kind}/{quote(name, safe='')}{suffix}"


def read_choice(query: Mapping[str, str], view: TrackerView) -> Choice:
    """The choice that an address makes; what the tracker does not have is left out, so that old links still open."""

    def one_of(name: str, known: Sequence[str], usual: str = "") -> str:
        return query.get(name, "") if query.get(name, "") in known else usual

    return Choice(
        tier=one_of("tier", TIERS),
        flag=one_of("flag", view.flag_names),
        dataset=one_of("dataset", view.slugs),
        verdict=one_of("verdict", (*VERDICTS, UNMARKED)),
        sort=one_of("sort", view.sorts, "best"),
        unfolded=query.get("alike") == "open",
    )


def _page_number(query: Mapping[str, str], items: int) -> int:
    text = query.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return min(max(number, 1), page_count(items))


def page_count(items: int) -> int:
    """How many pages the items take, at least one."""
    return max(1, -(-items // PAGE_SIZE))


# --- the list --------------------------------------------------------------------------------------------------------


def tracker_list(cells: Cells, reviews: Reviews, dagster_url: str) -> TrackerList:
    """All trackers. One whose file or tables cannot be read is listed with the reason."""
    names = sorted({*known_tracker_ids(cells.data), *cells.tracker_folders()})
    return TrackerList(tuple(_tracker_line(cells, reviews, name) for name in names), dagster_url)


def _tracker_line(cells: Cells, reviews: Reviews, tracker: str) -> TrackerLine:
    try:
        spec = cells.spec(tracker)
        total, datasets = summarise(cells, spec)
        verdicts = reviews.marks(spec).counts()
    except (SpecError, StoreError) as error:
        return TrackerLine(tracker, tracker_url(tracker), "", "", False, None, {}, 0, 0, str(error))
    made = sum(dataset.complete for dataset in datasets)
    url = tracker_url(tracker)
    told = {value: number for value, number in verdicts.items() if value and number}
    return TrackerLine(tracker, url, spec.note, spec.ticket, spec.sealed, total, told, made, len(datasets))


def tile_names(view: TrackerView, labels: Labels) -> dict[str, dict[str, str]]:
    """The words of tiers and flags in a language, for the script that draws tiles."""
    return {
        "tier": {tier: labels.named("tier", tier) for tier in TIERS},
        "flag": {flag: labels.named("flag", flag) for flag in view.flag_names},
    }


# --- the tracker's page ----------------------------------------------------------------------------------------------


def tracker_page(cells: Cells, view: ReviewedView, query: Mapping[str, str], dagster_url: str) -> TrackerPage:
    """The page for one address. Raises StoreError for a damaged table."""
    tracker = view.spec.id
    total, datasets = summarise(cells, view.spec)
    choice = read_choice(query, view)
    show = query.get("show", "crops") if query.get("show") in SHOWS else "crops"
    order = view.order(choice)
    tiles, alike = view.folded(order) if folds(view, choice) else (order, np.ones(len(order), dtype=np.int64))
    items = {"crops": len(tiles), "nothing": len(view.nothing_found), "quarantined": len(view.quarantined)}.get(show, 0)
    page = _page_number(query, items)
    here = slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE)
    dashboard = _dashboard_or_none(cells, tracker)
    return TrackerPage(
        spec=view.spec,
        url=tracker_url(tracker),
        baseline_url=_baseline_url(cells, view.spec),
        counts=total,
        datasets=datasets,
        made=sum(dataset.complete for dataset in datasets),
        state=view.state,
        state_url=f"/api{tracker_url(tracker)}",
        show=show,
        tabs=_tabs(view, choice, show, total),
        tiers=_tier_links(view, choice),
        flags=_flag_links(view, choice),
        dataset_links=_dataset_links(view, choice),
        verdicts=_verdict_links(view, choice),
        fold=_fold_link(view, choice),
        sorts=tuple(
            Link(_page_url(tracker, replace(choice, sort=sort)), sort, chosen=choice.sort == sort)
            for sort in view.sorts
        ),
        list_url=f"/api{tracker_url(tracker)}/crops?{urlencode(choice_query(replace(choice, unfolded=False)))}",
        query=urlencode(choice_query(choice)),
        verdict_fault=view.marks.fault,
        judge_fault=view.judge_problem,
        clear_url=tracker_url(tracker) if choice_query(replace(choice, sort="best")) else "",
        matching=len(order),
        items=items,
        crops=_crop_tiles(view, choice, tiles[here], alike[here]) if show == "crops" else (),
        nothing_found=_frame_tiles(view, here) if show == "nothing" else (),
        quarantined=view.quarantined[here] if show == "quarantined" else (),
        first=here.start + 1 if items else 0,
        last=min(here.stop, items),
        page_links=_page_links(tracker, choice, show, page, page_count(items)),
        previous_url=_page_url(tracker, choice, show, page - 1) if page > 1 else "",
        next_url=_page_url(tracker, choice, show, page + 1) if page < page_count(items) else "",
        starter_weights=starter_weights(datasets),
        runs=tuple(run_link(dagster_url, run) for run in run_ids(datasets)),
        asset_url=partition_url(dagster_url, "tracker_dashboard", tracker),
        built_at=dashboard.built_at if dashboard else 0.0,
        problem_count=dashboard.problem_count if dashboard else 0,
        problems=dashboard.problems if dashboard else (),
    )


def _baseline_url(cells: Cells, spec: TrackerSpec) -> str:
    if spec.baseline not in {*known_tracker_ids(cells.data), *cells.tracker_folders()}:
        return ""
    return f"/compare/{quote(spec.baseline, safe='')}/{quote(spec.id, safe='')}"


def _dashboard_or_none(cells: Cells, tracker: str) -> Dashboard | None:
    try:
        return read_dashboard(cells.data, tracker)
    except StoreError:
        return None


def _tabs(view: TrackerView, choice: Choice, show: str, total: Counts) -> tuple[Link, ...]:
    counts = {"crops": total.crops, "nothing": total.nothing_found, "quarantined": total.quarantined}
    return tuple(
        Link(_page_url(view.spec.id, choice, name), name, count=counts.get(name), chosen=show == name) for name in SHOWS
    )


def _tier_links(view: TrackerView, choice: Choice) -> tuple[Link, ...]:
    found = view.tiers[view.matching(choice, without="tier")]
    links = []
    for code, tier in enumerate(TIERS):
        number = int(np.count_nonzero(found == code))
        url = _page_url(view.spec.id, replace(choice, tier="" if choice.tier == tier else tier))
        links.append(Link(url, tier, count=number, chosen=choice.tier == tier, share=number / max(1, len(found))))
    return tuple(links)


def _flag_links(view: TrackerView, choice: Choice) -> tuple[Link, ...]:
    numbers = view.flags[view.matching(choice, without="flag")].sum(axis=0)
    links = [
        Link(
            _page_url(view.spec.id, replace(choice, flag="" if choice.flag == flag else flag)),
            flag,
            count=int(number),
            chosen=choice.flag == flag,
        )
        for flag, number in zip(view.flag_names, numbers, strict=True)
        if number or choice.flag == flag
    ]
    return tuple(sorted(links, key=lambda link: -(link.count or 0)))


def _dataset_links(view: TrackerView, choice: Choice) -> tuple[Link, ...]:
    if len(view.cells) < 2:
        return ()
    numbers = np.bincount(view.datasets[view.matching(choice, without="dataset")], minlength=len(view.cells))
    return tuple(
        Link(
            _page_url(view.spec.id, replace(choice, dataset="" if choice.dataset == cell.dataset else cell.dataset)),
            cell.dataset,
            cell.name,
            int(number),
            choice.dataset == cell.dataset,
        )
        for cell, number in zip(view.cells, numbers, strict=True)
    )


def _verdict_links(view: ReviewedView, choice: Choice) -> tuple[Link, ...]:
    numbers = np.bincount(view.marks.codes[view.matching(choice, without="verdict")], minlength=len(VERDICTS))
    return tuple(
        Link(
            _page_url(view.spec.id, replace(choice, verdict="" if choice.verdict == name else name)),
            name,
            count=int(number),
            chosen=choice.verdict == name,
        )
        for name, number in zip((UNMARKED, *VERDICTS[1:]), numbers, strict=True)
    )


def folds(view: ReviewedView, choice: Choice) -> bool:
    """True when the page of a choice shows one tile for a group of alike crops."""
    return view.has_groups and not choice.unfolded


def _fold_link(view: ReviewedView, choice: Choice) -> Link | None:
    if not view.has_groups:
        return None
    url = _page_url(view.spec.id, replace(choice, unfolded=not choice.unfolded))
    return Link(url, "fold", chosen=not choice.unfolded)


def _crop_tiles(view: ReviewedView, choice: Choice, numbers: Rows, alike: Rows) -> tuple[CropTile, ...]:
    tracker = view.spec.id
    judged = view.judge_for(choice.sort)
    return tuple(
        CropTile(
            key=f"{row['dataset']}-{row['detection_id']}",
            url=crop_url(tracker, row, choice),
            thumb_url=picture_url(tracker, "thumb", row["crop_id"], ".webp"),
            tier=row["tier"],
            score=row["score"],
            flags=tuple(row["flags"]),
            path=view.path_of(row["frame_sha256"]),
            said=view.said(row["crop_id"]),
            p_good=word.p_good if judged and (word := judged.words.get(row["crop_id"])) else None,
            alike=int(number),
        )
        for row, number in zip(view.rows(numbers), alike, strict=True)
    )


def _frame_tiles(view: TrackerView, here: slice) -> tuple[FrameTile, ...]:
    return tuple(
        FrameTile(
            url=picture_url(view.spec.id, "frame", frame.sha256, ".jpg"),
            segment_url=f"/tracker/{quote(view.spec.id)}/segment/{frame.sha256}",
            thumb_url=picture_url(view.spec.id, "frame-thumb", frame.sha256, ".webp"),
            path=frame.path,
            dataset_name=frame.dataset_name,
        )
        for frame in view.nothing_found[here]
    )


def _page_links(tracker: str, choice: Choice, show: str, page: int, pages: int) -> tuple[Link, ...]:
    if pages < 2:
        return ()
    wanted = sorted({1, 2, pages - 1, pages, page - 2, page - 1, page, page + 1, page + 2} & set(range(1, pages + 1)))
    links: list[Link] = []
    for number in wanted:
        if links and number > int(links[-1].name) + 1:
            links.append(Link("", str(number - 1), "…"))
        links.append(Link(_page_url(tracker, choice, show, number), str(number), str(number), chosen=number == page))
    return tuple(links)


def page_of(position: int) -> int:
    """The page, from 1, on which the item at `position` (from 0) stands."""
    return position // PAGE_SIZE + 1


def list_url(tracker: str, choice: Choice, position: int, key: str) -> str:
    """The page of the list that holds a crop, with the crop in sight."""
    return f"{_page_url(tracker, choice, page=page_of(position))}#crop-{quote(key)}"

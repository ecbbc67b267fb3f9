"""Which files and folders a tracker's page is drawn from, so that it can be given again while they stand still.

A test draws a page with an eye on every file that is opened, and holds the list against it. How pages are kept is in
kept_pages, what they show in pages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lora_assets.tracker.cells import STAGES, Cells
from lora_assets.tracker.kept_pages import SETTLED_NS, Sources
from lora_assets.tracker.marking import VerdictBook
from lora_assets.tracker.progress import TrackerProgress
from lora_assets.tracker.reviewed import ReviewedView
from lora_assets.tracker.summary import dashboard_path
from lora_assets.under_way import states_folder
from lora_assets.verdicts.local_disk import share_type
from lora_assets.verdicts.log import log_path


@dataclass(frozen=True, slots=True)
class Begun:
    """The moment before a page is drawn. What is said of crops may show without a newer file: SQLite writes a row,
    waits for the disk, and lets readers see it only then, which on a busy disk is seconds later."""

    wall_ns: int
    steady_ns: int
    book: VerdictBook
    row: tuple[int, int]
    """edition and number of the last row that was taken in"""

    @classmethod
    def now(cls, book: VerdictBook) -> Begun:
        """Before the tracker is looked at."""
        return cls(time.time_ns(), time.monotonic_ns(), book, (book.edition, book.seq))

    @property
    def clock_went_back(self) -> bool:
        """True when a file that was written meanwhile may look older than this moment."""
        return time.time_ns() - self.wall_ns < time.monotonic_ns() - self.steady_ns - SETTLED_NS // 4

    def nothing_said(self) -> bool:
        """True while this server has taken in no verdict since."""
        return (self.book.edition, self.book.seq) == self.row


def is_judged(view: ReviewedView) -> bool:
    """False while the judge's words may still come. To be asked before the page is drawn: they may come meanwhile."""
    return not view.has_judge or view.judge.ready or bool(view.judge.fault)


def tracker_page_sources(cells: Cells, view: ReviewedView, progress: TrackerProgress, begun: Begun) -> Sources | None:
    """What the page of `view` was drawn from; None when it cannot be told from files: while something is under way or
    was stopped (a lock tells, not a file), when the clock was set back, and for folders on a network share, where a
    look may take long and times come late.

    The answer holds on to no view: pages are kept longer than the tables that they show.
    """
    data = cells.data
    places = [*_entries(data / "input"), *_entries(data / "video_frames")]
    linked = filter(_leads_elsewhere, (*_entries(data), *places))
    if progress.cells or begun.clock_went_back or any(map(share_type, (data, *linked))):
        return None
    return Sources(with_folders(data, _files(cells, view)), tuple(map(str, places)), begun.nothing_said)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, links to folders elsewhere too."""
    try:
        with os.scandir(folder) as found:
            return [Path(entry.path) for entry in found]
    except OSError:
        return []


def _leads_elsewhere(folder: Path) -> bool:
    """True for a link, and where something is mounted; other folders lie on the disk of the folder that they are in."""
    return folder.is_symlink() or folder.is_mount()


def _files(cells: Cells, view: ReviewedView) -> Iterator[Path]:
    from lora_assets.judge.making import judge_path

    data, store, spec = cells.data, cells.store, view.spec
    yield data / "trackers" / f"{spec.id}.toml"
    # Whose entries count: other trackers (links to them), folders of frames, cells that this tracker does not have yet.
    yield data / "input"
    yield data / "video_frames"
    yield data / "datasets"
    yield from sorted((data / "datasets").glob("*.toml"))
    for stage in STAGES:
        yield data / "tables" / stage / spec.id
    for slug in view.slugs:
        yield store.table_path("raw_frames", slug)
        yield states_folder(data, "") / slug
        yield states_folder(data, spec.id) / slug
        for stage in STAGES:
            yield store.table_path(stage, slug, spec.id)
        if spec.baseline:
            yield store.table_path("scored_crops", slug, spec.baseline)
    yield store.table_path("crop_groups", spec.id)
    yield judge_path(store, spec.id)
    yield dashboard_path(data, spec.id)
    log = log_path(data)
    yield log
    yield log.with_name(f"{log.name}-wal")


def with_folders(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """`root`, the paths below it, and every folder between: a file that was replaced or moved away
    leaves its trace in its folder, whatever its own times say."""
    found = dict.fromkeys((root, *paths))
    for path in tuple(found)[1:]:
        folder = path.parent
        while folder not in found:
            found[folder] = None
            folder = folder.parent
    return tuple(map(str, found))

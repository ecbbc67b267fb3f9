"""Which files and folders a tracker's page is drawn from, so that it can be given again while they stand still.

A test draws a page with an eye on every file that is opened, and holds the list against it. How pages are kept is in
kept_pages, what they show in pages.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lora_assets.tracker.cells import STAGES, Cells
from lora_assets.tracker.kept_pages import Sources
from lora_assets.tracker.progress import TrackerProgress
from lora_assets.tracker.reviewed import ReviewedView
from lora_assets.tracker.summary import dashboard_path
from lora_assets.under_way import states_folder
from lora_assets.verdicts.local_disk import share_type
from lora_assets.verdicts.log import log_path


def tracker_page_sources(cells: Cells, view: ReviewedView, progress: TrackerProgress) -> Sources | None:
    """What the page of `view` was drawn from; None when it cannot be told from files: while something is under way or
    was stopped (a lock tells, not a file), while verdicts cannot be read, and for folders on a network share, where a
    look may take long and times come late."""
    inputs = _input_folders(cells.data)
    if progress.cells or view.marks.fault or any(map(share_type, (cells.data, *filter(_leads_elsewhere, inputs)))):
        return None
    judge = view.judge
    judged = (judge.ready, judge.fault)
    return Sources(
        with_folders(cells.data, _files(cells, view)),
        tuple(map(str, inputs)),
        lambda: (judge.ready, judge.fault) == judged,
    )


def _input_folders(data: Path) -> list[Path]:
    """What lies in `data/input`, links to folders elsewhere too."""
    try:
        return [Path(entry.path) for entry in os.scandir(data / "input")]
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

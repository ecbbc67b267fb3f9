"""What is missing or stale on disk: which cells and which dashboards are to be made. Level-triggered and pure.

Nothing here remembers that a run finished: wanted versions are compared with published ones, so that anything may be
killed at any time. What belongs elsewhere: starting runs (assets.automation, cli), making results (main_line).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lora_assets.main_line.corrections import usable_recipes
from lora_assets.main_line.deleted import absent_words
from lora_assets.models import ModelError
from lora_assets.recipes import TrackerRecipes, tracker_recipes
from lora_assets.specs import (
    DatasetSpec,
    SpecError,
    TrackerSpec,
    known_tracker_ids,
    list_datasets,
    read_tracker,
    tracker_path,
)
from lora_assets.store import PublishedTable, Store, StoreError, digest
from lora_assets.verdicts.record import VerdictError

_CELL_TABLES = ("detections", "masks", "scored_crops")


@dataclass(frozen=True, slots=True)
class CellDue:
    """A cell to be made, the version that it is wanted in, and a key that differs at every change of its inputs, also
    when they return to an earlier state. `retry` marks a cell that is made, but had to drop frames."""

    dataset: str
    tracker: str
    version: str
    key: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class DashboardDue:
    """A dashboard to be made, the digest of the cells that it must show, and a key as in CellDue.

    `waits_for` are datasets whose cells are due as well: the dashboard is worth making when these have failed, or else
    when they are done.
    """

    tracker: str
    inputs: str
    key: str
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and in words what cannot be done and why. `waiting` are datasets of which it cannot be known
    whether their cell is due, since the log of corrections cannot be used."""

    cells: tuple[CellDue, ...] = ()
    dashboards: tuple[DashboardDue, ...] = ()
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """True when everything is known to be up to date."""
        return not self.cells and not self.dashboards and not self.waiting


def tracker_datasets(store: Store, spec: TrackerSpec) -> list[str]:
    """The datasets of a tracker whose frames are listed, by slug, sorted."""
    listed = sorted(path.stem for path in (store.data / "tables" / "raw_frames").glob("*.parquet"))
    return [dataset for dataset in listed if spec.covers(dataset)]


def _is_due(published: PublishedTable | None, wanted: str) -> bool:
    return published is None or published.facts.get("wanted") != wanted


def _cell_due(
    store: Store, spec: TrackerSpec, recipes: TrackerRecipes, dataset: str, retry_dropped: bool, problems: set[str]
) -> CellDue | None:
    """A cell that was made for the wanted state but had to drop frames is due once a day, and only when asked.

    A log of corrections that cannot be used joins `problems`; raises VerdictError for a cell that was made with some.
    """
    frames = store.frames_of(dataset)
    published = {name: store.cell_table(name, dataset, spec.id) for name in _CELL_TABLES}
    # A dataset of which every file was deleted still has to leave a cell that was made of them.
    if frames is None or not (frames.facts.get("files") or any(published.values())):
        return None
    corrected, unusable = usable_recipes(recipes, store, dataset, spec.id)
    if unusable is not None:
        problems.add(str(unusable))
    wanted = {name: getattr(corrected, name).version_for(frames.version) for name in _CELL_TABLES}
    version = wanted["scored_crops"]
    edited = tracker_path(store.data, spec.id).stat().st_mtime_ns
    if any(_is_due(published[name], wanted[name]) for name in _CELL_TABLES):
        return CellDue(dataset, spec.id, version, digest(version, frames.facts["published_at"], edited))
    if retry_dropped and any(table is not None and table.facts.get("dropped") for table in published.values()):
        return CellDue(dataset, spec.id, version, digest(version, date.today().isoformat()), retry=True)
    return None


def dashboard_inputs(store: Store, tracker: str, datasets: list[str]) -> str:
    """The digest of the cells that a tracker's dashboard shows; the frames list is part of a cell's version."""
    published = {dataset: store.cell_table("scored_crops", dataset, tracker) for dataset in datasets}
    return digest({dataset: table and table.version for dataset, table in published.items()})


def inputs_path(store: Store, tracker: str) -> Path:
    """Where the digest of the cells that the last dashboard of a tracker showed is kept."""
    return store.data / "pages" / tracker / "inputs"


def read_inputs(store: Store, tracker: str) -> str:
    """The digest of the cells that the last dashboard showed; empty when there is none."""
    path = inputs_path(store, tracker)
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _dashboard_due(
    store: Store, spec: TrackerSpec, datasets: list[str], cells: list[CellDue]
) -> tuple[DashboardDue, ...]:
    """A dashboard is due when a cell is there to be shown and the cells are not those that were shown last."""
    shown = [table for name in datasets if (table := store.cell_table("scored_crops", name, spec.id)) is not None]
    inputs = dashboard_inputs(store, spec.id, datasets)
    if not shown or read_inputs(store, spec.id) == inputs:
        return ()
    made_at = [table.facts["published_at"] for table in shown]
    waits_for = tuple(cell.dataset for cell in cells if not cell.retry)
    return (DashboardDue(spec.id, inputs, digest(inputs, made_at), waits_for),)


def _folder_problem(data: Path, tracker: str, dataset: str, known: dict[str, DatasetSpec]) -> str | None:
    if dataset not in known:
        return (
            f"{tracker}: there is no dataset {dataset} under {data / 'input'} (deleted or renamed?) and no registered "
            "one; its results are kept. Bring the folder back, or take it out of the tracker's file"
        )
    folder, only = known[dataset].folder, known[dataset].only
    if not os.path.isdir(folder):  # noqa: PTH112 (Path.is_dir raises where a folder may not be read)
        return f"{tracker}: the folder {folder} is gone: bring it back (or mount it); results are kept"
    if only and not os.path.lexists(folder / only):
        return f"{tracker}: the file {folder / only} is gone: bring it back; results are kept"
    return None


def _absent_problem(store: Store, tracker: str, dataset: str) -> str | None:
    frames = store.frames_of(dataset)
    words = absent_words(dataset, frames.facts) if frames else ""
    return f"{tracker}: {words}" if words else None


def plan_tracker(store: Store, spec: TrackerSpec, *, retry_dropped: bool = False) -> Plan:
    """What is due for one tracker. A sealed tracker is never due, and neither is a cell whose folder is gone: that is
    a problem in words. Raises SpecError, ModelError or StoreError."""
    if spec.sealed:
        return Plan()
    datasets = tracker_datasets(store, spec)
    recipes = tracker_recipes(spec, store.data)
    known = list_datasets(store.data)
    cells: list[CellDue] = []
    waiting: list[str] = []
    unusable: set[str] = set()
    # Also a named dataset without anything to do is told when there is no such folder.
    problems = {name: _folder_problem(store.data, spec.id, name, known) for name in spec.datasets or ()}
    for dataset in datasets:
        try:
            cell = _cell_due(store, spec, recipes, dataset, retry_dropped, unusable)
        except VerdictError as error:
            unusable.add(str(error))
            waiting.append(dataset)
            continue
        if cell is None:
            continue
        problems[dataset] = _folder_problem(store.data, spec.id, dataset, known)
        if problems[dataset] is None:
            cells.append(cell)
    absent = [_absent_problem(store, spec.id, dataset) for dataset in datasets]
    told = tuple(problem for problem in (*problems.values(), *absent) if problem is not None)
    told += tuple(
        f"{spec.id}: {problem}. Until then datasets with masks made by hand wait, and the others go on"
        for problem in sorted(unusable)
    )
    return Plan(tuple(cells), _dashboard_due(store, spec, datasets, cells), told, tuple(waiting))


def plan_all(data: Path, *, retry_dropped: bool = False) -> Plan:
    """What is due for every tracker; a tracker that cannot be planned is a problem in words and stops no other."""
    store = Store(data)
    plans = []
    for tracker in known_tracker_ids(data):
        try:
            plans.append(plan_tracker(store, read_tracker(data, tracker), retry_dropped=retry_dropped))
        except (SpecError, ModelError, StoreError, OSError) as error:
            plans.append(Plan(problems=(f"{tracker}: {error}",)))
    return Plan(
        tuple(cell for plan in plans for cell in plan.cells),
        tuple(due for plan in plans for due in plan.dashboards),
        tuple(problem for plan in plans for problem in plan.problems),
        tuple(dataset for plan in plans for dataset in plan.waiting),
    )


def missing_datasets(store: Store, spec: TrackerSpec) -> list[str]:
    """Datasets that the tracker names but whose frames are not listed yet."""
    if spec.datasets is None:
        return []
    listed = set(tracker_datasets(store, spec))
    return [dataset for dataset in spec.datasets if dataset not in listed]

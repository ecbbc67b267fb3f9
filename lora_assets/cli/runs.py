"""Bringing a tracker up to date through Dagster, in this process: the same jobs that the sensors start.

Nothing is imported of Dagster when nothing is to be done, so that a run over unchanged folders takes a second or two.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lora_assets.cli.folders import holds_what_was_kept, is_listed
from lora_assets.cli.project import Project
from lora_assets.dashboards import seal_if_complete
from lora_assets.input_folders import FolderGone, scan_folder
from lora_assets.main_line.corrections import waiting_in_cell
from lora_assets.main_line.videos import refused_videos
from lora_assets.planning import missing_datasets, plan_tracker
from lora_assets.process_identity import this_process
from lora_assets.specs import DatasetSpec, SpecError, TrackerSpec, list_datasets, read_tracker
from lora_assets.store import Store, StoreError, atomic_write_bytes
from lora_assets.verdicts import VerdictError

if TYPE_CHECKING:
    from dagster import DagsterInstance


class RunFailed(RuntimeError):
    """A Dagster run ended in failure; the text is the cause."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What bringing a tracker up to date did. What a sealed tracker leaves out: `changed_since_sealed` are datasets,
    `masks_waiting` the number of masks that a person mended (or withdrew) since, by dataset. `problems` is what failed,
    `notes` what could not be planned, and what is kept although its files are not there."""

    runs: int
    seconds: float
    changed_since_sealed: tuple[str, ...] = ()
    masks_waiting: tuple[tuple[str, int], ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def dagster_home(project: Project) -> str:
    """A folder under data/ that serves as DAGSTER_HOME with the project's dagster.yaml, so that none of Dagster's own
    files appear beside the sources. Raises SpecError when data/ may not be written."""
    project.data.mkdir(exist_ok=True)
    if not os.access(project.data, os.W_OK):
        raise SpecError(f"{project.data} may not be written: give write rights, or work on a copy of the project")
    told = project.data / "dagster" / "home" / "dagster.yaml"
    content = (project.root / "dagster.yaml").read_bytes()
    # Other processes of Dagster may be reading it at this moment.
    if not told.is_file() or told.read_bytes() != content:
        atomic_write_bytes(told, content)
    return str(told.parent)


def open_instance(project: Project) -> DagsterInstance:
    """The project's Dagster instance; storage is made when there is none yet."""
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="dagster")
    from dagster import DagsterInstance

    return DagsterInstance.from_config(dagster_home(project))


def _tracker_datasets(project: Project, spec: TrackerSpec) -> list[DatasetSpec]:
    known = list_datasets(project.data)
    wanted = list(known) if spec.datasets is None else list(spec.datasets)
    unknown = [slug for slug in wanted if slug not in known]
    if unknown:
        raise SpecError(
            f"tracker {spec.id} names {', '.join(unknown)}, but there is no such folder under "
            f"{project.data / 'input'}; known datasets: {', '.join(known) or 'none'}"
        )
    return [known[slug] for slug in wanted]


class _Jobs:
    """The jobs of the definitions, run in this process on the project's instance."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._instance: DagsterInstance | None = None
        self._defs: Any = None
        self.count = 0

    def _open(self) -> DagsterInstance:
        """The instance, opened when the first job needs it: importing Dagster takes seconds."""
        if self._instance is not None:
            return self._instance
        self._instance = open_instance(self._project)
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        from lora_assets.definitions import defs

        self._defs = defs
        return self._instance

    def run(self, job: str, partition: Any, **dimensions: str) -> None:
        """Run one job for one partition, which is made known first. Raises RunFailed with the cause."""
        from lora_assets.run_launcher import PROCESS_TAG

        instance = self._open()
        for name, key in dimensions.items():
            if not instance.has_dynamic_partition(name, key):
                instance.add_dynamic_partitions(name, [key])
        self.count += 1
        result = self._defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            raise_on_error=False,
            tags={PROCESS_TAG: this_process()},
        )
        if not result.success:
            raise RunFailed(_cause_of(result))

    def close(self) -> None:
        """Release the instance's storage."""
        if self._instance is not None:
            self._instance.dispose()


def _list_frames(jobs: _Jobs, dataset: DatasetSpec) -> None:
    jobs.run("main_line_frames", dataset.slug, dataset=dataset.slug)


def _changed_since_sealed(jobs: _Jobs, store: Store, spec: TrackerSpec, datasets: list[DatasetSpec]) -> tuple[str, ...]:
    """The names of the datasets whose content is no longer what the sealed tracker keeps; listed anew where needed."""
    changed = []
    for dataset in datasets:
        kept = store.frames_of(dataset.slug, spec.id)
        if kept is None:
            continue
        try:
            same = holds_what_was_kept(store, dataset, kept)
            if same is None:
                _list_frames(jobs, dataset)
                same = holds_what_was_kept(store, dataset, kept)
        except FolderGone:
            continue
        if not same:
            changed.append(dataset.name)
    return tuple(changed)


def waiting_masks(store: Store, datasets: Iterable[DatasetSpec], tracker: str) -> tuple[tuple[str, int], ...]:
    """How many masks that a person mended or withdrew are not in a tracker's results yet, by the dataset's name; none
    while their log cannot be read, which `corrections check` tells."""
    try:
        found = [(each.name, waiting_in_cell(store, each.slug, tracker)) for each in datasets]
    except VerdictError:
        return ()
    return tuple((name, count) for name, count in found if count)


def _cause_of(result: Any) -> str:
    """The innermost error of a failed run, in its own words."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.message.strip() if error else 'failed'} (run {result.run_id})"
    return f"the run failed (run {result.run_id})"


def bring_up_to_date(project: Project, tracker: str) -> Outcome:
    """List the tracker's folders, make its due cells and its dashboard. A sealed tracker is left as it is.

    Raises RunFailed, SpecError, ModelError, FolderGone.
    """
    began = time.monotonic()
    store = Store(project.data)
    spec = read_tracker(project.data, tracker)
    datasets = _tracker_datasets(project, spec)
    jobs = _Jobs(project)
    try:
        if spec.sealed:
            changed = _changed_since_sealed(jobs, store, spec, datasets)
            waiting = waiting_masks(store, datasets, tracker)
            return Outcome(jobs.count, time.monotonic() - began, changed, waiting)
        problems = _make_all(jobs, store, spec, datasets)
        notes = plan_tracker(store, spec).problems
        return Outcome(jobs.count, time.monotonic() - began, problems=problems, notes=notes)
    finally:
        jobs.close()


def _unlisted(store: Store, datasets: list[DatasetSpec]) -> tuple[list[DatasetSpec], list[str]]:
    """The datasets that are to be listed anew, and in words those whose folder is gone, which hold up no other. Raises
    FolderGone when all of them are."""
    unlisted: list[DatasetSpec] = []
    gone: list[FolderGone] = []
    for dataset in datasets:
        try:
            unlisted += [] if is_listed(store, dataset) else [dataset]
        except FolderGone as error:
            gone.append(error)
    if gone and len(gone) == len(datasets):
        raise gone[0]
    return unlisted, [str(error) for error in gone]


def _make_all(jobs: _Jobs, store: Store, spec: TrackerSpec, datasets: list[DatasetSpec]) -> tuple[str, ...]:
    """List what changed and make what is due; nothing is started when everything is up to date. Returns in words what
    failed."""
    if not datasets:
        raise SpecError(f"tracker {spec.id} has no dataset: put a folder of frames into {store.data / 'input'}")
    unlisted, gone = _unlisted(store, [*_sources(store, datasets), *datasets])
    if not unlisted and plan_tracker(store, spec, retry_dropped=True).nothing and not missing_datasets(store, spec):
        # One that was reopened, and has nothing new, is as complete as before.
        seal_if_complete(store, spec)
        return tuple(gone)
    if unlisted:
        gone += _list_anew(jobs, store, spec, unlisted)
    files = any(int(listed.facts["files"]) for each in datasets if (listed := store.frames_of(each.slug)))
    # A tracker of which every frame was deleted has cells that are to let go of them.
    if not files and not plan_tracker(store, spec).cells:
        if gone:
            raise RunFailed("; ".join(gone))
        if refused := _refused(store, datasets):
            raise SpecError(
                f"tracker {spec.id} has no frame, since none of its videos gives any: {'; '.join(refused)}. Mend or "
                "replace them and run again"
            )
        if _all_left_out(store, datasets):
            raise SpecError(
                f"tracker {spec.id} has no frame: section [sample] of {store.data / 'settings.toml'} leaves every file "
                f"of {_folders(datasets)} out: raise its sampling_rate, then run again"
            )
        raise SpecError(
            f"tracker {spec.id}: {_folders(datasets)} holds no file that could be a frame; it is empty: put pictures "
            "into it"
        )
    return (*gone, *_make_due(jobs, store, spec))


def _list_anew(jobs: _Jobs, store: Store, spec: TrackerSpec, unlisted: list[DatasetSpec]) -> list[str]:
    """List folders, and the frames of videos in them. One that fails stops no other; returns in words which did."""
    from lora_assets.main_line.reading import kept_readers

    failed: list[str] = []

    def list_one(dataset: DatasetSpec) -> None:
        try:
            _list_frames(jobs, dataset)
        except RunFailed as error:
            failed.append(f"{dataset.name}: {error}")

    with kept_readers():
        for dataset in unlisted:
            list_one(dataset)
        # Frames of videos came to be meanwhile: their folder is a dataset of its own, perhaps a new one.
        known = list_datasets(store.data)
        for dataset in (spec_of for spec_of in known.values() if spec_of.videos_of and spec.covers(spec_of.slug)):
            if not is_listed(store, dataset):
                list_one(dataset)
    return failed


def _sources(store: Store, datasets: list[DatasetSpec]) -> list[DatasetSpec]:
    """The folders with the videos of those datasets that are frames of videos, as far as they are there and not among
    the datasets."""
    known, given = list_datasets(store.data), {each.slug for each in datasets}
    named = {each.videos_of for each in datasets if each.videos_of} - given
    return [known[slug] for slug in sorted(named & set(known)) if os.path.exists(known[slug].place)]  # noqa: PTH110


def _refused(store: Store, datasets: list[DatasetSpec]) -> list[str]:
    """The videos that gave no frames, with the reasons."""
    sources = {each.videos_of or each.slug for each in datasets}
    return [f"{path}: {why}" for slug in sorted(sources) for path, why in refused_videos(store, slug).items()]


def _all_left_out(store: Store, datasets: list[DatasetSpec]) -> bool:
    """True when there are files, and the share that section [sample] asks for holds none of them."""
    sampled = [each for each in datasets if (listed := store.frames_of(each.slug)) and listed.facts.get("sample")]
    return any(scan_folder(each.folder, each.only).files for each in sampled)


def _folders(datasets: list[DatasetSpec]) -> str:
    return ", ".join(str(each.place) for each in datasets)


def _make_due(jobs: _Jobs, store: Store, spec: TrackerSpec) -> tuple[str, ...]:
    """Make the due cells, then the dashboard. One cell that fails stops no other and is told at the end."""
    from dagster import MultiPartitionKey

    problems = []
    for due in plan_tracker(store, spec, retry_dropped=True).cells:
        cell = MultiPartitionKey({"dataset": due.dataset, "tracker": due.tracker})
        try:
            jobs.run("main_line_cells", cell, dataset=due.dataset, tracker=due.tracker)
        except RunFailed as failed:
            problems.append(f"{due.dataset}: {failed}")
    if problems and not list((store.data / "tables" / "scored_crops" / spec.id).glob("*.parquet")):
        raise RunFailed("; ".join(problems))
    try:
        jobs.run("main_line_dashboard", spec.id, tracker=spec.id)
    except (RunFailed, StoreError) as failed:
        problems.append(str(failed))
    return tuple(problems)

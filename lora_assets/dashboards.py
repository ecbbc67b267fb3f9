"""A tracker's dashboard is made from its cells, and a named tracker that is complete is sealed.

What belongs elsewhere: counting and checking pictures (tracker.summary), what is due (planning).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lora_assets.addresses import pages_url
from lora_assets.input_folders import FolderGone, scan_folder
from lora_assets.main_line.integrity import no_veto_in_high
from lora_assets.main_line.sampling import is_of_sample
from lora_assets.main_line.videos import gives_nothing, waiting_videos
from lora_assets.planning import dashboard_inputs, inputs_path, plan_tracker, tracker_datasets
from lora_assets.specs import LIVE, DatasetSpec, TrackerSpec, list_datasets, read_tracker, set_sealed
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.tracker.summary import Dashboard, build_dashboard, read_dashboard


@dataclass(frozen=True, slots=True)
class MadeDashboard:
    """A dashboard as Dagster sees it: versions, numbers to plot, problems in words, its address."""

    version: str
    inputs: str
    numbers: dict[str, float]
    problems: list[dict[str, Any]]
    page_url: str
    sealed: bool


def dashboard_numbers(made: Dashboard) -> dict[str, float]:
    """The numbers of a dashboard that Dagster plots over trackers, by name; what no stage has made yet is left out."""
    total = made.total
    crops = total.crops or 0
    numbers: dict[str, float | None] = {
        "frames": total.frames,
        "quarantined": total.quarantined,
        "nothing_found": total.nothing_found,
        "detections": total.detections,
        "crops": crops,
        "suitable": total.suitable,
        "vetoed": total.vetoed,
        "mean_score": total.mean_score,
        "mean_technical_score": total.mean_technical_score,
        "seconds": made.seconds,
        "picture_problems": made.problem_count,
        **{f"crops_{tier}": count for tier, count in total.tiers.items()},
        **{f"share_{tier}": count / crops if crops else 0.0 for tier, count in total.tiers.items()},
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _is_whole(store: Store, tracker: str, dataset: DatasetSpec) -> bool:
    """True when the dataset is listed as its folder is now, file by file, no video waits to become frames of it, and
    its crops pass their check; or when it has no frames because its videos were all refused, or because section
    [sample] takes none of its files."""
    if dataset.videos_of and gives_nothing(store, dataset):
        return True
    frames = store.frames_of(dataset.slug)
    if frames is None or frames.facts.get("unsettled") or not is_of_sample(store.data, dataset, frames.facts):
        return False
    if dataset.videos_of and waiting_videos(store, dataset.videos_of):
        return False
    try:
        scan = scan_folder(dataset.folder, dataset.only)
    except FolderGone:
        return False
    if scan.fingerprint != frames.facts.get("fingerprint"):
        return False
    if not frames.facts.get("files"):
        # A share that takes none of the files is an answer; an empty folder still waits for its pictures.
        return bool(frames.facts.get("sample")) and bool(scan.files)
    return no_veto_in_high(store.cell_table("scored_crops", dataset.slug, tracker)).passed


def is_complete(store: Store, spec: TrackerSpec) -> bool:
    """True when every dataset that the tracker covers is whole, answered and shown."""
    known = list_datasets(store.data)
    wanted = known if spec.datasets is None else spec.datasets
    if not wanted or not all(slug in known and _is_whole(store, spec.id, known[slug]) for slug in wanted):
        return False
    return plan_tracker(store, spec, retry_dropped=True).nothing


def make_dashboard(store: Store, tracker: str) -> MadeDashboard:
    """Build the dashboard of a tracker from its published cells; seal the tracker when it is named and complete."""
    spec = read_tracker(store.data, tracker)
    with store.lock(f"dashboard-{tracker}"):
        inputs = dashboard_inputs(store, tracker, tracker_datasets(store, spec))
        made = build_dashboard(store.data, tracker)
        atomic_write_bytes(inputs_path(store, tracker), inputs.encode(), recorded=True)
    return _told(store, made, tracker, inputs, seal_if_complete(store, spec))


def seal_if_complete(store: Store, spec: TrackerSpec) -> bool:
    """Seal a named tracker that is complete; True when it is sealed now."""
    if spec.id == LIVE or not is_complete(store, spec):
        return False
    set_sealed(store.data, spec.id, True)
    return True


def kept_dashboard(store: Store, tracker: str) -> MadeDashboard | None:
    """The dashboard of a sealed tracker as it was made; None when there is none. Nothing is written."""
    made = read_dashboard(store.data, tracker)
    path = inputs_path(store, tracker)
    if made is None or not path.exists():
        return None
    return _told(store, made, tracker, path.read_text(encoding="utf-8"), True)


def _told(store: Store, made: Dashboard, tracker: str, inputs: str, sealed: bool) -> MadeDashboard:
    problems = [{"picture": str(problem)} for problem in made.problems]
    return MadeDashboard(
        made.version, inputs, dashboard_numbers(made), problems, f"{pages_url(store.data)}/tracker/{tracker}", sealed
    )

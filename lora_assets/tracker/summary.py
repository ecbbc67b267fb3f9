"""The summary of a tracker: counts, means, settings, weights and runs, and which pictures cannot be decoded.

`build_dashboard` is what the asset tracker_dashboard runs after every change; the page shows the same counts live from
the published tables, so it is right while a run still goes on. How a page looks is not here.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.specs import TrackerSpec, check_tracker_id
from lora_assets.store import PublishedTable, StoreError, atomic_write_json, digest
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.picture_check import PictureProblem, check_pictures, pictures_of

TIERS = ("high", "medium", "low")
PARTS = ("area_ratio", "detector_confidence", "aspect_ratio", "edge_quality", "mask_completeness")
PROBLEMS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of one dataset or of all. What no stage has made yet is None."""

    frames: int | None
    quarantined: int | None
    nothing_found: int | None
    detections: int | None
    masks: int | None
    crops: int | None
    suitable: int | None
    vetoed: int | None
    tiers: dict[str, int]
    flags: dict[str, int]
    mean_score: float | None
    mean_technical_score: float | None
    mean_parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """Weights that a stage used; `starter` marks the small ones that come inside the package."""

    name: str
    sha256: str
    starter: bool


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What a published table says of its making. `made` is False, and the rest empty, for a missing table."""

    stage: str
    made: bool
    recipe: str = ""
    run_id: str = ""
    computed: int = 0
    reused: int = 0
    dropped: int = 0
    seconds: float = 0.0
    version: str = ""
    published_at: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    weights: tuple[WeightFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """One dataset of a tracker: its counts and the facts of each of its stages."""

    dataset: str
    name: str
    counts: Counts
    stages: tuple[StageFacts, ...]
    repeated: int = 0
    """usable files with the bytes of another one, which are no frames of their own"""

    @property
    def complete(self) -> bool:
        """True when every stage has been made."""
        return all(stage.made for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A tracker's summary as it was when built. `version` changes with the content only, not with time or run."""

    tracker: str
    version: str
    built_at: float
    run_url: str
    note: str
    ticket: str
    baseline: str
    sealed: bool
    settings: dict[str, dict[str, Any]]
    total: Counts
    datasets: tuple[DatasetSummary, ...]
    starter_weights: tuple[str, ...]
    run_ids: tuple[str, ...]
    seconds: float
    pictures_checked: int
    problem_count: int
    problems: tuple[PictureProblem, ...]


# --- counts ----------------------------------------------------------------------------------------------------------


def _columns(cells: Cells, tables: Sequence[PublishedTable | None], names: Sequence[str]) -> pa.Table | None:
    made = [cells.columns(table, names) for table in tables if table is not None]
    return pa.concat_tables(made) if made else None


def _value_counts(values: pa.ChunkedArray | pa.Array) -> dict[str, int]:
    counted = pc.value_counts(values).to_pylist()  # pyright: ignore
    return {item["values"]: item["counts"] for item in sorted(counted, key=lambda i: (-i["counts"], i["values"]))}


def _mean(values: pa.ChunkedArray) -> float | None:
    mean = pc.mean(values).as_py()  # pyright: ignore
    return None if mean is None else float(mean)


def distinct_frames(frames: pa.Table) -> pa.Table:
    """The rows of usable frames, one a content: a picture that lies there twice is one frame, under its first path.

    Held frames of animation are often the same bytes; every stage works on them once.
    """
    usable = frames.filter(pc.is_null(frames.column("quarantine_reason")))  # pyright: ignore
    numbered = pa.table({"sha256": usable.column("sha256"), "row": pa.array(range(len(usable)), pa.int64())})
    first = numbered.group_by("sha256", use_threads=False).aggregate([("row", "min")]).column("row_min")
    return usable.take(first.sort())


def frames_without_subject(cells: Cells, cell: Cell) -> pa.Table | None:
    """The rows of `frames` that are no quarantined file and gave no subject; None while detections are not made.

    A frame that the detection dropped (its file changed since it was listed, say) was not looked at: nothing is known
    of it.
    """
    if cell.frames is None or cell.detections is None:
        return None
    frames = cells.columns(cell.frames, ("path", "sha256", "width", "height", "quarantine_reason"))
    frames = distinct_frames(frames)
    detections = cells.columns(cell.detections, ("frame_sha256", "is_subject"))
    found = detections.filter(detections.column("is_subject")).column("frame_sha256")
    known = pc.is_in(frames.column("sha256"), value_set=found.combine_chunks())  # pyright: ignore
    frames = frames.filter(pc.invert(known))  # pyright: ignore
    told = cell.detections.facts.get("dropped_frames")
    dropped = pa.array(list(told) if isinstance(told, dict) else [], pa.string())
    return frames.filter(pc.invert(pc.is_in(frames.column("sha256"), value_set=dropped)))  # pyright: ignore


def count(cells: Cells, wanted: Sequence[Cell]) -> Counts:
    """The counts over some cells, counted once a state of their tables. Raises StoreError for a damaged table."""
    key = tuple(table.path for cell in wanted for _, table in cell.tables() if table), tuple(c.versions for c in wanted)
    return cells.counts.get(key, lambda: _count(cells, wanted))


def _count(cells: Cells, wanted: Sequence[Cell]) -> Counts:
    listed = [cells.columns(cell.frames, ("sha256", "quarantine_reason")) for cell in wanted if cell.frames is not None]
    detections = _columns(cells, [cell.detections for cell in wanted], ("is_subject",))
    masks = _columns(cells, [cell.masks for cell in wanted], ("area",))
    nothing = [rows for cell in wanted if (rows := frames_without_subject(cells, cell)) is not None]
    names = ("tier", "score", "technical_score", "is_valid_content", "lora_suitable", "flags", *PARTS)
    crops = _columns(cells, [cell.scored_crops for cell in wanted], names)
    return Counts(
        frames=sum(len(distinct_frames(frames)) for frames in listed) if listed else None,
        quarantined=sum(len(rows) - rows.column("quarantine_reason").null_count for rows in listed) if listed else None,
        nothing_found=sum(map(len, nothing)) if nothing else None,
        detections=None if detections is None else len(detections),
        masks=None if masks is None else len(masks),
        **_crop_counts(crops),
    )


def _crop_counts(crops: pa.Table | None) -> dict[str, Any]:
    if crops is None:
        empty = dict.fromkeys(("crops", "suitable", "vetoed", "mean_score", "mean_technical_score"))
        return {**empty, "tiers": {}, "flags": {}, "mean_parts": {}}
    tiers = _value_counts(crops.column("tier"))
    parts = {name: mean for name in PARTS if (mean := _mean(crops.column(name))) is not None}
    return {
        "crops": len(crops),
        "suitable": crops.column("lora_suitable").to_pylist().count(True),
        "vetoed": crops.column("is_valid_content").to_pylist().count(False),
        "tiers": {name: tiers.get(name, 0) for name in TIERS},
        "flags": _value_counts(pc.list_flatten(crops.column("flags"))),  # pyright: ignore
        "mean_score": _mean(crops.column("score")),
        "mean_technical_score": _mean(crops.column("technical_score")),
        "mean_parts": parts,
    }


# --- facts -----------------------------------------------------------------------------------------------------------


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _weight_facts(told: Any) -> tuple[WeightFacts, ...]:
    entries = [told] if isinstance(told, dict) else told if isinstance(told, list) else []
    return tuple(
        WeightFacts(str(entry.get("name", "")), str(entry.get("sha256", "")), bool(entry.get("starter", False)))
        for entry in entries
        if isinstance(entry, dict) and entry.get("name")
    )


def stage_facts(stage: str, table: PublishedTable | None) -> StageFacts:
    """The facts of a table, with empty values for those that its writer did not tell.

    Crops of a stage that is still under way are not made yet, although some are shown.
    """
    if table is None or table.facts.get("unfinished"):
        return StageFacts(stage, made=False)
    told = table.facts
    settings = told.get("settings")
    return StageFacts(
        stage=stage,
        made=True,
        recipe=str(told.get("recipe") or ""),
        run_id=str(told.get("run_id") or ""),
        computed=int(_number(told.get("computed"))),
        reused=int(_number(told.get("reused"))),
        dropped=int(_number(told.get("dropped"))),
        seconds=_number(told.get("seconds")),
        version=table.version,
        published_at=_number(told.get("published_at")),
        settings=settings if isinstance(settings, dict) else {},
        weights=_weight_facts(told.get("weights")),
    )


def _repeated(listed: PublishedTable | None) -> int:
    """Usable files of a listed folder that are no frames of their own; 0 where its writer did not count the files."""
    told = listed.facts if listed else {}
    files, frames, quarantined = (told.get(name) for name in ("files", "frames", "quarantined"))
    if files is None or frames is None or quarantined is None:
        return 0
    return max(0, int(_number(files) - _number(frames) - _number(quarantined)))


def summarise(cells: Cells, spec: TrackerSpec) -> tuple[Counts, tuple[DatasetSummary, ...]]:
    """Counts over all datasets, and the summary of each, from the tables as they are now."""
    found = cells.of(spec)
    datasets = tuple(
        DatasetSummary(
            cell.dataset,
            cell.name,
            count(cells, [cell]),
            tuple(stage_facts(stage, table) for stage, table in cell.tables()),
            _repeated(cell.frames),
        )
        for cell in found
    )
    return count(cells, found), datasets


def starter_weights(datasets: Sequence[DatasetSummary]) -> tuple[str, ...]:
    """Names of the starter models that any stage used, sorted."""
    used = {w.name for d in datasets for stage in d.stages for w in stage.weights if w.starter}
    return tuple(sorted(used))


def run_ids(datasets: Sequence[DatasetSummary]) -> tuple[str, ...]:
    """The Dagster runs that made the tables, the newest first, each once."""
    stages = sorted((s for d in datasets for s in d.stages if s.run_id), key=lambda s: -s.published_at)
    return tuple(dict.fromkeys(stage.run_id for stage in stages))


# --- the dashboard ---------------------------------------------------------------------------------------------------


def dashboard_path(data: Path, tracker: str) -> Path:
    """Where a tracker's dashboard lies; the ID is checked first."""
    return data / "pages" / check_tracker_id(tracker) / "dashboard.json"


def build_dashboard(data: Path, tracker: str, run_url: str = "") -> Dashboard:
    """Count, check every picture that the page names, and save `pages/<tracker>/dashboard.json`.

    Pictures are opened and decoded once; those that have not been replaced since the last build are not read again.
    `run_url` is the address of the run that builds it. Raises SpecError for an unknown tracker and StoreError for a
    damaged table.
    """
    cells = Cells(data)
    spec = cells.spec(tracker)
    total, datasets = summarise(cells, spec)
    named = [picture for cell in cells.of(spec) for picture in pictures_of(cells, cell)]
    problems = check_pictures(named, dashboard_path(data, tracker).with_name("checked.json"))
    dashboard = Dashboard(
        tracker=tracker,
        version=_content_version(spec, total, datasets, problems),
        built_at=time.time(),
        run_url=run_url,
        note=spec.note,
        ticket=spec.ticket,
        baseline=spec.baseline,
        sealed=spec.sealed,
        settings=spec.settings,
        total=total,
        datasets=datasets,
        starter_weights=starter_weights(datasets),
        run_ids=run_ids(datasets),
        seconds=round(sum(stage.seconds for d in datasets for stage in d.stages), 3),
        pictures_checked=len(named),
        problem_count=len(problems),
        problems=tuple(problems[:PROBLEMS_KEPT]),
    )
    atomic_write_json(dashboard_path(data, tracker), dataclasses.asdict(dashboard), recorded=True)
    return dashboard


def _content_version(
    spec: TrackerSpec, total: Counts, datasets: Sequence[DatasetSummary], problems: Sequence[PictureProblem]
) -> str:
    tables = [(d.dataset, [(s.stage, s.made, s.recipe, s.version) for s in d.stages]) for d in datasets]
    told = (spec.note, spec.ticket, spec.baseline, spec.settings)
    return digest(told, dataclasses.asdict(total), tables, [dataclasses.asdict(problem) for problem in problems])


def read_dashboard(data: Path, tracker: str) -> Dashboard | None:
    """The saved dashboard, or None when it has not been built. Raises StoreError for a file that cannot be read."""
    path = dashboard_path(data, tracker)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Dashboard(
            **{
                **told,
                "total": Counts(**told["total"]),
                "datasets": tuple(map(_dataset_from_json, told["datasets"])),
                "starter_weights": tuple(told["starter_weights"]),
                "run_ids": tuple(told["run_ids"]),
                "problems": tuple(PictureProblem(**problem) for problem in told["problems"]),
            }
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete it and materialize tracker_dashboard") from error


def _dataset_from_json(told: dict[str, Any]) -> DatasetSummary:
    stages = tuple(
        StageFacts(**{**stage, "weights": tuple(WeightFacts(**weights) for weights in stage["weights"])})
        for stage in told["stages"]
    )
    return DatasetSummary(told["dataset"], told["name"], Counts(**told["counts"]), stages, told.get("repeated", 0))

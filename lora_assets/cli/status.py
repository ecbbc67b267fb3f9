"""status: how far each tracker is, what is due, and what is wrong. Nothing is started or written here."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.folders import holds_what_was_kept, is_listed
from lora_assets.cli.project import enter_project
from lora_assets.cli.runs import waiting_masks
from lora_assets.input_folders import FolderGone, scan_folder
from lora_assets.models import ModelError
from lora_assets.planning import Plan, plan_tracker, tracker_datasets
from lora_assets.specs import (
    DatasetSpec,
    SpecError,
    TrackerSpec,
    check_tracker_id,
    known_tracker_ids,
    list_datasets,
    read_tracker,
)
from lora_assets.store import Store, StoreError
from lora_assets.verdicts.places import cell_datasets

NO_TRACKER = (
    "there is no tracker yet: lora-assets run --input FOLDER --tracker NAME makes one of a folder of pictures, "
    "lora-assets demo one of a drawn film"
)


def tracker_with_crops(store: Store, tracker: str) -> TrackerSpec:
    """The tracker. Raises SpecError, with the way out, for one that is unknown or of which no crops were made yet."""
    spec = read_tracker(store.data, tracker)
    check_has_crops(store, tracker)
    return spec


def check_has_crops(store: Store, tracker: str) -> None:
    """Raises SpecError, with the way out, for a tracker of which no crops were made yet."""
    if not cell_datasets(store, tracker):
        raise SpecError(f"tracker {tracker} has no crops yet: lora-assets run --tracker {tracker} makes them")


def tracker_counts(store: Store, spec: TrackerSpec) -> list[dict[str, Any]]:
    """Frames, crops per tier, flags, quarantined files and seconds of each dataset of a tracker, as published."""
    found = []
    for dataset in sorted(p.stem for p in (store.data / "tables" / "frames" / spec.id).glob("*.parquet")):
        frames = store.frames_of(dataset, spec.id)
        crops = store.cell_table("scored_crops", dataset, spec.id)
        if frames is None:
            continue
        rows = crops.read(["tier", "flags", "frame_sha256"]).to_pylist() if crops else []
        tiers = Counter(row["tier"] for row in rows)
        flags = Counter(flag for row in rows for flag in row["flags"])
        stages = [store.cell_table(name, dataset, spec.id) for name in ("detections", "masks", "scored_crops")]
        usable = int(frames.facts.get("frames", 0))
        found.append(
            {
                "dataset": dataset, "name": frames.facts.get("name", dataset), "frames": usable,
                **{tier: tiers.get(tier, 0) for tier in ("high", "medium", "low")},
                "quarantined": int(frames.facts.get("quarantined", 0)),
                "nothing_found": usable - len({row["frame_sha256"] for row in rows}) if crops else None,
                "flags": ", ".join(f"{name} {count}" for name, count in flags.most_common()) or "none",
                "seconds": sum(float(stage.facts.get("seconds", 0.0)) for stage in stages if stage),
                "complete": crops is not None and not crops.facts.get("dropped"),
            }
        )  # fmt: skip
    return found


def _is_changed(store: Store, spec: TrackerSpec, dataset: DatasetSpec) -> bool:
    """True when the folder is no longer what is listed, or what a sealed tracker keeps. Raises FolderGone."""
    if not spec.sealed:
        return not is_listed(store, dataset)
    kept = store.frames_of(dataset.slug, spec.id)
    return kept is not None and not holds_what_was_kept(store, dataset, kept)


def _folders(store: Store, spec: TrackerSpec, known: dict[str, DatasetSpec]) -> dict[str, list[str]]:
    """The tracker's datasets that are not listed yet, whose folder changed, and whose folder is gone."""
    listed = tracker_datasets(store, spec)
    found: dict[str, list[str]] = {"unlisted": [d for d in spec.datasets or () if d not in {*listed, *known}]}
    changed, gone = found.setdefault("changed", []), found.setdefault("gone", [])
    for slug, dataset in known.items():
        if not spec.covers(slug):
            continue
        try:
            if slug in listed:
                changed += [slug] if _is_changed(store, spec, dataset) else []
            elif scan_folder(dataset.folder, dataset.only).files or spec.datasets is not None:
                found["unlisted"].append(slug)
        except FolderGone:
            gone.append(slug)
    return found


def _tracker_status(store: Store, name: str, known: dict[str, DatasetSpec]) -> dict[str, Any]:
    """What there is to tell of one tracker. Raises SpecError or StoreError for a file that cannot be read."""
    spec, problem = read_tracker(store.data, name), ""
    try:
        plan = plan_tracker(store, spec)
    except (SpecError, ModelError, StoreError) as error:
        plan, problem = Plan(), str(error)
    folders = _folders(store, spec, known)
    due = [cell.dataset for cell in plan.cells] + ([] if spec.sealed else folders["unlisted"])
    covered = [dataset for slug, dataset in known.items() if spec.covers(slug)]
    waiting = dict(waiting_masks(store, covered, name)) if spec.sealed else {}
    return {
        "tracker": name, "sealed": spec.sealed, "note": spec.note, "datasets": tracker_counts(store, spec),
        "due": due, "dashboard_due": bool(plan.dashboards), "folders_changed": folders["changed"],
        "folders_gone": folders["gone"], "masks_waiting": waiting, "problem": problem,
        "problems": list(plan.problems),
    }  # fmt: skip


def _state(told: dict[str, Any]) -> str:
    """The state of a tracker in a few words."""
    if told["sealed"] is None:
        return told["problem"]
    words = ["sealed"] if told["sealed"] else []
    words += [told["problem"]] if told["problem"] else []
    words += [f"due: {', '.join(told['due'])}"] if told["due"] else []
    words += ["page due"] if told["dashboard_due"] else []
    words += [f"folder changed: {', '.join(told['folders_changed'])}"] if told["folders_changed"] else []
    words += [f"mended masks wait: {sum(told['masks_waiting'].values())}"] if told["masks_waiting"] else []
    words += [f"folder gone: {', '.join(told['folders_gone'])}"] if told["folders_gone"] else []
    return "; ".join(words) or ("see below" if told["problems"] else "up to date")


def _next_step(told: dict[str, Any]) -> str:
    """What a person does about a tracker's state; empty when nothing is to be done, or `problem` says it."""
    tracker = told["tracker"]
    run = f"lora-assets run --tracker {tracker}"
    if told["problem"]:
        return ""
    if told["sealed"] and (told["folders_changed"] or told["masks_waiting"]):
        return f"{tracker} is sealed and keeps its results; to take up what came since: lora-assets tracker reopen " \
               f"{tracker}, then {run}"  # fmt: skip
    if told["due"] or told["dashboard_due"] or told["folders_changed"]:
        return f"{tracker}: {run} makes what is due, or `make up` by itself"
    return ""


def status(
    tracker: Annotated[str | None, typer.Option(help="Only this tracker.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for a script.")] = False,
) -> None:
    """Tell how far each tracker is: its counts, what is due, which folders changed, and what is wrong."""
    project = enter_project()
    store, known = Store(project.data), list_datasets(project.data)
    told: list[dict[str, Any]] = []
    for name in [check_tracker_id(tracker)] if tracker else known_tracker_ids(project.data):
        try:
            told.append(_tracker_status(store, name, known))
        except (SpecError, StoreError) as error:
            if tracker:
                raise
            told.append(
                {
                    "tracker": name, "sealed": None, "note": "", "datasets": [], "due": [], "dashboard_due": False,
                    "folders_changed": [], "folders_gone": [], "masks_waiting": {}, "problem": str(error),
                    "problems": [],
                }
            )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    counted = ("frames", "high", "medium", "low", "quarantined")
    rows = []
    for entry in told:
        sums = [sum(dataset[name] or 0 for dataset in entry["datasets"]) for name in counted]
        rows.append([entry["tracker"], len(entry["datasets"]), *sums, _state(entry)])
    print_table(["tracker", "datasets", *counted, "state"], rows, if_none=NO_TRACKER)
    for entry in told:
        for words in (*entry["problems"], _next_step(entry)):
            if words:
                typer.echo(f"- {words}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(status)

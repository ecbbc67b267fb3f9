"""tracker new, list, show, seal, reopen. What a tracker's file says is in specs, what it shows in tracker."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.project import enter_project
from lora_assets.cli.settings import given_settings
from lora_assets.cli.status import NO_TRACKER, tracker_counts
from lora_assets.dashboards import is_complete
from lora_assets.models import ModelError
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import (
    LIVE,
    SpecError,
    TrackerSpec,
    check_tracker_id,
    known_tracker_ids,
    list_datasets,
    read_tracker,
    set_sealed,
    tracker_path,
    write_tracker,
)
from lora_assets.store import Store, StoreError

tracker_app = typer.Typer(help="Make, list and look at trackers.", no_args_is_help=True)


@tracker_app.command()
def new(
    tracker: Annotated[str, typer.Argument(help="ID: letters, digits, '-' and '_'.")],
    dataset: Annotated[
        list[str] | None, typer.Option(help="A dataset, by the name of its folder. Several times; none: every folder.")
    ] = None,
    detector: Annotated[list[str] | None, typer.Option(help="Detector weights, by name or as a file.")] = None,
    segmenter: Annotated[str | None, typer.Option(help="Segmenter weights, by name or as a file.")] = None,
    preset: Annotated[str | None, typer.Option(help="Mask refinement: see lora-assets presets.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any other setting: SECTION.NAME=VALUE")] = None,
    baseline: Annotated[str, typer.Option(help="The tracker that this one is compared with.")] = "",
    note: Annotated[str, typer.Option(help="What this tracker is meant to show.")] = "",
    ticket: Annotated[str, typer.Option(help="The ticket that it answers.")] = "",
) -> None:
    """Write a new tracker's file. Its runs start by themselves while `make up` runs, or with `lora-assets run`."""
    settings = given_settings(detector or [], segmenter, preset, set_ or [])
    project = enter_project()
    check_tracker_id(tracker)
    if tracker == LIVE:
        raise SpecError(
            "LIVE follows every folder and is made by itself, by `make up` or `lora-assets run --tracker LIVE`: choose "
            "another ID; the settings of LIVE are changed in data/trackers/LIVE.toml"
        )
    known = list_datasets(project.data)
    names = {spec.name: slug for slug, spec in known.items()} | {slug: slug for slug in known}
    unknown = [name for name in dataset or [] if name not in names]
    if unknown:
        raise SpecError(f"no dataset {', '.join(unknown)}; known: {', '.join(sorted(names)) or 'none'}")
    if baseline:
        read_tracker(project.data, baseline)
    spec = TrackerSpec(
        tracker,
        tuple(names[name] for name in dataset) if dataset else None,
        note=note,
        ticket=ticket,
        baseline=baseline,
        settings=settings,
    )
    tracker_recipes(spec, project.data)
    typer.echo(f"made {write_tracker(project.data, spec).relative_to(project.root)}")
    typer.echo(f"next: lora-assets run --tracker {tracker}, or let `make up` do it")


@tracker_app.command(name="list")
def list_() -> None:
    """List the trackers with their datasets and state."""
    project = enter_project()
    rows = []
    for name in known_tracker_ids(project.data):
        try:
            spec = read_tracker(project.data, name)
        except SpecError as error:
            rows.append([name, "", "", str(error)])
            continue
        datasets = "every folder" if spec.datasets is None else ", ".join(spec.datasets)
        rows.append([name, datasets, "sealed" if spec.sealed else "open", spec.note])
    print_table(["tracker", "datasets", "state", "note"], rows, if_none=NO_TRACKER)


def _recipes_now(spec: TrackerSpec, store: Store) -> list[dict[str, Any]]:
    recipes = tracker_recipes(spec, store.data)
    return [stage.facts() for stage in (recipes.detections, recipes.segments, recipes.masks, recipes.scored_crops)]


def _recipes_used(spec: TrackerSpec, store: Store) -> list[dict[str, Any]]:
    """The recipes that made the tracker's published tables, each once."""
    fields = ("stage", "code_version", "settings", "weights", "runtime", "parent", "recipe")
    found: dict[str, dict[str, Any]] = {}
    for table in ("detections", "masks", "scored_crops"):
        for path in sorted((store.data / "tables" / table / spec.id).glob("*.parquet")):
            published = store.published(path)
            if published is not None:
                found[str(published.facts.get("recipe"))] = {name: published.facts.get(name) for name in fields}
    return list(found.values())


def _recipes(spec: TrackerSpec, store: Store) -> dict[str, Any]:
    """The recipes of a tracker and where they are known from; a sealed one is what its tables say."""
    if spec.sealed:
        return {"recipes_from": "published tables", "recipes": _recipes_used(spec, store)}
    try:
        return {"recipes_from": "settings and weights as they are", "recipes": _recipes_now(spec, store)}
    except (ModelError, SpecError, StoreError) as error:
        return {"recipes_from": "published tables", "problem": str(error), "recipes": _recipes_used(spec, store)}


@tracker_app.command()
def show(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """Show a tracker's settings as they are written, its recipes and its counts as JSON.

    The recipes of a sealed tracker, and of one whose weights are absent, are those of its published tables.
    """
    project = enter_project()
    spec, store = read_tracker(project.data, tracker), Store(project.data)
    told = {
        "tracker": spec.id, "file": str(tracker_path(project.data, tracker).relative_to(project.root)),
        "note": spec.note, "ticket": spec.ticket, "baseline": spec.baseline, "sealed": spec.sealed,
        "settings": spec.settings, "datasets": tracker_counts(store, spec), **_recipes(spec, store),
    }  # fmt: skip
    typer.echo(json.dumps(told, ensure_ascii=False, indent=1))


@tracker_app.command()
def seal(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    force: Annotated[bool, typer.Option("--force", help="Seal it although results are missing.")] = False,
) -> None:
    """Seal a tracker: its frames list, results and pages stay as they are, whatever happens to the folders."""
    data = enter_project().data
    if tracker != LIVE and not force:
        _check_complete(Store(data), read_tracker(data, tracker))
    set_sealed(data, tracker, True)
    typer.echo(f"{tracker} is sealed")


def _check_complete(store: Store, spec: TrackerSpec) -> None:
    way_out = f"see lora-assets status --tracker {spec.id}, make the rest, or seal it as it is with --force"
    try:
        complete = is_complete(store, spec)
    except (ModelError, SpecError, StoreError) as error:
        raise SpecError(f"tracker {spec.id} cannot be judged ({error}): {way_out}") from error
    if not complete:
        raise SpecError(f"tracker {spec.id} is not complete, so it is not sealed: {way_out}")


@tracker_app.command()
def reopen(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """Open a sealed tracker again: the next run takes up what changed since."""
    set_sealed(enter_project().data, tracker, False)
    typer.echo(f"{tracker} is open again; lora-assets run --tracker {tracker} takes up what came since")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(tracker_app, name="tracker")

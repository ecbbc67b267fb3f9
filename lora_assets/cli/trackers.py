"""tracker new, list, show, seal, reopen."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.project import enter_project
from lora_assets.cli.run import tracker_counts
from lora_assets.cli.settings import given_settings
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import (
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
from lora_assets.store import Store

tracker_app = typer.Typer(help="Make, list and look at trackers.", no_args_is_help=True)


@tracker_app.command()
def new(
    tracker: Annotated[str, typer.Argument(help="ID: letters, digits, '-' and '_'.")],
    dataset: Annotated[
        list[str] | None, typer.Option(help="A dataset, by the name of its folder. Several times; none: every folder.")
    ] = None,
    detector: Annotated[list[str] | None, typer.Option(help="Detector weights, by name or as a file.")] = None,
    segmenter: Annotated[str | None, typer.Option(help="Segmenter weights, by name or as a file.")] = None,
    preset: Annotated[str | None, typer.Option(help="Mask refinement: aggressive, extended or baseline.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any other setting: SECTION.NAME=VALUE")] = None,
    baseline: Annotated[str, typer.Option(help="The tracker that this one is compared with.")] = "",
    note: Annotated[str, typer.Option(help="What this tracker is meant to show.")] = "",
    ticket: Annotated[str, typer.Option(help="The ticket that it answers.")] = "",
) -> None:
    """Write a new tracker's file. Its runs start by themselves while `make up` runs, or with `lora-assets run`."""
    project = enter_project()
    check_tracker_id(tracker)
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
        settings=given_settings(detector or [], segmenter, preset, set_ or []),
    )
    tracker_recipes(spec, project.data)
    typer.echo(f"made {write_tracker(project.data, spec).relative_to(project.root)}")


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
    print_table(["tracker", "datasets", "state", "note"], rows)


@tracker_app.command()
def show(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """Show a tracker's settings, recipes and counts as JSON."""
    project = enter_project()
    spec = read_tracker(project.data, tracker)
    recipes = tracker_recipes(spec, project.data)
    stages = (recipes.detections, recipes.segments, recipes.masks, recipes.scored_crops)
    told = {
        "tracker": spec.id, "file": str(tracker_path(project.data, tracker).relative_to(project.root)),
        "note": spec.note, "ticket": spec.ticket, "baseline": spec.baseline, "sealed": spec.sealed,
        "datasets": tracker_counts(Store(project.data), spec), "recipes": [stage.facts() for stage in stages],
    }  # fmt: skip
    typer.echo(json.dumps(told, ensure_ascii=False, indent=1))


@tracker_app.command()
def seal(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """Seal a tracker: its frames list, results and pages stay as they are, whatever happens to the folders."""
    set_sealed(enter_project().data, tracker, True)
    typer.echo(f"{tracker} is sealed")


@tracker_app.command()
def reopen(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """Open a sealed tracker again: the next run takes up what changed since."""
    set_sealed(enter_project().data, tracker, False)
    typer.echo(f"{tracker} is open again")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(tracker_app, name="tracker")

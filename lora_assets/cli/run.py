"""run, demo: from a folder to a tracker page. How a folder becomes crops is not here (main_line, runs)."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lora_assets.addresses import PAGES, dagster_url, pages_url, running_url
from lora_assets.cli.app import EXIT_INTERRUPTED, EXIT_RUN_FAILED, EXIT_SEALED
from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.folders import check_has_pictures, given_input
from lora_assets.cli.project import Project, enter_project
from lora_assets.cli.runs import Outcome, RunFailed, bring_up_to_date
from lora_assets.cli.settings import given_settings
from lora_assets.cli.status import tracker_counts
from lora_assets.main_line.videos import holds_videos, is_video, refused_videos
from lora_assets.progress import heard_by
from lora_assets.recipes import tracker_recipes, tracker_settings
from lora_assets.specs import (
    LIVE,
    DatasetSpec,
    SpecError,
    TrackerSpec,
    dataset_at,
    ensure_live,
    known_tracker_ids,
    list_datasets,
    of_videos,
    read_tracker,
    register_dataset,
    tracker_path,
    write_tracker,
)
from lora_assets.store import Store

DEMO_TRACKER = "DEMO-1"


def _finish(project: Project, tracker: str) -> None:
    """Bring the tracker up to date, print its table and addresses, and exit with the code that fits."""
    try:
        with shown_progress() as listener, heard_by(listener):
            outcome = bring_up_to_date(project, tracker)
    except KeyboardInterrupt as interrupted:
        typer.echo("interrupted; what was finished is kept, run again to go on", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from interrupted
    except RunFailed as failed:
        typer.echo(f"failed: {failed}", err=True)
        raise typer.Exit(EXIT_RUN_FAILED) from failed
    _print_summary(project, tracker, outcome)
    if left_out := _left_out(outcome):
        typer.echo(
            f"tracker {tracker} is sealed, and {left_out}: its results stay as they are. To take that up: lora-assets "
            f"tracker reopen {tracker}, then lora-assets run --tracker {tracker}. To keep them: choose another ID",
            err=True,
        )
        raise typer.Exit(EXIT_SEALED)
    for note in outcome.notes:
        typer.echo(f"note: {note}", err=True)
    if outcome.problems:
        for problem in outcome.problems:
            typer.echo(f"failed: {problem}", err=True)
        raise typer.Exit(EXIT_RUN_FAILED)


def _left_out(outcome: Outcome) -> str:
    """What came after the seal, in words; empty when nothing did."""
    told = []
    if outcome.changed_since_sealed:
        told.append(f"{', '.join(outcome.changed_since_sealed)} changed since")
    if outcome.masks_waiting:
        count = sum(number for _, number in outcome.masks_waiting)
        masks = "1 mask" if count == 1 else f"{count} masks"
        told.append(f"{masks} of {', '.join(name for name, _ in outcome.masks_waiting)} that you mended or withdrew "
                    f"since {'waits' if count == 1 else 'wait'}")  # fmt: skip
    return " and ".join(told)


def _print_summary(project: Project, tracker: str, outcome: Outcome) -> None:
    counts = tracker_counts(Store(project.data), read_tracker(project.data, tracker))
    rows = [
        [c["name"], c["frames"], c["high"], c["medium"], c["low"], c["quarantined"], c["nothing_found"],
         float(c["seconds"])]
        for c in counts
    ]  # fmt: skip
    headings = ["dataset", "frames", "high", "medium", "low", "quarantined", "nothing found", "seconds"]
    print_table(headings, rows, title=f"tracker {tracker}")
    # Beside the table: on a terminal of 80 columns a column of flags would be eight characters wide.
    for c in counts:
        typer.echo(f"flags of {c['name']}: {c['flags']}")
    _print_videos(project, tracker)
    done = "everything was up to date" if not outcome.runs else f"{outcome.runs} Dagster runs"
    typer.echo(f"{done}, {outcome.seconds:.1f} s")
    start = "" if running_url(project.data, PAGES) else "   (start the servers with: make up)"
    typer.echo(f"page:    {pages_url(project.data)}/tracker/{tracker}{start}")
    typer.echo(f"Dagster: {dagster_url(project.data)}/assets/tracker_dashboard?partition={tracker}&view=partitions")


def _print_videos(project: Project, tracker: str) -> None:
    """Which videos of the tracker's folders gave no frames and why, and which datasets of videos it does not name."""
    store, spec, known = Store(project.data), read_tracker(project.data, tracker), list_datasets(project.data)
    for dataset in (each for each in known.values() if each.videos_of in known):
        of = known[dataset.videos_of]
        if not spec.covers(of.slug) and not spec.covers(dataset.slug):
            continue
        for path, reason in refused_videos(store, of.slug).items():
            typer.echo(f"{of.name}: {path} gives no frames: {reason}")
        if not spec.covers(dataset.slug):
            typer.echo(
                f"{of.name} holds videos: their frames are the dataset {dataset.slug}, which tracker {tracker} does "
                f"not name: add it to data/trackers/{tracker}.toml"
            )


def run(
    tracker: Annotated[str, typer.Option(help="ID of the tracker: letters, digits, '-' and '_'.")],
    input_folder: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Folder of frames, or one video or picture; anywhere, only read. Not needed once the tracker exists.",
        ),
    ] = None,
    detector: Annotated[
        list[str] | None, typer.Option(help="Detector weights, by name or as a file. May be given several times.")
    ] = None,
    segmenter: Annotated[str | None, typer.Option(help="Segmenter weights, by name or as a file.")] = None,
    preset: Annotated[str | None, typer.Option(help="Mask refinement: see lora-assets presets.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as SECTION.NAME=VALUE: detect.conf=0.4")
    ] = None,
    note: Annotated[str, typer.Option(help="What this tracker is meant to show.")] = "",
) -> None:
    """Make the crops of one folder, video or picture under a tracker, in this process, and print what came out.

    The tracker is made when it does not exist yet. Run it again after adding frames, a sealed one after reopening it:
    only new frames are computed. Without --input a tracker that exists is brought up to date, all its folders.
    """
    place = given_input(input_folder) if input_folder is not None else None
    settings = given_settings(detector or [], segmenter, preset, set_ or [])
    project = enter_project()
    if tracker_path(project.data, tracker).exists() or tracker == LIVE:
        spec = ensure_live(project.data) if tracker == LIVE else read_tracker(project.data, tracker)
        _check_same(spec, dataset_at(project.data, place) if place is not None else None, settings, project)
        if note and note != spec.note:
            typer.echo(f"tracker {tracker} exists: its note is kept as it was ({spec.note or 'none'})", err=True)
        if place is not None:
            register_dataset(project.data, place)
    elif place is None:
        raise SpecError(
            f"there is no tracker {tracker}: name the folder of its frames with --input. Known trackers: "
            f"{', '.join(known_tracker_ids(project.data)) or 'none'}"
        )
    else:
        # A wrong setting, absent weights or an empty folder are told before anything is written.
        slug = dataset_at(project.data, place).slug
        tracker_recipes(TrackerSpec(tracker, (slug,), settings=settings), project.data)
        check_has_pictures(place)
        named = _named(project, register_dataset(project.data, place))
        write_tracker(project.data, TrackerSpec(tracker, named, note=note, settings=settings))
    _finish(project, tracker)


def _named(project: Project, dataset: DatasetSpec) -> tuple[str, ...]:
    """The datasets of a new tracker of a folder or file: its own, that of its videos' frames, or both."""
    if not dataset.only:
        videos = (of_videos(project.data, dataset).slug,) if holds_videos(dataset.folder) else ()
        return (dataset.slug, *videos)
    return (of_videos(project.data, dataset).slug,) if is_video(dataset.place) else (dataset.slug,)


def _check_same(
    spec: TrackerSpec, dataset: DatasetSpec | None, settings: dict[str, dict[str, Any]], project: Project
) -> None:
    """A tracker that exists must already be what the command asks for: a tracker never changes silently.

    Settings are compared as they work, so that a default that is given in so many words is no difference.
    """
    if dataset is not None and not _covers(project, spec, dataset):
        raise SpecError(
            f"tracker {spec.id} is of {', '.join(spec.datasets or ())}, not of {dataset.slug}: choose another ID, or "
            f"add the dataset to its file data/trackers/{spec.id}.toml"
        )
    for section, values in settings.items():
        for name, value in values.items():
            written = spec.settings.get(section, {})
            asked = replace(spec, settings={**spec.settings, section: {**written, name: value}})
            if tracker_settings(asked) != tracker_settings(spec):
                raise SpecError(
                    f"tracker {spec.id} exists with other settings ({section}.{name} = "
                    f"{written.get(name, 'its default')}): choose another ID to compare the two"
                )


def _covers(project: Project, spec: TrackerSpec, dataset: DatasetSpec) -> bool:
    videos = (each.slug for each in list_datasets(project.data).values() if each.videos_of == dataset.slug)
    return spec.covers(dataset.slug) or any(spec.covers(slug) for slug in videos)


def demo() -> None:
    """Draw the sample film into data/input and make its tracker DEMO-1: what `make run` does."""
    from lora_assets.scenes import write_sample_film

    project = enter_project()
    began = time.monotonic()
    written = write_sample_film(project.data / "input")
    if time.monotonic() - began > 1.0:
        typer.echo(f"sample film: {len(written)} files drawn in {time.monotonic() - began:.1f} s")
    slugs = sorted({spec.slug for spec in list_datasets(project.data).values() if spec.name.startswith("demo-")})
    if not tracker_path(project.data, DEMO_TRACKER).exists():
        write_tracker(
            project.data, TrackerSpec(DEMO_TRACKER, tuple(slugs), note="the sample film, drawn by the project")
        )
    _finish(project, DEMO_TRACKER)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(run)
    app.command()(demo)

"""export and caption: pictures, masks and captions for trainers; the captions that a person writes."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.console import print_table
from lora_assets.cli.paths import resolved
from lora_assets.cli.project import enter_project
from lora_assets.cli.status import check_has_crops, tracker_with_crops
from lora_assets.exports.caption_files import read_own
from lora_assets.exports.caption_log import read_written, write_captions, written_for
from lora_assets.exports.caption_text import CaptionError
from lora_assets.exports.captioning import MadeCaptions, make_captions
from lora_assets.exports.making import MadeExports, make_exports, read_again
from lora_assets.exports.pool import export_pool
from lora_assets.exports.preview import export_sheet
from lora_assets.exports.settings import FORMATS, CaptionSettings, ExportSettings, caption_settings, export_settings
from lora_assets.exports.tagging import named_tagger
from lora_assets.specs import SpecError, TrackerSpec, known_tracker_ids, read_tracker
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.tables import CropCaption, ExportReading, from_table
from lora_assets.verdicts import CropPlace, tracker_places
from lora_assets.verdicts.places import cell_datasets
from lora_assets.vision.crops import encode_png

_ROWS_SHOWN = 50


def export(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    format_: Annotated[str, typer.Option("--format", help=f"Formats, by comma: {', '.join(FORMATS)}.")] = "",
    trigger: Annotated[str, typer.Option(help="The word that captions begin with.")] = "",
    class_word: Annotated[str, typer.Option(help="What kind of thing it is: character, 1girl, ...")] = "",
    picture: Annotated[str, typer.Option(help="window (the frame around), flat (cut-out on a ground) or alpha.")] = "",
    repeats: Annotated[
        float | None, typer.Option(help="How often a picture is shown in an epoch, on the average.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the trained area, pixels.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Batch size of the training.")] = None,
    mask_dilation: Annotated[float | None, typer.Option(help="Pixels of the trained size to widen masks by.")] = None,
    character: Annotated[str, typer.Option(help="Only this character (name or id).")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder to export into, one folder per format; none: data/exports/TRACKER.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The readings as JSON.")] = False,
) -> None:
    """Export a tracker's chosen crops to trainers, and read each export back as its trainer would.

    What is left out here is taken from the section [export] of the tracker's file. Ends with 3 when anything is lost.
    """
    # The person's folder is left when the project is entered.
    target = resolved(out) if out else None
    if target is not None and target.exists() and not target.is_dir():
        raise SpecError(f"{target} is a file: name a folder with --out, which is made when it is not there")
    project = enter_project()
    store = Store(project.data)
    spec = read_tracker(project.data, tracker)
    told: dict[str, Any] = {
        "formats": tuple(name.strip() for name in format_.split(",") if name.strip()) or None, "trigger": trigger,
        "class_word": class_word, "picture": picture, "repeats": repeats, "resolution": resolution,
        "batch_size": batch_size, "mask_dilation": mask_dilation, "character": character,
    }  # fmt: skip
    given = {name: value for name, value in told.items() if value not in (None, "")}
    own = export_settings(spec)
    try:
        settings = dataclasses.replace(own, **given)
    except ValueError as error:
        raise SpecError(str(error)) from error
    captions = caption_settings(spec)
    check_has_crops(store, tracker)
    captioned = _make_captions(store, spec, captions, own, settings.character)
    made = make_exports(store, tracker, settings, captions, target)
    if as_json:
        told = {
            "source": made.source, "notes": list(made.notes), "captions": captioned.sources,
            "readings": [dataclasses.asdict(reading) for reading in made.readings],
        }  # fmt: skip
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        _tell(made, captioned)
    if made.losses:
        raise typer.Exit(EXIT_BAD_INPUT)


def _make_captions(
    store: Store, spec: TrackerSpec, captions: CaptionSettings, own: ExportSettings, character: str
) -> MadeCaptions:
    """Caption the crops of a character (as `own` has it, or another for once: then the others' captions stay)."""
    tagger, why_none = named_tagger(store.data, captions)
    settings = dataclasses.replace(own, character=character)
    pool = export_pool(store, spec.id, settings)
    for_once = character != own.character
    return make_captions(store, spec.id, pool, captions, settings, tagger, why_none, keep_others=for_once)


def _tell(made: MadeExports, captions: MadeCaptions) -> None:
    names = ["format", "pictures", "validation", "samples", "dropped", "batches", "captions", "masks", "buckets",
             "head cut", "mask cut", "losses"]  # fmt: skip
    rows = [
        [
            one.format, one.images, one.validation_images, one.samples, one.dropped_samples, one.batches, one.captions,
            one.masks_paired, one.buckets, f"{one.worst_head_cut:.1%}", f"{one.worst_mask_cut:.1%}", one.losses,
        ]
        for one in made.readings
    ]  # fmt: skip
    print_table(names, rows, f"as the trainers read it (crops of the {made.source})")
    told = ", ".join(f"{count} from {name}" for name, count in captions.sources.items() if count)
    typer.echo(f"captions: {told or 'none'}")
    for note in dict.fromkeys((*made.notes, *captions.notes)):
        typer.echo(f"- {note}")
    for reading in made.readings:
        _tell_reading(reading, set(made.notes), reading.format in made.reused)


def _tell_reading(reading: ExportReading, told: set[str], reused: bool) -> None:
    typer.echo(f"{reading.format}: {reading.folder}{' (unchanged)' if reused else ''}")
    for problem in reading.problems:
        typer.echo(f"  LOSS {problem}")
    for warning in reading.warnings:
        if warning not in told:
            typer.echo(f"  note: {warning}")


caption_app = typer.Typer(
    help="Captions of a tracker's crops: make, list, write and import them.", no_args_is_help=True
)


@caption_app.command()
def make(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Caption every crop that would be exported, and show the captions."""
    store = Store(enter_project().data)
    spec = tracker_with_crops(store, tracker)
    own = export_settings(spec)
    made = _make_captions(store, spec, caption_settings(spec), own, own.character)
    rows = from_table(made.table.read(), CropCaption)
    if as_json:
        told = {"sources": made.sources, "notes": list(made.notes), "captions": [dataclasses.asdict(r) for r in rows]}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    print_table(["crop", "from", "caption"], [[r.crop_id, r.origin or r.source, r.caption] for r in rows[:_ROWS_SHOWN]])
    if len(rows) > _ROWS_SHOWN:
        typer.echo(f"{len(rows) - _ROWS_SHOWN} more: use --json")
    typer.echo(f"{len(rows)} captions: " + (", ".join(f"{n} from {s}" for s, n in made.sources.items() if n) or "none"))
    for note in made.notes:
        typer.echo(f"- {note}")


@caption_app.command(name="list")
def list_(tracker: Annotated[str, typer.Argument(help="ID of the tracker.")]) -> None:
    """List the captions that you wrote of a tracker's crops."""
    project = enter_project()
    read_tracker(project.data, tracker)
    found = written_for(read_written(project.data), tracker_places(Store(project.data), tracker))
    none = f"no crop of {tracker} has a caption of yours yet: lora-assets caption set CROP TEXT, or caption import FILE"
    print_table(["crop", "caption"], [[crop, text] for crop, text in sorted(found.items())], if_none=none)
    if found:
        typer.echo(f"{len(found)} crops have a caption of yours")


@caption_app.command(name="set")
def set_(
    crop: Annotated[str, typer.Argument(help="ID of the crop: the name of its file in an export.")],
    text: Annotated[str, typer.Argument(help="The caption, on one line; empty: take yours back.")],
    tracker: Annotated[str, typer.Option(help="The crop's tracker; none: any that has it.")] = "",
) -> None:
    """Write the caption of one crop. It wins over everything else, also after the crop was cut anew."""
    project = enter_project()
    store = Store(project.data)
    place = _places(store, tracker).get(crop)
    if place is None:
        raise CaptionError(f"no tracker has a crop {crop!r}: name one as lora-assets show scored_crops lists them")
    write_captions(project.data, [(place, text)])
    typer.echo("your caption is taken back" if not text.strip() else f"written: {text.strip()}")


@caption_app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSONL or CSV with crop_id (or frame, with dataset) and caption.")],
    tracker: Annotated[str, typer.Option(help="The crops' tracker; none: any that has them.")] = "",
) -> None:
    """Write many captions at once: all or none. A row of a frame counts for every crop of it; where several datasets
    have a frame of that path, the row says which dataset."""
    path = resolved(file)
    project = enter_project()
    store = Store(project.data)
    if not path.is_file():
        raise CaptionError(f"{file} is not there: name a .jsonl or .csv file")
    own = read_own(path)
    places = _places(store, tracker)
    by_frame = _frames_of_places(store, places, tracker) if own.by_frame else {}
    own.check_frames(by_frame)
    of_frame = {
        (dataset, frame): [
            place for name, here in by_frame.items() if dataset in ("", name) for place in here.get(frame, ())
        ]
        for dataset, frame in own.by_frame
    }
    unknown = sorted(
        {crop for crop in own.by_crop if crop not in places}
        | {frame for (_, frame), here in of_frame.items() if not here}
    )
    if unknown:
        raise CaptionError(
            f"{path} names {len(unknown)} crops or frames that no tracker has ({', '.join(unknown[:3])}): nothing was "
            "taken"
        )
    captions: list[tuple[CropPlace, str]] = []
    for frame, text in own.by_frame.items():
        captions += [(place, text) for place in of_frame[frame] if place.crop_id not in own.by_crop]
    captions += [(places[crop], text) for crop, text in own.by_crop.items()]
    typer.echo(f"{write_captions(project.data, captions)} captions taken")


def _trackers(store: Store, tracker: str) -> list[str]:
    """The one tracker that is named, or all."""
    if tracker:
        read_tracker(store.data, tracker)
    return [tracker] if tracker else known_tracker_ids(store.data)


def _places(store: Store, tracker: str) -> dict[str, CropPlace]:
    """The crops of one tracker, or of all, by id."""
    return {place.crop_id: place for name in _trackers(store, tracker) for place in tracker_places(store, name)}


def _frames_of_places(
    store: Store, places: dict[str, CropPlace], tracker: str
) -> dict[str, dict[str, list[CropPlace]]]:
    """The frames of each dataset by their paths inside it, with the crops of each (there may be none)."""
    by_frame: dict[tuple[str, str], list[CropPlace]] = defaultdict(list)
    for place in places.values():
        by_frame[place.dataset, place.frame_sha256].append(place)
    found: dict[str, dict[str, dict[str, CropPlace]]] = defaultdict(lambda: defaultdict(dict))
    for name in _trackers(store, tracker):
        for dataset in cell_datasets(store, name):
            table = store.frames_of(dataset, name)
            for row in table.read(["path", "sha256"]).to_pylist() if table else []:
                here = {place.crop_id: place for place in by_frame.get((dataset, row["sha256"]), ())}
                found[dataset][row["path"]].update(here)
    return {name: {path: list(here.values()) for path, here in paths.items()} for name, paths in found.items()}


def read_back_again(
    folder: Annotated[Path, typer.Argument(help="Folder of one format, as export wrote it.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet (PNG): masks as the trainer pairs them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The reading as JSON.")] = False,
) -> None:
    """Read an export that lies there once more by its trainer's rules: is everything still as it was written?"""
    place = resolved(folder)
    reading = read_again(place)
    if sheet is not None and (drawn := export_sheet(place, tiles=96)) is not None:
        atomic_write_bytes(resolved(sheet), encode_png(drawn))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(reading), ensure_ascii=False, indent=1))
    else:
        _tell_reading(reading, set(), False)
        typer.echo(f"{reading.images} pictures, {reading.losses} losses")
    if reading.losses:
        raise typer.Exit(EXIT_BAD_INPUT)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(export)
    app.command(name="check-export")(read_back_again)
    app.add_typer(caption_app, name="caption")

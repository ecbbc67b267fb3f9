"""sweep, layers, adopt, presets: refinement chosen by measurement, frames taken apart. The steps are in mask_lab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
from tomlkit.exceptions import TOMLKitError

from lora_assets.addresses import pages_url
from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded
from lora_assets.cli.project import enter_project
from lora_assets.cli.settings import given_settings, weights_from_here
from lora_assets.cli.sources import folder_from_here, named_dataset
from lora_assets.exports.place import check_place, replaced_whole
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.mask_lab.adopting import adopt_preset
from lora_assets.mask_lab.file_names import LAYERS_INDEX, REPORT
from lora_assets.mask_lab.folders import report_of, write_sweep
from lora_assets.mask_lab.frames import LabSource, known_frames
from lora_assets.mask_lab.layers import make_layers
from lora_assets.mask_lab.making import FOLDER_SWEEPS, MadeSweep, make_sweep, sweep_folder
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.sweeping import Sweep
from lora_assets.progress import Listener
from lora_assets.specs import (
    SpecError,
    TrackerSpec,
    read_tracker,
    section_settings,
)
from lora_assets.store import Store
from lora_assets.tables.mask_lab import PresetResult
from lora_assets.vision.device import worker_count
from lora_assets.vision.refine_presets import PRESETS

_MOST_SHOWN = 16


def sweep(
    source: Annotated[
        str, typer.Argument(help="A dataset, or any folder of frames: whole frames are masked by --segmenter.")
    ] = "",
    tracker: Annotated[
        str, typer.Option("--tracker", help="Sweep this tracker's masks with its section [mask_lab].")
    ] = "",
    preset: Annotated[
        list[str] | None, typer.Option("--preset", help="A preset to try, also aggressive:dilate=5; default all eight.")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option("--grid", help="An axis of a grid, as dilate=3,5,7; may be repeated.")
    ] = None,
    grid_base: Annotated[str, typer.Option("--grid-base", help="The preset that the grid changes.")] = "",
    sample: Annotated[int | None, typer.Option("--sample", help="How many masks to look at.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the sample.")] = None,
    segmenter: Annotated[
        str, typer.Option("--segmenter", help="u2net, u2netp, isnet-anime or an ONNX file of that family.")
    ] = "",
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Folder with truth.json or mask files named like the frames.")
    ] = None,
    second_opinion: Annotated[
        str, typer.Option("--second-opinion", help='Compared with where there is no truth: grabcut, weights, "none".')
    ] = "",
    assign: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting of [mask_lab], as NAME=VALUE; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where the result of a folder goes; default data/folder_sweeps/<dataset>."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also start a sweep of more than 200 presets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Try refinement presets, or a grid of them, on a sample with the hard cases, and compare quality and time."""
    if bool(source) == bool(tracker):
        raise typer.BadParameter("name a dataset or folder, or --tracker; one of the two", param_hint="SOURCE")
    given = _given(preset, grid, grid_base, sample, seed, segmenter, truth, second_opinion, assign or [])
    if tracker and (given or out):
        told = ", ".join([*given, *(["out"] if out else [])])
        raise typer.BadParameter(
            f"with --tracker they stand in its file data/trackers/{tracker}.toml, as lines of the section [mask_lab]",
            param_hint=told,
        )
    place = expanded(out).absolute() if out is not None else None
    folder = folder_from_here(source)
    data = enter_project().data
    with shown_progress(quiet=as_json) as listen:
        if tracker:
            made = make_sweep(data, tracker, listen, allow_large=yes)
        else:
            settings = section_settings(MaskLabSettings, TrackerSpec("sweep", settings={"mask_lab": given}), "mask_lab")
            settings = replace(settings, allow_large=True) if yes else settings
            made = _sweep_folder(Store(data), source, folder, settings, place, listen)
    if isinstance(made, MadeSweep):
        _tell_made(made, data, tracker, as_json)
    else:
        _tell_swept(*made, as_json)


def _given(
    presets: list[str] | None,
    grid: list[str] | None,
    grid_base: str,
    sample: int | None,
    seed: int | None,
    segmenter: str,
    truth: Path | None,
    second_opinion: str,
    assignments: list[str],
) -> dict[str, Any]:
    """The settings that were given, files by their absolute path."""
    given = given_settings([], None, None, [f"mask_lab.{text}" for text in assignments]).get("mask_lab", {})
    if presets:
        given["presets"] = presets
    if grid:
        given["grid"] = dict(_axis(text) for text in grid)
        given.setdefault("presets", [])
    told = {"grid_base": grid_base, "sample": sample, "seed": seed, "second_opinion": weights_from_here(second_opinion)}
    told |= {"segmenter": weights_from_here(segmenter), "truth": str(expanded(truth).absolute()) if truth else ""}
    return given | {name: value for name, value in told.items() if value not in ("", None)}


def _axis(text: str) -> tuple[str, list[Any]]:
    name, equals, values = text.partition("=")
    if not equals or not values.strip():
        raise SpecError(f"grid {text!r} does not fit: write an axis as dilate=3,5,7")
    try:
        return name.strip(), list(tomlkit.parse(f"v = [{values}]").unwrap()["v"])
    except TOMLKitError:
        return name.strip(), [value.strip() for value in values.split(",")]


def _sweep_folder(
    store: Store, source: str, folder: Path | None, settings: MaskLabSettings, place: Path | None, listen: Listener
) -> tuple[Sweep, Path]:
    dataset = named_dataset(store.data, source, folder)
    place = place or store.data / FOLDER_SWEEPS / dataset.slug
    check_place(place, _known_files(place))
    listed = update_raw_frames(store, dataset, workers=worker_count()).table
    frames = LabSource(dataset.slug, dataset.name, dataset.folder, known_frames(listed), None, listed.version)
    swept = sweep_folder(store, frames, settings, listen)
    with store.lock(f"mask-lab-folder-{place.name}"), replaced_whole(place) as fresh:
        write_sweep(fresh, swept, listen, {"dataset": dataset.slug, "folder": str(dataset.folder)})
        names = sorted(str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file())
        (fresh / "files.json").write_text(json.dumps([*names, "files.json"], indent=0) + "\n", encoding="utf-8")
    return swept, place


def _known_files(place: Path) -> set[str] | None:
    """The files that a sweep wrote into a folder, None where none did."""
    try:
        return set(json.loads((place / "files.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _tell_made(made: MadeSweep, data: Path, tracker: str, as_json: bool) -> None:
    if as_json:
        typer.echo((made.folder / REPORT).read_text(encoding="utf-8").rstrip())
        return
    _tell_results(made.results(), made.facts["best"], made.facts["said"])
    typer.echo(f"{'already made' if made.reused else 'result'}: {made.folder}")
    new_name = " --as NEW-ID" if read_tracker(data, tracker).sealed else ""
    page = f"{pages_url(data)}/tracker/{tracker}/lab"
    typer.echo(f"page: {page}   adopt one: lora-assets adopt {tracker} PRESET{new_name}")


def _tell_swept(swept: Sweep, place: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report_of(swept), ensure_ascii=False, indent=1))
        return
    _tell_results(swept.results, swept.best.preset if swept.best else None, [*swept.said, *swept.lost])
    typer.echo(f"result: {place}")


def _tell_results(results: Sequence[PresetResult], best: str | None, said: Sequence[str]) -> None:
    shown = sorted(results, key=lambda each: (-(each.objective or 0.0), each.seconds))[:_MOST_SHOWN]

    def cell(value: float | None) -> str | float:
        return "" if value is None else round(value, 3)

    def share(value: float) -> str:
        return f"{100 * value:.1f} %"

    rows = [
        [
            each.preset + (" *" if each.on_front else ""), share(each.coverage), share(each.box_share),
            round(1000 * each.seconds, 1), cell(each.iou), cell(each.boundary_f), cell(each.thin_kept),
            round(each.specks, 1), share(each.holes), cell(each.objective),
        ]
        for each in shown
    ]  # fmt: skip
    names = ["preset", "coverage", "box", "ms", "IoU", "boundary F", "thin kept", "specks", "holes", "objective"]
    images = results[0].images if results else 0
    title = f"{len(results)} presets over {images} masks" + (
        f", the best {len(shown)}" if len(shown) < len(results) else ""
    )
    print_table(names, rows, f"{title}; * on the Pareto front")
    if best:
        typer.echo(f"best objective: {best}")
    for words in said:
        typer.echo(f"- {words}")


def presets(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show the refinement presets: their steps, and the reason of each number."""
    if as_json:
        told = [
            {"name": each.name, "description": each.description, "parameters": each.parameters, "why": dict(each.why)}
            for each in PRESETS.values()
        ]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for each in PRESETS.values():
        typer.echo(f"{each.name}: {each.description}")
        typer.echo(f"    {each.steps}")
        for name, why in each.why.items():
            typer.echo(f"    {name} = {getattr(each, name)}: {why}")


def layers(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker; its section [layers] says how.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the frames with their folders as JSON.")] = False,
) -> None:
    """Take a tracker's frames apart: characters as RGBA, and the background with them painted out."""
    data = enter_project().data
    with shown_progress(quiet=as_json) as listen:
        made = make_layers(data, tracker, listen)
    rows = made.rows()
    if as_json:
        found = [
            {"dataset": row.dataset, "path": row.path, "folder": str(data / row.folder), "reason": row.reason}
            for row in rows
        ]
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    facts = made.table.facts
    typer.echo(
        f"{len(rows)} of {facts['frames_known']} frames, {made.computed} made now, {facts['lost']} lost, on average "
        f"{100 * facts['mean_hole_share']:.0f} % of the frame painted by {facts['settings']['method']}"
    )
    for words in facts["said"]:
        typer.echo(f"- {words}")
    typer.echo(f"result: {made.folder}; {LAYERS_INDEX} in it names each frame's pictures")


def adopt(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    preset: Annotated[str, typer.Argument(help="The refinement preset, also aggressive:dilate=5.")],
    as_tracker: Annotated[
        str, typer.Option("--as", help="Make a new tracker of this ID instead, a copy; needed for a sealed one.")
    ] = "",
) -> None:
    """Make a refinement preset a tracker's. Its masks are refined anew by the next run; no model is asked again."""
    project = enter_project()
    done = adopt_preset(project.data, tracker, preset, as_tracker)
    made = f"made tracker {done.tracker}, a copy of {tracker}" if done.is_new else f"{tracker}: was {done.before}"
    typer.echo(f"{done.tracker} refines with {done.preset} ({made}); {done.path.relative_to(project.root)}")
    typer.echo(f"next: lora-assets run --tracker {done.tracker} (or `make up`); no model is asked again")
    if done.is_new:
        typer.echo(f"then: lora-assets compare {tracker} {done.tracker}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(sweep)
    app.command()(presets)
    app.command()(layers)
    app.command()(adopt)

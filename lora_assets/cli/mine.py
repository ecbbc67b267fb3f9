"""mine: the rare and odd objects of a dataset, a folder or a tracker, as files. The steps are in mining."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded
from lora_assets.cli.project import enter_project
from lora_assets.cli.settings import given_settings
from lora_assets.cli.sources import folder_from_here, named_dataset
from lora_assets.exports.place import check_place, replaced_whole
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.mining.drawing import oddest_first
from lora_assets.mining.folders import known_files, write_folders
from lora_assets.mining.making import make_tracker_mining, mining_settings, read_mined
from lora_assets.mining.pipeline import Mined
from lora_assets.mining.pipeline import mine as mine_frames
from lora_assets.mining.settings import MiningSettings
from lora_assets.mining.sources import FrameSource, frame_names
from lora_assets.specs import DatasetSpec, SpecError, TrackerSpec, section_settings
from lora_assets.store import Store
from lora_assets.vision.device import worker_count

DEFAULT_DETECTOR = "starter-yolo"
_SHOWN = 20


def mine(
    source: Annotated[
        str, typer.Argument(help="A dataset, or any folder of frames. Left out with --tracker: all its datasets.")
    ] = "",
    tracker: Annotated[
        str, typer.Option("--tracker", help="Mine this tracker's detections with its section [mining].")
    ] = "",
    earlier: Annotated[
        list[str] | None,
        typer.Option(
            "--earlier", help="A dataset or folder that came before, to compare with; may be repeated, in order."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the result goes; default data/mining/<dataset or tracker>.")
    ] = None,
    sampling_rate: Annotated[
        float | None, typer.Option("--sampling-rate", "--sampling_rate", help="Share of the frames, 0 to 1.")
    ] = None,
    parallel: Annotated[int | None, typer.Option("--parallel", help="Worker threads; 0 for 80 % of the cores.")] = None,
    skip_visualization: Annotated[
        bool, typer.Option("--skip-visualization", "--skip_visualization", help="Make no map.")
    ] = False,
    skip_caption: Annotated[bool, typer.Option("--skip-caption", "--skip_caption", help="Ask no service.")] = False,
    yolo_model: Annotated[
        str, typer.Option("--yolo-model", "--yolo_model", help="Detector: a name or a file; any classes.")
    ] = "",
    clip_model: Annotated[
        str, typer.Option("--clip-model", "--clip_model", help='CLIP or SigLIP folder, or "descriptor".')
    ] = "",
    assign: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting of [mining], as NAME=VALUE; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts and the kept objects as JSON.")] = False,
) -> None:
    """Find the rare and odd objects of frames and write them as pictures, JSON and a map."""
    if not source and not tracker:
        raise typer.BadParameter("name a dataset, a folder, or --tracker", param_hint="SOURCE")
    if source and tracker:
        raise typer.BadParameter("name a dataset or folder, or --tracker, not both", param_hint="SOURCE")
    given = _given(sampling_rate, parallel, skip_visualization, skip_caption, yolo_model, clip_model, assign or [])
    if tracker and earlier:
        raise typer.BadParameter("the datasets of a tracker are compared in its own order", param_hint="--earlier")
    if tracker and given:
        raise typer.BadParameter(
            f"the settings of a tracker stand in its file, section [mining]: {', '.join(given)}", param_hint="--tracker"
        )
    place = expanded(out).absolute() if out is not None else None
    folder, earlier_folders = folder_from_here(source), [folder_from_here(name) for name in earlier or []]
    data = enter_project().data
    store = Store(data)
    with shown_progress(quiet=as_json) as listen:
        if tracker:
            mining_settings(data, tracker)
            place = place or data / "mining" / tracker
            check_place(place, known_files(place))
            make_tracker_mining(data, tracker, listen)
            mined = read_mined(data, tracker)
        else:
            settings = section_settings(MiningSettings, TrackerSpec("mine", settings={"mining": given}), "mining")
            settings = settings if settings.yolo_model else replace(settings, yolo_model=DEFAULT_DETECTOR)
            dataset = named_dataset(data, source, folder)
            before = [
                named_dataset(data, name, place) for name, place in zip(earlier or [], earlier_folders, strict=True)
            ]
            if dataset.slug in {each.slug for each in before}:
                raise SpecError(f"{source} is among the earlier datasets: name another one with --earlier")
            place = place or data / "mining" / dataset.slug
            check_place(place, known_files(place))
            sources = [_frames(store, each) for each in (*before, dataset)]
            mined = mine_frames(store, sources, settings, listen, only=dataset.slug, dataset=dataset.slug)
        with store.lock(f"mined-folder-{place.name}"), replaced_whole(place) as fresh:
            counts = write_folders(fresh, store, mined, listen)
    _tell(mined, counts, place, as_json)


def _given(
    sampling_rate: float | None,
    parallel: int | None,
    skip_visualization: bool,
    skip_caption: bool,
    yolo_model: str,
    clip_model: str,
    assign: list[str],
) -> dict[str, Any]:
    """The settings that were given, files by their absolute path."""
    given = given_settings([], None, None, [f"mining.{text}" for text in assign]).get("mining", {})
    told = {"sampling_rate": sampling_rate, "parallel": parallel}
    given |= {name: value for name, value in told.items() if value is not None}
    given |= {
        name: True
        for name, is_so in (("skip_visualization", skip_visualization), ("skip_caption", skip_caption))
        if is_so
    }
    for name, value in (("yolo_model", yolo_model), ("clip_model", clip_model)):
        if value:
            path = expanded(Path(value))
            given[name] = str(path.absolute()) if path.exists() else value
    return given


def _frames(store: Store, dataset: DatasetSpec) -> FrameSource:
    """The dataset's frames as they are now; its list is brought up to date first."""
    listed = update_raw_frames(store, dataset, workers=worker_count()).table
    return FrameSource(dataset.slug, dataset.name, dataset.folder, frame_names(listed), listed.version)


def _tell(mined: Mined, counts: dict[str, int], place: Path, as_json: bool) -> None:
    captions = {each.object_id: each for each in mined.captions.rows}
    kept = oddest_first(mined.rare.rows)
    files = {(source.dataset, sha256): paths[0] for source in mined.sources for sha256, paths in source.frames.items()}
    if as_json:
        rows = [
            {
                "object_id": each.object_id, "dataset": each.dataset,
                "file": files.get((each.dataset, each.frame_sha256)), "label": each.label, "reasons": each.reasons,
                "novelty": each.novelty,
                "caption": captions[each.object_id].caption, "caption_source": captions[each.object_id].source,
                "is_target": captions[each.object_id].is_target,
            }
            for each in kept
        ]  # fmt: skip
        facts = mined.objects.facts
        told = {name: facts[name] for name in ("frames_known", "frames_sampled", "objects_found", "embedder")}
        typer.echo(
            json.dumps(
                {"folder": str(place), **told, "pictures": counts, "said": mined.said, "kept": rows}, ensure_ascii=False
            )
        )
        return
    facts = mined.objects.facts
    typer.echo(
        f"{facts['frames_sampled']} of {facts['frames_known']} frames, {facts['objects_found']} objects, "
        f"{facts['objects']} described by {facts['embedder'] or 'nothing'}, {len(kept)} kept"
    )
    if kept:
        shown = [
            [
                files.get((each.dataset, each.frame_sha256), ""), captions[each.object_id].caption,
                "+".join(each.reasons),
                "" if each.isolation_score is None else each.isolation_score,
                "" if each.lof_score is None else each.lof_score, "" if each.novelty is None else each.novelty,
            ]
            for each in kept[:_SHOWN]
        ]  # fmt: skip
        print_table(["file", "object", "kept for", "forest", "LOF", "novelty"], shown, f"the {len(shown)} oddest")
    for words in mined.said:
        typer.echo(f"- {words}")
    typer.echo(f"result: {place}")


def add_to(app: typer.Typer) -> None:
    """Put the command of this module on the root."""
    app.command()(mine)

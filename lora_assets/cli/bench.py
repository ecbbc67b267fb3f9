"""bench: the figures of docs/BENCHMARKS.md, on this machine. How they are measured is not here (benchmarks)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

bench_app = typer.Typer(invoke_without_command=True)


def _folder(variable: str) -> Path | None:
    named = os.environ.get(variable)
    return Path(named) if named else None


def _print(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


@bench_app.command()
def noop(frames: Annotated[int, typer.Option(help="Frames in the folder.")] = 10_000) -> None:
    """Measure a re-run over an unchanged folder, without Dagster's own cost."""
    from lora_assets.benchmarks.upkeep import measure_noop

    _print(measure_noop(frames))


@bench_app.command()
def increment(frames: Annotated[int, typer.Option(help="Frames in the folder before.")] = 1_000) -> None:
    """Measure what one per cent of new frames costs, as a share of the full cost."""
    from lora_assets.benchmarks.upkeep import measure_increment

    _print(measure_increment(frames))


@bench_app.command()
def memory(
    fewest: Annotated[int, typer.Option(help="Frames of the smaller run.")] = 1_000,
    most: Annotated[int, typer.Option(help="Frames of the larger run.")] = 10_000,
) -> None:
    """Measure peak memory for a small and a large folder."""
    from lora_assets.benchmarks.upkeep import measure_memory

    _print(measure_memory((fewest, most)))


@bench_app.command()
def videos(
    file: Annotated[Path | None, typer.Argument(help="A video of yours; else one is drawn.")] = None,
    shots: Annotated[int, typer.Option(help="Drawn shots.", min=1, max=100)] = 8,
    loops: Annotated[int, typer.Option(help="How often the drawn film is shown.", min=1)] = 10,
    repeats: Annotated[int, typer.Option(help="How often each contestant runs, in turn.", min=1)] = 3,
    rate: Annotated[float, typer.Option(help="Frames that are kept of each second of a shot.")] = 1.0,
) -> None:
    """Measure how many frames of a video are read in a second, as a ratio to plain decoding of the same file."""
    from lora_assets.benchmarks.videos import measure_videos
    from lora_assets.vision.video_settings import VideoSettings

    _print(measure_videos(shots, loops, repeats, (1280, 720), VideoSettings(rate), file))


@bench_app.command()
def pipeline(
    frames: Annotated[int, typer.Option(help="Drawn frames.")] = 48,
    repeats: Annotated[int, typer.Option(help="How often each contestant runs, in turn.")] = 3,
    width: Annotated[int, typer.Option(help="Width of the frames.")] = 1280,
    height: Annotated[int, typer.Option(help="Height of the frames.")] = 720,
    detector: Annotated[str, typer.Option(help="Detector weights.")] = "starter-yolo",
    segmenter: Annotated[str, typer.Option(help="Segmenter weights.")] = "starter-sam",
) -> None:
    """Measure the whole line against its models alone and against the loop that tutorials show."""
    from lora_assets.benchmarks.pipeline import measure_pipeline

    _print(measure_pipeline(frames, repeats, (width, height), detector, segmenter))


@bench_app.command()
def judge(
    scenes: Annotated[int, typer.Option(help="Drawn scenes; a third is kept for trying.")] = 900,
    draws: Annotated[int, typer.Option(help="How often verdicts are chosen anew.")] = 2,
) -> None:
    """Measure what the judge gains over the rules after 50, 200 and 800 verdicts of a simulated reviewer."""
    from lora_assets.benchmarks.judge import measure_judge

    _print(measure_judge(scenes=scenes, draws=draws))


@bench_app.command()
def starters(
    scenes: Annotated[int, typer.Option(help="Unseen drawn scenes.", min=1, max=1_000)] = 200,
    real: Annotated[
        Path | None, typer.Option(help="Real drawings to count characters in; LORA_ASSETS_TEST_IMAGES names it too.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Detectors to compare with; LORA_ASSETS_TEST_MODELS names it too.")
    ] = None,
    figures: Annotated[Path | None, typer.Option(help="Write sheets of failures into this folder.")] = None,
    repeats: Annotated[int, typer.Option(help="How often each runtime runs, in turn.", min=1)] = 20,
) -> None:
    """Measure the starter models: drawn scenes, real drawings, milliseconds per frame."""
    from lora_assets.benchmarks.starters import measure_starter_models

    real, models = real or _folder("LORA_ASSETS_TEST_IMAGES"), models or _folder("LORA_ASSETS_TEST_MODELS")
    _print(measure_starter_models(scenes, real, models, figures, repeats))


@bench_app.command()
def detection(
    scenes: Annotated[int, typer.Option(help="Drawn scenes that are judged.")] = 100,
    detector: Annotated[list[str] | None, typer.Option(help="Detector weights, most trusted first.")] = None,
) -> None:
    """Measure how well bodies are found in drawn scenes, before and after expansion and fusion."""
    from lora_assets.benchmarks.detection import measure_detection

    _print(measure_detection(scenes, (640, 360), detector or ["starter-yolo"]))


@bench_app.command()
def tiers(
    crops: Annotated[int, typer.Option(help="Drawn crops; a third is kept unseen.", min=10)] = 3_000,
    sheet: Annotated[Path | None, typer.Option(help="Write a sheet of right and wrong tiers, as PNG.")] = None,
    first_seed: Annotated[int, typer.Option(help="Seed of the first scene; others draw other crops.", min=0)] = 300_000,
    values: Annotated[
        Path | None, typer.Option(help="Keep what is measured in this JSON file; judge it again when it is there.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Refine the masks by this preset, as a tracker does.")] = None,
) -> None:
    """Measure precision and recall of tiers and flags on drawn crops with known defects."""
    from lora_assets.benchmarks.tiers import measure_tiers

    try:
        _print(measure_tiers(crops, sheet, first_seed, values, preset))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@bench_app.command()
def pages(
    crops: Annotated[int, typer.Option(help="Synthetic crops of the tracker.", min=100)] = 15_000,
    requests: Annotated[int, typer.Option(help="Thumbnails that are asked for.", min=100)] = 4_000,
    repeats: Annotated[int, typer.Option(help="How often the page is opened.", min=1)] = 5,
) -> None:
    """Measure the pages: thumbnails per second behind a password, and the grid in Chromium when it is installed."""
    from lora_assets.benchmarks.pages import measure_pages

    _print(measure_pages(crops, requests, repeats))


@bench_app.command()
def clicks(
    scenes: Annotated[int, typer.Option(help="Drawn scenes.", min=1)] = 60,
    model: Annotated[str, typer.Option(help="Segmenter weights.")] = "starter-sam",
    repeats: Annotated[int, typer.Option(help="Pairs of clicks through the pages.", min=1)] = 20,
    browser: Annotated[bool, typer.Option(help="Click in Chromium too, when it is installed.")] = True,
) -> None:
    """Measure masks by clicks: IoU after one, three and five clicks and from a box, and how long an answer takes."""
    from lora_assets.benchmarks.clicks import measure_clicks
    from lora_assets.cli.project import find_project

    _print(measure_clicks(scenes, model, find_project().data, repeats, browser))


@bench_app.command()
def curation(
    films: Annotated[int, typer.Option(help="Drawn films.", min=1)] = 4,
    shots: Annotated[int, typer.Option(help="Shots of each film.", min=1)] = 16,
    sheets: Annotated[Path | None, typer.Option(help="Write sheets of each film into this folder, as PNG.")] = None,
) -> None:
    """Measure shots, characters, groups of alike crops and the split on drawn films with known truth."""
    from lora_assets.benchmarks.curation import measure_curation

    _print(measure_curation(films, shots, sheets=sheets))


@bench_app.command()
def quality(
    crops: Annotated[int, typer.Option(help="Drawn crops.", min=2, max=1_000)] = 48,
    models: Annotated[
        Path | None, typer.Option(help="Weights of the metrics; LORA_ASSETS_TEST_MODELS names it too.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="Real drawings to damage too; LORA_ASSETS_TEST_IMAGES names it too.")
    ] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Also the cost of CLIP, with random weights.")] = False,
) -> None:
    """Measure milliseconds per crop of each metric of image quality, and which damage each of them tells."""
    from lora_assets.benchmarks.quality import measure_quality

    real, models = real or _folder("LORA_ASSETS_TEST_IMAGES"), models or _folder("LORA_ASSETS_TEST_MODELS")
    _print(measure_quality(models, crops, real, clip))


@bench_app.command()
def mining(
    frames: Annotated[int, typer.Option(help="Drawn streets of four things each.", min=10)] = 250,
    seed: Annotated[int, typer.Option(help="Seed of the streets; others draw other ones.", min=0)] = 2,
    many: Annotated[int, typer.Option(help="Also time and memory over so many made vectors; 0: no.", min=0)] = 0,
    clip_model: Annotated[str, typer.Option(help="CLIP or SigLIP folder, or the built-in one.")] = "descriptor",
) -> None:
    """Measure how many planted rarities mining finds on drawn streets, against chance and each detector alone."""
    from lora_assets.benchmarks.mining import measure_many, measure_mining

    _print(measure_mining(frames, seed=seed, clip_model=clip_model))
    if many:
        _print(measure_many(many))


@bench_app.command(name="mask-lab")
def mask_lab(
    scenes: Annotated[int, typer.Option(help="Drawn scenes at 1080p.", min=1, max=1_000)] = 24,
    repeats: Annotated[int, typer.Option(help="How often each contestant runs, in turn.", min=1)] = 5,
) -> None:
    """Measure the refinement presets: in the box against whole frames and plain OpenCV calls, and their quality."""
    from lora_assets.benchmarks.mask_lab import measure_mask_lab

    _print(measure_mask_lab(scenes, repeats))


@bench_app.command("page-detection")
def page_detection(
    detector: Annotated[
        str, typer.Argument(help="The page detector: the packaged one, or your own (train-page-detector NAME).")
    ] = "starter-pages",
    model: Annotated[str, typer.Option(help="The segmenter that makes the masks.")] = "starter-sam",
    pages: Annotated[int, typer.Option(help="Drawn pages of unseen layouts.", min=1)] = 40,
    real: Annotated[Path | None, typer.Option(help="A real page, with --truth.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Its panels, JSON with format x,y,w,h.")] = None,
) -> None:
    """Measure boxes and masks of panels, bubbles, characters and text on pages of unseen layouts."""
    from lora_assets.benchmarks.page_detection import measure_page_detection
    from lora_assets.cli.project import find_project

    _print(measure_page_detection(find_project().data, detector, model, pages, real, truth))


@bench_app.command()
def finetuning(
    pages: Annotated[int, typer.Option(help="Drawn comic pages; a fifth is of unseen layouts.", min=10)] = 100,
    steps: Annotated[int, typer.Option(help="Steps of the starter SAM; 0 leaves it out.", min=0)] = 400,
    sam2_steps: Annotated[int, typer.Option(help="Steps of a small random SAM 2; 0 leaves it out.", min=0)] = 1_200,
    seed: Annotated[int, typer.Option(help="Other seeds draw other pages.", min=0)] = 1,
    sheets: Annotated[Path | None, typer.Option(help="Write the reports' pictures into this folder.")] = None,
) -> None:
    """Measure what tuning gains on drawn comic pages of unseen layouts, its speed and its memory."""
    from lora_assets.benchmarks.finetuning import measure_finetuning

    _print(measure_finetuning(pages, steps, sam2_steps, seed, sheets))


@bench_app.callback()
def bench(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small counts: minutes become seconds, figures rough.")
    ] = False,
) -> None:
    """Measure the main line on this machine; each command prints its figures. Without a command: all of them."""
    if context.invoked_subcommand is not None:
        return
    # Memory first: Linux counts the peak of the process that starts another one as the peak of the new one too.
    if quick:
        memory(50, 200)
        noop(200)
        increment(50)
        pipeline(4, 1, 640, 360)
        starters(4, repeats=2)
        return
    memory()
    noop()
    increment()
    pipeline()
    starters()


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(bench_app, name="bench")

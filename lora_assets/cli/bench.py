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
) -> None:
    """Measure precision and recall of tiers and flags on drawn crops with known defects."""
    from lora_assets.benchmarks.tiers import measure_tiers

    _print(measure_tiers(crops, sheet))


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

"""train-segmenter: tune a segmenter on an annotated set and judge it against its base. The work is in finetuning."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from lora_assets.annotations.places import segmenter_path
from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded
from lora_assets.cli.project import enter_project
from lora_assets.finetuning.making import MadeReport, MadeSegmenter, make_report, tune_segmenter
from lora_assets.finetuning.preflight import check_before, work_folder
from lora_assets.finetuning.random_start import random_start, write_new_sam2
from lora_assets.finetuning.settings import SegmenterSettings, TrainingSettings, write_segmenter
from lora_assets.models.tuned import BETTER, check_tuned_name
from lora_assets.progress import Listener
from lora_assets.specs import SpecError


def train_segmenter(
    name: Annotated[str, typer.Argument(help="Name of the settings file in data/segmenters, and of the tuned model.")],
    annotations: Annotated[
        str, typer.Option("--annotations", help="For a new settings file: a set of data/annotations, or a folder.")
    ] = "",
    base: Annotated[
        str, typer.Option("--base", help="For a new settings file: weights by name, a .pth, or a SAM 2 folder.")
    ] = "",
    new_sam2: Annotated[
        int,
        typer.Option(
            "--new-sam2",
            min=0,
            metavar="SIDE",
            help="Instead of --base: begin with a small SAM 2 of random weights that reads SIDE pixels a side (128).",
        ),
    ] = 0,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", help="For a new settings file: a setting of [training], as NAME=VALUE; may be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on at the last checkpoint; an error without one.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Begin anew, whatever was made before.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check everything and tell the memory it takes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card and all figures as JSON.")] = False,
) -> None:
    """Tune a segmenter, judge it against its untouched base, and offer it to trackers when it is better.

    The settings file data/segmenters/NAME.toml is written, with words beside each setting, when --annotations and
    --base (or --new-sam2) are given and it does not exist. A training that was interrupted goes on where it was.
    """
    if resume and anew:
        raise typer.BadParameter("go on or begin anew, not both", param_hint="--resume, --anew")
    if base and new_sam2:
        raise typer.BadParameter("a base or a new one, not both", param_hint="--base, --new-sam2")
    annotations, base = _from_here(annotations), _from_here(base)
    data = enter_project().data
    _settings_file(data, name, annotations, base, assign or [], new_sam2=new_sam2, quiet=as_json)
    if check:
        ready = check_before(data, name)
        for words in (ready.memory.words(), *ready.notes):
            typer.echo(words)
        return
    with shown_progress(quiet=as_json) as listen:
        tuned = tune_segmenter(
            data,
            name,
            _one_name(listen, f"tune {name}"),
            resume=True if resume else False if anew else None,
            say=(lambda _: None) if as_json else typer.echo,
        )
        report = make_report(data, name, _one_name(listen, f"judge {name}"))
    _tell(tuned, report, as_json)


def _from_here(named: str) -> str:
    """What the person names from where they stand, before the project's folder becomes the current one."""
    path = expanded(Path(named)) if named else None
    return str(path.absolute()) if path is not None and path.exists() else named


def _settings_file(
    data: Path, name: str, annotations: str, base: str, assign: list[str], *, new_sam2: int, quiet: bool
) -> None:
    path = segmenter_path(data, name)
    if path.exists():
        if annotations or base or assign or new_sam2:
            raise SpecError(f"{path} is there already: edit it and leave out --annotations, --base and --set")
        return
    if not annotations or not (base or new_sam2):
        raise SpecError(
            f"{path} is not there: name --annotations SET and --base MODEL, and it is written "
            "(sets: lora-assets annotations; models: lora-assets models list)"
        )
    training = _training(assign, random_start() if new_sam2 else TrainingSettings())
    new = _new_base(data, name, new_sam2, training.seed) if new_sam2 else None
    write_segmenter(data, SegmenterSettings(name, annotations, str(new or base), training))
    try:
        check_before(data, name)
    except BaseException:
        # A file with a wrong set or base would stand in the way of the same command put right.
        path.unlink(missing_ok=True)
        if new is not None:
            shutil.rmtree(new)
        raise
    if not quiet:
        typer.echo(f"settings: {path}")


def _new_base(data: Path, name: str, side: int, seed: int) -> Path:
    """A new SAM 2 in the segmenter's own folder."""
    check_tuned_name(name, data)
    try:
        return write_new_sam2((work_folder(data, name) / "start").absolute(), side, seed=seed)
    except ValueError as error:
        raise SpecError(f"--new-sam2: {error}") from error


def _training(assign: list[str], usual: TrainingSettings) -> TrainingSettings:
    """The usual training with the settings that were given as NAME=VALUE."""
    try:
        given = tomllib.loads("\n".join(assign))
        known = [one.name for one in fields(TrainingSettings)]
        unknown = sorted(set(given) - set(known))
        if not unknown:
            return replace(usual, **given)
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"--set: {error}; write NAME=VALUE, text in quotes: --set steps=500 --set encoder='\"lora\"'"
        ) from error
    raise SpecError(f"--set: unknown setting {', '.join(unknown)}; known: {', '.join(known)}")


def _one_name(listen: Listener, name: str) -> Listener:
    """The same, under one name for all steps: a bar is known by it."""
    return lambda at: listen(replace(at, stage=name))


def _tell(tuned: MadeSegmenter, report: MadeReport, as_json: bool) -> None:
    figures = report.figures()
    if as_json:
        told = {"card": asdict(report.card), "training": tuned.table.facts, "figures": [asdict(one) for one in figures]}
        typer.echo(json.dumps(told | {"report": str(report.picture)}, ensure_ascii=False, indent=1))
        return
    facts = tuned.table.facts
    typer.echo(
        f"{'made before' if tuned.reused else 'tuned'}: {facts['steps']} steps in {facts['seconds'] / 60:.1f} minutes "
        f"({facts['steps_per_second']:.2f} a second), best at step {facts['best_step']}; it ended as {facts['ended']}"
    )
    rows = [
        [one.prompt, one.category, one.figure, one.annotations, one.base, one.tuned, f"{one.gain:+.3f}",
         f"{one.low:+.3f} to {one.high:+.3f}"]
        for one in figures
    ]  # fmt: skip
    print_table(["prompt", "category", "figure", "annotations", "base", "tuned", "gain", "95 % of the gain"], rows)
    card = report.card
    typer.echo(f"{card.name}: {card.verdict}. {card.reason}")
    if card.verdict == BETTER:
        typer.echo(
            f'use it: weights = "{card.name}" in [segment] of a tracker, or lora-assets segment --model {card.name}'
        )
    else:
        typer.echo(f"not offered: trackers go on with {card.lineage['base']}")
    typer.echo(f"report: {report.picture}")


def add_to(app: typer.Typer) -> None:
    """Put the command of this module on the root."""
    app.command("train-segmenter")(train_segmenter)

"""models list, pull, verify, add, convert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded
from lora_assets.cli.project import enter_project
from lora_assets.models import add as add_weights
from lora_assets.models import list_weights, verify
from lora_assets.models import pull as pull_weights
from lora_assets.progress import Progress

models_app = typer.Typer(
    help="Model weights: what is known, fetch, check, add a file of your own.", no_args_is_help=True
)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size else "unknown"


@models_app.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="JSON for a script.")] = False) -> None:
    """List known weights: task, whether the file is here, size, licence."""
    known = list_weights(enter_project().data)
    if as_json:
        fields = ("name", "task", "family", "present", "bytes", "sha256", "licence", "commercial", "note", "urls")
        told = [{name: getattr(each, name) for name in fields} | {"path": str(each.path)} for each in known]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    rows = [
        [w.name, w.task, "here" if w.present else "absent", _megabytes(w.bytes), w.licence,
         {True: "yes", False: "no", None: "ask"}[w.commercial], w.note]
        for w in known
    ]  # fmt: skip
    print_table(["name", "task", "file", "MB", "licence", "commercial use", "note"], rows)


@models_app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Names of the list.")],
    accept_unpinned: Annotated[
        bool, typer.Option(help="Take a file whose hash nobody recorded yet, and record it.")
    ] = False,
) -> None:
    """Fetch weights into data/models; a broken download goes on where it stopped, a wrong file is refused."""
    data = enter_project().data
    for name in names:
        with shown_progress() as listener:
            weights = pull_weights(
                name,
                data,
                lambda done, total, n=name: listener(Progress(n, done, total or done, "bytes")),
                accept_unpinned,
            )
        typer.echo(f"{name}: {weights.path} ({weights.sha256[:12]})")


@models_app.command(name="verify")
def verify_() -> None:
    """Read every weights file and compare it with its recorded hash. Nothing is deleted."""
    checked = verify(enter_project().data)
    print_table(["name", "state", "file", "detail"], [[v.name, v.state, str(v.path), v.detail] for v in checked])
    if any(each.state == "corrupt" for each in checked):
        raise typer.Exit(EXIT_BAD_INPUT)


@models_app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A weights file of your own; it is copied.")],
    name: Annotated[
        str | None, typer.Option(help="The name to use in settings; the file's name when left out.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="detect, segment or quality; found from the file when left out.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="How it is opened; found from the file when left out.")] = None,
) -> None:
    """Add a weights file of your own under a name, with its hash."""
    file = expanded(file).absolute()
    weights = add_weights(file, enter_project().data, name, task, family)
    typer.echo(f"{weights.name}: {weights.family}, {weights.task}, {weights.path}")


@models_app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A .pt or .pth that was refused; it is read only, and not changed.")],
    name: Annotated[
        str | None, typer.Option(help="The name to use in settings; the file's name when left out.")
    ] = None,
) -> None:
    """Take the numbers out of a weights file that is a program (a pickle), and add them under a name.

    The program runs once, in a process without network that can write nowhere else, under limits of memory and time.
    Needs Linux that allows user namespaces; nothing is run where it does not.
    """
    from lora_assets.training.converting import convert as convert_weights

    file = expanded(file).absolute()
    weights = convert_weights(file, enter_project().data, name)
    typer.echo(f"{weights.name}: {weights.family}, {weights.task}, {weights.path}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(models_app, name="models")

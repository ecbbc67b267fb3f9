"""verify: every file that stages wrote, against its remembered hash, and a person's logs; `--repair` mends."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.console import print_table
from lora_assets.cli.corrections import corrections_log
from lora_assets.cli.logs import log_problems
from lora_assets.cli.project import enter_project
from lora_assets.main_line.verifying import FileProblem, repair_files, verify_files
from lora_assets.store import Store
from lora_assets.verdicts import VerdictLog

_SHOWN = 40


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="draw damaged pictures again, remove damaged chunks")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the result as JSON")] = False,
) -> None:
    """Read every result on disk and name each file that is not what was written.

    Exit code 3 when something is damaged or missing and was not mended. Run it while no other run goes on.
    """
    project = enter_project()
    found = verify_files(project.data)
    problems = repair_files(Store(project.data), found.problems) if repair and found.problems else found.problems
    logs = {kind.things: log_problems(kind, project.data) for kind in (VerdictLog, corrections_log())}
    if as_json:
        told = {**asdict(found), "problems": [asdict(problem) for problem in problems], **logs}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        typer.echo(f"{found.files} files, {found.bytes / 1e6:.1f} MB, {len(problems)} damaged or missing")
        if found.unknown:
            typer.echo(f"{found.unknown} files have no remembered hash (notes, or of an earlier version): not checked")
        if problems:
            _print_problems(problems)
        for things, texts in logs.items():
            for text in texts[:_SHOWN]:
                typer.echo(f"{things}: {text}")
    if any(logs.values()) or any(not problem.mended for problem in problems):
        raise typer.Exit(EXIT_BAD_INPUT)


def _print_problems(problems: tuple[FileProblem, ...]) -> None:
    rows = [(each.path, each.kind, "mended" if each.mended else each.way_out) for each in problems[:_SHOWN]]
    print_table(("file", "is", "what to do"), rows)
    if len(problems) > _SHOWN:
        typer.echo(f"and {len(problems) - _SHOWN} more: --json tells all")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)

"""verdicts list, export, import, check, backup, restore: what a person said. How it is kept is in verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.project import enter_project
from lora_assets.specs import read_tracker
from lora_assets.store import Store, StoreError, atomic_write_bytes
from lora_assets.verdicts import VerdictError, match_verdicts, open_log, tracker_places
from lora_assets.verdicts.log import keep_backup
from lora_assets.verdicts.restoring import restore as put_back

verdicts_app = typer.Typer(help="Look at, carry away and bring back what you said of crops.", no_args_is_help=True)


@verdicts_app.command(name="list")
def list_(
    tracker: Annotated[
        str | None, typer.Option(help="Only verdicts that apply to this tracker's crops; the others with the reason.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON list.")] = False,
) -> None:
    """List what stands now: the last word on each crop, oldest first."""
    project = enter_project()
    with open_log(project.data) as log:
        standing, last = log.standing_marks(), list(log.current().values())
    applies: dict[str, tuple[str, str]] = {}
    if tracker is not None:
        read_tracker(project.data, tracker)
        matching = match_verdicts(last, tracker_places(Store(project.data), tracker)).standing()
        applies = {m.verdict.mark.request_id: (m.place.crop_id, f"IoU {m.iou:.2f}") for m in matching.matched}
        applies |= {lost.verdict.mark.request_id: ("none", lost.reason) for lost in matching.unmatched}
    rows = []
    for verdict in standing:
        mark = verdict.mark
        crop, why = applies.get(mark.request_id, (mark.crop_id, ""))
        rows.append([verdict.at[:19], mark.value, mark.stars or "", mark.tracker, mark.dataset, crop, why, mark.note])
    names = ["time (UTC)", "value", "stars", "tracker", "dataset", "crop", "applies", "note"]
    if as_json:
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False, indent=1))
        return
    print_table(names, rows)
    typer.echo(f"{len(rows)} crops have a verdict")


@verdicts_app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="File to write; none: standard output.")] = None,
) -> None:
    """Write every row of the log, undone ones too, as lines of JSON (JSONL)."""
    # The person's folder is left when the project is entered.
    target = file.resolve() if file else None
    with open_log(enter_project().data) as log:
        lines = list(log.export_lines())
    if target is None:
        for line in lines:
            typer.echo(line)
        return
    atomic_write_bytes(target, "".join(f"{line}\n" for line in lines).encode())
    typer.echo(f"wrote {len(lines)} rows to {file}")


@verdicts_app.command(name="import")
def import_(file: Annotated[Path, typer.Argument(help="File that export wrote.")]) -> None:
    """Take exported rows: all or none. Rows that are known are left as they are, so a file may be imported twice."""
    try:
        # A note may hold U+2028 and the like, at which splitlines would part its line.
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise VerdictError(f"{file} is not UTF-8 text: name a file that lora-assets verdicts export wrote") from error
    with open_log(enter_project().data) as log:
        if log.history():
            keep_backup(log)
        count = log.import_lines(lines)
    typer.echo(f"{count.added} rows taken, {count.known} were known")


@verdicts_app.command()
def check() -> None:
    """Read all of the log and see that it is whole."""
    with open_log(enter_project().data) as log:
        problems, rows = log.check(), len(log.history())
    if problems:
        raise StoreError(f"{log.path} is damaged: {'; '.join(problems[:3])}; newest backup: {log.path.parent}/backups")
    typer.echo(f"{log.path} is whole: {rows} rows")


@verdicts_app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="File to write; none: today's in data/verdicts/backups, 14 days are kept.")
    ] = None,
) -> None:
    """Write a checked copy of the log."""
    target = file.resolve() if file else None
    with open_log(enter_project().data) as log:
        typer.echo(f"copied to {log.backup(target) if target else keep_backup(log)}")


@verdicts_app.command()
def restore(
    file: Annotated[Path | None, typer.Argument(help="Backup to put back; none: the newest one.")] = None,
) -> None:
    """Put a backup back. What lay there is moved aside, and rows that only it has are taken over where it can be read.

    Stop `lora-assets up` and `serve` first.
    """
    backup = file.resolve() if file else None
    project = enter_project()
    try:
        with Store(project.data).lock("up", wait=False):
            found = put_back(project.data, backup)
    except StoreError as error:
        raise StoreError("the servers of this project are running: stop them with Ctrl-C, then restore") from error
    typer.echo(f"{found.rows} rows of the backup, {found.taken_over} more taken over from the log that lay there")
    if found.aside is not None:
        typer.echo(f"that one is in {found.aside}")
    if found.unread:
        typer.echo(f"it could not be read whole: {found.unread}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(verdicts_app, name="verdicts")

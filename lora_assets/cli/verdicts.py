"""verdicts list, export, import, check, backup, restore: what a person said. How it is kept is in verdicts."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.logs import add_log_commands
from lora_assets.cli.project import enter_project
from lora_assets.specs import read_tracker
from lora_assets.store import Store
from lora_assets.verdicts import VerdictLog, match_verdicts, open_log, tracker_places

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
    none = "no crop has a verdict yet: open a tracker's page (lora-assets up) and press g, b or x on a crop"
    print_table(names, rows, if_none=none)
    if rows:
        typer.echo(f"{len(rows)} crops have a verdict")


add_log_commands(verdicts_app, "verdicts", lambda: VerdictLog)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(verdicts_app, name="verdicts")

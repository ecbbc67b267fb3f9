"""corrections list, withdraw, export, import, check, backup, restore: masks that were made by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.logs import add_log_commands
from lora_assets.cli.project import enter_project
from lora_assets.cli.runs import waiting_masks
from lora_assets.specs import SpecError, list_datasets, read_tracker
from lora_assets.store import Store

if TYPE_CHECKING:
    from lora_assets.verdicts.corrections import CorrectionLog

corrections_app = typer.Typer(
    help="Masks that you made by hand: list, withdraw, carry away, bring back.", no_args_is_help=True
)


@corrections_app.command(name="list")
def list_(
    tracker: Annotated[str | None, typer.Option(help="Also tell to which boxes of this tracker they apply.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON list.")] = False,
) -> None:
    """List every correction, oldest first; one that matches no box is told with the reason."""
    from lora_assets.main_line.corrections import applied_in_cell
    from lora_assets.planning import tracker_datasets
    from lora_assets.verdicts.corrections import read_corrections

    data = enter_project().data
    kept, _ = read_corrections(data)
    applies: dict[str, str] = {}
    names, way_out = list_datasets(data), ""
    if tracker is not None:
        store, spec = Store(data), read_tracker(data, tracker)
        applies = dict.fromkeys((one.id for one in kept), "its frame is in no dataset of the tracker")
        boxed: dict[str, str] = {}
        for dataset in tracker_datasets(store, spec):
            applied = applied_in_cell(store, dataset, tracker)
            applies |= {one.id: reason for one, reason in applied.unmatched}
            boxed |= {one.id: f"box {box}" for (_, box), one in applied.by_box.items()}
        # A frame may lie in several datasets, one of which has no detections yet.
        applies |= boxed
        known = [names[dataset] for dataset in tracker_datasets(store, spec) if dataset in names]
        if count := sum(number for _, number in waiting_masks(store, known, tracker)):
            first = f"lora-assets tracker reopen {tracker}, then " if spec.sealed else ""
            way_out = f"{count} of the masks of {tracker} are not yet as this list says: {first}lora-assets run " \
                      f"--tracker {tracker}"  # fmt: skip
    rows = []
    for one in kept:
        told = one.correction
        state = "withdrawn" if one.withdrawn_at else "stands"
        dataset = names[told.dataset].name if told.dataset in names else told.dataset
        reason = "" if one.withdrawn_at else applies.get(one.id, "")
        rows.append([one.id, one.at[:19], state, told.category, told.model, dataset, told.frame_sha256[:12], reason])
    headings = ["id", "time (UTC)", "state", "category", "model", "dataset", "frame", "applies"]
    if as_json:
        typer.echo(json.dumps([dict(zip(headings, row, strict=True)) for row in rows], ensure_ascii=False, indent=1))
        return
    print_table(headings, rows, if_none="no mask was mended yet: open a crop on a tracker's page and press e")
    if rows:
        typer.echo(f"{sum(not one.withdrawn_at for one in kept)} of {len(rows)} corrections stand")
    if way_out:
        typer.echo(way_out)


@corrections_app.command()
def withdraw(named: Annotated[str, typer.Argument(metavar="ID", help="The correction's id.")]) -> None:
    """Withdraw a correction: the next run of each tracker has its own mask again."""
    from lora_assets.verdicts.append_only import try_daily_backup

    kind = corrections_log()
    path = kind.path_in(enter_project().data)
    if not path.exists():
        raise SpecError("nothing has been corrected yet")
    with kind(path) as log:
        kept = log.withdraw(named)
        if problem := try_daily_backup(log):
            typer.echo(f"no backup of the corrections was made: {problem}", err=True)
    typer.echo(f"{kept.id} is withdrawn since {kept.withdrawn_at[:19]} UTC")


def corrections_log() -> type[CorrectionLog]:
    """The kind of the log; imported when it is asked for, since masks need NumPy and OpenCV."""
    from lora_assets.verdicts.corrections import CorrectionLog

    return CorrectionLog


add_log_commands(corrections_app, "corrections", corrections_log)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(corrections_app, name="corrections")

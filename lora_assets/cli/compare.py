"""compare: two trackers crop by crop, and what caused every change. Comparing itself is in comparing."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from lora_assets.addresses import pages_url
from lora_assets.cli.app import EXIT_FAILED
from lora_assets.cli.console import print_table
from lora_assets.cli.project import enter_project
from lora_assets.cli.status import tracker_with_crops
from lora_assets.comparing import Comparison, Selection, compare_trackers
from lora_assets.comparing.details import CropChange, crop_changes
from lora_assets.comparing.report import HOW_WORDS, cause_text, comparison_json, flags_text, skipped_text, summary_text
from lora_assets.comparing.tracing import CHANGES, SAME
from lora_assets.specs import SpecError
from lora_assets.store import Store

_CROPS_SHOWN = 20
_CAUSES_SHOWN = 20


class WantedChange(StrEnum):
    """What became of the crops that are listed."""

    worse = "worse"
    gone = "gone"
    new = "new"
    better = "better"
    same = "same"


def compare(
    before: Annotated[str, typer.Argument(help="ID of the tracker to compare with.")],
    after: Annotated[str, typer.Argument(help="ID of the tracker that is asked about.")],
    change: Annotated[WantedChange | None, typer.Option(help="List only crops of which this became.")] = None,
    cause: Annotated[int | None, typer.Option(min=1, help="List only crops of this cause, by its number.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="How many crops to list: 20, or all with --json, if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
    fail_on_worse: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="End with exit code 1 when a larger share of the crops is worse."),
    ] = None,
) -> None:
    """Compare two trackers: which crops became better, worse, new or gone, and why."""
    data = enter_project().data
    store = Store(data)
    for tracker in (before, after):
        tracker_with_crops(store, tracker)
    found = compare_trackers(store, before, after)
    if not found.datasets:
        raise SpecError(f"{before} and {after} have nothing to compare: {'; '.join(map(skipped_text, found.skipped))}")
    if cause is not None and cause > len(found.causes):
        raise SpecError(f"there is no cause {cause}: this comparison has {len(found.causes)}")
    wanted = Selection(change.value if change else "", None if cause is None else cause - 1)
    if as_json:
        typer.echo(json.dumps(comparison_json(found, wanted, limit), ensure_ascii=False, indent=1))
    else:
        _tell(found, wanted, _CROPS_SHOWN if limit is None else limit)
        typer.echo(f"side by side: {pages_url(data)}/compare/{found.before}/{found.after}")
    if fail_on_worse is not None and found.worse_share > fail_on_worse:
        typer.echo(f"lora-assets: {found.worse_share:.2%} of the crops are worse, allowed is {fail_on_worse:.2%}",
                   err=True)  # fmt: skip
        raise typer.Exit(EXIT_FAILED)


def _tell(found: Comparison, wanted: Selection, limit: int) -> None:
    typer.echo(summary_text(found))
    for skipped in found.skipped:
        typer.echo(f"not compared: {skipped_text(skipped)}")
    shown = [name for name in CHANGES if name != SAME]
    causes = [
        [number, *(cause.counts.get(name, 0) for name in shown), cause_text(cause.key), flags_text(cause)]
        for number, cause in enumerate(found.causes[:_CAUSES_SHOWN], start=1)
    ]
    if causes:
        print_table(["#", *shown, "cause", "flags"], causes, "causes, the largest first")
    if len(found.causes) > len(causes):
        typer.echo(f"and {len(found.causes) - len(causes)} smaller causes: --json lists them all")
    chosen = found.select(wanted)
    rows = [_crop_row(crop) for crop in crop_changes(found, chosen[:limit])]
    if rows:
        names = ["crop", "change", "tier", "score", "first stage", "by", "cause", "flags"]
        print_table(names, rows, f"{len(rows)} of {len(chosen)} crops, what changed most first")


def _crop_row(crop: CropChange) -> list[object]:
    sides = [side for side in (crop.before, crop.after) if side]
    told = sides[-1]
    tiers = " -> ".join(dict.fromkeys(side.tier for side in sides))
    scores = " -> ".join(f"{side.score:.3f}" for side in sides)
    flags = " ".join(f"{'+' if flag.appeared else '-'}{flag.name}" for flag in crop.flags)
    name = f"{crop.dataset_name}/{told.path} {told.crop_id}"
    by = HOW_WORDS.get(crop.how, "")
    return [name, crop.change, tiers, scores, crop.stage, by, crop.cause + 1 if crop.cause >= 0 else "", flags]


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(compare)

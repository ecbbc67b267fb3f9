"""quality: a tracker's metrics of image quality with cost and licence, and its bands. Measuring is in quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.project import enter_project
from lora_assets.cli.status import tracker_with_crops
from lora_assets.quality.engines import NO_CHARACTERS, plan_engines
from lora_assets.quality.making import characters_table, make_quality, quality_settings, read_quality
from lora_assets.quality.metrics import METRICS
from lora_assets.specs import read_tracker
from lora_assets.store import PublishedTable, Store


def quality(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    make: Annotated[
        bool, typer.Option("--make", help="First measure what is missing, as the asset image_quality does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Metrics, bands and what the table tells, as JSON.")] = False,
) -> None:
    """Show the metrics of image quality with their cost and licence, which are absent and why, and the bands."""
    data = enter_project().data
    read_tracker(data, tracker)
    if make:
        tracker_with_crops(Store(data), tracker)
        _make(data, tracker, quiet=as_json)
    metrics = _metrics(data, tracker)
    table = read_quality(Store(data), tracker)
    if as_json:
        told = {"tracker": tracker, "metrics": metrics, "table": table.facts if table is not None else None}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    _tell_metrics(metrics, table)
    if table is None:
        typer.echo(
            f"not measured yet: materialize image_quality of {tracker} in Dagster, or lora-assets quality {tracker} "
            "--make"
        )
        return
    _tell_table(table)


def _make(data: Path, tracker: str, *, quiet: bool) -> None:
    with shown_progress(quiet=quiet) as listen:
        make_quality(data, tracker, listen=listen)


def _metrics(data: Path, tracker: str) -> list[dict[str, Any]]:
    """Every metric as data, with its state for this tracker: ready, absent (and why) or left out."""
    settings = quality_settings(data, tracker)
    absent = dict(plan_engines(settings, data).absent)
    if characters_table(Store(data), tracker) is None:
        absent["character"] = NO_CHARACTERS
    wanted = settings.wanted_metrics()
    reasons = {name: reason for name, reason in absent.items() if name in wanted}
    return [
        {
            "name": metric.name, "signal": metric.signal,
            "state": "left out" if metric.name not in wanted else "absent" if metric.name in reasons else "ready",
            "reason": reasons.get(metric.name, ""), "better": metric.better, "low": metric.low, "high": metric.high,
            "absolute": metric.absolute, "looks_at": metric.looks_at, "medium": metric.medium, "cost": metric.cost,
            "licence": metric.licence, "commercial": metric.commercial, "weights": list(metric.weights),
            "source": metric.source, "what": metric.what, "marks": list(metric.marks),
        }
        for metric in METRICS
    ]  # fmt: skip


def _tell_metrics(metrics: list[dict[str, Any]], table: PublishedTable | None) -> None:
    means = table.facts["means"] if table is not None else {}
    times = table.facts["ms_per_crop"] if table is not None else {}
    rows = [
        [
            m["name"], m["signal"], m["state"], f"{m['low']:g} to {m['high']:g}, {m['better']}", m["cost"],
            times.get(m["name"], ""), means.get(m["name"], ""), "yes" if m["commercial"] else "no", m["licence"],
        ]
        for m in metrics
    ]  # fmt: skip
    heads = ["metric", "signal", "state", "scale, better", "cost", "ms/crop", "mean", "commercial", "licence"]
    print_table(heads, rows)
    for reason, names in _reasons(metrics).items():
        typer.echo(f"- {', '.join(names)}: {reason}")


def _reasons(metrics: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for metric in metrics:
        if metric["reason"]:
            found.setdefault(metric["reason"], []).append(metric["name"])
    return found


def _tell_table(table: PublishedTable) -> None:
    facts = table.facts
    total = max(facts["scored"], 1)
    rows = [[name, count, f"{count / total:.0%}"] for name, count in facts["bands"].items()]
    print_table(["band", "crops", "share"], rows, f"{facts['scored']} of {facts['crops']} crops have a score")
    weights = sum(facts["weights"].values()) or 1.0
    taken = [f"{facts['taken'][name]} {weight / weights:.0%}" for name, weight in facts["weights"].items()]
    typer.echo("the score is made of: " + (", ".join(taken) or "nothing"))
    for name, marks in facts["marks"].items():
        reached = ", ".join(f"{share:.0%} from {mark}" for mark, share in marks.items())
        typer.echo(f"{name} on its scale from 0 to 1: {reached} (a mark to begin with, nothing is cut there)")
    if facts["absent_signals"]:
        typer.echo("absent in the whole tracker: " + ", ".join(facts["absent_signals"]))
    if facts["lost"]:
        typer.echo(f"{facts['lost']} crops could not be read in full; they are tried again at the next run")
    typer.echo(f"table: {table.path}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(quality)

"""show: the rows of a table, every column of its row type, with the frame's path."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from lora_assets.cli.console import fits_terminal, is_terminal, print_records, print_table
from lora_assets.cli.project import enter_project
from lora_assets.planning import tracker_datasets
from lora_assets.specs import SpecError, TrackerSpec, list_datasets, read_tracker
from lora_assets.store import Store
from lora_assets.tables import TABLES, columns

_ROWS_SHOWN = 50
_RECORDS_SHOWN = 20


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    json = "json"
    csv = "csv"


class TableName(StrEnum):
    """The tables of the main line."""

    raw_frames = "raw_frames"
    detections = "detections"
    masks = "masks"
    scored_crops = "scored_crops"


def _datasets(store: Store, spec: TrackerSpec, dataset: str | None) -> list[str]:
    listed = tracker_datasets(store, spec)
    if dataset is None:
        return listed
    names = {known.name: slug for slug, known in list_datasets(store.data).items()}
    slug = names.get(dataset, dataset)
    if slug not in listed:
        raise SpecError(f"tracker {spec.id} has no dataset {dataset}; it has: {', '.join(listed) or 'none yet'}")
    return [slug]


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def table_rows(store: Store, spec: TrackerSpec, table: str, dataset: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a tracker's table with `dataset` and `path` in front. Bytes are hex."""
    for slug in _datasets(store, spec, dataset):
        frames = store.frames_of(slug, spec.id)
        if frames is None:
            continue
        if table == "raw_frames":
            for row in frames.read().to_pylist():
                yield {"dataset": slug, **row}
            continue
        paths = {row["sha256"]: row["path"] for row in reversed(frames.read(["sha256", "path"]).to_pylist())}
        published = store.cell_table(table, slug, spec.id)
        for row in published.read().to_pylist() if published else []:
            plain = {name: _plain(value) for name, value in row.items()}
            yield {"dataset": slug, "path": paths.get(row["frame_sha256"], ""), **plain}


def show(
    table: Annotated[TableName, typer.Argument(help="Which table.")],
    tracker: Annotated[str, typer.Option(help="ID of the tracker.")],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How the rows are written.")] = Format.table,
) -> None:
    """Print a table of a tracker: every column of its row type, with the frame's path.

    The first 50 rows are shown, or the first 20 as one block each where the terminal is too narrow for them; json (one
    list) and csv give all of them.
    """
    project = enter_project()
    rows = table_rows(Store(project.data), read_tracker(project.data, tracker), table.value, dataset)
    own = list(columns(TABLES[table.value]))
    names = ["dataset", *own] if table is TableName.raw_frames else ["dataset", "path", *own]
    if format_ is Format.json:
        typer.echo(json.dumps(list(rows), ensure_ascii=False, indent=1))
    elif format_ is Format.csv:
        writer = csv.DictWriter(sys.stdout, names)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: ";".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()})
    else:
        _print_rows(names, list(rows), f"tracker {tracker} has no rows of {table.value}: see lora-assets status")


def _print_rows(names: list[str], rows: list[dict[str, Any]], if_none: str) -> None:
    """The first rows as a table, or as one block each where the table would not fit the terminal."""
    shown = [[_short(row.get(name)) for name in names] for row in rows[:_ROWS_SHOWN]]
    if shown and is_terminal() and not fits_terminal(names, shown):
        shown = shown[:_RECORDS_SHOWN]
        print_records(names, shown)
    else:
        print_table(names, shown, if_none=if_none)
    if len(rows) > len(shown):
        typer.echo(f"{len(rows) - len(shown)} more rows: use --format csv or json")


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 40:
        return value[:12] + "..." if " " not in value and "/" not in value else value
    if isinstance(value, list):
        return ", ".join(f"{item:.3g}" if isinstance(item, float) else str(item) for item in value)
    return "" if value is None else value


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(show)

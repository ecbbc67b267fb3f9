"""deleted: frames whose files are gone, and what becomes of them. What counts as deleted is in main_line.deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from lora_assets.cli.console import print_table
from lora_assets.cli.project import Project, enter_project
from lora_assets.main_line.deleted import absent_words, forget, read_deleted, restore
from lora_assets.main_line.frames import FramesUpdate, update_raw_frames
from lora_assets.specs import DatasetSpec, SpecError, list_datasets
from lora_assets.store import Store

_SHOWN = 50
_Dataset = Annotated[str, typer.Argument(help="The dataset, by its folder's name or its slug.")]
_Paths = Annotated[list[str] | None, typer.Argument(help="Frames as the list names them; all without any.")]

group = typer.Typer(
    help="Frames whose files were deleted: see them, have them listed again, or take them off the list. Their results "
    "stay in the store.",
    no_args_is_help=True,
)


def _known(project: Project, dataset: str) -> DatasetSpec:
    known = list_datasets(project.data)
    by_name = {spec.name: spec for spec in known.values()}
    spec = known.get(dataset) or by_name.get(dataset)
    if spec is None:
        raise SpecError(f"there is no dataset {dataset}; known: {', '.join(known) or 'none'}")
    return spec


def _list_anew(project: Project, spec: DatasetSpec, *, accept: bool = False) -> FramesUpdate:
    made = update_raw_frames(Store(project.data), spec, accept=accept)
    typer.echo(f"{spec.name}: {made.frames} frames listed, {made.deleted} deleted, {made.absent} not there now")
    return made


@group.command("list")
def list_deleted(
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for a script.")] = False,
) -> None:
    """Tell which frames were deleted, when, and how many are listed although their files are not there, and why."""
    project = enter_project()
    store = Store(project.data)
    slugs = [_known(project, dataset).slug] if dataset else sorted(
        {path.stem for table in ("raw_frames", "deleted_frames") for path in
         (project.data / "tables" / table).glob("*.parquet")}
    )  # fmt: skip
    told: list[dict[str, Any]] = []
    notes: list[str] = []
    for slug in slugs:
        frames = store.frames_of(slug)
        facts = frames.facts if frames else {}
        rows = read_deleted(store, slug)
        notes.append(absent_words(slug, facts))
        told.append(
            {
                "dataset": slug, "not_there_now": int(facts.get("absent", 0)),
                "deleted": [
                    {
                        "path": row.path, "sha256": row.sha256,
                        "state": "restored" if row.restored else "deleted",
                        "at": datetime.fromtimestamp(row.deleted_at, UTC).isoformat(timespec="seconds"),
                    }
                    for row in rows
                ],
            }
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    found = [(each["dataset"], row["path"], row["state"], row["at"]) for each in told for row in each["deleted"]]
    print_table(("dataset", "frame", "state", "found deleted (UTC)"), found[:_SHOWN], if_none="no frame was deleted")
    if len(found) > _SHOWN:
        typer.echo(f"and {len(found) - _SHOWN} more: --json tells all")
    for words in filter(None, notes):
        typer.echo(words)


@group.command("restore")
def restore_deleted(dataset: _Dataset, paths: _Paths = None) -> None:
    """Have deleted frames listed again although their files are gone; their results are used as they are.

    A file that comes back is taken up by itself and needs no command.
    """
    project = enter_project()
    spec = _known(project, dataset)
    count = restore(Store(project.data), spec.slug, paths or ())
    typer.echo(f"restored {count} frames")
    _list_anew(project, spec)


@group.command("forget")
def forget_deleted(dataset: _Dataset, paths: _Paths = None) -> None:
    """Take deleted frames off the list; a restored one counts as deleted again first. Results stay in the store."""
    project = enter_project()
    spec = _known(project, dataset)
    count = forget(Store(project.data), spec.slug, paths or ())
    typer.echo(f"forgot {count} frames")
    _list_anew(project, spec)


@group.command("accept")
def accept_folder(dataset: _Dataset) -> None:
    """Say that the folder is as it should be: files that are not there count as deleted from now on."""
    project = enter_project()
    _list_anew(project, _known(project, dataset), accept=True)


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(group, name="deleted")

"""curate, characters: what is chosen of a tracker and why, who is shown, and a person's word on it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lora_assets.cli.console import print_table
from lora_assets.cli.paths import resolved
from lora_assets.cli.project import enter_project
from lora_assets.cli.status import check_has_crops, tracker_with_crops
from lora_assets.specs import SpecError, read_tracker, section_settings
from lora_assets.store import Store
from lora_assets.tables import CuratedCrop


class _ListByDefault(TyperGroup):
    """`characters TRACKER` is `characters list TRACKER`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is meant; the first word is a tracker where it names none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["list", *args]
        return super().resolve_command(ctx, args)


characters_app = typer.Typer(
    help="Who is shown in a tracker's crops (characters TRACKER); names, merges and splits by you.",
    cls=_ListByDefault, no_args_is_help=True,
)  # fmt: skip

_STATES = {"ready": "is ready", "attention": "needs attention", "blocked": "is blocked"}


def curate(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    as_json: Annotated[bool, typer.Option("--json", help="The readiness report as JSON.")] = False,
    sheets: Annotated[
        Path | None,
        typer.Option(help="Write funnel, chosen crops, characters and groups as PNG into this folder."),
    ] = None,
    crops: Annotated[bool, typer.Option("--crops", help="Tell of every crop whether it is in, and why.")] = False,
) -> None:
    """Choose a tracker's dataset by its section [curate], and see why every crop is in or out."""
    from lora_assets.curation.groups import make_groups
    from lora_assets.curation.making import make_curated
    from lora_assets.curation.settings import CurateSettings
    from lora_assets.identity.making import make_characters
    from lora_assets.identity.settings import IdentitySettings

    sheets = resolved(sheets) if sheets is not None else None
    project = enter_project()
    store = Store(project.data)
    spec = read_tracker(project.data, tracker)
    chosen_by = section_settings(CurateSettings, spec, "curate")
    check_has_crops(store, tracker)
    groups = make_groups(store, tracker)
    people = make_characters(store, tracker, section_settings(IdentitySettings, spec, "identity"))
    made = make_curated(store, tracker, chosen_by)
    if sheets is not None:
        _write_sheets(store, sheets, groups.rows, people.rows, made.rows, made.report["funnel"])
    if as_json:
        typer.echo(json.dumps(made.report, ensure_ascii=False, indent=1))
        return
    if crops:
        _tell_crops(made.rows)
    _tell(made.report, made.rows)
    for note in people.notes:
        typer.echo(f"- {note}")
    typer.echo(f"table: {made.table.path}")


def _write_sheets(store: Store, folder: Path, groups: Any, people: Any, rows: Any, funnel: dict[str, int]) -> None:
    from lora_assets.curation.drawing import characters_sheet, chosen_sheet, draw_funnel, groups_sheet
    from lora_assets.store import atomic_write_bytes
    from lora_assets.vision.crops import encode_png

    atomic_write_bytes(folder / "funnel.png", draw_funnel(funnel))
    for name, sheet in (
        ("chosen", chosen_sheet(store, rows)), ("characters", characters_sheet(store, people)),
        ("groups", groups_sheet(store, groups)),
    ):  # fmt: skip
        atomic_write_bytes(folder / f"{name}.png", encode_png(sheet))


def _tell_crops(rows: Sequence[CuratedCrop]) -> None:
    from lora_assets.curation.reasons import in_words

    ordered = sorted(rows, key=lambda row: (not row.chosen, row.rank or len(rows) + 1, row.crop_id))
    print_table(
        ["crop", "is", "tier", "score", "why"],
        [
            [
                row.crop_id,
                row.part or "out",
                row.tier,
                row.score,
                in_words(row.reason, row.reason_value, row.reason_limit),
            ]
            for row in ordered
        ],
        "crops",
    )


def _tell(report: Mapping[str, Any], rows: Sequence[CuratedCrop]) -> None:
    from lora_assets.curation.reasons import FUNNEL, REASONS, in_words

    typer.echo(f"the dataset {_STATES[report['state']]}")
    for finding in report["findings"]:
        typer.echo(f"- {finding['words']}")
    left = [report["funnel"][stage] for stage in FUNNEL]
    shares = ["", "", *(f"{now / had:.0%}" if had else "" for had, now in pairwise(left[1:]))]
    stages = [[stage.replace("_", " "), *told] for stage, *told in zip(FUNNEL, left, shares, strict=True)]
    print_table(["stage", "left", "of the one before"], stages, "funnel")
    first = {row.reason: row for row in reversed(rows)}
    reasons = [
        [
            "in" if REASONS[code].takes_in else "out", code, count,
            in_words(code, first[code].reason_value, first[code].reason_limit),
        ]
        for code, count in report["reasons"].items() if code in first
    ]  # fmt: skip
    print_table(["is", "reason", "crops", "one of them"], reasons, "why (--crops tells of every crop)")
    cells = [[cell["framing"], cell["view"], cell["expression"], cell["crops"]] for cell in report["coverage"]]
    print_table(["framing", "view", "expression", "chosen"], cells, "coverage")
    repeats = ", ".join(f"{name} {value:g}" for name, value in report["repeats"].items())
    parts = ", ".join(f"{name} {count}" for name, count in report["parts"].items())
    typer.echo(f"parts: {parts or 'none'}; recommended repeats: {repeats or 'none'}; "
               f"pictures an epoch: {report['pictures_an_epoch']:g}")  # fmt: skip


@characters_app.command("list")
def list_characters(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find the characters of a tracker, or tell those that were found, the most frequent first."""
    from lora_assets.identity.making import make_characters
    from lora_assets.identity.settings import IdentitySettings

    project = enter_project()
    store = Store(project.data)
    spec = tracker_with_crops(store, tracker)
    made = make_characters(store, tracker, section_settings(IdentitySettings, spec, "identity"))
    crops = Counter(row.character_id for row in made.rows)
    found = []
    for id in sorted(crops, key=lambda id: (not id, -crops[id], id)):
        own = [row for row in made.rows if row.character_id == id]
        likeness = [row.similarity for row in own if row.similarity is not None]
        found.append({
            "id": id, "name": own[0].character_name if id else "", "crops": len(own),
            "shots": len({row.shot for row in own}),
            "membership": sum(row.membership for row in own) / len(own),
            "reference": Counter(row.reference for row in own).most_common(1)[0][0],
            "similarity": sum(likeness) / len(likeness) if likeness else None,
        })  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"characters": found, "notes": list(made.notes)}, ensure_ascii=False, indent=1))
        return
    rows = [["" if value is None else value for value in entry.values()] for entry in found]
    names = ["id", "name", "crops", "shots", "membership", "most like", "likeness"]
    print_table(names, rows, "characters (a line without an id: not known)")
    for note in made.notes:
        typer.echo(f"- {note}")


@characters_app.command("name")
def name_character(
    id: Annotated[str, typer.Argument(help="Id of the character, such as ch-0003.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
) -> None:
    """Give a character a name, in every tracker from its next run on."""
    from lora_assets.identity.registry import rename_character

    rename_character(enter_project().data, id, name)
    typer.echo(f"{id} is called {name}")


@characters_app.command("merge")
def merge(
    id: Annotated[str, typer.Argument(help="Id that is to mean the other from now on.")],
    into: Annotated[str, typer.Argument(help="Id of the character that stays.")],
) -> None:
    """Say that two characters are one."""
    from lora_assets.identity.registry import merge_characters

    merge_characters(enter_project().data, id, into)
    typer.echo(f"{id} is {into} from now on")


@characters_app.command("split")
def split(
    tracker: Annotated[str, typer.Argument(help="ID of the tracker whose crops are named.")],
    id: Annotated[str, typer.Argument(help="Id of the character that holds two.")],
    crop: Annotated[list[str] | None, typer.Option(help="Crop that shows the other one; may be given again.")] = None,
    shot: Annotated[list[str] | None, typer.Option(help='Shot that shows the other one, as "film 0012".')] = None,
) -> None:
    """Say that some crops of a character show another one; later runs keep them apart."""
    from lora_assets.identity.registry import split_character
    from lora_assets.tables import CharacterCrop, from_table

    project = enter_project()
    table = Store(project.data).published(Store(project.data).table_path("characters", tracker))
    if table is None:
        raise SpecError(f"tracker {tracker} has no characters yet: lora-assets characters list {tracker}")
    own = [row for row in from_table(table.read(), CharacterCrop) if row.character_id == id]
    asked, shots = set(crop or ()), set(shot or ())
    unknown = asked - {row.crop_id for row in own} | {name for name in shots if name not in {row.shot for row in own}}
    if unknown:
        raise SpecError(
            f"{id} has no crop or shot {', '.join(sorted(unknown))} in tracker {tracker}: lora-assets show "
            f"scored_crops --tracker {tracker} names the crops"
        )
    moved = [row.crop_id for row in own if row.crop_id in asked or row.shot in shots]
    new = split_character(project.data, id, moved, [row.crop_id for row in own])
    typer.echo(f"{len(moved)} crops of {id} are {new} from the next run on")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(curate)
    app.add_typer(characters_app, name="characters")

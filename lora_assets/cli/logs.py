"""export, import, check, backup, restore of a log of what a person did: the same for verdicts and for corrections.

The groups that have these commands are in verdicts and corrections, how a log is kept in lora_assets.verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lora_assets.cli.paths import resolved
from lora_assets.cli.project import enter_project
from lora_assets.specs import SpecError
from lora_assets.store import Store, StoreError, atomic_write_bytes
from lora_assets.verdicts import VerdictError
from lora_assets.verdicts.append_only import AppendOnlyLog, keep_backup
from lora_assets.verdicts.restoring import restore as put_back

_Written = Annotated[Path | None, typer.Argument(help="File to write; none: standard output.")]
_Exported = Annotated[Path, typer.Argument(help="File that export wrote.")]
_Copied = Annotated[
    Path | None, typer.Argument(help="File to write; none: today's in backups/ beside the log, 14 days are kept.")
]
_Named = Annotated[Path | None, typer.Argument(help="Backup to put back; none: the newest one.")]


def log_problems(kind: type[AppendOnlyLog], data: Path) -> list[str]:
    """What is wrong with a project's log, in words; empty when it is whole, or was never begun."""
    path = kind.path_in(data)
    if not path.exists():
        return []
    try:
        with kind(path) as log:
            return log.check()
    except VerdictError as error:
        return [str(error)]


def add_log_commands(group: typer.Typer, things: str, opened: Callable[[], type[AppendOnlyLog]]) -> None:
    """Give the group of a log its commands; `opened` imports the kind of the log when a command runs."""

    def there() -> AppendOnlyLog:
        kind, data = opened(), enter_project().data
        if not kind.path_in(data).exists():
            raise SpecError(
                f"there are no {things} yet: nothing lies in {kind.path_in(data)}; lora-assets {things} import and "
                "restore bring some back"
            )
        return kind(kind.path_in(data))

    def export(file: _Written = None) -> None:
        # The person's folder is left when the project is entered.
        target = resolved(file) if file else None
        with there() as log:
            lines = list(log.export_lines())
        if target is None:
            for line in lines:
                typer.echo(line)
            return
        atomic_write_bytes(target, "".join(f"{line}\n" for line in lines).encode())
        typer.echo(f"wrote {len(lines)} rows to {file}")

    def import_(file: _Exported) -> None:
        try:
            # A text may hold U+2028 and the like, at which splitlines would part its line.
            lines = file.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise VerdictError(
                f"{file} is not UTF-8 text: name a file that lora-assets {things} export wrote"
            ) from error
        kind, data = opened(), enter_project().data
        with kind(kind.path_in(data)) as log:
            if log.row_count():
                keep_backup(log)
            try:
                count = log.import_lines(lines)
            except VerdictError as error:
                raise VerdictError(f"{file}: {error}") from error
        typer.echo(f"{count.added} rows taken, {count.known} were known")

    def check() -> None:
        with there() as log:
            problems, rows = log.check(), 0
            if not problems:
                rows = log.row_count()
        if problems:
            raise StoreError(
                f"{log.path} is damaged: {'; '.join(problems[:3])}; lora-assets {things} restore puts the newest "
                f"backup of {log.path.parent}/backups back"
            )
        typer.echo(f"{log.path} is whole: {rows} rows")

    def backup(file: _Copied = None) -> None:
        target = resolved(file) if file else None
        with there() as log:
            typer.echo(f"copied to {log.backup(target) if target else keep_backup(log)}")

    def restore(file: _Named = None) -> None:
        source = resolved(file) if file else None
        project = enter_project()
        try:
            store = Store(project.data)
            # `serve` holds the second: a mark that it answers meanwhile would be in the log that is put aside.
            with store.lock("up", wait=False), store.lock("serve", wait=False):
                found = put_back(project.data, source, opened())
        except VerdictError:
            raise
        except StoreError as error:
            raise StoreError(
                "`lora-assets up` or `serve` of this project is running: stop it with Ctrl-C, then restore"
            ) from error
        typer.echo(f"{found.rows} rows of the backup, {found.taken_over} more taken over from the log that lay there")
        if found.aside is not None:
            typer.echo(f"that one is in {found.aside}")
        if found.unread:
            typer.echo(f"it could not be read whole: {found.unread}")

    told = (
        ("export", export, "Write every row of the log, those taken back too, as lines of JSON (JSONL)."),
        (
            "import",
            import_,
            "Take exported rows: all or none. Rows that are known are left as they are, so a file may be imported "
            "twice.",
        ),
        ("check", check, "Read all of the log and see that it is whole."),
        ("backup", backup, "Write a checked copy of the log."),
        (
            "restore",
            restore,
            "Put a backup back. What lay there is kept aside, and rows that only it has are taken over where they can "
            "be read. Stop `lora-assets up` and `serve` first.",
        ),
    )
    for name, command, help_ in told:
        group.command(name=name, help=help_)(command)

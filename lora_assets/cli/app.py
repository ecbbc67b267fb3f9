"""The root of all commands, and what a script reads from an exit code."""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_group

from lora_assets.input_folders import FolderGone
from lora_assets.models import ModelError
from lora_assets.models.offline import keep_offline
from lora_assets.specs import SpecError
from lora_assets.store import StoreError
from lora_assets.tables import TableError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 3
EXIT_SEALED = 4
EXIT_RUN_FAILED = 5
EXIT_INTERRUPTED = 130

_HELP = """Turn folders of frames into character datasets, and see why every crop is good or bad.

Exit codes: 0 done, 1 a server did not stay up, `compare --fail-on-worse` found too many worse crops, or something
unforeseen happened (with a traceback), 2 wrong usage, 3 something named does not fit or cannot be read or written (a
folder, a tracker, weights, a setting), 4 the tracker is sealed, and its folders or your masks have changed since,
5 a run failed, 130 interrupted (Ctrl-C).
"""

SECTIONS: dict[str, dict[str, str]] = {
    "Every day": {
        "run": "run", "demo": "run", "up": "servers", "status": "status", "show": "tables", "tracker": "trackers",
        "compare": "compare",
    },
    "From crops to a dataset": {
        "quality": "quality", "characters": "curate", "curate": "curate", "caption": "export", "export": "export",
        "check-export": "export", "judge": "judge", "verdicts": "verdicts",
    },
    "Masks": {
        "sweep": "mask_lab", "presets": "mask_lab", "adopt": "mask_lab", "layers": "mask_lab", "segment": "segment",
        "corrections": "corrections",
    },
    "Models and comics": {
        "models": "weights", "annotations": "annotations", "sample-comics": "annotations",
        "train-segmenter": "train_segmenter", "train-page-detector": "annotations", "segment-pages": "annotations",
    },
    "Rare things and drawn scenes": {"mine": "mine", "scenes": "scenes"},
    "Keeping it well": {
        "doctor": "doctor", "verify": "verify", "deleted": "deleted", "serve": "servers", "password": "servers",
        "reregister": "register", "bench": "bench",
    },
}  # fmt: skip
"""The commands as `--help` lists them, each with the module of this package that adds it."""

_MODULES = {name: module for commands in SECTIONS.values() for name, module in commands.items()}
_WHOLE_SENTENCE = 1000


def _typer(**told: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **told)


class _Commands(TyperGroup):
    """All commands, a module imported when one of its commands is asked for: to import and build all of them takes
    longer than most of them take. They are listed by what they are for, each with the first sentence of its help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None when there is none."""
        if cmd_name in _MODULES and cmd_name not in self.commands:
            part = _typer()
            importlib.import_module(f"lora_assets.cli.{_MODULES[cmd_name]}").add_to(part)
            self.commands.update(get_group(part).commands)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is meant; for a word that is none the names that look like it are told."""
        if args[0] not in _MODULES:
            for name in _MODULES:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one list of commands per section."""
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(_WHOLE_SENTENCE)) for name, command in commands])


app = _typer(cls=_Commands, help=_HELP, no_args_is_help=True)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"lora-assets {metadata.version('lora_assets')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    pass


def _told(error: OSError) -> str:
    """An error of the operating system in one line."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"cannot use {error.filename}: {reason}" if error.filename else f"cannot go on: {reason}"


def main() -> None:
    """Entry point of `lora-assets`: an error that names its cause is told in one line, without a traceback."""
    keep_offline()
    try:
        app()
    except (SpecError, ModelError, FolderGone, StoreError, TableError) as error:
        _end(str(error), EXIT_BAD_INPUT)
    except OSError as error:
        # The last resort: rights, a full disk, a file where a folder should be.
        _end(_told(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _end("interrupted", EXIT_INTERRUPTED)


def _end(message: str, code: int) -> NoReturn:
    from lora_assets.cli.console import plain

    typer.echo(f"lora-assets: {plain(message)}", err=True)
    sys.exit(code)

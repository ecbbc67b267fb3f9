"""The root of all commands, and what a script reads from an exit code."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

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

SECTIONS = {
    "Every day": ("run", "demo", "up", "status", "show", "tracker", "compare"),
    "From crops to a dataset": (
        "quality", "characters", "curate", "caption", "export", "check-export", "judge", "verdicts",
    ),
    "Masks": ("sweep", "presets", "adopt", "layers", "segment", "corrections"),
    "Models and comics": (
        "models", "annotations", "sample-comics", "train-segmenter", "train-page-detector", "segment-pages",
    ),
    "Rare things and drawn scenes": ("mine", "scenes"),
    "Keeping it well": ("doctor", "verify", "deleted", "serve", "password", "reregister", "bench"),
}  # fmt: skip
"""The commands as `--help` lists them; those that are named nowhere here come last."""

_WHOLE_SENTENCE = 1000


class _Sections(TyperGroup):
    """Lists the commands by what they are for, each with the first sentence of its help, whole."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one list of commands per section."""
        named = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        for title, names in {**SECTIONS, "Other": others}.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(_WHOLE_SENTENCE)) for name, command in commands if command]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


app = typer.Typer(
    cls=_Sections,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _add_commands() -> None:
    # Imported here, so that `lora_assets.cli.app` can be imported by the command modules for its exit codes.
    from lora_assets.cli import (
        annotations,
        bench,
        compare,
        corrections,
        curate,
        deleted,
        doctor,
        export,
        judge,
        mask_lab,
        mine,
        quality,
        register,
        run,
        scenes,
        segment,
        servers,
        status,
        tables,
        trackers,
        train_segmenter,
        verdicts,
        verify,
        weights,
    )

    modules = (
        run,
        status,
        trackers,
        tables,
        weights,
        servers,
        register,
        bench,
        verdicts,
        judge,
        compare,
        quality,
        curate,
        deleted,
        export,
        mine,
        mask_lab,
        annotations,
        train_segmenter,
        segment,
        corrections,
        scenes,
        doctor,
        verify,
    )
    for module in modules:
        module.add_to(app)


def _told(error: OSError) -> str:
    """An error of the operating system in one line."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"cannot use {error.filename}: {reason}" if error.filename else f"cannot go on: {reason}"


def main() -> None:
    """Entry point of `lora-assets`: an error that names its cause is told in one line, without a traceback."""
    keep_offline()
    try:
        _add_commands()
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

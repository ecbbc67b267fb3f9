"""A project folder of the test's own, and the commands run in it in this process."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from lora_assets.cli import app as cli_app

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """Typer reads the signatures of all commands anew at each call: most of the time of a command that does little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def project(data, monkeypatch):
    """A project folder around the data folder; commands run in it."""
    root = data.parent
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_ROOT / name, root / name)
    monkeypatch.setenv("LORA_ASSETS_HOME", str(root))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Run `lora-assets ARGUMENTS`: exit code, standard output, standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lora-assets", *arguments])
        code = 0
        try:
            cli_app.main()
        except SystemExit as left:
            code = int(left.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return command

"""The data folder is private from the start, and what a person decided about it stays."""

from __future__ import annotations

import pytest

from lora_assets.cli.console import plain
from lora_assets.cli.project import enter_project


def test_a_new_data_folder_is_closed_to_others(project):
    data = project / "data"
    data.chmod(0o755)
    assert enter_project().data == data
    assert data.stat().st_mode & 0o777 == 0o700
    data.chmod(0o750)
    (data / "tables").mkdir()
    enter_project()
    assert data.stat().st_mode & 0o777 == 0o750, "a person opened it later"


def test_a_data_folder_that_is_not_there_is_made_closed(project):
    (project / "data" / "input").rmdir()
    (project / "data").rmdir()
    enter_project()
    assert (project / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("第03話 「夜明け」　終", "第03話 「夜明け」　終"),
        ("\x1b[2Jgone\r\x07", "\\x1b[2Jgone\\r\\x07"),
        ("\x9b31mred", "\\x9b31mred"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\udcff broken", "\\udcff broken"),
        ("two\nlines\tand", "two\nlines\tand"),
    ],
)
def test_a_name_gives_the_terminal_no_commands(name, shown):
    assert plain(name) == shown


def test_tables_and_errors_show_names_as_text(project, run):
    (project / "data" / "input" / "\x1b[31mred\x07").mkdir()
    _, out, err = run("status")
    assert "\x1b[31m" not in out + err
    code, out, err = run("show", "scored_crops", "--tracker", "\x1b[31mX")
    assert code != 0 and "\x1b" not in out + err

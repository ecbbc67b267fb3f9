from __future__ import annotations

import pytest

from lora_assets.cli.console import print_records, print_table, shown_progress
from lora_assets.cli.tables import _print_rows
from lora_assets.progress import Progress


def test_a_pipe_gets_plain_lines_with_rates(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lora_assets.cli.console.time.monotonic", lambda: now[0])
    with shown_progress() as listener:
        for done in range(41):
            listener(Progress("film: masks", done, 40))
            now[0] += 0.5
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("film: masks: 40 of 40 (2.0 frames/s")
    assert any("s left" in line for line in lines[:-1])
    assert len(lines) == 2


def test_what_was_done_before_a_stage_was_taken_up_again_is_not_in_its_rate(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lora_assets.cli.console.time.monotonic", lambda: now[0])
    with shown_progress() as listener:
        for done in range(1000, 1101):
            listener(Progress("tune", done, 2000, "steps"))
            now[0] += 0.5
    assert "tune: 1020 of 2000 (2.0 steps/s, 490 s left)" in capsys.readouterr().out


def test_a_table_is_whole_in_a_pipe(capsys):
    print_table(["dataset", "frames"], [["エピソード 01", 60], ["a" * 150, 1]], title="tracker T1")
    told = capsys.readouterr().out
    assert "エピソード 01" in told
    assert "a" * 150 in told


def test_a_table_in_a_pipe_has_no_widest_width(capsys):
    print_table(["dataset", "path"], [["a" * 300, "b" * 300], ["c", "d"]])
    lines = capsys.readouterr().out.splitlines()
    assert any("a" * 300 in line and "b" * 300 in line for line in lines)
    assert max(map(len, lines)) < 620


def test_seconds_are_never_written_with_an_exponent(capsys):
    print_table(["seconds"], [[12345.6], [0.1234]])
    told = capsys.readouterr().out
    assert "12346" in told
    assert "0.123 " in told


@pytest.mark.parametrize(("columns", "blocks"), [(200, 0), (60, 20)])
def test_rows_that_a_terminal_cannot_hold_become_blocks(capsys, monkeypatch, columns, blocks):
    monkeypatch.setattr("lora_assets.cli.console.is_terminal", lambda: True)
    monkeypatch.setattr("lora_assets.cli.tables.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    names = [f"column {number}" for number in range(9)]
    _print_rows(names, [dict.fromkeys(names, f"{row}") for row in range(30)], "none")
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("--- ") for line in lines) == blocks
    assert max(map(len, lines)) <= columns
    assert ("10 more rows" in lines[-1]) == (blocks == 20)


@pytest.mark.parametrize(("columns", "blocks"), [(60, 0), (40, 2)])
def test_no_name_is_broken_on_a_narrow_terminal(capsys, monkeypatch, columns, blocks):
    monkeypatch.setattr("lora_assets.cli.console.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [["kohya-masks", 57, "several words that may be folded"], ["onetrainer", 57, "/a/path/of/many/parts"]]
    print_table(["format", "pictures", "note"], rows, title="as trainers read it")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "as trainers read it"
    assert sum("kohya-masks" in line for line in lines) == 1
    assert sum(line.startswith("--- ") for line in lines) == blocks


def test_a_record_is_told_line_by_line(capsys):
    print_records(["path", "score"], [["a.png", 0.51234]])
    assert capsys.readouterr().out.splitlines() == ["--- 1", "path:  a.png", "score: 0.512"]

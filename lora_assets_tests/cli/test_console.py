from __future__ import annotations

from lora_assets.cli.console import print_table, shown_progress
from lora_assets.main_line.progress import Progress


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


def test_a_table_is_whole_in_a_pipe(capsys):
    print_table(["dataset", "frames"], [["エピソード 01", 60], ["a" * 150, 1]], title="tracker T1")
    told = capsys.readouterr().out
    assert "エピソード 01" in told
    assert "a" * 150 in told

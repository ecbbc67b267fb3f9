"""Servers end with the command that started them: at a second Ctrl-C and at kill -9; and one project has one `up`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.project import find_project
from lora_assets.cli.servers import _back_up_logs
from lora_assets.store import Store
from lora_assets.verdicts import VerdictLog
from lora_assets.verdicts.corrections import CorrectionLog
from lora_assets.verdicts.restoring import backups

_SLOW_TO_END = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(1.5)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
pathlib.Path(sys.argv[1]).write_text(str(__import__("os").getpid()))
time.sleep(120)
"""

_UP = """
import os, sys
from lora_assets.cli.servers import Server, keep_running
keep_running([Server("one", [sys.executable, "-c", sys.argv[1], sys.argv[2]]),
              Server("two", [sys.executable, "-c", sys.argv[1], sys.argv[3]])], dict(os.environ), ["told"])
"""


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as told:
            return told.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(condition, seconds: float = 60.0) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def started(tmp_path):
    """`up` over two servers that are slow to end, and the process IDs of those."""
    notes = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, "-c", _UP, _SLOW_TO_END, *map(str, notes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as up:
        assert _until(lambda: all(note.exists() and note.read_text() for note in notes))
        pids = [int(note.read_text()) for note in notes]
        yield up, pids
        for pid in pids:
            if _is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_second_interrupt_leaves_no_server_behind(started):
    up, pids = started
    up.send_signal(signal.SIGINT)
    assert any("stopping" in line for line in up.stdout), "it says so, and its servers take a second or two to end"
    up.send_signal(signal.SIGINT)
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    assert not any(map(_is_alive, pids))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_servers_end_when_the_command_is_killed(started):
    up, pids = started
    up.kill()
    up.wait(60)
    assert _until(lambda: not any(map(_is_alive, pids)))


def test_a_project_is_served_once(project, run):
    with Store(project / "data").lock("up"):
        code, _, err = run("up")
    assert code == EXIT_BAD_INPUT
    assert "running already" in err


def test_nothing_is_restored_beside_serve(project, run):
    with Store(project / "data").lock("serve", shared=True):
        code, _, err = run("verdicts", "restore")
    assert code != 0
    assert "stop it with Ctrl-C" in err
    assert "there is no backup" in run("verdicts", "restore")[2]


def test_a_start_backs_both_logs_up_and_tells_what_it_cannot(project, data, capsys):
    here = find_project()
    _back_up_logs(here)
    assert not (data / "verdicts").exists() and not (data / "corrections").exists()
    for kind in (VerdictLog, CorrectionLog):
        with kind(kind.path_in(data)):
            pass
    _back_up_logs(here)
    assert len(backups(data)) == len(backups(data, CorrectionLog)) == 1
    CorrectionLog.path_in(data).write_bytes(b"no database at all" * 300)
    _back_up_logs(here)
    assert "no backup of the corrections was made" in capsys.readouterr().err

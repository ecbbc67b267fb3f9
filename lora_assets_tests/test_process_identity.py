from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lora_assets.process_identity import is_alive, this_process


def _named_by_child(code: str = "") -> tuple[subprocess.Popen[str], str]:
    program = f"from lora_assets.process_identity import this_process; print(this_process(), flush=True); {code}"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


def dead_process() -> str:
    """The name of a process that lived and is gone."""
    child, name = _named_by_child()
    child.communicate()
    return name


def test_a_process_is_alive_until_it_ends_and_also_when_nobody_counts_it():
    assert is_alive(this_process())
    child, name = _named_by_child("input()")
    assert is_alive(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken notice
    assert not is_alive(name)
    child.communicate()
    assert not is_alive(name)


def test_a_number_that_was_given_anew_is_another_process():
    boot, pid, started = this_process().split("/")
    assert not is_alive(f"{boot}/{pid}/{int(started or 0) + 1}")
    assert not is_alive(f"00000000-another-start/{pid}/{started}")


@pytest.mark.parametrize("name", ["", "1234", "//", "a/b/c", f"/{'9' * 10}/1", "../../1/1"])
def test_text_that_names_no_process_is_of_no_living_one(name):
    assert not is_alive(name)


def test_another_users_process_is_alive(monkeypatch):
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(this_process())

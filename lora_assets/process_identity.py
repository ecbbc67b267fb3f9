"""Which process this is, so that one who comes later knows whether it still lives: also after a restart of the machine,
which gives old numbers to new processes."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

_NAMED = re.compile(r"([0-9a-f-]*)/([1-9][0-9]{0,9})/([0-9]*)")


@lru_cache(maxsize=1)
def _boot() -> str:
    """What tells one start of the machine from another; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process started, in ticks since the machine did; empty where the system does not tell, "ended" for a
    process that is gone or only waits to be counted by its parent."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "ended" if Path("/proc/self/stat").exists() else ""
    fields = told.rpartition(")")[2].split()  # from field 3 of proc(5) on
    return "ended" if fields[0] in "ZX" else fields[19]


def this_process() -> str:
    """This process, as text: start of the machine, number, start of the process."""
    return f"{_boot()}/{os.getpid()}/{_started(os.getpid())}"


def is_alive(process: str) -> bool:
    """True while the process that `this_process` named lives; False for text that names none."""
    named = _NAMED.fullmatch(process)
    if named is None or named[1] != _boot():
        return False
    pid = int(named[2])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it lives and is another user's
    return named[3] == _started(pid)

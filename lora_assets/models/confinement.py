"""A process that may compute and nothing else: no network, nothing to write to but one folder, no other process.

For the one case in which foreign code has to run: a weights file that is a pickle. Linux' namespaces do it without
special rights; where the system does not give them, nothing is run. How a process is shut in is in
shut_in.py; what is run there belongs to the caller (training.convert).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_assets.models.registry import ModelError

_SCRIPT = Path(__file__).with_name("shut_in.py")
_NOT_SHUT_IN = 97  # as shut_in.py says


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may take: address space (bytes), processor time (seconds), size of a file (bytes)."""

    memory: int = 32 * 2**30
    cpu_s: int = 1800
    file_bytes: int = 8 * 2**30


def run_confined(
    command: Sequence[str], folder: Path, limits: Limits | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that sees the disk read-only but for `folder`, its current folder; output is captured.

    It has no network, sees no other process, inherits no environment and ends with this one. Raises ModelError, before
    anything is run, where the system does not allow that.
    """
    if not sys.platform.startswith("linux"):
        raise ModelError("foreign code is only run shut in, which needs Linux: convert the file on such a machine")
    told = limits or Limits()
    settings = [str(folder.resolve()), str(told.memory), str(told.cpu_s), str(told.file_bytes)]
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "4"), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(_SCRIPT), *settings, *command], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=2 * told.cpu_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"it was stopped after {2 * told.cpu_s} s") from error
    if ended.returncode == _NOT_SHUT_IN:
        raise ModelError(
            f"this system does not let a process be shut in ({ended.stderr.strip()}), so that the file was not opened: "
            "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_"
            "unprivileged_userns=0), or convert it on another machine"
        )
    return ended

"""A process that may compute and nothing else: no network, no socket, nothing to see of the disk but programs and the
one folder that it may write to, no other process.

For the one case in which foreign code has to run: a weights file that is a pickle. Linux' namespaces do it without
special rights; where the system does not give them, nothing is run. How a process is shut in is in
shut_in.py; what is run there belongs to the caller (training.convert).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lora_assets.models.registry import ModelError

_SCRIPT = Path(__file__).with_name("shut_in.py")
_PACKAGE = Path(__file__).resolve().parents[1]
_NOT_SHUT_IN = 97  # as shut_in.py says
_MOST_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may take: address space (bytes), processor time (seconds), size of a file (bytes)."""

    memory: int = 32 * 2**30
    cpu_s: int = 1800
    file_bytes: int = 8 * 2**30


def run_confined(
    command: Sequence[str], folder: Path, limits: Limits | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that sees of the disk the system's programs, this Python and `folder`, its current folder, the only
    place where it can write. What it says is kept up to the last 64 KiB.

    It has no network and no sockets, sees no other process, inherits no environment and ends with this one. Raises
    ModelError, before anything is run, where the system does not allow that.
    """
    if not sys.platform.startswith("linux"):
        raise ModelError("foreign code is only run shut in, which needs Linux: convert the file on such a machine")
    told = limits or Limits()
    folder = folder.resolve()
    settings = [str(folder), str(told.memory), str(told.cpu_s), str(told.file_bytes), *_places(), "--"]
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "4"), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    # Files without a name: the program can fill them as far as its limit, but put nothing else in their place.
    with tempfile.TemporaryFile(dir=folder) as output, tempfile.TemporaryFile(dir=folder) as errors:
        try:
            code = subprocess.run(
                [sys.executable, "-I", "-S", str(_SCRIPT), *settings, *command], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, check=False, timeout=2 * told.cpu_s,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"it was stopped after {2 * told.cpu_s} s") from error
        ended = subprocess.CompletedProcess(command, code, _last_of(output), _last_of(errors))
    if ended.returncode == _NOT_SHUT_IN:
        raise ModelError(
            f"this system does not let a process be shut in ({ended.stderr.strip()}), so that the file was not opened: "
            "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_"
            "unprivileged_userns=0), or convert it on another machine"
        )
    return ended


def _places() -> list[str]:
    """What this Python and this package need of the disk: both prefixes, the package, and wherever the links lead by
    which the interpreter is called."""
    found = [sys.prefix, sys.base_prefix, str(_PACKAGE)]
    program = Path(sys.executable)
    while program.is_symlink():
        program = program.parent / program.readlink()
        found.append(str(program.parent.parent if program.parent.name == "bin" else program))
    # As they are called, and as they are: a prefix may be a link too.
    paths = [os.path.normpath(path) for path in found]
    return list(dict.fromkeys([*(str(Path(path).resolve()) for path in paths), *paths]))


def _last_of(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), _MOST_OUTPUT, max(0, size - _MOST_OUTPUT)).decode("utf-8", "replace")

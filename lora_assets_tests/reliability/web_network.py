"""G17: a whole batch in a place without a network, and a list of everything that tried to reach one.

The sample film is drawn, detected, segmented, scored and published by `lora-assets demo` in a fresh project, inside a
network namespace that has not even a loopback (`unshare -rn`, where the system allows it). In every Python process of
it an audit hook writes down and refuses each connection and each name to be looked up that is not of this machine. The
planted fault is `lora-assets status` itself with a function that asks for a name and knocks at an address.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lora_assets_tests.reliability.goals import Figures, Level

_ROOT = Path(__file__).resolve().parents[2]
_GUARD = """
import os, sys
_HOME = ("127.", "::1", "localhost", "0.0.0.0", "::", "")
def _told(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.gethostbyname"):
        address = arguments[-1]
        host = address[0] if isinstance(address, tuple) else address if event == "socket.gethostbyname" else None
        if isinstance(address, (str, bytes)) and event != "socket.gethostbyname":
            return
    else:
        return
    host = host.decode("latin-1") if isinstance(host, bytes) else host
    if host is None or host in _HOME or str(host).startswith("127."):
        return
    with open(os.environ["LORA_ASSETS_TEST_NETWORK"], "a") as log:
        log.write(f"{event} {host} by {sys.argv[:3]}\\n")
    raise OSError(101, f"the test lets nothing out: {host}")
sys.addaudithook(_told)
"""
_ASKING = """
import socket, sys
from lora_assets.cli import project
enter = project.find_project
def asking():
    for ask, address in (
        (socket.getaddrinfo, ("example.com", 443)), (socket.create_connection, (("192.0.2.1", 443), 1))
    ):
        try:
            ask(*address)
        except OSError:
            pass
    return enter()
project.find_project = asking
from lora_assets.cli.app import main
sys.argv = ["lora-assets", "status", "--json"]
main()
"""


def _no_network() -> Sequence[str]:
    """The command that takes the network away; empty where the system does not let us."""
    tool = shutil.which("unshare")
    if tool is None or subprocess.run([tool, "-rn", "true"], capture_output=True, check=False).returncode != 0:
        return ()
    return (tool, "-rn")


def _run(folder: Path, command: Sequence[str], seconds: float) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a program with the guard in each of its Python processes; how it ended, and what it tried."""
    hook, log = folder / "hook", folder / "attempts"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    log.unlink(missing_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "PYTHONPATH": os.pathsep.join([str(hook), str(_ROOT)]), "LORA_ASSETS_TEST_NETWORK": str(log),
        "LORA_ASSETS_HOME": str(folder), "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, errors="replace",
        check=False,
    )  # fmt: skip
    return ended, log.read_text().splitlines() if log.exists() else []


def run(level: Level) -> Figures:
    """The sample film at the full level; `lora-assets status` at the quick one."""
    began, failures, notes = time.monotonic(), [], []
    away = _no_network()
    skipped = "" if away else "unshare -rn is not allowed here: only the audit hook looked"
    program = [sys.executable, "-m", "lora_assets.cli"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data" / "input").mkdir(parents=True)
        for file in ("dagster.yaml", "workspace.yaml"):
            shutil.copyfile(_ROOT / file, folder / file)
        commands = (
            [["status", "--json"]] if level == "quick" else [["demo"], ["status", "--json"], ["verify"], ["doctor"]]
        )
        for words in commands:
            ended, tried = _run(folder, [*away, *program, *words], 3600)
            failures += [f"`lora-assets {' '.join(words)}` tried {attempt}" for attempt in tried]
            if ended.returncode != 0 and words != ["doctor"]:
                failures.append(f"`lora-assets {' '.join(words)}` ended with {ended.returncode}: {ended.stderr[-300:]}")
            if words[0] == "status" and level == "full" and ended.returncode == 0:
                told = json.loads(ended.stdout)
                made = [entry for entry in told if entry.get("tracker") == "DEMO-1"]
                frames = sum(dataset.get("frames") or 0 for entry in made for dataset in entry["datasets"])
                notes.append(f"made without a network: the tracker DEMO-1 of {frames} frames")
                if not frames:
                    failures.append("the tracker DEMO-1 was not made")
        _, knocked = _run(folder, [sys.executable, "-c", _ASKING], 120)
        caught = len(knocked) == 2
    return Figures(
        "G17",
        ("`lora-assets demo` in a fresh project, then status, verify, doctor" if level == "full" else "`lora-assets "
         "status`") + f", {'without a network (unshare -rn) and ' if away else ''}with an audit hook in every process",
        len(commands),
        len(failures),
        caught,
        time.monotonic() - began,
        "`lora-assets status` with a function that looks up a name and knocks at an address",
        tuple(notes),
        "" if level == "quick" and away else skipped,
        tuple(failures[:20]),
    )  # fmt: skip

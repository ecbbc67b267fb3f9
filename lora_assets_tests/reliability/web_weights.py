"""W21: weights whose bytes are not those that were pinned never reach a parser, and no pickle of a stranger is run.

Single bits are flipped all over the packaged and a person's own weights, in place and with the old times put back, and
each file is asked for by its name. Then files that are programs: each strict opener must refuse them without a sign
that any of the program ran, and the converter must run it where it can reach nothing. The planted faults are an opener
that checks the size only, and one that unpickles.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lora_assets.models import ModelError, add, resolve
from lora_assets.models import opening as models_opening
from lora_assets.models.confinement import run_confined
from lora_assets.models.families import refuse_external_data
from lora_assets.models.registry import WEIGHTS
from lora_assets.starter import STARTER_FOLDER
from lora_assets.vision.sam import read_tensors
from lora_assets.vision.yolo import YoloLimits, load_yolo
from lora_assets_tests.reliability.goals import Figures, Level

_FLIPS = {"quick": 12, "full": 400}
# What a program in a process that is shut in tries; it prints the name of each thing that it could do.
_TRIES = """
import ctypes, os, socket, sys
def tries(name, act):
    try:
        act()
    except BaseException:
        return
    print(name)
tries("write-home", lambda: open(os.path.expanduser("~" + sys.argv[2]) + "/escaped", "w"))
tries("write-beside", lambda: open(sys.argv[1], "w"))
tries("write-tmp", lambda: open(sys.argv[5], "w"))
tries("write-root", lambda: open("/escaped", "w"))
tries("network", lambda: socket.create_connection(("192.0.2.1", 80), 1))
tries("loopback", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 1))
tries("signal", lambda: os.kill(int(sys.argv[4]), 0))
tries("memory", lambda: open(f"/proc/{sys.argv[4]}/mem", "r+b"))
tries("environment", lambda: os.environ["LORA_ASSETS_SECRET"])
tries("writable-again", lambda: (ctypes.CDLL(None).mount(b"none", b"/", None, 4128, None) == 0) or 1 / 0)
tries("sockets", lambda: os.listdir("/run")[0])
tries("terminal", lambda: os.listdir("/dev/pts")[0])
open("own", "w").write("own")
print("ended")
"""
# The same for another program of this machine that listens: through a socket with a path, one with a name, and a pipe.
_REACHES = """
import ctypes, os, platform, socket, sys
def tries(name, act):
    try:
        act()
    except BaseException:
        return
    print(name)
def connect(address):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(address)
        one.send(b"out")
tries("unix socket", lambda: connect(sys.argv[1]))
tries("abstract socket", lambda: connect("\\0" + sys.argv[2]))
tries("pipe", lambda: os.write(os.open(sys.argv[3], os.O_WRONLY | os.O_NONBLOCK), b"out"))
tries("files of the person", lambda: open(sys.argv[4]).read())
if ctypes.CDLL(None).syscall(425, 4, ctypes.byref(ctypes.create_string_buffer(256))) >= 0:
    print("io_uring")
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, 40):
    tries(f"family {int(family)}", lambda: socket.socket(family, socket.SOCK_STREAM))
print("ended")
"""


class _Program:
    """A pickle that leaves a mark where it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def _flip(path: Path, place: int, bit: int) -> None:
    """Change one bit where it lies, and give the file its old times back."""
    times = path.stat()
    with path.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)[0]
        handle.seek(place)
        handle.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _refused(name: str, data: Path) -> bool:
    try:
        resolve(name, data)
    except ModelError as error:
        return "was not opened" in str(error)
    return False


def _flipped(folder: Path, count: int, failures: list[str]) -> tuple[int, bool]:
    """Every weights file of the package, put into a folder of its own, with one bit flipped after the other."""
    data, starters = folder / "data", folder / "starters"
    shutil.copytree(STARTER_FOLDER, starters, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    names = {weights.name: starters / weights.file for weights in WEIGHTS if weights.packaged}
    own = add(starters / "starter_sam.pt", data, "my-own")
    kept = models_opening.STARTER_FOLDER
    models_opening.STARTER_FOLDER = starters
    chance, tried = random.Random(21), 0
    size_only = True
    try:
        places = {**names, "my-own": own.path}
        old = 1_700_000_000
        for path in places.values():
            os.utime(path, (old, old))
        for name in places:
            resolve(name, data)  # so that hashes are remembered, as on a second run
        for number in range(count):
            name = sorted(places)[number % len(places)]
            path = places[name]
            place, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
            size = path.stat().st_size
            _flip(path, place, bit)
            tried += 1
            size_only &= path.stat().st_size == size
            if not _refused(name, data):
                failures.append(f"{name} with bit {bit} of byte {place} flipped was opened")
            _flip(path, place, bit)
        for name in places:
            tried += 1
            resolve(name, data)  # mended again, each opens
    finally:
        models_opening.STARTER_FOLDER = kept
    return tried, size_only


def _programs(folder: Path, failures: list[str]) -> tuple[int, bool]:
    """Files that are programs, given to every opener; and whether an opener that unpickles is noticed."""
    import torch

    mark = folder / "the program ran"
    tensors = {"image_encoder.patch_embed.proj.weight": torch.zeros(1)}
    torch.save({"model": tensors, "more": _Program(mark)}, folder / "checkpoint.pt")
    torch.save(_Program(mark), folder / "bare.pt")
    (folder / "old.pth").write_bytes(pickle.dumps(_Program(mark), protocol=2))
    shutil.copyfile(folder / "bare.pt", folder / "renamed.safetensors")
    openers: list[Callable[[Path], object]] = [
        read_tensors,
        lambda path: load_yolo(path, YoloLimits(0.25, 0.45, 1, 0)),
        lambda path: resolve(str(path), folder / "data"),
    ]
    tried = 0
    for path in (folder / name for name in ("checkpoint.pt", "bare.pt", "old.pth", "renamed.safetensors")):
        for opener in openers:
            tried += 1
            try:
                opener(path)
            except ModelError:
                pass
            except Exception as error:  # noqa: BLE001 - told as a failure
                failures.append(f"{path.name} is refused with a bare {type(error).__name__}: {error}")
            if mark.exists():
                failures.append(f"{path.name}: the program in it was run")
                mark.rmdir()
    pickle.loads((folder / "old.pth").read_bytes())  # noqa: S301 - the planted fault
    return tried, mark.exists()


def _external(folder: Path, failures: list[str]) -> int:
    """An ONNX file that names another file of this machine for its weights."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    entry = field(13, field(1, b"location") + field(2, b"../../../etc/passwd"))
    models = {"initializer": field(7, field(5, entry)), "constant": field(7, field(1, field(5, field(5, entry))))}
    for name, content in models.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        try:
            refuse_external_data(path)
            failures.append(f"an ONNX file with weights outside ({name}) was not refused")
        except ModelError:
            pass
    refuse_external_data(STARTER_FOLDER / "starter_yolo.onnx")
    return len(models) + 1


def _confined(folder: Path, failures: list[str]) -> tuple[int, str]:
    """What a program can do in the process in which the converter runs it."""
    import socket

    beside, inner = folder / "beside", folder / "inner"
    inner.mkdir()
    (inner / "tries.py").write_text(_TRIES, encoding="utf-8")
    os.environ["LORA_ASSETS_SECRET"] = "1"
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = str(listening.getsockname()[1])
            user = __import__("pwd").getpwuid(os.getuid()).pw_name
            shared = Path(tempfile.gettempdir()) / f"escaped-{os.getpid()}"
            told = [str(beside), user, port, str(os.getpid()), str(shared)]
            command = [sys.executable, "-I", "-S", str(inner / "tries.py"), *told]
            ended = run_confined(command, inner)
    except ModelError as error:
        return 0, f"no program was run shut in: {error}"
    finally:
        del os.environ["LORA_ASSETS_SECRET"]
    did = ended.stdout.split()
    if did != ["ended"] or not (inner / "own").exists():
        failures.append(f"a program that was shut in did {did} {ended.stderr[-200:]}")
    return _TRIES.count("tries(") - 1, ""


def _reaching(folder: Path, failures: list[str]) -> tuple[int, bool]:
    """Other programs that listen in a folder which is not hidden by its name, and whether the trial sees a program that
    is not shut in reach them."""
    import socket

    path, name, pipe, private = folder / "open.sock", f"lora-assets-{os.getpid()}", folder / "pipe", folder / "private"
    inner = folder / "reaching"
    inner.mkdir()
    private.write_text("private", encoding="utf-8")
    os.mkfifo(pipe)
    (inner / "reaches.py").write_text(_REACHES, encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(inner / "reaches.py"), str(path), name, str(pipe), str(private)]
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX) as by_path, socket.socket(socket.AF_UNIX) as by_name:
        try:
            for one, address in ((by_path, str(path)), (by_name, f"\0{name}")):
                one.bind(address)
                one.listen()
            shut_in = run_confined(command, inner).stdout.splitlines()
            free = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        except ModelError:  # _confined tells it
            return 0, True
        finally:
            os.close(reader)
    if shut_in != ["ended"]:
        failures.append(f"a program that was shut in reached {shut_in}")
    return 9, {"unix socket", "abstract socket", "pipe", "files of the person", "family 2"} <= set(free)


def run(level: Level) -> Figures:
    """Flipped bits, programs, weights in other files, and the process that is shut in."""
    began, failures = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir=_open_folder()) as name:
        folder = Path(name)
        flips, size_only = _flipped(folder, _FLIPS[level], failures)
        programs, unpickled = _programs(folder, failures)
        external = _external(folder, failures)
        shut_in, skipped = _confined(folder, failures)
        reached, seen_outside = _reaching(folder, failures)
    return Figures(
        "W21",
        "one bit flipped in the packaged and a person's own weights, old times put back; pickles that are programs, "
        "given to every opener; weights in another file; what a program can do where the converter runs it",
        flips + programs + external + shut_in + reached,
        len(failures),
        size_only and unpickled and seen_outside,
        time.monotonic() - began,
        "an opener that checks the size only takes every flipped file; one that unpickles runs the program; "
        "a program that is not shut in reaches sockets, pipes and files",
        (
            f"flipped {flips}, programs {programs}, elsewhere {external}, ways out of the shut-in process "
            f"{shut_in + reached}",
        ),
        skipped,
        tuple(failures[:20]),
    )


def _open_folder() -> str | None:
    """A folder for scratch files that a process that is shut in still sees; None: the usual one."""
    return next((place for place in ("/var/cache", str(Path.home())) if os.access(place, os.W_OK)), None)

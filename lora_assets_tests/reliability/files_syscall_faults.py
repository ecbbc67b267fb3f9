"""G5: every open, write, fsync, rename and close of a write is made to fail, one after the other.

Three faults at each call: the process is killed, the disk is full, the disk fails. Afterwards a file must be the old
one or the new one, whole; what said that it wrote must have written; and nothing is left that the sweep does not take.
The calls of `lora_assets.atomic` and `lora_assets.sums` are counted in the process itself, which needs nothing of the
machine; with strace they are counted by the kernel as well. A tiny disk that is really full, and a read-only one, are
tried where a disk may be mounted.

`python -m lora_assets_tests.reliability.files_syscall_faults write PATH NUMBER` is the program that strace looks at.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from lora_assets import atomic, sums
from lora_assets.atomic import StoreError, atomic_write, atomic_write_bytes, put_in_place, sweep_folder
from lora_assets.sums import file_sha256, read_sums
from lora_assets_tests.reliability.goals import Figures, Level, Trials

Write = Callable[[Path, bytes], None]
OLD, NEW = b"old " * 2500, b"new!" * 2500
FAULTS = ("KILL", "ENOSPC", "EIO")
_KILLED = 9
_ROOT = Path(__file__).resolve().parents[2]


class CountedCalls:
    """The module `os` with its n-th call that touches a disk made to fail; all calls are counted."""

    def __init__(self, fail_at: int = 0, fault: str = "") -> None:
        self.calls: list[str] = []
        self._fail_at, self._fault = fail_at, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _may_fail(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) != self._fail_at:
            return
        if self._fault == "KILL":
            os._exit(_KILLED)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number))

    def open(self, *arguments: Any) -> int:
        self._may_fail("open")
        return os.open(*arguments)

    def write(self, handle: int, content: bytes) -> int:
        self._may_fail("write")
        return os.write(handle, content)

    def fsync(self, handle: int) -> None:
        self._may_fail("fsync")
        os.fsync(handle)

    def replace(self, one: Any, other: Any) -> None:
        self._may_fail("replace")
        os.replace(one, other)

    def close(self, handle: int) -> None:
        os.close(handle)
        self._may_fail("close")

    def fdopen(self, handle: int, mode: str) -> io.BufferedIOBase:
        """A handle whose every write and close is one of the counted calls."""
        calls = self

        class Raw(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def fileno(self) -> int:
                return handle

            def write(self, content: Any) -> int:
                return calls.write(handle, bytes(content)[:3000])  # a disk may take less than it is given

            def close(self) -> None:
                if not self.closed:
                    super().close()
                    calls.close(handle)

        assert mode == "wb"
        return io.BufferedWriter(Raw(), 4096)


@contextmanager
def faulty(calls: CountedCalls) -> Iterator[None]:
    """While the body runs, the writer's calls go through `calls`."""
    with mock.patch.object(atomic, "os", calls), mock.patch.object(sums, "os", calls):
        yield


# --- ways of writing -------------------------------------------------------------------------------------------------


def durable(path: Path, content: bytes) -> None:
    """As tables and chunks are written."""
    atomic_write_bytes(path, content, recorded=True)


def picture(path: Path, content: bytes) -> None:
    """As pictures are written: without waiting for the disk."""
    atomic_write_bytes(path, content, durable=False, recorded=True)


def in_pieces(path: Path, content: bytes) -> None:
    """As a stream of rows is written."""

    def write(handle: Any) -> None:
        for start in range(0, len(content), 3000):
            handle.write(content[start : start + 3000])

    atomic_write(path, write, recorded=True)


def by_candidate(path: Path, content: bytes) -> None:
    """As trained and fetched weights are put in place."""
    candidate = path.with_name("candidate")
    atomic_write_bytes(candidate, content)
    put_in_place(candidate, path)


def naive(path: Path, content: bytes) -> None:
    """The planted fault: written under its final name, with the handle left to the garbage collector."""
    try:
        handle = atomic.os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        for start in range(0, len(content), 3000):
            atomic.os.write(handle, content[start : start + 3000])
        atomic.os.close(handle)
    except OSError:
        pass  # what `open(path, "w").write(text)` does with a full disk at its end


WAYS: tuple[Write, ...] = (durable, picture, in_pieces, by_candidate)


# --- judging ---------------------------------------------------------------------------------------------------------


def _what_is_wrong(folder: Path, path: Path, said_done: bool | None) -> str:
    """What is wrong with the folder after a fault; empty when nothing is. `said_done` is None after a kill."""
    found = path.read_bytes() if path.exists() else b""
    if found not in (OLD, NEW):
        return f"half-written: {len(found)} bytes"
    if said_done and found != NEW:
        return "said that it wrote, and did not"
    remembered = read_sums(folder).get(path.name)
    if remembered is not None and file_sha256(path) not in remembered:
        return "the remembered hash is of another content"
    sweep_folder(folder)
    left = sorted(each.name for each in folder.iterdir() if each.name.startswith(atomic.TEMPORARY))
    return f"left behind: {', '.join(left)}" if left else ""


def _attempt(way: Write, path: Path, calls: CountedCalls) -> bool:
    with faulty(calls):
        try:
            way(path, NEW)
        except StoreError:
            return False
    return True


def _in_child(way: Write, path: Path, calls: CountedCalls) -> None:
    child = os.fork()
    if child == 0:
        try:
            _attempt(way, path, calls)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def count_calls(way: Write, folder: Path) -> list[str]:
    """The names of the calls that one write makes."""
    calls = CountedCalls()
    assert _attempt(way, folder / "counted", calls)
    return calls.calls


def enumerate_faults(way: Write, folder: Path, trials: Trials) -> list[str]:
    """Every fault at every call of one way of writing, and each as a check of `trials`; returns what was wrong."""
    wrong = []
    names = count_calls(way, folder)
    for number, name in enumerate(names, start=1):
        for fault in FAULTS:
            place = folder / f"{way.__name__}-{number}-{fault}"
            place.mkdir()
            path = place / "file"
            way(path, OLD)
            calls = CountedCalls(number, fault)
            said = None
            if fault == "KILL":
                _in_child(way, path, calls)
            else:
                said = _attempt(way, path, calls)
            told = _what_is_wrong(place, path, said)
            if told:
                wrong.append(told)
            trials.check(not told, f"{way.__name__}, {fault} at call {number} ({name}): {told}")
            shutil.rmtree(place)
    return wrong


# --- with strace -----------------------------------------------------------------------------------------------------

_TRACED = ("openat", "write", "fsync", "rename", "close")
_FIXED = "0" * 16


def _strace(path: Path, call: str, number: int, fault: str) -> int:
    """Run one write under strace with one call made to fail; the exit code (0 said done, 3 said not, else killed)."""
    temporary = path.with_name(f".tmp-held-{_FIXED}")
    inject = f"{call}:signal=KILL:when={number}" if fault == "KILL" else f"{call}:error={fault}:when={number}"
    watched = [part for each in (path, temporary, path.with_name(sums.SUMS), path.parent) for part in ("-P", str(each))]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *watched, "-e", f"trace={','.join(_TRACED)}",
               "-e", f"inject={inject}", sys.executable, "-m", __spec__.name, "write", str(path)]  # fmt: skip
    return subprocess.run(command, cwd=_ROOT, check=False, capture_output=True).returncode


def with_strace(folder: Path, trials: Trials, most: int) -> str:
    """The same with the kernel's own count, up to `most` injections; returns why it was left out, or how many."""
    if shutil.which("strace") is None:
        return "strace is not installed: only the portable enumeration was made"
    if _strace(_fresh(folder, "probe"), "fsync", 99, "EIO") != 0:
        return "strace may not trace here: only the portable enumeration was made"
    made = 0
    for call in _TRACED:
        for fault in FAULTS:
            for number in range(1, 12):
                if made >= most:
                    return f"strace: {made} injections"
                path = _fresh(folder, f"{call}-{number}-{fault}")
                code = _strace(path, call, number, fault)
                told = _what_is_wrong(path.parent, path, code == 0)
                trials.check(not told, f"strace, {fault} at {call} {number}: {told} (exit {code})")
                made += 1
                if code == 0:
                    break  # there is no such call any more
    return f"strace: {made} injections"


def _fresh(folder: Path, name: str) -> Path:
    place = folder / f"strace-{name}"
    place.mkdir()
    durable(place / "file", OLD)
    return place / "file"


# --- real disks ------------------------------------------------------------------------------------------------------


@contextmanager
def tiny_disk(folder: Path, options: str) -> Iterator[Path | None]:
    """A disk of its own in memory; None where none may be mounted."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True
    )
    try:
        yield place if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(place)], check=True)


def on_real_disks(folder: Path, trials: Trials) -> str:
    """A full disk and a read-only one: told, nothing half-written, and the next write after it is well works."""
    with tiny_disk(folder, "size=64k") as disk:
        if disk is None:
            return "no disk may be mounted here: a full and a read-only one were not tried"
        path = disk / "file"
        durable(path, OLD)
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 4096))
        calls = CountedCalls()
        said = _attempt(durable, path, calls)
        trials.check(not said and not _what_is_wrong(disk, path, said), "a full disk")
        (disk / "filler").unlink()
        said = _attempt(durable, path, CountedCalls())
        trials.check(said and path.read_bytes() == NEW, "after a full disk")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        said = _attempt(durable, path, CountedCalls())
        trials.check(not said and path.read_bytes() == NEW, "a read-only disk")
    return "a disk of 64 KiB that is full, and one that is read-only"


def run(level: Level) -> Figures:
    """Measure G5. Quick leaves out strace; it needs a process without other threads, so it is made in one."""
    if os.environ.get("LORA_ASSETS_KIT_CHILD") != "1":
        return _in_process_of_its_own(level)
    trials = Trials("G5", "each call of four ways of writing x kill, full disk, I/O error; counted in the process"
                    + (" and by strace" if level == "full" else ""), "a writer that opens its final name")  # fmt: skip
    # In memory, where it is there, syncing costs nothing; the full level waits for the real disk.
    memory = "/dev/shm" if level == "quick" and os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="lora_assets-faults-", dir=memory) as made:
        folder = Path(made)
        for way in WAYS:
            (folder / way.__name__).mkdir()
            enumerate_faults(way, folder / way.__name__, trials)
        trials.notes.append(on_real_disks(folder, trials))
        if level == "full":
            trials.notes.append(with_strace(folder, trials, 500))
        (folder / "naive").mkdir()
        planted = Trials("", "", "")
        wrong = enumerate_faults(naive, folder / "naive", planted)
        trials.caught = any("half-written" in each for each in wrong) and any("said" in each for each in wrong)
        trials.notes.append(f"the planted writer failed {planted.failed} of {planted.tried}")
    return trials.figures()


def _in_process_of_its_own(level: Level) -> Figures:
    import ast

    told = subprocess.run(
        [sys.executable, "-m", __spec__.name, "run", level],
        cwd=_ROOT, env={**os.environ, "LORA_ASSETS_KIT_CHILD": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode != 0:
        raise RuntimeError(f"the kit of G5 ended with {told.returncode}: {told.stderr[-2000:]}")
    return Figures(**ast.literal_eval(told.stdout))


def main() -> None:
    """The two programs of this kit: one write for strace, and the kit itself without other threads."""
    if sys.argv[1] == "write":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = Path(sys.argv[2])
        with ExitStack() as patched:
            patched.enter_context(mock.patch.object(atomic.secrets, "token_hex", lambda _: _FIXED))
            try:
                durable(path, NEW)
            except StoreError:
                sys.exit(3)
        sys.exit(0)
    import dataclasses

    print(dataclasses.asdict(run("full" if sys.argv[2] == "full" else "quick")))


if __name__ == "__main__":
    main()

"""G6: a small batch is killed at random moments, several times, and then run to its end: every picture must be the same
bytes and every table the same rows as those of a batch that nobody killed.

`python -m lora_assets_tests.reliability.processes_random_kills DATA [plant NUMBER]` is the batch: it waits on standard
input for data folders and forks itself for each, so that a kill costs no start of Python.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

from lora_assets_tests.reliability.goals import Figures, Level, Trials

_FRAMES = 6
_ROOT = Path(__file__).resolve().parents[2]
_KILLS_OF_ONE = 4
# What a batch imports when it comes to it: most of its time, were it not there before the forks.
_LOADED_LATER = ("onnxruntime", "pandas", "scipy.fftpack")


# --- the batch -------------------------------------------------------------------------------------------------------


def _plant(number: int) -> Any:
    """The planted fault: files are written under their final names, and the process dies in the middle of the picture
    with this number."""
    from lora_assets import atomic

    written, numbering = 0, threading.Lock()

    def naive(path: Path, write: Any, **_: Any) -> None:
        nonlocal written
        is_picture = path.suffix in (".png", ".webp")
        with numbering:  # pictures are written by several threads
            written += is_picture
            mine = written
        path.parent.mkdir(parents=True, exist_ok=True)

        class Half:
            def __init__(self, handle: BinaryIO) -> None:
                self.handle = handle

            def write(self, content: Any) -> int:
                if mine == number and is_picture:
                    self.handle.write(bytes(content)[: len(content) // 2])
                    self.handle.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                return self.handle.write(content)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.handle, name)

        with path.open("wb") as handle:
            write(Half(handle))

    return mock.patch.object(atomic, "atomic_write", naive)


def _read_here() -> Any:
    """Files are read in the batch's own process: starting others would be most of its time, and is tried by G2."""
    from lora_assets.main_line import frames
    from lora_assets.main_line.reading import FileRead
    from lora_assets.vision import images

    class Here:
        def __init__(self, *_: Any) -> None: ...

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: Any) -> None: ...

        def read(self, path: Path) -> FileRead:
            content = images.read_file(path)
            decoded = images.decode_image(content)
            facts = images.frame_facts(decoded.pixels, decoded.format)
            return FileRead(hashlib.sha256(content).hexdigest(), facts, images.thumbnail_webp(decoded.pixels))

    return mock.patch.object(frames, "Readers", Here)


def _batch(data: Path, plant: int) -> None:
    from lora_assets_tests.reliability.files_flipped_bytes import make_results

    with ExitStack() as patched:
        patched.enter_context(_read_here())
        if plant:
            patched.enter_context(_plant(plant))
        make_results(data, _FRAMES)


def main() -> None:
    """Read lines `DATA NUMBER`; fork a batch over each data folder (NUMBER 0: as it is; else planted), tell its pid and
    how it ended."""
    from lora_assets_tests.reliability import files_flipped_bytes  # noqa: F401 - before the forks

    for name in _LOADED_LATER:
        importlib.import_module(name)

    for line in sys.stdin:
        data, number = line.rstrip("\n").rsplit(" ", 1)
        child = os.fork()
        if child == 0:
            os.setsid()
            os.close(0)
            code = 1
            try:
                _batch(Path(data), int(number))
                code = 0
            finally:
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class _Batches:
    """The program above, asked for one batch after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __spec__.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def run(self, data: Path, kill_after: float | None = None, plant: int = 0) -> int:
        """Run one batch; killed with all its processes after some seconds if told so. Returns its exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{data} {plant}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it had ended, or has no group of its own yet
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


# --- comparing -------------------------------------------------------------------------------------------------------


def results_of(data: Path) -> dict[str, str]:
    """A digest for each result: of the bytes of pictures, of the rows and the version of published tables."""
    import pyarrow.parquet as pq

    found = {}
    for path in sorted((data / "store").rglob("*")):
        if path.suffix in (".png", ".webp"):
            found[str(path.relative_to(data))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((data / "tables").rglob("*.parquet")):
        table = pq.read_table(path)
        rows = [{name: value for name, value in row.items() if name not in ("mtime_ns", "ctime_ns", "inode")}
                for row in table.to_pylist()]  # fmt: skip
        found[str(path.relative_to(data))] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def _differences(data: Path, expected: dict[str, str]) -> list[str]:
    try:
        found = results_of(data)
    except Exception as error:  # noqa: BLE001 - a table that cannot be read is what is looked for
        return [f"a table cannot be read: {error}"]
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def _copy_input(source: Path, data: Path) -> None:
    """The same frames in a new data folder."""
    shutil.copytree(source / "input", data / "input")


def run(level: Level) -> Figures:
    """Measure G6. A trial is a kill; it counts as failed when the results afterwards differ."""
    kills = 200 if level == "full" else 3
    how = f"{kills} kill -9 at random moments of a batch of {_FRAMES} frames, up to {_KILLS_OF_ONE} of each batch"
    trials = Trials("G6", f"{how}, then run to its end", "files written under their final names")
    rng = random.Random(6)
    batches = _Batches()
    with tempfile.TemporaryDirectory(prefix="lora_assets-kills-") as made:
        folder = Path(made)
        try:
            first = folder / "first"
            batches.run(first)
            plain = folder / "plain"
            _copy_input(first, plain)
            began = time.monotonic()
            assert batches.run(plain) == 0, "the batch itself fails"
            seconds = time.monotonic() - began
            expected = results_of(plain)
            batch = 0
            while trials.tried < kills:
                batch += 1
                data = folder / f"killed {batch}"
                _copy_input(first, data)
                landed = 0
                while landed < min(_KILLS_OF_ONE, kills - trials.tried):
                    if batches.run(data, kill_after=rng.uniform(0.02, seconds)) == 0:
                        break  # it had ended before it was killed
                    landed += 1
                code = batches.run(data)
                different = _differences(data, expected)
                for _ in range(landed):
                    trials.check(code == 0 and not different, f"batch {batch}: exit {code}, {different[:3]}")
                shutil.rmtree(data)
            planted = folder / "planted"
            caught = []
            for number in (2, 9) if level == "full" else (2,):
                _copy_input(first, planted)
                died = batches.run(planted, plant=number)
                batches.run(planted)
                caught.append(died == -signal.SIGKILL and bool(_differences(planted, expected)))
                trials.notes.append(f"planted in picture {number}: the batch ended with {died}")
                shutil.rmtree(planted)
            trials.caught = all(caught)
            trials.notes.append(f"{batch} batches of {seconds:.1f} s")
            trials.notes.append(f"{len(expected)} results compared")
        finally:
            batches.close()
    return trials.figures()


if __name__ == "__main__":
    main()

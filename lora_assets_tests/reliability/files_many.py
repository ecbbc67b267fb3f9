"""G14: one look at a folder of very many files. It must open none of them, and its time is told."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from lora_assets import input_folders
from lora_assets.folder_watch import Listing, look_at_folders, read_state, write_state
from lora_assets.input_folders import FileStat, scan_folder
from lora_assets.specs import DatasetSpec
from lora_assets_tests.reliability.goals import Figures, Level, Trials

_MOST_SECONDS = 2.0
_opened: list[str] = []
_hearing = False
_hooked = False


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _hearing and event == "open":
        _opened.append(str(arguments[0]))


def _count_opened(look: object) -> int:
    """How many files of the folder are opened while `look` runs. (A hook of the interpreter stays for good.)"""
    global _hearing, _hooked
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked = True
    _opened.clear()
    _hearing = True
    try:
        look()  # pyright: ignore[reportCallIssue]
    finally:
        _hearing = False
    return sum(name.endswith(".png") for name in _opened)


def _opening(folder: Path) -> Callable[[os.DirEntry[str], str], FileStat | None]:
    """The planted fault: the facts of a file, for which it is opened."""
    look = input_folders._file

    def opened(entry: os.DirEntry[str], path: str) -> FileStat | None:
        (folder / path).read_bytes()
        return look(entry, path)

    return opened


def run(level: Level) -> Figures:
    """Measure G14."""
    count = 100_000 if level == "full" else 1_500
    how = (
        f"looks at a folder of {count} files; the goal of {_MOST_SECONDS:g} s is judged by wall time where the machine "
        "is free, else by the processor's time"
    )
    trials = Trials("G14", how, "a scan that opens every file")
    with tempfile.TemporaryDirectory(prefix="lora_assets-many-") as made:
        folder = Path(made) / "film"
        for number in range(count):
            if number % 1000 == 0:
                (folder / f"{number // 1000:03d}").mkdir(parents=True)
            (folder / f"{number // 1000:03d}" / f"{number:06d}.png").touch()
        dataset = DatasetSpec("film", "film", folder)
        load = os.getloadavg()[0]
        cursor, slowest, busiest, requests = None, 0.0, 0.0, []
        for look in range(5):
            began, busy = time.monotonic(), time.process_time()
            watch = look_at_folders([dataset], read_state(cursor), 1000.0 + 10 * look, lambda _: Listing(running=True))
            slowest = max(slowest, time.monotonic() - began)
            busiest = max(busiest, time.process_time() - busy)
            cursor = write_state(watch.state)
            requests += watch.requests
        trials.check(len(requests) == 1, f"{len(requests)} runs were asked for")
        files = scan_folder(folder).files
        trials.check(len(files) == count, f"{len(files)} of {count} files were seen")
        trials.check(_count_opened(lambda: scan_folder(folder)) == 0, "a look opened files")
        planted = Trials(trials.goal, trials.how, trials.seeded_fault)
        with mock.patch.object(input_folders, "_file", _opening(folder)):
            planted.check(_count_opened(lambda: scan_folder(folder)) == 0, "a look opened files")
        trials.caught = planted.failed > 0
        free = load <= (os.cpu_count() or 1) - 1
        judged = slowest if free else busiest
        if level == "full":
            trials.check(judged <= _MOST_SECONDS, f"the slowest look took {judged:.2f} s")
        by = "wall time" if free else "the processor's time, since others use the machine"
        trials.notes.append(f"the slowest of 5 looks took {slowest:.2f} s of wall time, {busiest:.2f} s of the "
                            f"processor's; judged by {by} (load {load:.1f} of {os.cpu_count()})")  # fmt: skip
    return trials.figures()

"""G14: one look at a folder of very many files. It must open none of them, and its time is told."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from lora_assets.folder_watch import Listing, look_at_folders, read_state, write_state
from lora_assets.input_folders import scan_folder
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


def run(level: Level) -> Figures:
    """Measure G14."""
    count = 100_000 if level == "full" else 1_500
    trials = Trials("G14", f"looks at a folder of {count} files", "a look that opens every file")
    with tempfile.TemporaryDirectory(prefix="lora_assets-many-") as made:
        folder = Path(made) / "film"
        for number in range(count):
            if number % 1000 == 0:
                (folder / f"{number // 1000:03d}").mkdir(parents=True)
            (folder / f"{number // 1000:03d}" / f"{number:06d}.png").touch()
        dataset = DatasetSpec("film", "film", folder)
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
        trials.caught = _count_opened(lambda: [(folder / file.path).read_bytes() for file in files[:50]]) == 50
        if level == "full":
            # By the processor's time: others may use the machine meanwhile.
            trials.check(busiest <= _MOST_SECONDS, f"the slowest look took {busiest:.2f} s")
        trials.notes.append(f"the slowest of 5 looks took {slowest:.2f} s, {busiest:.2f} s of them at work")
    return trials.figures()

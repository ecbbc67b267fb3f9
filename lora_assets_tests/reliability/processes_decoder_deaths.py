"""G2: decoders that abort, crash, are killed or hang, planted among good files: each costs its own file and is named,
and what is said of the others is what would have been said without them."""

from __future__ import annotations

import random
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from lora_assets.main_line.reading import Reader, Readers
from lora_assets.vision.images import ReadSettings
from lora_assets_tests.main_line.faulty_child import mark
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, drawn_picture

_PROGRAM = "lora_assets_tests.main_line.faulty_child"
# By the clock on the wall: on a machine with twenty waiting programs a good file may take seconds. The quick level
# plants no file that hangs, so that a longer deadline costs it nothing.
_DEADLINE_S: dict[Level, float] = {"quick": 120.0, "full": 20.0}
_PATIENCE_S = 1.5
_WORKERS = 2
_TOLD = {"SEGV": "SIGSEGV", "ABRT": "SIGABRT", "KILL": "SIGKILL", "EXIT": "code 3", "HANG": "hangs", "MEMORY": "memory"}


def _files(folder: Path, good: int, faults: list[str], rng: random.Random) -> dict[Path, str]:
    """Good JPEG files and faulty ones in random order; the value is the fault, empty for a good file."""
    content = ENCODINGS[0].encode(drawn_picture(96, 72, 4))
    kinds = [*faults, *[""] * good]
    rng.shuffle(kinds)
    found = {}
    for number, fault in enumerate(kinds):
        path = folder / f"{number:04d}.jpg"
        # A comment makes every file another content.
        own = content[:2] + b"\xff\xfe\x00\x06" + f"{number:04d}".encode() + content[2:]
        path.write_bytes(own + (mark(fault) if fault else b""))
        found[path] = fault
    return found


def _hangs_for_ever(folder: Path) -> bool:
    """The planted fault: a supervisor without deadline. True when it was still waiting long after the deadline."""
    path = folder / "hang.jpg"
    path.write_bytes(ENCODINGS[0].encode(drawn_picture(64, 64, 1)) + mark("HANG"))
    reader = Reader(ReadSettings(max_seconds=3600.0), _PROGRAM)
    over = threading.Event()

    def read() -> None:
        try:
            with suppress(Exception):  # it is ended from outside below
                reader.read(path)
        finally:
            over.set()

    waiting = threading.Thread(target=read, daemon=True)
    waiting.start()
    still = not over.wait(_PATIENCE_S)
    reader.end()
    waiting.join(30)
    return still


def run(level: Level) -> Figures:
    """Measure G2."""
    rounds, good, each = (10, 400, 4) if level == "full" else (1, 12, 1)
    kinds = ["SEGV", "ABRT", "KILL", "EXIT", "HANG"] if level == "full" else ["SEGV"]
    trials = Trials("G2", f"{rounds} runs of {good} good files with {len(kinds) * each} planted deaths each, "
                    f"{_WORKERS} reading processes", "a supervisor without deadline")  # fmt: skip
    settings = ReadSettings(max_seconds=_DEADLINE_S[level])
    rng = random.Random(2)
    named = planted = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="lora_assets-deaths-") as made:
            files = _files(Path(made), good, kinds * each, rng)
            fine = [path for path, fault in files.items() if not fault]
            with Readers(settings, _WORKERS) as readers, ThreadPoolExecutor(_WORKERS) as pool:
                plain = dict(zip(fine, pool.map(readers.read, fine), strict=True))
            with Readers(settings, _WORKERS, _PROGRAM) as readers, ThreadPoolExecutor(_WORKERS) as pool:
                answers = dict(zip(files, pool.map(readers.read, files), strict=True))
        for path, fault in files.items():
            answer = answers[path]
            if fault:
                planted += 1
                named += _TOLD[fault] in answer.reason
                trials.check(_TOLD[fault] in answer.reason, f"{fault} at {path.name} is told as {answer.reason!r}")
            else:
                trials.check(answer == plain[path], f"the verdict on {path.name} changed: {answer.reason!r}")
    trials.notes.append(f"{named} of {planted} planted deaths named")
    with tempfile.TemporaryDirectory(prefix="lora_assets-deaths-") as made:
        trials.caught = _hangs_for_ever(Path(made))
    return trials.figures()

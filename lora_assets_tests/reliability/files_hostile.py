"""G1: hostile files among good ones. No run dies of them, each is read or refused with a reason, and what is said of
the good ones does not change.

Files made by code, odd names, and the corpora of other projects where LORA_ASSETS_TEST_CORPORA names a folder of them.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.reading import FileRead, Readers
from lora_assets.specs import DatasetSpec
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table
from lora_assets.vision.images import ReadSettings
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import (
    ENCODINGS,
    ODD_NAMES,
    corpora_files,
    drawn_picture,
    hostile_files,
)

_WORKERS = 2
_MOST_MEBIBYTES = 1024


def _put(folder: Path, level: Level) -> tuple[list[Path], list[Path]]:
    """Hostile files and good ones of every encoding, each in a folder of its own."""
    bad, good = folder / "bad", folder / "good"
    bad.mkdir()
    good.mkdir()
    count, side = (200, 25_000) if level == "full" else (1, 16_000)
    hostile = []
    for number, (name, content) in enumerate(hostile_files(count, side)):
        path = bad / f"{number:05d} {name}"
        path.write_bytes(content)
        hostile.append(path)
    friendly = []
    for number, encoding in enumerate(ENCODINGS):
        path = good / f"{number}{encoding.suffix}"
        path.write_bytes(encoding.encode(drawn_picture(120, 90, number)))
        friendly.append(path)
    return hostile, friendly


def _read_all(paths: Sequence[Path]) -> tuple[list[FileRead], float]:
    """What is said of the files, and the most memory (MiB) that one of the reading processes took."""
    with Readers(ReadSettings(), _WORKERS) as readers, ThreadPoolExecutor(_WORKERS) as pool:
        answers = list(pool.map(readers.read, paths))
        processes = [reader._process for reader in readers._readers if reader._process is not None]
        return answers, max(_most_memory(process.pid) for process in processes)


def _most_memory(pid: int) -> float:
    told = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(told[1]) / 1024 if told else float("nan")


def _careless(paths: Sequence[Path]) -> bool:
    """The planted fault: reading in the batch's own process, where only OSError is thought of. True when it dies."""
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Image.open(io.BytesIO(path.read_bytes())).load()
        except OSError:
            continue
        except Exception:  # noqa: BLE001 - this is what would have ended the batch
            return True
    return False


def _odd_names(folder: Path, trials: Trials) -> None:
    """A folder of odd names becomes a table whose rows are found again under these names."""
    picture = ENCODINGS[2].encode(drawn_picture(64, 64, 3))
    inside = folder / "names"
    inside.mkdir()
    for name in ODD_NAMES:
        (inside / name).write_bytes(picture)
    with open(os.fsencode(inside) + b"/bad\xff.png", "wb") as handle:
        handle.write(picture)
    update = update_raw_frames(Store(folder / "data"), DatasetSpec("names", "names", inside))
    rows = {row.path: row for row in from_table(update.table.read(), RawFrame)}
    shown = [name for name in ODD_NAMES if not name.startswith(".")]
    for name in shown:
        row = rows.get(name)
        trials.check(row is not None and row.quarantine_reason is None, f"the name {name!r} was not found again")
    bad = [row for row in rows.values() if "not valid UTF-8" in (row.quarantine_reason or "")]
    trials.check(len(bad) == 1, "a name that is no UTF-8 was not told")


def run(level: Level) -> Figures:
    """Measure G1. The seconds for each file and the most memory of a reading process stand in the notes."""
    how = "generated hostile files, odd names and corpora, through the reading processes of the main line"
    trials = Trials("G1", how, "a decoder in the batch's own process that thinks of OSError only")
    with tempfile.TemporaryDirectory(prefix="lora_assets-hostile-") as made:
        folder = Path(made)
        hostile, good = _put(folder, level)
        corpora = corpora_files() if level == "full" else []
        plain, _ = _read_all(good)
        # Good files among the bad ones: one for every ten.
        mixed = [path for number, bad in enumerate([*hostile, *corpora])
                 for path in ([bad, good[number // 10 % len(good)]] if number % 10 == 0 else [bad])]  # fmt: skip
        began = time.monotonic()
        answers, most = _read_all(mixed)
        seconds = time.monotonic() - began
        expected = dict(zip(good, plain, strict=True))
        for path, answer in zip(mixed, answers, strict=True):
            if path in expected:
                trials.check(answer == expected[path], f"the verdict on {path.name} changed among hostile files")
            else:
                one = (answer.facts is None) != (answer.reason == "")
                trials.check(one, f"{path.name}: neither read nor refused with a reason")
        died = sum("the decoder" in answer.reason for answer in answers)
        read = sum(
            answer.facts is not None for path, answer in zip(mixed, answers, strict=True) if path not in expected
        )
        _odd_names(folder, trials)
        if level == "full":
            trials.check(most <= _MOST_MEBIBYTES, f"a reading process took {most:.0f} MiB")
        trials.caught = _careless(hostile)
        trials.notes += [
            f"{len(hostile)} generated files and {len(corpora)} of corpora: {read} read, "
            f"{len(hostile) + len(corpora) - read} refused with a reason, {died} by the death of the reading process",
            f"{1000 * seconds / len(mixed):.1f} ms for each file with {_WORKERS} processes",
            f"at most {most:.0f} MiB in a reading process",
        ]
    return trials.figures("" if corpora or level == "quick" else "LORA_ASSETS_TEST_CORPORA names no corpora")

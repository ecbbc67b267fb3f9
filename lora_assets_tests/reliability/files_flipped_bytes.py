"""G15: one bit flipped in any file that a stage wrote: `verify` names that file and no other."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from unittest import mock

from lora_assets.benchmarks.cheap import ellipses, middle_box
from lora_assets.main_line import verifying
from lora_assets.main_line.cells import Cell, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.verifying import verify_files
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import TrackerSpec, list_datasets
from lora_assets.store import Store
from lora_assets.sums import SUMS, file_sha256
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, drawn_picture


def make_results(data: Path, frames: int, size: tuple[int, int] = (160, 90)) -> None:
    """One dataset of drawn frames and its cell, with models that cost nothing."""
    folder = data / "input" / "film"
    if not folder.exists():
        folder.mkdir(parents=True)
        for number in range(frames):
            (folder / f"{number:03d}.png").write_bytes(ENCODINGS[2].encode(drawn_picture(*size, number)))
    store = Store(data)
    dataset = list_datasets(data)["film"]
    update_raw_frames(store, dataset)
    cell = Cell(store, dataset, "T1", tracker_recipes(TrackerSpec("T1"), data))
    update_detections(cell, lambda: (middle_box,))
    update_masks(cell, lambda: ellipses)
    update_scored_crops(cell)


def written_files(data: Path) -> list[Path]:
    """Every file whose hash was remembered when it was written."""
    folders = sorted(path.parent for path in data.rglob(SUMS))
    return [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file() and path.name != SUMS]


def _flip_bits(data: Path, files: list[Path], flips: int, rng: random.Random, trials: Trials) -> None:
    """Flip random bits of each file, one at a time: `verify` must name that file and no other."""
    for path in files:
        whole = path.read_bytes()
        for _ in range(flips):
            content = bytearray(whole)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content)
            named = [problem.path for problem in verify_files(data).problems]
            name = str(path.relative_to(data))
            trials.check(named == [name], f"{name} was flipped, and {named} was named")
            path.write_bytes(whole)


def _planted(data: Path, files: list[Path], trials: Trials) -> bool:
    """True when the same trial fails for every file with a hash that is told from the file's size."""
    held = {path: (path.stat().st_size, file_sha256(path)) for path in files}

    def by_size(path: Path) -> str:
        size, sha256 = held[path]
        return sha256 if path.stat().st_size == size else "0" * 64

    planted = Trials(trials.goal, trials.how, trials.seeded_fault)
    with mock.patch.object(verifying, "file_sha256", by_size):
        _flip_bits(data, files, 1, random.Random(16), planted)
    return planted.failed == planted.tried > 0


def run(level: Level) -> Figures:
    """Measure G15."""
    frames, flips = (24, 3) if level == "full" else (2, 1)
    trials = Trials("G15", f"each file that the stages wrote for {frames} frames x {flips} random bits",
                    "a verify whose hash of a file tells its size only")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lora_assets-flips-") as made:
        data = Path(made)
        make_results(data, frames)
        trials.check(not verify_files(data).problems, "something was wrong before anything was flipped")
        files = written_files(data)
        _flip_bits(data, files, flips, random.Random(15), trials)
        trials.caught = _planted(data, files, trials)
        kinds = sorted({path.relative_to(data).parts[1] for path in files})
        trials.notes.append(f"{len(files)} files: {', '.join(kinds)}")
    return trials.figures()

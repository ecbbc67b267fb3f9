"""Files are read in processes of their own: whatever a decoder does costs one file, and that file is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lora_assets.main_line.reading import Reader, Readers
from lora_assets.store import StoreError
from lora_assets.vision.images import ReadSettings, decode_image, frame_facts
from lora_assets.vision.reading_child import memory_limit
from lora_assets_tests.main_line.faulty_child import mark

FAULTY = "lora_assets_tests.main_line.faulty_child"


@pytest.fixture
def picture(drop_frames) -> Path:
    return sorted(drop_frames(count=1).iterdir())[0]


def _faulty(picture: Path, fault: str) -> Path:
    path = picture.with_name(f"{fault}.jpg")
    path.write_bytes(picture.read_bytes() + mark(fault))
    return path


def test_what_is_read_is_what_the_file_holds(picture: Path):
    with Readers(ReadSettings(), 1) as readers:
        read = readers.read(picture)
    decoded = decode_image(picture.read_bytes())
    assert read.facts == frame_facts(decoded.pixels, decoded.format)
    assert read.thumb.startswith(b"RIFF") and read.reason == ""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("SEGV", "the decoder crashed (SIGSEGV) reading it, twice"),
        ("ABRT", "the decoder crashed (SIGABRT) reading it, twice"),
        ("KILL", "the decoder crashed (SIGKILL) reading it, twice"),
        ("EXIT", "the decoder ended by itself (code 3) reading it, twice"),
        ("MEMORY", "not enough memory"),
        ("HANG", "hangs the decoder: not read after 3 seconds"),
    ],
)
def test_a_decoder_that_dies_costs_its_file_only(picture: Path, fault: str, reason: str):
    with Readers(ReadSettings(), 1, FAULTY) as readers:
        before = readers.read(picture)
        (reader,) = readers._readers
        if fault == "HANG":  # for this file alone: a good one may take longer on a machine that others use
            reader.settings = ReadSettings(max_seconds=3.0)
        bad = readers.read(_faulty(picture, fault))
        reader.settings = ReadSettings()
        after = readers.read(picture)
    assert reason in bad.reason and bad.facts is None
    assert bad.sha256 is not None, "so that it is not tried at every run"
    assert before == after and before.facts is not None


def test_what_a_decoder_prints_is_no_answer(picture: Path):
    with Readers(ReadSettings(), 1, FAULTY) as readers:
        assert readers.read(_faulty(picture, "PRINT")).facts == readers.read(picture).facts


def test_a_kill_from_outside_blames_no_file(picture: Path, tmp_path: Path):
    path = picture.with_name("once.jpg")
    path.write_bytes(picture.read_bytes() + b"<once>" + os.fsencode(tmp_path / "been") + mark("ONCE"))
    with Readers(ReadSettings(), 1, FAULTY) as readers:
        assert readers.read(path).facts is not None
    assert (tmp_path / "been").exists()


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_killers_among_good_files_are_named_and_nothing_else_changes(drop_frames, rounds: int):
    folder = drop_frames(count=12)
    good = sorted(folder.iterdir())
    faults = ("SEGV", "ABRT", "KILL", "EXIT") * rounds
    files: list[Path] = []
    for number, fault in enumerate(faults):
        bad = folder / f"bad {number}.jpg"
        bad.write_bytes(good[number % len(good)].read_bytes() + mark(fault))
        files += [bad, good[number % len(good)]]
    with Readers(ReadSettings(), 2, FAULTY) as readers, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(readers.read, files))
        plain = [readers.read(path) for path in good]
    assert all("the decoder" in answer.reason for answer in answers[::2])
    assert [answer.facts for answer in answers[1::2]] == [plain[n % len(good)].facts for n in range(len(faults))]


def test_an_ended_reader_starts_no_process(picture: Path):
    reader = Reader(ReadSettings())
    assert reader.read(picture).facts is not None
    reader.end()
    with pytest.raises(StoreError, match="run again"):
        reader.read(picture)


def test_a_program_that_cannot_start_is_told():
    missing = Readers(ReadSettings(), 1, "lora_assets_tests.no_such_module")
    with missing as readers, pytest.raises(StoreError, match="no process could be started"):
        readers.read(Path("a.jpg"))


def test_a_reader_ends_with_its_parent(picture: Path):
    code = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from lora_assets.main_line.reading import Reader\n"
        "from lora_assets.vision.images import ReadSettings\n"
        "reader = Reader(ReadSettings())\n"
        "reader.read(Path(sys.argv[1]))\n"
        "print(reader._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(picture)], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    child = int(ended.stdout)
    # The pipe of its errors is inherited: `run` has returned only because the child closed it, too.
    assert not Path(f"/proc/{child}").exists() or b"reading_child" not in Path(f"/proc/{child}/cmdline").read_bytes()


def test_memory_grows_with_the_allowed_picture():
    assert memory_limit(ReadSettings(max_megapixels=400)) - memory_limit(ReadSettings()) == 200e6 * 16
    assert os.name == "posix"

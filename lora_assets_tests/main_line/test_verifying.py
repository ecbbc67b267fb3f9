"""verify names every flipped byte and every lost file; repair draws pictures again, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lora_assets.main_line.verifying import DAMAGED, MISSING, repair_files, verify_files
from lora_assets.store import Store
from lora_assets.sums import SUMS


@pytest.fixture
def made(data, drop_frames, line) -> Path:
    drop_frames(count=3)
    line.make(line.cell())
    return data


def _results(data: Path) -> list[Path]:
    """Every file that was written with its hash."""
    return sorted(
        path
        for folder in {sums.parent for sums in data.rglob(SUMS)}
        for path in folder.iterdir()
        if path.is_file() and path.name != SUMS
    )


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def test_one_flipped_byte_in_any_file_is_found_and_named(made: Path):
    whole = verify_files(made)
    files = _results(made)
    assert (whole.files, whole.unknown, whole.problems) == (len(files), 0, ())
    assert {path.relative_to(made).parts[1] for path in files} >= {"crops", "thumbs", "frame_thumbs", "masks"}
    rng = random.Random(7)
    for path in files:
        before = path.read_bytes()
        _flip(path, rng)
        (problem,) = verify_files(made).problems
        assert (problem.path, problem.kind) == (str(path.relative_to(made)), DAMAGED) and problem.way_out
        path.write_bytes(before)
    assert verify_files(made).problems == ()


def test_a_lost_file_is_named(made: Path):
    path = _results(made)[-1]
    path.unlink()
    (problem,) = verify_files(made).problems
    assert (problem.path, problem.kind) == (str(path.relative_to(made)), MISSING)


def test_pictures_are_drawn_again_byte_for_byte(made: Path):
    pictures = [path for path in _results(made) if path.suffix in (".png", ".webp")]
    before = {path: path.read_bytes() for path in pictures}
    rng = random.Random(8)
    for number, path in enumerate(pictures):
        if number % 2:
            path.unlink()
        else:
            _flip(path, rng)
    found = verify_files(made)
    assert len(found.problems) == len(pictures) >= 6
    assert all(problem.mended for problem in repair_files(Store(made), found.problems))
    assert {path: path.read_bytes() for path in pictures} == before
    assert verify_files(made).problems == ()


def test_a_picture_without_its_frame_stays_lost_and_says_so(made: Path):
    for path in (made / "input" / "film").iterdir():
        path.unlink()
    lost, hurt = [path for path in _results(made) if path.relative_to(made).parts[1] == "thumbs"][:2]
    lost.unlink()
    _flip(hurt, random.Random(1))
    damaged = hurt.read_bytes()
    for _ in range(2):
        problems = repair_files(Store(made), verify_files(made).problems)
        assert [problem.mended for problem in problems] == [False, False], "told again the second time"
        assert all("its original is gone" in problem.way_out for problem in problems)
    assert hurt.read_bytes() == damaged, "a damaged picture is better than none"


def test_a_damaged_chunk_is_removed_and_its_frames_are_made_again(made: Path, line):
    chunk = next(path for path in _results(made) if path.relative_to(made).parts[:2] == ("store", "detections"))
    _flip(chunk, random.Random(9))
    found = verify_files(made)
    assert repair_files(Store(made), found.problems)[0].mended and not chunk.exists()
    assert verify_files(made).problems == ()
    Store(made).cell_table("detections", "film", "T1").path.unlink()  # pyright: ignore[reportOptionalMemberAccess]
    assert line.make(line.cell())[0].computed == 3
    assert verify_files(made).problems == ()


def test_a_published_table_is_left_to_a_run(made: Path):
    table = Store(made).cell_table("masks", "film", "T1")
    assert table is not None
    _flip(table.path, random.Random(3))
    (problem,) = repair_files(Store(made), verify_files(made).problems)
    assert not problem.mended and table.path.exists() and "T1" in problem.way_out + problem.path


def test_files_of_an_earlier_version_are_counted_not_blamed(made: Path):
    for sums in list(made.rglob(SUMS)):
        sums.unlink()
    found = verify_files(made)
    assert found.files == 0 and found.unknown > 6 and found.problems == ()

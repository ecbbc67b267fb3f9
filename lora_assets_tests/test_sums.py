from __future__ import annotations

import fcntl
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.store import rewrite_sums
from lora_assets.sums import SUMS, file_sha256, note_sum, read_sums

HASHES = st.binary(max_size=8).map(lambda content: hashlib.sha256(content).hexdigest())
NAMES = st.text(st.characters(exclude_characters="/\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(st.tuples(NAMES, HASHES), max_size=12))
def test_every_line_comes_back(tmp_path_factory, written: list[tuple[str, str]]):
    folder = tmp_path_factory.mktemp("sums")
    for name, sha256 in written:
        note_sum(folder / name, sha256, durable=False)
    expected: dict[str, set[str]] = {}
    for name, sha256 in written:
        expected.setdefault(name, set()).add(sha256)
    assert read_sums(folder) == expected


def test_a_line_that_was_cut_harms_no_other(tmp_path):
    note_sum(tmp_path / "a.png", "0" * 64, durable=True)
    with (tmp_path / SUMS).open("ab") as handle:
        handle.write(b"12ab\n\xff\xfe\n" + b"1" * 64 + b"  ../b.png\n")
    note_sum(tmp_path / "c.png", "2" * 64, durable=False)
    assert read_sums(tmp_path) == {"a.png": {"0" * 64}, "c.png": {"2" * 64}}


@pytest.mark.parametrize("cut", [1, 20, 64, 66, 70, 72])
@pytest.mark.parametrize("locks", [True, False])
def test_a_full_disk_cuts_no_later_line(tmp_path, monkeypatch, cut, locks):
    note_sum(tmp_path / "file.bin", "0" * 64, durable=False)
    real = os.write

    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, line: real(handle, line[:cut]))
        with pytest.raises(OSError, match="No space left"):
            note_sum(tmp_path / "file.bin", "1" * 64, durable=False)
    note_sum(tmp_path / "file.bin", "2" * 64, durable=False)
    assert read_sums(tmp_path) == {"file.bin": {"0" * 64, "2" * 64}}


@pytest.mark.parametrize("fragment", ["12ab", "1" * 64, "1" * 64 + "  fil"])
def test_a_line_that_was_glued_to_a_fragment_is_read(tmp_path, fragment):
    (tmp_path / SUMS).write_text(f"{fragment}{'2' * 64}  file.bin\n")
    assert read_sums(tmp_path) == {"file.bin": {"2" * 64}}


def test_versions_that_are_over_fall_away(tmp_path):
    for digit in "012":
        note_sum(tmp_path / "a.json", digit * 64, durable=False)
    rewrite_sums(tmp_path, {"a.json": {"2" * 64}})
    assert read_sums(tmp_path) == {"a.json": {"2" * 64}}
    assert [path.name for path in tmp_path.iterdir()] == [SUMS]


def test_no_file_remembers_nothing(tmp_path):
    assert read_sums(tmp_path) == {}
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()

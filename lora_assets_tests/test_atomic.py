from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lora_assets import atomic
from lora_assets.atomic import StoreError, atomic_write_bytes, put_in_place, sweep_folder
from lora_assets.sums import SUMS, file_sha256, read_sums


def test_what_a_killed_writer_left_is_swept_at_once_and_a_living_writers_file_is_not(tmp_path):
    program = (
        "import os, sys, time; from pathlib import Path; from lora_assets.atomic import atomic_write\n"
        "def write(handle):\n    handle.write(b'x'); print('writing', flush=True); sys.stdin.read()\n"
        "atomic_write(Path('file'), write)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    assert sweep_folder(tmp_path) == 0
    writer.kill()
    writer.communicate()
    assert len(os.listdir(tmp_path)) == 1
    assert sweep_folder(tmp_path) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [".tmp-convert-0123", ".tmp-export-film-0123", ".tmp-held-0123"])
def test_a_folder_of_a_killed_program_is_swept_at_once_and_a_living_ones_is_not(tmp_path, name):
    program = (
        "import sys; from pathlib import Path; from lora_assets.atomic import held_folder\n"
        f"with held_folder(Path('inside') / {name!r}) as folder:\n"
        "    (folder / 'part').write_bytes(b'x'); print('writing', flush=True); sys.stdin.read()\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    assert sweep_folder(tmp_path) == 0 and (tmp_path / "inside" / name / "part").exists()
    worker.kill()
    worker.communicate()
    assert sweep_folder(tmp_path) == 1 and os.listdir(tmp_path / "inside") == []


def test_folders_of_others_are_swept_when_nothing_in_them_is_young_and_links_never(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "kept")
    for name in (".tmp-other", ".tmp-export-film-0123.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
        os.utime(tmp_path / name, (0, 0))
    assert sweep_folder(tmp_path) == 0
    for name in (".tmp-other", ".tmp-export-film-0123.old"):
        os.utime(tmp_path / name / "file", (0, 0))
        os.utime(tmp_path / name, (0, 0))
    assert sweep_folder(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == [".tmp-export-film-0123.old", ".tmp-link", "kept"], "it may be the only one"


def test_only_old_files_of_earlier_versions_are_swept(tmp_path):
    (tmp_path / ".tmp-0123").write_bytes(b"")
    assert sweep_folder(tmp_path) == 0
    os.utime(tmp_path / ".tmp-0123", (time.time() - 100_000, time.time() - 100_000))
    assert sweep_folder(tmp_path) == 1


def test_a_disk_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(handle: int, kind: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    atomic_write_bytes(tmp_path / "file", b"content", recorded=True)
    assert (tmp_path / "file").read_bytes() == b"content"
    (tmp_path / ".tmp-held-0123").write_bytes(b"")
    assert sweep_folder(tmp_path) == 0, "it is told from a living one by its age only"


@pytest.mark.parametrize("recorded", [False, True])
def test_a_durable_file_is_on_disk_before_its_name_and_its_name_before_the_end(tmp_path, monkeypatch, recorded):
    done: list[str] = []
    rename = os.replace

    def sync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        done.append("file" if path.name.startswith(atomic.TEMPORARY) else path.name)

    def put(old, new):
        done.append("renamed")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", put)
    atomic_write_bytes(tmp_path / "a.json", b"x", recorded=recorded)
    assert done == ["file", *([SUMS] if recorded else []), "renamed", tmp_path.name]
    done.clear()
    atomic_write_bytes(tmp_path / "a.json", b"y", recorded=recorded, durable=False)
    assert done == ["renamed"]


def test_bytes_that_the_disk_changed_are_not_put_in_place(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write_bytes(path, b"old", recorded=True)
    monkeypatch.setattr(atomic, "file_sha256", lambda _: "0" * 64)
    with pytest.raises(StoreError, match="other bytes than it was given"):
        atomic_write_bytes(path, b"new", recorded=True)
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == sorted([SUMS, "file"])


def test_a_candidate_takes_its_place_or_both_stay(tmp_path):
    atomic_write_bytes(tmp_path / "candidate", b"new")
    put_in_place(tmp_path / "candidate", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"
    with pytest.raises(StoreError, match="cannot write"):
        put_in_place(tmp_path / "nothing", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_recorded_file_is_what_its_line_says(tmp_path):
    for content in (b"one", b"two"):
        atomic_write_bytes(tmp_path / "file", content, recorded=True)
        assert file_sha256(tmp_path / "file") in read_sums(tmp_path)["file"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_sweep_holds_the_lock_until_what_it_takes_is_gone(tmp_path, monkeypatch, kind):
    left = tmp_path / (".tmp-held-0123" if kind == "folder" else f"{atomic._LOCKED}0123")
    left.mkdir() if kind == "folder" else left.touch()
    held: list[bool] = []

    def removed(path: Path, *_: object, **__: object) -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(False)
        except BlockingIOError:
            held.append(True)
        finally:
            os.close(handle)

    monkeypatch.setattr(shutil, "rmtree", removed)
    monkeypatch.setattr(Path, "unlink", removed)
    assert sweep_folder(tmp_path) == 1
    assert held == [True]

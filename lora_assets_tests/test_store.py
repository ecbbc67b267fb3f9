from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.store import Store, StoreError, atomic_write, atomic_write_bytes, digest
from lora_assets.sums import SUMS, file_sha256, read_sums
from lora_assets.tables import Detection, TableError, empty_table, from_table, to_table


def _box(frame: str, number: int = 0) -> Detection:
    return Detection(frame, f"{frame[:4]}{number}", "person", 0.9, 0.0, 0.0, 5.0, 5.0, "yolo", True)


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_digest_does_not_depend_on_the_order_of_keys(values):
    assert digest(values) == digest(dict(reversed(values.items())))
    assert digest(values) != digest(values, 1)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table"
    atomic_write_bytes(path, b"old")

    def half(handle):
        handle.write(b"ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        atomic_write(path, half)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


def test_a_full_disk_is_told_and_not_published(tmp_path):
    code = (
        "import signal; from pathlib import Path; from lora_assets.store import atomic_write_bytes, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    atomic_write_bytes(Path('big'), b'x' * 1_000_000)\nexcept StoreError as e:\n    print('told', e)\n"
    )
    limit = 100_000
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert "told" in told.stdout
    assert os.listdir(tmp_path) == []


def test_kill_at_any_moment_leaves_whole_files_only(tmp_path):
    code = (
        "from pathlib import Path; from lora_assets.store import atomic_write_bytes\n"
        "n = 0\nwhile True:\n    n += 1\n"
        "    atomic_write_bytes(Path('f'), bytes([n % 256]) * 300_000, recorded=True)\n"
        "    n == 1 and print('begun', flush=True)\n"
    )
    for pause in (0.01, 0.03, 0.05):
        with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        content = (tmp_path / "f").read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        assert file_sha256(tmp_path / "f") in read_sums(tmp_path)["f"]


def test_a_shelf_answers_frames_with_and_without_rows(tmp_path):
    shelf = Store(tmp_path).shelf("detections", "r1", Detection)
    shelf.append(to_table([_box("a" * 64), _box("a" * 64, 1)], Detection), ["a" * 64, "b" * 64])
    shelf.append(to_table([_box("c" * 64)], Detection), ["c" * 64])
    assert shelf.done() == {"a" * 64, "b" * 64, "c" * 64}
    answers = list(shelf.read(["b" * 64, "c" * 64, "d" * 64]))
    assert sorted(frame for frames, _ in answers for frame in frames) == ["b" * 64, "c" * 64]
    assert [row.frame_sha256 for _, table in answers for row in from_table(table, Detection)] == ["c" * 64]


def test_a_frame_answered_twice_is_given_once(tmp_path):
    store = Store(tmp_path)
    for frames in (["a" * 64], ["a" * 64, "b" * 64]):
        store.shelf("detections", "r1", Detection).append(to_table([_box(f) for f in frames], Detection), frames)
    rows = [row for _, table in store.shelf("detections", "r1", Detection).read(["a" * 64, "b" * 64])
            for row in from_table(table, Detection)]  # fmt: skip
    assert sorted(row.frame_sha256 for row in rows) == ["a" * 64, "b" * 64]


def test_a_damaged_chunk_counts_as_missing(tmp_path):
    shelf = Store(tmp_path).shelf("detections", "r1", Detection)
    path = shelf.append(to_table([_box("a" * 64)], Detection), ["a" * 64])
    path.write_bytes(path.read_bytes()[:40])
    assert Store(tmp_path).shelf("detections", "r1", Detection).done() == set()


def test_a_chunk_may_not_hold_rows_of_frames_it_does_not_answer(tmp_path):
    shelf = Store(tmp_path).shelf("detections", "r1", Detection)
    with pytest.raises(StoreError, match="does not claim"):
        shelf.append(to_table([_box("a" * 64)], Detection), ["b" * 64])


def test_a_published_table_tells_its_version_and_facts(tmp_path):
    store = Store(tmp_path)
    path = store.table_path("detections", "film", "T1")
    assert store.published(path) is None
    tables = [to_table([_box("a" * 64)], Detection), empty_table(Detection)]
    store.publish(path, Detection, tables, "v1", {"frames": 3})
    published = store.cell_table("detections", "film", "T1")
    assert published is not None
    assert (published.version, published.facts["frames"], published.rows) == ("v1", 3, 1)
    assert published.read(["detection_id"]).num_columns == 1


def test_a_table_that_breaks_its_promises_keeps_the_one_before(tmp_path):
    store = Store(tmp_path)
    path = store.table_path("detections", "film", "T1")
    store.publish(path, Detection, [to_table([_box("a" * 64)], Detection)], "v1", {})
    bad = pa.table({"frame_sha256": ["a"]})
    with pytest.raises(TableError):
        store.publish(path, Detection, [bad], "v2", {})
    kept = store.published(path)
    assert kept is not None
    assert kept.version == "v1"
    assert {p.name for p in path.parent.iterdir()} == {path.name, SUMS}


def test_a_damaged_published_table_is_made_again(tmp_path):
    store = Store(tmp_path)
    path = store.table_path("detections", "film", "T1")
    store.publish(path, Detection, [], "v1", {})
    path.write_bytes(b"PAR1 and then nothing")
    assert store.published(path) is None


def test_a_lock_is_held_by_one(tmp_path):
    store = Store(tmp_path)
    with store.lock("dataset-film"):
        with pytest.raises(StoreError, match="another process"), store.lock("dataset-film", wait=False):
            pass
        with store.lock("dataset-other", wait=False):
            pass


def test_sweeping_takes_old_temporary_files_only(tmp_path):
    store = Store(tmp_path)
    folder = tmp_path / "store" / "detections"
    folder.mkdir(parents=True)
    for name, age in ((".tmp-old", 100_000), (".tmp-new", 10), ("kept.parquet", 100_000)):
        path: Path = folder / name
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)
    assert store.sweep() == 1
    assert sorted(os.listdir(folder)) == [".tmp-new", "kept.parquet"]

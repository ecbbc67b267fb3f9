"""Corrections are kept as safe as verdicts: synced before they are acknowledged, backed up, exported, put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import apsw
import pytest

from lora_assets.verdicts import VerdictError
from lora_assets.verdicts.append_only import keep_backup, try_daily_backup
from lora_assets.verdicts.corrections import CorrectionLog, corrections_path, read_corrections, standing
from lora_assets.verdicts.restoring import backups, restore
from lora_assets_tests.verdicts.marks import a_correction
from lora_assets_tests.verdicts.watched_disk import leave_out_syncs, synced_when_taken, watched_disk


@pytest.fixture
def log(data):
    with CorrectionLog(corrections_path(data)) as log:
        yield log


@pytest.fixture
def backed_up(data):
    """Two corrections in a backup; after it a third one, and the first withdrawn."""
    with CorrectionLog(corrections_path(data)) as log:
        log.append(a_correction("first"))
        log.append(a_correction("second"))
        keep_backup(log)
        log.append(a_correction("third"))
        log.withdraw("first")
    return data


def _ids(data):
    return [one.id for one in standing(read_corrections(data)[0])]


def test_a_correction_is_synced_before_it_is_acknowledged(data):
    with watched_disk() as disk, CorrectionLog(corrections_path(data)) as log:
        assert synced_when_taken(log, disk, lambda n: log.append(a_correction(f"c{n}")), 3) == 3
        disk.events.clear()
        log.withdraw("c0")
        assert disk.is_synced()
        leave_out_syncs(log)
        assert synced_when_taken(log, disk, lambda n: log.append(a_correction(f"d{n}")), 3) == 0


_WRITER = """
import sys
from pathlib import Path
from lora_assets.verdicts.corrections import CorrectionLog, corrections_path
from lora_assets_tests.verdicts.marks import a_correction
log = CorrectionLog(corrections_path(Path(sys.argv[1])))
for number in range(100_000):
    print(log.append(a_correction(f"c{number}")).id, flush=True)
"""


def test_a_restore_after_a_kill_keeps_what_was_acknowledged(data):
    with CorrectionLog(corrections_path(data)) as log:
        log.append(a_correction("before"))
        keep_backup(log)
    child = subprocess.Popen([sys.executable, "-c", _WRITER, str(data)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += child.stdout.read().split("\n")[:-1]
    child.stdout.close()
    child.wait()
    assert corrections_path(data).with_name("corrections.sqlite-wal").stat().st_size, "the rows lie beside the file"
    found = restore(data, kind=CorrectionLog)
    kept = _ids(data)
    assert found.rows == 1 and found.unread == "" and found.taken_over == len(kept) - 1
    assert kept[: len(acknowledged) + 1] == ["before", *acknowledged]
    assert len(kept) <= len(acknowledged) + 2  # the one that was on its way


def test_a_lost_log_comes_back_from_the_newest_backup(backed_up):
    for path in corrections_path(backed_up).parent.glob("corrections.sqlite*"):
        path.unlink()
    found = restore(backed_up, kind=CorrectionLog)
    assert (found.rows, found.taken_over, found.aside, found.unread) == (2, 0, None, "")
    assert _ids(backed_up) == ["first", "second"]


def test_what_only_the_log_has_is_taken_over_and_the_old_file_is_kept(backed_up):
    before = read_corrections(backed_up)
    found = restore(backed_up, kind=CorrectionLog)
    assert (found.rows, found.taken_over, found.unread) == (2, 2, "")
    assert read_corrections(backed_up) == before and _ids(backed_up) == ["second", "third"]
    assert found.aside is not None and (found.aside / "corrections.sqlite").stat().st_size
    assert not list(corrections_path(backed_up).parent.glob(".tmp-*"))


def test_of_a_damaged_log_the_rows_on_both_sides_of_the_damage_are_taken_over(data):
    path = corrections_path(data)
    with CorrectionLog(path) as log:
        log.append(a_correction("c0"))
        keep_backup(log)
        for number in range(1, 120):
            log.append(a_correction(f"c{number}"))
        log.into_one_file()
        root = log._db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'correction'").get
        size = log._db.pragma("page_size")
    content = bytearray(path.read_bytes())
    # A leaf in the middle of the table, by the pointers of its root (https://www.sqlite.org/fileformat.html).
    page = memoryview(content)[(root - 1) * size : root * size]
    assert page[0] == 5, "the table has an inner page"
    cells = int.from_bytes(page[3:5], "big")
    cell = int.from_bytes(page[12 + 2 * (cells // 2) : 14 + 2 * (cells // 2)], "big")
    leaf = int.from_bytes(page[cell : cell + 4], "big")
    page.release()
    content[(leaf - 1) * size : leaf * size] = b"\xa5" * size
    path.write_bytes(content)
    with CorrectionLog(path) as log:
        assert log.check()
    found = restore(data, kind=CorrectionLog)
    kept = _ids(data)
    assert found.unread and "c0" in kept and "c1" in kept and "c119" in kept
    assert 60 < len(kept) < 120 and kept == sorted(kept, key=lambda id_: int(id_[1:]))


def test_a_row_that_contradicts_the_backup_does_not_stop_a_restore(backed_up):
    path = corrections_path(backed_up)
    with apsw.Connection(str(path)) as db:
        db.execute("DROP TRIGGER corrections_are_never_changed")
        db.execute("UPDATE correction SET model = 'flipped' WHERE id = 'second'")
        db.execute("UPDATE correction SET rle = x'00' WHERE id = 'third'")
    with CorrectionLog(path) as log:
        assert any("row 3: the mask does not fit" in problem for problem in log.check())
    found = restore(backed_up, kind=CorrectionLog)
    assert "other content" in found.unread and "row 3" in found.unread
    assert [(one.id, one.correction.model) for one in standing(read_corrections(backed_up)[0])] == [("second", "m")]


def test_a_damaged_backup_changes_nothing(backed_up, tmp_path):
    (newest,) = backups(backed_up, CorrectionLog)
    bad = tmp_path / "bad.sqlite"
    bad.write_bytes(newest.read_bytes()[:5000])
    for wrong in (bad, tmp_path / "absent.sqlite"):
        with pytest.raises(VerdictError, match=r"choose|name a backup"):
            restore(backed_up, wrong, CorrectionLog)
    assert _ids(backed_up) == ["second", "third"]
    assert not list(corrections_path(backed_up).parent.glob("replaced-*"))


def test_a_restore_that_is_cut_short_leaves_a_log_and_can_be_done_again(backed_up, monkeypatch):
    def cut(candidate, path):
        raise OSError("cut short")

    monkeypatch.setattr("lora_assets.verdicts.restoring.put_in_place", cut)
    with pytest.raises(VerdictError, match="nothing was deleted"):
        restore(backed_up, kind=CorrectionLog)
    assert _ids(backed_up) == ["second", "third"]
    monkeypatch.undo()
    assert restore(backed_up, kind=CorrectionLog).taken_over == 2
    assert _ids(backed_up) == ["second", "third"]


def test_a_backup_that_cannot_be_made_is_told_and_stops_nothing(log):
    log.append(a_correction())
    assert try_daily_backup(log) == ""
    folder = log.path.parent / "backups"
    shutil.rmtree(folder)
    folder.write_text("a file where a folder should be")
    assert "cannot back up" in try_daily_backup(log)
    log.append(a_correction("second"))


def test_export_and_import_are_a_round_trip_and_importing_twice_changes_nothing(log, tmp_path):
    log.append(a_correction("a"))
    log.append(replace(a_correction("b"), category="髪"))
    log.withdraw("a")
    lines = list(log.export_lines())
    with CorrectionLog(tmp_path / "other" / "c.sqlite") as other:
        assert (other.import_lines(lines).added, other.import_lines([*lines, ""]).known) == (3, 3)
        assert other.all() == log.all() and list(other.export_lines()) == lines


def test_imported_corrections_are_in_the_order_of_time(log, tmp_path):
    with CorrectionLog(tmp_path / "c.sqlite") as other:
        other.append(a_correction("earlier"))
        log.append(a_correction("later"))
        log.import_lines(other.export_lines())
    assert [one.id for one in log.all()] == ["earlier", "later"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rle": "zz"}, "does not fit its window"), ({"rle": "é"}, "ASCII"), ({"rle": 1}, "ASCII"),
        ({"window": [0, 0, 10**9, 10**9], "frame_size": [10**9, 10**9]}, "each at most"),
        ({"window": [0, 0, 999_999, 999_999], "frame_size": [10**6, 10**6]}, "larger than any that is read"),
        ({"box": [0, 0, float("nan"), 1]}, "box is 4 numbers"), ({"frame_size": ["100", "80"]}, "frame_size is 2"),
        ({"at": "yesterday"}, "UTC"), ({"at": "2026-01-01T00:00:00.000000+09:00"}, "UTC"),
        ({"at": "2999-01-01T00:00:00.000000+00:00"}, "in the future"), ({"more": 1}, "no line of a correction"),
        ({"withdraws": "nobody"}, "not in the log"), ({"withdraws": 7}, "give an id"),
        ({"category": "\ud800"}, "whole"), ({"id": "known"}, "other content"),
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_told_with_its_number_and_nothing_is_taken(log, change, reason):
    log.append(a_correction("known", box=(1.0, 1.0, 9.0, 9.0)))
    log.append(a_correction("other"))
    other = json.loads(list(log.export_lines())[1])
    lines = [json.dumps({**other, "id": "fits"}), json.dumps({**other, "id": "new", **change})]
    with pytest.raises(VerdictError, match=f"line 2: .*{reason}"):
        log.import_lines(lines)
    assert [one.id for one in log.all()] == ["known", "other"]

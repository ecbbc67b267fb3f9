from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import apsw
import pytest

from lora_assets.verdicts import VerdictError, open_log
from lora_assets.verdicts.log import NothingToUndo, VerdictLog, keep_backup, log_path
from lora_assets.verdicts.record import Verdict, to_line, utc_text
from lora_assets_tests.verdicts.marks import a_mark
from lora_assets_tests.verdicts.watched_disk import leave_out_syncs, synced_when_taken, watched_disk


@pytest.fixture
def log(data):
    with open_log(data) as opened:
        yield opened


def test_the_last_word_on_a_crop_stands_and_knows_the_one_before(log):
    log.append(a_mark("good", "c1"), a_mark("bad", "c2"))
    (changed,) = log.append(a_mark("exclude", "c1", stars=2, note="another character"))
    assert changed.previous == "good"
    assert {crop: verdict.value for crop, verdict in log.current().items()} == {"c1": "exclude", "c2": "bad"}
    assert [verdict.value for verdict in log.history("c1")] == ["good", "exclude"]
    assert list(log.current())[-1] == "c1"  # the order of time
    log.append(a_mark("cleared", "c1"))
    assert [verdict.crop_id for verdict in log.standing_marks()] == ["c2"]


def test_what_was_acknowledged_is_there_for_another_reader(data, log):
    (told,) = log.append(a_mark(note="日本語"))
    with open_log(data) as other:
        assert other.history() == [told]


def test_a_mark_sent_again_counts_once(log):
    mark = a_mark()
    first, again = log.append(mark), log.append(mark)
    assert first == again
    assert len(log.history()) == 1


def test_a_request_id_used_for_another_mark_is_refused_and_nothing_is_saved(log):
    mark = a_mark("good")
    log.append(mark)
    with pytest.raises(VerdictError, match="was taken for another mark"):
        log.append(a_mark("bad", "c9"), a_mark("bad", request_id=mark.request_id))
    assert len(log.history()) == 1


def test_undo_takes_back_one_mark_after_another_by_new_rows(log):
    log.append(a_mark("good", stars=4), a_mark("bad", note="cut"))
    assert log.undo("c1", "u1").value == "good"
    assert log.current()["c1"].mark.stars == 4
    assert log.undo("c1", "u2", "T2").value == "cleared"
    assert log.history("c1")[-1].mark.tracker == "T2"
    assert log.current() == {}, "as if nothing had been said"
    with pytest.raises(VerdictError, match="no verdict that could be undone"):
        log.undo("c1", "u3")
    log.append(a_mark("exclude"))
    assert log.undo("c1", "u4").value == "cleared"
    assert [verdict.value for verdict in log.history()] == ["good", "bad", "good", "cleared", "exclude", "cleared"]


def test_the_last_action_of_a_tracker_is_undone_whole_and_then_the_one_before(log):
    log.append(a_mark("good", "c1", request_id="r0:c1"))
    log.append(*(a_mark("bad", crop, request_id=f"r1:{crop}") for crop in ("c1", "c2", "c3")))
    log.append(a_mark("good", "c3", tracker="T2", request_id="r2:c3"), a_mark("good", "c9", request_id="r10:c9"))
    log.undo("c9", "u0")
    assert [verdict.crop_id for verdict in log.undo_last("u1", "T1")] == ["c1", "c2"]
    assert {crop: verdict.value for crop, verdict in log.current().items()} == {"c1": "good", "c3": "good"}
    again = log.undo_last("u1", "T1")
    assert [verdict.crop_id for verdict in again] == ["c1", "c2"]
    assert [verdict.mark.undoes for verdict in again] == ["r1:c1", "r1:c2"]


def test_an_action_that_another_tracker_overruled_is_passed_over(log):
    log.append(a_mark("good", "d", request_id="r0:d"))
    log.append(*(a_mark("bad", crop, request_id=f"r1:{crop}") for crop in ("c", "e")))
    log.append(*(a_mark("good", crop, tracker="T2", request_id=f"r2:{crop}") for crop in ("c", "e")))
    assert [verdict.crop_id for verdict in log.undo_last("u1", "T1")] == ["d"]
    with pytest.raises(NothingToUndo, match="T1"):
        log.undo_last("u2", "T1")
    assert [verdict.crop_id for verdict in log.undo_last("u3", "T2")] == ["c", "e"]
    assert [verdict.value for verdict in log.undo_last("u4", "T1")] == ["cleared", "cleared"]


def test_marks_without_a_request_of_many_are_undone_one_by_one(log):
    log.append(a_mark("good", "c1", request_id="r1"), a_mark("good", "c2", request_id="r10"))
    assert [verdict.crop_id for verdict in log.undo_last("u1", "T1")] == ["c2"]
    assert [verdict.crop_id for verdict in log.undo_last("u2", "T1")] == ["c1"]
    with pytest.raises(NothingToUndo, match="T1"):
        log.undo_last("u3", "T1")


def test_rows_are_followed_by_number_also_those_of_another_process(data, log):
    assert log.since(0) == (0, [])
    first, second = log.append(a_mark("good", "c1"), a_mark("bad", "c2"))
    assert log.since(0) == (2, [first, second])
    with open_log(data) as other:
        (third,) = other.append(a_mark("exclude", "c3"))
    assert log.since(2) == (3, [third])
    assert log.since(3) == (3, [])
    assert log.last_row() == 3
    assert log.taken([first.mark.request_id, "another"]) == {first.mark.request_id: first}


def test_a_log_of_an_earlier_version_gets_its_index(data, log):
    log.append(a_mark())
    log.close()
    with apsw.Connection(str(log_path(data))) as db:
        db.execute("DROP INDEX verdict_in_time")
    with open_log(data) as opened:
        assert len(opened.history()) == 1
        assert opened._db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'verdict_in_time'").get == 1


def test_a_cleared_crop_stays_cleared_and_an_undone_one_was_never_marked(log):
    log.append(a_mark("good"), a_mark("cleared"), a_mark("bad"))
    assert log.undo("c1", "u1").value == "cleared"
    assert log.current()["c1"].value == "cleared"
    log.undo("c1", "u2")
    assert log.current()["c1"].value == "good"
    log.undo("c1", "u3")
    assert log.current() == {}


def test_an_undo_sent_again_undoes_once(log):
    log.append(a_mark("good"), a_mark("bad"))
    assert log.undo("c1", "u1") == log.undo("c1", "u1")
    assert log.current()["c1"].value == "good"


def test_times_never_go_back(log):
    soon = utc_text(datetime.now(UTC) + timedelta(hours=20))
    log.import_lines([to_line(Verdict(a_mark("good"), soon, None))])
    log.append(a_mark("bad"))
    assert log.current()["c1"].value == "bad"


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59.999999+00:00", "2999-01-01T00:00:00.000000+00:00"])
def test_a_row_of_the_far_future_is_refused_and_the_log_goes_on(log, at):
    lines = [to_line(Verdict(a_mark("good"), time, None)) for time in ("2026-01-01T00:00:00.000000+00:00", at)]
    with pytest.raises(VerdictError, match=r"line 2: .*in the future"):
        log.import_lines(lines)
    assert [verdict.value for verdict in log.append(a_mark("bad"))] == ["bad"]
    assert len(log.history()) == 1


def test_rows_cannot_be_changed_or_deleted(data, log):
    log.append(a_mark())
    other = apsw.Connection(str(log_path(data)))
    for statement in (
        "UPDATE verdict SET value = 'bad'",
        "DELETE FROM verdict",
        "UPDATE OR REPLACE verdict SET seq = 9",
    ):
        with pytest.raises(apsw.ConstraintError, match="never"):
            other.execute(statement)
    other.close()


def test_export_and_import_are_a_round_trip_and_importing_twice_changes_nothing(data, log, tmp_path):
    log.append(a_mark("good", note="いい"), a_mark("bad", "c2", stars=1))
    log.undo("c1", "u1")
    lines = list(log.export_lines())
    with VerdictLog(tmp_path / "other" / "v.sqlite") as other:
        assert (other.import_lines(lines).added, other.import_lines([*lines, "", "\n"]).known) == (3, 3)
        assert other.history() == log.history()
        assert list(other.export_lines()) == lines


def test_an_import_takes_all_or_nothing_and_names_the_line(log, tmp_path):
    log.append(a_mark("good"))
    lines = list(log.export_lines())
    with VerdictLog(tmp_path / "v.sqlite") as other:
        with pytest.raises(VerdictError, match="line 2"):
            other.import_lines([*lines, "nonsense"])
        assert other.history() == []
    with pytest.raises(VerdictError, match=r"line 1.*other content"):
        log.import_lines([lines[0].replace('"good"', '"bad"')])


def test_logs_of_two_machines_merge_in_the_order_of_time(log, tmp_path):
    with VerdictLog(tmp_path / "v.sqlite") as other:
        other.append(a_mark("bad"))
        log.append(a_mark("good"))
        log.import_lines(other.export_lines())
        assert log.current()["c1"].value == "good"
        other.import_lines(log.export_lines())
        assert other.current() == log.current()


def test_many_threads_and_two_connections_lose_nothing(data, log):
    with open_log(data) as other, ThreadPoolExecutor(8) as pool:
        marks = [a_mark("good", f"c{n % 7}") for n in range(120)]
        list(pool.map(lambda n: (log, other)[n % 2].append(marks[n]), range(120)))
        assert {verdict.mark.request_id for verdict in log.history()} == {mark.request_id for mark in marks}
    times = [verdict.at for verdict in log.history()]
    assert len(set(times)) == 120
    assert log.check() == []


def test_acknowledged_marks_survive_a_kill(data):
    code = (
        "import sys\nfrom pathlib import Path\nfrom lora_assets.verdicts import open_log\n"
        "from lora_assets_tests.verdicts.marks import a_mark\n"
        "log = open_log(Path(sys.argv[1]))\n"
        "while True:\n    print(log.append(a_mark())[0].mark.request_id, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(data)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(25)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += child.stdout.read().split("\n")[:-1]
    child.stdout.close()
    child.wait()
    with open_log(data) as log:
        kept = [verdict.mark.request_id for verdict in log.history()]
        assert log.check() == []
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1  # the one that was on its way


def test_a_mark_is_synced_before_it_is_acknowledged(data):
    with watched_disk() as disk, open_log(data) as log:
        assert synced_when_taken(log, disk, lambda _: log.append(a_mark()), 3) == 3
        leave_out_syncs(log)
        assert synced_when_taken(log, disk, lambda _: log.append(a_mark()), 3) == 0


def test_a_full_disk_is_told_and_nothing_is_half_saved(log):
    log.append(a_mark())
    log._db.pragma("max_page_count", log._db.pragma("page_count"))
    saved = 0
    with pytest.raises(VerdictError, match=r"disk is full: free space"):
        for number in range(1000):
            log.append(a_mark("bad", f"c{number}", note="x" * 3000))
            saved += 1
    log._db.pragma("max_page_count", 1_000_000)
    assert len(log.history()) == saved + 1
    log.append(a_mark("good"))  # the log goes on when there is room again
    assert log.check() == []


def test_a_backup_is_whole_and_never_replaces_a_file(log, tmp_path):
    log.append(a_mark("good"), a_mark("bad", "c2"))
    target = log.backup(tmp_path / "kept" / "copy.sqlite")
    log.append(a_mark("bad"))
    with VerdictLog(target) as copy:
        assert [verdict.value for verdict in copy.history()] == ["good", "bad"]
        assert copy.check() == []
    with pytest.raises(VerdictError, match="is there already"):
        log.backup(target)


def test_one_backup_a_day_and_old_ones_go(log):
    folder = log.path.parent / "backups"
    folder.mkdir()
    for day in range(1, 6):
        (folder / f"verdicts-2020-01-0{day}.sqlite").write_bytes(b"")
    (folder / "mine.sqlite").write_bytes(b"")
    today = keep_backup(log, kept=3)
    assert keep_backup(log, kept=3) == today
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["mine.sqlite", "verdicts-2020-01-04.sqlite", "verdicts-2020-01-05.sqlite", today.name]


def test_backups_of_days_to_come_go_first(log):
    folder = log.path.parent / "backups"
    folder.mkdir()
    for day in range(1, 6):
        (folder / f"verdicts-2999-01-0{day}.sqlite").write_bytes(b"")
    today = keep_backup(log, kept=3)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [today.name, "verdicts-2999-01-04.sqlite", "verdicts-2999-01-05.sqlite"]


def test_a_damaged_file_is_told(data):
    with open_log(data) as log:
        log.append(*(a_mark(crop=f"c{n}", note="n" * 500) for n in range(200)))
        log._db.pragma("wal_checkpoint(truncate)")
    path = log_path(data)
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    path.write_bytes(content)
    with open_log(data) as log:
        assert log.check()
    path.write_bytes(b"this is no database at all, but long enough to be looked at" * 40)
    with pytest.raises(VerdictError, match="-wal and -shm files, then put the newest backup"):
        open_log(data)


def test_a_newer_format_is_refused(data):
    with open_log(data) as log:
        log._db.pragma("user_version", 9)
    with pytest.raises(VerdictError, match="format 9"):
        open_log(data)


def test_a_share_is_refused(data, monkeypatch):
    monkeypatch.setattr("lora_assets.verdicts.append_only.share_type", lambda folder: "nfs4")
    with pytest.raises(VerdictError, match=r"share \(nfs4\)"):
        open_log(data)


def test_sqlite_is_one_without_the_reset_bug():
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)

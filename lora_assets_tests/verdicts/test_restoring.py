from __future__ import annotations

import apsw
import pytest

from lora_assets.verdicts import VerdictError, open_log
from lora_assets.verdicts.log import keep_backup, log_path, try_daily_backup
from lora_assets.verdicts.restoring import backups, restore
from lora_assets_tests.verdicts.marks import a_mark


@pytest.fixture
def backed_up(data):
    """A log with two marks in a backup and a third one after it."""
    with open_log(data) as log:
        log.append(a_mark("good", "c1"), a_mark("bad", "c2"))
        keep_backup(log)
        log.append(a_mark("exclude", "c3"))
    return data


def _values(data):
    with open_log(data) as log:
        assert log.check() == []
        return {crop: verdict.value for crop, verdict in log.current().items()}


def test_a_lost_log_comes_back_from_the_newest_backup(backed_up):
    for ending in ("", "-wal", "-shm"):
        log_path(backed_up).with_name(f"verdicts.sqlite{ending}").unlink(missing_ok=True)
    found = restore(backed_up)
    assert (found.rows, found.taken_over, found.aside, found.unread) == (2, 0, None, "")
    assert _values(backed_up) == {"c1": "good", "c2": "bad"}
    with open_log(backed_up) as log:
        log.append(a_mark("good", "c4"))  # and it takes marks again


def test_what_only_the_log_has_is_taken_over_and_the_old_file_is_kept(backed_up):
    found = restore(backed_up)
    assert (found.rows, found.taken_over, found.unread) == (2, 1, "")
    assert _values(backed_up) == {"c1": "good", "c2": "bad", "c3": "exclude"}
    assert found.aside is not None
    assert (found.aside / "verdicts.sqlite").stat().st_size > 0
    assert not list(log_path(backed_up).parent.glob(".tmp-*"))


@pytest.mark.parametrize("damage", [b"this is no database at all" * 200, None])
def test_a_damaged_log_is_set_aside(backed_up, damage):
    path = log_path(backed_up)
    content = damage or path.read_bytes()[:4096] + b"\xa5" * 8192
    path.write_bytes(content)
    for ending in ("-wal", "-shm"):
        path.with_name(f"verdicts.sqlite{ending}").unlink(missing_ok=True)
    found = restore(backed_up)
    assert found.rows == 2 and found.unread
    assert found.aside is not None
    assert (found.aside / "verdicts.sqlite").read_bytes()[:4096] == content[:4096]
    assert _values(backed_up) == {"c1": "good", "c2": "bad"}


def test_a_damaged_backup_changes_nothing(backed_up, tmp_path):
    before = _values(backed_up)
    bad = tmp_path / "bad.sqlite"
    bad.write_bytes(backups(backed_up)[-1].read_bytes()[:5000])
    for wrong in (bad, tmp_path / "absent.sqlite"):
        with pytest.raises(VerdictError, match=r"choose|name a backup"):
            restore(backed_up, wrong)
    assert _values(backed_up) == before
    assert not list(log_path(backed_up).parent.glob("replaced-*"))


def test_without_a_backup_it_says_so(data):
    with pytest.raises(VerdictError, match="no backup"):
        restore(data)


def test_a_backup_that_cannot_be_made_is_told_and_stops_nothing(data, monkeypatch):
    with open_log(data) as log:
        log.append(a_mark())
        assert try_daily_backup(log) == ""
        assert len(backups(data)) == 1
        backups(data)[0].unlink()
        (log.path.parent / "backups").rmdir()
        (log.path.parent / "backups").write_text("a file where a folder should be")
        assert "cannot back up" in try_daily_backup(log)
        log.append(a_mark("bad"))


def test_a_backup_needs_no_other_file(backed_up):
    found = apsw.Connection(str(backups(backed_up)[0]), flags=apsw.SQLITE_OPEN_READONLY)
    assert found.execute("SELECT count(*) FROM verdict").fetchone() == (2,)
    found.close()

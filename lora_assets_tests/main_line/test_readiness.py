"""Files that are still arriving while their folder is watched: they wait, and are then taken or told, never dropped."""

from __future__ import annotations

import os

import pytest

from lora_assets.folder_marks import MARK
from lora_assets.main_line import frames
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.specs import list_datasets
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table

# Long enough for no file to be younger on a busy machine, when the test has set the times back.
_SETTLE_S = 0.05


@pytest.fixture
def watched(data, monkeypatch):
    """List the folder as its sensor has it listed, with settled files; returns the update and its rows."""

    def listing(patience_s: float = 3600.0):
        monkeypatch.setattr(frames, "WAIT_SECONDS", patience_s)
        update = update_raw_frames(Store(data), list_datasets(data)["film"], settle_s=_SETTLE_S)
        return update, {row.path: row for row in from_table(update.table.read(), RawFrame)}

    monkeypatch.setattr(frames, "is_settled", lambda file, now, seconds: seconds <= 1.0)
    return listing


def test_a_file_that_cannot_be_used_waits_and_is_then_told_with_its_reason(drop_frames, watched):
    folder = drop_frames(count=2)
    path = sorted(folder.glob("*.jpg"))[0]
    path.write_bytes(path.read_bytes()[:2000])
    update, rows = watched()
    assert (update.frames, update.quarantined, update.unsettled) == (1, 0, 1)
    assert path.name not in rows
    update, rows = watched(patience_s=0.0)
    assert (update.frames, update.quarantined, update.unsettled) == (1, 1, 0)
    assert "copy the file again" in (rows[path.name].quarantine_reason or "")


def test_a_file_that_waited_and_became_whole_is_taken(drop_frames, watched):
    folder = drop_frames(count=1)
    path = sorted(folder.glob("*.jpg"))[0]
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(len(content) - 2000))
    assert watched()[0].unsettled == 1
    path.write_bytes(content)
    update, rows = watched()
    assert (update.frames, update.unsettled) == (1, 0) and rows[path.name].quarantine_reason is None


def test_bytes_that_change_between_two_looks_are_not_taken_although_no_time_tells(drop_frames, watched, monkeypatch):
    folder = drop_frames(count=2)
    path = sorted(folder.glob("*.jpg"))[0]
    content = path.read_bytes()
    sleep = frames.time.sleep

    def copy_on(seconds: float) -> None:
        before = path.stat()
        path.write_bytes(content[:-40] + bytes(20) + content[-20:])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        sleep(seconds)

    monkeypatch.setattr(frames, "is_unchanged", lambda folder, file: True)
    monkeypatch.setattr(frames.time, "sleep", copy_on)
    update, rows = watched()
    assert (update.frames, update.unsettled) == (1, 1) and path.name not in rows


def test_what_was_looked_at_twice_is_not_read_again(drop_frames, watched, monkeypatch):
    drop_frames(count=3)
    looked = []
    hashed = frames.file_sha256
    monkeypatch.setattr(frames, "file_sha256", lambda path: looked.append(path.name) or hashed(path))
    pictures = lambda: sum(name.endswith(".jpg") for name in looked)  # noqa: E731
    watched()
    assert pictures() == 3
    watched()
    assert pictures() == 3


def test_rows_of_a_killed_listing_are_looked_at_again(data, drop_frames, watched, monkeypatch):
    folder = drop_frames(count=2)
    monkeypatch.setattr(frames, "_JOURNAL_FRAMES", 1)
    # As on a disk whose change time does not tell: else the file is read again anyway.
    monkeypatch.setattr(frames, "_is_same", lambda row, file: True)
    monkeypatch.setattr(frames, "is_unchanged", lambda *_: True)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as until_then:
        until_then.setattr(frames, "_not_ready", killed)
        with pytest.raises(KeyboardInterrupt):
            watched()
    path = sorted(folder.glob("*.jpg"))[0]
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    with path.open("r+b") as handle:
        handle.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    update, rows = watched()
    assert path.name not in rows and update.unsettled == 1, "what the journal says of it is of other bytes"


def test_a_link_or_a_pipe_does_not_wait(drop_frames, watched):
    folder = drop_frames(count=1)
    os.mkfifo(folder / "pipe.jpg")
    update, rows = watched()
    assert update.unsettled == 0 and "pipe" in (rows["pipe.jpg"].quarantine_reason or "")
    assert (folder / MARK).exists()

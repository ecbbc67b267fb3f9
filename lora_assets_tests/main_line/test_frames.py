from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from lora_assets.folder_marks import MARK
from lora_assets.input_folders import FolderGone, FolderScan
from lora_assets.main_line import frames
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.reading import FileRead, Readers
from lora_assets.main_line.verifying import verify_files
from lora_assets.specs import list_datasets
from lora_assets.store import Store, StoreError
from lora_assets.tables import RawFrame, from_table


@pytest.fixture
def update(data):
    def run(name: str = "film", **options):
        specs = {spec.name: spec for spec in list_datasets(data).values()}
        return update_raw_frames(Store(data), specs[name], **options)

    return run


def _rows(update) -> dict[str, RawFrame]:
    return {row.path: row for row in from_table(update.table.read(), RawFrame)}


def test_frames_have_facts_and_thumbnails(data, drop_frames, update):
    drop_frames(count=3)
    made = update()
    assert (made.frames, made.quarantined, made.computed) == (3, 0, 3)
    for row in _rows(made).values():
        assert (row.width, row.height, row.format) == (320, 180, "JPEG")
        assert row.sha256 is not None
        assert Store(data).picture("frame_thumbs", row.sha256, ".webp").exists()


def test_only_new_files_are_opened(drop_frames, update):
    drop_frames(count=3)
    update()
    drop_frames(count=1, start=3)
    made = update()
    assert (made.computed, made.reused, made.frames) == (1, 3, 4)
    again = update()
    assert (again.computed, again.table.version) == (0, made.table.version)


def test_a_bad_file_is_quarantined_and_the_rest_goes_on(drop_frames, update):
    folder = drop_frames(count=2)
    (folder / "empty.png").write_bytes(b"")
    (folder / "キャラ 😀.png").write_bytes(b"<html>no picture</html>")
    os.mkfifo(folder / "pipe.jpg")
    made = update()
    reasons = {path: row.quarantine_reason for path, row in _rows(made).items() if row.quarantine_reason}
    assert made.frames == 2
    assert set(reasons) == {"empty.png", "キャラ 😀.png", "pipe.jpg"}
    assert "empty" in (reasons["empty.png"] or "")


def _without_change_times(scan: FolderScan) -> FolderScan:
    return dataclasses.replace(scan, files=tuple(dataclasses.replace(file, ctime_ns=0) for file in scan.files))


def test_rows_without_a_change_time_get_one_and_are_not_read_again(drop_frames, update, monkeypatch):
    drop_frames(count=2)
    is_unknown = lambda rows: [dataclasses.replace(row, ctime_ns=None) for row in rows]  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(frames, "_in_slices", lambda rows, real=frames._in_slices: real(is_unknown(rows)))
        made = update()
    assert {row.ctime_ns for row in _rows(made).values()} == {None}
    again = update(accept=True)
    assert (again.computed, again.reused) == (0, 2)


@pytest.mark.parametrize("damage", [b"x", None])
def test_a_damaged_list_is_made_anew_by_the_next_listing(data, drop_frames, update, damage):
    drop_frames(count=3)
    path = update().table.path
    whole = path.read_bytes()
    spoiled = bytearray(whole)
    spoiled[len(whole) // 3 if damage else 10] ^= 1
    path.write_bytes(spoiled)
    assert [problem.path for problem in verify_files(data).problems] == ["tables/raw_frames/film.parquet"]
    from lora_assets.cli.folders import is_listed

    assert not is_listed(Store(data), list_datasets(data)["film"]), "lora-assets run lists it, as verify says"
    assert (update().frames, verify_files(data).problems) == (3, ())


def test_a_line_that_a_full_disk_cut_damages_no_table(data, drop_frames, update, monkeypatch):
    drop_frames(count=2)
    update()
    drop_frames(count=1, start=2)
    real = os.write

    def full(handle, content):
        if content.endswith(b"  film.parquet\n"):
            return real(handle, content[:20])
        return real(handle, content)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left"):
            update()
    assert (update().frames, verify_files(data).problems) == (3, ())


def test_a_file_replaced_in_place_is_read_again(drop_frames, update):
    folder = drop_frames(count=3)
    before = _rows(update())
    first, second = sorted(folder.glob("*.jpg"))[:2]
    shutil.copyfile(second, first.with_suffix(".new"))
    os.replace(first.with_suffix(".new"), first)
    os.utime(first, ns=(before[first.name].mtime_ns, before[first.name].mtime_ns))
    made = update()
    assert made.computed == 1
    assert _rows(made)[first.name].sha256 == before[second.name].sha256
    assert made.frames == 2  # the same picture twice is one frame


def test_a_change_that_kept_size_time_and_inode_is_found_by_its_change_time(drop_frames, update):
    folder = drop_frames(count=2)
    path = sorted(folder.iterdir())[0]
    before = _rows(update())[path.name]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    with path.open("r+b") as handle:
        handle.write(content)
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    made = update()
    assert made.computed == 1 and _rows(made)[path.name].sha256 != before.sha256


def test_a_changed_mode_reads_the_file_again_and_makes_no_new_version(drop_frames, update):
    path = sorted(drop_frames(count=2).iterdir())[0]
    before = update()
    path.chmod(0o600)
    made = update()
    assert (made.computed, made.table.version) == (1, before.table.version)


def test_a_change_that_kept_all_times_is_found_by_the_nightly_check(drop_frames, update, monkeypatch):
    # As on disks whose change time is not to be trusted, and for rows of earlier versions.
    scan = frames.scan_folder
    monkeypatch.setattr(frames, "scan_folder", lambda *place: _without_change_times(scan(*place)))
    monkeypatch.setattr(frames, "is_unchanged", lambda *_: True)
    folder = drop_frames(count=2)
    path = sorted(folder.iterdir())[0]
    before = _rows(update())[path.name]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    assert update().computed == 0
    assert _rows(update(rehash=True))[path.name].sha256 != before.sha256


def test_fresh_files_wait_until_they_have_settled(drop_frames, update):
    drop_frames(count=2)
    made = update(settle_s=30.0)
    assert (made.frames, made.unsettled) == (0, 2)
    assert update().frames == 2


def test_an_emptied_folder_keeps_its_results(data, drop_frames, update):
    folder = drop_frames(count=2)
    version = update().table.version
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(FolderGone, match="held 2 frames"):
        update()
    kept = Store(data).frames_of("film")
    assert kept is not None
    assert kept.version == version


def test_a_folder_gone_between_tick_and_run_is_told(data, drop_frames):
    folder = drop_frames(count=2)
    spec = list_datasets(data)["film"]
    shutil.rmtree(folder)
    with pytest.raises(FolderGone, match="gone"):
        update_raw_frames(Store(data), spec)


def test_a_killed_first_run_keeps_what_it_read(drop_frames, update, monkeypatch):
    drop_frames(count=6)
    monkeypatch.setattr("lora_assets.main_line.frames._JOURNAL_FRAMES", 1)

    def stop(progress) -> None:
        if progress.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update(listen=stop)
    made = update()
    assert made.frames == 6
    assert made.computed <= 2
    assert update().computed == 0


def test_originals_are_not_touched(drop_frames, update):
    folder = drop_frames(count=2)

    def files():
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}

    before = files()
    update()
    after = files()
    assert after.pop(MARK) and after == before, "the mark is the only thing written there"
    update()
    assert files().keys() == {*before, MARK}


def test_a_file_that_could_not_be_opened_is_tried_again(drop_frames, update, monkeypatch):
    drop_frames(count=2)
    read = Readers.read

    def locked(readers, path):
        if path.name.endswith("0.jpg"):
            return FileRead(None, reason="no permission to read the file: change its rights (chmod u+r)")
        return read(readers, path)

    monkeypatch.setattr(Readers, "read", locked)
    assert (made := update()).quarantined == 1
    monkeypatch.setattr(Readers, "read", read)
    again = update()
    assert (again.quarantined, again.computed) == (0, 1)
    assert again.table.version != made.table.version


def test_rows_of_an_older_reader_are_read_again(drop_frames, update, monkeypatch):
    from lora_assets.vision import images

    drop_frames(count=2)
    update()
    monkeypatch.setattr(images, "CODE_VERSION", "next")
    assert update().computed == 2
    assert update().computed == 0


def _bytes_read() -> int:
    """By this process and those that it started: the reading processes."""
    found = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if os.getpid() in (parent, int(path.name)):
                found += int((path / "io").read_text().split()[1])
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells what was read")
def test_a_video_beside_the_frames_is_named_and_not_read(drop_frames, update):
    folder = drop_frames(count=1)
    with (folder / "episode.mkv").open("wb") as video:
        video.write(b"\x1aE\xdf\xa3")
        video.truncate(900 << 20)
    before = _bytes_read()
    made = update()
    assert _bytes_read() - before < 450 << 20
    reason = {path: row.quarantine_reason for path, row in _rows(made).items()}["episode.mkv"]
    assert "video" in (reason or "")


def test_limits_on_pictures_are_settings_of_the_data_folder(data, drop_frames, update):
    from lora_assets.specs import SpecError

    drop_frames(count=2)
    assert update().quarantined == 0
    (data / "settings.toml").write_text("[read]\nmin_side = 1000\n")
    made = update()
    assert (made.computed, made.quarantined) == (2, 2)
    (data / "settings.toml").write_text("[read]\nmin_sides = 1000\n")
    with pytest.raises(SpecError, match=r"settings\.toml"):
        update()

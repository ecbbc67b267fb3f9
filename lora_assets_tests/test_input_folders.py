from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from lora_assets import input_folders
from lora_assets.input_folders import LEFT_OUT, FileStat, FolderGone, is_settled, scan_folder
from lora_assets.tables import RawFrame, from_table, to_table


def _names(folder) -> list[str]:
    return [file.path for file in scan_folder(folder).files]


def test_lists_nested_folders_and_odd_names_in_order(tmp_path):
    (tmp_path / "sub" / "深い").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "sub/深い/キャラ 画像 (1) é😀.png", "no_extension"):
        (tmp_path / name).write_bytes(b"x")
    assert _names(tmp_path) == ["a.jpg", "b.png", "no_extension", "sub/深い/キャラ 画像 (1) é😀.png"]


def test_leaves_out_hidden_files_and_what_lies_beside_frames(tmp_path):
    for name in (".DS_Store", "a.txt", "meta.json", "Thumbs.db", "a.PNG"):
        (tmp_path / name).write_bytes(b"x")
    assert _names(tmp_path) == ["a.PNG"]


def test_links_pipes_and_bad_names_are_told_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "loop").symlink_to(tmp_path)
    with open(os.fsencode(tmp_path) + b"/bad\xff.png", "wb"):
        pass
    problems = {file.path: file.problem or "" for file in scan_folder(tmp_path).files}
    assert "pipe" in problems["pipe.png"]
    assert "symbolic link" in problems["link.png"]
    assert "symbolic link" in problems["loop"]
    assert "not valid UTF-8" in problems["bad\\udcff.png"]


def test_the_fingerprint_tells_every_change(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    seen = {scan_folder(tmp_path).fingerprint}
    assert scan_folder(tmp_path).fingerprint in seen
    (tmp_path / "b.png").write_bytes(b"two")
    seen.add(scan_folder(tmp_path).fingerprint)
    os.utime(tmp_path / "b.png", (1, 1))
    seen.add(scan_folder(tmp_path).fingerprint)
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    seen.add(scan_folder(tmp_path).fingerprint)
    assert len(seen) == 4


def test_a_folder_that_is_gone_is_not_an_empty_one(tmp_path):
    with pytest.raises(FolderGone, match="bring it back"):
        scan_folder(tmp_path / "nowhere")
    assert scan_folder(tmp_path).files == ()


def test_settled_is_judged_by_this_machines_changes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))  # cp -p and rsync carry old times over
    fresh = scan_folder(tmp_path).files[0]
    now = time.time_ns()
    assert not is_settled(fresh, now, 5.0)
    assert is_settled(fresh, now + 6_000_000_000, 5.0)
    assert is_settled(fresh, now, 0.0)
    assert is_settled(FileStat("a", 1, 0, now + 10**18, 1), now, 5.0)  # a clock that was set back


def _stat_with(monkeypatch, **changed):
    """Let every file of a scan report other facts than the disk gives."""

    class Entry:
        def __init__(self, entry) -> None:
            self.name, self.is_dir, self._entry = entry.name, entry.is_dir, entry

        def stat(self, follow_symlinks: bool):
            if "error" in changed:
                raise changed["error"]
            told = self._entry.stat(follow_symlinks=follow_symlinks)
            facts = {
                name: getattr(told, name) for name in ("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
            }
            return SimpleNamespace(**(facts | changed))

    class Listed(list):
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *_: None  # noqa: E731

    real = os.scandir
    monkeypatch.setattr(input_folders.os, "scandir", lambda path: Listed(Entry(entry) for entry in list(real(path))))


def test_numbers_beyond_64_bits_fit_the_table(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")
    _stat_with(monkeypatch, st_ino=(1 << 64) - 1, st_mtime_ns=1 << 70, st_ctime_ns=-(1 << 70))
    file = scan_folder(tmp_path).files[0]
    assert (file.inode, file.mtime_ns, file.ctime_ns) == ((1 << 63) - 1, (1 << 63) - 1, -((1 << 63) - 1))
    row = RawFrame(file.path, None, file.size, file.mtime_ns, file.inode, *([None] * 7), "no picture")
    assert from_table(to_table([row], RawFrame), RawFrame) == [row]


def test_a_file_that_cannot_be_looked_at_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")
    _stat_with(monkeypatch, error=PermissionError(13, "Permission denied"))
    assert "Permission denied" in (scan_folder(tmp_path).files[0].problem or "")


def _refuse(monkeypatch, folder, error) -> None:
    real = os.scandir

    def scandir(path):
        if os.path.normpath(path) == str(folder):
            raise error
        return real(path)

    monkeypatch.setattr(input_folders.os, "scandir", scandir)


def test_an_unreadable_subfolder_is_one_problem_and_the_rest_is_listed(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.png").write_bytes(b"x")
    (tmp_path / "a.png").write_bytes(b"x")
    _refuse(monkeypatch, tmp_path / "sub", PermissionError(13, "Permission denied"))
    files = {file.path: file.problem for file in scan_folder(tmp_path).files}
    assert files["a.png"] is None
    assert "Permission denied" in files["sub"]
    assert len(files) == 2


def test_a_subfolder_that_goes_away_meanwhile_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    _refuse(monkeypatch, tmp_path / "sub", FileNotFoundError(2, "No such file"))
    assert _names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")])
def test_a_folder_that_cannot_be_read_is_gone_with_its_reason(tmp_path, monkeypatch, error):
    _refuse(monkeypatch, tmp_path, error)
    with pytest.raises(FolderGone, match=error.strerror):
        scan_folder(tmp_path)


def test_a_folder_that_goes_away_while_it_is_listed_is_gone(tmp_path, monkeypatch):
    folder = tmp_path / "film"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"x")
    real = os.scandir

    def scandir(path):
        if path.endswith("sub"):
            folder.rename(tmp_path / "away")
        return real(path)

    monkeypatch.setattr(input_folders.os, "scandir", scandir)
    with pytest.raises(FolderGone, match="is gone"):
        scan_folder(folder)


def test_only_one_file_of_a_folder_is_listed_and_its_neighbours_change_nothing(tmp_path):
    for name in ("a.txt", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    before = scan_folder(tmp_path, "a.txt")
    assert [file.path for file in before.files] == ["a.txt"], "what a person named is taken whatever its name"
    (tmp_path / "c.png").write_bytes(b"x")
    assert scan_folder(tmp_path, "a.txt") == before
    (tmp_path / "a.txt").unlink()
    with pytest.raises(FolderGone, match=r"the file .*a\.txt is gone"):
        scan_folder(tmp_path, "a.txt")


def test_a_subfolder_that_says_so_is_left_out(tmp_path):
    for name in ("in/a.png", "out/b.png", "out/deep/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "out" / LEFT_OUT).touch()
    (tmp_path / LEFT_OUT).touch()
    assert [file.path for file in scan_folder(tmp_path).files] == ["in/a.png"], "the dataset's own folder is never"


def test_the_only_file_is_gone_when_its_folder_is_a_file_now(tmp_path):
    (tmp_path / "film").write_text("a file where a folder was")
    with pytest.raises(FolderGone, match="is gone"):
        scan_folder(tmp_path / "film", "a.png")

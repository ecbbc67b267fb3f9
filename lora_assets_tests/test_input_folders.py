from __future__ import annotations

import os
import time

import pytest

from lora_assets.input_folders import FileStat, FolderGone, is_settled, scan_folder


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

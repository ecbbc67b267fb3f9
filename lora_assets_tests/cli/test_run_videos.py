"""What `run` tells of videos, and whose folders it lists."""

from __future__ import annotations

from pathlib import Path

from lora_assets.cli.project import Project
from lora_assets.cli.run import _print_videos
from lora_assets.cli.runs import _sources
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.videos import update_video_frames
from lora_assets.specs import TrackerSpec, list_datasets, of_videos, write_tracker
from lora_assets.store import Store


def test_videos_without_frames_and_a_tracker_that_names_none_are_told(tmp_path: Path, capsys):
    data = tmp_path / "data"
    (data / "input" / "film").mkdir(parents=True)
    (data / "input" / "film" / "REFUSED.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(200))
    film, store = list_datasets(data)["film"], Store(data)
    update_raw_frames(store, film)
    update_video_frames(store, film, program="lora_assets_tests.main_line.pretended_video_child")
    write_tracker(data, TrackerSpec("T1", ("film",)))
    write_tracker(data, TrackerSpec("T2", ("film", "film.video")))
    _print_videos(Project(tmp_path), "T1")
    refused = "film: REFUSED.mkv gives no frames: holds sound and no video"
    assert capsys.readouterr().out.splitlines()[0] == refused
    _print_videos(Project(tmp_path), "T2")
    assert capsys.readouterr().out.splitlines() == [refused]


def test_the_folder_of_the_videos_is_listed_for_a_tracker_of_their_frames(tmp_path: Path):
    data = tmp_path / "data"
    (data / "input" / "film").mkdir(parents=True)
    film = list_datasets(data)["film"]
    of = of_videos(data, film)
    assert _sources(Store(data), [of]) == [film] and _sources(Store(data), [film, of]) == []
    film.folder.rmdir()
    assert _sources(Store(data), [of]) == []

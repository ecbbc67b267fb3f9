"""What `run` tells of videos, and whose folders it lists."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.cli.folders import check_has_pictures, given_input
from lora_assets.cli.project import Project
from lora_assets.cli.run import _check_same, _named, _print_videos
from lora_assets.cli.runs import _refused, _sources
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.videos import update_video_frames
from lora_assets.specs import (
    SpecError,
    TrackerSpec,
    dataset_at,
    list_datasets,
    of_videos,
    register_dataset,
    write_tracker,
)
from lora_assets.store import Store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one dataset, whose one video was refused."""
    data = tmp_path / "data"
    (data / "input" / "film").mkdir(parents=True)
    (data / "input" / "film" / "REFUSED.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(200))
    film, store = list_datasets(data)["film"], Store(data)
    update_raw_frames(store, film)
    update_video_frames(store, film, program="lora_assets_tests.main_line.pretended_video_child")
    return data


def test_videos_without_frames_and_a_tracker_that_names_none_are_told(data: Path, tmp_path: Path, capsys):
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


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """A video and a picture, both under names that lie, and a text."""
    folder.mkdir()
    video, picture, text = folder / "第1話.png", folder / "picture.mkv", folder / "note.txt"
    video.write_bytes(b"\x1aE\xdf\xa3" + bytes(200))
    picture.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    text.write_text("hello")
    return video, picture, text


def test_one_video_or_picture_names_its_own_dataset_by_its_content(tmp_path: Path):
    project, (video, picture, text) = Project(tmp_path), _files(tmp_path / "films")
    assert [given_input(path) for path in (video, picture)] == [video, picture]
    check_has_pictures(video)
    check_has_pictures(picture)
    with pytest.raises(SpecError, match="the content is text; name a folder"):
        check_has_pictures(text)
    with pytest.raises(SpecError, match="is not there"):
        given_input(tmp_path / "nothing.mkv")
    of_video = register_dataset(project.data, video)
    assert _named(project, of_video) == (of_videos(project.data, of_video).slug,)
    of_picture = register_dataset(project.data, picture)
    assert _named(project, of_picture) == (of_picture.slug,)
    folder = register_dataset(project.data, tmp_path / "films")
    assert _named(project, folder) == (folder.slug, of_videos(project.data, folder).slug)


def test_a_tracker_of_one_video_is_known_again_by_that_video_alone(tmp_path: Path):
    project, (video, _, _) = Project(tmp_path), _files(tmp_path / "films")
    other = tmp_path / "elsewhere" / video.name
    other.parent.mkdir()
    other.write_bytes(video.read_bytes())
    spec = TrackerSpec("T1", _named(project, register_dataset(project.data, video)))
    _check_same(spec, dataset_at(project.data, video), {}, project)
    for place in (other, video.parent):
        with pytest.raises(SpecError, match="choose another ID"):
            _check_same(spec, dataset_at(project.data, place), {}, project)


def test_why_no_video_gives_a_frame_is_told(data: Path):
    film, store = list_datasets(data)["film"], Store(data)
    of = of_videos(data, film)
    assert _refused(store, [of]) == _refused(store, [film, of]) == ["REFUSED.mkv: holds sound and no video"]

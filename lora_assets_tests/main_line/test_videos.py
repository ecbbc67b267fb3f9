"""Videos in a dataset's folder become a dataset of frames: once, all or none, and again when anything changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.dashboards import is_complete
from lora_assets.input_folders import LEFT_OUT
from lora_assets.main_line import video_reader, videos
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.videos import (
    gives_nothing,
    holds_videos,
    refused_videos,
    update_video_frames,
    waiting_videos,
)
from lora_assets.specs import (
    DatasetSpec,
    SpecError,
    TrackerSpec,
    list_datasets,
    of_videos,
    register_dataset,
    write_tracker,
)
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table
from lora_assets_tests.drawn_video import shot, write_video

PRETENDED = "lora_assets_tests.main_line.pretended_video_child"
_CONTENT = b"\x1aE\xdf\xa3" + bytes(range(200))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    frames = [frame for seed in range(2) for frame in shot(seed, 8, 3)]
    return write_video(tmp_path_factory.mktemp("film") / "film.mkv", frames)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "data" / "input" / "話").mkdir(parents=True)
    return Store(tmp_path / "data")


def _dataset(store: Store) -> DatasetSpec:
    return next(spec for spec in list_datasets(store.data).values() if not spec.videos_of)


def _update(store: Store, **more) -> videos.VideosUpdate:
    dataset = _dataset(store)
    update_raw_frames(store, dataset)
    update = update_video_frames(store, dataset, **more)
    assert update is not None
    return update


def _frames(store: Store) -> list[str]:
    folder = store.data / "video_frames"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_a_video_becomes_a_dataset_of_frames(store: Store, film: Path):
    folder = _dataset(store).folder
    shutil.copy(film, folder / "第1話.mkv")
    assert holds_videos(folder)
    heard = []
    update = _update(store, listen=heard.append)
    assert (update.videos, update.decoded, update.frames, update.refused) == (1, 1, 2, {})
    assert heard[-1].done == heard[-1].total == 48
    frames = _frames(store)
    assert len(frames) == 2 and all(path.split("/")[-1].startswith("00-00-0") for path in frames)
    known = list_datasets(store.data)
    (of_video,) = (spec for spec in known.values() if spec.videos_of)
    assert of_video.name == "話 (video)" and of_video.slug == f"{of_video.videos_of}.video"
    listed = update_raw_frames(store, of_video)
    assert (listed.frames, listed.quarantined) == (2, 0)
    told = json.loads(next((store.data / "video_frames").rglob("video.json")).read_text())
    assert [one["file"] for one in told["kept"]] == [path.split("/")[-1] for path in frames]
    assert told["video"] == "第1話.mkv" and told["shots"] == 2 and told["drawings"] == 16


def test_nothing_is_decoded_twice(store: Store):
    folder = _dataset(store).folder
    (folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    assert not waiting_videos(store, _dataset(store).slug)
    assert _update(store, program="no.such.program").decoded == 0
    # A copy under another name and another time is the same video.
    (folder / "b.mkv").write_bytes(_CONTENT)
    update = _update(store, program="no.such.program")
    assert (update.videos, update.decoded, update.frames) == (2, 1, 2) and len(_frames(store)) == 2


def test_a_video_that_was_replaced_is_decoded_again(store: Store):
    folder = _dataset(store).folder
    (folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    before = _frames(store)
    (folder / "a.mkv").write_bytes(_CONTENT + b"more")
    assert _update(store, program=PRETENDED).frames == 2
    after = _frames(store)
    assert len(after) == 2 and not set(after) & set(before)


def test_other_settings_choose_other_frames(store: Store):
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    assert waiting_videos(store, _dataset(store).slug) == ["a.mkv"]
    assert _update(store, program=PRETENDED).frames == len(_frames(store)) == 8
    (store.data / "settings.toml").write_text("[video]\nspeed = 4\n")
    with pytest.raises(SpecError, match="may hold rate and deinterlace"):
        waiting_videos(store, _dataset(store).slug)


def test_what_is_refused_or_kills_the_decoder_costs_itself_and_leaves_nothing(store: Store):
    folder = _dataset(store).folder
    for name in ("REFUSED", "SEGV", "fine"):
        (folder / f"{name}.mkv").write_bytes(_CONTENT + name.encode())
    update = _update(store, program=PRETENDED)
    assert set(update.refused) == {"REFUSED.mkv", "SEGV.mkv"} and "holds sound" in update.refused["REFUSED.mkv"]
    assert "crashed (SIGSEGV) reading it, twice" in update.refused["SEGV.mkv"]
    assert update.frames == len(_frames(store)) == 2
    assert not list((store.data / "video_frames").rglob(".tmp-*"))
    assert not waiting_videos(store, _dataset(store).slug), "they are tried again when they change"


def test_a_video_that_is_refused_costs_the_next_one_nothing(store: Store, film: Path, monkeypatch):
    monkeypatch.setattr(video_reader, "_SILENT_SECONDS", 20.0)
    (store.data / "settings.toml").write_text("[read]\nmin_side = 1000\n")
    for number in range(6):
        (_dataset(store).folder / f"{number}.mkv").write_bytes(film.read_bytes() + bytes([number]))
    refused = _update(store).refused
    assert len(refused) == 6 and all("too small" in reason for reason in refused.values())


def test_a_folder_without_videos_gives_nothing(store: Store):
    dataset = _dataset(store)
    (dataset.folder / "note.mkv").write_text("no video")
    update_raw_frames(store, dataset)
    assert update_video_frames(store, dataset) is None and not holds_videos(dataset.folder)
    assert not (store.data / "video_frames").exists()


def test_the_dataset_of_videos_is_known_before_its_frames(store: Store):
    spec = of_videos(store.data, _dataset(store))
    assert spec.folder.is_dir() and list_datasets(store.data)[spec.slug] == spec


def _draw_frames(store: Store) -> None:
    """Put a picture of its own into the place of each pretended frame."""
    for number, path in enumerate(sorted((store.data / "video_frames").rglob("*.png"))):
        noise = np.random.default_rng((number, path.stat().st_ino)).integers(0, 255, (128, 128, 3), np.uint8)
        cv2.imwrite(str(path), noise)


def test_frames_of_a_video_that_was_replaced_are_not_held(store: Store):
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    for content, deleted in ((_CONTENT, 0), (_CONTENT + b"more", 8)):
        (_dataset(store).folder / "a.mkv").write_bytes(content)
        _update(store, program=PRETENDED)
        _draw_frames(store)
        (of_video,) = (spec for spec in list_datasets(store.data).values() if spec.videos_of)
        listed = update_raw_frames(store, of_video)
        assert (listed.frames, listed.absent, listed.deleted) == (8, 0, deleted)


def test_a_video_that_grows_while_it_is_decoded_leaves_no_frames(store: Store, monkeypatch):
    file = _dataset(store).folder / "a.mkv"
    file.write_bytes(_CONTENT)
    decode = videos._decode

    def and_grow(*given):
        reason = decode(*given)
        file.write_bytes(_CONTENT + b"more")
        return reason

    monkeypatch.setattr(videos, "_decode", and_grow)
    update = _update(store, program=PRETENDED)
    assert "changed while it was read" in update.refused["a.mkv"] and not _frames(store)
    monkeypatch.undo()
    assert _update(store, program=PRETENDED).frames == len(_frames(store)) == 2


def test_a_listing_that_came_while_another_process_decoded_is_taken(store: Store, monkeypatch):
    folder = _dataset(store).folder
    (folder / "a.mkv").write_bytes(_CONTENT)
    sweep = videos.sweep_folder

    def and_list(*given, **named):
        (folder / "b.mkv").write_bytes(_CONTENT + b"b")
        update_raw_frames(store, _dataset(store))
        return sweep(*given, **named)

    monkeypatch.setattr(videos, "sweep_folder", and_list)
    assert _update(store, program=PRETENDED).frames == 4


def test_frames_within_a_thousandth_of_a_second_are_all_kept(store: Store, monkeypatch):
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    (_dataset(store).folder / "REFUSED.mkv").write_bytes(_CONTENT + b"r")
    monkeypatch.setattr(videos, "_time_words", lambda seconds: "00-00-00.000")
    assert _update(store, program=PRETENDED).frames == 2
    assert [path.split("/")[-1] for path in _frames(store)] == ["00-00-00.000-12.png", "00-00-00.000.png"]
    assert refused_videos(store, _dataset(store).slug) == {"REFUSED.mkv": "holds sound and no video"}


def test_a_video_is_known_by_its_content(store: Store):
    folder = _dataset(store).folder
    (folder / "no picture.png").write_bytes(_CONTENT)
    assert holds_videos(folder)
    assert _update(store, program=PRETENDED).frames == 2


def test_one_video_is_a_dataset_and_its_neighbours_are_none(store: Store, tmp_path: Path):
    (tmp_path / "films").mkdir()
    for name in ("a.mkv", "b.mkv"):
        (tmp_path / "films" / name).write_bytes(_CONTENT + name.encode())
    (tmp_path / "films" / "picture.png").write_bytes(b"")
    only = register_dataset(store.data, tmp_path / "films" / "a.mkv")
    update_raw_frames(store, only)
    update = update_video_frames(store, only, program=PRETENDED)
    assert update is not None and (update.videos, update.frames) == (1, 2)
    assert of_videos(store.data, only).name == "a.mkv (video)"
    assert sorted(path.name for path in (tmp_path / "films").iterdir()) == ["a.mkv", "b.mkv", "picture.png"]
    (tmp_path / "films" / "a.mkv").unlink()
    with pytest.raises(FileNotFoundError, match=r"the file .*a\.mkv is gone"):
        update_raw_frames(store, only)


def _keep_for_tracker(store: Store, tracker: str) -> DatasetSpec:
    """List the frames of the videos and keep the list as that of a sealed tracker."""
    of_video = of_videos(store.data, _dataset(store))
    listed = update_raw_frames(store, of_video).table
    write_tracker(store.data, TrackerSpec(tracker, (of_video.slug,), sealed=True))
    store.publish(store.table_path("frames", of_video.slug, tracker), RawFrame, [listed.read()], listed.version, {})
    return of_video


def test_frames_that_a_tracker_was_made_of_stay_when_others_are_chosen(store: Store):
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    _draw_frames(store)
    of_video = _keep_for_tracker(store, "T1")
    kept = store.frames_of(of_video.slug, "T1")
    assert kept is not None
    paths = [row.path for row in from_table(kept.read(), RawFrame)]
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    assert _update(store, program=PRETENDED).of_older == 1
    _draw_frames(store)
    assert len(paths) == 2 and all((of_video.folder / path).is_file() for path in paths)
    listed = from_table(update_raw_frames(store, of_video).table.read(), RawFrame)
    assert len(listed) == 8 and not {row.path for row in listed} & set(paths)
    # Back to the settings of before: the same files are the dataset again, and nothing is decoded.
    (store.data / "settings.toml").unlink()
    assert _update(store, program="no.such.program").of_older == 0
    assert sorted(row.path for row in from_table(update_raw_frames(store, of_video).table.read(), RawFrame)) == paths
    # Without the tracker they go.
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    (store.data / "trackers" / "T1.toml").unlink()
    assert _update(store, program=PRETENDED).of_older == 0
    assert not any((of_video.folder / path).exists() for path in paths)
    assert not list(of_video.folder.rglob(LEFT_OUT))


def test_a_tracker_whose_videos_are_all_refused_waits_for_none(store: Store):
    dataset = _dataset(store)
    (dataset.folder / "REFUSED.mkv").write_bytes(_CONTENT)
    of_video = of_videos(store.data, dataset)
    spec = TrackerSpec("T1", (of_video.slug,))
    write_tracker(store.data, spec)
    assert not gives_nothing(store, of_video)
    update_raw_frames(store, dataset)
    assert not gives_nothing(store, of_video) and not is_complete(store, spec), "the video waits to be decoded"
    update_video_frames(store, dataset, program=PRETENDED)
    assert gives_nothing(store, of_video) and is_complete(store, spec)
    (dataset.folder / "fine.mkv").write_bytes(_CONTENT + b"fine")
    _update(store, program=PRETENDED)
    assert not gives_nothing(store, of_video) and not is_complete(store, spec), "its frames are not listed yet"


def test_a_video_swapped_in_place_under_the_same_size_and_time_is_decoded_again(store: Store):
    file = _dataset(store).folder / "a.mkv"
    for number, content in enumerate((_CONTENT, _CONTENT[:-1] + b"Z")):
        file.write_bytes(content)
        os.utime(file, (10**9, 10**9))
        assert _update(store, program=PRETENDED).decoded == 1, number
    assert len(_frames(store)) == 2 and not waiting_videos(store, _dataset(store).slug)


def test_frames_that_a_tracker_was_made_of_stay_when_another_folder_takes_their_name(store: Store):
    dataset = _dataset(store)
    (dataset.folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    _draw_frames(store)
    _keep_for_tracker(store, "T1")
    before = _frames(store)
    (store.data / "input" / f"{dataset.slug}.video").mkdir()
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    update_raw_frames(store, dataset)
    update = update_video_frames(store, dataset, program=PRETENDED)
    assert update is not None and update.of_older == 1 and set(before) < set(_frames(store))


def test_a_damaged_list_of_a_tracker_keeps_all_older_frames(store: Store):
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    _draw_frames(store)
    of_video = _keep_for_tracker(store, "T1")
    before = _frames(store)
    store.table_path("frames", of_video.slug, "T1").write_bytes(b"damaged")
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    assert _update(store, program=PRETENDED).of_older == 1 and set(before) < set(_frames(store))


def test_without_its_index_the_frames_of_a_video_that_is_gone_stay(store: Store):
    folder = _dataset(store).folder
    for name in ("a.mkv", "b.mkv"):
        (folder / name).write_bytes(_CONTENT + name.encode())
    _update(store, program=PRETENDED)
    (folder / "a.mkv").unlink()
    before = _frames(store)
    next((store.data / "video_frames").rglob("videos.json")).write_text("{")
    assert _update(store, program="no.such.program").decoded == 1 and _frames(store) == before


def test_a_video_that_was_renamed_leaves_no_older_choice_behind(store: Store):
    folder = _dataset(store).folder
    (folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    (folder / "a.mkv").rename(folder / "b.mkv")
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")
    _update(store, program=PRETENDED)
    assert len(_frames(store)) == 8


def test_a_run_that_is_cut_off_before_older_frames_are_out_of_the_way_is_made_up_for(store: Store, monkeypatch):
    (_dataset(store).folder / "a.mkv").write_bytes(_CONTENT)
    _update(store, program=PRETENDED)
    (store.data / "settings.toml").write_text("[video]\nrate = 4\n")

    def cut_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(videos, "_put_aside", cut_off)
        _update(store, program=PRETENDED)
    assert waiting_videos(store, _dataset(store).slug) == ["a.mkv"]
    assert _update(store, program="no.such.program").frames == len(_frames(store)) == 8, "nothing is decoded twice"

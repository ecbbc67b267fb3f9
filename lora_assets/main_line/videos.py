"""The videos in a dataset's folder become frames: a folder of pictures under `data/video_frames/`, which is a dataset.

A video is decoded once for its bytes and the settings, in a process of its own, and its frames appear together when all
are written. What became of each video, also why one was refused, stands in `videos.json` beside their folders. The
videos are only read. What belongs elsewhere: choosing frames (vision.video), the process that decodes (video_reader),
listing the pictures (frames), whose dataset they are (specs).
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import time
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.atomic import held_folder, sweep_folder, sync_folder
from lora_assets.input_folders import LEFT_OUT, scan_folder
from lora_assets.main_line.video_reader import VIDEO_CHILD, DecoderDied, VideoReader, VideoRefused
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.recipes import read_settings
from lora_assets.specs import (
    DatasetSpec,
    SpecError,
    dataset_slug,
    known_tracker_ids,
    video_frames_folder,
)
from lora_assets.store import Store, StoreError, atomic_write_bytes, atomic_write_json, digest
from lora_assets.sums import file_sha256
from lora_assets.tables import RawFrame
from lora_assets.vision.sniff import is_video_reason, known_format, why_not_a_picture
from lora_assets.vision.video_formats import MARK_BYTES
from lora_assets.vision.video_settings import VideoSettings

CODE_VERSION = "2"
"""What chooses and writes the frames: videos are decoded again when it changes."""
INDEX = "videos.json"
_OF_OLDER = (
    b"Frames that a tracker was made of; others were chosen of the video since. They go with the last tracker.\n"
)


@dataclass(frozen=True, slots=True)
class VideosUpdate:
    """What an update did: videos in the folder, those decoded now, all frames kept of them, those without frames by
    path with the reason (refused, or left for the next listing), and how many older choices of frames stay because
    trackers were made of them."""

    videos: int
    decoded: int
    frames: int
    refused: dict[str, str]
    seconds: float
    of_older: int = 0


def video_settings(data: Path) -> VideoSettings:
    """How videos become frames: section [video] of `data/settings.toml`, or the defaults.

    Raises SpecError naming the entry that does not fit.
    """
    path = data / "settings.toml"
    if not path.exists():
        return VideoSettings()
    try:
        return VideoSettings(**tomllib.loads(path.read_text(encoding="utf-8")).get("video", {}))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise SpecError(f"{path}, section [video]: {error}; it may hold rate and deinterlace") from error


def holds_videos(folder: Path) -> bool:
    """True when a folder that may not be listed yet holds a video, by first bytes. Raises FolderGone."""
    return any(is_video(folder / file.path) for file in scan_folder(folder).files if not file.problem)


def is_video(path: Path) -> bool:
    """True for a file that begins like a video, whatever its name."""
    return is_video_reason(why_no_picture(path))


def why_no_picture(path: Path) -> str:
    """Why a file cannot be a picture, by its first bytes; empty for one that begins like one."""
    try:
        with path.open("rb") as handle:
            begins = handle.read(MARK_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if known_format(begins) else why_not_a_picture(begins)


def videos_among(rows: list[RawFrame]) -> dict[str, list[int]]:
    """The files of a listing that are videos: size in bytes, times of modification and of change in ns by path; the
    last alone tells of bytes that were replaced in place under the same size and modification time."""
    return {
        row.path: [row.bytes, row.mtime_ns, row.mtime_ns if row.ctime_ns is None else row.ctime_ns]
        for row in rows
        if row.quarantine_reason is not None and is_video_reason(row.quarantine_reason)
    }


def waiting_videos(store: Store, dataset: str) -> list[str]:
    """The listed videos of a dataset (a slug) that were not decoded as they are now, under the present settings."""
    return _waiting(store.data, dataset, _listed_videos(store, dataset))


def refused_videos(store: Store, dataset: str) -> dict[str, str]:
    """The listed videos of a dataset (a slug) that gave no frames: the reason by path."""
    index = _read_index(video_frames_folder(store.data, dataset))
    entries = {path: index[path] for path in _listed_videos(store, dataset) if isinstance(index.get(path), dict)}
    return {path: str(entry["reason"]) for path, entry in entries.items() if entry.get("reason")}


def gives_nothing(store: Store, frames_of: DatasetSpec) -> bool:
    """True for a dataset of frames of videos in which there are none and will be none: every video was refused, or
    there is no video any more."""
    listed = store.frames_of(frames_of.videos_of)
    if listed is None or listed.facts.get("unsettled") or waiting_videos(store, frames_of.videos_of):
        return False
    return not scan_folder(frames_of.folder).files


def is_own_folder(dataset: DatasetSpec) -> bool:
    """True for a folder of frames of videos that is there: what is gone from it was replaced here, or removed by a
    person, and no disk is missing."""
    return bool(dataset.videos_of) and (dataset.folder / INDEX).is_file()


def _listed_videos(store: Store, dataset: str) -> dict[str, list[int]]:
    listed = store.frames_of(dataset)
    return (listed.facts.get("videos") or {}) if listed is not None else {}


def _waiting(data: Path, dataset: str, videos: dict[str, list[int]]) -> list[str]:
    if not videos:
        return []
    recipe = _recipe(data)
    known = _read_index(video_frames_folder(data, dataset))
    return [path for path, facts in sorted(videos.items()) if _known_as(known.get(path)) != [*facts, recipe]]


def _known_as(entry: Any) -> list[Any] | None:
    names = ("bytes", "mtime_ns", "ctime_ns", "recipe")
    return [entry.get(name) for name in names] if isinstance(entry, dict) else None


def _recipe(data: Path) -> str:
    limits = read_settings(data)
    return digest(CODE_VERSION, dataclasses.asdict(video_settings(data)), limits.min_side, limits.max_megapixels)


def _read_index(folder: Path) -> dict[str, Any]:
    """What became of each video by path; empty when there is no index that can be read: videos are decoded again."""
    try:
        told = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def update_video_frames(
    store: Store, dataset: DatasetSpec, *, program: str = VIDEO_CHILD, listen: Listener = nobody
) -> VideosUpdate | None:
    """Decode the videos of a listed dataset that wait for it; None when it holds no video.

    Frames are `data/video_frames/<dataset>/<video>-<mark>/HH-MM-SS.mmm.png`. Those of a video that was replaced, or of
    which other frames are chosen now, leave the dataset when the new ones are there, and stay on disk while a tracker's
    list of frames names them; those of a video that is gone stay. Raises StoreError when they cannot be written.
    """
    started = time.monotonic()
    if not _listed_videos(store, dataset.slug):
        return None
    folder = video_frames_folder(store.data, dataset.slug)
    folder.mkdir(parents=True, exist_ok=True)
    with store.lock(f"video-frames-{dataset.slug}"):
        sweep_folder(folder, deep=False)
        videos = _listed_videos(store, dataset.slug)  # another process may have listed anew while this one waited
        waiting = _waiting(store.data, dataset.slug, videos)
        reader = _Reader(store.data, program)
        index, left = _read_index(folder), {}
        try:
            for path in waiting:
                before = _folder_of(index.get(path))
                told = _take_in(folder, dataset, path, videos[path], reader, listen)
                if isinstance(told, str):
                    left[path] = told
                    continue
                index[path] = told
                if not before or before == _folder_of(told):
                    atomic_write_json(folder / INDEX, {**_read_index(folder), path: told})
        finally:
            reader.process.close()
        of_older = _put_aside(store, dataset, folder, videos, index)
        if index != _read_index(folder):
            # What replaces other frames is noted when those are out of the way: a run that is cut off does it again.
            atomic_write_json(folder / INDEX, index)
    entries = {path: index[path] for path in videos if path in index}
    refused = {path: entry["reason"] for path, entry in entries.items() if entry.get("reason")}
    refused |= left
    frames = {entry["folder"]: entry["frames"] for entry in entries.values() if entry.get("folder")}
    return VideosUpdate(len(videos), len(waiting), sum(frames.values()), refused, time.monotonic() - started, of_older)


def _take_in(
    folder: Path, dataset: DatasetSpec, path: str, facts: list[int], reader: _Reader, listen: Listener
) -> dict[str, Any] | str:
    """Decode one video, listed with size and times as `facts`; returns what became of it for the index. One that is
    changing or gone is left for the next listing, and why is returned."""
    listed = dict(zip(("bytes", "mtime_ns", "ctime_ns"), facts, strict=False))  # earlier listings lack the last
    entry: dict[str, Any] = {**listed, "recipe": reader.recipe}
    file = dataset.folder / path
    try:
        entry["sha256"] = file_sha256(file)
        mark = digest(entry["sha256"], reader.recipe)[:8]
        place = next(folder.glob(f"*-{mark}"), folder / f"{dataset_slug(Path(path).stem)[:60]}-{mark}")
        is_new = not place.is_dir()
        if is_new:
            title = f"{dataset.name}: frames of {Path(path).name}"
            about = {"video": path, "sha256": entry["sha256"]}
            entry["reason"] = _decode(reader, file, place, title, about, listen)
        told = file.stat()
        now = {"bytes": told.st_size, "mtime_ns": told.st_mtime_ns, "ctime_ns": told.st_ctime_ns}
        if any(now[name] != value for name, value in listed.items()):
            if is_new:
                shutil.rmtree(place, ignore_errors=True)  # frames of a file that was not whole
            return "it changed while it was read: it is read again when it stands still"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}; it is tried again at the next listing"
    if place.is_dir():
        entry |= {"folder": place.name, "frames": sum(1 for _ in place.glob("*.png"))}
    return entry


def _folder_of(entry: Any) -> str:
    return str(entry.get("folder", "")) if isinstance(entry, dict) else ""


def _sha256_of(entry: Any) -> str:
    return str(entry.get("sha256", "")) if isinstance(entry, dict) else ""


def _put_aside(
    store: Store, dataset: DatasetSpec, folder: Path, videos: Mapping[str, Any], index: Mapping[str, Any]
) -> int:
    """Leave the choices of frames that are no longer wanted out of the dataset, and remove those that no tracker's list
    of frames names; returns how many stay. What is of a video that is gone, or cannot be read now, stays as it is."""
    read = {path: entry for path, entry in index.items() if path in videos}
    contents = {_sha256_of(entry) for entry in read.values()} - {""}
    gone = [entry for path, entry in index.items() if path not in videos and _sha256_of(entry) not in contents]
    chosen = {_folder_of(entry) for entry in (*read.values(), *gone)} - {""}
    for name in chosen:
        (folder / name / LEFT_OUT).unlink(missing_ok=True)  # the settings are as they were before
    older = [
        told.parent
        for told in folder.glob("*/video.json")
        if told.parent.name not in chosen and _is_of(told, read.keys(), contents)
    ]
    if not older:
        return 0
    named = _named_by_trackers(store, dataset.slug)
    for place in older:
        if named is None or place.name in named:
            if not (place / LEFT_OUT).exists():
                atomic_write_bytes(place / LEFT_OUT, _OF_OLDER)
        else:
            shutil.rmtree(place, ignore_errors=True)
    return sum(place.is_dir() for place in older)


def _is_of(told: Path, paths: Collection[str], contents: Collection[str]) -> bool:
    """True when a `video.json` names one of these videos, by path or content; False where it cannot be read."""
    try:
        about = json.loads(told.read_text(encoding="utf-8"))
        return about["video"] in paths or about["sha256"] in contents
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _named_by_trackers(store: Store, dataset: str) -> set[str] | None:
    """The first folders in the paths of all frames of a dataset's videos that trackers keep a list of; None when a list
    cannot be read."""
    found: set[str] = set()
    for tracker in known_tracker_ids(store.data):
        # Also under the key that the frames had before, or have since, another folder took theirs (specs).
        lists = (store.data / "tables" / "frames" / tracker).glob(f"{dataset}.video*.parquet")
        for frames in sorted(path.stem for path in lists):
            try:
                kept = store.frames_of(frames, tracker)
                if kept is None:  # it is there and damaged
                    return None
                paths = kept.read(["path"]).column("path").to_pylist()
            except StoreError:
                return None
            found.update(str(path).split("/")[0] for path in paths)
    return found


class _Reader:
    """The reading process with the settings of a data folder."""

    def __init__(self, data: Path, program: str) -> None:
        settings, limits = video_settings(data), read_settings(data)
        self.recipe = _recipe(data)
        self.settings = dataclasses.asdict(settings)
        self.process = VideoReader(settings, limits, program)


def _decode(reader: _Reader, file: Path, place: Path, title: str, about: dict[str, Any], listen: Listener) -> str:
    """Write a video's frames to `place`, all or none; returns the reason where there are none."""
    try:
        try:
            _write_frames(reader, file, place, title, about, listen)
        except DecoderDied:  # the kill may have come from outside
            _write_frames(reader, file, place, title, about, listen)
    except VideoRefused as refused:
        return str(refused)
    return ""


def _write_frames(
    reader: _Reader, file: Path, place: Path, title: str, about: dict[str, Any], listen: Listener
) -> None:
    frames: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    try:
        with held_folder(place.with_name(f".tmp-held-{secrets.token_hex(8)}")) as part:
            for told in reader.process.read(file):
                if "frame" in told:
                    name = f"{_time_words(told['frame']['seconds'])}.png"
                    if (part / name).exists():  # two frames within a thousandth of a second
                        name = f"{name.removesuffix('.png')}-{told['frame']['index']}.png"
                    atomic_write_bytes(part / name, told["png"])
                    frames.append({"file": name, **told["frame"]})
                elif "done" in told:
                    listen(Progress(title, min(told["done"], max(told["total"] - 1, 0)), told["total"]))
                else:
                    facts = told["facts"]
            atomic_write_json(part / "video.json", {**about, "settings": reader.settings, **facts, "kept": frames})
            os.rename(part, place)  # noqa: PTH104
        sync_folder(place.parent)
    except OSError as error:
        raise StoreError(f"cannot write {place}: {error.strerror or error}; free space, then run again") from error
    listen(Progress(title, facts["frames"], facts["frames"]))


def _time_words(seconds: float) -> str:
    """A time in a video that sorts by name and is a file name everywhere: 00-12-03.504."""
    thousandths = round(max(0.0, seconds) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}-{minutes % 60:02}-{rest // 1000:02}.{rest % 1000:03}"

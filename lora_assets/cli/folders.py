"""The folder that a command names, and folders compared with what is listed of them.

What belongs elsewhere: listing a folder (input_folders), making its table (main_line.frames).
"""

from __future__ import annotations

from pathlib import Path

from lora_assets.cli.paths import resolved
from lora_assets.input_folders import FolderScan, scan_folder
from lora_assets.main_line.frames import is_whole
from lora_assets.main_line.sampling import is_of_sample
from lora_assets.main_line.videos import waiting_videos, why_no_picture
from lora_assets.specs import DatasetSpec, SpecError
from lora_assets.store import PublishedTable, Store
from lora_assets.vision.sniff import is_video_reason


def _absolute(path: Path) -> Path:
    place = resolved(path)
    try:
        str(place).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = str(place).encode("utf-8", "backslashreplace").decode()
        raise SpecError(f"{shown}: the name is not valid UTF-8: rename it") from error
    return place


def given_folder(path: Path) -> Path:
    """The folder that a person named, absolute. Raises SpecError when it is none or its name cannot be written down."""
    folder = _absolute(path)
    if folder.is_file():
        raise SpecError(f"{folder} is a file: name the folder it lies in; videos in it become frames by themselves")
    if not folder.is_dir():
        raise SpecError(f"{folder} is not a folder: name an existing folder of pictures")
    return folder


def given_input(path: Path) -> Path:
    """The folder, picture or video that a person named, absolute. Raises SpecError for anything else."""
    place = _absolute(path)
    if not place.is_file() and not place.is_dir():
        raise SpecError(f"{place} is not there: name an existing folder of pictures, a picture or a video")
    return place


def check_has_pictures(place: Path) -> None:
    """Raises SpecError for a folder without a file that could be a frame and for a file that is neither picture nor
    video, FolderGone for a folder that cannot be read."""
    if place.is_file():
        if (reason := why_no_picture(place)) and not is_video_reason(reason):
            raise SpecError(f"{place}: {reason}; name a folder of pictures, a picture or a video")
        return
    if not scan_folder(place).files:
        raise SpecError(f"{place} holds no file that could be a frame: name a folder of pictures")


def is_list_of(listed: PublishedTable | None, scan: FolderScan) -> bool:
    """True when a published frames list is of the folder's present state."""
    if listed is None or listed.facts.get("unsettled"):
        return False
    return listed.facts.get("fingerprint") == scan.fingerprint


def is_listed(store: Store, dataset: DatasetSpec) -> bool:
    """True when the dataset's frames list is of the folder's present state and the sample that is asked for, is not
    damaged, and no video of it waits to become frames. Raises FolderGone."""
    listed = store.frames_of(dataset.slug)
    if listed is None or not is_whole(listed) or waiting_videos(store, dataset.slug):
        return False
    if not is_of_sample(store.data, dataset, listed.facts):
        return False
    return is_list_of(listed, scan_folder(dataset.folder, dataset.only))


def holds_what_was_kept(store: Store, dataset: DatasetSpec, kept: PublishedTable) -> bool | None:
    """Whether the folder still holds the frames of a tracker's kept list; None when it must be listed anew to know.

    Times and inodes change when a folder is copied or restored, so that only content decides. Raises FolderGone.
    """
    scan = scan_folder(dataset.folder, dataset.only)
    if kept.facts.get("fingerprint") == scan.fingerprint:
        return True
    if not scan.files:
        return False
    listed = store.frames_of(dataset.slug)
    return listed.version == kept.version if listed is not None and is_list_of(listed, scan) else None

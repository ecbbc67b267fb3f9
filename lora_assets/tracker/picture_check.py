"""Opens and decodes every picture that a tracker's page names, so that no page shows a broken one unnoticed.

What has been decoded once is remembered with its size and time and read again only when it changed. Making pictures is
not here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
from PIL import Image

from lora_assets.store import atomic_write_json
from lora_assets.tracker.cells import Cell, Cells, file_mark
from lora_assets.vision.picture_errors import UNREADABLE

_FORMATS = {".webp": "WEBP", ".png": "PNG"}


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """A picture that a page names: its kind (crops, thumbs or frame_thumbs), its digest and where it lies."""

    dataset: str
    kind: str
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class PictureProblem:
    """A picture that cannot be shown, and why."""

    dataset: str
    kind: str
    name: str
    reason: str


def pictures_of(cells: Cells, cell: Cell) -> list[NamedPicture]:
    """The pictures that the pages of one cell name: a thumbnail of every crop and frame, and the crops without veto."""
    found: list[NamedPicture] = []

    def add(kind: str, suffix: str, names: Sequence[str]) -> None:
        found.extend(NamedPicture(cell.dataset, kind, name, cells.store.picture(kind, name, suffix)) for name in names)

    if cell.scored_crops is not None:
        crops = cells.columns(cell.scored_crops, ("crop_id", "has_picture"))
        add("thumbs", ".webp", crops.column("crop_id").to_pylist())
        add("crops", ".png", crops.filter(crops.column("has_picture")).column("crop_id").to_pylist())
    if cell.frames is not None:
        frames = cells.columns(cell.frames, ("sha256", "quarantine_reason"))
        frames = frames.filter(pc.is_null(frames.column("quarantine_reason")))  # pyright: ignore
        add("frame_thumbs", ".webp", frames.column("sha256").to_pylist())
    return found


def picture_fault(path: Path) -> str:
    """Why the picture cannot be shown; empty when it can be decoded to its last pixel."""
    try:
        with Image.open(path, formats=[_FORMATS[path.suffix]]) as picture:
            picture.load()
    except FileNotFoundError:
        return "the file is missing"
    except UNREADABLE as error:
        return f"cannot be decoded: {type(error).__name__}"
    return ""


def check_pictures(pictures: Sequence[NamedPicture], record: Path) -> list[PictureProblem]:
    """The pictures that cannot be decoded, in order. `record` keeps those that could, for the next time."""
    known = _read_record(record)
    right: dict[str, list[int]] = {}

    def fault(picture: NamedPicture) -> str:
        key = f"{picture.kind}/{picture.name}"
        try:
            mark = list(file_mark(picture.path)[1:])
        except OSError:
            return "the file is missing"
        told = "" if known.get(key) == mark else picture_fault(picture.path)
        if not told:
            right[key] = mark
        return told

    unique = list({(picture.kind, picture.name): picture for picture in pictures}.values())
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        faults = list(pool.map(fault, unique, chunksize=64))
    if right != known:
        atomic_write_json(record, right, recorded=True)
    return [
        PictureProblem(picture.dataset, picture.kind, picture.name, told)
        for picture, told in zip(unique, faults, strict=True)
        if told
    ]


def _read_record(record: Path) -> dict[str, list[int]]:
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}

"""Captions that a person wrote: the append-only log `data/captions/written.jsonl`. The last word on a crop stands.

A line names the crop, its frame's hash and its box, so that the caption finds its crop again after detection has run
anew (the same frame, IoU 0.8 or more), as verdicts do. A line is acknowledged once it is on the disk; one that a kill
cut short at the end of the file is left out and cut off by the next write.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.exports.caption_text import CaptionError, fault_of_line
from lora_assets.store import StoreError, exclusive
from lora_assets.verdicts import CropPlace
from lora_assets.verdicts.matching import IOU_LIMIT
from lora_assets.verdicts.record import Box, utc_text
from lora_assets.vision.boxes import box_iou


@dataclass(frozen=True, slots=True)
class WrittenCaption:
    """What a person wrote of a crop; `text` "" takes it back. `box`: xyxy pixels of the frame. `at`: UTC, ISO 8601."""

    crop_id: str
    dataset: str
    frame_sha256: str
    box: Box
    text: str
    at: str = ""


def log_path(data: Path) -> Path:
    """Where the log lies."""
    return data / "captions" / "written.jsonl"


def write_captions(data: Path, captions: Iterable[tuple[CropPlace, str]]) -> int:
    """Append captions, all or none; an empty text takes a crop's caption back. Returns how many.

    Raises CaptionError for a text that no caption file can hold, StoreError when the disk does not take them.
    """
    now = utc_text(datetime.now(UTC))
    lines: list[str] = []
    for place, text in captions:
        text = text.strip()
        if text and (fault := fault_of_line(text)):
            raise CaptionError(f"the caption of crop {place.crop_id} cannot be used: {fault}")
        told = WrittenCaption(place.crop_id, place.dataset, place.frame_sha256, place.box, text, now)
        lines.append(json.dumps(asdict(told), ensure_ascii=False, sort_keys=True))
    path = log_path(data)
    try:
        with exclusive(path.with_suffix(".lock")), path.open("ab+") as handle:
            handle.truncate(_whole_length(path))
            handle.write("".join(f"{line}\n" for line in lines).encode())
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; free space or rights, then again") from error
    return len(lines)


def _whole_length(path: Path) -> int:
    """The length up to the last whole line."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1


def read_written(data: Path) -> list[WrittenCaption]:
    """Everything ever written, oldest first. Raises StoreError naming the line that cannot be understood."""
    path = log_path(data)
    if not path.exists():
        return []
    try:
        content = path.read_bytes()
        text = content[: content.rfind(b"\n") + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read ({error}): put a backup in its place") from error
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            told: dict[str, Any] = json.loads(line)
            told["box"] = tuple(float(side) for side in told["box"])
            found.append(WrittenCaption(**told))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{path}, line {number} cannot be understood ({error}): mend or delete the line"
            ) from error
    return found


def written_for(written: Sequence[WrittenCaption], places: Iterable[CropPlace]) -> dict[str, str]:
    """The standing text of each crop that has one, by crop id: by the crop's own id, else by frame and box."""
    by_frame: dict[str, list[WrittenCaption]] = defaultdict(list)
    for caption in written:
        by_frame[caption.frame_sha256].append(caption)
    found: dict[str, str] = {}
    for place in places:
        here = by_frame.get(place.frame_sha256, [])
        own = [caption for caption in here if caption.crop_id == place.crop_id]
        if not own and here:
            boxes = np.array([caption.box for caption in here], np.float64)
            iou = box_iou(np.array([place.box], np.float64), boxes)[0]
            own = [caption for caption, overlap in zip(here, iou, strict=True) if overlap >= IOU_LIMIT]
        if own and own[-1].text:
            found[place.crop_id] = own[-1].text
    return found

"""Boxes that a person gives in a file, by picture: CSV, plain JSON or COCO. What is done with them is in segment_files.

CSV has the columns file, x1, y1, x2, y2 and may have label. JSON is {"file": [[x1, y1, x2, y2], ...]}, or a list of
objects with file, box and perhaps label; COCO is known by its images and annotations, boxes as [x, y, width, height].
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lora_assets.specs import SpecError

_CORNERS = ("x1", "y1", "x2", "y2")
EXAMPLE = (
    'CSV is like "file,x1,y1,x2,y2" and then "page 1.png,12,40,310,500", JSON like {"page 1.png": [[12, 40, 310, 500]]}'
)
"""What every error of a file of boxes ends with."""


@dataclass(frozen=True, slots=True)
class AskedBox:
    """A box of a picture: x1, y1, x2, y2 in pixels of the upright picture, and what it is of (may be empty)."""

    box: tuple[float, float, float, float]
    label: str = ""


@dataclass(frozen=True, slots=True)
class AskedBoxes:
    """Boxes by the picture's name (path with /, as the file tells it), and in words what did not fit."""

    by_name: dict[str, tuple[AskedBox, ...]]
    problems: tuple[str, ...]

    def of(self, path: PurePosixPath, only_one: bool) -> tuple[AskedBox, ...]:
        """The boxes of a picture: by its path in the folder, else by its bare name where only one is called so."""
        return self.by_name.get(path.as_posix()) or (self.by_name.get(path.name, ()) if only_one else ())


def read_boxes(path: Path) -> AskedBoxes:
    """The boxes of a file. Raises SpecError when it cannot be read or holds no box that fits."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read: {error}; give boxes as CSV, JSON or COCO in UTF-8") from error
    problems: list[str] = []
    try:
        rows = list(_of_csv(path, text) if path.suffix.lower() == ".csv" else _of_json(path, text, problems))
    except csv.Error as error:
        raise SpecError(f"{path} is not CSV: {error}. {EXAMPLE}") from error
    found: dict[str, list[AskedBox]] = {}
    for where, name, numbers, label in rows:
        reason = _misfit(name, numbers)
        if reason:
            problems.append(f"{path.name}, {where}: {reason}")
        else:
            x1, y1, x2, y2 = (float(value) for value in numbers)
            found.setdefault(PurePosixPath(str(name)).as_posix(), []).append(
                AskedBox((x1, y1, x2, y2), str(label or ""))
            )
    if not found:
        told = problems[0] if problems else "it is empty"
        raise SpecError(f"{path} holds no box that can be used: {told}. {EXAMPLE}")
    return AskedBoxes({name: tuple(boxes) for name, boxes in found.items()}, tuple(problems))


_Rows = Iterable[tuple[str, Any, Any, Any]]


def _misfit(name: Any, numbers: Any) -> str:
    if not isinstance(name, str) or not name:
        return "it names no file"
    try:
        x1, y1, x2, y2 = (float(value) for value in numbers)
    except (TypeError, ValueError):
        return f"{name}: a box is four numbers, not {numbers!r}"
    if not all(map(math.isfinite, (x1, y1, x2, y2))) or x2 <= x1 or y2 <= y1:
        return f"{name}: the box {[x1, y1, x2, y2]} has no area, or a number that is not finite"
    return ""


def _of_csv(path: Path, text: str) -> _Rows:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    lacking = {"file", *_CORNERS} - set(reader.fieldnames or ())
    if lacking:
        raise SpecError(
            f"{path}: the first line must name the columns file, x1, y1, x2, y2; it lacks {sorted(lacking)}. {EXAMPLE}"
        )
    for row in reader:
        yield f"line {reader.line_num}", row["file"], [row[name] for name in _CORNERS], row.get("label")


def _of_json(path: Path, text: str, problems: list[str]) -> _Rows:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON: {error}. {EXAMPLE}") from error
    if isinstance(told, dict) and isinstance(told.get("images"), list) and isinstance(told.get("annotations"), list):
        return _of_coco(path, told, problems)
    if isinstance(told, dict):
        return (
            (f"{name}, box {number}", name, box, "")
            for name, boxes in told.items()
            for number, box in enumerate(boxes if isinstance(boxes, list) else [boxes])
        )
    if isinstance(told, list):
        return (
            (f"entry {number}", one.get("file"), one.get("box"), one.get("label"))
            if isinstance(one, dict)
            else (f"entry {number}", None, None, None)
            for number, one in enumerate(told)
        )
    raise SpecError(f"{path}: boxes are an object by file, a list of objects, or COCO. {EXAMPLE}")


def _by_id(entries: Any, name: str) -> dict[int | str, Any]:
    """What COCO entries tell under `name`, by their ids; entries of another kind are left out."""
    known = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return {one["id"]: one.get(name) for one in known if isinstance(one.get("id"), int | str)}


def _of_coco(path: Path, told: dict[str, Any], problems: list[str]) -> _Rows:
    names, categories = _by_id(told["images"], "file_name"), _by_id(told.get("categories"), "name")
    for number, one in enumerate(told["annotations"]):
        where = f"annotation {one.get('id', number)}" if isinstance(one, dict) else f"annotation {number}"
        image = one.get("image_id") if isinstance(one, dict) else None
        if not isinstance(image, int | str) or image not in names:
            problems.append(f"{path.name}, {where}: it belongs to no image of the file")
            continue
        box = one.get("bbox")
        corners = box
        if isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box):
            corners = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
        category = one.get("category_id")
        yield where, names[image], corners, categories.get(category, "") if isinstance(category, int | str) else ""

"""What an annotations file holds, before any picture is opened: entries with checked ids, names and numbers.

JSON comes from anywhere: every value is looked at before it is used. Pictures and masks are checked in reading.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeGuard

from lora_assets.annotations.categories import map_categories
from lora_assets.annotations.records import AnnotationError, Category, Problem, Severity


class Tell(Protocol):
    """Takes one problem."""

    def __call__(self, kind: str, where: str, reason: str, way_out: str, severity: Severity = "error") -> None: ...


MOST_BYTES = 2 << 30
MOST_ID = 2**53
"""The largest whole number that every reader of JSON keeps."""
MOST_COORDINATE = 10**9
"""No corner of a box is further away; JSON holds whole numbers that no float takes."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """A picture as the file tells it: `file_name` with forward slashes, `fields` is the whole entry."""

    id: int
    file_name: str
    width: int
    height: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AnnotationEntry:
    """An annotation as the file tells it; `category_id` is already ours."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None
    iscrowd: bool
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entries:
    """All entries of a file that can be used so far, and what is wrong with the others."""

    categories: tuple[Category, ...]
    images: tuple[ImageEntry, ...]
    annotations: tuple[AnnotationEntry, ...]
    problems: tuple[Problem, ...]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object of a file. Raises AnnotationError with the reason when there is none."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise AnnotationError(f"{path}: {size} bytes, the limit is {MOST_BYTES}; split the set into several")
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise AnnotationError(
            f"{path}: there is no such file; an annotated set is a folder with annotations.json (COCO), "
            "images/{train,val} and masks/{train,val}: make one with `lora-assets annotations convert`, or try "
            "`lora-assets sample-comics NAME`"
        ) from error
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read: {error.strerror or error}; look at its rights") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: is no JSON ({error}); export the annotations again") from error
    if not isinstance(told, dict):
        raise AnnotationError(f"{path}: holds no JSON object; a COCO file has images, annotations and categories")
    return told


def read_entries(path: Path) -> Entries:
    """The entries of a COCO file. Raises AnnotationError when it is none, or has no pictures or no categories."""
    told = read_json(path)
    problems: list[Problem] = []

    def tell(kind: str, where: str, reason: str, way_out: str, severity: Severity = "error") -> None:
        problems.append(Problem(sound_text(f"{path}, {where}"), sound_text(reason), way_out, kind, severity))

    lists: dict[str, list[Any]] = {}
    for name in ("images", "annotations", "categories"):
        value = told.get(name)
        if not isinstance(value, list):
            raise AnnotationError(
                f"{path}: has no list {name!r}; a COCO file has images, annotations and categories: export it again"
            )
        lists[name] = value
    categories, becomes = _categories(lists["categories"], tell)
    images = _images(lists["images"], tell)
    known = {image.id for image in images}
    annotations = _annotations(lists["annotations"], known, becomes, tell)
    return Entries(categories, tuple(images), tuple(annotations), tuple(problems))


def _with_ids(entries: Sequence[Any], what: str, tell: Tell) -> list[tuple[int, dict[str, Any]]]:
    """The entries that are objects with a whole number as id that no other has."""
    sound: list[tuple[int, dict[str, Any]]] = []
    for place, entry in enumerate(entries):
        number = entry.get("id") if isinstance(entry, dict) else None
        if not _is_whole(number) or not 0 <= number <= MOST_ID:
            no_id = f"has no whole number from 0 to {MOST_ID} as id ({number!r})"
            tell(
                "bad_entry", f"{what} number {place} of the list",
                no_id if isinstance(entry, dict) else "is no JSON object", "give it an id or remove it",
            )  # fmt: skip
        else:
            sound.append((number, entry))
    counts = Counter(number for number, _ in sound)
    for number, count in counts.items():
        if count > 1:
            tell(
                "duplicate_id", f"{what} {number}", f"{count} entries have this id, so that none of them can be told",
                f"give every {what} an id of its own",
            )  # fmt: skip
    return [(number, entry) for number, entry in sound if counts[number] == 1]


def _categories(entries: Sequence[Any], tell: Tell) -> tuple[tuple[Category, ...], dict[int, int | None]]:
    named: list[tuple[int, str]] = []
    for number, entry in _with_ids(entries, "category", tell):
        name = entry.get("name")
        if isinstance(name, str) and name.strip():
            named.append((number, sound_text(name.strip())))
        else:
            tell("bad_entry", f"category {number}", "has no name", "name it panel, bubble, character, text or your own")
    return map_categories(named)


def _images(entries: Sequence[Any], tell: Tell) -> list[ImageEntry]:
    images = []
    for number, entry in _with_ids(entries, "image", tell):
        name, width, height = entry.get("file_name"), entry.get("width"), entry.get("height")
        if not isinstance(name, str) or not name.strip() or not _path(name).parts:
            tell("bad_entry", f"image {number}", "has no file_name that names a file", "name its file")
        elif not _stays_inside(name):
            tell(
                "outside_folder", f"image {number}", f"its file_name {name!r} leads out of the set's folder",
                "put the picture into images/ and name it from there",
            )  # fmt: skip
        elif not (_is_whole(width) and _is_whole(height) and 0 < width < 1 << 16 and 0 < height < 1 << 16):
            tell("bad_entry", f"image {number} ({name})", f"has no usable size ({width!r} x {height!r})",
                 "give width and height in pixels")  # fmt: skip
        else:
            images.append(ImageEntry(number, slashed(name), width, height, entry))
    return images


def _annotations(
    entries: Sequence[Any], images: set[int], becomes: dict[int, int | None], tell: Tell
) -> list[AnnotationEntry]:
    found = []
    parts: Counter[int] = Counter()
    for number, entry in _with_ids(entries, "annotation", tell):
        where, image_id, category_id = f"annotation {number}", entry.get("image_id"), entry.get("category_id")
        if not _is_whole(image_id) or image_id not in images:
            tell("unknown_image", where, f"its image_id {image_id!r} is no usable picture of the set",
                 "mend or add the picture, or remove the annotation")  # fmt: skip
            continue
        if not _is_whole(category_id) or category_id not in becomes:
            tell("unknown_category", where, f"its category_id {category_id!r} is not among the categories",
                 "add the category to the list or correct the number")  # fmt: skip
            continue
        ours = becomes[category_id]
        if ours is None:
            parts[category_id] += 1
            continue
        box = entry.get("bbox")
        if box is not None and not _is_box(box):
            tell("bad_bbox", where, f"its bbox {box!r} is not four finite numbers x, y, width, height with a size",
                 "write bbox as [x, y, width, height] in pixels, or leave it out")  # fmt: skip
            continue
        corner = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        found.append(AnnotationEntry(number, image_id, ours, corner, bool(entry.get("iscrowd", 0)), entry))
    for category_id, count in sorted(parts.items()):
        tell(
            "part_left_out", f"category {category_id}", f"{count} faces are left out: the set has bodies, of which "
            "they are parts", 'to teach them too, give the category a name of its own, such as "face part"', "warning",
        )  # fmt: skip
    return found


def sound_text(text: str) -> str:
    """The text without half characters, which JSON may hold and no file or table takes."""
    return text.encode("utf-8", "replace").decode()


def slashed(name: str) -> str:
    """A file's name as the file on any system tells it, with forward slashes."""
    return name.replace("\\", "/")


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(slashed(name))


def _stays_inside(name: str) -> bool:
    path = _path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        return False
    return bool(path.parts) and ":" not in path.parts[0]


def inside_folder(name: Any) -> str | None:
    """A relative path that stays in its folder, with forward slashes; None for anything else."""
    return slashed(name) if isinstance(name, str) and name.strip() and _stays_inside(name) else None


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    # NaN and the infinities fail the comparison, and a whole number of any length passes it without becoming a float.
    sound = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < MOST_COORDINATE for v in box)
    return sound and box[2] > 0 and box[3] > 0

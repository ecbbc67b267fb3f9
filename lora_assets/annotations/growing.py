"""One more annotation, as a person accepted it: the picture and its mask file first, then annotations.json, at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lora_assets.annotations.categories import CATEGORIES, known_category, map_categories
from lora_assets.annotations.entries import read_json, slashed, sound_text
from lora_assets.annotations.mask_forms import mask_file_bytes, mask_of_file
from lora_assets.annotations.records import (
    ANNOTATIONS_FILE,
    AnnotatedImage,
    Annotation,
    AnnotationError,
    Category,
)
from lora_assets.annotations.splits import PageToSplit, split_of_folder, split_pages, title_of, told_split
from lora_assets.annotations.writing import annotation_fields, coco_object, image_fields
from lora_assets.store import atomic_write_bytes, atomic_write_json, exclusive
from lora_assets.vision.coco_masks import MaskFormError
from lora_assets.vision.images import ImageRefused, decode_image, read_file
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

_LOCK = ".annotations.lock"
_LONGEST_NAME = 160
"""Bytes of a picture's name: with its number and while it is written there are some 40 more, and 255 are the most."""


def add_annotation(
    root: Path,
    picture: Path | bytes,
    mask: BoolMask,
    category: str,
    *,
    name: str = "",
    title: str = "",
    new_category: bool = False,
) -> Annotation:
    """Append a mask (bool, at the upright picture's size) to the set in `root`, which is made when there is none.

    A picture that the set already holds, byte for byte, is not added again. A new one is copied; it gets the
    split of its title (`title`, else its folder's name), and a new title goes to val while val has less than a fifth of
    the pages, never as the first. `name` is what its copy is called (default: as the file). A category that the set
    does not have is added only with `new_category`. A mask that the picture has already in this category, pixel for
    pixel, is returned as it is there: it was sent twice. Several processes may add at once.

    Raises AnnotationError when picture, mask or category do not fit, or the set's file is damaged; StoreError when it
    cannot be written.
    """
    if not category.strip():
        raise AnnotationError("the category has no name: say panel, bubble, character, text or your own")
    content, stem, folder = _picture(picture)
    name = _fitting(name) or _fitting(stem)
    try:
        decoded = decode_image(content)
    except ImageRefused as refused:
        raise AnnotationError(f"{name}: cannot be used: {refused}") from refused
    height, width = decoded.pixels.shape[:2]
    if mask.dtype != np.bool_ or mask.shape != (height, width):
        raise AnnotationError(
            f"{name}: the mask is {mask.dtype} {mask.shape}, but it must be bool ({height}, {width}) as the picture"
        )
    bounds = mask_bounds(mask)
    if bounds is None:
        raise AnnotationError(f"{name}: the mask has no pixel; mark something first")
    suffix = f".{decoded.format.lower()}".replace(".jpeg", ".jpg").replace(".mpo", ".jpg")
    with exclusive(root / _LOCK):
        told = _read(root)
        category_id = _category(told, category, new_category=new_category)
        image = _image(root, told, content, name, suffix, (width, height), title or folder)
        number = max((_number(entry) for entry in told["annotations"]), default=0) + 1
        box = (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))
        annotation = Annotation(
            number, image.id, category_id, box, float(np.count_nonzero(mask)), False, encode_mask(mask)
        )
        for entry in told["annotations"]:
            if _is_of_mask(root, entry, annotation, mask):
                return replace(annotation, id=_number(entry))
        fields = annotation_fields(annotation, image, "file")
        atomic_write_bytes(root / fields["segmentation_file"], mask_file_bytes(mask))
        told["annotations"].append(fields)
        atomic_write_json(root / ANNOTATIONS_FILE, told)
    return annotation


def _picture(picture: Path | bytes) -> tuple[bytes, str, str]:
    """The bytes, the name without its ending, and the folder's name of a picture."""
    if isinstance(picture, bytes):
        return picture, "picture", "accepted"
    try:
        return read_file(picture), picture.stem, sound_text(picture.resolve().parent.name) or "accepted"
    except ImageRefused as refused:
        raise AnnotationError(f"{picture}: cannot be used: {refused}") from refused


def _fitting(name: str) -> str:
    """A name as a file of the set can have it: no folder in it on any system, and no more bytes than fit."""
    plain = PurePosixPath(sound_text(name).replace("\\", "_")).name
    return plain.encode()[:_LONGEST_NAME].decode(errors="ignore")


def _read(root: Path) -> dict[str, Any]:
    path = root / ANNOTATIONS_FILE
    if not path.exists():
        return coco_object([], [], CATEGORIES)
    told = read_json(path)
    for name in ("images", "annotations", "categories"):
        if not isinstance(told.get(name), list) or not all(isinstance(entry, dict) for entry in told[name]):
            raise AnnotationError(f"{path}: has no sound list {name!r}; mend or move it, then accept the mask again")
    return told


def _number(entry: dict[str, Any]) -> int:
    number = entry.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def _is_of_mask(root: Path, entry: dict[str, Any], wanted: Annotation, mask: BoolMask) -> bool:
    """Whether an entry is the wanted annotation, mask and all; one whose mask cannot be read is another."""
    if entry.get("image_id") != wanted.image_id or entry.get("category_id") != wanted.category_id:
        return False
    if entry.get("area") != wanted.area or entry.get("bbox") != list(wanted.bbox):
        return False
    drawn, file = entry.get("segmentation"), entry.get("segmentation_file")
    if isinstance(drawn, dict):
        return drawn.get("counts") == wanted.rle.decode("ascii")
    try:
        return isinstance(file, str) and np.array_equal(mask_of_file(read_file(root / file)), mask)
    except (ImageRefused, MaskFormError, ValueError):
        return False


def _image(
    root: Path, told: dict[str, Any], content: bytes, name: str, suffix: str, size: tuple[int, int], title: str
) -> AnnotatedImage:  # fmt: skip
    """The entry of these bytes, added when there is none."""
    digest = hashlib.sha256(content).hexdigest()
    pages = []
    for entry in told["images"]:
        told_name, said = str(entry.get("file_name", "")), str(entry.get("split", ""))
        file_name = slashed(told_name)
        split = told_split(said) or split_of_folder(file_name)
        pages.append(PageToSplit(_number(entry), title_of(entry, file_name), split))
        if entry.get("sha256") == digest or any(
            _same(root, one, said, content) for one in dict.fromkeys((file_name, told_name))
        ):
            return AnnotatedImage(
                pages[-1].id, root / file_name, *size, split_pages(pages)[pages[-1].id], pages[-1].title, digest
            )
    number = max((page.id for page in pages), default=0) + 1
    chosen = split_pages([*pages, PageToSplit(number, title, "")])[number]
    file_name = f"images/{chosen}/{number:012d}_{name}{suffix}"
    image = AnnotatedImage(number, root / file_name, *size, chosen, title, digest)
    atomic_write_bytes(image.path, content)
    told["images"].append(image_fields(image, file_name) | {"sha256": digest})
    return image


def _same(root: Path, file_name: str, split: str, content: bytes) -> bool:
    for place in (root / file_name, root / "images" / split / file_name, root / "images" / file_name):
        if place.is_file():
            return place.stat().st_size == len(content) and place.read_bytes() == content
    return False


def _category(told: dict[str, Any], name: str, *, new_category: bool) -> int:
    """The id that the file gives a category, under its own name, else one that means the same to who reads the set."""
    wanted = known_category(name)
    named = [(_number(entry), str(entry.get("name", ""))) for entry in told["categories"]]
    own = [number for number, said in named if said.strip() == name.strip()]
    if wanted is not None:
        # A face is read as a character only where the set has no bodies.
        read_as = map_categories(named)[1]
        own += [number for number, _ in named if read_as[number] == wanted.id]
    if own:
        return own[0]
    if not new_category and wanted is None:
        known = ", ".join(said for _, said in named)
        raise AnnotationError(f"there is no category {name!r} in this set; it has: {known}")
    taken = {_number(entry) for entry in told["categories"]}
    new = wanted if wanted is not None else Category(max({*taken, *(c.id for c in CATEGORIES)}) + 1, name.strip())
    number = new.id if new.id not in taken else max(taken) + 1
    told["categories"].append({"id": number, "name": new.name, "supercategory": "comic"})
    return number

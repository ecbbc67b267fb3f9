"""annotations.json to a checked set: every broken annotation, mask and picture is named with its reason and a way out.

A broken entry is left out and costs nothing else. What the JSON says by itself is checked in entries.py.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lora_assets.annotations.entries import (
    AnnotationEntry,
    Entries,
    ImageEntry,
    inside_folder,
    read_entries,
    sound_text,
)
from lora_assets.annotations.mask_forms import mask_of_file
from lora_assets.annotations.records import (
    ANNOTATIONS_FILE,
    SPLITS,
    TRAIN,
    VAL,
    AnnotatedImage,
    AnnotatedSet,
    Annotation,
    AnnotationError,
    Problem,
    Severity,
)
from lora_assets.annotations.splits import PageToSplit, split_of_folder, split_pages, title_of, told_split
from lora_assets.store import digest
from lora_assets.vision.boxes import box_iou
from lora_assets.vision.coco_masks import MaskFormError, mask_of_segmentation
from lora_assets.vision.images import ImageRefused, decode_image, read_file
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

CODE_VERSION = "1"

Xywh = tuple[float, float, float, float]

KINDS: dict[str, str] = {
    "bad_entry": "an entry without a usable id, name or size",
    "duplicate_id": "two entries with one id",
    "outside_folder": "a file name that leads out of the set's folder",
    "unknown_image": "an annotation of a picture that is not there",
    "unknown_category": "an annotation of a category that is not there",
    "bad_bbox": "a bbox that is no x, y, width, height",
    "bbox_corners": "a bbox that holds two corners",
    "bbox_outside": "a bbox that leads out of the picture",
    "bbox_elsewhere": "a bbox where the mask is not",
    "bad_segmentation": "a segmentation that is no polygon and no run lengths",
    "outside_picture": "a polygon far outside the picture",
    "empty_annotation": "an annotation without any pixel",
    "mask_file_missing": "a mask file that is not there",
    "mask_file_broken": "a mask file that cannot be read",
    "mask_file_unclear": "a mask file of more than two tones, or of colours and transparency",
    "mask_size": "a mask of another size than its picture",
    "picture_missing": "a picture that is not there",
    "picture_broken": "a picture that cannot be read",
    "picture_size": "a picture of another size than the file says",
    "unknown_split": "a split that is neither train nor val",
    "part_left_out": "faces in a set that has bodies too",
    "title_in_both": "a title with pages in train and in val",
    "page_in_both": "the same picture in train and in val",
    "one_title": "a set of one title, which cannot be split",
    "empty_split": "a split without any annotation",
    "val_without_category": "a category that val does not hold",
    "train_without_category": "a category that train does not hold",
}
"""What can be wrong, by the `kind` of a problem."""

OF_SPLITS = ("page_in_both", "one_title", "empty_split", "val_without_category", "train_without_category")
"""Kinds that concern a whole split: what is learned or measured on such a set would mean nothing."""

MOST_STRAY = 1.5
"""Pixels that a bbox may stand out of its picture: half a pixel of rounding on each side, and one for tools that count
the last pixel."""
LEAST_IN_BOX = 0.5
"""Share of a mask that must lie in its bbox: boxes of whole figures hold masks of visible parts, not the other way."""
_LONGEST_SAID = 40
_NAME_TITLES = 'write "title" into every image entry, or put the pages of each title into a folder of its name'


@dataclass(frozen=True, slots=True)
class _Page:
    image: AnnotatedImage
    annotations: list[Annotation]


def forbids_training(problems: Sequence[Problem]) -> list[Problem]:
    """Those of a set's problems with which no training may start."""
    return [problem for problem in problems if problem.kind in OF_SPLITS and problem.severity == "error"]


class _Teller:
    """Collects problems of one file."""

    def __init__(self, path: Path, problems: Sequence[Problem] = ()) -> None:
        self.path = path
        self.problems = list(problems)

    def __call__(self, kind: str, where: str, reason: str, way_out: str, severity: Severity = "error") -> None:
        told = Problem(sound_text(f"{self.path}, {where}"), sound_text(reason), sound_text(way_out), kind, severity)
        self.problems.append(told)


def read_annotated_set(
    path: Path, *, pictures: Path | None = None, told: Callable[[int, int], None] | None = None
) -> tuple[AnnotatedSet, list[Problem]]:
    """The set in a folder (its annotations.json) or in a COCO file, and everything that is wrong with it.

    Pictures are looked for in `pictures` (default: the file's folder): by their file_name from there, in images/SPLIT
    and in images; mask files likewise in masks. All are opened and checked. `told` hears how many of how many pictures
    are done. Raises AnnotationError when there is no such file, or when nothing in it can be used.
    """
    file = path / ANNOTATIONS_FILE if path.is_dir() or not (path.suffix or path.is_file()) else path
    entries = read_entries(file)
    tell = _Teller(file, entries.problems)
    root = file.parent
    kept = _with_splits(entries, tell)
    of_image: dict[int, list[AnnotationEntry]] = defaultdict(list)
    for entry in entries.annotations:
        of_image[entry.image_id].append(entry)
    pages: list[_Page] = []
    for done, (image, split, title) in enumerate(kept, start=1):
        page = _page(image, split, title, of_image[image.id], root, pictures or root, tell)
        if page is not None:
            pages.append(page)
        if told is not None:
            told(done, len(kept))
    found = _as_set(root, entries, pages)
    if not found.annotations:
        first = "; ".join(str(problem) for problem in tell.problems[:3]) or "it has no annotations"
        raise AnnotationError(f"{file}: nothing in it can be used ({len(tell.problems)} problems). {first}")
    _check_splits(found, tell)
    return found, tell.problems


def _with_splits(entries: Entries, tell: _Teller) -> list[tuple[ImageEntry, str, str]]:
    pages, titles = [], {}
    unknown: dict[str, list[ImageEntry]] = defaultdict(list)
    for image in entries.images:
        said = image.fields.get("split")
        told = said is not None and said != "" and not (isinstance(said, str) and not said.strip())
        split = told_split(str(said)) if told else split_of_folder(image.file_name)
        if told and not split:
            unknown[repr(said)[:_LONGEST_SAID]].append(image)
            continue
        titles[image.id] = sound_text(title_of(image.fields, image.file_name))
        pages.append(PageToSplit(image.id, titles[image.id], split))
    for said, images in sorted(unknown.items()):
        lost = {image.id for image in images}
        count = sum(one.image_id in lost for one in entries.annotations)
        more = f" and {len(images) - 1} more" if len(images) > 1 else ""
        tell("unknown_split", f"image {images[0].id} ({images[0].file_name}){more}",
             f"the split {said} is neither train nor val: {len(images)} pages with {count} annotations are left out",
             'write "train" or "val", or remove the entry to have the pages split by title')  # fmt: skip
    splits = split_pages(pages)
    return [(image, splits[image.id], titles[image.id]) for image in entries.images if image.id in splits]


def _found_file(root: Path, name: str, kind: str, split: str) -> Path | None:
    for place in (root / name, root / kind / split / name, root / kind / name):
        try:
            if place.is_file():
                return place
        except OSError:
            continue  # a name that no file system takes
    return None


def _page(
    entry: ImageEntry, split: str, title: str, annotations: list[AnnotationEntry], root: Path, pictures: Path,
    tell: _Teller,
) -> _Page | None:  # fmt: skip
    where = f"image {entry.id} ({entry.file_name})"
    # As it stands there too: elsewhere than on Windows a file's own name may hold a backslash.
    names = dict.fromkeys((entry.file_name, str(entry.fields["file_name"])))
    path = next((found for name in names if (found := _found_file(pictures, name, "images", split))), None)
    if path is None:
        tell("picture_missing", where, f"there is no such picture in {pictures}, images/{split} or images",
             f"put it there; its {len(annotations)} annotations are left out until then")  # fmt: skip
        return None
    try:
        content = read_file(path)
        height, width = decode_image(content).pixels.shape[:2]
    except ImageRefused as refused:
        tell("picture_broken", where, f"{path} cannot be used: {refused}",
             f"replace the picture; its {len(annotations)} annotations are left out until then")  # fmt: skip
        return None
    if (width, height) != (entry.width, entry.height):
        tell("picture_size", where, f"{path} has {width} x {height} pixels upright, the file says {entry.width} x "
             f"{entry.height}", "annotate the picture as it is, or put the annotated version back")  # fmt: skip
        return None
    image = AnnotatedImage(entry.id, path.resolve(), width, height, split, title, hashlib.sha256(content).hexdigest())
    read = [_annotation(one, image, root, tell) for one in sorted(annotations, key=lambda one: one.id)]
    return _Page(image, [one for one in read if one is not None])


def _annotation(entry: AnnotationEntry, image: AnnotatedImage, root: Path, tell: _Teller) -> Annotation | None:
    where = f"annotation {entry.id} of image {image.id}"
    mask = _mask(entry, image, root, where, tell)
    if mask is None:
        return None
    bounds = mask_bounds(mask)
    if bounds is None:
        tell("empty_annotation", where, "its mask has no pixel", "draw it again or remove it")
        return None
    own = (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))
    if entry.bbox is not None and not _check_box(entry.bbox, own, mask, image, where, tell):
        return None
    return Annotation(
        entry.id, image.id, entry.category_id, entry.bbox or own, float(np.count_nonzero(mask)), entry.iscrowd,
        encode_mask(mask), _score(entry.fields.get("score")),
    )  # fmt: skip


def _score(told: object) -> float | None:
    """How sure a model was, where the file says a share from 0 to 1."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 1:
        return None
    return float(told)


def _mask(entry: AnnotationEntry, image: AnnotatedImage, root: Path, where: str, tell: _Teller) -> BoolMask | None:
    named, drawn = entry.fields.get("segmentation_file"), entry.fields.get("segmentation")
    if isinstance(named, str) and not named.strip():
        named = None  # as tools write that know the entry but have no file
    if named is None and drawn in (None, [], {}):
        tell("empty_annotation", where, "it has neither segmentation nor segmentation_file",
             "draw its mask, or remove it")  # fmt: skip
        return None
    try:
        if named is None:
            return mask_of_segmentation(drawn, image.height, image.width)
        return _mask_from_file(named, image, root)
    except MaskFormError as error:
        wants_size = error.kind == "mask_size"
        tell(error.kind, where, str(error),
             "make the mask at the picture's size" if wants_size else "write or export the mask again")  # fmt: skip
        return None


def _mask_from_file(named: object, image: AnnotatedImage, root: Path) -> BoolMask:
    name = inside_folder(named)
    if name is None:
        raise MaskFormError("outside_folder", f"its segmentation_file {named!r} leads out of the set's folder")
    path = _found_file(root, name, "masks", image.split)
    if path is None:
        raise MaskFormError(
            "mask_file_missing", f"its mask file {name} is neither in {root} nor in masks/{image.split}"
        )
    try:
        mask = mask_of_file(read_file(path))
    except ImageRefused as refused:
        raise MaskFormError("mask_file_broken", f"its mask file {path} cannot be read: {refused}") from refused
    if mask.shape != (image.height, image.width):
        size = f"{mask.shape[1]} x {mask.shape[0]}"
        raise MaskFormError(
            "mask_size", f"its mask file {path} has {size} pixels, the picture {image.width} x {image.height}"
        )
    return mask


def _check_box(box: Xywh, own: Xywh, mask: BoolMask, image: AnnotatedImage, where: str, tell: _Teller) -> bool:
    x, y, width, height = box
    fits = (
        min(x, y) >= -MOST_STRAY and x + width <= image.width + MOST_STRAY and y + height <= image.height + MOST_STRAY
    )
    readings = np.array([(x, y, width, height), (x, y, x + width, y + height)])
    as_corners, as_sides = box_iou(readings, np.array([(own[0], own[1], own[0] + own[2], own[1] + own[3])]))[:, 0]
    if width > x and height > y and as_corners > 0.8 and as_sides < 0.6:
        tell("bbox_corners", where, f"its bbox {list(box)} holds two corners x1, y1, x2, y2",
             "write bbox as [x, y, width, height]")  # fmt: skip
        return False
    if not fits:
        tell("bbox_outside", where, f"its bbox {list(box)} leads out of the picture of {image.width} x {image.height}",
             "write bbox as [x, y, width, height] in pixels of this picture")  # fmt: skip
        return False
    left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
    inside = np.count_nonzero(mask[top : int(np.ceil(y + height)), left : int(np.ceil(x + width))])
    share = inside / np.count_nonzero(mask)
    if share < LEAST_IN_BOX:
        tell("bbox_elsewhere", where, f"only {share:.0%} of its mask lies in its bbox {list(box)}",
             "correct bbox or mask; leave bbox out to have it taken from the mask")  # fmt: skip
        return False
    return True


def _as_set(root: Path, entries: Entries, pages: Sequence[_Page]) -> AnnotatedSet:
    ordered = sorted(pages, key=lambda page: page.image.id)
    images = tuple(page.image for page in ordered)
    annotations = tuple(one for page in ordered for one in page.annotations)
    parts = [
        [[category.id, category.name] for category in entries.categories],
        [[image.id, image.split, image.sha256] for image in images],
        [
            [one.id, one.image_id, one.category_id, list(one.bbox), one.iscrowd, hashlib.sha256(one.rle).hexdigest()]
            for one in annotations
        ],
    ]
    return AnnotatedSet(root.resolve(), entries.categories, images, annotations, digest("annotated set", *parts))


def _check_copies(found: AnnotatedSet, tell: _Teller) -> None:
    """Pictures that are learned and measured on, byte for byte the same. Pages without any annotation do no harm."""
    copies: dict[str, dict[str, AnnotatedImage]] = defaultdict(dict)
    for split in SPLITS:
        for image, held in found.of_split(split):
            if held:
                copies[image.sha256].setdefault(split, image)
    for of_split in copies.values():
        if len(of_split) > 1:
            train, val = of_split[TRAIN], of_split[VAL]
            tell("page_in_both", f"image {train.id} ({train.path.name}) and image {val.id} ({val.path.name})",
                 "are the same picture, one in train and one in val: val would measure what was learned by heart",
                 "remove one of them, or give both one split")  # fmt: skip


def _check_splits(found: AnnotatedSet, tell: _Teller) -> None:
    titles: dict[str, set[str]] = defaultdict(set)
    for image in found.images:
        titles[image.title].add(image.split)
    for title, splits in sorted(titles.items()):
        if len(splits) > 1 and title:
            tell("title_in_both", f"title {title}", "has pages in train and in val, so that val is too easy",
                 "give all pages of a title one split", "warning")  # fmt: skip
        elif len(splits) > 1:
            tell("title_in_both", "pages without a title", "are in train and in val by what the file says; whether "
                 "they are of one work, which would make val too easy, cannot be seen from their numbers",
                 _NAME_TITLES, "warning")  # fmt: skip
    _check_copies(found, tell)
    # A crowd is neither learned nor asked for: it fills no split.
    held = {
        name: {one.category_id for _, some in found.of_split(name) for one in some if not one.iscrowd}
        for name in SPLITS
    }
    if not held[VAL] and len(titles) == 1:
        title = next(iter(titles))
        reason = "all pages belong to it" if title else "all pages are only numbered, so that they count as one title"
        tell("one_title", f"title {title}" if title else "pages without a title",
             f"{reason}, and a title is never split at random",
             f"{_NAME_TITLES}; or add pages of another title; or name the pages of val yourself with "
             '"split": "val"')  # fmt: skip
        return
    for name in SPLITS:
        if not held[name]:
            tell("empty_split", f"split {name}", "has no usable annotation",
                 f'give some pages "split": "{name}"')  # fmt: skip
    if not all(held.values()):
        return
    for name, other in ((VAL, TRAIN), (TRAIN, VAL)):
        for number in sorted(held[other] - held[name]):
            tell(f"{name}_without_category", f"split {name}",
                 f"holds no {found.category_name(number)}, though {other} does",
                 f"move a title with {found.category_name(number)} to {name}, or remove the category")  # fmt: skip

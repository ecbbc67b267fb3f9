"""A set to a COCO file, and plain COCO to the layout: pictures, mask files named by ids, annotations.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from lora_assets.annotations.categories import CATEGORIES
from lora_assets.annotations.mask_forms import mask_file_bytes, polygons_of
from lora_assets.annotations.reading import read_annotated_set
from lora_assets.annotations.records import (
    ANNOTATIONS_FILE,
    AnnotatedImage,
    AnnotatedSet,
    Annotation,
    AnnotationError,
    Category,
    Problem,
)
from lora_assets.store import atomic_write_bytes, atomic_write_json
from lora_assets.vision.masks import decode_mask

MaskForm = Literal["rle", "polygon", "file"]
FORMS: tuple[MaskForm, ...] = ("rle", "polygon", "file")


def mask_file_name(image_id: int, annotation_id: int) -> str:
    """The name of a generated mask file."""
    return f"{image_id:012d}_{annotation_id:012d}.png"


def image_fields(image: AnnotatedImage, file_name: str) -> dict[str, Any]:
    """A picture's entry in a COCO file."""
    return {
        "id": image.id,
        "file_name": file_name,
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "title": image.title,
    }


def annotation_fields(annotation: Annotation, image: AnnotatedImage, form: MaskForm) -> dict[str, Any]:
    """An annotation's entry in a COCO file, with its mask in one of the forms (a file is written by the caller)."""
    fields: dict[str, Any] = {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "bbox": [round(value, 3) for value in annotation.bbox],
        "area": annotation.area,
        "iscrowd": int(annotation.iscrowd),
    }
    if annotation.score is not None:
        fields["score"] = round(annotation.score, 5)
    if form == "file":
        name = mask_file_name(annotation.image_id, annotation.id)
        return fields | {"segmentation_file": f"masks/{image.split}/{name}"}
    if form == "polygon":
        return fields | {"segmentation": polygons_of(decode_mask(annotation.rle, image.height, image.width))}
    size = [image.height, image.width]
    return fields | {"segmentation": {"size": size, "counts": annotation.rle.decode("ascii")}}


def write_coco(
    path: Path,
    images: Sequence[AnnotatedImage],
    annotations: Iterable[Annotation],
    categories: Sequence[Category] = CATEGORIES,
    *,
    form: MaskForm = "rle",
    pictures: Path | None = None,
    info: dict[str, Any] | None = None,
) -> Path:
    """Write a COCO file, its mask files first when `form` is "file" (in masks/SPLIT beside it), and return its path.

    Pictures are not copied: they are named from `pictures` (default: the file's folder). Raises AnnotationError for a
    picture that is not in there, StoreError when a file cannot be written.
    """
    check_form(form)
    named = page_names([image.path for image in images], pictures or path.parent)
    by_id = {image.id: image for image in images}
    entries = []
    for annotation in annotations:
        image = by_id[annotation.image_id]
        fields = annotation_fields(annotation, image, form)
        if form == "file":
            mask = decode_mask(annotation.rle, image.height, image.width)
            atomic_write_bytes(path.parent / fields["segmentation_file"], mask_file_bytes(mask), durable=False)
        entries.append(fields)
    listed = [image_fields(image, name) for image, name in zip(images, named, strict=True)]
    atomic_write_json(path, coco_object(listed, entries, categories, info))
    return path


def coco_object(
    images: list[dict[str, Any]], annotations: list[dict[str, Any]], categories: Sequence[Category],
    info: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The object of a COCO file."""
    named = [{"id": category.id, "name": category.name, "supercategory": "comic"} for category in categories]
    return {"info": info or {}, "images": images, "annotations": annotations, "categories": named}


def check_form(form: str) -> MaskForm:
    """The form itself. Raises ValueError when there is no such form of masks."""
    for known in FORMS:
        if form == known:
            return known
    raise ValueError(f"the form of masks is {form!r}, but it must be one of {', '.join(FORMS)}")


def page_names(paths: Sequence[Path], base: Path) -> list[str]:
    """The names of pictures from a folder, as a COCO file holds them; a link keeps its own name.

    Raises AnnotationError for one that is not in there.
    """
    # As they were given first: a linked picture lies in the folder, what it points to perhaps does not.
    plain, real = base.absolute(), base.resolve()
    names = []
    for path in paths:
        for one, folder in ((path.absolute(), plain), (path.absolute(), real), (path.resolve(), real)):
            if one.is_relative_to(folder) and ".." not in one.relative_to(folder).parts:
                names.append(one.relative_to(folder).as_posix())
                break
        else:
            raise AnnotationError(f"{path} does not lie in {base}: name the folder that holds all pictures")
    return names


def convert(
    source: Path,
    root: Path,
    *,
    pictures: Path | None = None,
    form: MaskForm = "file",
    told: Callable[[int, int], None] | None = None,
) -> tuple[AnnotatedSet, list[Problem]]:
    """Plain COCO (a file, its pictures in `pictures` or beside it) to the layout in `root`: the set as it is read back.

    Pictures are copied byte for byte, splits written down, category names made ours. annotations.json is written last:
    a folder that has one is complete. The problems are those of the source; what is broken there is left out. Raises
    AnnotationError when nothing can be used or `root` already holds a set.
    """
    check_form(form)
    target = root / ANNOTATIONS_FILE
    if target.exists():
        raise AnnotationError(f"{target} is there already: name another folder, or remove this set first")
    found, problems = read_annotated_set(source, pictures=pictures)
    names = _picture_names(found.images)
    entries: list[dict[str, Any]] = []
    for done, image in enumerate(found.images, start=1):
        atomic_write_bytes(root / names[image.id], image.path.read_bytes(), durable=False)
        if told is not None:
            told(done, len(found.images))
    by_id = {image.id: image for image in found.images}
    for annotation in found.annotations:
        image = by_id[annotation.image_id]
        fields = annotation_fields(annotation, image, form)
        if form == "file":
            atomic_write_bytes(
                root / fields["segmentation_file"], mask_file_bytes(found.mask(annotation)), durable=False
            )
        entries.append(fields)
    images = [image_fields(image, names[image.id]) for image in found.images]
    atomic_write_json(target, coco_object(images, entries, found.categories))
    made, _ = read_annotated_set(root)
    return made, problems


def _picture_names(images: Sequence[AnnotatedImage]) -> dict[int, str]:
    """images/SPLIT/NAME for every picture; two of one name get their ids before it."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for image in images:
        plain = f"images/{image.split}/{image.path.name}"
        own = image.path.name
        while plain.casefold() in taken:
            own = f"{image.id:012d}_{own}"
            plain = f"images/{image.split}/{own}"
        taken.add(plain.casefold())
        names[image.id] = plain
    return names

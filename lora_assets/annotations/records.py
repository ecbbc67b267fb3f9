"""An annotated set in memory: pictures, categories, annotations with their masks, and what a problem says.

Reading and checking a file is in reading.py; nothing here opens a file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lora_assets.specs import SpecError
from lora_assets.vision.masks import BoolMask, decode_mask

TRAIN, VAL = "train", "val"
SPLITS = (TRAIN, VAL)
ANNOTATIONS_FILE = "annotations.json"

Severity = Literal["error", "warning"]


class AnnotationError(SpecError):
    """Annotations that cannot be used at all; the text names the file, the reason and the way out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a set.

    `where` names the file and the annotation's or picture's id, `kind` is a key of `reading.KINDS`. An "error" costs
    the entry that it names, or forbids a training on the set where it names a split; a "warning" costs nothing.
    """

    where: str
    reason: str
    way_out: str
    kind: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of thing; 1 panel, 2 bubble, 3 character, 4 text, further ones as the set names them."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One page: `path` is absolute, `split` "train" or "val", `sha256` that of the file's bytes (hex)."""

    id: int
    path: Path
    width: int
    height: int
    split: str
    title: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One thing on a page. `bbox` is x, y, width, height in pixels, `area` the mask's pixels.

    `rle` holds the mask over the whole page as COCO's compressed run lengths, whatever form the file had; `score` is
    how sure a model was, None for truth.
    """

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: bool
    rle: bytes
    score: float | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedSet:
    """A set that was read and checked: every annotation has its picture, its category and a mask that is not empty.

    `digest` (16 hex digits) changes with anything that a training depends on: categories, splits, the pictures' bytes,
    the masks' pixels.
    """

    root: Path
    categories: tuple[Category, ...]
    images: tuple[AnnotatedImage, ...]
    annotations: tuple[Annotation, ...]
    digest: str
    _by_id: dict[int, AnnotatedImage] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the pictures, since masks ask for them one by one."""
        object.__setattr__(self, "_by_id", {image.id: image for image in self.images})

    def image(self, image_id: int) -> AnnotatedImage:
        """The picture of an id. Raises KeyError when there is none."""
        if image_id not in self._by_id:
            raise KeyError(f"{self.root} has no picture with the id {image_id}")
        return self._by_id[image_id]

    def category_name(self, category_id: int) -> str:
        """The name of a category. Raises KeyError when there is none."""
        for category in self.categories:
            if category.id == category_id:
                return category.name
        raise KeyError(f"{self.root} has no category with the id {category_id}")

    def mask(self, annotation: Annotation) -> BoolMask:
        """The annotation's mask at the size of its picture (bool HxW)."""
        image = self.image(annotation.image_id)
        return decode_mask(annotation.rle, image.height, image.width)

    def of_split(self, split: str) -> list[tuple[AnnotatedImage, list[Annotation]]]:
        """The pictures of "train" or "val", each with its annotations (perhaps none), in the order of their ids.

        Raises ValueError for another split.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, but it must be one of {', '.join(SPLITS)}")
        by_image: dict[int, list[Annotation]] = defaultdict(list)
        for annotation in self.annotations:
            by_image[annotation.image_id].append(annotation)
        return [(image, by_image[image.id]) for image in self.images if image.split == split]

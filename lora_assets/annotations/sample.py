"""Drawn comic pages as an annotated set: pages of training layouts to learn from, pages of unseen layouts as val.

How a page is drawn is in scenes/comic.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.annotations.categories import CATEGORIES, known_category
from lora_assets.annotations.mask_forms import mask_file_bytes
from lora_assets.annotations.reading import read_annotated_set
from lora_assets.annotations.records import (
    ANNOTATIONS_FILE,
    TRAIN,
    VAL,
    AnnotatedImage,
    AnnotatedSet,
    Annotation,
    AnnotationError,
)
from lora_assets.annotations.writing import MaskForm, annotation_fields, check_form, coco_object, image_fields
from lora_assets.scenes.comic import ComicPage, draw_comic_page
from lora_assets.store import atomic_write_bytes, atomic_write_json
from lora_assets.vision.masks import encode_mask

PAGE_SIZE = (720, 1024)
VAL_EVERY = 5
"""Every fifth page is of a layout that no page of train has, with characters whose looks no page of train has."""


def write_sample(
    root: Path,
    pages: int = 40,
    seed: int = 1,
    *,
    size: tuple[int, int] | Sequence[tuple[int, int]] = PAGE_SIZE,
    form: MaskForm = "file",
    told: Callable[[int, int], None] | None = None,
) -> AnnotatedSet:
    """Draw `pages` pages of `size` (width, height; of several a page has any) into the set in `root`, and read it back.

    Every fifth page is val: its layout and its characters' looks are held out of train. The same arguments give the
    same set. Raises AnnotationError when there are fewer than two pages or `root` already holds a set, ValueError for
    a seed or size that cannot be drawn.
    """
    check_form(form)
    if pages < 2:
        raise AnnotationError(f"{pages} pages cannot be parted into train and val: ask for at least 2")
    target = root / ANNOTATIONS_FILE
    if target.exists():
        raise AnnotationError(f"{target} is there already: name another set, or remove this one first")
    sizes = [(int(wide), int(high)) for wide, high in np.reshape(np.asarray(size), (-1, 2)).tolist()]
    images: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for number in range(1, pages + 1):
        split = VAL if number % VAL_EVERY == 0 or (number == pages and pages < VAL_EVERY) else TRAIN
        shape = sizes[int(np.random.default_rng((seed, number)).integers(len(sizes)))]
        page = draw_comic_page(seed + number - 1, *shape, layouts="training" if split == TRAIN else "held_out")
        file_name = f"images/{split}/page_{number:06d}.png"
        image = _save_page(root, file_name, number, split, page)
        images.append(image_fields(image, file_name) | {"seed": page.seed, "layout": page.layout, "style": page.style})
        for annotation, mask in annotations_of_page(page, number, len(entries) + 1):
            fields = annotation_fields(annotation, image, form)
            if form == "file":
                atomic_write_bytes(root / fields["segmentation_file"], mask_file_bytes(mask), durable=False)
            entries.append(fields)
        if told is not None:
            told(number, pages)
    info = {"description": "drawn comic pages with truth", "first_seed": seed}
    atomic_write_json(target, coco_object(images, entries, CATEGORIES, info))
    return read_annotated_set(root)[0]


def annotations_of_page(page: ComicPage, image_id: int, first_id: int) -> list[tuple[Annotation, np.ndarray]]:
    """The truth of a drawn page as annotations with their masks (bool HxW), numbered from `first_id` on."""
    found = []
    for number, one in enumerate(page.instances, start=first_id):
        category = known_category(one.category)
        if category is None:
            raise AnnotationError(f"pages are drawn with a {one.category}, which categories.py does not know")
        x0, y0, x1, y1 = one.bbox
        area = float(np.count_nonzero(one.mask))
        annotation = Annotation(
            number, image_id, category.id, (x0, y0, x1 - x0, y1 - y0), area, False, encode_mask(one.mask)
        )
        found.append((annotation, one.mask))
    return found


def _save_page(root: Path, file_name: str, number: int, split: str, page: ComicPage) -> AnnotatedImage:
    height, width = page.image.shape[:2]
    done, content = cv2.imencode(".png", cv2.cvtColor(page.image, cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError(f"{file_name} could not be encoded as PNG")
    atomic_write_bytes(root / file_name, content.tobytes(), durable=False)
    # Every page is a title of its own: no two share a scene, and the characters of val are in no page of train.
    digest = hashlib.sha256(content.tobytes()).hexdigest()
    return AnnotatedImage(number, root / file_name, width, height, split, f"drawn {page.seed}", digest)

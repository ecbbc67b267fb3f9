"""Views of annotated pages as the page detector learns from them: shrunk, cut, mirrored, in other tones, with boxes.

Only boxes are needed here; how the network learns from them belongs to page_detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from lora_assets.annotations import AnnotatedSet, AnnotationError
from lora_assets.vision.images import ImageRefused, decode_image, read_file

KEPT_PAGES = 256
"""Pages that are kept in memory, shrunk: about 0.5 MB each at the usual size."""
SPARE = 1.3
"""How much larger than its views a kept page is, so that a cut part of it is not enlarged."""
LEAST_KEPT = 0.35
"""Share of a thing that must lie in a view; less of it is nothing that anybody would mark."""
LEAST_SIDE = 3.0
"""Pixels of a box's shorter side in a view, below which there is nothing left to learn from."""


@dataclass(frozen=True, slots=True)
class PageBoxes:
    """A page's file, its size, its boxes (float32 Nx5 rows of label, x1, y1, x2, y2 in its pixels), and its title."""

    path: Path
    width: int
    height: int
    boxes: np.ndarray
    title: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """What the network sees: uint8 HxWx3, and rows of label, centre x, centre y, width, height as shares of it."""

    image: np.ndarray
    targets: np.ndarray


def pages_of(found: AnnotatedSet, split: str) -> list[PageBoxes]:
    """The pages of a split with the boxes of everything that is no crowd; labels count the set's categories from 0."""
    label = {category.id: place for place, category in enumerate(found.categories)}
    pages = []
    for image, held in found.of_split(split):
        rows = [
            (label[one.category_id], one.bbox[0], one.bbox[1], one.bbox[0] + one.bbox[2], one.bbox[1] + one.bbox[3])
            for one in held
            if not one.iscrowd
        ]
        boxes = np.array(rows, np.float32).reshape(-1, 5)
        pages.append(PageBoxes(image.path, image.width, image.height, boxes, image.title))
    return pages


@lru_cache(maxsize=KEPT_PAGES)
def shrunk_page(path: Path, side: int) -> np.ndarray:
    """The page with its longer side at most `side` pixels. Raises AnnotationError when it changed and is broken now."""
    try:
        pixels = decode_image(read_file(path)).pixels
    except ImageRefused as refused:
        raise AnnotationError(f"{path}: cannot be used any more: {refused}; check the set again") from refused
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def view_size(pages: Sequence[PageBoxes], side: int) -> tuple[int, int]:
    """Width and height of views: the longer side `side`, the other as pages have it in the middle, in steps of 32."""
    ratio = float(np.median([page.width / page.height for page in pages]))
    other = int(np.clip(round(side * min(ratio, 1 / ratio) / 32), 2, side // 32)) * 32
    return (other, side) if ratio <= 1 else (side, other)


def random_view(rng: np.random.Generator, page: PageBoxes, width: int, height: int) -> PageView:
    """A random view of a page: mostly whole, sometimes a part or with room around, perhaps mirrored, in other tones."""
    pixels = shrunk_page(page.path, round(SPARE * max(width, height)))
    rows, columns = pixels.shape[:2]
    fit = min(width / columns, height / rows)
    zoom = fit * float(rng.choice([rng.uniform(0.86, 1.0), rng.uniform(1.0, 1.9), rng.uniform(0.45, 0.86)],
                                  p=[0.6, 0.28, 0.12]))  # fmt: skip
    free_x, free_y = width - columns * zoom, height - rows * zoom
    shift = (float(rng.uniform(min(0, free_x), max(0, free_x))), float(rng.uniform(min(0, free_y), max(0, free_y))))
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]], np.float64)
    ground = int(rng.choice([114, 114, 255, 0]))
    image = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR if zoom > 0.8 else cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(ground, ground, ground),
    )  # fmt: skip
    scale = np.array([columns / page.width, rows / page.height] * 2) * zoom
    boxes = page.boxes[:, 1:] * scale + np.array([*shift, *shift])
    clipped = np.clip(boxes, 0, [width, height, width, height])
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    seen = (sides.prod(1) >= LEAST_KEPT * whole.prod(1)) & (sides.min(1, initial=np.inf) >= LEAST_SIDE)
    labels, clipped = page.boxes[seen, :1], clipped[seen]
    image = _other_tones(rng, np.asarray(image))
    if rng.random() < 0.4:
        image = np.ascontiguousarray(image[:, ::-1])
        clipped = np.stack([width - clipped[:, 2], clipped[:, 1], width - clipped[:, 0], clipped[:, 3]], axis=1)
    size = np.array([width, height])
    centres, sides = (clipped[:, :2] + clipped[:, 2:]) / 2 / size, (clipped[:, 2:] - clipped[:, :2]) / size
    return PageView(image, np.concatenate([labels, centres, sides], axis=1).astype(np.float32))


def _other_tones(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """In grey, lighter or darker, of another contrast or tint, softer: what prints and scans differ in."""
    if rng.random() < 0.3:
        image = np.repeat(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None], 3, axis=2)
    if rng.random() < 0.6:
        gain, lift = float(rng.uniform(0.75, 1.25)), float(rng.uniform(-25, 25))
        levels = np.clip(np.arange(256) * gain + lift, 0, 255).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, levels))
    if rng.random() < 0.2:
        tint = rng.uniform(0.8, 1.0, 3)
        image = (image * tint).astype(np.uint8)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.0))))
    return np.ascontiguousarray(image)

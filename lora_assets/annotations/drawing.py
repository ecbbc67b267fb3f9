"""Annotated pages as a picture: masks laid over the pages in the colour of their category."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from lora_assets.annotations.records import SPLITS, AnnotatedImage, AnnotatedSet, Annotation
from lora_assets.vision.crops import picture_markdown
from lora_assets.vision.images import ImageRefused, decode_image, read_file
from lora_assets.vision.masks import BoolMask

# Okabe and Ito's colours, told apart with any colour vision, by the place of the category in the set.
COLOURS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("blue", (0, 114, 178)), ("orange", (230, 159, 0)), ("green", (0, 158, 115)), ("pink", (204, 121, 167)),
    ("sky blue", (86, 180, 233)), ("red", (213, 94, 0)), ("yellow", (240, 228, 66)),
)  # fmt: skip
_TILE_HEIGHT, _TILE_WIDTH, _GAP, _COLUMNS = 520, 2080, 6, 4
"""Pages are as high as a tile, or as wide as one where they are bands: JPEG takes no more than 65,500 pixels a side."""
_LARGE = 0.09
"""Share of the page from which on a thing's inside is only tinted, so that what lies on it is seen."""


def masked_page(found: AnnotatedSet, image: AnnotatedImage, annotations: Sequence[Annotation]) -> np.ndarray | None:
    """A page (uint8 RGB HxWx3) with its masks: large ones faintly, small ones strongly; None when it cannot be read."""
    try:
        page = decode_image(read_file(image.path)).pixels
    except ImageRefused:
        return None
    if page.shape[:2] != (image.height, image.width):
        return None
    place = {category.id: number for number, category in enumerate(found.categories)}
    masks = [(found.mask(one), COLOURS[place[one.category_id] % len(COLOURS)][1]) for one in annotations]
    return lay_masks(page, masks)


def lay_masks(page: np.ndarray, masks: Sequence[tuple[BoolMask, tuple[int, int, int]]]) -> np.ndarray:
    """A page with masks and their outlines in their colours, the largest first."""
    drawn = page.astype(np.float32)
    line = max(2, round(min(page.shape[:2]) * 0.005))
    for mask, rgb in sorted(masks, key=lambda one: -int(np.count_nonzero(one[0]))):
        share = 0.16 if np.count_nonzero(mask) > _LARGE * mask.size else 0.5
        drawn[mask] = drawn[mask] * (1 - share) + np.array(rgb, np.float32) * share
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawn, contours, -1, rgb, line)
    return drawn.astype(np.uint8)


def sheet(found: AnnotatedSet, most: int = 8) -> np.ndarray:
    """Some pages of both splits side by side (uint8 RGB), evenly chosen; those with annotations only."""
    tiles = []
    for split in SPLITS:
        pages = [(image, some) for image, some in found.of_split(split) if some]
        count = min(len(pages), most // 2)
        for place in np.linspace(0, len(pages) - 1, count).round().astype(int).tolist() if count else []:
            drawn = masked_page(found, *pages[place])
            if drawn is not None:
                scale = min(_TILE_HEIGHT / drawn.shape[0], _TILE_WIDTH / drawn.shape[1])
                size = (max(1, round(drawn.shape[1] * scale)), max(1, round(drawn.shape[0] * scale)))
                tiles.append(np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)))
    if not tiles:
        return np.full((_TILE_HEIGHT // 4, _TILE_HEIGHT, 3), 240, np.uint8)
    rows = [tiles[at : at + _COLUMNS] for at in range(0, len(tiles), _COLUMNS)]
    widest = max(sum(tile.shape[1] + _GAP for tile in row) for row in rows) + _GAP
    canvas = np.full((len(rows) * (_TILE_HEIGHT + _GAP) + _GAP, widest, 3), (70, 72, 80), np.uint8)
    for number, row in enumerate(rows):
        x, y = _GAP, _GAP + number * (_TILE_HEIGHT + _GAP)
        for tile in row:
            canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            x += tile.shape[1] + _GAP
    return canvas


def jpeg_bytes(picture: np.ndarray) -> bytes:
    """A picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return stream.getvalue()


def set_markdown(found: AnnotatedSet, problems: int) -> str:
    """The sheet with a line per category: its colour and how much of it each split holds."""
    split_of = {image.id: image.split for image in found.images}
    lines = ["| category | colour | train | val |", "|---|---|---|---|"]
    for place, category in enumerate(found.categories):
        counts = [
            sum(one.category_id == category.id and split_of[one.image_id] == split for one in found.annotations)
            for split in SPLITS
        ]
        lines.append(f"| {category.name} | {COLOURS[place % len(COLOURS)][0]} | {counts[0]} | {counts[1]} |")
    picture = picture_markdown("annotated pages", jpeg_bytes(sheet(found)))
    told = f"{problems} problems are named in the table annotation_problems.\n\n" if problems else ""
    return told + "\n".join(lines) + f"\n\n{picture}"

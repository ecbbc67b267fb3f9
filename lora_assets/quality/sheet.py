"""The best and the worst crops of a tracker by their score, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lora_assets.store import Store
from lora_assets.vision.crops import contact_sheet, picture_markdown
from lora_assets.vision.images import RgbImage
from lora_assets.vision.picture_errors import UNREADABLE

TILES = 12
_COLUMNS, _TILE, _GAP, _HEAD = 6, 128, 4, 26
_INK, _PAPER = (30, 34, 40), (255, 255, 255)

Scored = Sequence[tuple[str, float]]
"""Crop ids with their scores 0..10."""


def _part(store: Store, crops: Scored, title: str) -> RgbImage:
    """One titled block of thumbnails, the score written on each."""
    thumbs, scores = [], []
    for crop, score in crops:
        path = store.picture("thumbs", crop, ".webp")
        try:
            with Image.open(path) as picture:
                thumbs.append(np.asarray(picture.convert("RGBA")))
        except UNREADABLE:
            thumbs.append(np.full((_TILE, _TILE, 3), 238, np.uint8))
        scores.append(score)
    tiles = Image.fromarray(contact_sheet(thumbs, _COLUMNS, _TILE))
    picture = Image.new("RGB", (max(tiles.width, _COLUMNS * (_TILE + _GAP) + _GAP), tiles.height + _HEAD), _PAPER)
    picture.paste(tiles, (0, _HEAD))
    pen = ImageDraw.Draw(picture)
    pen.text((_GAP, 5), title, fill=_INK, font=ImageFont.load_default(15))
    for place, score in enumerate(scores):
        left = _GAP + place % _COLUMNS * (_TILE + _GAP)
        top = _HEAD + _GAP + place // _COLUMNS * (_TILE + _GAP)
        pen.rectangle((left, top, left + 30, top + 17), fill=_PAPER)
        pen.text((left + 3, top + 1), f"{score:.1f}", fill=_INK, font=ImageFont.load_default(13))
    return np.asarray(picture)


def best_and_worst(crops: Scored) -> tuple[Scored, Scored]:
    """At most 12 of the best and, none of them twice, 12 of the worst crops, the best first and the worst first."""
    ordered = sorted(crops, key=lambda pair: (-pair[1], pair[0]))
    count = min(TILES, (len(ordered) + 1) // 2)
    worst = list(reversed(ordered[max(count, len(ordered) - TILES) :]))
    return ordered[:count], worst


def sheet_markdown(store: Store, crops: Scored) -> str:
    """Markdown with the picture inside; says so when no crop has a score."""
    if not crops:
        return "no crop has a score"
    best, worst = best_and_worst(crops)
    parts = [_part(store, best, "best by image quality")]
    if worst:
        parts.append(_part(store, worst, "worst by image quality"))
    return picture_markdown("best and worst crops by image quality", np.concatenate(parts))

"""A cell of a tracker with dolls: figures of plain colours whose identity, pose and shot are chosen by the test."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.vision.crops import crop_id_of, crop_window, cut_crop, encode_png
from lora_assets.vision.images import FrameFacts, frame_facts, thumbnail_webp
from lora_assets.vision.masks import encode_mask, mask_bounds

TRACKER, WIDTH, HEIGHT = "DOLLS", 320, 180

LOOKS = {
    "red": ((150, 30, 30), (30, 60, 160), (60, 60, 60)),
    "green": ((240, 220, 90), (40, 130, 60), (120, 70, 30)),
    "violet": ((60, 60, 70), (220, 140, 190), (240, 240, 240)),
}
"""Colours of hair, shirt and trousers."""


@dataclass(frozen=True)
class Doll:
    """One figure: whose it is, where it stands, how large its head is (pixels), how far its arms are raised (0..1)."""

    who: str
    x: float = 160.0
    top: float = 20.0
    head: float = 24.0
    arms: float = 0.0
    score: float = 0.9
    vetoed: bool = False
    with_head: bool = True
    key_points: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """One frame: its dolls, the colour of its backdrop (a place), and a number that makes its bytes its own."""

    dolls: Sequence[Doll] = ()
    place: int = 0
    noise: int = 0
    under: int | None = None
    """another place, of which the backdrop is mixed: `share` of its own, the rest of that one"""
    share: float = 1.0


@dataclass
class Written:
    """The dolls of a cell by crop id, and the crop ids of each frame."""

    dolls: dict[str, Doll] = field(default_factory=dict)
    frames: list[list[str]] = field(default_factory=list)


def backdrop(place: int) -> np.ndarray:
    """A picture of blocks that differs from place to place."""
    rng = np.random.default_rng([place, 5])
    small = rng.integers(40, 230, (6, 9, 3)).astype(np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)


def draw_doll(image: np.ndarray, doll: Doll) -> np.ndarray:
    """Draw a doll into the image and return its mask."""
    hair, shirt, trousers = LOOKS[doll.who]
    unit, x, top = doll.head, doll.x, doll.top
    mask = np.zeros(image.shape[:2], np.uint8)

    def box(left, up, right, down, colour) -> None:
        corner, other = (round(left), round(up)), (round(right), round(down))
        cv2.rectangle(image, corner, other, colour, -1)
        cv2.rectangle(mask, corner, other, 1, -1)

    box(x - unit * 0.8, top + unit * 1.1, x + unit * 0.8, top + unit * 3.2, shirt)
    for side in (-1, 1):
        end = (round(x + side * unit * 1.8), round(top + unit * (2.8 - 2.2 * doll.arms)))
        start = (round(x + side * unit * 0.7), round(top + unit * 1.4))
        cv2.line(image, start, end, shirt, max(2, round(unit * 0.35)))
        cv2.line(mask, start, end, 1, max(2, round(unit * 0.35)))
        box(x + side * unit * 0.45 - unit * 0.3, top + unit * 3.2, x + side * unit * 0.45 + unit * 0.3,
            top + unit * 5.6, trousers)  # fmt: skip
    middle, axes = (round(x), round(top + unit / 2)), (round(unit * 0.5), round(unit * 0.55))
    for picture, skin, colour in ((image, (245, 215, 190), hair), (mask, 1, 1)):
        cv2.ellipse(picture, middle, axes, 0, 0, 360, skin, -1)
        cv2.ellipse(
            picture, (middle[0], round(top + unit * 0.3)), (axes[0], round(unit * 0.4)), 0, 180, 360, colour, -1
        )
        cv2.ellipse(picture, (middle[0], round(top + unit * 0.3)), (axes[0], round(unit * 0.2)), 0, 0, 180, colour, -1)
    return mask > 0


@dataclass(frozen=True)
class _Drawn:
    """A frame as pixels and as a file, the masks of its dolls, and the two pictures of each crop."""

    image: np.ndarray
    masks: list[np.ndarray]
    content: bytes
    thumb: bytes
    facts: FrameFacts
    cuts: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)


@functools.lru_cache(maxsize=128)
def _draw(shown: Shown) -> _Drawn:
    """The same films are written by dozens of tests: drawing and encoding them is most of the time."""
    image = backdrop(shown.place).copy()
    if shown.under is not None:
        image = cv2.addWeighted(image, shown.share, backdrop(shown.under), 1 - shown.share, 0)
    masks = [draw_doll(image, doll) for doll in shown.dolls]
    for place, mask in enumerate(masks):  # those drawn later stand before
        for later in masks[place + 1 :]:
            mask &= ~later
    image[0, 0] = (shown.noise % 256, shown.noise // 256, 7)
    image = np.ascontiguousarray(image)
    return _Drawn(image, masks, encode_png(image), thumbnail_webp(image), frame_facts(image, "PNG"))


def write_dolls(data: Path, frames: Sequence[Shown], dataset: str = "film", tracker: str = TRACKER) -> Written:
    """Write originals, pictures and tables of a cell."""
    store, written = Store(data), Written()
    rows: tuple[list, list, list, list] = ([], [], [], [])
    for number, shown in enumerate(frames):
        drawn = _draw(replace(shown, dolls=tuple(shown.dolls)))
        masks, content, facts = drawn.masks, drawn.content, drawn.facts
        sha256 = hashlib.sha256(content).hexdigest()
        atomic_write_bytes(data / "input" / dataset / f"{number:04d}.png", content, durable=False)
        atomic_write_bytes(store.picture("frame_thumbs", sha256, ".webp"), drawn.thumb, durable=False)
        rows[0].append(
            RawFrame(f"{number:04d}.png", sha256, len(content), 1, number + 1, WIDTH, HEIGHT, "PNG",
                     facts.mean_luminance, facts.black_share, facts.sharpness, facts.phash, None)
        )  # fmt: skip
        known = {row.frame_sha256 for row in rows[3]}
        written.frames.append([])
        for place, (doll, mask) in enumerate(zip(shown.dolls, masks, strict=True)):
            bounds = mask_bounds(mask)
            if bounds is None or sha256 in known:
                continue
            crop = _add(rows, store, sha256, place, doll, drawn, mask, bounds)
            written.dolls[crop.crop_id] = doll
            written.frames[-1].append(crop.crop_id)
    types = (RawFrame, Detection, Mask, ScoredCrop)
    for name, row_type, found in zip(("frames", "detections", "masks", "scored_crops"), types, rows, strict=True):
        version = digest(name, dataset, tracker, [row.sha256 for row in rows[0]], [row.score for row in rows[3]])
        store.publish(store.table_path(name, dataset, tracker), row_type, [to_table(found, row_type)], version, {})
    return written


def _add(rows, store, sha256, place, doll, drawn, mask, bounds) -> ScoredCrop:
    x, y, width, height = bounds
    name = digest(sha256, place)
    box = (float(x), float(y), float(x + width), float(y + height))
    points = list(doll.key_points) if doll.key_points else None
    rows[1].append(Detection(sha256, name, "person", 0.9, *box, "dolls", True, key_points=points))
    if doll.with_head:
        head = (doll.x - doll.head / 2, doll.top, doll.x + doll.head / 2, doll.top + doll.head)
        rows[1].append(Detection(sha256, digest(name, "head"), "head", 0.9, *map(float, head), "dolls", False))
    window = np.ascontiguousarray(mask[y : y + height, x : x + width])
    area = int(window.sum())
    row = Mask(sha256, name, x, y, width, height, encode_mask(window), area, area / mask.size, 0.9, 0.9)
    rows[2].append(row)
    score = min(doll.score, 0.45) if doll.vetoed else doll.score
    tier = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
    flags = ["several_characters"] if doll.vetoed else []
    crop = ScoredCrop(
        sha256, name, crop_id_of(row), *crop_window(row, WIDTH, HEIGHT), not doll.vetoed, tier, score, score,
        0.5, 0.9, 0.8, 0.8, 0.9, not doll.vetoed, area, 0.0, 1, 1.0, 0.0, tier == "high", [], flags,
        [2.0] * len(flags), [1.0] * len(flags),
    )  # fmt: skip
    rows[3].append(crop)
    if crop.crop_id not in drawn.cuts:
        cut = cut_crop(drawn.image, row)
        drawn.cuts[crop.crop_id] = (thumbnail_webp(cut), encode_png(cut))
    thumb, picture = drawn.cuts[crop.crop_id]
    atomic_write_bytes(store.picture("thumbs", crop.crop_id, ".webp"), thumb, durable=False)
    if crop.has_picture:
        atomic_write_bytes(store.picture("crops", crop.crop_id, ".png"), picture, durable=False)
    return crop


def little_film() -> list[Shown]:
    """Six shots in three places: red in four of them, green in three, violet in one; every drawing held twice; the
    second doll of a frame stands beside the first. 60 frames."""
    frames: list[Shown] = []
    plan = (("red",), ("green",), ("red", "green"), ("violet",), ("red",), ("green", "red"))
    for shot, cast in enumerate(plan):
        for step in range(10):
            drawing = step // 2
            size = 24.0 if shot % 2 == 0 else 30.0
            dolls = [
                Doll(who, 90 + 130 * place + 1.5 * drawing, 12, size, arms=((shot + drawing) % 5) / 4,
                     score=0.95 - 0.01 * ((shot * 10 + step) % 13))
                for place, who in enumerate(cast)
            ]  # fmt: skip
            frames.append(Shown(dolls, place=shot % 3 + 10 * (shot == 3), noise=shot * 10 + step))
    return frames

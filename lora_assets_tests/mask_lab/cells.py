"""A tracker with frames, true masks and masks before refinement, drawn small. It tests nothing itself."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from lora_assets.run_lengths import run_lengths
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, digest
from lora_assets.tables import Mask, RawFrame, to_table
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

TRACKER, DATASET = "LAB-1", "film"
SIZE = (240, 160)
RECIPE = "ab" * 8
# x, y, half width, half height of each figure of each frame: alone, small, a touching pair, thin arms.
FIGURES = (
    [(60, 80, 30, 60)],
    [(50, 80, 25, 55), (200, 30, 9, 12)],
    [(80, 80, 30, 60), (142, 80, 30, 60)],
    [(120, 90, 22, 50)],
    [(150, 70, 40, 50)],
)
ARMS = 3


def figure(x: int, y: int, wide: int, high: int, arms: bool = False) -> BoolMask:
    """A true mask on the whole frame."""
    found = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.ellipse(found, (x, y), (wide, high), 0, 0, 360, 1, -1)
    if arms:
        found[y - 20 : y - 14, x - 80 : x + 80] = 1
    return found > 0


def rough(truth: BoolMask, seed: int) -> BoolMask:
    """What a segmenter makes of it: a little small, with a hole, a speck and a ragged edge."""
    found = cv2.erode(truth.astype(np.uint8), np.ones((3, 3), np.uint8))
    rng = np.random.default_rng(seed)
    x, y, width, height = mask_bounds(truth) or (0, 0, 1, 1)
    edge = (found > 0) & (cv2.erode(found, np.ones((3, 3), np.uint8)) == 0)
    found[edge & (rng.random(found.shape) < 0.4)] = 0
    found[y + height // 2, x + width // 2] = 0
    found[max(0, y - 4), x] = 1
    return found > 0


def draw_frames(folder: Path) -> tuple[list[tuple[str, bytes]], list[list[BoolMask]]]:
    """The frames as names and PNG bytes, with the true masks of each."""
    rng = np.random.default_rng(4)
    frames, truths = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for number, figures in enumerate(FIGURES):
        pixels = np.full((SIZE[1], SIZE[0], 3), rng.integers(150, 220, 3), np.uint8)
        masks = [figure(*each, arms=number == ARMS) for each in figures]
        for mask in masks:
            pixels[mask] = rng.integers(0, 90, 3)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        name = f"絵{number}.png"
        (folder / name).write_bytes(buffer.getvalue())
        frames.append((name, buffer.getvalue()))
        truths.append(masks)
    return frames, truths


def write_truth(folder: Path, truths: list[list[BoolMask]]) -> None:
    """A truth.json of the frames, as `scenes draw` writes it."""
    images = [{"id": n, "file_name": f"絵{n}.png"} for n in range(len(truths))]
    annotations = [
        {"image_id": n, "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)}, "iscrowd": 0}
        for n, masks in enumerate(truths)
        for mask in masks
    ]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def make_cell(data: Path, *, truth: bool = True, refined: bool = True, **settings: Any) -> list[list[BoolMask]]:
    """The tracker's file, frames, and masks before and after refinement; returns the true masks of each frame."""
    store, folder = Store(data), data / "input" / DATASET
    frames, truths = draw_frames(folder)
    if truth:
        write_truth(folder, truths)
    raw, rows, hashes = [], [], []
    for number, ((name, content), masks) in enumerate(zip(frames, truths, strict=True)):
        sha256 = hashlib.sha256(content).hexdigest()
        hashes.append(sha256)
        raw.append(RawFrame(name, sha256, len(content), number, 1, *SIZE, "PNG", 0.5, 0.1, 90.0, "0" * 16, None))
        for place, mask in enumerate(masks):
            rows.append(mask_row(rough(mask, 10 * number + place), sha256, digest(sha256, place)))
    store.publish(store.table_path("frames", DATASET, TRACKER), RawFrame, [to_table(raw, RawFrame)], "frames-1", {})
    store.shelf("segments", RECIPE, Mask).append(to_table(rows, Mask), hashes)
    if refined:
        facts = {"segments_recipe": RECIPE, "recipe": "cd" * 8}
        store.publish(store.table_path("masks", DATASET, TRACKER), Mask, [to_table(rows, Mask)], "masks-1", facts)
    write_tracker(data, TrackerSpec(TRACKER, (DATASET,), settings=settings))
    return truths


def mask_row(mask: BoolMask, sha256: str, name: str) -> Mask:
    """The row of a mask of the whole frame, in its own window."""
    x, y, width, height = mask_bounds(mask) or (0, 0, 1, 1)
    kept = np.ascontiguousarray(mask[y : y + height, x : x + width])
    area = int(kept.sum())
    return Mask(sha256, name, x, y, width, height, encode_mask(kept), area, area / mask.size, 0.9, 0.9)

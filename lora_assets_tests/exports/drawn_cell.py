"""A published cell with real frames, masks and crops, small and made in a moment. It tests nothing itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from lora_assets.specs import TrackerSpec, tracker_path, write_tracker
from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import CropGroup, CuratedCrop, Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.vision.crops import crop_id_of, crop_window, cut_crop, encode_png
from lora_assets.vision.masks import encode_mask
from lora_assets_tests.judge.cells import a_row

TRACKER, DATASET = "T1", "film"
SIZES = ((320, 200), (200, 320), (257, 131), (64, 300))


def draw_frame(number: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """A frame with a figure of its own colours, the figure's mask, and its head's box."""
    rng = np.random.default_rng(number)
    frame = np.full((height, width, 3), rng.integers(30, 220, 3), np.uint8)
    cv2.line(frame, (0, int(rng.integers(0, height))), (width, height // 2), rng.integers(0, 255, 3).tolist(), 3)
    mask = np.zeros((height, width), np.uint8)
    middle, radius = width // 2 + int(rng.integers(-3, 4)), max(3, min(width // 2, height) // 8)
    top = max(1, height // 12)
    cv2.circle(mask, (middle, top + radius), radius, 1, -1)
    cv2.ellipse(mask, (middle, (height + 3 * radius) // 2), (max(2, width // 6), max(3, (height - 3 * radius) // 3)),
                0, 0, 360, 1, -1)  # fmt: skip
    cv2.line(mask, (middle, top + radius), (middle, height * 3 // 4), 1, 2)
    frame[mask > 0] = rng.integers(0, 255, 3)
    head = (middle - radius, top, middle + radius, top + 2 * radius)
    return frame, mask > 0, tuple(float(side) for side in head)


def make_drawn_cell(
    data: Path,
    sizes: Sequence[tuple[int, int]] = SIZES,
    *,
    tier: str = "high",
    tracker: str = TRACKER,
    dataset: str = DATASET,
    settings: dict | None = None,
    pictures: bool = True,
) -> list[str]:
    """Write frames, publish their tables and store the crops' pictures; the crop ids in the order of the frames."""
    if not tracker_path(data, tracker).exists():
        write_tracker(data, TrackerSpec(tracker, (dataset,), settings=settings or {}))
    store = Store(data)
    folder = data / "input" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    frames, detections, masks, crops, ids = [], [], [], [], []
    for number, (width, height) in enumerate(sizes):
        picture, figure, head = draw_frame(number, width, height)
        content = encode_png(picture)
        name = f"f{number:04d}.png"
        (folder / name).write_bytes(content)
        sha = hashlib.sha256(content).hexdigest()
        found, top = digest(number, "body"), digest(number, "head")
        frames.append(a_row(RawFrame, path=name, sha256=sha, width=width, height=height, format="PNG", phash="0" * 16,
                            mean_luminance=0.5, black_share=0.0, sharpness=9.0))  # fmt: skip
        detections.append(a_row(Detection, frame_sha256=sha, detection_id=found, label="person", confidence=0.9, x1=0.0,
                                y1=0.0, x2=float(width), y2=float(height), is_subject=True))  # fmt: skip
        detections.append(a_row(Detection, frame_sha256=sha, detection_id=top, label="head", confidence=0.9, x1=head[0],
                                y1=head[1], x2=head[2], y2=head[3], is_subject=False))  # fmt: skip
        row = a_row(Mask, frame_sha256=sha, detection_id=found, x=0, y=0, width=width, height=height,
                    rle=encode_mask(figure), area=int(figure.sum()), coverage=float(figure.mean()),
                    matting="none")  # fmt: skip
        x, y, wide, high = crop_window(row, width, height)
        crop = crop_id_of(row)
        masks.append(row)
        crops.append(a_row(ScoredCrop, frame_sha256=sha, detection_id=found, crop_id=crop, x=x, y=y, width=wide,
                           height=high, tier=tier, score=0.9, is_valid_content=True, has_picture=pictures))  # fmt: skip
        if pictures:
            atomic_write_bytes(store.picture("crops", crop, ".png"), encode_png(cut_crop(picture, row)))
        ids.append(crop)
    rows = {"frames": (RawFrame, frames), "detections": (Detection, detections), "masks": (Mask, masks),
            "scored_crops": (ScoredCrop, crops)}  # fmt: skip
    for name, (row_type, found) in rows.items():
        facts = {"folder": str(folder), "recipe": f"r-{name}"}
        path = store.table_path(name, dataset, tracker)
        store.publish(path, row_type, [to_table(found, row_type)], digest(name, ids), facts)
    return ids


def publish_curated(data: Path, ids: Sequence[str], tracker: str = TRACKER, **changes: Mapping[int, object]) -> None:
    """A curated dataset in which all crops are chosen for training; `changes` name other values by crop number."""
    rows = []
    for number, crop in enumerate(ids):
        own = {name: values[number] for name, values in changes.items() if number in values}
        told = {"chosen": True, "part": "train", "repeats": 10.0, "framing": "full", "view": "front", "expression": "",
                "character_id": "c1", "character_name": "", "tier": "high", "score": 8.0, "verdict": ""}  # fmt: skip
        rows.append(a_row(CuratedCrop, crop_id=crop, frame_sha256="0" * 64, dataset=DATASET, **(told | own)))
    store = Store(data)
    store.publish(store.table_path("curated_dataset", tracker), CuratedCrop, [to_table(rows, CuratedCrop)], "v1", {})


def publish_groups(data: Path, shots: dict[str, str], groups: dict[str, str], tracker: str = TRACKER) -> None:
    """Shots and groups of alike crops, by crop id."""
    rows = [
        a_row(CropGroup, crop_id=crop, frame_sha256="0" * 64, dataset=DATASET, shot=shots[crop], group=groups[crop],
              kind="leader", distance=0.0)
        for crop in shots
    ]  # fmt: skip
    store = Store(data)
    store.publish(store.table_path("crop_groups", tracker), CropGroup, [to_table(rows, CropGroup)], "g1", {})

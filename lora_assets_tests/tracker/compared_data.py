"""Two trackers with pictures that differ in several ways, for the page that compares them. It tests nothing itself."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.vision.crops import crop_id_of, crop_window, cut_crop
from lora_assets.vision.images import thumbnail_webp
from lora_assets.vision.masks import encode_mask
from lora_assets_tests.comparing.cells import Recipes
from lora_assets_tests.tracker.drawn_data import DrawnFrame, draw_frame, scored

BEFORE, AFTER, ALONE = "QI-001", "QI-002", "QI-009"
DATASET = "film"


def _frame(frame: DrawnFrame) -> tuple[RawFrame, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(frame.pixels).save(buffer, "PNG")
    height, width = frame.pixels.shape[:2]
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    row = RawFrame(
        frame.path, sha256, len(buffer.getvalue()), 1, 1, width, height, "PNG", 0.5, 0.1, 90.0, "0" * 16, None
    )
    return row, buffer.getvalue()


def _mask(row: RawFrame, found: str, mask: npt.NDArray[np.bool_]) -> Mask:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    window = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1])
    height, width = window.shape
    area = int(window.sum())
    return Mask(
        row.sha256 or "", found, left, top, width, height, encode_mask(window), area, area / mask.size, 0.9, 0.95
    )


def _without_feet(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    kept = mask.copy()
    bottom = int(np.flatnonzero(mask.any(axis=1))[-1])
    kept[bottom - mask.shape[0] // 5 :] = False
    return kept


def _write(data: Path, tracker: str, frames: list[DrawnFrame], changed: bool, recipes: Recipes) -> None:
    """Write a tracker; where `changed`, of every four crops one is gone, one has a smaller mask, one a lower score."""
    store = Store(data)
    rows: tuple[list[RawFrame], list[Detection], list[Mask], list[ScoredCrop]] = ([], [], [], [])
    for at, frame in enumerate(frames):
        row, content = _frame(frame)
        rows[0].append(row)
        atomic_write_bytes(data / "input" / DATASET / frame.path, content)
        for number, (box, mask) in enumerate(frame.subjects):
            found = digest(row.sha256, number)
            if changed and at % 4 == 1:
                continue
            cut = _mask(row, found, _without_feet(mask) if changed and at % 4 == 2 else mask)
            confidence = 0.3 if at % 4 == 1 else 0.8
            rows[1].append(
                Detection(row.sha256 or "", found, "person", confidence, *box, "yolo", True, ["yolo"], [confidence])
            )
            rows[2].append(cut)
            worse = changed and at % 4 in (2, 3)
            flags = ["cut_body"] if changed and at % 4 == 2 else ["blurred"] if changed and at % 4 == 3 else []
            score = (0.55 if at % 4 == 2 else 0.3) if worse else 0.62 + 0.06 * (at % 6)
            height, width = frame.pixels.shape[:2]
            crop = scored(cut, crop_window(cut, width, height), score, flags)
            rows[3].append(crop)
            atomic_write_bytes(
                store.picture("thumbs", crop_id_of(cut), ".webp"), thumbnail_webp(cut_crop(frame.pixels, cut))
            )
    chain = recipes.chain()
    told: dict[str, dict[str, Any]] = {**chain, "frames": {}}
    for stage, facts in chain.items():
        atomic_write_bytes(data / "store" / stage / facts["recipe"] / "recipe.json", json.dumps(facts).encode())
    types = (RawFrame, Detection, Mask, ScoredCrop)
    for stage, row_type, made in zip(("frames", "detections", "masks", "scored_crops"), types, rows, strict=True):
        version = digest(tracker, stage, len(made))
        store.publish(
            store.table_path(stage, DATASET, tracker), row_type, [to_table(made, row_type)], version, told[stage]
        )


def make_compared(data: Path, frames: int = 12) -> Path:
    """BEFORE and AFTER, which names BEFORE as its baseline and changed detection, refinement and scoring; ALONE has
    another dataset."""
    pictures = [draw_frame(300 + at, f"第{at:02}場面.png") for at in range(frames)]
    write_tracker(data, TrackerSpec(BEFORE, (DATASET,)))
    write_tracker(data, TrackerSpec(AFTER, (DATASET,), baseline=BEFORE))
    write_tracker(data, TrackerSpec(ALONE, ("other",)))
    _write(data, BEFORE, pictures, False, Recipes())
    recipes = Recipes(detect={"conf": 0.4, "iou": 0.5}, refine={"preset": "fine"}, score={"limits": {"blurred": 0.3}})
    _write(data, AFTER, pictures, True, recipes)
    return data

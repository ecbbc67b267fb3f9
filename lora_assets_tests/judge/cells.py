"""Judged rows, and a cell's tables without pictures, for tests of the judge. It tests nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, columns, to_table
from lora_assets.verdicts import Mark, VerdictLog

TRACKER, DATASET = "T1", "film"
FRAMES, CROPS_A_FRAME = 60, 2


def a_row(row_type: type, **given: Any) -> Any:
    """A row with these columns given; the others hold any value in range, columns of other releases too."""
    told = {}
    for name, (field, column) in columns(row_type).items():
        kind = str(field.type)
        low = column.low if column.low is not None else 0.0
        fitting = {
            "string": "x",
            "bool": True,
            "binary": b"",
            "int64": int(max(low, 1)),
            "double": float(max(low, 0.5)),
        }
        told[name] = None if field.nullable else [] if kind.startswith("list") else fitting[kind]
    return row_type(**(told | given))


def sha(number: int) -> str:
    """A frame hash for a number."""
    return f"{number:064x}"


def make_cell(data: Path, frames: int = FRAMES, seed: int = 0) -> list[tuple[str, bool]]:
    """Publish the tables of one cell; crop ids in the order of the tables, and whether a reviewer finds each good.

    Good is a crop with a mask of high stability; the rules' score knows nothing of that.
    """
    rng = np.random.default_rng(seed)
    write_tracker(data, TrackerSpec(TRACKER, (DATASET,))) if not (
        data / "trackers" / f"{TRACKER}.toml"
    ).exists() else None
    rows: dict[str, list[Any]] = {"frames": [], "detections": [], "masks": [], "scored_crops": []}
    reviewed = []
    for number in range(frames):
        phash = f"{int(rng.integers(0, 2**63)):016x}"
        rows["frames"].append(
            a_row(RawFrame, path=f"f{number:04d}.png", sha256=sha(number), phash=phash, mean_luminance=0.5,
                  black_share=0.1, sharpness=90.0, width=320, height=180, format="PNG")
        )  # fmt: skip
        for person in range(CROPS_A_FRAME):
            found = digest(number, person)
            x = 10.0 + 150.0 * person
            stability, score = float(rng.uniform()), float(rng.uniform())
            crop = f"crop{number:04d}{person}"
            rows["detections"].append(
                a_row(Detection, frame_sha256=sha(number), detection_id=found, label="person", confidence=0.8, x1=x,
                      y1=5.0, x2=x + 100, y2=170.0, is_subject=True)
            )  # fmt: skip
            rows["masks"].append(
                a_row(Mask, frame_sha256=sha(number), detection_id=found, stability=stability, coverage=0.2)
            )
            tier = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
            rows["scored_crops"].append(
                a_row(ScoredCrop, frame_sha256=sha(number), detection_id=found, crop_id=crop, width=90, height=170,
                      score=score, tier=tier, is_valid_content=True)
            )  # fmt: skip
            reviewed.append((crop, stability > 0.5))
    types = {"frames": RawFrame, "detections": Detection, "masks": Mask, "scored_crops": ScoredCrop}
    store = Store(data)
    for name, row_type in types.items():
        table = to_table(rows[name], row_type)
        store.publish(store.table_path(name, DATASET, TRACKER), row_type, [table], digest(name, seed), {})
    return reviewed


def mark_crops(log: VerdictLog, reviewed: list[tuple[str, bool]]) -> None:
    """Say good or bad of crops of `make_cell`."""
    log.append(
        *(
            Mark(TRACKER, DATASET, sha(int(crop[4:8])), _box(crop), crop, "good" if good else "bad", f"r-{crop}")
            for crop, good in reviewed
        )
    )


def _box(crop: str) -> tuple[float, float, float, float]:
    x = 10.0 + 150.0 * int(crop[8:])
    return (x, 5.0, x + 100, 170.0)


def drawn_rows(count: int, seed: int = 0) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """Rows, labels and groups: good depends on `sharpness_of_outline`, which the rules' score hardly knows."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for _ in range(count):
        sharp, size, score = rng.uniform(size=3)
        flags = ["blurred"] if sharp < 0.2 else []
        rows.append({
            "crop_id": "c", "x": int(rng.integers(0, 500)), "width": int(40 + 200 * size), "height": 200,
            "score": float(score), "tier": "high" if score > 0.6 else "low", "is_valid_content": True,
            "sharpness_of_outline": float(sharp), "character_count": 1, "flags": flags,
            "flag_values": [0.1] * len(flags), "flag_limits": [0.28] * len(flags),
        })  # fmt: skip
        labels.append(int(rng.uniform() < 1 / (1 + np.exp(-12 * (sharp - 0.5) - 1.5 * (score - 0.5)))))
    return rows, labels, [number // 2 for number in range(count)]

"""The crops of a tracker as places in frames: dataset, frame, detection box and crop id, from its published tables."""

from __future__ import annotations

from dataclasses import dataclass

from lora_assets.store import Store
from lora_assets.verdicts.record import Box


@dataclass(frozen=True, slots=True)
class CropPlace:
    """One crop and the pixels that it was made from: `box` is the detection's, xyxy pixels of the frame."""

    dataset: str
    frame_sha256: str
    detection_id: str
    crop_id: str
    box: Box


def dataset_places(store: Store, dataset: str, tracker: str) -> list[CropPlace]:
    """The crops of one cell, in the order of its table; empty before the cell is made."""
    crops = store.cell_table("scored_crops", dataset, tracker)
    boxes = store.cell_table("detections", dataset, tracker)
    if crops is None or boxes is None:
        return []
    sides = ("x1", "y1", "x2", "y2")
    known = {
        (row["frame_sha256"], row["detection_id"]): tuple(row[side] for side in sides)
        for row in boxes.read(["frame_sha256", "detection_id", *sides]).to_pylist()
    }
    names = ("frame_sha256", "detection_id", "crop_id")
    found = []
    for row in crops.read(names).to_pylist():
        frame, detection, crop = (row[name] for name in names)
        # Detections may have been published anew while the crops are still the ones before.
        if (frame, detection) in known:
            found.append(CropPlace(dataset, frame, detection, crop, known[frame, detection]))
    return found


def cell_datasets(store: Store, tracker: str) -> list[str]:
    """The datasets of which a tracker has scored crops, sorted."""
    return sorted(path.stem for path in (store.data / "tables" / "scored_crops" / tracker).glob("*.parquet"))


def tracker_places(store: Store, tracker: str) -> list[CropPlace]:
    """The crops of all cells of a tracker, cell by cell."""
    return [place for dataset in cell_datasets(store, tracker) for place in dataset_places(store, dataset, tracker)]

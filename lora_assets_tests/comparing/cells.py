"""Cells with rows and recipes of one's own, published without pictures or models. It tests nothing itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_assets.comparing.cell_rows import CellRows, cell_rows
from lora_assets.specs import TrackerSpec, tracker_path, write_tracker
from lora_assets.store import Store, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets_tests.judge.cells import a_row

DATASET = "film"
TYPES = {"frames": RawFrame, "detections": Detection, "masks": Mask, "scored_crops": ScoredCrop}


def sha(content: object) -> str:
    """A frame hash for any content."""
    return hashlib.sha256(str(content).encode()).hexdigest()


@dataclass(frozen=True)
class Crop:
    """A crop of a frame (by its content): its box, how sure the detector was, its mask, score and flags."""

    frame: object
    box: tuple[float, float, float, float] = (10.0, 10.0, 110.0, 210.0)
    score: float = 0.9
    confidence: float = 0.8
    mask: bytes = b"mask"
    flags: tuple[tuple[str, float, float], ...] = ()
    is_subject: bool = True
    detected: bool = True
    masked: bool = True
    cropped: bool = True
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def detection_id(self) -> str:
        """As the pipeline makes it: by frame and box."""
        return digest(sha(self.frame), [round(side, 2) for side in self.box])

    @property
    def crop_id(self) -> str:
        """By frame, box and mask."""
        return digest(self.detection_id, self.mask.hex())

    @property
    def tier(self) -> str:
        """The tier of the score."""
        return "high" if self.score >= 0.8 else "medium" if self.score >= 0.5 else "low"


@dataclass(frozen=True)
class Recipes:
    """The recipes of a tracker's stages; what is not given is as in every other one."""

    detect: dict[str, Any] = field(default_factory=dict)
    segment: dict[str, Any] = field(default_factory=dict)
    refine: dict[str, Any] = field(default_factory=dict)
    score: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=lambda: {"yolo": "aa" * 32})
    sam: dict[str, str] = field(default_factory=lambda: {"sam": "bb" * 32})
    code: dict[str, str] = field(default_factory=dict)
    runtime: str = "torch 2.13 cpu float32"
    reading: str = "reading-1"

    def chain(self) -> dict[str, dict[str, Any]]:
        """Recipe facts of the four stages, each naming its parent."""
        found: dict[str, dict[str, Any]] = {}
        parent = self.reading
        for stage, settings, weights, runtime in (
            ("detections", {"conf": 0.25, "iou": 0.45} | self.detect, self.weights, self.runtime),
            ("segments", {"margin": 0.1} | self.segment, self.sam, self.runtime),
            ("masks", {"preset": "aggressive"} | self.refine, {}, "opencv"),
            ("scored_crops", {"high": 0.8, "limits": {}} | self.score, {}, "opencv"),
        ):
            used = [{"name": name, "sha256": sha256, "starter": False} for name, sha256 in weights.items()]
            told = {
                "stage": stage, "code_version": self.code.get(stage, "1"), "settings": settings, "weights": used,
                "runtime": runtime, "parent": parent,
            }  # fmt: skip
            told["recipe"] = parent = digest(told | {"weights": [one["sha256"] for one in used]})
            found[stage] = told
        return found


def publish(
    data: Path,
    tracker: str,
    crops: Sequence[Crop],
    frames: Sequence[tuple[str, object]] | None = None,
    recipes: Recipes | None = None,
    dataset: str = DATASET,
    bad: Sequence[tuple[str, str]] = (),
    facts: dict[str, Any] | None = None,
    leave_out: Sequence[str] = (),
    keep_recipes: bool = True,
    **spec: Any,
) -> Store:
    """Publish the tables of a cell. `frames` are path and content, else one file for each crop's frame; `bad` are
    quarantined paths with the reason, `leave_out` tables that are not made."""
    store = Store(data)
    if not tracker_path(data, tracker).exists():
        write_tracker(data, TrackerSpec(tracker, **spec))
    if frames is None:
        frames = [(f"{frame}.png", frame) for frame in dict.fromkeys(crop.frame for crop in crops)]
    rows = rows_of(crops, frames, bad)
    chain = (recipes or Recipes()).chain()
    for stage, told in chain.items():
        if keep_recipes:
            path = data / "store" / stage / told["recipe"] / "recipe.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(told))
    segments = chain["segments"]
    merged = {"settings": {**segments["settings"], **chain["masks"]["settings"]}, "weights": segments["weights"]}
    told = {**chain, "frames": {}, "masks": {**chain["masks"], **merged, "segments_recipe": segments["recipe"]}}
    for stage, row_type in TYPES.items():
        if stage not in leave_out:
            table = to_table(rows[stage], row_type)
            version = digest(tracker, dataset, stage, repr(rows[stage]))
            path = store.table_path(stage, dataset, tracker)
            store.publish(path, row_type, [table], version, {**told[stage], **(facts or {})})
    return store


def rows_of(
    crops: Sequence[Crop], frames: Sequence[tuple[str, object]], bad: Sequence[tuple[str, str]] = ()
) -> dict[str, list[Any]]:
    """The rows of the four tables of a cell."""
    return {
        "frames": [
            *(a_row(RawFrame, path=path, sha256=sha(content), width=640, height=360) for path, content in frames),
            *(a_row(RawFrame, path=path, quarantine_reason=reason) for path, reason in bad),
        ],
        "detections": [_detection(crop) for crop in crops if crop.detected],
        "masks": [_mask(crop) for crop in crops if crop.is_subject and crop.masked],
        "scored_crops": [_scored(crop) for crop in crops if crop.is_subject and crop.masked and crop.cropped],
    }


def in_memory(crops: Sequence[Crop], frames: Sequence[tuple[str, object]]) -> CellRows:
    """The rows of a cell without a file."""
    tables = {name: to_table(rows, TYPES[name]) for name, rows in rows_of(crops, frames).items()}
    return cell_rows("T", tables["frames"], tables["detections"], tables["masks"], tables["scored_crops"])


def _detection(crop: Crop) -> Detection:
    x1, y1, x2, y2 = crop.box
    return a_row(
        Detection, frame_sha256=sha(crop.frame), detection_id=crop.detection_id, label="person",
        confidence=crop.confidence, x1=x1, y1=y1, x2=x2, y2=y2, is_subject=crop.is_subject, prepared=False,
        detectors=["yolo"], detector_confidences=[crop.confidence],
    )  # fmt: skip


def _mask(crop: Crop) -> Mask:
    x1, y1, x2, y2 = (int(side) for side in crop.box)
    return a_row(
        Mask, frame_sha256=sha(crop.frame), detection_id=crop.detection_id, x=x1, y=y1, width=x2 - x1, height=y2 - y1,
        rle=crop.mask, area=1000,
    )  # fmt: skip


def _scored(crop: Crop) -> ScoredCrop:
    x1, y1, x2, y2 = (int(side) for side in crop.box)
    names, values, limits = (list(part) for part in zip(*crop.flags, strict=True)) if crop.flags else ([], [], [])
    told = {
        "frame_sha256": sha(crop.frame), "detection_id": crop.detection_id, "crop_id": crop.crop_id, "x": x1, "y": y1,
        "width": x2 - x1, "height": y2 - y1, "tier": crop.tier, "score": crop.score, "flags": names,
        "flag_values": values, "flag_limits": limits, "extracted_again": False,
    }  # fmt: skip
    return a_row(ScoredCrop, **(told | crop.more))

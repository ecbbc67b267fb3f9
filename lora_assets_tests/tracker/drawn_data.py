"""A data folder as the pipeline leaves it, drawn small: for the tests of the pages. It tests nothing itself."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lora_assets.specs import TrackerSpec, dataset_slug, write_tracker
from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.vision.crops import crop_id_of, crop_window, cut_crop, encode_png
from lora_assets.vision.images import thumbnail_webp
from lora_assets.vision.masks import encode_mask

TRACKER = "INTEGRATE-3-6-05"
HALF_MADE = "QI-003"
RUN_ID = "0b9c6f0e-3b52-4a51-9a1c-5c2a9d0e7f11"
EVIL = '"><img src=x onerror=alert(1)>'
JAPANESE = "第03話 「夜明け」"
SIDE = (320, 180)


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """A picture, its subjects as boxes with masks of the whole frame, and the name it gets."""

    path: str
    pixels: npt.NDArray[np.uint8]
    subjects: tuple[tuple[tuple[float, float, float, float], npt.NDArray[np.bool_]], ...]


def draw_frame(seed: int, path: str, size: tuple[int, int] = SIDE, characters: int = 1) -> DrawnFrame:
    """A backdrop with round-headed figures."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(int(v) for v in rng.integers(90, 230, 3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = (int(rng.integers(0, side)) for side in size)
        pen.rectangle((x, y, x + 60, y + 40), fill=tuple(int(v) for v in rng.integers(60, 250, 3)))
    subjects = []
    for number in range(characters):
        stencil = Image.new("1", size)
        cut = ImageDraw.Draw(stencil)
        height = int(rng.integers(size[1] // 2, size[1] - 20))
        left = int(rng.integers(5, size[0] // (2 * characters))) + number * size[0] // characters
        width, top = height // 2, size[1] - height - 5
        cut.ellipse((left + width // 5, top, left + width * 4 // 5, top + height * 2 // 5), fill=1)
        cut.rounded_rectangle((left, top + height // 3, left + width, top + height), 12, fill=1)
        mask = np.asarray(stencil)
        picture.paste(tuple(int(v) for v in rng.integers(0, 255, 3)), mask=stencil)
        pen.ellipse((left + width // 4, top + 6, left + width * 3 // 4, top + height * 3 // 8), fill=(250, 222, 200))
        subjects.append(((float(left), float(top), float(left + width + 1), float(top + height + 1)), mask))
    return DrawnFrame(path, np.asarray(picture), tuple(subjects))


def _frame_row(frame: DrawnFrame, content: bytes) -> RawFrame:
    height, width = frame.pixels.shape[:2]
    sha256 = hashlib.sha256(content).hexdigest()
    return RawFrame(frame.path, sha256, len(content), 1, 1, width, height, "PNG", 0.5, 0.1, 90.0, "0" * 16, None)


def _bad_row(path: str, reason: str) -> RawFrame:
    return RawFrame(path, None, 7, 1, 1, None, None, None, None, None, None, None, reason)


def _mask_row(sha256: str, number: int, mask: npt.NDArray[np.bool_]) -> Mask:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    window = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1])
    height, width = window.shape
    area = int(window.sum())
    found = digest(sha256, number)
    return Mask(sha256, found, left, top, width, height, encode_mask(window), area, area / mask.size, 0.9, 0.95)


FLAGS = ("black", "several_characters", "cut_body", "blurred", "too_dark")


def scored(row: Mask, window: tuple[int, int, int, int], score: float, flags: list[str]) -> ScoredCrop:
    """The row of a crop with this score; flags of FLAGS[:2] are vetoes."""
    vetoed = bool(set(flags) & set(FLAGS[:2]))
    score = min(score, 0.45) if vetoed else score
    tier = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
    parts = [min(1.0, max(0.0, score + shift)) for shift in (0.1, -0.05, 0.0, -0.2, 0.15)]
    content = (row.area, 0.02, 2 if "several_characters" in flags else 1, 0.8, 0.1)
    return ScoredCrop(
        row.frame_sha256, row.detection_id, crop_id_of(row), *window, not vetoed, tier, score, sum(parts) / 5, *parts,
        not vetoed, *content, tier == "high", [] if tier == "high" else ["the outline is uncertain"], flags,
        [0.97 - 0.1 * n for n in range(len(flags))], [0.9] * len(flags),
    )  # fmt: skip


def facts(stage: str, **more: Any) -> dict[str, Any]:
    """What the pipeline tells of a table."""
    return {
        "stage": stage,
        "recipe": digest(stage),
        "run_id": RUN_ID,
        "computed": 12,
        "reused": 3,
        "dropped": 0,
        "seconds": 83.4,
        "settings": {"conf": 0.25, "weights": ["starter-yolo"]},
        **more,
    }


def write_cell(
    data: Path, tracker: str, slug: str, folder: Path, frames: list[DrawnFrame], bad: list[RawFrame]
) -> None:
    """Write the originals, every picture and the four tables of one cell."""
    store = Store(data)
    rows: tuple[list[RawFrame], list[Detection], list[Mask], list[ScoredCrop]] = ([], [], [], [])
    for at, frame in enumerate(frames):
        buffer = io.BytesIO()
        Image.fromarray(frame.pixels).save(buffer, "PNG")
        atomic_write_bytes(folder / frame.path, buffer.getvalue())
        row = _frame_row(frame, buffer.getvalue())
        rows[0].append(row)
        sha256 = row.sha256 or ""
        atomic_write_bytes(store.picture("frame_thumbs", sha256, ".webp"), thumbnail_webp(frame.pixels))
        for number, (box, mask) in enumerate(frame.subjects):
            mask_row = _mask_row(sha256, number, mask)
            rows[1].append(Detection(sha256, mask_row.detection_id, "person", 0.8, *box, "starter-yolo", True))
            rows[2].append(mask_row)
            height, width = frame.pixels.shape[:2]
            flags = ["several_characters"] if len(frame.subjects) > 1 else [FLAGS[at % 5]] if at % 3 == 1 else []
            crop = scored(mask_row, crop_window(mask_row, width, height), (37 * at % 100) / 100, flags)
            rows[3].append(crop)
            cut = cut_crop(frame.pixels, mask_row)
            atomic_write_bytes(store.picture("thumbs", crop.crop_id, ".webp"), thumbnail_webp(cut))
            if crop.has_picture:
                atomic_write_bytes(store.picture("crops", crop.crop_id, ".png"), encode_png(cut))
    weights = {"name": "starter-yolo", "sha256": "ab" * 32, "starter": True}
    types = (RawFrame, Detection, Mask, ScoredCrop)
    for stage, row_type, found in zip(("frames", "detections", "masks", "scored_crops"), types, rows, strict=True):
        more = {"weights": weights} if stage in ("detections", "masks") else {}
        table = to_table([*found, *(bad if stage == "frames" else [])], row_type)
        path = store.table_path(stage, slug, tracker)
        store.publish(path, row_type, [table], digest(stage, slug, len(found)), facts(stage, **more))


def make_data(data: Path, frames_each: int = 8, size: tuple[int, int] = SIDE) -> Path:
    """Two trackers: one with a Japanese dataset and one with a hostile name, and one of which only frames are made."""
    good, evil = data / "input" / JAPANESE, data / "input" / EVIL.replace("/", "")
    pictures = [draw_frame(at, f"シーン{at:02}.png", size, 2 if at == 5 else 1) for at in range(frames_each)]
    pictures.append(draw_frame(90, "夜空.png", size, 0))
    spec = TrackerSpec(
        TRACKER,
        (dataset_slug(good.name), dataset_slug(evil.name)),
        note=f"後ろ向きの髪を確認 {EVIL}",
        ticket="QI-118",
        baseline="LIVE",
        settings={"detect": {"conf": 0.3}, "refine": {"preset": "extended"}},
    )
    write_tracker(data, spec)
    bad = [_bad_row("壊れ.png", "the file ends too early: copy it again")]
    write_cell(data, TRACKER, dataset_slug(good.name), good, pictures, bad)
    hostile = [draw_frame(200 + at, f"{at}{EVIL}.png", size) for at in range(3)]
    write_cell(data, TRACKER, dataset_slug(evil.name), evil, hostile, [_bad_row(f"{EVIL}.gif", EVIL)])
    write_tracker(data, TrackerSpec(HALF_MADE, (dataset_slug(good.name), "not-yet")))
    store = Store(data)
    frames = store.frames_of(dataset_slug(good.name), TRACKER)
    assert frames is not None
    path = store.table_path("frames", dataset_slug(good.name), HALF_MADE)
    store.publish(path, RawFrame, [frames.read()], "1", {})
    return data

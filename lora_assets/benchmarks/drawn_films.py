"""Drawn films as the main line leaves them: originals, pictures and tables of a cell, with the truth of every crop.

Boxes and masks are the renderer's own, so that what is measured is only what follows them. What belongs elsewhere: what
is measured (curation).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lora_assets.scenes.shots import FilmFrame
from lora_assets.scenes.truth import CharacterTruth
from lora_assets.store import Store, atomic_write_bytes, digest
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.vision.crops import cut_crop, encode_png
from lora_assets.vision.images import frame_facts, thumbnail_webp
from lora_assets.vision.masks import encode_mask, mask_bounds
from lora_assets.vision.score import score_frame

_LEAST_PIXELS = 400


@dataclass(frozen=True, slots=True)
class CropTruth:
    """What the renderer knows of a crop: whom it shows, of which shot (a repeated one counts as the first), which
    drawing of it, and whether the frame is mixed with another or faded."""

    identity: int
    film: str
    shot: int
    held: int
    mixed: bool
    move: str


@dataclass(frozen=True, slots=True)
class FilmTruth:
    """The truth of a film's cell: of crops by id, and the shot of every frame in order with how each shot begins."""

    crops: dict[str, CropTruth]
    shots: tuple[int, ...]
    transitions: tuple[str, ...]


def write_film(data: Path, tracker: str, dataset: str, frames: Iterable[FilmFrame]) -> FilmTruth:
    """Write a film as the dataset's frames and the tracker's cell of it, and return its truth."""
    store, folder = Store(data), data / "input" / dataset
    listed: list[RawFrame] = []
    boxes: list[Detection] = []
    masks: list[Mask] = []
    scored: list[ScoredCrop] = []
    truth: dict[str, CropTruth] = {}
    shots: list[int] = []
    transitions: list[str] = []
    for drawn in frames:
        image = drawn.frame.image
        content = encode_png(np.ascontiguousarray(image))
        sha256 = hashlib.sha256(content).hexdigest()
        path = f"{drawn.number:06d}.png"
        atomic_write_bytes(folder / path, content, durable=False)
        facts = frame_facts(image, "PNG")
        row = RawFrame(
            path, sha256, len(content), 1, drawn.number + 1, facts.width, facts.height, facts.format,
            facts.mean_luminance, facts.black_share, facts.sharpness, facts.phash, None,
        )  # fmt: skip
        listed.append(row)
        shots.append(drawn.shot)
        transitions.append(drawn.transition)
        if any(row.frame_sha256 == sha256 for row in boxes[-40:]):
            continue
        atomic_write_bytes(store.picture("frame_thumbs", sha256, ".webp"), thumbnail_webp(image), durable=False)
        people = [one for one in drawn.frame.characters if int(one.mask.sum()) >= _LEAST_PIXELS]
        found = [_rows(one, sha256, number) for number, one in enumerate(people)]
        here = [box for rows, _ in found for box in rows]
        rows = [mask for _, mask in found]
        boxes += here
        masks += rows
        by_detection = dict(zip((mask.detection_id for mask in rows), zip(people, rows, strict=True), strict=True))
        for crop in score_frame(image, here, rows):
            person, mask = by_detection[crop.detection_id]
            cut = cut_crop(image, mask)
            atomic_write_bytes(store.picture("thumbs", crop.crop_id, ".webp"), thumbnail_webp(cut), durable=False)
            if crop.is_valid_content:
                atomic_write_bytes(store.picture("crops", crop.crop_id, ".png"), encode_png(cut), durable=False)
            scored.append(dataclasses.replace(crop, has_picture=crop.is_valid_content))
            shot = drawn.shot if drawn.repeats is None else drawn.repeats
            truth[crop.crop_id] = CropTruth(person.identity, dataset, shot, drawn.held, _mixed(drawn), drawn.move)
    for name, row_type, found_rows in (
        ("frames", RawFrame, listed), ("detections", Detection, boxes), ("masks", Mask, masks),
        ("scored_crops", ScoredCrop, scored),
    ):  # fmt: skip
        version = digest(name, dataset, [frame.sha256 for frame in listed])
        store.publish(store.table_path(name, dataset, tracker), row_type, [to_table(found_rows, row_type)], version, {})
    return FilmTruth(truth, tuple(shots), tuple(transitions))


def _mixed(drawn: FilmFrame) -> bool:
    names = ("dissolve", "fade_to_black", "fade_to_white")
    return any(drawn.frame.strength(name) > 0.0 for name in names)


def _rows(person: CharacterTruth, sha256: str, number: int) -> tuple[list[Detection], Mask]:
    bounds = mask_bounds(np.asarray(person.mask, np.bool_))
    if bounds is None:
        raise ValueError("a figure without pixels has no rows")
    x, y, width, height = bounds
    found = digest(sha256, number)
    window = np.ascontiguousarray(person.mask[y : y + height, x : x + width])
    area = int(np.count_nonzero(window))
    box = (float(x), float(y), float(x + width), float(y + height))
    detections = [Detection(sha256, found, "person", 0.9, *box, "drawn", True, body_from="detected")]
    if person.head_box is not None:
        name = digest(sha256, number, "head")
        detections.append(Detection(sha256, name, "head", 0.9, *person.head_box, "drawn", False))
    share = area / person.mask.size
    return detections, Mask(sha256, found, x, y, width, height, encode_mask(window), area, share, 0.95, 0.95)


def reference_picture(image: np.ndarray, mask: np.ndarray) -> bytes:
    """A PNG of a figure with everything else transparent, as a person would put it into data/references."""
    rgba = np.dstack((image, mask.astype(np.uint8) * 255))
    rgba[mask == 0] = 0
    done, content = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    if not done:
        raise ValueError("OpenCV could not write the picture")
    return content.tobytes()

"""Layouts for other learners: COCO (instances), YOLO (outlines or boxes), Hugging Face imagefolder.

COCO and YOLO carry the figure's own mask, not the dilated one: they teach where a figure is, not where to learn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.records import ExportRecord
from lora_assets.exports.writing.target import (
    PARTS,
    Target,
    of_part,
    parts_present,
    write_masks,
    write_pictures,
    write_text,
)
from lora_assets.vision.masks import BoolMask, decode_mask

_YOLO_FOLDER = {TRAIN: "train", VALIDATION: "val"}
_SMALLEST_OUTLINE = 3


def outlines(figure: BoolMask) -> list[npt.NDArray[np.int32]]:
    """The outer outlines of a figure, largest first, each N x 2 (x, y) in pixels, N at least 3.

    A piece of one or two pixels in a row has no outline of three points and is left out.
    """
    found, _ = cv2.findContours(figure.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    lines = [np.asarray(line, np.int32).reshape(-1, 2) for line in found]
    return sorted((line for line in lines if len(line) >= _SMALLEST_OUTLINE), key=lambda line: -cv2.contourArea(line))


# --- COCO ------------------------------------------------------------------------------------------------------------


def write_coco(target: Target, records: Sequence[ExportRecord]) -> None:
    """`images/PART/` and annotations/instances_PART.json: one picture, one figure each; ids count from 1."""
    for part in parts_present(records):
        own = of_part(records, part)
        write_pictures(target.folder / "images" / part, own)
        told = {
            "info": {"description": f"{target.tracker}: {target.trigger}", "version": "1.0"},
            "licenses": [],
            "categories": [{"id": 1, "name": target.trigger, "supercategory": target.settings.class_word}],
            "images": [
                {
                    "id": number, "file_name": f"{record.name}.png", "width": record.width, "height": record.height,
                    "caption": record.caption, "crop_id": record.crop_id,
                }
                for number, record in enumerate(own, start=1)
            ],
            "annotations": [
                _annotation(number, record, target.settings.polygons) for number, record in enumerate(own, start=1)
            ],
        }  # fmt: skip
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        write_text(target.folder / "annotations" / f"instances_{part}.json", text + "\n")


def _annotation(number: int, record: ExportRecord, polygons: bool) -> dict[str, Any]:
    segmentation: Any = {"size": [record.height, record.width], "counts": record.rle.decode("ascii")}
    if polygons:
        figure = decode_mask(record.rle, record.height, record.width)
        lines = [[float(value) for value in line.reshape(-1)] for line in outlines(figure)]
        segmentation = lines or segmentation
    return {
        "id": number, "image_id": number, "category_id": 1, "segmentation": segmentation, "area": record.figure_area,
        "bbox": list(record.bounds), "iscrowd": 0,
    }  # fmt: skip


# --- YOLO ------------------------------------------------------------------------------------------------------------


def write_yolo_outlines(target: Target, records: Sequence[ExportRecord]) -> None:
    """`images/`, `labels/` with one outline per line, and data.yaml: for a segmenting model."""
    _write_yolo(target, records, outlined=True)


def write_yolo_boxes(target: Target, records: Sequence[ExportRecord]) -> None:
    """`images/`, `labels/` with one box per line, and data.yaml: for a detecting model."""
    _write_yolo(target, records, outlined=False)


def _write_yolo(target: Target, records: Sequence[ExportRecord], *, outlined: bool) -> None:
    for part in parts_present(records):
        own = of_part(records, part)
        write_pictures(target.folder / "images" / _YOLO_FOLDER[part], own)
        for record in own:
            line = _outline_label(record) if outlined else _box_label(record)
            write_text(target.folder / "labels" / _YOLO_FOLDER[part] / f"{record.name}.txt", line + "\n")
    present = parts_present(records)
    # Ultralytics asks for both; without a validation part the training pictures stand in.
    told = {
        "path": target.place,
        "train": "images/train" if TRAIN in present else "images/val",
        "val": "images/val" if VALIDATION in present else "images/train",
        "names": {0: target.trigger},
    }
    write_text(target.folder / "data.yaml", yaml.safe_dump(told, sort_keys=False, allow_unicode=True))


def _box_label(record: ExportRecord) -> str:
    x, y, width, height = record.bounds
    centre = ((x + width / 2) / record.width, (y + height / 2) / record.height)
    return " ".join(["0", *(f"{value:.6f}" for value in (*centre, width / record.width, height / record.height))])


def _outline_label(record: ExportRecord) -> str:
    """The largest outlines joined into one, as a line of this format holds a single one; a box where there is none."""
    lines = outlines(decode_mask(record.rle, record.height, record.width))
    if not lines:
        x, y, width, height = record.bounds
        lines = [np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.int32)]
    joined = joined_outline(lines).astype(np.float64)
    # A pixel's middle, so that an outline along the last row stays inside the picture.
    points = (joined + 0.5) / np.array([record.width, record.height])
    return " ".join(["0", *(f"{min(1.0, value):.6f}" for value in points.reshape(-1))])


def joined_outline(lines: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    """One outline through all pieces: each is entered and left at the point nearest to the pieces before it."""
    joined = lines[0]
    for line in lines[1:]:
        distance = np.linalg.norm(joined[:, None].astype(np.float64) - line[None].astype(np.float64), axis=2)
        at, to = np.unravel_index(int(distance.argmin()), distance.shape)
        turned = np.roll(line, -int(to), axis=0)
        around = np.concatenate([turned, turned[:1], joined[int(at) : int(at) + 1]])
        joined = np.concatenate([joined[: int(at) + 1], around, joined[int(at) + 1 :]])
    return joined


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def write_imagefolder(target: Target, records: Sequence[ExportRecord]) -> None:
    """`PART/metadata.jsonl` with file_name and text (and mask_file_name) beside the pictures; `PART/masks/`."""
    for part in PARTS:
        own = of_part(records, part)
        if not own:
            continue
        write_pictures(target.folder / part, own)
        write_masks(target.folder / part / "masks", own)
        lines = [
            json.dumps(
                {
                    "file_name": f"{record.name}.png", "mask_file_name": f"masks/{record.name}.png",
                    "text": record.caption, "repeats": record.repeats, "crop_id": record.crop_id,
                },
                ensure_ascii=False,
            )
            for record in own
        ]  # fmt: skip
        write_text(target.folder / part / "metadata.jsonl", "".join(f"{line}\n" for line in lines))

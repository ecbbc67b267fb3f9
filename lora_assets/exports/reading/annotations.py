"""Reads COCO, YOLO and imagefolder exports as pycocotools, Ultralytics and the library `datasets` would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.manifest import MeantPicture
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture, caption_text, pictures_in
from lora_assets.exports.reading.sizes import picture_size
from lora_assets.vision.masks import BoolMask, decode_mask, mask_bounds

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_YOLO_PARTS = {"train": TRAIN, "val": VALIDATION}
_BOX_SLACK = 2.0
_LEAST_COVERED, _MOST_COVERED = 0.8, 1.1
_AGAIN = "export again"


def _meant(export: Export) -> dict[str, MeantPicture]:
    return {picture.name: picture for picture in export.manifest.pictures}


# --- COCO ------------------------------------------------------------------------------------------------------------


def read_coco(export: Export) -> Seen:
    """annotations/instances_PART.json: every picture is there, and every figure decodes to the area that it claims."""
    seen = Seen(has_masks=False, has_repeats=False)
    for part in (TRAIN, VALIDATION):
        path = export.folder / "annotations" / f"instances_{part}.json"
        if not path.exists() and not any(one.part == part for one in export.manifest.pictures):
            continue
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            categories = {row["id"] for row in told["categories"]}
            images = {row["id"]: row for row in told["images"]}
            _read_annotations(export, told["annotations"], images, categories, seen)
            for row in images.values():
                _read_coco_image(export.folder / "images" / part / str(row["file_name"]), row, part, seen)
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
            seen.faults.append(f"{path.name} cannot be read ({type(error).__name__}: {error}): {_AGAIN}")
    return seen


def _read_coco_image(file: Path, row: dict[str, Any], part: str, seen: Seen) -> None:
    size = picture_size(file)
    if size is None:
        seen.faults.append(f"{file.name}: annotated, but there is no such picture: {_AGAIN}")
        return
    if size != (row["width"], row["height"]):
        seen.faults.append(f"{file.name}: it is {size[0]} x {size[1]}, annotated as {row['width']} x {row['height']}")
    seen.pictures.append(SeenPicture(file, part, 1, row.get("caption")))


def _read_annotations(
    export: Export, rows: list[dict[str, Any]], images: dict[int, dict[str, Any]], categories: set[int], seen: Seen
) -> None:
    meant = _meant(export)
    annotated: set[int] = set()
    for row in rows:
        image = images.get(row["image_id"])
        if image is None or row["category_id"] not in categories:
            seen.faults.append(f"annotation {row['id']}: it names a picture or a category that is not listed: {_AGAIN}")
            continue
        annotated.add(row["image_id"])
        name = Path(str(image["file_name"])).stem
        figure = _coco_figure(row["segmentation"], image["height"], image["width"])
        wanted = meant.get(name)
        if wanted is not None:
            exact = isinstance(row["segmentation"], dict)
            _check_figure(name, figure, wanted, seen, exact=exact)
            if tuple(row["bbox"]) != wanted.bounds or row["area"] != wanted.figure_area:
                seen.faults.append(f"{name}: bbox or area are not the figure's: {_AGAIN}")
    for number in sorted(set(images) - annotated):
        seen.faults.append(f"{images[number]['file_name']}: no figure is annotated in it: {_AGAIN}")


def _coco_figure(segmentation: Any, height: int, width: int) -> BoolMask:
    """The pixels of run lengths, or of outlines. Raises ValueError for what is neither."""
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"run lengths of {segmentation['size']} in a picture of {height} x {width}")
        return decode_mask(str(segmentation["counts"]).encode("ascii"), height, width)
    canvas = np.zeros((height, width), np.uint8)
    for line in segmentation:
        points = np.rint(np.asarray(line, np.float64).reshape(-1, 1, 2)).astype(np.int32)
        cv2.fillPoly(canvas, [points], 1)
    return canvas.astype(np.bool_)


def _check_figure(name: str, figure: BoolMask, wanted: MeantPicture, seen: Seen, *, exact: bool) -> None:
    area = int(figure.sum())
    if exact:
        if area != wanted.figure_area or mask_bounds(figure) != wanted.bounds:
            seen.faults.append(f"{name}: the figure has {area} pixels, meant were {wanted.figure_area}: {_AGAIN}")
        return
    if area < _LEAST_COVERED * wanted.figure_area:
        seen.faults.append(f"{name}: the outline holds {area} of the figure's {wanted.figure_area} pixels: {_AGAIN}")
    elif area > _MOST_COVERED * wanted.figure_area:
        seen.remarks.append(f"{name}: an outline knows no holes, {area - wanted.figure_area} pixels more are inside it")


# --- YOLO ------------------------------------------------------------------------------------------------------------


def read_yolo_outlines(export: Export) -> Seen:
    """data.yaml, and labels of one outline per line."""
    return _read_yolo(export, outlined=True)


def read_yolo_boxes(export: Export) -> Seen:
    """data.yaml, and labels of one box per line."""
    return _read_yolo(export, outlined=False)


def _read_yolo(export: Export, *, outlined: bool) -> Seen:
    seen = Seen(has_masks=False, has_repeats=False, has_captions=False)
    try:
        told = yaml.safe_load((export.folder / "data.yaml").read_text(encoding="utf-8"))
        root, classes = export.local(str(told["path"])), set(told["names"])
        folders = {str(told[key]): key for key in ("val", "train")}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        seen.faults.append(f"data.yaml cannot be read ({type(error).__name__}: {error}): {_AGAIN}")
        return seen
    if root is None or not root.is_dir():
        seen.faults.append(f"data.yaml: path {told['path']!r} is not this export (was it moved?): {_AGAIN}")
        return seen
    meant = _meant(export)
    for named in sorted(folders):
        # Without a part of its own, val names the training pictures.
        part = _YOLO_PARTS.get(Path(named).name, TRAIN)
        for picture in pictures_in(root / named, _ENDINGS):
            # Ultralytics finds labels by putting `labels` for the last `images` of the path.
            label = root / named.replace("images", "labels", 1) / f"{picture.stem}.txt"
            wanted = meant.get(picture.stem)
            if wanted is not None:
                _check_label(label, wanted, classes, seen, outlined=outlined)
            if picture_size(picture) is None:
                seen.faults.append(f"{picture.name}: it is no picture that can be opened: {_AGAIN}")
                continue
            seen.pictures.append(SeenPicture(picture, part, 1, None))
    return seen


def _check_label(label: Path, wanted: MeantPicture, classes: set[int], seen: Seen, *, outlined: bool) -> None:
    text = caption_text(label)
    rows = [line.split() for line in (text or "").split("\n") if line.strip()]
    if not rows:
        seen.faults.append(f"{label.name}: no label, so the picture is taken for background: {_AGAIN}")
        return
    try:
        numbers = [[float(value) for value in row] for row in rows]
    except ValueError as error:
        seen.faults.append(f"{label.name}: {error}: {_AGAIN}")
        return
    for row in numbers:
        coordinates = np.array(row[1:])
        fits = len(coordinates) == 4 if not outlined else len(coordinates) >= 6 and len(coordinates) % 2 == 0
        if not fits or int(row[0]) not in classes or coordinates.min() < 0 or coordinates.max() > 1:
            seen.faults.append(f"{label.name}: a row has another class, another length or leaves the picture: {_AGAIN}")
            return
    if outlined:
        _check_outline(label.stem, np.array(numbers[0][1:]), wanted, seen)
    else:
        _check_box(label.stem, numbers[0][1:], wanted, seen)


def _check_outline(name: str, coordinates: np.ndarray, wanted: MeantPicture, seen: Seen) -> None:
    points = coordinates.reshape(-1, 2) * np.array([wanted.width, wanted.height]) - 0.5
    canvas = np.zeros((wanted.height, wanted.width), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32).reshape(-1, 1, 2)], 1)
    _check_figure(name, canvas.astype(np.bool_), wanted, seen, exact=False)


def _check_box(name: str, told: list[float], wanted: MeantPicture, seen: Seen) -> None:
    x, y, width, height = wanted.bounds
    scale = (wanted.width, wanted.height)
    found = (
        (told[0] - told[2] / 2) * scale[0], (told[1] - told[3] / 2) * scale[1],
        (told[0] + told[2] / 2) * scale[0], (told[1] + told[3] / 2) * scale[1],
    )  # fmt: skip
    meant = (x, y, x + width, y + height)
    if any(abs(one - other) > _BOX_SLACK for one, other in zip(found, meant, strict=True)):
        seen.faults.append(f"{name}: the box is not the figure's: {_AGAIN}")


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def read_imagefolder(export: Export) -> Seen:
    """`PART/metadata.jsonl`: pictures that it does not name are left out, a missing file stops the loading."""
    seen = Seen(has_repeats=False)
    for part in (TRAIN, VALIDATION):
        folder = export.folder / part
        path = folder / "metadata.jsonl"
        if not folder.is_dir():
            continue
        named: set[str] = set()
        for line in (caption_text(path) or "").split("\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                picture, mask = folder / str(row["file_name"]), folder / str(row["mask_file_name"])
                text = row["text"]
            except (ValueError, KeyError, TypeError) as error:
                seen.faults.append(f"{part}/metadata.jsonl: a row cannot be read ({error}): {_AGAIN}")
                continue
            named |= {picture.name, str(mask.relative_to(folder))} if folder in mask.parents else {picture.name}
            if picture_size(picture) is None:
                seen.faults.append(f"{row['file_name']}: metadata.jsonl names it, and it cannot be opened: {_AGAIN}")
                continue
            seen.pictures.append(SeenPicture(picture, part, 1, str(text), mask if mask.is_file() else None))
        for picture in pictures_in(folder, _ENDINGS):
            if picture.name not in named:
                seen.faults.append(f"{part}/{picture.name}: metadata.jsonl does not name it, so it is left out")
        seen.extra_masks += [
            mask for mask in pictures_in(folder / "masks", _ENDINGS) if f"masks/{mask.name}" not in named
        ]
    return seen

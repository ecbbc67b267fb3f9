"""True masks of frames, where somebody has them: drawn frames with their truth.json, COCO instances, mask files.

What belongs elsewhere: how a mask is compared with its truth (measures), second opinions (sampled masks without truth).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.mask_lab.frames import LabSource
from lora_assets.store import StoreError, digest
from lora_assets.tables import Mask
from lora_assets.vision.coco_masks import MaskFormError, mask_of_segmentation
from lora_assets.vision.images import ImageRefused, ReadSettings, decode_image, read_file
from lora_assets.vision.masks import BoolMask, window_pixels

TRUTH_FILE = "truth.json"
_SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff")
_LEAST_IOU = 0.2
_REACH = 0.15


@dataclass(frozen=True, slots=True)
class TruthFolder:
    """A folder that may hold true masks; `entries` are the annotations of its truth.json by file name, else empty,
    `sizes` the width and height that it tells of some."""

    folder: Path
    entries: dict[str, list[Any]]
    sizes: dict[str, tuple[int, int]]
    version: str

    def masks_of(self, names: Sequence[str], width: int, height: int) -> tuple[list[BoolMask], bool]:
        """The true masks HxW of a frame, and whether each is one character (else all are in one). Empty: no truth.

        Raises StoreError for a mask that cannot be read or has another shape than the frame.
        """
        for name in names:
            told = next((one for one in (name, Path(name).name) if one in self.entries), None)
            if told is not None:
                # Polygons tell no size themselves, and would fit any.
                if self.sizes.get(told, (width, height)) != (width, height):
                    wide, high = self.sizes[told]
                    raise StoreError(
                        f"{self.folder / TRUTH_FILE}: {told} has {wide} x {high} pixels there, the frame {width} x "
                        f"{height}: the truth belongs to other frames. Name another folder as truth, or put them back"
                    )
                return [_decoded(entry, width, height, self.folder) for entry in self.entries[told]], True
            single, several = _mask_files(self.folder, name)
            if several:
                return [_read_mask(path, width, height) for path in several], True
            if single is not None:
                return [_read_mask(single, width, height)], False
        return [], False


def open_truth(told: str, source: LabSource) -> TruthFolder | None:
    """The truth of a source: the folder that is told, or the source's own where a truth.json lies in it; else None.

    Raises StoreError, with the way out, for a folder that is not there and a truth.json that cannot be read.
    """
    try:
        folder = Path(told).expanduser() if told else source.folder
    except RuntimeError as error:
        raise StoreError(f"truth: there is no home folder as in {told}: name all of the path") from error
    if folder is None:
        return None
    if told and not folder.is_dir():
        raise StoreError(f"truth: {folder} is no folder: name one with truth.json or mask files, or leave truth empty")
    path = folder / TRUTH_FILE
    if not path.is_file():
        if not told:
            return None
        # Mask files may be replaced without a change of the folder: their sizes and times tell.
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
        stamps = [[str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
        return TruthFolder(folder, {}, {}, digest("mask files", stamps))
    stamp = path.stat()
    return _read_truth(path, stamp.st_size, stamp.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_truth(path: Path, size: int, mtime_ns: int) -> TruthFolder:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: str(image["file_name"]) for image in told["images"]}
        sizes = {
            str(image["file_name"]): (image["width"], image["height"])
            for image in told["images"]
            if isinstance(image.get("width"), int) and isinstance(image.get("height"), int)
        }
        entries: dict[str, list[Any]] = {name: [] for name in names.values()}
        for annotation in told["annotations"]:
            if not annotation.get("iscrowd"):
                entries[names[annotation["image_id"]]].append(annotation["segmentation"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read as COCO instances (images, annotations with segmentation): "
            f"{type(error).__name__} {error}. Mend it, or name another folder as truth"
        ) from error
    return TruthFolder(path.parent, entries, sizes, digest("truth", size, mtime_ns))


def _decoded(segmentation: Any, width: int, height: int, folder: Path) -> BoolMask:
    try:
        return mask_of_segmentation(segmentation, height, width)
    except MaskFormError as error:
        way_out = "the truth belongs to other frames" if error.kind == "mask_size" else "mend or remove it"
        raise StoreError(f"{folder / TRUTH_FILE}: a segmentation is damaged: {error}: {way_out}") from error


def _mask_files(folder: Path, name: str) -> tuple[Path | None, list[Path]]:
    """The mask file of all characters of a frame, and those of one character each."""
    inside = Path(name)
    for place in dict.fromkeys((folder / inside.parent, folder)):
        single = next((p for s in _SUFFIXES if (p := place / f"{inside.stem}{s}").is_file()), None)
        several = (
            sorted(p for s in _SUFFIXES for p in place.glob(f"{_plain(inside.stem)}.*{s}")) if place.is_dir() else []
        )
        several = [p for p in several if p.stem.removeprefix(f"{inside.stem}.").isdigit()]
        if single is not None or several:
            return single, several
    return None, []


def _plain(text: str) -> str:
    """The text for glob, where brackets and stars would mean something else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _read_mask(path: Path, width: int, height: int) -> BoolMask:
    """A mask file: what is lighter than the middle is character."""
    try:
        decoded = decode_image(read_file(path), ReadSettings(min_side=1, max_megapixels=1000))
    except ImageRefused as error:
        raise StoreError(f"truth: {path}: {error}. Mend the file or take it away") from error
    levels = np.asarray(cv2.cvtColor(decoded.pixels, cv2.COLOR_RGB2GRAY))
    if levels.shape != (height, width):
        raise StoreError(
            f"truth: {path} has {levels.shape[1]} x {levels.shape[0]} pixels, its frame {width} x {height}: the masks "
            "belong to other frames"
        )
    return levels > 127


def truth_of_row(
    masks: Sequence[BoolMask], apart: bool, row: Mask, others: Sequence[Mask], whole: bool
) -> BoolMask | None:
    """The true mask HxW of one row before refinement; None where no true character is there.

    A row of a whole frame gets all characters. Of characters apart, the row's is the one that it agrees with best, at
    an IoU of 0.2 or more. Of a mask of all, it gets what lies in its own window, widened by 15 %, and in no other row.
    """
    if not masks:
        return None
    if whole:
        return np.logical_or.reduce(list(masks))
    height, width = masks[0].shape
    own = window_pixels(row, (0, 0, width, height))
    if not apart:
        reach = round(_REACH * max(row.width, row.height))
        part = np.zeros((height, width), np.bool_)
        part[max(0, row.y - reach) : row.y + row.height + reach, max(0, row.x - reach) : row.x + row.width + reach] = (
            True
        )
        for other in others:
            part &= ~window_pixels(other, (0, 0, width, height)) | own
        found = masks[0] & part
        return found if found.any() else None
    shares = [float((own & mask).sum()) / max(1, int((own | mask).sum())) for mask in masks]
    best = int(np.argmax(shares))
    return masks[best] if shares[best] >= _LEAST_IOU else None

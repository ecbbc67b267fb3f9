"""Whole pages segmented without prompts: boxes by a page detector, masks by a prompted segmenter, results as COCO.

Panels are cut along their straight sides instead (vision.panel_edges): a segmenter takes the figures in them for parts.
Those that the detector overlooked are found by the gutters around them (vision.panel_frames).

The detector is trained in page_detector; segmenters are opened by vision.prompted; the file is written by annotations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lora_assets.annotations import AnnotatedImage, Annotation, Category, Problem
from lora_assets.annotations.categories import PANEL, known_category
from lora_assets.annotations.entries import sound_text
from lora_assets.annotations.records import TRAIN
from lora_assets.annotations.splits import title_of
from lora_assets.annotations.writing import MaskForm, check_form, page_names, write_coco
from lora_assets.finetuning.page_detector import PageDetector
from lora_assets.store import StoreError
from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import ImageRefused, decode_image, read_file
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds
from lora_assets.vision.panel_edges import panel_mask
from lora_assets.vision.panel_frames import framed_panels
from lora_assets.vision.prompted import Embedding, Prompted

PAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
LEAST_FIT = 0.5
"""IoU that a mask's bounds must have with the box that it was asked for: a worse one is a part of the thing or nothing,
and the box is taken as the mask."""
LEAST_SURE = 0.45
"""IoU that a segmenter must expect of its own mask: boxes of drawn things share 0.5 (characters) to 1.0 (panels) of
their pixels with them, so that below this the box is the better mask."""
ROOM = 0.06
"""How far a mask may stand out of the box that it was asked for, in the box's sides."""
FRAMED_SCORE = 0.7
"""How sure a panel is that gutters surround and the detector overlooked: about the share of such that are panels."""
COVERED = 0.5
"""Share of such a panel that lies in panels of the detector from which on it is not taken: it is one of them, or
several in one."""
INSET_INSIDE, INSET_LARGEST = 0.85, 0.6
"""A panel lies over another when so much of it lies in that one, and it has at most this share of its area."""


@dataclass(frozen=True, slots=True)
class PageMask:
    """One thing on a page: its category, how sure the detector was (0 to 1), its mask (bool HxW of the page), and the
    detector's box (xyxy, clipped to the page).

    `from_box` tells that the segmenter gave nothing that fits and the mask is the whole box.
    """

    category_id: int
    score: float
    mask: BoolMask
    box: tuple[float, float, float, float]
    from_box: bool


@dataclass(frozen=True, slots=True)
class SegmentedPages:
    """What was written: the COCO file, pages, things by category name, masks that are only boxes, refused files."""

    path: Path
    pages: int
    counts: dict[str, int]
    from_boxes: int
    problems: tuple[Problem, ...]


def segment_page(page: np.ndarray, detector: PageDetector, segmenter: Prompted) -> list[PageMask]:
    """Everything that the detector finds on a page (uint8 RGB HxWx3), the surest first, with masks: of panels by their
    sides, of all else by the segmenter."""
    panels = {number for number, name in detector.card.categories if known_category(name) == PANEL}
    grey = np.asarray(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY))
    rows = detector.find(page)
    if panels:
        rows = with_framed_panels(rows, framed_panels(grey), min(panels))
    embedding: Embedding | None = None
    found: list[PageMask] = []
    for row in rows:
        box = np.clip(row[:4], 0, [page.shape[1], page.shape[0]] * 2)
        if min(box[2] - box[0], box[3] - box[1]) < 1:
            continue
        if int(row[5]) in panels:
            mask = panel_mask(grey, box)
            unfit = not mask.any()
        else:
            embedding = segmenter.embed(page) if embedding is None else embedding
            answer = segmenter.predict(embedding, box=box)
            best = best_candidate(answer.masks, box)
            mask = within_box(answer.masks[best], box)
            unfit = bool(box_fit(mask, box) < LEAST_FIT or answer.scores[best] < LEAST_SURE)
        if unfit:
            mask = box_mask(box, page.shape[:2])
        left, top, right, bottom = (float(value) for value in box)
        found.append(PageMask(int(row[5]), float(row[4]), mask, (left, top, right, bottom), unfit))
    return without_insets(found, panels)


def with_framed_panels(rows: FloatArray, framed: FloatArray, panel: int) -> FloatArray:
    """Rows of a detector (Nx6: xyxy, confidence, category id) with the `framed` panels (Mx4 xyxy) that lie for the most
    part in none of its panels; `panel` is the category's id. The surest first."""
    own = rows[rows[:, 5] == panel, :4]
    added = [(*box, FRAMED_SCORE, panel) for box in framed.tolist() if _covered(np.array(box), own) < COVERED]
    joined = np.concatenate([rows, np.array(added, np.float64).reshape(-1, 6)])
    return joined[np.argsort(-joined[:, 4], kind="stable")]


def _covered(box: FloatArray, others: FloatArray) -> float:
    """The share of a box that lies in other boxes, those that lie over each other counted twice; 0 to 1."""
    across = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    down = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = np.clip(across, 0, None) * np.clip(down, 0, None)
    return min(1.0, float(shared.sum() / ((box[2] - box[0]) * (box[3] - box[1]))))


def without_insets(found: Sequence[PageMask], panels: Collection[int]) -> list[PageMask]:
    """The same masks, those of panels without the smaller panels that lie over them; `panels` are category ids."""
    areas = [np.count_nonzero(one.mask) for one in found]
    kept = []
    for one, area in zip(found, areas, strict=True):
        mask = one.mask
        if one.category_id in panels:
            for other, size in zip(found, areas, strict=True):
                small = other.category_id in panels and 0 < size <= INSET_LARGEST * area
                if small and np.count_nonzero(one.mask & other.mask) >= INSET_INSIDE * size:
                    mask = mask & ~other.mask
        kept.append(replace(one, mask=mask))
    return kept


def best_candidate(candidates: np.ndarray, box: np.ndarray) -> int:
    """Which of three masks (3,H,W), the surest first, has the bounds that fit the asked box best.

    Ambiguity is over parts and wholes (Kirillov et al. 2023, "Segment Anything", section 3), and the box has answered
    that; the surest counts unless another fits better by a twentieth.
    """
    fits = [box_fit(mask, box) for mask in candidates]
    return int(np.argmax(np.array(fits) - 0.05 * np.arange(len(fits))))


def box_fit(mask: BoolMask, box: np.ndarray) -> float:
    """IoU of a mask's bounds with an xyxy box, 0 to 1; 0 for an empty mask."""
    bounds = mask_bounds(mask)
    if bounds is None:
        return 0.0
    x, y, width, height = bounds
    across = min(x + width, box[2]) - max(x, box[0])
    down = min(y + height, box[3]) - max(y, box[1])
    shared = max(0.0, across) * max(0.0, down)
    return float(shared / (width * height + (box[2] - box[0]) * (box[3] - box[1]) - shared))


def within_box(mask: BoolMask, box: np.ndarray) -> BoolMask:
    """The part of a mask in its box and a little around it."""
    room_x, room_y = ROOM * (box[2] - box[0]), ROOM * (box[3] - box[1])
    kept = np.zeros_like(mask)
    rows = slice(max(0, int(box[1] - room_y)), int(np.ceil(box[3] + room_y)))
    columns = slice(max(0, int(box[0] - room_x)), int(np.ceil(box[2] + room_x)))
    kept[rows, columns] = mask[rows, columns]
    return kept


def box_mask(box: np.ndarray, shape: tuple[int, ...]) -> BoolMask:
    """A mask (H, W) of a whole xyxy box."""
    mask = np.zeros(shape[:2], np.bool_)
    mask[int(box[1]) : max(int(box[1]) + 1, round(box[3])), int(box[0]) : max(int(box[0]) + 1, round(box[2]))] = True
    return mask


def page_files(folder: Path) -> list[Path]:
    """The pictures of a folder and the folders in it, in the order of their names; of a single file, that one."""
    if folder.is_file():
        return [folder]
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in PAGE_SUFFIXES and not p.name.startswith("."))


def check_place(out: Path, form: MaskForm) -> None:
    """Raise StoreError when no file can be put at `out`, where hours of work would end, or when somebody's work would
    be lost by it: annotations that no model made, or mask files of another file, which are named alike."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}; name another file") from error
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise StoreError(f"cannot write {out}: it is a folder, or lies in one without rights; name another file")
    if out.exists() and not _is_found(out):
        raise StoreError(f"{out} is there already and was not written by segment-pages: name another file")
    masks = out.parent / "masks" / TRAIN
    if form == "file" and not out.exists() and masks.is_dir() and any(masks.iterdir()):
        raise StoreError(
            f"{masks} holds the mask files of another set, which those of {out} would replace: name a file in another "
            "folder"
        )


def _is_found(path: Path) -> bool:
    """Whether a file was written by `segment_pages`."""
    try:
        return "page_detector" in json.loads(path.read_text(encoding="utf-8"))["info"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def segment_pages(
    folder: Path, files: Sequence[Path], detector: PageDetector, segmenter: Prompted, out: Path, *,
    form: MaskForm = "rle", told: Callable[[int, int], None] | None = None,
) -> SegmentedPages:  # fmt: skip
    """Segment pages of `folder` and write the COCO file `out`; it names them from the folder.

    A file that is no picture, or has a name that no JSON takes, is left out and told among the problems. Raises
    AnnotationError for a page that is not in `folder` and StoreError when `out` cannot be written or would replace what
    no model made, both before anything is segmented where that can be known.
    """
    check_form(form)
    base = folder if folder.is_dir() else folder.parent
    names = page_names(files, base)
    check_place(out, form)
    images: list[AnnotatedImage] = []
    annotations: list[Annotation] = []
    problems: list[Problem] = []
    from_boxes = 0
    for done, (path, name) in enumerate(zip(files, names, strict=True)):
        if told is not None:
            told(done, len(files))
        if name != sound_text(name):
            problems.append(
                Problem(sound_text(str(path)), "its name is no UTF-8", "give it another name", "picture_broken")
            )
            continue
        try:
            page = decode_image(read_file(path)).pixels
        except ImageRefused as refused:
            problems.append(Problem(str(path), str(refused), "replace or remove it", "picture_broken"))
            continue
        height, width = page.shape[:2]
        title = title_of({}, name) or sound_text(base.absolute().name)
        image = AnnotatedImage(len(images) + 1, path, width, height, TRAIN, title)
        images.append(image)
        for found in segment_page(page, detector, segmenter):
            bounds = mask_bounds(found.mask)
            if bounds is None:
                continue
            from_boxes += found.from_box
            box = (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))
            annotations.append(
                Annotation(
                    len(annotations) + 1, image.id, found.category_id, box, float(np.count_nonzero(found.mask)), False,
                    encode_mask(found.mask), found.score,
                )
            )  # fmt: skip
    if told is not None:
        told(len(files), len(files))
    categories = [Category(number, name) for number, name in detector.card.categories]
    info = {
        "description": "found by a model, not by a person",
        "page_detector": detector.card.name,
        "page_detector_sha256": detector.card.sha256,
        "segmenter": segmenter.name,
    }
    write_coco(out, images, annotations, categories, form=form, pictures=base, info=info)
    counts = {category.name: sum(one.category_id == category.id for one in annotations) for category in categories}
    return SegmentedPages(out, len(images), counts, from_boxes, tuple(problems))

"""Detections, masks and scored crops of one cell: a dataset under the recipes of a tracker.

Each function brings one published table up to date and computes only frames that no tracker has computed under the same
recipe. Models are opened when the first frame needs them. What belongs elsewhere: the algorithms (vision), the
bookkeeping of chunks (stages), which cells are due (planning).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np

from lora_assets.main_line.corrections import OverlaidShelf, as_masks_were_made, correct_rows, overlaid
from lora_assets.main_line.stages import (
    Filled,
    FrameRef,
    StageUpdate,
    fill_shelf,
    frame_refs,
    grouped,
    is_complete,
    is_written,
    load_pixels,
    publish_stage,
    reused_stage,
    snapshot_frames,
)
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.recipes import Recipe, TrackerRecipes
from lora_assets.specs import DatasetSpec
from lora_assets.store import PublishedTable, Shelf, Store, StoreError, atomic_write_bytes
from lora_assets.tables import Detection, Mask, ScoredCrop, to_table
from lora_assets.under_way import StageTold, telling
from lora_assets.vision import crops, images
from lora_assets.vision.detect import Detector, detect_frame
from lora_assets.vision.extract_again import SegmentAgain, score_with_second_try
from lora_assets.vision.masks import encode_mask
from lora_assets.vision.refine import refine_rows
from lora_assets.vision.segment import Segmenter

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True, slots=True)
class Cell:
    """A dataset under a tracker's recipes, and how to work on it. A sealed one is only told, never worked on."""

    store: Store
    dataset: DatasetSpec
    tracker: str
    recipes: TrackerRecipes
    run_id: str = ""
    workers: int = 2
    listen: Listener = nobody
    sealed: bool = False

    @property
    def name(self) -> str:
        """The cell's name for locks and progress."""
        return f"{self.dataset.slug}|{self.tracker}"

    def shelf(self, recipe: Recipe, row_type: type) -> Shelf:
        """The shelf of a recipe's results; the recipe itself is kept beside them."""
        recipe.keep(self.store.data)
        return self.store.shelf(recipe.stage, recipe.digest, row_type)

    def facts(self) -> dict[str, Any]:
        """What every published table of the cell tells beside its recipe."""
        return {"dataset": self.dataset.slug, "dataset_name": self.dataset.name, "run_id": self.run_id}


Update = Callable[Concatenate[Cell, Arguments], StageUpdate]
ToldUpdate = Callable[Concatenate[Cell, StageTold, Arguments], StageUpdate]


def _telling(cell: Cell, stage: str) -> AbstractContextManager[StageTold]:
    """Keep on disk how far a stage of the cell is, for the pages."""
    recipe: Recipe = getattr(cell.recipes, stage)
    return telling(
        cell.store.data, cell.dataset.slug, stage, cell.tracker, run_id=cell.run_id, recipe=recipe.digest
    )  # fmt: skip


def _one_at_a_time(stage: str) -> Callable[[ToldUpdate[Arguments]], Update[Arguments]]:
    """Let one process at a time work on a dataset's cells: a second one then finds the frames done and re-uses them.

    How far the stage is stays told on disk meanwhile, also that it waits.
    """

    def of(update: ToldUpdate[Arguments]) -> Update[Arguments]:
        @wraps(update)
        def locked(cell: Cell, *args: Arguments.args, **kwargs: Arguments.kwargs) -> StageUpdate:
            if cell.sealed:
                raise StoreError(f"{cell.name}: the tracker is sealed, its {stage} stay what they are")
            with _telling(cell, stage) as told, cell.store.lock(f"cell-{cell.dataset.slug}"):
                return update(cell, told, *args, **kwargs)

        return locked

    return of


def _heard(cell: Cell, told: StageTold, before: int = 0) -> Listener:
    """Whoever listens to the cell, and the stage's state on disk; `before` were done when this part began."""

    def hear(progress: Progress) -> None:
        told.count(before + progress.done)
        cell.listen(progress)

    return hear


def _all_reused(table: PublishedTable, told: StageTold) -> StageUpdate:
    update = reused_stage(table)
    told.begin(update.frames, update.frames)
    return update


def sealed_stage(cell: Cell, stage: str) -> StageUpdate | None:
    """What a sealed cell's stage holds while its frames, settings, weights and code are what it was made with, as an
    update that computes nothing; else None. Nothing is written.

    So that a run of all partitions may say of it again what was said when it was made, and nothing that is not true.
    """
    listed = cell.store.frames_of(cell.dataset.slug)
    kept = cell.store.frames_of(cell.dataset.slug, cell.tracker)
    table = cell.store.cell_table(stage, cell.dataset.slug, cell.tracker)
    if listed is None or kept is None or table is None or listed.version != kept.version:
        return None
    recipe: Recipe = getattr(cell.recipes, stage)
    return reused_stage(table) if table.facts.get("wanted") == recipe.version_for(kept.version) else None


def _listed_frames(cell: Cell) -> PublishedTable:
    kept = cell.store.frames_of(cell.dataset.slug, cell.tracker)
    if kept is None:
        raise StoreError(f"{cell.name}: the frames list is missing; materialize detections of this cell first")
    return kept


def _check_made(cell: Cell, table: str, recipe: Recipe, frames: PublishedTable) -> None:
    """Raise StoreError unless the stage before was made for these frames with the tracker's present settings."""
    made = cell.store.cell_table(table, cell.dataset.slug, cell.tracker)
    if made is None or made.facts.get("wanted") != recipe.version_for(frames.version):
        raise StoreError(
            f"{cell.name}: {table} are not of the tracker's present settings, weights and frames (were they changed "
            f"during the run?); materialize {table} first, or the whole cell"
        )


@_one_at_a_time("detections")
def update_detections(cell: Cell, told: StageTold, open_detectors: Callable[[], Sequence[Detector]]) -> StageUpdate:
    """Bring `detections` of a cell up to date with its dataset, and keep the frames list for the tracker."""
    started = time.monotonic()
    store, recipe, settings = cell.store, cell.recipes.detections, cell.recipes.settings
    current = store.frames_of(cell.dataset.slug)
    if current is None:
        raise StoreError(f"dataset {cell.dataset.name}: its frames are not listed yet; materialize raw_frames first")
    frames = snapshot_frames(store, cell.dataset.slug, cell.tracker, current)
    version = recipe.version_for(frames.version)
    published = store.cell_table("detections", cell.dataset.slug, cell.tracker)
    if is_complete(published, version):
        return _all_reused(published, told)
    refs = frame_refs(frames, cell.dataset.folder)
    shelf = cell.shelf(recipe, Detection)
    done = shelf.done()
    missing = [ref for sha256, ref in refs.items() if sha256 not in done]
    told.begin(len(refs), len(refs) - len(missing))
    detectors = open_detectors() if missing else ()

    def work(frame: FrameRef, _: None) -> list[Detection]:
        return detect_frame(load_pixels(frame), frame.sha256, detectors, settings.detect, cell.recipes.references)

    filled = fill_shelf(
        shelf, ((ref, None) for ref in missing), work,
        total=len(missing), name=f"{cell.dataset.name}: detections", workers=cell.workers, listen=_heard(cell, told),
    )  # fmt: skip
    path = store.table_path("detections", cell.dataset.slug, cell.tracker)
    return publish_stage(store, path, shelf, list(refs), recipe, version, filled, started, cell.facts())


def segment_subjects(
    image: images.RgbImage, sha256: str, subjects: list[Detection], segmenter: Segmenter
) -> list[Mask]:
    """The mask of each subject of a frame, all boxes answered from one embedding of the image."""
    xyxy = np.array([[box.x1, box.y1, box.x2, box.y2] for box in subjects], dtype=np.float64)
    frame_area = image.shape[0] * image.shape[1]
    rows = []
    for box, found in zip(subjects, segmenter(image, xyxy), strict=True):
        height, width = found.mask.shape
        area = int(np.count_nonzero(found.mask))
        rows.append(
            Mask(
                sha256, box.detection_id, found.x, found.y, width, height, encode_mask(found.mask), area,
                area / frame_area, found.predicted_iou, found.stability, found.candidate, found.box_fit,
                found.taken_share, found.disagreement, found.background_left,
            )
        )  # fmt: skip
    return rows


def _fill_segments(cell: Cell, refs: dict[str, FrameRef], open_segmenter: Callable[[], Segmenter]) -> Any:
    """Masks before refinement, for frames that have detections but no such masks yet."""
    found = cell.shelf(cell.recipes.detections, Detection)
    shelf = cell.shelf(cell.recipes.segments, Mask)
    missing = set(refs) - shelf.done()
    segmenter: list[Segmenter] = []

    def inputs() -> Iterator[tuple[FrameRef, list[Detection]]]:
        for frames, table in found.read(missing):
            subjects = grouped(table.filter(table.column("is_subject")), Detection)
            for sha256 in frames:
                yield refs[sha256], subjects.get(sha256, [])

    def work(frame: FrameRef, subjects: list[Detection]) -> list[Mask]:
        if not subjects:
            return []
        return segment_subjects(load_pixels(frame), frame.sha256, subjects, segmenter[0])

    with _telling(cell, "segments") as told:
        told.begin(len(refs), len(refs) - len(missing))
        if missing:
            segmenter.append(open_segmenter())
        return shelf, fill_shelf(
            shelf, inputs(), work,
            total=len(missing), name=f"{cell.dataset.name}: masks", workers=cell.workers, listen=_heard(cell, told),
        )  # fmt: skip


def _segment_facts(recipes: TrackerRecipes) -> dict[str, Any]:
    """What the refined masks owe to the segmenter: its weights and settings are told with their table."""
    told = recipes.segments.facts()
    settings = {**told["settings"], **recipes.masks.settings}
    return {"weights": told["weights"], "settings": settings, "segments_recipe": told["recipe"]}


@_one_at_a_time("masks")
def update_masks(cell: Cell, told: StageTold, open_segmenter: Callable[[], Segmenter]) -> StageUpdate:
    """Bring `masks` of a cell up to date: segment what has no mask yet, refine what has no refined mask yet."""
    started = time.monotonic()
    store, recipe = cell.store, cell.recipes.masks
    frames = _listed_frames(cell)
    version = recipe.version_for(frames.version)
    published = store.cell_table("masks", cell.dataset.slug, cell.tracker)
    if is_complete(published, version):
        return _all_reused(published, told)
    _check_made(cell, "detections", cell.recipes.detections, frames)
    refs = frame_refs(frames, cell.dataset.folder)
    segments, segmented = _fill_segments(cell, refs, open_segmenter)
    shelf = cell.shelf(_plain(cell, "masks"), Mask)
    missing = set(refs) - shelf.done()
    told.begin(len(refs), len(refs) - len(missing))

    def inputs() -> Iterator[tuple[FrameRef, list[Mask]]]:
        for answered, table in segments.read(missing):
            rows = grouped(table, Mask)
            for sha256 in answered:
                yield refs[sha256], rows.get(sha256, [])

    def work(frame: FrameRef, rows: list[Mask]) -> list[Mask]:
        return refine_rows(rows, frame.width, frame.height, cell.recipes.settings.refine)

    filled = fill_shelf(
        shelf, inputs(), work,
        total=len(missing), name=f"{cell.dataset.name}: refinement", workers=cell.workers, listen=_heard(cell, told),
    )  # fmt: skip
    filled.dropped.update(segmented.dropped)
    filled.dropped.update(dict.fromkeys(missing - shelf.done() - set(filled.dropped), "no detections yet"))
    top, corrected = _fill_corrected_masks(cell, refs, shelf)
    filled.computed += len(corrected - missing)
    path = store.table_path("masks", cell.dataset.slug, cell.tracker)
    facts = {**cell.facts(), **_segment_facts(cell.recipes), "segmented": segmented.computed, **_corrected_facts(cell)}
    shelves = overlaid(shelf, top, cell.recipes.corrected)
    return publish_stage(store, path, shelves, list(refs), recipe, version, filled, started, facts)


def _plain(cell: Cell, stage: str) -> Recipe:
    """The recipe of masks or scored crops without what a person corrected: that of all frames but the corrected."""
    return getattr(cell.recipes.corrected or cell.recipes, stage)


def _corrected_facts(cell: Cell) -> dict[str, Any]:
    corrected = cell.recipes.corrected
    if corrected is None:
        return {}
    return {"corrections_seq": corrected.seq, "corrections": sum(map(len, corrected.by_frame.values()))}


def _fill_corrected_masks(cell: Cell, refs: dict[str, FrameRef], plain: Shelf) -> tuple[Shelf | None, set[str]]:
    """The shelf of the masks of corrected frames, None where there are none; and which of them were made now."""
    corrected = cell.recipes.corrected
    if corrected is None:
        return None, set()
    top = cell.shelf(cell.recipes.masks, Mask)
    missing = set(corrected.by_frame) & set(refs) & plain.done() - top.done()
    boxes: dict[str, list[Detection]] = {}
    for _, found in cell.shelf(cell.recipes.detections, Detection).read(missing):
        boxes.update(grouped(found, Detection))
    for answered, table in plain.read(missing):
        rows = grouped(table, Mask)
        made = [
            row
            for sha256 in answered
            for row in correct_rows(
                rows.get(sha256, []), boxes.get(sha256, []), corrected.by_frame[sha256], refs[sha256].width,
                refs[sha256].height,
            )
        ]  # fmt: skip
        top.append(to_table(made, Mask), answered)
    return top, missing


def write_pictures(store: Store, image: images.RgbImage, mask: Mask, row: ScoredCrop) -> None:
    """The crop's PNG where it may be trained on, and its thumbnail; pictures that are there already are kept."""
    png = store.picture("crops", row.crop_id, ".png")
    thumb = store.picture("thumbs", row.crop_id, ".webp")
    needs_png = row.has_picture and not is_written(png)
    if not needs_png and is_written(thumb):
        return
    rgba = crops.cut_crop(image, mask)
    if needs_png:
        atomic_write_bytes(png, crops.encode_png(rgba), durable=False, recorded=True)
    if not is_written(thumb):
        atomic_write_bytes(thumb, images.thumbnail_webp(rgba), durable=False, recorded=True)


def _segment_again(open_segmenter: Callable[[], Segmenter]) -> Callable[[str], SegmentAgain]:
    """What extracts crops of a frame (by hash) again; the model is opened at the first one, once for all workers."""
    lock = threading.Lock()
    opened: list[Segmenter] = []

    def of_frame(sha256: str) -> SegmentAgain:
        def segment(image: images.RgbImage, boxes: list[Detection]) -> list[Mask]:
            with lock:
                if not opened:
                    opened.append(open_segmenter())
            return segment_subjects(image, sha256, boxes, opened[0])

        return segment

    return of_frame


@_one_at_a_time("scored_crops")
def update_scored_crops(
    cell: Cell, told: StageTold, open_segmenter: Callable[[], Segmenter] | None = None
) -> StageUpdate:
    """Bring `scored_crops` of a cell up to date: score, cut out and write the pictures of what has no score yet.

    The segmenter is opened when the first crop is to be extracted again; without one (a line measured without its
    models) none is.
    """
    started = time.monotonic()
    store = cell.store
    made = store.cell_table("masks", cell.dataset.slug, cell.tracker)
    cell = replace(cell, recipes=as_masks_were_made(cell.recipes, store, cell.dataset.slug, made))
    recipe, settings = cell.recipes.scored_crops, cell.recipes.settings
    frames = _listed_frames(cell)
    version = recipe.version_for(frames.version)
    published = store.cell_table("scored_crops", cell.dataset.slug, cell.tracker)
    if is_complete(published, version):
        return _all_reused(published, told)
    _check_made(cell, "masks", cell.recipes.masks, frames)
    refs = frame_refs(frames, cell.dataset.folder)
    boxes = cell.shelf(cell.recipes.detections, Detection)
    masks = _layers(cell, "masks", Mask)
    shelves = _layers(cell, "scored_crops", ScoredCrop)
    missing = shelves.missing(refs)
    told.begin(len(refs), len(refs) - len(missing))
    segment = None if open_segmenter is None else _segment_again(open_segmenter)

    def inputs(frames: set[str]) -> Iterator[tuple[FrameRef, tuple[list[Detection], list[Mask]]]]:
        for answered, table in masks.read(frames):
            mask_of = grouped(table, Mask)
            box_of: dict[str, list[Detection]] = {}
            for _, found in boxes.read(answered):
                box_of.update(grouped(found, Detection))
            for sha256 in answered:
                yield refs[sha256], (box_of.get(sha256, []), mask_of.get(sha256, []))

    def work(frame: FrameRef, found: tuple[list[Detection], list[Mask]]) -> list[ScoredCrop]:
        detections, mask_list = found
        if not mask_list:
            return []
        image = load_pixels(frame)
        again = None if segment is None else segment(frame.sha256)
        scored = score_with_second_try(image, detections, mask_list, settings.score, settings.refine, again)
        for each in scored:
            write_pictures(store, image, each.mask, each.crop)
        return [each.crop for each in scored]

    filled = Filled()
    for shelf, some in shelves.parts(missing):
        part = fill_shelf(
            shelf, inputs(some), work,
            total=len(some), name=f"{cell.dataset.name}: scored_crops", workers=cell.workers,
            listen=_heard(cell, told, filled.computed),
        )  # fmt: skip
        filled.computed += part.computed
        filled.dropped.update(part.dropped)
    filled.dropped.update(dict.fromkeys(shelves.missing(refs) - set(filled.dropped), "no mask yet"))
    path = store.table_path("scored_crops", cell.dataset.slug, cell.tracker)
    facts = {**cell.facts(), **_corrected_facts(cell)}
    return publish_stage(store, path, shelves, list(refs), recipe, version, filled, started, facts)


def _layers(cell: Cell, stage: str, row_type: type) -> OverlaidShelf:
    """The shelf of masks or scored crops, with that of the corrected frames over it where there are some."""
    below = cell.shelf(_plain(cell, stage), row_type)
    top = cell.shelf(getattr(cell.recipes, stage), row_type) if cell.recipes.corrected else None
    return overlaid(below, top, cell.recipes.corrected)

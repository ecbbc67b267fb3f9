"""What the page of one large crop says: its pictures and overlays, how it came to its score, where it comes from, what
else is known of it, and which crops stand before and behind it.

Templates read these fields and compute nothing. Findings, lineage and what other trackers say have modules of their
own (findings, lineage, elsewhere); the bytes of pictures are in pictures, the list of crops in pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.specs import TrackerSpec
from lora_assets.store import StoreError
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.elsewhere import Elsewhere, Spoken, caption_of, crop_elsewhere, history_or_fault
from lora_assets.tracker.findings import Findings, findings_of
from lora_assets.tracker.lineage import Step, steps_of
from lora_assets.tracker.marking import Said, VerdictBook
from lora_assets.tracker.pages import crop_url, list_url, picture_url, read_choice
from lora_assets.tracker.pictures import FRAME_SIDE, mask_before, original_fault
from lora_assets.tracker.reviewed import ReviewedView
from lora_assets.tracker.segment_page import segment_url
from lora_assets.tracker.view import Choice
from lora_assets.verdicts.record import Box


class CropMissing(LookupError):
    """The tracker has no such crop (any more)."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture to lay over the frame, at its place in pixels of the frame."""

    url: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BoxShown:
    """A box over the frame: left, top and size in pixels of the frame. `kind` is own, neighbour or other (a face, a
    box without a crop)."""

    kind: str
    label: str
    confidence: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another crop of the same frame."""

    url: str
    thumb_url: str
    mask: Overlay
    tier: str
    score: float
    said: Said


@dataclass(frozen=True, slots=True)
class Places:
    """Where the crop stands among those that one came from. Addresses are empty where there is none."""

    position: int
    """from 1"""
    matching: int
    previous_url: str
    next_url: str
    unmarked_url: str
    """the next crop behind this one of which nothing was said when the page was made"""
    unmarked_crop: str
    back_url: str


@dataclass(frozen=True, slots=True)
class CropPage:
    """The page `/tracker/<ID>/crop/<crop_id>`."""

    spec: TrackerSpec
    crop: ScoredCrop
    dataset_name: str
    frame: RawFrame | None
    frame_folder: str
    """the dataset's folder; empty when it is no longer known"""
    detection: Detection | None
    mask: Mask | None
    own_mask: Overlay | None
    boxes: tuple[BoxShown, ...]
    neighbours: tuple[Neighbour, ...]
    cutout_url: str
    """empty when the crop has no stored picture and cannot be drawn"""
    thumb_url: str
    frame_url: str
    """the whole frame, or its thumbnail when the original cannot be shown"""
    whole_url: str
    """the frame with all its pixels; empty when `frame_url` has them"""
    before_url: str
    """the crop's window before refinement, or bare; empty when the original cannot be shown"""
    before_mask: Overlay | None
    frame_fault: str
    """label key that says why the original cannot be shown; empty when it can"""
    findings: Findings
    steps: dict[str, Step]
    places: Places
    said: Said
    history: tuple[Spoken, ...]
    history_fault: str
    elsewhere: tuple[Elsewhere, ...]
    caption: str
    finished: bool
    """false while the crop's stage is still under way"""
    line_width: float
    """width of a drawn box in pixels of the frame"""
    segment_url: str
    """where the mask can be mended by clicks; empty when the original cannot be shown"""


def crop_page(
    cells: Cells, view: ReviewedView, crop_id: str, query: Mapping[str, str], dagster_url: str, book: VerdictBook
) -> CropPage:
    """The page of one crop. Raises CropMissing when the tracker does not have it, StoreError for a damaged table."""
    number = _row_number(view, crop_id, query)
    row = view.rows([number])[0]
    cell = next(cell for cell in view.cells if cell.dataset == row["dataset"])
    crops = cells.rows(cell.scored_crops, ScoredCrop, row["frame_sha256"]) if cell.scored_crops else []
    crop = next((crop for crop in crops if crop.detection_id == row["detection_id"]), None)
    if crop is None or cell.scored_crops is None:
        raise CropMissing(crop_id)
    tracker, sha256 = view.spec.id, crop.frame_sha256
    choice = read_choice(query, view)
    frame = _first(cells.rows(cell.frames, RawFrame, sha256, "sha256")) if cell.frames else None
    detections = cells.rows(cell.detections, Detection, sha256) if cell.detections else []
    masks = {m.detection_id: m for m in cells.rows(cell.masks, Mask, sha256)} if cell.masks else {}
    file = view.frames.get(sha256)
    fault = original_fault(file, sha256) if file else "missing.gone"
    detection = next((d for d in detections if d.detection_id == crop.detection_id), None)
    box = (detection.x1, detection.y1, detection.x2, detection.y2) if detection else None
    history, history_fault = history_or_fault(book, crop.crop_id, sha256, box)
    return CropPage(
        spec=view.spec,
        crop=crop,
        dataset_name=cell.name,
        frame=frame,
        frame_folder=str(cell.folder) if cell.folder else "",
        detection=detection,
        mask=masks.get(crop.detection_id),
        own_mask=_overlay(tracker, "mask", crop, masks),
        boxes=_boxes(detections, crop, {other.detection_id for other in crops}),
        neighbours=_neighbours(view, cell, crop, crops, masks, choice),
        cutout_url="" if fault and not crop.has_picture else picture_url(tracker, "cutout", crop.crop_id, ".png"),
        thumb_url=picture_url(tracker, "thumb", crop.crop_id, ".webp"),
        frame_url=picture_url(tracker, *(("frame-thumb", sha256, ".webp") if fault else ("frame", sha256, ".jpg"))),
        whole_url=""
        if fault or frame is None or max(frame.width or 0, frame.height or 0) <= FRAME_SIDE
        else picture_url(tracker, "whole", sha256, ".jpg"),
        before_url="" if fault else picture_url(tracker, "before", crop.crop_id, ".png"),
        before_mask=_before(tracker, crop, mask_before(cells, cell.masks, crop)),
        frame_fault=fault,
        findings=findings_of(crop, cell.scored_crops.facts),
        steps=steps_of(cells.data, view.spec, cell, dagster_url),
        places=_places(view, number, choice),
        said=view.said(crop.crop_id),
        history=history,
        history_fault=history_fault,
        elsewhere=_elsewhere(cells, book, tracker, crop, box),
        caption=caption_of(cells, tracker, crop.crop_id),
        finished=not cell.scored_crops.facts.get("unfinished"),
        line_width=max(frame.width or 1, frame.height or 1) / 400 if frame else 1.0,
        segment_url="" if fault else segment_url(tracker, sha256, crop.detection_id, crop.crop_id),
    )


def _row_number(view: ReviewedView, crop_id: str, query: Mapping[str, str]) -> int:
    """The row that the address means: the named box of the named dataset, else the first with these pixels."""
    numbers = view.rows_of.get(crop_id)
    if not numbers:
        raise CropMissing(crop_id)
    for number, row in zip(numbers, view.rows(numbers), strict=True):
        if row["dataset"] == query.get("in") and row["detection_id"] == query.get("box"):
            return number
    return numbers[0]


# --- pictures --------------------------------------------------------------------------------------------------------


def _overlay(tracker: str, kind: str, crop: ScoredCrop, masks: Mapping[str, Mask]) -> Overlay | None:
    """The mask that the crop was cut with: the second one where it was extracted again and that one was kept."""
    mask = masks.get(crop.detection_id)
    if mask is None:
        return None
    if crop.second_window is not None and crop.second_rle is not None:
        x, y, width, height = (int(value) for value in crop.second_window)
    else:
        x, y, width, height = mask.x, mask.y, mask.width, mask.height
    return Overlay(picture_url(tracker, kind, crop.crop_id, ".png"), x, y, width, height)


def _before(tracker: str, crop: ScoredCrop, mask: Mask | None) -> Overlay | None:
    if mask is None:
        return None
    url = picture_url(tracker, "mask-before", crop.crop_id, ".png")
    return Overlay(url, mask.x, mask.y, mask.width, mask.height)


def _boxes(detections: Sequence[Detection], crop: ScoredCrop, with_crop: set[str]) -> tuple[BoxShown, ...]:
    """All boxes of the frame, the crop's own last, so that it lies on top."""
    shown = []
    for one in sorted(detections, key=lambda one: one.detection_id == crop.detection_id):
        own = one.detection_id == crop.detection_id
        kind = "own" if own else "neighbour" if one.detection_id in with_crop else "other"
        size = (one.x2 - one.x1, one.y2 - one.y1)
        shown.append(BoxShown(kind, one.label, one.confidence, one.x1, one.y1, *size))
    return tuple(shown)


def _neighbours(
    view: ReviewedView,
    cell: Cell,
    crop: ScoredCrop,
    crops: Sequence[ScoredCrop],
    masks: Mapping[str, Mask],
    choice: Choice,
) -> tuple[Neighbour, ...]:
    found = []
    for other in crops:
        overlay = _overlay(view.spec.id, "neighbour", other, masks)
        if other.detection_id == crop.detection_id or overlay is None:
            continue
        row = {"dataset": cell.dataset, "detection_id": other.detection_id, "crop_id": other.crop_id}
        found.append(
            Neighbour(
                url=crop_url(view.spec.id, row, choice),
                thumb_url=picture_url(view.spec.id, "thumb", other.crop_id, ".webp"),
                mask=overlay,
                tier=other.tier,
                score=other.score,
                said=view.said(other.crop_id),
            )
        )
    return tuple(found)


# --- before and behind -----------------------------------------------------------------------------------------------


def _orders(view: ReviewedView, choice: Choice) -> list[tuple[Choice, npt.NDArray[np.int64]]]:
    """The orders that the crop is looked for in: as the grid shows it, with alike crops unfolded, and all crops."""
    order = view.order(choice)
    shown = [] if choice.unfolded or not view.has_groups else [(choice, view.folded(order)[0])]
    everything = Choice(sort=choice.sort)
    return [*shown, (choice, order), (everything, view.order(everything))]


def _places(view: ReviewedView, number: int, choice: Choice) -> Places:
    tracker = view.spec.id
    for tried, order in _orders(view, choice):
        found = np.flatnonzero(order == number)
        if not len(found):
            continue
        position = int(found[0])
        behind = order[position + 1 :]
        unmarked = behind[view.marks.codes[behind] == 0]
        wanted = [order[position - 1 : position] if position else [], behind[:1], unmarked[:1], [number]]
        rows = [view.rows(numbers)[0] if len(numbers) else None for numbers in wanted]
        urls = [crop_url(tracker, row, tried) if row else "" for row in rows[:3]]
        key = f"{rows[3]['dataset']}-{rows[3]['detection_id']}" if rows[3] else ""
        return Places(
            position=position + 1,
            matching=len(order),
            previous_url=urls[0],
            next_url=urls[1],
            unmarked_url=urls[2],
            unmarked_crop=rows[2]["crop_id"] if rows[2] else "",
            back_url=list_url(tracker, tried, position, key),
        )
    raise StoreError(f"row {number} of tracker {tracker} is in no order: reload the page")


def _elsewhere(
    cells: Cells, book: VerdictBook, tracker: str, crop: ScoredCrop, box: Box | None
) -> tuple[Elsewhere, ...]:
    return crop_elsewhere(cells, book, tracker, crop.crop_id, crop.frame_sha256, box) if box else ()


def _first(rows: list[Any]) -> Any:
    return rows[0] if rows else None

"""What the page of clicking says: the frame, the boxes that a mask may be meant for, annotated sets, and what was
corrected in it already; and the list of a tracker's corrections.

Templates read these fields and compute nothing. How clicks are answered is in clicking, the routes in routes_segment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from lora_assets.specs import TrackerSpec
from lora_assets.tables import Detection, RawFrame
from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.pages import picture_url
from lora_assets.tracker.pictures import FRAME_SIDE, PictureMissing, original_fault
from lora_assets.tracker.view import FrameFile, TrackerView
from lora_assets.vision.prompt_limits import MOST_POINTS

if TYPE_CHECKING:
    from lora_assets.verdicts.corrections import Kept

_SET_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Subject:
    """A box of the frame that has a mask; `chosen` is the one that the person came from."""

    detection_id: str
    label: str
    confidence: float
    box: tuple[float, float, float, float]
    chosen: bool


@dataclass(frozen=True, slots=True)
class CorrectionShown:
    """A correction as a list shows it. `at` is seconds since 1970. `standing` until it is withdrawn; `applies` to a box
    of this tracker, or `reason` says why not; `frame_url` is empty when the tracker does not have the frame."""

    id: str
    at: float
    frame_sha256: str
    path: str
    category: str
    model: str
    tracker: str
    thumb_url: str
    frame_url: str
    standing: bool
    applies: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentPage:
    """The page `/tracker/<ID>/segment/<frame>`."""

    spec: TrackerSpec
    frame_sha256: str
    path: str
    dataset: str
    dataset_name: str
    width: int
    height: int
    most_points: int
    frame_url: str
    api_url: str
    withdraw_url: str
    list_url: str
    back_url: str
    """the crop that one came from, or the tracker"""
    subjects: tuple[Subject, ...]
    subjects_json: str
    sets: tuple[str, ...]
    categories: tuple[str, ...]
    corrections: tuple[CorrectionShown, ...]


@dataclass(frozen=True, slots=True)
class CorrectionsPage:
    """The page `/tracker/<ID>/corrections`: standing ones first, newest first."""

    spec: TrackerSpec
    corrections: tuple[CorrectionShown, ...]
    standing: int
    unmatched: int
    withdraw_url: str


def segment_url(tracker: str, frame: str, detection: str = "", crop: str = "") -> str:
    """The address of the page of a frame, for one of its boxes."""
    told = {name: value for name, value in (("box", detection), ("crop", crop)) if value}
    return f"/tracker/{quote(tracker)}/segment/{frame}" + (f"?{urlencode(told)}" if told else "")


def frame_file(view: TrackerView, frame: str) -> tuple[FrameFile, Path]:
    """Where a frame's original lies. Raises PictureMissing when the tracker does not have it, or it is gone."""
    file = view.frames.get(frame)
    if file is None:
        raise PictureMissing("missing.picture")
    inner = PurePosixPath(file.path)
    if file.folder is None or inner.is_absolute() or ".." in inner.parts:
        raise PictureMissing("missing.gone")
    return file, Path(file.folder) / inner


def cell_of(view: TrackerView, dataset: str) -> Cell:
    """The cell of a dataset of the view."""
    return next(cell for cell in view.cells if cell.dataset == dataset)


def subjects_of(cells: Cells, view: TrackerView, frame: str, chosen: str = "") -> list[Subject]:
    """The boxes of a frame that masks are made for."""
    table = cell_of(view, view.frames[frame].dataset).detections
    rows = cells.rows(table, Detection, frame) if table else []
    return [
        Subject(row.detection_id, row.label, row.confidence, (row.x1, row.y1, row.x2, row.y2),
                row.detection_id == chosen)
        for row in rows
        if row.is_subject
    ]  # fmt: skip


def segment_page(cells: Cells, view: TrackerView, frame: str, query: Mapping[str, str]) -> SegmentPage:
    """The page of a frame. Raises PictureMissing when the tracker does not have it or its original cannot be shown,
    StoreError for a damaged table."""
    file, _ = frame_file(view, frame)
    if fault := original_fault(file, frame):
        raise PictureMissing(fault)
    cell = cell_of(view, file.dataset)
    rows = cells.rows(cell.frames, RawFrame, frame, "sha256") if cell.frames else []
    size = next(((row.width, row.height) for row in rows if row.width and row.height), None)
    if size is None:
        raise PictureMissing("missing.gone")
    tracker, crop = view.spec.id, query.get("crop", "")
    back = f"/tracker/{quote(tracker)}"
    if crop in view.rows_of:
        back += f"/crop/{crop}?" + urlencode({"in": file.dataset, "box": query.get("box", "")})
    subjects = tuple(subjects_of(cells, view, frame, query.get("box", "")))
    told = [{"id": one.detection_id, "box": list(one.box)} for one in subjects]
    kind = "whole" if max(size) > FRAME_SIDE else "frame"
    return SegmentPage(
        spec=view.spec,
        frame_sha256=frame,
        path=file.path,
        dataset=file.dataset,
        dataset_name=file.dataset_name,
        width=size[0],
        height=size[1],
        most_points=MOST_POINTS,
        frame_url=picture_url(tracker, kind, frame, ".jpg"),
        api_url=f"/api/tracker/{quote(tracker)}/segment/{frame}",
        withdraw_url=f"/api/tracker/{quote(tracker)}/corrections/withdraw",
        list_url=f"/tracker/{quote(tracker)}/corrections",
        back_url=back,
        subjects=subjects,
        subjects_json=json.dumps(told),
        sets=annotated_sets(cells.data),
        categories=_categories(),
        corrections=tuple(shown for shown in _shown(cells, view) if shown.frame_sha256 == frame),
    )


def annotated_sets(data: Path) -> tuple[str, ...]:
    """The names of the annotated sets under `data/annotations`."""
    folder = data / "annotations"
    return tuple(sorted(p.name for p in folder.glob("*/") if p.is_dir() and _SET_NAME.fullmatch(p.name)))


def _categories() -> tuple[str, ...]:
    from lora_assets.annotations.categories import CATEGORIES

    return tuple(category.name for category in CATEGORIES)


def corrections_page(cells: Cells, view: TrackerView) -> CorrectionsPage:
    """The list of a tracker's corrections. Raises VerdictError when their log cannot be used."""
    shown = sorted(_shown(cells, view), key=lambda one: one.at, reverse=True)
    standing = [one for one in shown if one.standing]
    return CorrectionsPage(
        spec=view.spec,
        corrections=(*standing, *(one for one in shown if not one.standing)),
        standing=len(standing),
        unmatched=sum(not one.applies for one in standing),
        withdraw_url=f"/api/tracker/{quote(view.spec.id)}/corrections/withdraw",
    )


def _shown(cells: Cells, view: TrackerView) -> list[CorrectionShown]:
    """The corrections of the tracker's frames, and those said on its pages whose frame it does not have (any more)."""
    from lora_assets.verdicts.corrections import match_corrections, read_corrections, standing

    kept, _ = read_corrections(cells.data)
    here = [one for one in kept if one.correction.frame_sha256 in view.frames or one.correction.tracker == view.spec.id]
    boxes: dict[str, list[tuple[str, Any]]] = {}
    for frame in {one.correction.frame_sha256 for one in here} & set(view.frames):
        boxes[frame] = [(subject.detection_id, subject.box) for subject in subjects_of(cells, view, frame)]
    applied = match_corrections(standing(here), boxes)
    taken = {one.seq for one in applied.by_box.values()}
    reasons = {one.seq: reason for one, reason in applied.unmatched}
    return [_correction_shown(view, one, one.seq in taken, reasons.get(one.seq, "")) for one in here]


def _correction_shown(view: TrackerView, kept: Kept, applies: bool, reason: str) -> CorrectionShown:
    one, tracker = kept.correction, view.spec.id
    file = view.frames.get(one.frame_sha256)
    return CorrectionShown(
        id=one.id,
        at=datetime.fromisoformat(kept.at).timestamp(),
        frame_sha256=one.frame_sha256,
        path=file.path if file else "",
        category=one.category,
        model=one.model,
        tracker=one.tracker,
        thumb_url=picture_url(tracker, "frame-thumb", one.frame_sha256, ".webp") if file else "",
        frame_url=segment_url(tracker, one.frame_sha256) if file else "",
        standing=not kept.withdrawn_at,
        applies=applies,
        reason=reason,
    )

"""Routes of clicking: the page of a frame, its candidates, and what a person accepts: the mask of a crop, or a new
annotation for the next training; the list of a tracker's corrections.

A mask that is unlike the crop that it is meant for is answered 409, and kept when it comes again with `sure`.
A correction is answered only after its log has it on disk. 422: the request does not fit; 503 (and 507): the same may
work later. That a request comes from a page of this server is seen to by the guard.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lora_assets.tracker.clicking import Clicker, ClickingFailed, ClickRefused
from lora_assets.tracker.pictures import PictureMissing
from lora_assets.tracker.request_bodies import json_object, read_body, request_id
from lora_assets.tracker.routes_pictures import digest_in_address
from lora_assets.tracker.segment_page import (
    Subject,
    cell_of,
    corrections_page,
    frame_file,
    segment_page,
    subjects_of,
)
from lora_assets.tracker.site import Site
from lora_assets.tracker.view import TrackerView
from lora_assets.verdicts.append_only import backed_up_daily
from lora_assets.vision.prompt_limits import MOST_POINTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_RUNS = 400_000
"""Run lengths of an accepted mask: two for each column of a frame of 8K, with room for fringes."""
LEAST_INSIDE, LEAST_IOU = 0.5, 0.2
"""A person is asked before a mask is kept of which less lies in the crop's box, or that has less in common with the
mask that the crop has: it is likely meant for another one."""
_MOST_BYTES = 4 * 1024 * 1024
_LONGEST_SIDE = 1_000_000


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""
    app.state.clicker = Clicker(site.data)

    def clicker() -> Clicker:
        return app.state.clicker

    @app.get("/tracker/{tracker}/segment/{frame}")
    def segment(request: Request, tracker: str, frame: str) -> Response:
        page = segment_page(site.cells, site.tables_view(tracker), digest_in_address(frame), request.query_params)
        return site.page(request, "segment.html", page=page)

    @app.get("/tracker/{tracker}/corrections")
    def corrections(request: Request, tracker: str) -> Response:
        return site.page(request, "corrections.html", page=corrections_page(site.cells, site.tables_view(tracker)))

    @app.post("/api/tracker/{tracker}/segment/{frame}/open")
    def open_picture(tracker: str, frame: str) -> Response:
        _, path = _original(site, tracker, frame)
        return _clicked(lambda: clicker().open(tracker, frame, path))

    @app.post("/api/tracker/{tracker}/segment/{frame}/ask")
    async def ask(request: Request, tracker: str, frame: str) -> Response:
        prompt = _prompt(await _told(request))

        def answer() -> Response:
            path = _clicked_file(site, tracker, frame)
            return _clicked(lambda: clicker().ask(tracker, frame, path, prompt))

        return await run_in_threadpool(answer)

    @app.post("/api/tracker/{tracker}/segment/{frame}/correction")
    async def correct(request: Request, tracker: str, frame: str) -> Response:
        told = await _told(request)
        try:
            return await run_in_threadpool(lambda: _kept(site, tracker, frame, told))
        except UnlikeMask as unlike:
            asked = {"inside": round(unlike.inside, 3), "iou": None if unlike.iou is None else round(unlike.iou, 3)}
            return JSONResponse({"error": f"{unlike}: send it again with sure", "unlike": asked}, 409)

    @app.post("/api/tracker/{tracker}/segment/{frame}/annotation")
    async def annotate(request: Request, tracker: str, frame: str) -> Response:
        told = await _told(request)
        return await run_in_threadpool(lambda: _annotated(site, tracker, frame, told))

    @app.post("/api/tracker/{tracker}/corrections/withdraw")
    async def withdraw(request: Request, tracker: str) -> Response:
        told = await _told(request)

        def save() -> Response:
            from lora_assets.verdicts.corrections import CorrectionLog, corrections_path

            site.cells.spec(tracker)
            if not corrections_path(site.data).exists():
                raise HTTPException(422, "nothing has been corrected yet")
            with CorrectionLog(corrections_path(site.data)) as log:
                kept = log.withdraw(_text(told, "id", 200), tracker)
                backed_up_daily(log)
            return JSONResponse({"id": kept.id, "withdrawn_at": kept.withdrawn_at})

        return await run_in_threadpool(save)


def _original(site: Site, tracker: str, frame: str) -> Any:
    """The frame's file; 404 in words when the tracker does not have it or it is gone."""
    try:
        return frame_file(site.tables_view(tracker), digest_in_address(frame))
    except PictureMissing as error:
        raise HTTPException(404, "this tracker has no such frame, or its original is gone") from error


def _clicked_file(site: Site, tracker: str, frame: str) -> Path:
    """As `_original` gives it, without a look at the tracker's tables where its last view has the frame: the clicking
    process compares the file's bytes with the hash when it embeds them."""
    last = site.last_view(tracker)
    if last is not None and frame in last.frames:
        try:
            return frame_file(last, frame)[1]
        except PictureMissing:
            pass
    return _original(site, tracker, frame)[1]


def _clicked(answer: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(answer())
    except ClickRefused as error:
        return JSONResponse({"error": str(error)}, 422 if error.prompt else 409)
    except ClickingFailed as error:
        return JSONResponse({"error": str(error)}, 503)


def _kept(site: Site, tracker: str, frame: str, told: dict[str, Any]) -> Response:
    """Take an accepted mask as a correction: of the box that is named, else of the mask's own bounds. `applies` tells
    whether a run of this tracker can take it: a mask that no box overlaps is kept, and of no use to it."""
    from lora_assets.verdicts.corrections import CorrectionLog, correction_of_mask, corrections_path, match_corrections
    from lora_assets.vision.masks import mask_bounds

    file, _ = _original(site, tracker, frame)
    view = site.tables_view(tracker)
    mask = _mask(site, view, frame, told)
    named = told.get("detection") or ""
    subjects = subjects_of(site.cells, view, frame)
    subject = next((one for one in subjects if one.detection_id == named), None)
    if named and subject is None:
        raise HTTPException(422, "this frame has no such box any more: reload the page")
    x, y, width, height = mask_bounds(mask) or (0, 0, 1, 1)
    rows, columns = mask.shape
    if subject is not None and told.get("sure") is not True:
        _ask_if_unlike(site, view, frame, mask, subject)
    box = subject.box if subject else (float(x), float(y), float(x + width), float(y + height))
    inner = (max(0.0, box[0]), max(0.0, box[1]), min(float(columns), box[2]), min(float(rows), box[3]))
    correction = correction_of_mask(
        mask, id=request_id(told), tracker=tracker, dataset=file.dataset, frame_sha256=frame, box=inner,
        category=_text(told, "category", 100), model=_text(told, "model", 200),
    )  # fmt: skip
    with CorrectionLog(corrections_path(site.data)) as log:
        kept = log.append(correction)
        backed_up_daily(log)
    applied = match_corrections([kept], {frame: [(one.detection_id, one.box) for one in subjects]})
    told_back = {"id": kept.id, "at": kept.at, "withdrawn_at": kept.withdrawn_at, "sealed": view.spec.sealed}
    return JSONResponse({**told_back, "applies": bool(applied.by_box)})


class UnlikeMask(ValueError):
    """An accepted mask is so unlike the crop it is meant for that the person is asked once more. `inside`: share of the
    mask in the crop's box; `iou` with the mask that the crop has, None where it has none."""

    def __init__(self, inside: float, iou: float | None) -> None:
        super().__init__(f"{inside:.0%} of this mask lies in the crop's box")
        self.inside = inside
        self.iou = iou


def _ask_if_unlike(site: Site, view: TrackerView, frame: str, mask: npt.NDArray[np.bool_], subject: Subject) -> None:
    """Raise UnlikeMask when a mask lies mostly outside the box, or has little in common with the crop's mask now."""
    import numpy as np

    from lora_assets.tables import Mask
    from lora_assets.vision.masks import mask_iou, window_pixels

    x1, y1, x2, y2 = (max(0, round(side)) for side in subject.box)
    area = int(np.count_nonzero(mask))
    inside = int(np.count_nonzero(mask[y1:y2, x1:x2])) / area
    table = cell_of(view, view.frames[frame].dataset).masks
    rows = site.cells.rows(table, Mask, frame) if table else []
    row = next((row for row in rows if row.detection_id == subject.detection_id), None)
    iou = None
    if row is not None and row.area:
        now = window_pixels(row, (0, 0, mask.shape[1], mask.shape[0]))
        iou = mask_iou(mask, now)
    if inside < LEAST_INSIDE or (iou is not None and iou < LEAST_IOU):
        raise UnlikeMask(inside, iou)


def _annotated(site: Site, tracker: str, frame: str, told: dict[str, Any]) -> Response:
    """Take an accepted mask as an annotation of a set under `data/annotations`."""
    from lora_assets.annotations.growing import add_annotation
    from lora_assets.annotations.places import check_name
    from lora_assets.annotations.records import AnnotationError

    file, path = _original(site, tracker, frame)
    mask = _mask(site, site.tables_view(tracker), frame, told)
    content = _frame_bytes(path, frame)
    try:
        root = site.data / "annotations" / check_name(_text(told, "set", 64), "the annotated set")
        category = _text(told, "category", 100)
        made = add_annotation(root, content, mask, category, name=path.stem, title=file.dataset, new_category=True)
    except AnnotationError as error:
        raise HTTPException(422, str(error)) from error
    return JSONResponse({"set": root.name, "annotation": made.id, "image": made.image_id})


def _frame_bytes(path: Path, frame: str) -> bytes:
    """The bytes of a frame's file; 409 when they are no longer those that were clicked on."""
    from lora_assets.vision.images import ImageRefused, read_file

    try:
        content = read_file(path)
    except ImageRefused as error:
        raise HTTPException(409, f"{path.name}: {error}") from error
    if hashlib.sha256(content).hexdigest() != frame:
        reason = "changed after it was listed: run the pipeline, then click on what is there"
        raise HTTPException(409, f"{path.name} {reason}")
    return content


# --- what a request may say ------------------------------------------------------------------------------------------


async def _told(request: Request) -> dict[str, Any]:
    way_out = "click fewer points, or accept a smaller mask"
    return json_object(await read_body(request, _MOST_BYTES, way_out), '{"points": [[x, y]], "labels": [1]}')


def _prompt(told: dict[str, Any]) -> dict[str, Any]:
    """The prompt of a request; what only the picture's size tells is seen to where it is answered."""
    points, labels, box, after = (told.get(name) for name in ("points", "labels", "box", "after"))
    points, labels = points or [], labels or []
    if not isinstance(points, list) or not isinstance(labels, list) or len(points) != len(labels):
        raise HTTPException(422, "give points as [x, y] and as many labels")
    if len(points) > MOST_POINTS:
        raise HTTPException(422, f"more than {MOST_POINTS} points: draw a box instead")
    if not all(isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points):
        raise HTTPException(422, "a point is [x, y] in finite pixels of the frame")
    if not all(type(label) is int and label in (0, 1) for label in labels):
        raise HTTPException(422, "a label is 1 (belongs to it) or 0 (does not)")
    if box is not None and not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        raise HTTPException(422, "a box is [x1, y1, x2, y2] in finite pixels of the frame")
    if box is None and 1 not in labels:
        raise HTTPException(422, "click on what belongs to it, or draw a box")
    if after is not None and not (isinstance(after, list) and len(after) == 2 and all(type(n) is int for n in after)):
        raise HTTPException(422, "after is [answer, candidate]")
    return {"points": points, "labels": labels, "box": box, "after": after}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LONGEST_SIDE and math.isfinite(value)


def _text(told: dict[str, Any], name: str, longest: int) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise HTTPException(422, f"{name} is a text of at most {longest} characters")
    # Japanese is written with a space of its own, which Python counts among the signs that do not print.
    if not value.replace("\u3000", " ").isprintable():
        raise HTTPException(422, f"{name} holds a sign that does not print (a line break, say): type it again")
    return value


def _mask(site: Site, view: Any, frame: str, told: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """The accepted mask in its whole frame (H,W), from its window and run lengths."""
    import numpy as np

    from lora_assets.run_lengths import mask_of_runs
    from lora_assets.tables import RawFrame

    window, runs = told.get("window"), told.get("runs")
    if not isinstance(window, list) or len(window) != 4 or not all(type(n) is int for n in window):
        raise HTTPException(422, "window is [x, y, width, height] in whole pixels")
    if not isinstance(runs, list) or len(runs) > MOST_RUNS or not all(type(n) is int and n >= 0 for n in runs):
        raise HTTPException(422, f"runs are at most {MOST_RUNS:,} whole numbers")
    table = cell_of(view, view.frames[frame].dataset).frames
    rows = site.cells.rows(table, RawFrame, frame, "sha256") if table else []
    columns, lines = next(((row.width, row.height) for row in rows if row.width and row.height), (0, 0))
    x, y, width, height = window
    if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > lines:
        raise HTTPException(422, f"the window does not lie in the frame of {columns} x {lines} pixels")
    # Before anything of that size is made: a sum of large counts must not become memory.
    if sum(runs) != width * height:
        raise HTTPException(422, "the run lengths do not fill their window")
    mask = np.zeros((lines, columns), np.bool_)
    mask[y : y + height, x : x + width] = mask_of_runs(runs, height, width)
    if not mask.any():
        raise HTTPException(422, "the mask is empty: click on what belongs to it, then accept again")
    return mask

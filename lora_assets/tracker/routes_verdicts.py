"""Routes by which verdicts are said, undone, followed by other tabs, exported and imported.

A mark is answered only after the log has it on disk. Marks of crops that the tracker does not have are `refused`, each
with the reason in words, and the others of the request are saved; 503 and 507 mean that the same may work later.
That a request comes from a page of this server is seen to by the guard; what a verdict is, and how it finds its crop,
is in verdicts and marking.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from lora_assets.tracker.marking import Answer, Change, TrackerMarks, as_json
from lora_assets.tracker.request_bodies import json_object, read_body, request_id
from lora_assets.tracker.site import Site
from lora_assets.verdicts import VerdictError
from lora_assets.verdicts.log import keep_backup, try_daily_backup
from lora_assets.verdicts.record import CLEARED, NOTE_LIMIT, VALUES

MOST_MARKS = 2_000
"""Of one request; a script sends more of one action in several requests with the same id."""
_MOST_BYTES = 1024 * 1024
_MOST_IMPORTED_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)
_CROP_ID = re.compile(r"[0-9a-f]{8,64}")


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    backed_up: set[date] = set()

    def back_up() -> None:
        """Once a day, with the first mark; a backup that fails is told and holds no mark up."""
        today = datetime.now(UTC).date()
        if today not in backed_up:
            backed_up.add(today)
            if problem := try_daily_backup(site.reviews.book.log()):
                _log.warning("no backup of the verdicts today: %s", problem)

    @app.get("/api/tracker/{tracker}/verdicts")
    def verdicts(tracker: str, since: int = 0, epoch: str = "") -> Response:
        marks = site.reviews.marks(site.cells.spec(tracker))
        if marks.fault:
            return JSONResponse({"error": marks.fault}, 503)
        news = marks.news(since if epoch == marks.epoch else 0)
        told = {"seq": news.seq, "epoch": marks.epoch, "all": not news.after, "crops": as_json(news.crops)}
        return JSONResponse(told)

    @app.post("/api/tracker/{tracker}/verdicts")
    async def mark(request: Request, tracker: str) -> Response:
        told = await _told(request)
        name, changes = request_id(told), _changes(told)

        def save() -> Response:
            marks = site.reviews.marks(site.cells.spec(tracker))
            answer = _answer(marks, marks.mark(name, changes))
            back_up()
            return answer

        return await run_in_threadpool(save)

    @app.post("/api/tracker/{tracker}/verdicts/undo")
    async def undo(request: Request, tracker: str) -> Response:
        name = request_id(await _told(request))

        def save() -> Response:
            marks = site.reviews.marks(site.cells.spec(tracker))
            return _answer(marks, marks.undo(name))

        return await run_in_threadpool(save)

    @app.get("/api/verdicts.jsonl")
    def export() -> Response:
        site.reviews.book.follow()
        rows = site.reviews.book.log().export_lines() if site.reviews.book.seq else ()
        name = f"verdicts-{datetime.now(UTC):%Y-%m-%d}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        content = "".join(f"{line}\n" for line in rows)
        return Response(content, media_type="application/x-ndjson; charset=utf-8", headers=headers)

    @app.post("/api/verdicts/import")
    async def import_(request: Request) -> Response:
        way_out = "import a large file with `lora-assets verdicts import`"
        content = await read_body(request, _MOST_IMPORTED_BYTES, way_out)
        try:
            # A note may hold U+2028 and the like, at which splitlines would part its line.
            lines = content.decode().split("\n")
        except UnicodeDecodeError as error:
            raise VerdictError("this file is not UTF-8 text: choose one that was exported here") from error

        def save() -> Response:
            followed = site.reviews.book.follow()
            log = site.reviews.book.log()
            if followed:
                keep_backup(log)
            count = log.import_lines(lines)
            return JSONResponse({"added": count.added, "known": count.known})

        return await run_in_threadpool(save)


async def _told(request: Request) -> dict[str, Any]:
    way_out = (
        f"mark fewer crops at once, shorten the note (at most {NOTE_LIMIT:,} characters), or import a large file with "
        "`lora-assets verdicts import`"
    )
    return json_object(await read_body(request, _MOST_BYTES, way_out), '{"request_id": ..., "marks": [...]}')


def _changes(told: dict[str, Any]) -> list[Change]:
    marks = told.get("marks")
    if not isinstance(marks, list) or not 1 <= len(marks) <= MOST_MARKS:
        raise VerdictError(f"marks must be a list of 1 to {MOST_MARKS:,} marks")
    changes = [_change(mark) for mark in marks]
    if len({change.crop_id for change in changes}) < len(changes):
        raise VerdictError("a crop is named twice in one request")
    return changes


def _change(mark: Any) -> Change:
    """One mark of a request; what it does not name stays as it is. Notes and values are checked by the log."""
    if not isinstance(mark, dict) or not set(mark) <= {"crop", "value", "stars", "note"} or len(mark) < 2:
        raise VerdictError("a mark holds crop, and of value, stars and note what is to change")
    crop, value, stars, note = (mark.get(name) for name in ("crop", "value", "stars", "note"))
    if not isinstance(crop, str) or not _CROP_ID.fullmatch(crop):
        raise VerdictError(f"crop {str(crop)[:80]!r} is no id of a crop")
    if "value" in mark and value not in VALUES:
        raise VerdictError(f"verdict {str(value)[:80]!r} is unknown: use {', '.join(VALUES)}")
    if value == CLEARED and not {"stars", "note"} & set(mark):
        return Change(crop, CLEARED, 0, "")
    if stars is not None and (type(stars) is not int or not 1 <= stars <= 5):
        raise VerdictError(f"{str(stars)[:80]!r} stars: give 1 to 5, or null for none")
    if "note" in mark and not isinstance(note, str):
        raise VerdictError("the note must be a text")
    return Change(crop, value, (stars or 0) if "stars" in mark else None, note)


def _answer(marks: TrackerMarks, answer: Answer) -> Response:
    told = {
        "seq": answer.seq,
        "epoch": marks.epoch,
        "crops": as_json(answer.now),
        "previous": as_json(answer.before),
        "refused": answer.refused,
    }
    return JSONResponse(told)

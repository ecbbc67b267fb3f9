"""Routes of every picture. A picture is known by a digest of its content, so that a browser may keep it for good; but
what lay before refinement is read from a shelf, which can be cleared and filled again, and is not kept."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lora_assets.tracker.headers import KEPT_FOR_GOOD, NOT_KEPT
from lora_assets.tracker.pictures import (
    FRAME_SIDE,
    NEIGHBOUR_COLOUR,
    PictureMissing,
    before_cutout_png,
    before_mask_png,
    cutout_png,
    frame_jpeg,
    mask_png,
    stored_picture,
)
from lora_assets.tracker.site import Site
from lora_assets.tracker.view import TrackerView

_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_PICTURE_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}


def digest_in_address(text: str) -> str:
    """The text when it is a digest; else the answer is 404."""
    if not _DIGEST.fullmatch(text):
        raise HTTPException(404)
    return text


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    def picture(
        tracker: str, name: str, suffix: str, make: Callable[[TrackerView, str], bytes], kept: str = KEPT_FOR_GOOD
    ) -> Response:
        content = make(site.tables_view(tracker), digest_in_address(name))
        return Response(content, media_type=_PICTURE_TYPES[suffix], headers={"Cache-Control": kept})

    def known_crop(view: TrackerView, name: str) -> str:
        if name not in view.rows_of:
            raise PictureMissing("missing.picture")
        return name

    def stored(kind: str, named: Callable[[TrackerView], Container[str]]) -> Callable[[Request], Awaitable[Response]]:
        """A route of a picture that a stage wrote. A page asks for dozens at once: what the tracker's last view names
        is served without looking at its tables again, since a digest never comes to mean another picture."""

        def find(tracker: str, name: str) -> bytes:
            last = site.last_view(tracker)
            if last is None or name not in named(last):
                name = digest_in_address(name)
                if name not in named(site.tables_view(tracker)):
                    raise PictureMissing("missing.picture")
            return stored_picture(site.cells, kind, name, ".webp")

        async def answer(request: Request) -> Response:
            told = request.path_params
            content = await run_in_threadpool(find, told["tracker"], told["name"])
            return Response(content, media_type="image/webp", headers={"Cache-Control": KEPT_FOR_GOOD})

        return answer

    # Starlette's own routes: FastAPI's reading of parameters would be a third of the cost.
    app.add_route("/tracker/{tracker}/thumb/{name}.webp", stored("thumbs", lambda view: view.rows_of))
    app.add_route("/tracker/{tracker}/frame-thumb/{name}.webp", stored("frame_thumbs", lambda view: view.frames))

    @app.get("/tracker/{tracker}/cutout/{name}.png")
    def cutout(tracker: str, name: str) -> Response:
        return picture(tracker, name, ".png", lambda view, name: cutout_png(site.cells, view, known_crop(view, name)))

    @app.get("/tracker/{tracker}/mask/{name}.png")
    def mask(tracker: str, name: str) -> Response:
        return picture(tracker, name, ".png", lambda view, name: mask_png(site.cells, view, known_crop(view, name)))

    @app.get("/tracker/{tracker}/neighbour/{name}.png")
    def neighbour(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            return mask_png(site.cells, view, known_crop(view, name), NEIGHBOUR_COLOUR, 0.3)

        return picture(tracker, name, ".png", make)

    @app.get("/tracker/{tracker}/mask-before/{name}.png")
    def mask_before(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            return before_mask_png(site.cells, view, known_crop(view, name))

        return picture(tracker, name, ".png", make, NOT_KEPT)

    @app.get("/tracker/{tracker}/before/{name}.png")
    def before(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            return before_cutout_png(site.cells, view, known_crop(view, name))

        return picture(tracker, name, ".png", make, NOT_KEPT)

    def whole_frame(tracker: str, name: str, side: int | None) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            if name not in view.frames:
                raise PictureMissing("missing.picture")
            return frame_jpeg(view.frames[name], name, side)

        return picture(tracker, name, ".jpg", make)

    @app.get("/tracker/{tracker}/frame/{name}.jpg")
    def frame(tracker: str, name: str) -> Response:
        return whole_frame(tracker, name, FRAME_SIDE)

    @app.get("/tracker/{tracker}/whole/{name}.jpg")
    def whole(tracker: str, name: str) -> Response:
        return whole_frame(tracker, name, None)

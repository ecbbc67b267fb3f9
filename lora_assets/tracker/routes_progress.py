"""Route of a tracker's progress, as data for its page and for scripts."""

from __future__ import annotations

import dataclasses

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from lora_assets.tracker.progress import tracker_progress
from lora_assets.tracker.site import Site


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/api/tracker/{tracker}/progress")
    def progress(request: Request, tracker: str) -> Response:
        view = site.tables_view(tracker)
        return JSONResponse(dataclasses.asdict(tracker_progress(site.cells, view, site.labels(request))))

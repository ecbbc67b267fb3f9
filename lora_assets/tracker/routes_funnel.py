"""Routes of a tracker's dataset: the page, and the readiness report as JSON."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from lora_assets.curation.made import read_curated
from lora_assets.tracker.funnel_page import dataset_page
from lora_assets.tracker.site import Site


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/tracker/{tracker}/dataset")
    def dataset(request: Request, tracker: str) -> Response:
        page = dataset_page(site.cells.store, site.cells.spec(tracker), request.query_params)
        return site.page(request, "funnel.html", page=page)

    @app.get("/api/tracker/{tracker}/dataset")
    def api_dataset(tracker: str) -> Response:
        site.cells.spec(tracker)
        made = read_curated(site.cells.store, tracker)
        return JSONResponse({"tracker": tracker, "report": made.report if made is not None else None})

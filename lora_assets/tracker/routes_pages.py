"""Routes of the list of trackers and of a tracker's page, its data for scripts, and the static files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lora_assets.tracker.headers import NOT_KEPT
from lora_assets.tracker.listing import crop_list, list_tag
from lora_assets.tracker.pages import read_choice, tile_names, tracker_list, tracker_page
from lora_assets.tracker.progress import tracker_progress
from lora_assets.tracker.site import KEPT_FOR_GOOD, STATIC_TYPES, Site, data_answer
from lora_assets.tracker.summary import summarise


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/")
    def trackers(request: Request) -> Response:
        return site.page(request, "trackers.html", page=tracker_list(site.cells, site.reviews, site.dagster_url))

    @app.get("/tracker/{tracker}")
    def tracker(request: Request, tracker: str) -> Response:
        labels = site.labels(request)

        def shown() -> str:
            view = site.view(tracker)
            page = tracker_page(site.cells, view, request.query_params, site.dagster_url)
            progress = tracker_progress(site.cells, view, labels)
            names = tile_names(view, labels)
            return site.text(request, "tracker.html", page=page, progress=progress, names=names)

        asked = (request.url.path, request.url.query, labels.code)
        return site.answer(request, site.together.call(asked, shown))

    @app.get("/api/tracker/{tracker}")
    def api_tracker(tracker: str) -> Response:
        view = site.view(tracker)
        total, datasets = summarise(site.cells, view.spec)
        told = {
            "tracker": tracker,
            "state": view.state,
            "complete": all(dataset.complete for dataset in datasets),
            "total": dataclasses.asdict(total),
            "datasets": [dataclasses.asdict(dataset) for dataset in datasets],
        }
        return JSONResponse(told)

    @app.get("/api/tracker/{tracker}/crops")
    def crops(request: Request, tracker: str) -> Response:
        view = site.view(tracker)
        choice = read_choice(request.query_params, view)
        view.judge_for(choice.sort)
        tag = list_tag(view, choice)
        return data_answer(request, tag, lambda: site.lists.get((tracker, tag), lambda: crop_list(view, choice)))

    @app.get("/static/{version}/{name}")
    def static(version: str, name: str) -> Response:
        if name not in site.statics:
            raise HTTPException(404)
        # A page that was opened before an update may still ask for its version: it gets what there is now, unkept.
        kept = KEPT_FOR_GOOD if version == site.statics_version else NOT_KEPT
        kind = STATIC_TYPES[Path(name).suffix]
        return Response(site.statics[name], media_type=kind, headers={"Cache-Control": kept})

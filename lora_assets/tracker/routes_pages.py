"""Routes of the list of trackers and of a tracker's page, its data for scripts, and the static files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lora_assets.tracker.headers import KEPT_FOR_GOOD, NOT_KEPT
from lora_assets.tracker.kept_pages import Sources
from lora_assets.tracker.listing import crop_list, list_tag
from lora_assets.tracker.page_sources import Begun, is_judged, tracker_page_sources
from lora_assets.tracker.pages import read_choice, tile_names, tracker_list, tracker_page
from lora_assets.tracker.progress import tracker_progress
from lora_assets.tracker.shortcuts import page_key
from lora_assets.tracker.site import STATIC_TYPES, Site, data_answer
from lora_assets.tracker.summary import summarise


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/")
    def trackers(request: Request) -> Response:
        return site.page(request, "trackers.html", page=tracker_list(site.cells, site.reviews, site.dagster_url))

    async def tracker(request: Request) -> Response:
        response, sources, begun_ns = await run_in_threadpool(drawn, request)
        if sources is not None and request.method == "GET":
            site.kept.keep(page_key(request.scope), response, sources, begun_ns)
        return response

    def drawn(request: Request) -> tuple[Response, Sources | None, int]:
        """The page, what it was drawn from, and when that was begun."""
        labels = site.labels(request)
        name = request.path_params["tracker"]

        def shown() -> tuple[Response, Sources | None, int]:
            begun = Begun.now(site.reviews.book)
            view = site.view(name)
            can_be_kept = is_judged(view)
            page = tracker_page(site.cells, view, request.query_params, site.dagster_url)
            progress = tracker_progress(site.cells, view, labels)
            names = tile_names(view, labels)
            text = site.text(request, "tracker.html", page=page, progress=progress, names=names)
            # The fault that the page tells, not that of now: a log that was busy is read again by the next request.
            can_be_kept = can_be_kept and not page.verdict_fault
            sources = tracker_page_sources(site.cells, view, progress, begun) if can_be_kept else None
            return site.answer(request, text), sources, begun.wall_ns

        return site.together.call((request.url.path, request.url.query, labels.code), shown)

    app.add_route("/tracker/{tracker}", tracker)

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

    async def static(request: Request) -> Response:
        version, name = request.path_params["version"], request.path_params["name"]
        if name not in site.statics:
            raise HTTPException(404)
        # A page that was opened before an update may still ask for its version: it gets what there is now, unkept.
        kept = KEPT_FOR_GOOD if version == site.statics_version else NOT_KEPT
        kind = STATIC_TYPES[Path(name).suffix]
        return Response(site.statics[name], media_type=kind, headers={"Cache-Control": kept})

    app.add_route("/static/{version}/{name}", static)

"""Routes of the page of one large crop."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from lora_assets.tracker.crop_page import crop_page
from lora_assets.tracker.routes_pictures import digest_in_address
from lora_assets.tracker.site import Site


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/tracker/{tracker}/crop/{crop_id}")
    def crop(request: Request, tracker: str, crop_id: str) -> Response:
        view = site.view(tracker)
        page = crop_page(
            site.cells, view, digest_in_address(crop_id), request.query_params, site.dagster_url, site.reviews.book
        )
        return site.page(request, "crop.html", page=page)

"""Routes of two trackers side by side: the page, the choice of trackers, and the comparison as JSON."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from lora_assets.comparing import Comparison, compare_trackers, comparison_state
from lora_assets.comparing.report import comparison_json
from lora_assets.store import digest
from lora_assets.tracker.cells import Memory
from lora_assets.tracker.compare_page import choose_page, compare_page, compare_url, read_selection
from lora_assets.tracker.site import Site, data_answer

_KEPT = 4
_LISTED = 200
_MOST_LISTED = 100_000


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module. Comparisons are kept until a table or a verdict changes."""
    kept = Memory(_KEPT)
    store = site.cells.store

    def compared(before: str, after: str) -> tuple[str, Comparison]:
        """The comparison and its state. A table that changes meanwhile makes another state, so it is read again."""
        state = comparison_state(store, before, after)
        return state, kept.get(state, lambda: compare_trackers(store, before, after))

    @app.get("/compare")
    def choose(request: Request) -> Response:
        page = choose_page(site.cells, request.query_params)
        if page.before and page.after and "go" in request.query_params:
            return RedirectResponse(compare_url(page.before, page.after), 303)
        return site.page(request, "compare_choose.html", page=page)

    @app.get("/compare/{before}/{after}")
    def compare(request: Request, before: str, after: str) -> Response:
        _, found = compared(before, after)
        return site.page(request, "compare.html", page=compare_page(found, request.query_params, site.dagster_url))

    @app.get("/api/compare/{before}/{after}")
    def api_compare(request: Request, before: str, after: str) -> Response:
        limit = _number(request.query_params.get("limit", str(_LISTED)))
        state, found = compared(before, after)
        wanted = read_selection(request.query_params, found)

        def content() -> bytes:
            return json.dumps(comparison_json(found, wanted, limit), ensure_ascii=False).encode()

        return data_answer(request, digest(state, repr(wanted), limit), content)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > _MOST_LISTED:
        raise HTTPException(422, f"limit {text[:20]!r} does not fit: give a number from 0 to {_MOST_LISTED}")
    return int(text)

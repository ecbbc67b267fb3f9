"""What a visitor is told when a page cannot be made: pages in words, or JSON for addresses below /api/."""

from __future__ import annotations

import html
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lora_assets.specs import SpecError, known_tracker_ids
from lora_assets.store import StoreError
from lora_assets.tracker.crop_page import CropMissing
from lora_assets.tracker.headers import HEADERS, NOT_KEPT
from lora_assets.tracker.marking import DetectionsUnderWay, UnknownCrop
from lora_assets.tracker.pictures import PictureMissing
from lora_assets.tracker.site import Site
from lora_assets.verdicts import VerdictError
from lora_assets.verdicts.log import LogUnusable, NothingToUndo


def add_faults(app: FastAPI, site: Site) -> None:
    """Register what is answered for every kind of error."""

    def fault(request: Request, status: int, key: str, detail: str = "") -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": detail or site.labels(request)(key)}, status)
        known = tuple(known_tracker_ids(site.data)) if status == 404 else ()
        return site.page(request, "fault.html", status, heading=key, detail=detail, known=known)

    @app.exception_handler(SpecError)
    def unknown_tracker(request: Request, error: SpecError) -> Response:
        named = {request.path_params[name] for name in ("tracker", "before", "after") if name in request.path_params}
        known = {*known_tracker_ids(site.data), *site.cells.tracker_folders()}
        status = 500 if named and named <= known else 404
        return fault(request, status, "fault.no_tracker" if status == 404 else "fault.damaged", str(error))

    @app.exception_handler(StoreError)
    def damaged(request: Request, error: StoreError) -> Response:
        return fault(request, 500, "fault.damaged", str(error))

    @app.exception_handler(VerdictError)
    def unfit_verdict(request: Request, error: VerdictError) -> Response:
        return fault(request, 422, "fault.verdict", str(error))

    @app.exception_handler(NothingToUndo)
    def nothing_to_undo(request: Request, error: NothingToUndo) -> Response:
        return fault(request, 409, "fault.verdict", str(error))

    @app.exception_handler(LogUnusable)
    def log_unusable(request: Request, error: LogUnusable) -> Response:
        return fault(request, 507 if error.disk_full else 503, "fault.verdict", str(error))

    @app.exception_handler(DetectionsUnderWay)
    def detections_under_way(request: Request, error: DetectionsUnderWay) -> Response:
        return fault(request, 503, "fault.verdict", str(error))

    @app.exception_handler(UnknownCrop)
    def unknown_crop(_: Request, error: UnknownCrop) -> Response:
        return JSONResponse({"error": str(error), "refused": error.refused}, 404)

    @app.exception_handler(CropMissing)
    def no_crop(request: Request, error: CropMissing) -> Response:
        return fault(request, 404, "fault.no_crop", str(error))

    @app.exception_handler(PictureMissing)
    def no_picture(request: Request, error: PictureMissing) -> Response:
        return Response(html.escape(site.labels(request)(str(error))), 404, media_type="text/plain; charset=utf-8")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        told = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
        response = fault(request, error.status_code, "fault.no_page", told)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> Response:
        response = fault(request, 500, "fault.broken", type(error).__name__)
        response.headers.update({**HEADERS, "Cache-Control": NOT_KEPT})
        return response

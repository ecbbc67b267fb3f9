"""The web app of the tracker pages: routes, headers and the guard around them.

Every answer is private: nothing is kept by caches but pictures, whose address is a digest of their content. What pages
say and how pictures are made is not here (pages, crop_page, pictures).
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lora_assets.specs import SpecError, known_tracker_ids
from lora_assets.store import StoreError
from lora_assets.tracker.cells import Cells, Memory
from lora_assets.tracker.crop_page import CropMissing, crop_page
from lora_assets.tracker.guard import Guard, PasswordGate
from lora_assets.tracker.language import LANGUAGES, Labels, choose_language, read_labels
from lora_assets.tracker.pages import state_of, tracker_list, tracker_page
from lora_assets.tracker.pictures import PictureMissing, cutout_png, frame_jpeg, mask_png, stored_picture
from lora_assets.tracker.summary import summarise
from lora_assets.tracker.view import TrackerView, read_view

_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_PICTURE_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}
_KEPT_FOR_GOOD = "private, max-age=31536000, immutable"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}


class PrivateHeaders:
    """ASGI middleware: the headers that keep pages private, on every answer, the guard's refusals too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add HEADERS, and `no-store` where an answer does not say how long it may be kept."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "private, no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


@dataclasses.dataclass(frozen=True, slots=True)
class Shell:
    """What every page has around its own content."""

    language: str
    switches: tuple[tuple[str, str, str, bool], ...]
    """code, name in its own language, address, chosen"""
    style_url: str
    script_url: str
    icon_url: str


class _Site:
    """What the routes share: tables in memory, templates and the static files."""

    def __init__(self, data: Path, dagster_url: str) -> None:
        self.cells = Cells(data)
        self.views = Memory(8)
        self.dagster_url = dagster_url
        self.statics = _read_statics()
        self.templates = Environment(
            loader=PackageLoader("lora_assets.tracker", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters.update(when=_when, figure=_figure, grouped=_grouped, seconds=_seconds)

    def view(self, tracker: str) -> TrackerView:
        return read_view(self.cells, self.cells.spec(tracker), self.views)

    def labels(self, request: Request) -> Labels:
        asked = request.query_params.get("lang", "")
        wish = request.headers.get("accept-language", "")
        return read_labels(choose_language(asked, request.cookies.get("lang", ""), wish))

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        labels = self.labels(request)
        text = self.templates.get_template(template).render(shell=self._shell(request, labels), t=labels, **context)
        response = Response(text, status, media_type="text/html; charset=utf-8")
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie("lang", labels.code, max_age=31_536_000, httponly=True, samesite="lax")
        return response

    def _shell(self, request: Request, labels: Labels) -> Shell:
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
        switches = tuple(
            (code, name, "?" + urlencode([*rest, ("lang", code)]), code == labels.code)
            for code, name in LANGUAGES.items()
        )
        return Shell(labels.code, switches, *(self._static_url(name) for name in ("style.css", "page.js", "icon.svg")))

    def _static_url(self, name: str) -> str:
        return f"/static/{name}?v={hashlib.sha256(self.statics[name]).hexdigest()[:12]}"


def _read_statics() -> dict[str, bytes]:
    folder = files("lora_assets.tracker") / "static"
    return {item.name: item.read_bytes() for item in folder.iterdir() if Path(item.name).suffix in _STATIC_TYPES}


# --- how values are written ------------------------------------------------------------------------------------------


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _grouped(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


# --- the app ---------------------------------------------------------------------------------------------------------


def create_app(
    data: Path,
    *,
    password_hash: str | None,
    dagster_url: str = "http://127.0.0.1:3000",
    allowed_hosts: Iterable[str] = (),
) -> FastAPI:
    """The app over `data`. Any Host but loopback must be in `allowed_hosts`; with a hash every address asks for the
    password. Raises ValueError when `dagster_url` is no http address, GuardError for a damaged hash."""
    if urlsplit(dagster_url).scheme not in ("http", "https"):
        raise ValueError(f"dagster_url {dagster_url!r} must begin with http:// or https://")
    site = _Site(data, dagster_url.rstrip("/"))
    app = FastAPI(title="lora_assets", docs_url=None, redoc_url=None, openapi_url=None)
    gate = PasswordGate(password_hash) if password_hash else None
    app.add_middleware(Guard, allowed_hosts=tuple(allowed_hosts), gate=gate)
    app.add_middleware(PrivateHeaders)
    _add_pages(app, site)
    _add_pictures(app, site)
    _add_faults(app, site)
    return app


def _add_pages(app: FastAPI, site: _Site) -> None:
    @app.get("/")
    def trackers(request: Request) -> Response:
        return site.page(request, "trackers.html", page=tracker_list(site.cells, site.dagster_url))

    @app.get("/tracker/{tracker}")
    def tracker(request: Request, tracker: str) -> Response:
        page = tracker_page(site.cells, site.view(tracker), request.query_params, site.dagster_url)
        return site.page(request, "tracker.html", page=page)

    @app.get("/tracker/{tracker}/crop/{crop_id}")
    def crop(request: Request, tracker: str, crop_id: str) -> Response:
        view = site.view(tracker)
        page = crop_page(site.cells, view, _digest(crop_id), request.query_params, site.dagster_url)
        return site.page(request, "crop.html", page=page)

    @app.get("/api/tracker/{tracker}")
    def api_tracker(tracker: str) -> Response:
        view = site.view(tracker)
        total, datasets = summarise(site.cells, view.spec)
        told = {
            "tracker": tracker,
            "state": state_of(view),
            "complete": all(dataset.complete for dataset in datasets),
            "total": dataclasses.asdict(total),
            "datasets": [dataclasses.asdict(dataset) for dataset in datasets],
        }
        return JSONResponse(told)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in site.statics:
            raise HTTPException(404)
        kind = _STATIC_TYPES[Path(name).suffix]
        return Response(site.statics[name], media_type=kind, headers={"Cache-Control": _KEPT_FOR_GOOD})


def _add_pictures(app: FastAPI, site: _Site) -> None:
    def picture(tracker: str, name: str, suffix: str, make: Callable[[TrackerView, str], bytes]) -> Response:
        content = make(site.view(tracker), _digest(name))
        return Response(content, media_type=_PICTURE_TYPES[suffix], headers={"Cache-Control": _KEPT_FOR_GOOD})

    def known_crop(view: TrackerView, name: str) -> str:
        if name not in view.rows_of:
            raise PictureMissing("missing.picture")
        return name

    @app.get("/tracker/{tracker}/thumb/{name}.webp")
    def thumb(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            return stored_picture(site.cells, "thumbs", known_crop(view, name), ".webp")

        return picture(tracker, name, ".webp", make)

    @app.get("/tracker/{tracker}/cutout/{name}.png")
    def cutout(tracker: str, name: str) -> Response:
        return picture(tracker, name, ".png", lambda view, name: cutout_png(site.cells, view, known_crop(view, name)))

    @app.get("/tracker/{tracker}/mask/{name}.png")
    def mask(tracker: str, name: str) -> Response:
        return picture(tracker, name, ".png", lambda view, name: mask_png(site.cells, view, known_crop(view, name)))

    @app.get("/tracker/{tracker}/frame/{name}.jpg")
    def frame(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            if name not in view.frames:
                raise PictureMissing("missing.picture")
            return frame_jpeg(view.frames[name], name)

        return picture(tracker, name, ".jpg", make)

    @app.get("/tracker/{tracker}/frame-thumb/{name}.webp")
    def frame_thumb(tracker: str, name: str) -> Response:
        def make(view: TrackerView, name: str) -> bytes:
            if name not in view.frames:
                raise PictureMissing("missing.picture")
            return stored_picture(site.cells, "frame_thumbs", name, ".webp")

        return picture(tracker, name, ".webp", make)


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise HTTPException(404)
    return text


def _add_faults(app: FastAPI, site: _Site) -> None:
    def fault(request: Request, status: int, key: str, detail: str = "") -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": detail or read_labels("en")(key)}, status)
        known = tuple(known_tracker_ids(site.cells.data)) if status == 404 else ()
        return site.page(request, "fault.html", status, heading=key, detail=detail, known=known)

    @app.exception_handler(SpecError)
    def unknown_tracker(request: Request, error: SpecError) -> Response:
        tracker = request.path_params.get("tracker", "")
        status = 500 if tracker in known_tracker_ids(site.cells.data) else 404
        return fault(request, status, "fault.no_tracker" if status == 404 else "fault.damaged", str(error))

    @app.exception_handler(StoreError)
    def damaged(request: Request, error: StoreError) -> Response:
        return fault(request, 500, "fault.damaged", str(error))

    @app.exception_handler(CropMissing)
    def no_crop(request: Request, error: CropMissing) -> Response:
        return fault(request, 404, "fault.no_crop", str(error))

    @app.exception_handler(PictureMissing)
    def no_picture(request: Request, error: PictureMissing) -> Response:
        return Response(html.escape(site.labels(request)(str(error))), 404, media_type="text/plain; charset=utf-8")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        response = fault(request, error.status_code, "fault.no_page")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> Response:
        response = fault(request, 500, "fault.broken", type(error).__name__)
        response.headers.update({**HEADERS, "Cache-Control": "private, no-store"})
        return response

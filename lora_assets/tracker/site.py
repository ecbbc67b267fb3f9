"""What all routes share: tables and verdicts in memory, templates, labels, static files, and how an answer is made.

A route module (`routes_*.py`) is a function `add_routes(app, site)` over this; which routes there are is not here.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from lora_assets.tracker.cells import Cells, Memory
from lora_assets.tracker.headers import NOT_KEPT
from lora_assets.tracker.kept_pages import KeptPages
from lora_assets.tracker.language import LANGUAGES, Labels, choose_language, read_labels
from lora_assets.tracker.reviewed import ReviewedView, Reviews
from lora_assets.tracker.together import Together
from lora_assets.tracker.view import TrackerView, read_view

STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_LAST_VIEWS = 8
_DRAWN_PAGES = 16


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page has around its own content."""

    language: str
    switches: tuple[tuple[str, str, str, bool], ...]
    """code, name in its own language, address, chosen"""
    words: str
    """the labels that scripts show, as JSON"""
    static: Callable[[str], str]
    """address of a static file by its name"""


class Site:
    """The state of one server; safe to share among threads."""

    def __init__(self, data: Path, dagster_url: str) -> None:
        self.data = data
        self.cells = Cells(data, live=True)
        self.dagster_url = dagster_url
        self.statics = _read_statics()
        self.statics_version = _version_of(self.statics)
        self.reviews = Reviews(self.cells)
        self.lists = Memory(8)
        """lists of crops as they were answered last, by tracker and tag"""
        self._views = Memory(8)
        self._last_views: dict[str, TrackerView] = {}
        self._lock = threading.Lock()
        self.together = Together()
        """work that requests share which ask for the same at the same time"""
        self.kept = KeptPages()
        """pages whose sources stand still"""
        self._drawn: OrderedDict[tuple[str, ...], tuple[dict[str, Any], str]] = OrderedDict()
        self._templates = Environment(
            loader=PackageLoader("lora_assets.tracker", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(when=_when, figure=_figure, floored=_floored, grouped=_grouped, seconds=_seconds)

    def tables_view(self, tracker: str) -> TrackerView:
        """The tracker as its tables are now. Raises SpecError for an unknown one, StoreError for a damaged table."""
        view = read_view(self.cells, self.cells.spec(tracker), self._views)
        with self._lock:
            self._last_views.pop(tracker, None)
            self._last_views[tracker] = view
            if len(self._last_views) > _LAST_VIEWS:
                del self._last_views[next(iter(self._last_views))]
        return view

    def last_view(self, tracker: str) -> TrackerView | None:
        """The tracker as it was when somebody last looked at it; None when nobody did."""
        return self._last_views.get(tracker)

    def view(self, tracker: str) -> ReviewedView:
        """The tracker with verdicts, judge and groups on top. Raises SpecError and StoreError as `tables_view`."""
        return self.reviews.of(self.tables_view(tracker))

    def labels(self, request: Request) -> Labels:
        """The words in the visitor's language."""
        asked = request.query_params.get("lang", "")
        wish = request.headers.get("accept-language", "")
        return read_labels(choose_language(asked, request.cookies.get("lang", ""), wish))

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """A page: the template with `t` (labels), `shell` and what else is given."""
        return self.answer(request, self._draw(request, template, self.labels(request), context), status)

    def text(self, request: Request, template: str, **context: Any) -> str:
        """As `page`, the text alone, and used again while the same address gives an equal context: for contexts of
        frozen values only, since drawing a large page takes longer than finding out what is on it."""
        labels = self.labels(request)
        key = (template, labels.code, request.url.path, request.url.query)
        known = self._drawn.get(key)
        if known is not None and known[0] == context:
            return known[1]
        text = self._draw(request, template, labels, context)
        self._remember(key, context, text)
        return text

    def _draw(self, request: Request, template: str, labels: Labels, context: dict[str, Any]) -> str:
        return self._templates.get_template(template).render(shell=self._shell(request, labels), t=labels, **context)

    def answer(self, request: Request, text: str, status: int = 200) -> Response:
        """The answer with the text of a page; a language that was asked for is remembered."""
        response = Response(text, status, media_type="text/html; charset=utf-8")
        if (code := request.query_params.get("lang")) in LANGUAGES:
            response.set_cookie("lang", str(code), max_age=31_536_000, httponly=True, samesite="lax")
        return response

    def _remember(self, key: tuple[str, ...], context: dict[str, Any], text: str) -> None:
        with self._lock:
            self._drawn.pop(key, None)
            self._drawn[key] = (context, text)
            if len(self._drawn) > _DRAWN_PAGES:
                self._drawn.popitem(last=False)

    def _shell(self, request: Request, labels: Labels) -> Shell:
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
        switches = tuple(
            (code, name, "?" + urlencode([*rest, ("lang", code)]), code == labels.code)
            for code, name in LANGUAGES.items()
        )
        words = json.dumps(labels.group("script"), ensure_ascii=False)
        return Shell(labels.code, switches, words, self.static_url)

    def static_url(self, name: str) -> str:
        """Address of a static file. The version is a folder of it, so that scripts find each other by relative names
        and all are replaced together."""
        if name not in self.statics:
            raise KeyError(f"there is no static file {name}")
        return f"/static/{self.statics_version}/{name}"


def data_answer(request: Request, tag: str, content: Callable[[], bytes]) -> Response:
    """JSON bytes with an ETag, or 304 when the asking script has them. `tag` must change whenever the bytes do.

    Browsers keep nothing of it on disk (no-store): a script remembers tag and bytes by itself."""
    etag = f'"{tag}"'
    headers = {"ETag": etag, "Cache-Control": NOT_KEPT}
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content(), media_type="application/json", headers=headers)


def _read_statics() -> dict[str, bytes]:
    folder = files("lora_assets.tracker") / "static"
    return {item.name: item.read_bytes() for item in folder.iterdir() if Path(item.name).suffix in STATIC_TYPES}


def _version_of(statics: dict[str, bytes]) -> str:
    told = hashlib.sha256()
    for name in sorted(statics):
        told.update(name.encode() + b"\0" + hashlib.sha256(statics[name]).digest())
    return told.hexdigest()[:12]


# --- how values are written ------------------------------------------------------------------------------------------


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _floored(value: float, digits: int = 2) -> str:
    """A score beside its tier, cut off: 0.499 is low, and 0.50 would look like medium."""
    return f"{math.floor(10**digits * value + 1e-6) / 10**digits:.{digits}f}"


def _grouped(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"

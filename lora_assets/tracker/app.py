"""The web app of the tracker pages: the guard and the headers around it, and the modules whose routes it has.

Every answer is private: nothing is kept by caches but pictures, whose address is a digest of their content. A further
page is one module `routes_<page>.py` with `add_routes(app, site)` and one entry in ROUTES.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

from lora_assets.tracker import (
    map_page,
    routes_compare,
    routes_crop,
    routes_funnel,
    routes_mask_lab,
    routes_pages,
    routes_pictures,
    routes_progress,
    routes_segment,
    routes_verdicts,
)
from lora_assets.tracker.faults import add_faults
from lora_assets.tracker.guard import Guard, PasswordGate
from lora_assets.tracker.headers import PrivateHeaders
from lora_assets.tracker.shortcuts import Shortcuts
from lora_assets.tracker.site import Site

ROUTES = (
    routes_pages,
    routes_crop,
    routes_pictures,
    routes_progress,
    routes_verdicts,
    routes_segment,
    routes_compare,
    routes_funnel,
    map_page,
    routes_mask_lab,
)
# FastAPI tells OpenTelemetry of every address and every error by itself where a process has it set up.
_NO_TELEMETRY: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)


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
    site = Site(data, dagster_url.rstrip("/"))
    app = FastAPI(title="lora_assets", docs_url=None, redoc_url=None, openapi_url=None, telemetry=_NO_TELEMETRY)
    gate = PasswordGate(password_hash) if password_hash else None
    app.add_middleware(Shortcuts, site=site)
    app.add_middleware(Guard, allowed_hosts=tuple(allowed_hosts), gate=gate)
    app.add_middleware(PrivateHeaders)
    for module in ROUTES:
        module.add_routes(app, site)
    add_faults(app, site)
    return app

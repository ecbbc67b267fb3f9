"""Answers that need neither a thread nor a route: pages that are kept, and thumbnails of what a tracker shows.

Stands behind the guard and hands on whatever it has no ready answer for; routes_pages and routes_pictures answer the
same addresses in full. Both must tell the same: a test asks them side by side.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from lora_assets.tracker.headers import KEPT_FOR_GOOD
from lora_assets.tracker.pictures import MAGIC
from lora_assets.verdicts.local_disk import share_type

if TYPE_CHECKING:
    from lora_assets.tracker.site import Site

MOST_THUMBNAIL = 256 * 1024
_THUMBNAIL = re.compile(r"/tracker/([0-9A-Za-z_-]{1,64})/(thumb|frame-thumb)/([0-9a-f]{8,64})\.webp")
_HEADERS = ((b"content-type", b"image/webp"), (b"cache-control", KEPT_FOR_GOOD.encode()))
_WISHES = frozenset((b"cookie", b"accept-language"))
_PATHS_KEPT = 32_768
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


def page_key(scope: Scope) -> Hashable:
    """Whatever of a request has a part in a page, as it came: to read it would cost more than to find the page."""
    wishes = tuple(pair for pair in scope["headers"] if pair[0] in _WISHES)
    return scope["path"], scope["query_string"], wishes


def read_from_memory(path: str, most: int) -> bytes | None:
    """A small file, when the system has all of it in memory: None instead of any wait for a disk."""
    if not _NOWAIT:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = os.fstat(handle).st_size
        if not 0 < size <= most:
            return None
        content = bytearray(size)
        return bytes(content) if os.preadv(handle, [content], 0, _NOWAIT) == size else None
    except OSError:
        return None
    finally:
        os.close(handle)


class Shortcuts:
    """ASGI middleware over the state of `site`."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self._site = site
        # On a share even to open a file may take long, and all connections would wait for it.
        store = site.data / "store"
        self._reads = not any(map(share_type, (store, store / "thumbs", store / "frame_thumbs")))
        self._path = lru_cache(_PATHS_KEPT)(lambda kind, name: str(site.cells.store.picture(kind, name, ".webp")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is ready, else pass the request on."""
        if scope["type"] == "http" and scope["method"] == "GET":
            if (kept := self._site.kept.get(page_key(scope))) is not None:
                await kept(scope, receive, send)
                return
            if self._reads and (content := self._thumbnail(scope["path"])) is not None:
                length = (b"content-length", str(len(content)).encode())
                await send({"type": "http.response.start", "status": 200, "headers": [length, *_HEADERS]})
                await send({"type": "http.response.body", "body": content})
                return
        await self.app(scope, receive, send)

    def _thumbnail(self, path: str) -> bytes | None:
        """A thumbnail that the tracker's last view names: a digest never comes to mean another picture."""
        told = _THUMBNAIL.fullmatch(path)
        view = self._site.last_view(told[1]) if told else None
        if told is None or view is None:
            return None
        kind, named = ("thumbs", view.rows_of) if told[2] == "thumb" else ("frame_thumbs", view.frames)
        if told[3] not in named:
            return None
        content = read_from_memory(self._path(kind, told[3]), MOST_THUMBNAIL)
        return content if content is not None and content.startswith(MAGIC[".webp"]) else None

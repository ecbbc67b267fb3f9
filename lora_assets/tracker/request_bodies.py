"""What a request's body says: read no further than it may be long, a JSON object, and the id that makes it repeatable.

Everything here raises HTTPException with the reason and the way out: 413 for what is too long, 422 for what does not
fit. What the entries of an object mean is in the routes_* modules; who may ask at all, in guard.
"""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

_REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{8,64}")


async def read_body(request: Request, most: int, way_out: str) -> bytes:
    """The body of a request; 413, with `way_out`, as soon as it has more than `most` bytes."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most:
            raise HTTPException(413, f"more than {most // 1024:,} kB in one request: {way_out}")
    return b"".join(parts)


def json_object(body: bytes, example: str) -> dict[str, Any]:
    """A body as a JSON object; 422, with an example of what to send, when it is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"this is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise HTTPException(422, f"this is no JSON object: send {example}")
    return told


def request_id(told: dict[str, Any]) -> str:
    """The entry `request_id`, under which a request may be sent again and counts once."""
    value = told.get("request_id")
    if not isinstance(value, str) or not _REQUEST_ID.fullmatch(value):
        raise HTTPException(422, f"request_id {str(value)[:80]!r} does not fit: use 8 to 64 of A-Z a-z 0-9 . _ -")
    return value

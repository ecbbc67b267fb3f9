"""The headers that keep pages private, on every answer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_KEPT = "private, no-store"
KEPT_FOR_GOOD = "private, max-age=31536000, immutable"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}


_RAW = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
_NAMES = frozenset(name for name, _ in _RAW)
_KEEPING = b"cache-control"


class PrivateHeaders:
    """ASGI middleware: the headers that keep pages private, on every answer, the guard's refusals too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add HEADERS, and `no-store` where an answer does not say how long it may be kept."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A new list: an answer that is sent many times hands out the same one each time.
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _NAMES]
                if not any(name.lower() == _KEEPING for name, _ in headers):
                    headers.append((_KEEPING, NOT_KEPT.encode()))
                message["headers"] = [*headers, *_RAW]
            await send(message)

        await self.app(scope, receive, send_with_headers)

"""How long a connection may take: uvicorn's HTTP protocol with deadlines for slow requests and slow readers.

uvicorn waits for ever for the rest of a request, so that a few hundred half-open connections (slowloris) tie up a
server. Here headers and body have a time to arrive, headers a largest size, and an answer must be taken. Whoever asks
is judged in guard.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADERS_WITHIN_S = 10.0
BODY_WITHIN_S = 60.0
TAKEN_WITHIN_S = 60.0
MOST_HEADERS = 64 * 1024
MOST_CONNECTIONS = 1024
_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncache-control: private, no-store\r\n"
    b"content-length: 0\r\n\r\n"
)
_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncache-control: private, no-store\r\n"
    b"content-length: 0\r\n\r\n"
)


def raise_file_limit() -> None:
    """Each connection is an open file; the usual soft limit of 1024 would be used up by idle ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MOST_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


_Protocol: Any = AutoHTTPProtocol


class DeadlineProtocol(_Protocol):
    """One connection. The deadlines (seconds) are attributes, so that tests can shorten them."""

    headers_within_s: ClassVar[float] = HEADERS_WITHIN_S
    body_within_s: ClassVar[float] = BODY_WITHIN_S
    taken_within_s: ClassVar[float] = TAKEN_WITHIN_S

    _deadline: asyncio.TimerHandle | None = None
    _waits_for: str = ""
    _untaken: asyncio.TimerHandle | None = None
    _header_bytes: int = 0
    _handed_over: bool = False

    def connection_made(self, transport: Any) -> None:
        """The first request has to come soon."""
        super().connection_made(transport)
        self._wait_for("headers", self.headers_within_s)

    def data_received(self, data: bytes) -> None:
        """A piece of a request. Which part is still missing afterwards sets the deadline."""
        before = self.cycle
        super().data_received(data)
        if self._handed_over or self.transport.is_closing():
            self._wait_for("", 0.0)
            return
        cycle = self.cycle
        if cycle is None or (cycle is before and cycle.response_complete):
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADERS:
                self._end(_LARGE)
            else:
                self._wait_for("headers", self.headers_within_s)
            return
        self._header_bytes = 0
        if cycle.more_body:
            self._wait_for("body", self.body_within_s)
        else:
            self._wait_for("", 0.0)

    def pause_writing(self) -> None:
        """The other side does not take what was sent."""
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(self.taken_within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        self._forget_untaken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._wait_for("", 0.0)
        super().connection_lost(exc)
        self._forget_untaken()

    def handle_websocket_upgrade(self, *args: Any) -> None:
        """From here on another protocol has the connection."""
        self._handed_over = True
        self._wait_for("", 0.0)
        super().handle_websocket_upgrade(*args)

    def _wait_for(self, part: str, seconds: float) -> None:
        """One deadline for each part of a request: it is not moved by every byte that trickles in."""
        if part == self._waits_for and self._deadline is not None:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._waits_for = part
        self._deadline = self.loop.call_later(seconds, self._end, _SLOW) if part else None

    def _end(self, answer: bytes) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            # In the middle of a body an answer may be on its way already.
            if self._waits_for == "headers":
                self.transport.write(answer)
            self.transport.close()

    def _forget_untaken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

"""Slow and greedy connections: each is ended, and nobody else waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from lora_assets.tracker.connections import MOST_HEADERS, DeadlineProtocol
from lora_assets.tracker.serve import open_socket

LARGE = b"x" * 2**25


class Hasty(DeadlineProtocol):
    """The same with deadlines that a test can wait for."""

    headers_within_s: ClassVar[float] = 1.0
    body_within_s: ClassVar[float] = 0.5
    taken_within_s: ClassVar[float] = 0.5
    ended: ClassVar[set[int]] = set()
    one_ended: ClassVar[threading.Condition] = threading.Condition()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the test whose port was on the other side."""
        super().connection_lost(exc)
        with self.one_ended:
            self.ended.add(self.client[1])
            self.one_ended.notify_all()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers the length of the body, or very much."""
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        length += len(message["body"])
        if not message.get("more_body"):
            break
    body = LARGE if scope["path"] == "/large" else str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    listening = open_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield lambda: socket.create_connection(listening.getsockname(), timeout=60)
    server.should_exit = server.force_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole headers may take long, as they do on a machine that others use; what comes after them may not."""
    monkeypatch.setattr(Hasty, "headers_within_s", 60.0)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection; the socket's timeout fails the test."""
    found = b""
    try:
        while piece := connection.recv(2**20):
            found += piece
    except ConnectionResetError:
        pass
    return found


def ask(connection: socket.socket, path: bytes = b"/", body: bytes = b"") -> bytes:
    """One request on a connection that is kept, and its answer."""
    connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path, len(body), body))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
    while len(rest) < length:
        rest += _more(connection)
    return rest


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(4096)
    assert piece, "the connection was ended in the middle of an answer"
    return piece


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_request_that_does_not_come_is_ended(connect: Connect, start: bytes):
    with closing(connect()) as slow:
        slow.sendall(start)
        assert all_of(slow).startswith(b"HTTP/1.1 408 ")


def test_headers_that_trickle_in_are_ended(connect: Connect):
    with closing(connect()) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        slow.settimeout(0.05)
        answer = b""
        for number in range(400):
            try:
                slow.sendall(b"x-%d: y\r\n" % number)
                if piece := slow.recv(4096):
                    answer += piece
                    continue
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("400 headers, one every 50 ms, were all taken")
        # What was sent after the end resets the connection, and may take the answer with it.
        assert not answer or answer.startswith(b"HTTP/1.1 408 ")


def test_a_second_request_that_stays_half_is_ended_too(
    connect: Connect, patient: None, monkeypatch: pytest.MonkeyPatch
):
    with closing(connect()) as slow:
        assert ask(slow, body=b"abc") == b"3"
        assert ask(slow, body=b"abcd") == b"4"
        monkeypatch.setattr(Hasty, "headers_within_s", 0.5)
        slow.sendall(b"GET / HT")
        assert all_of(slow).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_come_is_ended(connect: Connect, patient: None):
    with closing(connect()) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        assert all_of(slow) == b""


def test_headers_without_an_end_are_ended(connect: Connect, patient: None):
    with closing(connect()) as greedy:
        try:
            for _ in range(64):
                greedy.sendall(b"x: " + b"y" * (MOST_HEADERS // 16) if _ else b"GET / HTTP/1.1\r\nx: ")
        except OSError:
            pass
        answer = all_of(greedy)
        # What was sent after the end resets the connection, and may take the answer with it.
        assert not answer or answer.startswith(b"HTTP/1.1 431 ")


def test_an_answer_that_is_not_taken_is_ended(connect: Connect, patient: None):
    with closing(connect()) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        lazy.recv(100)
        with closing(connect()) as other:
            assert ask(other) == b"0"
        with Hasty.one_ended:
            assert Hasty.one_ended.wait_for(lambda: lazy.getsockname()[1] in Hasty.ended, 60)


def test_others_are_served_while_many_connections_stand_half_open(connect: Connect, patient: None):
    slow = [connect() for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        with closing(connect()) as client:
            assert [ask(client, body=b"x" * n) for n in range(20)] == [b"%d" % n for n in range(20)]
    finally:
        for connection in slow:
            connection.close()

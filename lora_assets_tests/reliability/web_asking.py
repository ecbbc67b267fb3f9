"""How the kits of the web ask: byte for byte as a hostile client would, in this process or over a socket.

Clients of the usual libraries mend an address before they send it (dots, doubled slashes, line ends in a header), and
so would mend the attack. Here an address is bytes. What is asked, and what counts as a success, is in the kits.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message

Headers = Sequence[tuple[str, str]]
PAGES_PORT = 8088
PASSWORD = "correct horse battery staple"
# For an answer over a websocket. One that is meant to be given comes within milliseconds on a machine that is free.
_PATIENCE_S = 30.0
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0: the connection was ended without one), headers as they came, and body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """The header's value; several are joined, none is empty."""
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key.lower() == name.encode())


class Asker(Protocol):
    """Something that answers requests; `target` is what stands in the request line."""

    def ask(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """Send one request and read its answer."""
        ...


def basic(password: str, user: str = "me") -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in headers]


@dataclass(slots=True)
class InProcess:
    """Asks an ASGI app in this process, through one event loop, with a scope as uvicorn makes it.

    `headers` go with every request that does not name the same ones.
    """

    app: ASGIApp
    headers: Mapping[str, str] = field(default_factory=lambda: {"Host": f"127.0.0.1:{PAGES_PORT}"})
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def _scope(self, kind: str, target: str, headers: Headers, **more: Any) -> dict[str, Any]:
        path, _, query = target.encode("utf-8", "surrogateescape").partition(b"?")
        given = {name.lower() for name, _ in headers}
        told = [*((name, value) for name, value in self.headers.items() if name.lower() not in given), *headers]
        return {
            "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"), "raw_path": path, "query_string": query,
            "headers": _raw([one for one in told if one[1]]), "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", PAGES_PORT), "state": {}, **more,
        }  # fmt: skip

    def ask(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """Send one request. A header of the asker is left out when it is given as empty text."""
        length = [("Content-Length", str(len(body)))] if body else []
        scope = self._scope("http", target, [*headers, *length], method=method)
        return self.runner.run(self._asking(scope, body))

    async def _asking(self, scope: dict[str, Any], body: bytes) -> Answer:
        sent: list[Message] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        ended = asyncio.Event()

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended.set()

        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - what escapes the app is answered 500 by the server
            return Answer(500, (), f"{type(error).__name__}: {error}".encode())
        if not sent:
            return Answer(0)
        pieces = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], tuple((bytes(n), bytes(v)) for n, v in sent[0].get("headers", ())), pieces)

    def websocket(
        self, target: str, headers: Headers = (), protocols: Sequence[str] = (), say: Sequence[str] = ()
    ) -> list[Message]:
        """What the app sends to a websocket that says `say` and leaves after the second answer, or when none comes."""
        scope = self._scope("websocket", target, headers, subprotocols=list(protocols))
        scope["scheme"] = "ws"
        return self.runner.run(self._connecting(scope, list(say)))

    async def _connecting(self, scope: dict[str, Any], say: list[str]) -> list[Message]:
        sent: list[Message] = []
        answered = asyncio.Event()
        told: list[Message] = [{"type": "websocket.connect"}]
        told += [{"type": "websocket.receive", "text": text} for text in say]

        async def receive() -> Message:
            if told:
                return told.pop(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(answered.wait(), _PATIENCE_S)
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) > 1:
                answered.set()

        with suppress(Exception):
            await asyncio.wait_for(self.app(scope, receive, send), 2 * _PATIENCE_S)
        return sent

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()


@dataclass(frozen=True, slots=True)
class OverSocket:
    """Asks a server on 127.0.0.1, one connection for each request, exactly the bytes that are given."""

    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 20.0

    def ask(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """Send one request. A header of the asker is left out when it is given as empty text."""
        given = {name.lower() for name, _ in headers}
        own = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **self.headers}
        told = [*((name, value) for name, value in own.items() if name.lower() not in given), *headers]
        if body:
            told.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told if value)]
        return self.send("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body)

    def send(self, request: bytes) -> Answer:
        """Send bytes as they are, and read until the server ends the connection."""
        found = bytearray()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), self.timeout_s) as connection:
            with suppress(OSError):
                connection.sendall(request)
            while piece := connection.recv(1 << 16):
                found += piece
        head, _, body = bytes(found).partition(b"\r\n\r\n")
        first, *rest = head.split(b"\r\n")
        parts = first.split(b" ")
        if len(parts) < 2 or not parts[1].isdigit():
            return Answer(0, (), bytes(found))
        pairs = [line.partition(b":") for line in rest]
        return Answer(int(parts[1]), tuple((name, value.strip()) for name, _, value in pairs), body)


# --- servers in processes of their own -------------------------------------------------------------------------------


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at the moment, under those that the system gives to clients.

    A client that knocks again and again at a closed port of that range is given the very port some day, is connected
    with itself, and keeps the server from coming back.
    """
    while True:
        port = random.SystemRandom().randint(18_000, 31_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


_NURSERY = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lora_assets_tests.reliability.web_servers import SERVERS
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    name, data, port = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.stdin.close()
        try:
            SERVERS[name](Path(data), int(port))
        finally:
            os._exit(1)
    print(child, flush=True)
"""


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Nursery:
    """Starts servers within milliseconds: one process imports the pages once and forks a child for each start.

    The children run what `web_servers.SERVERS` names; all end with this.
    """

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY, str(_ROOT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the servers under test could not be imported")

    def start(self, name: str, data: Path, port: int) -> int:
        """Start a server on a port; the process ID. It may not listen yet: see `until_listening`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\t{data}\t{port}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def kill(self, pid: int) -> None:
        """End a server with SIGKILL, and wait until the system has taken its port back."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: not _is_there(pid), 30.0, f"the end of process {pid}")

    def close(self) -> None:
        """End all of it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery for the body."""
    opened = Nursery()
    try:
        yield opened
    finally:
        opened.close()


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for a fact and return it. Raises TimeoutError, naming it, when it does not come."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.01)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


def is_listening(port: int) -> bool:
    """Does somebody take connections there?"""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until_listening(port: int, seconds: float = 60.0) -> None:
    """Wait until a server takes connections."""
    until(lambda: is_listening(port), seconds, f"a server on port {port}")

"""The ASGI guard in front of every web page of this software: who may ask, from where, with which password.

One small class checks Host, Origin and Basic credentials for http and websocket, so that the tracker pages and
Dagster's own web server stand behind the same rules: loopback alone does not make a server private, since any web page
that the user opens can send requests to 127.0.0.1. Which pages exist is not here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FAILURES_PER_MINUTE = 10
CHECKS_SIDE_BY_SIDE = 2
CHECKS_WAITING = 32
PAGE_HEADER = b"x-lora-assets"
MOST_BODY = 16 * 2**20
_WINDOW_S = 60.0
_CLIENTS_KEPT = 10_000
_VERIFIED_KEPT = 64
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_LEAST_PERSON, _NOBODY = 1000, 65534
_NO_SHELLS = frozenset({"", "nologin", "false", "sync", "true"})
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
_DAGSTER_DATA = frozenset({"graphql", "logs", "notebook", "dagit", "download_debug", "server_info", "dagit_info"})
_REFUSALS = {
    "host": (400, "This request names no host, or names it twice."),
    "password": (401, ""),
    "proxied": (403, "This request came through a proxy, and no password is set. Set one with `lora-assets password`."),
    "foreign": (403, "This request comes from another web page. Open the page itself, then try again."),
    "large": (413, "This request is too large: send at most 16 MiB at once."),
    "name": (421, "This server does not answer under that host name. Name it with --allow-host when it is yours."),
    "guessing": (429, "Too many wrong passwords from this address. Wait a minute, then try again."),
}


class GuardError(ValueError):
    """The server would stand open to others; the text says why and the way out."""


def is_loopback(host: str) -> bool:
    """True when only this machine reaches the address. A name other than `localhost` counts as reachable by others."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, password_hash: str | None, allowed_hosts: Iterable[str] = ()) -> None:
    """Raise GuardError when others can reach `host`, or reach it under one of `allowed_hosts` (through a proxy, a VPN),
    and there is no password."""
    if password_hash:
        return
    if not is_loopback(host):
        raise GuardError(
            f"the address {host or '(all)'} can be reached by other machines and no password is set: "
            "set one with `lora-assets password`, or leave --host out to stay on 127.0.0.1"
        )
    for name in allowed_hosts:
        if not is_loopback(name):
            raise GuardError(
                f"under the host name {name} other machines reach this one and no password is set: "
                "set one with `lora-assets password`, or leave --allow-host out"
            )


def open_to_users(password_hash: str | None) -> str:
    """What to tell where other people can log in to this machine and no password is set; "" where all is well.

    A connection to 127.0.0.1 does not say whose it is: every program of every user reaches a server there.
    """
    others = () if password_hash else _other_users()
    if not others:
        return ""
    names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    return (
        f"other users of this machine ({names}) can open these pages and Dagster's, and change what they like: "
        "127.0.0.1 does not keep them out. Set a password with `lora-assets password`"
    )


def _other_users() -> tuple[str, ...]:
    """The people who can log in to this machine beside this one: uid 1000 and up with a shell, as Linux counts them."""
    try:
        import pwd
    except ImportError:  # no such list beside UNIX
        return ()
    people = (
        user
        for user in pwd.getpwall()
        if _LEAST_PERSON <= user.pw_uid < _NOBODY
        and user.pw_uid != os.getuid()
        and user.pw_shell.rpartition("/")[2] not in _NO_SHELLS
    )
    return tuple(sorted({user.pw_name for user in people}))


class PasswordGate:
    """Checks Basic credentials against one argon2 hash; any user name goes, the password alone decides.

    argon2 takes a quarter of a second on purpose, so credentials that were right once are known again by a keyed BLAKE2
    hash and a page of 200 thumbnails costs one verification. After FAILURES_PER_MINUTE wrong passwords an address is
    answered 429; its next tries are checked one at a time and slowly, so that the right password still opens. From all
    addresses together at most CHECKS_SIDE_BY_SIDE are checked at once and CHECKS_WAITING wait, so that guessing cannot
    take the machine. The clock and the pause (seconds) can be set for tests.
    """

    def __init__(
        self, password_hash: str, *, clock: Callable[[], float] = time.monotonic, pause_s: float = 2.0
    ) -> None:
        self._hash = password_hash
        self._hasher = PasswordHasher()
        self._key = secrets.token_bytes(32)
        self._verified: deque[bytes] = deque(maxlen=_VERIFIED_KEPT)
        self._failures: dict[str, deque[float]] = {}
        self._clock = clock
        self._pause_s = pause_s
        self._slow_lane = asyncio.Lock()
        self._checks = asyncio.Semaphore(CHECKS_SIDE_BY_SIDE)
        self._waiting = 0
        try:
            self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError as error:
            raise GuardError("the stored password is damaged: set it again with `lora-assets password`") from error

    def _mark(self, credentials: bytes) -> bytes:
        return hashlib.blake2b(credentials, key=self._key, digest_size=32).digest()

    def _known(self, mark: bytes) -> bool:
        found = False
        for verified in self._verified:
            found |= hmac.compare_digest(verified, mark)
        return found

    def _matches(self, password: bytes) -> bool:
        try:
            return self._hasher.verify(self._hash, password)
        except VerificationError:
            return False

    async def _checked(self, password: bytes, mark: bytes) -> bool:
        """The answer of argon2, in a thread. Two requests with the same right password cost one verification."""
        self._waiting += 1
        try:
            async with self._checks:
                return self._known(mark) or await asyncio.to_thread(self._matches, password)
        finally:
            self._waiting -= 1

    def _too_many(self, client: str) -> bool:
        failures = self._failures.get(client)
        while failures and failures[0] < self._clock() - _WINDOW_S:
            failures.popleft()
        if failures is not None and not failures:
            del self._failures[client]
        return failures is not None and len(failures) >= FAILURES_PER_MINUTE

    def _note_failure(self, client: str) -> None:
        if len(self._failures) >= _CLIENTS_KEPT and client not in self._failures:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client, deque(maxlen=FAILURES_PER_MINUTE)).append(self._clock())

    def knows(self, authorization: bytes) -> bool:
        """True for credentials that were right before."""
        credentials = _basic_credentials(authorization)
        return credentials is not None and self._known(self._mark(credentials))

    async def check(self, authorization: bytes, client: str) -> int:
        """200 for the right password, 401 for a wrong or missing one, 429 when the address tried too often."""
        credentials = _basic_credentials(authorization)
        if credentials is None:
            return 401
        mark = self._mark(credentials)
        if self._known(mark):
            return 200
        limited = self._too_many(client)
        if (limited and self._slow_lane.locked()) or self._waiting >= CHECKS_SIDE_BY_SIDE + CHECKS_WAITING:
            return 429
        password = credentials.partition(b":")[2]
        if limited:
            async with self._slow_lane:
                await asyncio.sleep(self._pause_s)
                right = await self._checked(password, mark)
        else:
            right = await self._checked(password, mark)
        if right:
            if not self._known(mark):
                self._verified.append(mark)
            return 200
        self._note_failure(client)
        return 429 if limited else 401


def _basic_credentials(authorization: bytes) -> bytes | None:
    scheme, _, text = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return None
    return decoded if b":" in decoded else None


class Guard:
    """ASGI middleware for http and websocket; other scopes (lifespan) pass.

    - Host: loopback names, and those of `allowed_hosts`; with a password any IP address as well, since an address
      cannot be rebound by a foreign name server and a browser never sends a password to another origin.
    - Origin: what changes something (every method but GET and HEAD, and websockets) must show that it comes from the
      same origin; pictures and data are not given to other sites either, only a link that opens a page works.
    - Password: Basic credentials on every address, when a hash is given. Without one nothing is answered that a proxy
      passes on: others would come through it.
    - A body is at most MOST_BODY bytes.
    - PAGE_HEADER: what changes something carries it, which no form and no other site can send.
    - `dagster=True` leaves out the last, and adds what Dagster's web server needs: it runs mutations that come in the
      address of a GET.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Iterable[str] = (),
        password_hash: str | None = None,
        dagster: bool = False,
        gate: PasswordGate | None = None,
    ) -> None:
        self.app = app
        self._hosts = _LOOPBACK_NAMES | {host.strip("[]").lower() for host in allowed_hosts}
        self._gate = gate or (PasswordGate(password_hash) if password_hash else None)
        self._dagster = dagster

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer the refusal itself."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = await self._judge(scope)
        if not refusal:
            await self.app(scope, _counted(receive) if scope["type"] == "http" else receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await _refuse(send, *_REFUSALS[refusal])

    async def _judge(self, scope: Scope) -> str:
        """Empty when the request may pass, else which of _REFUSALS it gets."""
        headers = _header_lists(scope)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not hosts[0]:
            return "host"
        if not self._host_allowed(hosts[0].decode("latin-1")):
            return "name"
        if self._gate is None and any(name in headers for name in _FORWARDED):
            return "proxied"
        if self._gate is not None:
            given = headers.get(b"authorization", [b""])
            authorization = given[0] if len(given) == 1 else b""
            if not self._gate.knows(authorization):
                status = await self._gate.check(authorization, _client(scope, headers))
                if status != 200:
                    return "guessing" if status == 429 else "password"
        if not _is_from_same_origin(scope, headers, hosts[0]):
            return "foreign"
        if self._dagster and _is_dagster_trap(scope, headers):
            return "foreign"
        # A script cannot send a header with a websocket; the Origin tells whose it is. Dagster's scripts send none.
        unsigned = scope["type"] == "http" and _changes(scope) and len(headers.get(PAGE_HEADER, [])) != 1
        if unsigned and not self._dagster:
            return "foreign"
        return "large" if _told_length(headers) > MOST_BODY else ""

    def _host_allowed(self, header: str) -> bool:
        name = _host_name(header)
        if name in self._hosts:
            return True
        if self._gate is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _client(scope: Scope, headers: MutableMapping[bytes, list[bytes]]) -> str:
    """Who asks, for counting failures: the peer, or whom a proxy on this machine names last. One network of IPv6 that a
    single person is given (64 bits) counts as one."""
    peer = scope["client"][0] if scope.get("client") else ""
    told = headers.get(b"x-forwarded-for", [])
    if told and is_loopback(peer):
        peer = told[-1].rpartition(b",")[2].strip().decode("latin-1")[:64]
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _told_length(headers: MutableMapping[bytes, list[bytes]]) -> int:
    told = headers.get(b"content-length", [b"0"])
    # int() refuses some thousands of digits, and twelve are more than may come.
    return int(told[0]) if len(told) == 1 and told[0].isdigit() and len(told[0]) <= 12 else MOST_BODY + 1


def _counted(receive: Receive) -> Receive:
    """The same, but a body that grows over MOST_BODY without having said so is answered 413."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BODY:
            raise HTTPException(413, _REFUSALS["large"][1])
        return message

    return counted


def _changes(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS


def _header_lists(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def _host_name(header: str) -> str:
    """The name or address without port and brackets, lower case; empty when the header is malformed."""
    if header.startswith("["):
        name, bracket, rest = header[1:].partition("]")
        return name.lower() if bracket and (not rest or _is_port(rest)) else ""
    name, colon, port = header.partition(":")
    return name.lower() if not colon or _is_port(":" + port) else ""


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


def _is_from_same_origin(scope: Scope, headers: MutableMapping[bytes, list[bytes]], host: bytes) -> bool:
    """Cross-origin rules after https://words.filippo.io/csrf (Go's CrossOriginProtection), made stricter: a changing
    request without any sign of its origin is refused, and another site may open a page but embed or read nothing."""
    site = headers.get(b"sec-fetch-site", [])
    origin = headers.get(b"origin", [])
    if len(site) > 1 or len(origin) > 1:
        return False
    if origin and not _same_netloc(origin[0], host):
        return False
    if _changes(scope):
        return (not site or site[0] == b"same-origin") and bool(site or origin)
    if not site or site[0] in (b"same-origin", b"none"):
        return True
    return headers.get(b"sec-fetch-mode") == [b"navigate"] and headers.get(b"sec-fetch-dest") == [b"document"]


def _same_netloc(origin: bytes, host: bytes) -> bool:
    scheme, separator, netloc = origin.partition(b"://")
    return bool(separator) and scheme in (b"http", b"https") and netloc.lower() == host.lower()


def _is_dagster_trap(scope: Scope, headers: MutableMapping[bytes, list[bytes]]) -> bool:
    if scope["type"] != "http" or scope["method"] not in _SAFE_METHODS:
        return False
    parts = {part for part in scope["path"].split("/") if part}
    if "graphql" in parts and scope.get("query_string"):
        return True
    foreign = headers.get(b"sec-fetch-site", [b"none"])[0] not in (b"same-origin", b"none")
    return foreign and bool(parts & _DAGSTER_DATA)


async def _refuse(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"private, no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="lora-assets", charset="UTF-8"'))
    if status == 429:
        headers.append((b"retry-after", b"60"))
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})

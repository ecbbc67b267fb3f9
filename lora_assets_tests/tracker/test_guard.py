"""The guard: hosts, origins, passwords and what only Dagster needs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import pwd
import threading
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from lora_assets.tracker.guard import (
    CHECKS_SIDE_BY_SIDE,
    CHECKS_WAITING,
    MOST_BODY,
    Guard,
    GuardError,
    PasswordGate,
    _client,
    check_bind,
    is_loopback,
    open_to_users,
)
from lora_assets_tests.tracker.conftest import Client

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "正しいパスワード-with-12"


async def open_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Lets everything in: what it answers, the guard has passed."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def basic(password: str, user: str = "me") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def websocket(app: Any, headers: dict[str, str]) -> str:
    """What the app says first to a websocket with these headers."""
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/graphql", "headers": raw, "client": ("127.0.0.1", 5), "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent[0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8088", "[::1]:3000", "LOCALHOST:1"])
def test_loopback_hosts_pass(host: str):
    assert Client(Guard(open_app)).get("/", Host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "localhost:80:80",
        "[::1",
        "[::1]x",
        "192.168.1.5",
        "a@localhost",
    ],
)
def test_foreign_hosts_are_refused(host: str):
    assert Client(Guard(open_app)).get("/", Host=host).status_code == 421


def test_a_missing_or_doubled_host_is_refused():
    def ask(hosts: list[bytes]) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", host) for host in hosts]}
        asyncio.run(Guard(open_app)(scope, receive, send))
        return sent[0]["status"]

    assert ask([b"localhost"]) == 200
    assert ask([]) == 400
    assert ask([b"localhost", b"localhost"]) == 400


def test_named_hosts_pass_and_with_a_password_addresses_do():
    named = Client(Guard(open_app, allowed_hosts=["studio.lan"]))
    assert named.get("/", Host="Studio.LAN:8088").status_code == 200
    guarded = Client(Guard(open_app, password_hash=CHEAP.hash(PASSWORD)), (("Authorization", basic(PASSWORD)),))
    assert guarded.get("/", Host="192.168.1.5:8088").status_code == 200
    assert guarded.get("/", Host="evil.example").status_code == 421


CROSS = {"Sec-Fetch-Site": "cross-site"}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://127.0.0.1:8088"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8088"}, 200),
        ({}, 403),
        (CROSS, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", **NAVIGATION}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "file://127.0.0.1:8088"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS", "PATCH", "post", "CONNECT"])
def test_changes_come_from_the_same_origin_only(method: str, headers: dict[str, str], status: int):
    asked = {**headers, "X-Lora-Assets": "page"}
    assert Client(Guard(open_app)).ask(method, "/", asked).status_code == status
    assert Client(Guard(open_app, dagster=True)).ask(method, "/", headers).status_code == status


def test_changes_carry_a_header_that_no_form_can_send():
    pages = Client(Guard(open_app), (("Sec-Fetch-Site", "same-origin"),))
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        assert pages.ask("POST", "/", {"Content-Type": kind}).status_code == 403
    assert pages.ask("POST", "/", {"X-Lora-Assets": "page"}).status_code == 200
    assert pages.get("/").status_code == 200


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_and_no_field_turns_a_look_into_a_change(header: str):
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await open_app(scope, receive, send)

    client = Client(Guard(app))
    assert client.ask("GET", "/x?_method=DELETE", {header: "DELETE", **{"Sec-Fetch-Site": "none"}}).status_code == 200
    assert seen == ["GET"]
    assert client.ask("POST", "/x?_method=GET", {header: "GET"}).status_code == 403
    assert seen == ["GET"]


def test_a_large_body_is_refused_by_its_word_and_by_its_size():
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            pass
        assert message["type"] == "http.request"
        await open_app(scope, receive, send)

    headers = (("Sec-Fetch-Site", "same-origin"), ("X-Lora-Assets", "page"))
    client = Client(Guard(reading), headers)
    for length in (str(MOST_BODY + 1), "-1", "1e3", ""):
        assert client.ask("POST", "/", {"Content-Length": length}).status_code == 413
    assert client.ask("POST", "/", {"Content-Length": str(MOST_BODY)}).status_code == 200

    async def chunked() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"x" * 2**20, "more_body": True}

        async def send(_: Message) -> None:
            raise AssertionError("nothing is answered here")

        raw = [(b"host", b"localhost"), *((name.lower().encode(), value.encode()) for name, value in headers)]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
        with pytest.raises(HTTPException) as refused:
            await Guard(reading)(scope, receive, send)
        assert refused.value.status_code == 413

    asyncio.run(chunked())


def test_dagster_is_sent_no_large_body_either():
    dagster = Client(Guard(open_app, dagster=True), (("Sec-Fetch-Site", "same-origin"),))
    assert dagster.ask("POST", "/graphql", {"Content-Length": str(MOST_BODY + 1)}).status_code == 413
    assert dagster.ask("POST", "/graphql", {"Content-Length": "100"}).status_code == 200


PROXIED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


@pytest.mark.parametrize("header", PROXIED)
def test_what_a_proxy_passes_on_needs_a_password(header: str):
    for dagster in (False, True):
        answer = Client(Guard(open_app, dagster=dagster)).ask("GET", "/", {header: "203.0.113.9"})
        assert answer.status_code == 403
        assert "lora-assets password" in answer.text
    right = (("Authorization", basic(PASSWORD)), (header, "203.0.113.9"))
    assert Client(Guard(open_app, password_hash=CHEAP.hash(PASSWORD)), right).get("/").status_code == 200


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Origin": "http://127.0.0.1:8088"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://localhost:8088"}, False),
        ({}, False),
    ],
)
def test_websockets_come_from_the_same_origin_only(headers: dict[str, str], passes: bool):
    said = websocket(Guard(open_app, dagster=True), {"Host": "127.0.0.1:8088", **headers})
    assert said == ("websocket.accept" if passes else "websocket.close")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_sites_may_open_a_page_but_embed_nothing(method: str):
    def ask(**headers: str) -> int:
        return (
            Client(Guard(open_app)).ask(method, "/x", {k.replace("_", "-"): v for k, v in headers.items()}).status_code
        )

    assert ask() == 200
    assert ask(Sec_Fetch_Site="none") == 200
    assert ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image") == 403
    assert ask(Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty") == 403
    assert ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe") == 403
    assert ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document") == 200
    assert ask(Origin="https://evil.example") == 403


def test_dagster_takes_no_query_in_an_address():
    plain, dagster = Client(Guard(open_app)), Client(Guard(open_app, dagster=True))
    for path in ("/graphql?query=mutation{launchRun}", "/prefix/graphql?query=x", "/graphql/?variables=1"):
        assert plain.get(path).status_code == 200
        assert dagster.get(path).status_code == 403
        assert dagster.ask("HEAD", path).status_code == 403
    assert dagster.get("/graphql").status_code == 200
    assert dagster.get("/assets/tracker_dashboard?partition=LIVE").status_code == 200
    assert dagster.ask("POST", "/graphql", {"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_other_sites_open_dagsters_pages_but_not_its_data():
    dagster = Client(Guard(open_app, dagster=True), (*CROSS.items(), *NAVIGATION.items()))
    assert dagster.get("/assets/tracker_dashboard?partition=LIVE").status_code == 200
    for path in ("/graphql", "/logs/1/2", "/download_debug/1", "/notebook?path=x", "/dagit/notebook"):
        assert dagster.get(path).status_code == 403


def gated(**options: Any) -> Client:
    return Client(Guard(open_app, gate=PasswordGate(CHEAP.hash(PASSWORD), pause_s=0.0, **options)))


def test_without_the_password_nothing_is_told():
    client = gated()
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ???"}, {"Authorization": basic("no")}):
        answer = client.ask("GET", "/any", headers)
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert client.get("/", Authorization=basic(PASSWORD)).content == b"in"
    assert client.get("/", Authorization=basic(PASSWORD, "other")).status_code == 200
    assert websocket(client.app, {"Host": "localhost", "Origin": "http://localhost"}) == "websocket.close"
    right = {"Host": "localhost", "Origin": "http://localhost", "Authorization": basic(PASSWORD)}
    assert websocket(client.app, right) == "websocket.accept"


def test_guessing_is_slowed_and_the_right_password_still_opens():
    now = [0.0]
    client = gated(clock=lambda: now[0])
    statuses = [client.get("/", Authorization=basic(f"wrong{n}")).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert client.get("/", Authorization=basic(PASSWORD)).status_code == 200
    assert client.get("/", Authorization=basic("wrong")).status_code == 429
    now[0] = 61.0
    assert client.get("/", Authorization=basic("wrong")).status_code == 401


def test_guesses_side_by_side_are_not_even_checked(monkeypatch: pytest.MonkeyPatch):
    gate = PasswordGate(CHEAP.hash(PASSWORD), clock=lambda: 0.0, pause_s=0.05)
    checked: list[bytes] = []
    matches = gate._matches
    monkeypatch.setattr(gate, "_matches", lambda password: checked.append(password) or matches(password))

    async def flood() -> list[int]:
        for number in range(10):
            await gate.check(basic(f"wrong{number}").encode(), "a")
        return await asyncio.gather(*(gate.check(basic(f"more{number}").encode(), "a") for number in range(50)))

    assert asyncio.run(flood()) == [429] * 50
    assert len(checked) == 11
    assert asyncio.run(gate.check(basic("wrong").encode(), "b")) == 401


def test_addresses_behind_a_proxy_are_told_apart_and_a_network_counts_as_one():
    now = [0.0]
    client = gated(clock=lambda: now[0])

    def wrong(forwarded: str) -> int:
        return client.ask(
            "GET", "/", {"Authorization": basic("wrong"), "X-Forwarded-For": forwarded}
        ).status_code  # fmt: skip

    assert [wrong("203.0.113.9") for _ in range(11)] == [401] * 10 + [429]
    assert wrong("198.51.100.7, 203.0.113.9") == 429, "only the last one was written by the proxy here"
    assert wrong("203.0.113.10") == 401
    assert [wrong(f"2001:db8:1:2::{n:x}") for n in range(11)] == [401] * 10 + [429]
    assert wrong("2001:db8:1:3::1") == 401


def test_what_a_stranger_says_of_himself_does_not_count():
    def told(peer: str, forwarded: str) -> str:
        return _client({"client": (peer, 1)}, {b"x-forwarded-for": [forwarded.encode()]})

    assert told("203.0.113.9", "127.0.0.1") == "203.0.113.9"
    assert told("127.0.0.1", "203.0.113.9") == "203.0.113.9"
    assert told("::1", "x" * 9000) == "x" * 64
    assert _client({"client": None}, {}) == ""


def test_guesses_from_many_addresses_do_not_take_the_machine(monkeypatch: pytest.MonkeyPatch):
    gate = PasswordGate(CHEAP.hash(PASSWORD), clock=lambda: 0.0, pause_s=0.0)
    at_once: list[int] = [0, 0]
    entered = threading.Lock()

    def slow(_: bytes) -> bool:
        with entered:
            at_once[0] += 1
            at_once[1] = max(at_once)
        threading.Event().wait(0.01)
        with entered:
            at_once[0] -= 1
        return False

    monkeypatch.setattr(gate, "_matches", slow)

    async def flood() -> list[int]:
        asked = [gate.check(basic(f"wrong{number}").encode(), f"192.0.2.{number}") for number in range(200)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(flood())
    assert answers.count(401) == CHECKS_SIDE_BY_SIDE + CHECKS_WAITING
    assert answers.count(429) == 200 - CHECKS_SIDE_BY_SIDE - CHECKS_WAITING
    assert at_once[1] <= CHECKS_SIDE_BY_SIDE


def test_many_thumbnails_at_once_cost_one_verification(monkeypatch: pytest.MonkeyPatch):
    gate = PasswordGate(CHEAP.hash(PASSWORD))
    checked: list[bytes] = []
    matches = gate._matches
    monkeypatch.setattr(gate, "_matches", lambda password: checked.append(password) or matches(password))

    async def page() -> list[int]:
        first = await gate.check(basic(PASSWORD).encode(), "a")
        return [first, *await asyncio.gather(*(gate.check(basic(PASSWORD).encode(), "a") for _ in range(200)))]

    assert asyncio.run(page()) == [200] * 201
    assert len(checked) == 1


def test_what_is_kept_of_a_right_password_is_a_keyed_hash():
    first, second = PasswordGate(CHEAP.hash(PASSWORD)), PasswordGate(CHEAP.hash(PASSWORD))
    credentials = f"me:{PASSWORD}".encode()
    assert asyncio.run(first.check(basic(PASSWORD).encode(), "a")) == 200
    (kept,) = first._verified
    assert len(kept) == 32
    assert kept == hashlib.blake2b(credentials, key=first._key, digest_size=32).digest()
    assert kept != second._mark(credentials)


def test_a_right_password_is_hashed_once_for_many_thumbnails(monkeypatch: pytest.MonkeyPatch):
    gate = PasswordGate(CHEAP.hash(PASSWORD))
    checked: list[bytes] = []
    matches = gate._matches
    monkeypatch.setattr(gate, "_matches", lambda password: checked.append(password) or matches(password))
    assert [asyncio.run(gate.check(basic(PASSWORD).encode(), "a")) for _ in range(20)] == [200] * 20
    assert len(checked) == 1


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("127.8.0.1", True), ("0.0.0.0", False),
     ("", False), ("::", False), ("192.168.1.5", False), ("studio.lan", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_an_open_address_needs_a_password(host: str, alone: bool):
    assert is_loopback(host) is alone
    check_bind(host, CHEAP.hash(PASSWORD))
    if alone:
        check_bind(host, None)
    else:
        with pytest.raises(GuardError, match="lora-assets password"):
            check_bind(host, None)
        with pytest.raises(GuardError):
            check_bind(host, "")


@pytest.mark.parametrize("name", ["studio.lan", "192.168.1.5", "lora.example", "localhost.evil.example", ""])
def test_a_host_name_for_others_needs_a_password(name: str):
    check_bind("127.0.0.1", None, ["localhost", "127.0.0.1", "::1"])
    check_bind("127.0.0.1", CHEAP.hash(PASSWORD), [name])
    with pytest.raises(GuardError, match="lora-assets password"):
        check_bind("127.0.0.1", None, ["localhost", name])


def test_a_damaged_hash_is_refused_at_the_start():
    with pytest.raises(GuardError, match="lora-assets password"):
        PasswordGate("not a hash")


def test_other_scopes_pass():
    seen: list[str] = []

    async def app(scope: Scope, *_: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(Guard(app)({"type": "lifespan"}, nothing, nothing))
    assert seen == ["lifespan"]


def test_other_users_of_the_machine_are_told_of(monkeypatch: pytest.MonkeyPatch):
    def user(name: str, uid: int, shell: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, uid, "", "/", shell))

    own = user("me", os.getuid(), "/bin/bash")
    machine = [
        own,
        user("daemon", 1, "/bin/sh"),
        user("ftp", 1002, "/usr/sbin/nologin"),
        user("nobody", 65534, "/bin/sh"),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: machine)
    assert open_to_users(None) == ""
    machine += [user("ayumi", 1003, "/bin/zsh"), user("ken", 1004, "/usr/bin/fish")]
    told = open_to_users(None)
    assert "ayumi, ken" in told and "lora-assets password" in told
    assert open_to_users(CHEAP.hash(PASSWORD)) == ""


@pytest.mark.parametrize("digits", ["9" * 13, "9" * 5000, "0" * 6000])
def test_a_length_of_thousands_of_digits_is_too_large(digits: str):
    client = Client(Guard(open_app), (("Sec-Fetch-Site", "same-origin"), ("X-Lora-Assets", "1")))
    assert client.ask("POST", "/", {"Content-Length": digits}).status_code == 413

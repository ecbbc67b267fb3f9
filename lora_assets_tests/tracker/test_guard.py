"""The guard: hosts, origins, passwords and what only Dagster needs."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.types import Message, Receive, Scope, Send

from lora_assets.tracker.guard import Guard, GuardError, PasswordGate, check_bind, is_loopback
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
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS"])
def test_changes_come_from_the_same_origin_only(method: str, headers: dict[str, str], status: int):
    assert Client(Guard(open_app)).ask(method, "/", headers).status_code == status


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
